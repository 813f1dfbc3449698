"""`cost`: what a function costs, counted in its jaxpr, and beside it what XLA says.

Here is the call and the values it returns. What one equation costs is in `_flops`; how often it
runs is found out by `_counting`.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import jax
import jax.extend.core as jec

from vmapguide import _cost_view, _counting, _errors, _names, _report, _source
from vmapguide._cost_data import Choice, CostStep, Loop, Work, XlaCost
from vmapguide._counting import Entry
from vmapguide._flops import Amount
from vmapguide._program import Source
from vmapguide._waiting import waiting
from vmapguide.explain import Explanation


@dataclass(frozen=True, repr=False, eq=False)
class Cost(_report.Shown):
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
        sizes: of an explanation the sizes of the batch axes by their names.
        choices: the conds whose branches differ in what they cost.
        cheapest: the totals if each of them takes its cheapest branch, and not its dearest.
        choices_of_one: of an explanation the choices of one example, whose dearest branches are in
            `CostStep.one`. Where the predicate is mapped the batch runs all branches.

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
    sizes: Mapping[str, int]
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
            return _of_compiled(self._compile()), None
        except Exception as error:  # noqa: BLE001 - a collective without its axis, a GPU's kernel.
            first, *_ = str(error).strip().split("\n")
            return None, f"{type(error).__name__}: {first}".removesuffix(": ")

    @property
    def differences(self) -> tuple[str, ...]:
        """Why the counts of the jaxpr are not those of XLA, a sentence each."""
        return tuple(_cost_view.differences(self._as_view()))

    def to_dict(self) -> dict[str, object]:
        """Return the cost as plain data, ready for `json.dumps`. Compiles the function.

        Returns:
            A dictionary with the keys `schema` (`"vmapguide.cost/1"`), `name`, `flops`,
            `transcendentals`, `bytes`, `loops` (the fields of `Loop`), `uncounted`, `steps` (the
            fields of `CostStep`), `sizes`, `choices` and `choices_of_one` (the fields of `Choice`),
            `cheapest` (those of `Work`), `xla` (those of `XlaCost`, or None), `xla_error` and
            `differences`. A source has the fields of `Source` and its `expression`.
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
            "sizes": dict(self.sizes),
            "choices": [*map(_plain, self.choices)],
            "choices_of_one": [*map(_plain, self.choices_of_one)],
            "cheapest": dataclasses.asdict(self.cheapest),
            "xla": self.xla and dataclasses.asdict(self.xla),
            "xla_error": self.xla_error,
            "differences": list(self.differences),
        }

    def _as_report(self) -> _report.Report:
        return _cost_view.report(self._as_view())

    def _as_view(self) -> _cost_view.View:
        return _cost_view.View(
            name=self.name,
            call=self._call,
            flops=self.flops,
            transcendentals=self.transcendentals,
            bytes=self.bytes,
            loops=self.loops,
            uncounted=self.uncounted,
            steps=self.steps,
            sizes=self.sizes,
            choices=self.choices,
            cheapest=self.cheapest,
            choices_of_one=self.choices_of_one,
            xla=self.xla,
            xla_error=self.xla_error,
            scans=self._scans,
        )


def _of_compiled(compiled: Any) -> XlaCost:
    """Return what a compiled program says of itself."""
    analysis = compiled.cost_analysis() or {}
    memory = compiled.memory_analysis()
    text = compiled.as_text() or ""

    def said(key: str, otherwise: int | None = None) -> int | None:
        value = analysis.get(key, otherwise)
        return None if value is None or value < 0 else int(value)

    # XLA leaves out what there is none of.
    none = 0 if analysis else None
    return XlaCost(
        flops=said("flops", none),
        transcendentals=said("transcendentals", none),
        bytes=said("bytes accessed"),
        temporary=getattr(memory, "temp_size_in_bytes", None),
        arguments=getattr(memory, "argument_size_in_bytes", None),
        results=getattr(memory, "output_size_in_bytes", None),
        library_calls=" custom-call(" in text,
        fuses=" fusion(" in text,
        loops=" while(" in text,
    )


def _plain(value: CostStep | Loop | Choice) -> dict[str, object]:
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

    The conventions and their sources are those of the module `vmapguide._flops`: XLA's own, and
    Golub and Van Loan's for linear algebra.
    """
    if isinstance(f, Explanation):
        if static_argnums != () or axis_env is not None:
            raise TypeError(
                "cost: static_argnums and axis_env say how to trace a function, and an explanation "
                "has been traced. Leave them out."
            )
        return _of_explanation(f)
    _errors.check_function("cost", f)
    name = _names.transformed_name(f)
    make_jaxpr = jax.make_jaxpr(f, static_argnums=static_argnums, axis_env=axis_env)
    jitted = jax.jit(f, static_argnums=static_argnums)

    @waiting("cost", f, name)
    def cost_call(*args: Any, **kwargs: Any) -> Cost:
        _errors.check_call("cost", f, name, args, kwargs)
        with _errors.naming("cost", name, f, args, kwargs):
            jaxpr = make_jaxpr(*args, **kwargs)
        _source.forget()
        counted = _counting.count(jaxpr)
        cheapest = _counting.count(jaxpr, cheapest=True)
        names = _names.leaf_names(f, args, kwargs)
        types = map(_errors.describe, jax.tree.leaves((args, kwargs)))
        return _cost(
            counted,
            cheapest,
            name=name,
            steps=tuple(map(_step, counted.entries)),
            sizes={},
            call=", ".join(map("{}: {}".format, names, types)),
            compile_=lambda: jitted.lower(*args, **kwargs).compile(),
        )

    return cost_call


def _of_explanation(explanation: Explanation) -> Cost:
    """Count what an explanation's program costs, step by step."""
    counted = _counting.count(explanation.batched)
    cheapest = _counting.count(explanation.batched, cheapest=True)
    of_one = _counting.Count()
    steps: Iterable[CostStep] = map(_step, counted.entries)
    if explanation.complete:
        of_one = _counting.count(explanation.per_example)
        steps = _steps(explanation, counted, of_one)

    def compile_() -> Any:
        inner = explanation.batched.jaxpr
        types = [jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype) for v in inner.invars]
        return jax.jit(jec.jaxpr_as_fun(explanation.batched)).lower(*types).compile()

    sizes = ", ".join(f"{letter} = {size}" for letter, size in explanation.sizes.items())
    return _cost(
        counted,
        cheapest,
        of_one,
        name=f"vmap({explanation.name})",
        steps=tuple(steps),
        sizes=dict(explanation.sizes),
        call=sizes,
        compile_=compile_,
    )


