"""From counted equations to what is told of a cost: steps, loops of unknown length, and choices.

Start with `step_of` for a function, or `steps_of` for an explanation. What one equation costs is in
`flops`, and how often it runs is found out by `run_counts`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import jax.extend.core as jec

from vmapguide._data import Choice, CostStep, Loop, Source, Work
from vmapguide._jaxpr import source_lines
from vmapguide._measure.flops import Amount
from vmapguide._measure.run_counts import Count, Entry, Loops
from vmapguide._trace.steps import Step


def steps_of(
    steps: Sequence[Step],
    boundary: Sequence[jec.JaxprEqn],
    counted: Count,
    of_one: Count,
) -> Iterator[CostStep]:
    """Yield what each step of an explanation costs, and what one example of it does.

    Args:
        steps: the steps.
        boundary: the equations that `vmap` added.
        counted: the count of the batched program.
        of_one: that of the program of one example.
    """
    entries = _by_equation(counted.entries)
    ones = _by_equation(of_one.entries)
    for step in steps:
        made = [entry for eqn in step.batched for entry in entries.get(id(eqn), ())]
        one = total(ones.get(id(step.equation), ()))
        name = step.equation.primitive.name
        yield _of_entries(name, step.source, made, one.flops + one.transcendentals)
    if boundary:
        made = [entry for eqn in boundary for entry in entries.get(id(eqn), ())]
        yield _of_entries("out_axes", None, made, 0)


def loops_of(counted: Count) -> Iterator[Loop]:
    """Yield the unknown loops. What is in a loop inside another one is the inner one's."""
    trips: dict[str, dict[Loops, list[Entry]]] = {}
    for entry in counted.entries:
        if entry.loops:
            trips.setdefault(entry.loops[-1], {}).setdefault(entry.loops, []).append(entry)
    for name, (eqn, outer, inside) in counted.unknown.items():
        # A loop with nothing in it has no entries, and is a loop all the same.
        for (*around, _), entries in trips.get(name, {(*inside, name): []}).items():
            yield Loop(name, _where(eqn, outer), tuple(around), *fields(total(entries)))


def choices_of(counted: Count) -> Iterator[Choice]:
    """Yield the choices, each once for the unknown loops that it is in."""
    for name, choice in counted.choices.items():
        branches = tuple(Work(*fields(amount)) for amount in choice.branches)
        source = _where(choice.eqn, choice.outer)
        for inside, times in choice.times.items():
            yield Choice(name, source, inside, times, branches, choice.counted)


def step_of(entry: Entry) -> CostStep:
    """Return what an equation costs."""
    return _of_entries(entry.eqn.primitive.name, _where(entry.eqn, entry.outer), [entry], None)


def _of_entries(
    name: str, source: Source | None, entries: Sequence[Entry], one: int | None
) -> CostStep:
    loops = dict.fromkeys(loop for entry in entries for loop in entry.loops)
    choices = dict.fromkeys(choice for entry in entries for choice in entry.choices)
    amount = fields(total(entries))
    return CostStep(
        name, source, *amount, loops=tuple(loops), per_example_work=one, choices=tuple(choices)
    )


def total(entries: Iterable[Entry]) -> Amount:
    """Return what is known of what entries cost together."""
    return sum((entry.amount for entry in entries if entry.amount), Amount())


def fields(amount: Amount) -> tuple[int, int, int]:
    """Return FLOPs, transcendental functions and bytes."""
    return amount.flops, amount.transcendentals, amount.bytes


def _by_equation(entries: Iterable[Entry]) -> dict[int, list[Entry]]:
    found: dict[int, list[Entry]] = {}
    for entry in entries:
        found.setdefault(id(entry.eqn), []).append(entry)
    return found


def _where(eqn: jec.JaxprEqn, outer: Sequence[jec.JaxprEqn]) -> Source | None:
    """Return the user's code that made an equation, or that called the library code around it."""
    for candidate in (eqn, *reversed(outer)):
        source = source_lines.of_equation(candidate)
        if source is not None:
            return source
    return None
