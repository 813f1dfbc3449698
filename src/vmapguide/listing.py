"""`listing`: one jaxpr, readable.

Called like `jax.make_jaxpr`. What it reads comes from `_jaxpr`, how it looks from `_render`; here
is only what a user of the package meets: the call, its errors, and the value it returns.
"""

from __future__ import annotations

import functools
import inspect
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.extend.core as jec

from vmapguide import _jaxpr, _render
from vmapguide._program import Program


# Of a terminal that does not say how wide it is, and of files and pages.
_WIDTH = 88

# Of the arguments of a call that failed, at most.
_SHOWN = 6


@dataclass(frozen=True, repr=False)
class Listing:
    """A readable jaxpr: `str()` in a terminal, a folding view in a notebook.

    Attributes:
        name: what the traced function is called.
        jaxpr: the jaxpr itself, as `jax.make_jaxpr` returns it.
        fold: whether a call into a library stands in one line for what it contains.
        shorten: whether parameters at their default are left out and long ones shortened.
    """

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
        return _jaxpr.count_primitives(self.jaxpr)

    def to_dict(self) -> dict[str, object]:
        """Return the listing as plain data, ready for `json.dumps`.

        Returns:
            A dictionary with the keys `schema` (`"vmapguide.listing/1"`), `name` and `program`.
            A program has `constants`, `arguments`, `equations` and `results`; an equation has
            `primitive`, `params`, `inputs`, `outputs` and `library`. Nothing is shortened or
            left out.
        """
        return {
            "schema": "vmapguide.listing/1",
            "name": self.name,
            "program": self._program.to_dict(),
        }

    def __str__(self) -> str:
        """Return the listing as text, at most as wide as the terminal where it can be."""
        return _render.text(self._lines(), shutil.get_terminal_size((_WIDTH, 24)).columns)

    def __repr__(self) -> str:
        """Return the same as `str`: a listing is made to be looked at."""
        return str(self)

    def _repr_html_(self) -> str:
        return _render.listing_html(self._lines(), label=f"jaxpr of {self.name}")

    def _lines(self) -> list[_render.Line]:
        return _render.layout(self._program, fold=self.fold, shorten=self.shorten)


def listing(
    f: Callable[..., Any],
    *,
    fold: bool = True,
    shorten: bool = True,
    static_argnums: int | Sequence[int] = (),
    axis_env: Sequence[tuple[Any, int]] | None = None,
) -> Callable[..., Listing]:
    """Make a function that lists the jaxpr of `f`, as `jax.make_jaxpr` makes one that returns it.

    The listing keeps JAX's notation and leaves out its noise. Arguments and captured arrays keep
    the names they have in your code. NumPy scalars print as numbers, weak types with a star
    (`f32*[]`), a literal's dtype only where its spelling does not tell it.

    Args:
        f: the function to list. It is traced and not run.
        fold: show a call into an installed library, such as the `jit` inside `jnp.where`, in
            one line. In a notebook the line opens.
        shorten: leave out parameters that are empty or at their default, and shorten long ones.
            In a notebook those open. With False everything is written out.
        static_argnums: positions of arguments to pass to `f` as they are, untraced.
        axis_env: names and sizes of axes that collectives in `f` refer to: `[("i", 8)]`.

    Returns:
        A function of the arguments of `f`: arrays or `jax.ShapeDtypeStruct` of any shape and dtype,
        PRNG keys, Python numbers, or pytrees of these. It returns a `Listing`.

    Raises:
        TypeError: if `f` is not a function, or the arguments do not fit it.
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
    if not callable(f):
        raise TypeError(
            f"listing: the first argument must be a function, but is of type "
            f"{type(f).__name__}. Pass the function itself and call the result with its "
            f"arguments: listing(f)(x), not listing(f(x))."
        )
    inner = _jaxpr.unwrapped(f)
    name = getattr(inner, "__name__", type(inner).__name__)
    make_jaxpr = jax.make_jaxpr(f, static_argnums=static_argnums, axis_env=axis_env)

    @functools.wraps(f)
    def list_jaxpr(*args: Any, **kwargs: Any) -> Listing:
        _check_call(f, name, args, kwargs)
        try:
            jaxpr = make_jaxpr(*args, **kwargs)
        except Exception as error:
            error.add_note(_trace_note(f, name, args, kwargs))
            raise
        program = _jaxpr.read(jaxpr, _jaxpr.captured_names(f))
        return Listing(name, jaxpr, fold, shorten, program)

    return list_jaxpr


def _check_call(
    f: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    """Raise if `f` cannot be called like this, before JAX says so in words about itself."""
    try:
        signature = inspect.signature(f)
    except (TypeError, ValueError):
        return  # Some built-in functions have no signature: let the call decide.
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        given = f"{len(args)} positional" + "".join(f", {key}=" for key in kwargs)
        parameters = ", ".join(
            str(parameter.replace(annotation=parameter.empty))
            for parameter in signature.parameters.values()
        )
        raise TypeError(
            f"listing: {name}({parameters}) cannot be called with these arguments ({given}): "
            f"{error}. Call listing({name}) as you would call {name}: with arrays, "
            f"jax.ShapeDtypeStructs, or pytrees of them."
        ) from None


def _trace_note(
    f: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> str:
    """Say what was being traced, and which argument JAX cannot trace if there is one."""
    try:
        arguments: dict[Any, Any] = inspect.signature(f).bind(*args, **kwargs).arguments
    except (TypeError, ValueError):
        arguments = dict(enumerate(args)) | kwargs
    leaves = [
        (f"{path[0].key}{jax.tree_util.keystr(path[1:])}", leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(dict(arguments))
    ]
    shown = ", ".join(f"{path}: {_describe(leaf)}" for path, leaf in leaves[:_SHOWN])
    more = f" and {len(leaves) - _SHOWN} more" if len(leaves) > _SHOWN else ""
    note = f"listing: {name} raised this while it was traced with ({shown}{more})."
    for path, leaf in leaves:
        if not hasattr(leaf, "dtype") and not isinstance(leaf, (bool, int, float, complex)):
            return note + (
                f" JAX cannot trace {path}, which is of type {type(leaf).__name__}: fix it with "
                f"functools.partial, or name its position in static_argnums."
            )
    return note


def _describe(leaf: Any) -> str:
    if hasattr(leaf, "shape") and hasattr(leaf, "dtype"):
        return f"{leaf.dtype}[{','.join(map(str, leaf.shape))}]"
    return type(leaf).__name__
