"""Rules about branches and loops: what runs for examples that do not need it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax.extend.core as jec

from vmapguide._data import Finding, Rule
from vmapguide._jaxpr import primitives
from vmapguide._jaxpr.compat import opened
from vmapguide._jaxpr.walk import nested
from vmapguide._measure.run_counts import branch_work
from vmapguide._rules.subject import Subject, in_bytes, inner_jaxpr, size
from vmapguide._trace.steps import Step


ALL_BRANCHES = Rule(
    "VG101",
    "all branches run",
    "note",
    "`{code}` runs {branches} branches for every example, {work:,} operations in all, and then "
    "picks one result; the cheapest branch takes {cheapest:,}.",
    "If the examples can share the decision, pass it with None in in_axes, or decide for the batch "
    "with jax.lax.pmax; jax.lax.map runs one branch for each example.",
)
SLOWEST_EXAMPLE = Rule(
    "VG102",
    "slowest example",
    "warning",
    "The loop in `{code}` runs until the slowest example is done; an example that is done is "
    "computed all the same.",
    "Put examples of like length into one batch, bound the number of trips, or let jax.lax.map "
    "take the examples one by one.",
)
LOOP_IN_LOOP = Rule(
    "VG103",
    "loop in a loop",
    "warning",
    "The loop in `{code}` is inside another one{outer}: every trip of the outer loop waits for the "
    "example whose inner loop is slowest in that trip.",
    "Make one loop of both, in which each example goes on to its next outer trip by itself, or let "
    "jax.lax.map take the examples one by one.",
)
GUARDED_LOOP = Rule(
    "VG104",
    "guarded loop",
    "warning",
    "The loop in a branch of `{code}` runs for every example, also for those that take another "
    "branch: for one of these for which it does not end, it never ends.",
    "Let the loop's own condition say no for examples that must not enter it, or bound its trips.",
)
CARRY_PROMOTED = Rule(
    "VG105",
    "carry of each example's own",
    "note",
    "The loop in `{code}` starts with a value that all examples share, and carries one for each, "
    "{bytes} in all.",
    "Keep out of the carry what no trip changes, and what is the same for all examples.",
)
COPIED_EACH_TRIP = Rule(
    "VG106",
    "copied in each trip",
    "warning",
    "`{code}` changes {changed:,} of {whole:,} numbers in one of its branches, and each trip of "
    "the loop around it picks between whole arrays, for every example.",
    "Change the array in every trip, and let the decision pick the value: "
    "x.at[i].set(jnp.where(p, new, x[i])).",
)

RULES = (
    ALL_BRANCHES,
    SLOWEST_EXAMPLE,
    LOOP_IN_LOOP,
    GUARDED_LOOP,
    CARRY_PROMOTED,
    COPIED_EACH_TRIP,
)

_LOOPS = primitives.with_role("loop")


def find(subject: Subject) -> Iterator[Finding]:
    """Yield what branches and loops cost."""
    outer_loops = _outer_loops(subject)
    for step in subject.steps:
        if step.kind == "all branches":
            yield from _all_branches(subject, step)
            yield from _guarded_loops(subject, step)
            if id(step.equation) in outer_loops:
                yield from _copies_in_trips(subject, step)
        if step.kind == "slowest example":
            outer = outer_loops.get(id(step.equation))
            if outer is None:
                yield subject.found(SLOWEST_EXAMPLE, step)
            else:
                line = outer.source and outer.source.line
                here = step.source and step.source.line
                place = f", of line {line}" if line and line != here else ""
                yield subject.found(LOOP_IN_LOOP, step, outer=place)
        if step.equation.primitive.name in _LOOPS:
            yield from _promoted_carries(subject, step)


def _all_branches(subject: Subject, step: Step) -> Iterator[Finding]:
    """Yield whether a `cond` computes anything in vain. To pick one of two values is no work."""
    branches = [work.flops + work.transcendentals for work in branch_work(step.equation)]
    if not (total := sum(branches)):
        return
    cheapest = min(branches)
    factor = total / cheapest if cheapest else None
    has_loop = any(
        inner.equation.primitive.name in _LOOPS for inner in subject.inside(step.equation)
    )
    yield subject.found(
        ALL_BRANCHES,
        step,
        is_severe=has_loop or total >= subject.limits.factor * max(cheapest, 1),
        factor=factor,
        branches=len(branches),
        work=total,
        cheapest=cheapest,
    )


def _outer_loops(subject: Subject) -> dict[int, Step]:
    """Return the loop around each loop, by the `id` of the inner one's equation."""
    around: dict[int, Step] = {}
    for step in subject.steps:
        if step.equation.primitive.name in _LOOPS:
            for inner in subject.inside(step.equation):
                around[id(inner.equation)] = step  # The outer ones come first.
    return around


