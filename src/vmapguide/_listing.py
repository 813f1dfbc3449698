"""The public function `listing`: one jaxpr, readable.

Called like `jax.make_jaxpr`. Here is what a user of the package meets: the call, its errors, and
the value it returns. `_jaxpr/to_data.py` makes data of the jaxpr, and `_show/listing.py` prints it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.extend.core as jec

from vmapguide._advice import wrong_calls
from vmapguide._advice.waiting import waiting
from vmapguide._data import Program
from vmapguide._jaxpr import to_data
from vmapguide._jaxpr.pickled import without_jaxprs
from vmapguide._show.listing import listing_html, listing_text
from vmapguide._show.result import Shown
from vmapguide._show.tokens import Line, layout
from vmapguide._trace.user_names import captured_names, transformed_name


@dataclass(frozen=True, repr=False, eq=False)
class Listing(Shown):
    """A readable jaxpr: `str()` in a terminal, a folding view in a notebook.

    Attributes:
        name: what the traced function is called.
        jaxpr: the jaxpr itself, as `jax.make_jaxpr` returns it.
        fold: whether a call into a library stands in one line for what it contains.
        shorten: whether parameters at their default are left out and long ones shortened.
    """

    _WIDTH: ClassVar[int] = 88

    name: str
    jaxpr: jec.ClosedJaxpr
    fold: bool
    shorten: bool
    _program: Program

    @property
    def primitives(self) -> dict[str, int]:
        """How often each primitive occurs, in order of first appearance.

        Equations of nested jaxprs (branches, loop bodies, calls) count as often as an equation
        holds them; a loop's body counts once, however often it runs.

        Example:
            >>> import jax, vmapguide
            >>> vmapguide.listing(lambda x: x * x + 1)(2.0).primitives
            {'mul': 1, 'add': 1}
        """
        return dict(_count(self._program, {}))

    def __getstate__(self) -> dict[str, object]:
        """Return what is pickled: all but the jaxpr, which JAX cannot pickle, and its text."""
        return {**vars(self), "jaxpr": without_jaxprs(self.jaxpr)}

    def to_dict(self) -> dict[str, object]:
        """Return the listing as plain data, ready for `json.dumps`.

        Returns:
            A dictionary with the keys `schema` (`"vmapguide.listing/1"`), `name` and `program`.
            A program has `constants`, `arguments`, `equations` and `results`; an equation has
            `primitive`, `params`, `inputs`, `outputs` and `library`. `fold` and
            `shorten` are about the text: it is the same with and without them.
        """
        return {
            "schema": "vmapguide.listing/1",
            "name": self.name,
            "program": self._program.to_dict(),
        }

    def _text(self, width: int, *, fold: bool) -> str:
        return listing_text(self._lines(fold=fold), width)

    def _html(self, *, fold: bool) -> str:
        return listing_html(self._lines(fold=fold), label=f"jaxpr of {self.name}")

    def _title(self) -> str:
        return f"jaxpr of {self.name}"

    def _lines(self, *, fold: bool) -> list[Line]:
        return layout(self._program, fold=fold and self.fold, shorten=self.shorten)


def _count(program: Program, memo: dict[int, Counter[str]]) -> Counter[str]:
    """Count equations by primitive. Each nested program is looked at once."""
    if id(program) not in memo:
        total: Counter[str] = Counter()
        for eqn in program.equations:
            total[eqn.primitive] += 1
            for param in eqn.params:
                for inner in param.programs:
                    total.update(_count(inner, memo))
        memo[id(program)] = total
    return memo[id(program)]


def listing(
    f: Callable[..., Any],
    *,
    fold: bool = True,
    shorten: bool = True,
    static_argnums: int | Sequence[int] = (),
    axis_env: Sequence[tuple[Any, int]] | None = None,
) -> Callable[..., Listing]:
    """Make a function that lists the jaxpr of `f`, as `jax.make_jaxpr` makes one that returns it.

    The listing keeps JAX's notation and leaves out its noise. Arguments keep the names they have in
    your code, and so do captured arrays that a variable of `f` leads to. NumPy scalars print as
    numbers, weak types with a star
    (`f32*[]`), a literal's dtype only where its spelling does not tell it.

    Args:
        f: the function to list. It is traced and not run.
        fold: show a call into an installed library, such as the `jit` inside `jnp.where`, in
            one line. In a notebook the line opens.
        shorten: leave out parameters that are empty or at their default, and shorten long ones.
            In a notebook those open. With False both are written out.
        static_argnums: positions of arguments to pass to `f` as they are, untraced.
        axis_env: names and sizes of axes that collectives in `f` refer to: `[("i", 8)]`.

    Returns:
        A function of the arguments of `f`: arrays or `jax.ShapeDtypeStruct` of any shape and of any
        dtype that JAX has, PRNG keys, Python numbers, or pytrees of these. It returns a `Listing`.

    Raises:
        TypeError: if `f` is not a function, the arguments do not fit it, or `fold` or `shorten` is
            neither True nor False.
        Exception: whatever `f` raises while it is traced, JAX's message unchanged, with a note
            that says what was being traced.

    Example:
        >>> import jax, jax.numpy as jnp, vmapguide
        >>> def centred(x):
        ...     return x - x.mean()
        >>> vmapguide.listing(centred)(jnp.arange(4.0))
        { lambda ; x:f32[4]. let
            a:f32[] = reduce_sum[axes=(0,)] x
            b:f32[] = div a 4.0
            c:f32[4] = sub x b
          in (c,) }
        >>> vmapguide.listing(jax.vmap(centred))(jax.ShapeDtypeStruct((32, 4), jnp.float32))
        { lambda ; x:f32[32,4]. let
            a:f32[32] = reduce_sum[axes=(1,)] x
            b:f32[32] = div a 4.0
            c:f32[32,1] = broadcast_in_dim[broadcast_dimensions=(0,)] b
            d:f32[32,4] = sub x c
          in (d,) }
    """
    wrong_calls.check_function("listing", f)
    fold, shorten = (
        wrong_calls.flag("listing", name, value)
        for name, value in (("fold", fold), ("shorten", shorten))
    )
    name = transformed_name(f)
    make_jaxpr = jax.make_jaxpr(f, static_argnums=static_argnums, axis_env=axis_env)

    @waiting("listing", f, name)
    def list_jaxpr(*args: Any, **kwargs: Any) -> Listing:
        wrong_calls.check_call("listing", f, name, args, kwargs)
        with wrong_calls.naming("listing", name, f, args, kwargs):
            jaxpr = make_jaxpr(*args, **kwargs)
        program = to_data.read(jaxpr, captured_names(f)).program
        return Listing(name, jaxpr, fold, shorten, program)

    return list_jaxpr
