"""Rules about branches and loops: what runs for examples that do not need it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import jax.extend.core as jec

from vmapguide._data import Finding, Rule
from vmapguide._jaxpr import primitives
from vmapguide._jaxpr.compat import opened
from vmapguide._jaxpr.source_files import shown_paths
from vmapguide._jaxpr.updates import Updates
from vmapguide._jaxpr.walk import nested
from vmapguide._jaxpr.while_loops import READ_OR_WRITE, alike, is_sure_to_end
from vmapguide._measure.run_counts import BranchWork, branch_work
from vmapguide._rules.deciders import Deciders
from vmapguide._rules.subject import Subject, in_bytes, inner_jaxpr, rank, size
from vmapguide._trace.steps import Step


ALL_BRANCHES = Rule(
    "VG101",
    "all branches run",
    "note",
    "`{code}` runs each of its {branches} branches for every example, {work:,} operations, and "
    "keeps one result. The cheapest branch alone takes {cheapest:,}.",
    "If all examples can share the decision, pass it with None in in_axes, or decide for the batch "
    "with jax.lax.pmax. Or, if one example keeps the machine busy, let jax.lax.map take them one "
    "by one: each runs one branch.",
)
SLOWEST_EXAMPLE = Rule(
    "VG102",
    "slowest example",
    "warning",
    "The loop in `{code}` runs until the slowest example is done. Each trip computes all examples, "
    "and throws away what it computed for those that are done.",
    "Give the loop one number of trips for all, put examples of like length into one batch, or, if "
    "one example keeps the machine busy, let jax.lax.map take them one by one.",
)
LOOP_IN_LOOP = Rule(
    "VG103",
    "loop in a loop",
    "warning",
    "The loop in `{code}` is inside another one{outer}. Each trip of the outer loop waits for the "
    "example whose inner loop is the slowest in that trip.",
    "Make one loop of both, in which each example goes on to its next outer trip by itself, or, if "
    "one example keeps the machine busy, let jax.lax.map take them one by one.",
)
GUARDED_LOOP = Rule(
    "VG104",
    "guarded loop",
    "warning",
    "The loop in a branch of `{code}` runs for every example, also for those that take another "
    "branch. If it does not end for one of these, it does not end for the batch.",
    "Leave out the branch, and let the loop's own condition say no for examples that must not "
    "enter it. Or let that condition count trips up to a bound.",
)
CARRY_PROMOTED = Rule(
    "VG105",
    "carry of each example's own",
    "note",
    "The loop in `{code}` carries what would be the same for all examples if they made the same "
    "trips. Each stops by itself, so there is one for each, {bytes} in all.",
    "Let all examples make the same trips, up to a fixed bound or to what jax.lax.pmax finds, and "
    "keep the result of one that is done with jnp.where.",
)
COPIED_EACH_TRIP = Rule(
    "VG106",
    "copied in each trip",
    "warning",
    "`{code}` changes {changed:,} of {whole:,} numbers in a branch. Each trip of the loop around "
    "it picks between whole arrays for every example, {bytes} a trip.",
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

# -- Rules that say it in other words --

_BRANCH_WITH_LOOP = dataclasses.replace(
    ALL_BRANCHES,
    sentence="`{code}` runs each of its {branches} branches for every example, a loop among them, "
    "and keeps one result.",
)
_BRANCH_WITH_CALL = dataclasses.replace(
    ALL_BRANCHES,
    sentence="`{code}` runs each of its {branches} branches for every example. One of them calls "
    "Python, or prints, and does so for examples that take another branch, too.",
)
_COUNTER_PROMOTED = dataclasses.replace(
    CARRY_PROMOTED,
    sentence="The loop in `{code}` has a counter for each example, because each stops by itself. "
    "It reads or writes at the counter, and so at one place for each: with a gather or a scatter.",
)

# Where the code is a library's, its user can change the call alone.
_ONE_BY_ONE = (
    "jax.lax.map around the call takes the examples one by one, if one keeps the machine busy"
)
_IN_LIBRARY = {
    "VG101": dataclasses.replace(
        ALL_BRANCHES,
        sentence="The library function in `{code}` runs each of {branches} branches for every "
        "example, and keeps one result.",
        remedy="Pass what all examples share with None in in_axes: the decision may depend on "
        f"nothing else. Or {_ONE_BY_ONE}: each runs one branch.",
    ),
    "VG102": dataclasses.replace(
        SLOWEST_EXAMPLE,
        sentence="The library function in `{code}` has a loop that runs until the slowest example "
        "is done. Each trip computes all examples, also those that are done.",
        remedy=f"Put examples of like length into one batch. Or {_ONE_BY_ONE}.",
    ),
    "VG103": dataclasses.replace(
        LOOP_IN_LOOP,
        sentence="The library function in `{code}` has a loop inside another one{outer}. Each trip "
        "of the outer loop waits for the example whose inner loop is the slowest in that trip.",
        remedy=f"Put examples of like length into one batch. Or {_ONE_BY_ONE}.",
    ),
    "VG104": dataclasses.replace(
        GUARDED_LOOP,
        sentence="The library function in `{code}` has a loop in a branch. It runs for every "
        "example, also for those that take another branch, and if it does not end for one of "
        "these, it does not end for the batch.",
        remedy=f"Replace arguments for which it does not end. Or {_ONE_BY_ONE}.",
    ),
    "VG106": dataclasses.replace(
        COPIED_EACH_TRIP,
        sentence="The library function in `{code}` changes {changed:,} of {whole:,} numbers in a "
        "branch. Each trip of the loop around it picks between whole arrays for every example, "
        "{bytes} a trip.",
        remedy=f"If no other function will do, {_ONE_BY_ONE}: each runs one branch.",
    ),
}

_LOOPS = primitives.with_role("loop")
_CALLS = primitives.with_role("print", "callback")


def find(subject: Subject) -> Iterator[Finding]:
    """Yield what branches and loops cost."""
    branching = [step for step in subject.steps if step.kind == "all branches"]
    waiting = [step for step in subject.steps if step.kind == "slowest example"]
    if not branching and not waiting:
        return
    around = _around(subject)
    guards = {id(guard) for guard in _guards(waiting, around)}
    insides, deciders = _Insides(), Deciders(subject)
    for step, work in zip(branching, branch_work(s.equation for s in branching), strict=True):
        here = around[id(step.equation)]
        copies = [*_copies_in_trips(subject, step, here.loop)]
        yield from copies
        if id(step) in guards:
            yield _found(subject, GUARDED_LOOP, step, deciders=deciders.of(step))
            continue
        found = _all_branches(subject, step, work, here, insides.of(step.equation))
        # Where it copies arrays, little else matters.
        if found and (found.severity == "warning" or not copies):
            yield dataclasses.replace(found, deciders=deciders.of(step))
    for step in waiting:
        if subject.has_several and (_each_decides(step) or subject.is_of_library(step)):
            loop = around[id(step.equation)].loop
            for found in _slowest_example(subject, step, loop):
                yield dataclasses.replace(found, deciders=deciders.of(step))
            yield from _promoted_carries(subject, step, insides)


def _found(subject: Subject, rule: Rule, step: Step, **facts: Any) -> Finding:
    """Return a finding, in the words for library code where the step is a library's."""
    if subject.is_of_library(step):
        rule = _IN_LIBRARY[rule.code]
    return subject.found(rule, step, **facts)