def _steps(
    explanation: Explanation, counted: _counting.Count, of_one: _counting.Count
) -> Iterator[CostStep]:
    """Yield what each step costs, and what one example of it does."""
    entries = _by_equation(counted.entries)
    ones = _by_equation(of_one.entries)
    for step in explanation.steps:
        made = [entry for eqn in step.batched for entry in entries.get(id(eqn), ())]
        one = _total(ones.get(id(step.equation), ()))
        name = step.equation.primitive.name
        yield _of_entries(name, step.source, made, one.flops + one.transcendentals)
    if explanation.boundary:
        made = [entry for eqn in explanation.boundary for entry in entries.get(id(eqn), ())]
        yield _of_entries("out_axes", None, made, 0)


def _cost(
    counted: _counting.Count,
    cheapest: _counting.Count,
    of_one: _counting.Count | None = None,
    *,
    name: str,
    steps: tuple[CostStep, ...],
    sizes: Mapping[str, int],
    call: str,
    compile_: Callable[[], Any],
) -> Cost:
    known, least = (
        _total(entry for entry in count.entries if not entry.loops) for count in (counted, cheapest)
    )
    uncounted: dict[str, int] = {}
    for entry in counted.entries:
        if entry.amount is None:
            primitive = entry.eqn.primitive.name
            uncounted[primitive] = uncounted.get(primitive, 0) + entry.times
    return Cost(
        name,
        *_fields(known),
        loops=tuple(_loops(counted)),
        uncounted=uncounted,
        steps=steps,
        sizes=sizes,
        choices=tuple(_choices(counted)),
        cheapest=Work(*_fields(least)),
        choices_of_one=tuple(_choices(of_one)) if of_one else (),
        _call=call,
        _compile=compile_,
        _scans=tuple(counted.scans),
    )


def _loops(counted: _counting.Count) -> Iterator[Loop]:
    """Yield the unknown loops. What is in a loop inside another one is the inner one's."""
    trips: dict[str, dict[_counting.Loops, list[Entry]]] = {}
    for entry in counted.entries:
        if entry.loops:
            trips.setdefault(entry.loops[-1], {}).setdefault(entry.loops, []).append(entry)
    for name, (eqn, outer, inside) in counted.unknown.items():
        # A loop with nothing in it has no entries, and is a loop all the same.
        for (*around, _), entries in trips.get(name, {(*inside, name): []}).items():
            yield Loop(name, _where(eqn, outer), tuple(around), *_fields(_total(entries)))


def _choices(counted: _counting.Count) -> Iterator[Choice]:
    """Yield the choices, each once for the unknown loops that it is in."""
    for name, choice in counted.choices.items():
        branches = tuple(Work(*_fields(amount)) for amount in choice.branches)
        source = _where(choice.eqn, choice.outer)
        for inside, times in choice.times.items():
            yield Choice(name, source, inside, times, branches, choice.counted)


def _step(entry: Entry) -> CostStep:
    return _of_entries(entry.eqn.primitive.name, _where(entry.eqn, entry.outer), [entry], None)


def _of_entries(
    name: str, source: Source | None, entries: Sequence[Entry], one: int | None
) -> CostStep:
    loops = dict.fromkeys(loop for entry in entries for loop in entry.loops)
    choices = dict.fromkeys(choice for entry in entries for choice in entry.choices)
    amount = _fields(_total(entries))
    return CostStep(name, source, *amount, loops=tuple(loops), one=one, choices=tuple(choices))


def _total(entries: Iterable[Entry]) -> Amount:
    return sum((entry.amount for entry in entries if entry.amount), Amount())


def _fields(amount: Amount) -> tuple[int, int, int]:
    return amount.flops, amount.transcendentals, amount.bytes


def _by_equation(entries: Iterable[Entry]) -> dict[int, list[Entry]]:
    found: dict[int, list[Entry]] = {}
    for entry in entries:
        found.setdefault(id(entry.eqn), []).append(entry)
    return found


def _where(eqn: jec.JaxprEqn, outer: Sequence[jec.JaxprEqn]) -> Source | None:
    """Return the user's code that made an equation, or that called the library code around it."""
    for candidate in (eqn, *reversed(outer)):
        source = _source.of_equation(candidate)
        if source is not None:
            return source
    return None