def _guarded_loops(subject: Subject, step: Step) -> Iterator[Finding]:
    for inner in subject.inside(step.equation):
        if inner.kind == "slowest example" and not _is_counted(inner.equation):
            yield subject.found(GUARDED_LOOP, step)


def _is_counted(eqn: jec.JaxprEqn) -> bool:
    """Say whether a `while` counts up to a bound, so that it ends whatever the examples are."""
    if eqn.primitive.name != "while":
        return False
    test, body = inner_jaxpr(eqn, "cond_jaxpr"), inner_jaxpr(eqn, "body_jaxpr")
    if [inner.primitive.name for inner in test.eqns] != ["lt"]:
        return False
    counter = test.eqns[0].invars[0]
    carried = test.invars[eqn.params["cond_nconsts"] :]
    if counter not in carried:
        return False
    place = carried.index(counter)
    start = body.invars[eqn.params["body_nconsts"] + place]
    makers = {var: inner for inner in body.eqns for var in inner.outvars}
    result = body.outvars[place]
    maker = None if isinstance(result, jec.Literal) else makers.get(result)
    return (
        maker is not None
        and maker.primitive.name == "add"
        and start in maker.invars
        and any(isinstance(atom, jec.Literal) and atom.val > 0 for atom in maker.invars)
    )


def _promoted_carries(subject: Subject, step: Step) -> Iterator[Finding]:
    """Yield the copies of what a loop starts with: one value for all, and then one for each."""
    for eqn in step.batched:
        copied = in_bytes(eqn.outvars[0]) if subject.is_copy(eqn) else 0
        if copied >= subject.limits.bytes:
            yield subject.found(CARRY_PROMOTED, step, bytes_=copied)


def _copies_in_trips(subject: Subject, step: Step) -> Iterator[Finding]:
    """Yield the arrays of which a branch changes little, and of which all is picked."""
    branches = [*map(opened, step.equation.params["branches"])]
    for place, results in enumerate(zip(*(branch.outvars for branch in branches), strict=True)):
        updates = [_update(b, atom) for b, atom in zip(branches, results, strict=True)]
        pairs = zip(branches, results, strict=True)
        kept = {branch.invars.index(atom) for branch, atom in pairs if atom in branch.invars}
        for update in updates:
            if update is None or update.argument not in kept:
                continue
            array = step.equation.outvars[place]
            if size(array) >= subject.limits.factor * update.changed:
                copied = subject.size * in_bytes(array)
                is_severe = copied >= subject.limits.bytes
                numbers = {"changed": update.changed, "whole": size(array)}
                yield subject.found(
                    COPIED_EACH_TRIP, step, is_severe=is_severe, bytes_=copied, **numbers
                )
                break


class _Update(NamedTuple):
    """A result that is an argument with part of it changed."""

    argument: int
    changed: int


def _update(jaxpr: jec.Jaxpr, atom: Any) -> _Update | None:
    """Return which argument of a jaxpr a value is, with how much of it changed; None if none."""
    makers = {var: eqn for eqn in jaxpr.eqns for var in eqn.outvars}
    changed = 0
    while (eqn := None if isinstance(atom, jec.Literal) else makers.get(atom)) is not None:
        traits = primitives.traits(eqn.primitive.name)
        if traits.written is not None:
            changed += size(eqn.invars[traits.written])
            atom = eqn.invars[0]
        elif traits.body and len(held := nested(eqn)) == 1:
            inner = _update(held[0], held[0].outvars[eqn.outvars.index(atom)])
            if inner is None:
                return None
            changed += inner.changed
            atom = eqn.invars[inner.argument]
        else:
            return None
    if changed and atom in jaxpr.invars:
        return _Update(jaxpr.invars.index(atom), changed)
    return None