class _Around(NamedTuple):
    """What equations lie in: the innermost loop of several trips, the innermost branch."""

    loop: Step | None = None
    branch: Step | None = None


def _around(subject: Subject) -> Mapping[int, _Around]:
    """Return what each branch and loop lies in, by the `id` of its equation.

    What several equations hold lies in what any of them lies in, so that a jaxpr is looked at three
    times at most.
    """
    inside: dict[int, _Around] = {}
    found: dict[int, _Around] = {}
    pending = [(opened(subject.per_example), _Around())]
    while pending:
        jaxpr, here = pending.pop()
        known = inside.get(id(jaxpr))
        if known is not None:
            here = _Around(known.loop or here.loop, known.branch or here.branch)
            if here == known:
                continue
        inside[id(jaxpr)] = here
        for eqn in jaxpr.eqns:
            if not (held := nested(eqn)):
                continue
            found[id(eqn)] = within = here
            step = subject.step_of[id(eqn)]
            if eqn.primitive.name in _LOOPS and eqn.params.get("length") != 1:
                within = within._replace(loop=step)
            if step.kind == "all branches":
                within = within._replace(branch=step)
            pending += [(inner, within) for inner in reversed(held)]
    return found


def _guards(loops: Iterable[Step], around: Mapping[int, _Around]) -> Iterator[Step]:
    """Yield the branches around loops that need not end."""
    for step in loops:
        branch = around[id(step.equation)].branch
        if branch is not None and not is_sure_to_end(step.equation):
            yield branch


class _Insides:
    """Says what primitives there are in the jaxprs of an equation, however deep."""

    def __init__(self) -> None:
        self._known: dict[int, frozenset[str]] = {}

    def of(self, eqn: jec.JaxprEqn) -> frozenset[str]:
        """Return their names."""
        return frozenset().union(*map(self._in, nested(eqn)))

    def _in(self, jaxpr: jec.Jaxpr) -> frozenset[str]:
        if id(jaxpr) not in self._known:
            names = frozenset(eqn.primitive.name for eqn in jaxpr.eqns)
            self._known[id(jaxpr)] = names.union(*map(self.of, jaxpr.eqns))
        return self._known[id(jaxpr)]


