"""Sum up what a program costs: its steps, its loops of unknown length, its choices, the totals.

Start with `of_jaxpr` for a function, or `of_steps` for an explanation. What one equation costs is
known to `flops`, and how often it runs to `run_counts`; here the two become plain data.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import jax.extend.core as jec

from vmapguide._data import Choice, CostStep, Loop, Source, Work
from vmapguide._jaxpr import primitives, source_lines
from vmapguide._jaxpr.compat import AnyJaxpr
from vmapguide._measure import run_counts
from vmapguide._measure.run_counts import Count, Entry
from vmapguide._trace.steps import Step


K = TypeVar("K")

# The primitives that only run what is nested in them.
WRAPPERS = frozenset(
    name for name, traits in primitives.PRIMITIVES.items() if traits.work == "inside"
)


@dataclass(frozen=True)
class ProgramCost:
    """What a program costs.

    Attributes:
        total: what it costs with the dearest branch of each `cond`, without the unknown loops.
        cheapest: what it costs with the cheapest branches.
        loops: the unknown loops.
        choices: the conds whose branches differ in what they cost.
        choices_of_one: those of one example, if it is a batched program.
        uncounted: how often each primitive runs of which it is not known what it costs.
        steps: what each step or equation costs.
        scans: the lengths of the scans.
    """

    total: Work
    cheapest: Work
    loops: tuple[Loop, ...]
    choices: tuple[Choice, ...]
    choices_of_one: tuple[Choice, ...]
    uncounted: Mapping[str, int]
    steps: tuple[CostStep, ...]
    scans: tuple[int, ...]


def of_jaxpr(jaxpr: AnyJaxpr) -> ProgramCost:
    """Return what a program costs, equation by equation."""
    counted = run_counts.count(jaxpr)
    steps = (
        _cost_step(e.eqn.primitive.name, source_lines.of_nested(e.eqn, e.outer), [e], None)
        for e in counted.entries
    )
    return _program_cost(jaxpr, counted, steps, Count())


def of_steps(
    batched: AnyJaxpr,
    per_example: AnyJaxpr,
    steps: Sequence[Step],
    boundary: Sequence[jec.JaxprEqn],
) -> ProgramCost:
    """Return what a batched program costs, step by step, beside what one example costs.

    Args:
        batched: the batched program.
        per_example: the program of one example.
        steps: the per-example equations with what became of them; all of them are known.
        boundary: the equations that `vmap` added.
    """
    counted, of_one = run_counts.count(batched), run_counts.count(per_example)
    return _program_cost(batched, counted, _of_steps(steps, boundary, counted, of_one), of_one)


def _program_cost(
    jaxpr: AnyJaxpr, counted: Count, steps: Iterable[CostStep], of_one: Count
) -> ProgramCost:
    """Put together what a program costs from its count, its steps and the count of one example."""
    uncounted = Counter[str]()
    for entry in counted.entries:
        if entry.amount is None:
            uncounted[entry.eqn.primitive.name] += entry.times
    return ProgramCost(
        total=_known_work(counted),
        cheapest=_known_work(run_counts.count(jaxpr, cheapest=True)),
        loops=tuple(_loops(counted)),
        choices=tuple(itertools.chain(*counted.choices.values())),
        choices_of_one=tuple(itertools.chain(*of_one.choices.values())),
        uncounted=dict(uncounted),
        steps=tuple(steps),
        scans=tuple(counted.scans),
    )


def _known_work(counted: Count) -> Work:
    """Return what a program costs without its unknown loops."""
    return _sum(entry for entry in counted.entries if not entry.loops)


def _of_steps(
    steps: Sequence[Step], boundary: Sequence[jec.JaxprEqn], counted: Count, of_one: Count
) -> Iterator[CostStep]:
    """Yield what each step costs, and at the end what `vmap` added."""
    entries = _grouped(counted.entries, lambda entry: id(entry.eqn))
    ones = _grouped(of_one.entries, lambda entry: id(entry.eqn))
    for step in steps:
        made = [entry for eqn in step.batched for entry in entries.get(id(eqn), ())]
        one = _sum(ones.get(id(step.equation), ()))
        name = step.equation.primitive.name
        yield _cost_step(name, step.source, made, one.flops + one.transcendentals)
    if boundary:
        made = [entry for eqn in boundary for entry in entries.get(id(eqn), ())]
        yield _cost_step("out_axes", None, made, 0)


def _cost_step(
    name: str, source: Source | None, entries: Sequence[Entry], per_example_work: int | None
) -> CostStep:
    """Sum up the equations that a step consists of."""
    return CostStep(
        name,
        source,
        **dataclasses.asdict(_sum(entries)),
        loops=tuple(dict.fromkeys(loop for entry in entries for loop in entry.loops)),
        per_example_work=per_example_work,
        choices=tuple(dict.fromkeys(choice for entry in entries for choice in entry.choices)),
    )


def _loops(counted: Count) -> Iterator[Loop]:
    """Yield the unknown loops. What is in a loop inside another one is the inner one's."""
    entries = _grouped(counted.entries, lambda entry: entry.loops)
    for name, loop in counted.loops.items():
        for inside in loop.inside:
            one_trip = _sum(entries.get((*inside, name), ()))
            source = source_lines.of_nested(loop.eqn, loop.outer)
            yield Loop(name, source, inside, **dataclasses.asdict(one_trip))


def _sum(entries: Iterable[Entry]) -> Work:
    """Return what is known of what entries cost together."""
    return sum((entry.amount for entry in entries if entry.amount), Work())


def _grouped(entries: Iterable[Entry], key: Callable[[Entry], K]) -> dict[K, list[Entry]]:
    groups: dict[K, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(key(entry), []).append(entry)
    return groups
