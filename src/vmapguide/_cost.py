"""The public function `cost`: what a function costs, counted in its jaxpr, and what XLA says.

Start with `cost`, which returns a `Cost`. `_measure.costs` counts, `_measure.xla` asks XLA, and
`_show.cost` makes a report of both.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import jax

from vmapguide._advice import wrong_calls
from vmapguide._advice.waiting import waiting
from vmapguide._data import Choice, CostStep, Gap, Loop, Sharded, Work, XlaCost
from vmapguide._explanation import Explanation
from vmapguide._jaxpr import source_pieces
from vmapguide._measure import costs, xla
from vmapguide._show.cost import CostView, cost_report, sentence
from vmapguide._show.report import Report, Reported
from vmapguide._trace.shards import sharded_leaves
from vmapguide._trace.user_names import leaf_names, transformed_name


@dataclass(frozen=True, repr=False, eq=False)
class Cost(Reported):
    """What a function costs: `str()` in a terminal, a table in a notebook.

    The counts are those of the jaxpr: every equation, on its own, as often as it runs. Of the
    branches of a `cond` one runs, and nobody knows which: the totals are those of the dearest, the
    one with the most FLOPs and transcendental functions together, `cheapest` is what they are with
    the cheapest, and `choices` says which conds that is about. What is in a `while` loop is not in
    the totals but in `loops`. That its condition is looked at once more than its body runs is left
    out.

    Attributes:
        name: what the function is called.
        flops: floating-point operations.
        transcendentals: functions such as `exp` and `tanh`, which XLA counts apart.
        bytes: bytes read and written if every equation runs on its own, from and to memory.
        loops: the loops of unknown length.
        uncounted: how often operations occur of which it is not known what they cost.
        steps: what each equation costs, or each step of an explanation. If that is not complete,
            what each batched equation costs.
        axis_sizes: of an explanation the sizes of the batch axes by their names.
        sharded: the arguments of which each of several devices has a part. What XLA says is about
            one of the devices.
        choices: the conds whose branches differ in what they cost.
        cheapest: the totals if each of them takes its cheapest branch, and not its dearest.
        choices_of_one: of an explanation the choices of one example, whose dearest branches are in
            `CostStep.per_example_work`. Where the predicate is mapped the batch runs all branches.

    Example:
        >>> import jax, jax.numpy as jnp, vmapguide
        >>> def power(A, x):
        ...     return jax.lax.scan(lambda x, _: (A @ x, None), x, None, length=100)[0]
        >>> A, x = jnp.ones((8, 8)), jnp.ones(8)
        >>> cost = vmapguide.cost(power)(A, x)
        >>> cost.flops == 100 * 2 * 8 * 8
        True
    """

    name: str
    flops: int
    transcendentals: int
    bytes: int
    loops: tuple[Loop, ...]
    uncounted: Mapping[str, int]
    steps: tuple[CostStep, ...]
    axis_sizes: Mapping[str, int]
    sharded: tuple[Sharded, ...]
    choices: tuple[Choice, ...]
    cheapest: Work
    choices_of_one: tuple[Choice, ...]
    _call: str
    _compile: Callable[[], Any] | None
    _scans: tuple[int, ...]

    @property
    def xla(self) -> XlaCost | None:
        """What XLA says, or None if it cannot compile the function. Compiles at the first look."""
        return self._answer[0]

    @property
    def xla_error(self) -> str | None:
        """Why XLA cannot compile the function, or None if it can. Compiles at the first look."""
        return self._answer[1]

    def __getstate__(self) -> dict[str, object]:
        """Return what is pickled: what XLA says, and not how to ask it. Compiles the function."""
        return {**vars(self), "_answer": self._answer, "_compile": None}

    @functools.cached_property
    def _answer(self) -> tuple[XlaCost | None, str | None]:
        assert self._compile is not None  # noqa: S101 - only a copy has none, and has the answer.
        try:
            return xla.cost_of(self._compile()), None
        except Exception as error:  # noqa: BLE001 - a collective without its axis, a GPU's kernel.
            first, *_ = str(error).strip().split("\n")
            return None, f"{type(error).__name__}: {first}".removesuffix(": ")

    @property
    def differences(self) -> tuple[str, ...]:
        """Why the counts of the jaxpr are not those of XLA, a sentence each."""
        return tuple(map(sentence, self._gaps()))

    def to_dict(self) -> dict[str, object]:
        """Return the cost as plain data, ready for `json.dumps`. Compiles the function.

        Returns:
            A dictionary with the keys `schema` (`"vmapguide.cost/1"`), `name`, `flops`,
            `transcendentals`, `bytes`, `loops` (the fields of `Loop`), `uncounted`, `steps` (the
            fields of `CostStep`), `axis_sizes`, `sharded` (those of `Sharded`), `choices` and
            `choices_of_one` (the fields of `Choice`), `cheapest` (those of `Work`), `xla` (those of
            `XlaCost`, or None), `xla_error` and `differences`. A source has the fields of `Source`
            and its `expression`.
        """
        return {
            "schema": "vmapguide.cost/1",
            "name": self.name,
            "flops": self.flops,
            "transcendentals": self.transcendentals,
            "bytes": self.bytes,
            "loops": [*map(_plain, self.loops)],
            "uncounted": dict(self.uncounted),
            "steps": [*map(_plain, self.steps)],
            "axis_sizes": dict(self.axis_sizes),
            "sharded": [*map(dataclasses.asdict, self.sharded)],
            "choices": [*map(_plain, self.choices)],
            "choices_of_one": [*map(_plain, self.choices_of_one)],
            "cheapest": dataclasses.asdict(self.cheapest),
            "xla": self.xla and dataclasses.asdict(self.xla),
            "xla_error": self.xla_error,
            "differences": list(self.differences),
        }

    def _as_report(self) -> Report:
        view = CostView(
            name=self.name,
            call=self._call,
            sharded=self.sharded,
            total=Work(self.flops, self.transcendentals, self.bytes),
            cheapest=self.cheapest,
            loops=self.loops,
            uncounted=self.uncounted,
            steps=self.steps,
            choices=self.choices,
            choices_of_one=self.choices_of_one,
            xla=self.xla,
            gaps=tuple(self._gaps()),
            wrappers=costs.WRAPPERS,
        )
        return cost_report(view)

    def _gaps(self) -> Iterator[Gap]:
        return xla.gaps(
            work=self.flops + self.transcendentals,
            moved=self.bytes,
            said=self.xla,
            error=self.xla_error,
            scans=self._scans,
            loops=self.loops,
        )


def _plain(value: CostStep | Loop | Choice) -> dict[str, object]:
    """Return the fields as plain data, ready for `json.dumps`."""
    source = value.source and value.source.to_dict()
    return dataclasses.asdict(value) | {"source": source}


@overload
def cost(f: Explanation) -> Cost: ...
@overload
def cost(
    f: Callable[..., Any],
    *,
    static_argnums: int | Sequence[int] = (),
    axis_env: Sequence[tuple[Any, int]] | None = None,
) -> Callable[..., Cost]: ...
def cost(
    f: Any,
    *,
    static_argnums: int | Sequence[int] = (),
    axis_env: Sequence[tuple[Any, int]] | None = None,
) -> Any:
    """Make a function that counts what `f` costs, or count what an explanation's program costs.

    FLOPs, functions such as `exp`, and bytes are counted in the jaxpr, with the lengths of loops
    multiplied in; beside them stands what XLA says about the compiled program, and why the two
    differ. `f` is traced and not run. The cost of counting is linear in the equations; XLA compiles
    the function when it is first asked, that is when the result is shown.

    Args:
        f: a function; or an `Explanation`, whose batched program is counted, step by step, beside
            what one example costs.
        static_argnums: positions of arguments to pass to `f` as they are, untraced.
        axis_env: names and sizes of axes that collectives in `f` refer to: `[("i", 8)]`. XLA does
            not compile such a function on its own.

    Returns:
        A function of the arguments of `f`, arrays or `jax.ShapeDtypeStruct` of any size, which
        returns a `Cost`. Of an explanation the `Cost` itself.

    Raises:
        TypeError: if `f` is not a function, the arguments do not fit it, or an explanation comes
            with `static_argnums` or `axis_env`.
        Exception: whatever `f` raises while it is traced, JAX's message unchanged, with a note
            that says what was being traced.

    Example:
        >>> import jax, jax.numpy as jnp, vmapguide
        >>> A, B = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((20, 30), (30, 40)))
        >>> vmapguide.cost(jnp.matmul)(A, B).flops == 2 * 20 * 30 * 40
        True
        >>> def either(x):
        ...     return jax.lax.cond(x.sum() > 0, lambda x: A_ @ x, lambda x: x, x)
        >>> A_, X = jnp.ones((5, 5)), jax.ShapeDtypeStruct((100, 5), jnp.float32)
        >>> one = vmapguide.cost(either)(jnp.ones(5))
        >>> vmapguide.cost(jax.vmap(either))(X).flops > 100 * one.flops
        True

    The conventions and their sources are those of the module `vmapguide._measure.flops`: XLA's own,
    and Golub and Van Loan's for linear algebra.
    """
    if isinstance(f, Explanation):
        if static_argnums != () or axis_env is not None:
            raise TypeError(
                "cost: static_argnums and axis_env say how to trace a function, and an explanation "
                "has been traced. Leave them out."
            )
        return _of_explanation(f)
    wrong_calls.check_function("cost", f)
    name = transformed_name(f)
    make_jaxpr = jax.make_jaxpr(f, static_argnums=static_argnums, axis_env=axis_env)
    jitted = jax.jit(f, static_argnums=static_argnums)

    @waiting("cost", f, name)
    def cost_call(*args: Any, **kwargs: Any) -> Cost:
        wrong_calls.check_call("cost", f, name, args, kwargs)
        with wrong_calls.naming("cost", name, f, args, kwargs):
            jaxpr = make_jaxpr(*args, **kwargs)
        source_pieces.forget()
        return _cost(
            costs.of_jaxpr(jaxpr),
            name=name,
            axis_sizes={},
            sharded=sharded_leaves(leaf_names(f, args, kwargs), jax.tree.leaves((args, kwargs))),
            call=wrong_calls.arguments_text(f, args, kwargs),
            compile_=lambda: jitted.lower(*args, **kwargs).compile(),
        )

    return cost_call


def _of_explanation(explanation: Explanation) -> Cost:
    """Count what an explanation's program costs, step by step."""
    batched = explanation.batched
    sizes = explanation.axis_sizes
    return _cost(
        costs.of_steps(batched, explanation.per_example, explanation.steps, explanation.boundary)
        if explanation.complete
        else costs.of_jaxpr(batched),
        name=f"vmap({explanation.name})",
        axis_sizes=dict(sizes),
        sharded=explanation.sharded,
        call=", ".join(f"{letter} = {size}" for letter, size in sizes.items()),
        compile_=lambda: xla.compile_jaxpr(batched, explanation._shardings),  # noqa: SLF001
    )


def _cost(
    program: costs.ProgramCost,
    *,
    name: str,
    axis_sizes: Mapping[str, int],
    sharded: tuple[Sharded, ...],
    call: str,
    compile_: Callable[[], Any],
) -> Cost:
    return Cost(
        name,
        program.total.flops,
        program.total.transcendentals,
        program.total.bytes,
        loops=program.loops,
        uncounted=program.uncounted,
        steps=program.steps,
        axis_sizes=axis_sizes,
        sharded=sharded,
        choices=program.choices,
        cheapest=program.cheapest,
        choices_of_one=program.choices_of_one,
        _call=call,
        _compile=compile_,
        _scans=program.scans,
    )