def _all_branches(
    subject: Subject,
    step: Step,
    work: BranchWork,
    around: _Around,
    names: frozenset[str],
) -> Finding | None:
    """Return that all branches of a `cond` run, if that is more than to pick one of the results.

    Args:
        subject: the call.
        step: the `cond`.
        work: what its branches cost.
        around: what it lies in.
        names: the primitives in its branches.
    """
    all_, cheapest, dearest = (w.flops + w.transcendentals for w in work)
    has_loop, has_call = "while" in names, not names.isdisjoint(_CALLS)
    is_work = all_ > sum(map(size, step.equation.outvars))
    is_much = is_work and all_ >= subject.limits.factor * max(cheapest, 1)
    in_vain = subject.size * _trips(around.loop) * (work.all.bytes - work.cheapest.bytes)
    is_severe = has_loop or has_call or (is_much and in_vain >= subject.limits.bytes)
    if subject.is_of_library(step):
        # Its user does not know how often which branch is taken. So what counts is what no example
        # needs, whichever it takes, and that no other rule speaks of the loop that it is in.
        unneeded = subject.size * _trips(around.loop) * (work.all.bytes - work.dearest.bytes)
        is_much = 2 * (all_ - dearest) >= dearest and unneeded >= subject.limits.bytes
        is_told = has_loop or subject.library_loops.get(id(step.equation), False)
        is_severe = has_call or (is_much and not is_told)
        if not is_severe:
            return None
    elif not is_severe and not is_work:
        return None
    return _found(
        subject,
        _BRANCH_WITH_CALL if has_call else _BRANCH_WITH_LOOP if has_loop else ALL_BRANCHES,
        step,
        is_severe=is_severe,
        factor=all_ / cheapest if cheapest else None,
        branches=len(step.equation.params["branches"]),
        work=all_,
        cheapest=cheapest,
    )


def _copies_in_trips(subject: Subject, step: Step, loop: Step | None) -> Iterator[Finding]:
    """Yield the arrays of which branches change little, and of which all is picked in each trip."""
    if loop is None:
        return
    branches = [Updates(opened(branch)) for branch in step.equation.params["branches"]]
    for place, array in enumerate(step.equation.outvars):
        updates = [branch.of(branch.jaxpr.outvars[place]) for branch in branches]
        known = [update for update in updates if update is not None]
        changed = sum(update.changed for update in known)
        if not changed or len({u.argument for u in known}) > 1 or len(known) < len(updates):
            continue
        copied = subject.size * in_bytes(array)
        is_much = copied * _trips(loop) >= subject.limits.bytes
        if is_much and size(array) >= subject.limits.factor * changed:
            numbers = {"changed": changed, "whole": size(array)}
            yield _found(subject, COPIED_EACH_TRIP, step, bytes_=copied, **numbers)


def _trips(loop: Step | None) -> int:
    """Return how many trips a loop makes: one, if that is not known or there is no loop."""
    return int(loop.equation.params.get("length", 1)) if loop else 1


def _each_decides(step: Step) -> bool:
    """Say whether each example decides for itself how often a loop runs, and no collective does."""
    own = rank(inner_jaxpr(step.equation, "cond_jaxpr").outvars[0])
    whole = [inner_jaxpr(e, "cond_jaxpr") for e in step.batched if e.primitive.name == "while"]
    return any(rank(test.outvars[0]) > own for test in whole)


def _slowest_example(subject: Subject, step: Step, outer: Step | None) -> Iterator[Finding]:
    """Yield that a loop runs until the slowest example is done: in all, or in each outer trip."""
    if outer is None:
        yield _found(subject, SLOWEST_EXAMPLE, step)
        return
    if outer.kind == "slowest example" and subject.is_of_library(outer):
        return  # Both are one call of a library function, and all examples wait for that anyway.
    here, there = step.source, outer.source
    place = ""
    if here and there and (there.file, there.line) != (here.file, here.line):
        elsewhere = f" of {shown_paths([there.file])[there.file]}" * (there.file != here.file)
        place = f", that of line {there.line}{elsewhere}"
    yield _found(subject, LOOP_IN_LOOP, step, outer=place)


def _promoted_carries(subject: Subject, step: Step, insides: _Insides) -> Iterator[Finding]:
    """Yield what of a carry there is for each example because each stops by itself, and only so."""
    if subject.is_of_library(step):
        return  # Its user cannot change the loop.
    may_index = not READ_OR_WRITE.isdisjoint(insides.of(step.equation))
    for variant in step.variants:
        copies = {eqn.outvars[0] for eqn in variant.batched if subject.is_copy(eqn)}
        for eqn in variant.batched if copies else ():
            is_much = sum(map(in_bytes, copies)) >= subject.limits.bytes
            if eqn.primitive.name != "while" or not (is_much or may_index):
                continue
            is_own = [subject.is_mapped(atom) and atom not in copies for atom in eqn.invars]
            found = alike(step.equation, is_own)
            carry = eqn.invars[eqn.params["cond_nconsts"] + eqn.params["body_nconsts"] :]
            copied = sum(in_bytes(carry[place]) for place in found.places)
            if copied >= subject.limits.bytes:
                yield subject.found(CARRY_PROMOTED, step, bytes_=copied)
            elif found.is_index:
                yield subject.found(_COUNTER_PROMOTED, step)
