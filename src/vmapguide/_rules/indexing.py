"""Rules about reading and writing at places that are not the same for all examples.

A slice is a gather in a batch, and an update of a part is a scatter, also where all examples share
the start. XLA makes one slice of it again then. So what counts is whether the start is mapped.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax.extend.core as jec

from vmapguide._data import Finding, Rule
from vmapguide._jaxpr import primitives
from vmapguide._jaxpr.updates import Updates
from vmapguide._jaxpr.while_loops import differing, is_in
from vmapguide._rules.subject import Subject, in_bytes, inner_jaxpr, size
from vmapguide._trace.steps import Step


BECOMES_GATHER = Rule(
    "VG301",
    "slice becomes a gather",
    "note",
    "`{code}` reads at a place of each example's own. So the slice becomes a gather, {bytes} for "
    "the batch.",
    "If all examples can read at one place, pass it with None in in_axes: the batch takes one "
    "slice. If they cannot, leave it: one gather serves the whole batch.",
)
BECOMES_SCATTER = Rule(
    "VG302",
    "update becomes a scatter",
    "note",
    "`{code}` writes at a place of each example's own. So the update becomes a scatter, {bytes} "
    "for the batch.",
    "If all examples can write at one place, pass it with None in in_axes: the batch takes one "
    "update. If they cannot, and write much of the array, try a mask: jnp.where(is_there, new, x).",
)
TABLE_FOR_EACH = Rule(
    "VG303",
    "table for each example",
    "warning",
    "`{code}` has a gradient that is a table for each example, {bytes} in all. In each of them "
    "all but {changed:,} of {whole:,} numbers are zero.",
    "Look up first, and take the gradient with regard to the rows. If you want the sum over the "
    "examples, take the gradient of the sum: that is one table.",
)

RULES = (BECOMES_GATHER, BECOMES_SCATTER, TABLE_FOR_EACH)

# -- Rules that say it in other words --

# Examples that leave a loop by themselves have a counter each, and count alike.
_SAME_TRIPS = (
    "Let all examples make the same trips, up to a fixed bound or to what jax.lax.pmax finds, and "
    "keep what an example has that is done: "
)
_READS_AT_COUNTER = dataclasses.replace(
    BECOMES_GATHER,
    sentence="`{code}` reads at a counter. Examples count alike, but each leaves the loop by "
    "itself, and so has a counter of its own: the slice becomes a gather, {bytes} a trip.",
    remedy=f"{_SAME_TRIPS}jnp.where(is_on, new, old).",
)
_WRITES_IN_LOOP = dataclasses.replace(
    BECOMES_SCATTER,
    severity="warning",
    sentence="`{code}` changes {changed:,} of {whole:,} numbers in each trip of a loop that "
    "examples leave one by one. So each trip also picks between the whole old and new array for "
    "every example, {bytes}.",
    remedy=f"{_SAME_TRIPS}x.at[i].set(jnp.where(is_on, new, x[i])).",
)


def find(subject: Subject) -> Iterator[Finding]:
    """Yield what is read and written at places that are not the same for all examples."""
    if subject.size <= 1:
        return
    # Of what a library does in its loop, its user can change nothing: another rule names the loop.
    loops = [*_loops(subject)]
    counted = {place for loop in loops for place in loop.counted()}
    writes = [w for loop in loops for w in loop.writes() if _is_much(subject, w)]
    writes = [w for w in writes if not subject.is_of_library(subject.step_of[id(w.equation)])]
    yield from (_in_loop(subject, write) for write in writes)
    said = {id(write.equation) for write in writes}
    tables: set[object] = set()
    for step in subject.steps:
        eqn = step.equation
        if primitives.traits(eqn.primitive.name).reads_part:
            if _is_shared_table(subject, step):
                tables.add(_table(step, eqn.invars[0]))
            yield from _read(subject, step, is_counted=id(eqn) in counted)
        elif _places(eqn):
            if _table(step, eqn.invars[0]) in tables:
                yield from _table_for_each(subject, step)
            if id(eqn) not in said:
                yield from _write(subject, step)


# -- One place for each example ----------------------------------------------


def _read(subject: Subject, step: Step, *, is_counted: bool) -> Iterator[Finding]:
    """Yield whether a slice reads at a place of each example's own.

    A table that all examples share is meant to be looked up in, other than at a counter.
    """
    if step.equation.primitive.name != "dynamic_slice":
        return  # It was a gather before.
    read = sum(
        in_bytes(eqn.outvars[0])
        for eqn in step.batched
        if eqn.primitive.name == "gather"
        and subject.is_mapped(eqn.invars[1])
        and (is_counted or _is_own(subject, eqn.invars[0]))
    )
    if read and read >= _least(subject, step):
        rule = _READS_AT_COUNTER if is_counted else BECOMES_GATHER
        yield subject.found(rule, step, bytes_=read)


def _write(subject: Subject, step: Step) -> Iterator[Finding]:
    """Yield whether an update writes at a place of each example's own."""
    if _places(step.equation) != 1:
        return  # It was a scatter before, of several places.
    written = sum(in_bytes(eqn.invars[2]) for eqn in _scatters(subject, step))
    if written and written >= _least(subject, step):
        yield subject.found(BECOMES_SCATTER, step, bytes_=written)


def _least(subject: Subject, step: Step) -> float:
    """Return from how many bytes on it is worth a line. A library's lines are not the user's."""
    return subject.limits.bytes * (subject.limits.factor if subject.is_of_library(step) else 1)


def _scatters(subject: Subject, step: Step) -> Iterator[jec.JaxprEqn]:
    """Yield the scatters that write at a place of each example's own.

    An array that all examples share is copied for each, which is another matter.
    """
    for eqn in step.batched:
        if not eqn.primitive.name.startswith("scatter"):
            continue
        array, places = eqn.invars[:2]
        if subject.is_mapped(places) and _is_own(subject, array):
            yield eqn


def _places(eqn: jec.JaxprEqn) -> int:
    """Return at how many places an equation writes."""
    name = eqn.primitive.name
    if name == "dynamic_update_slice":
        return 1
    if not name.startswith("scatter"):
        return 0
    return math.prod(eqn.invars[1].aval.shape[:-1])  # type: ignore[attr-defined]


def _is_own(subject: Subject, atom: Any) -> bool:
    """Say whether there is one of a value for each example, and not for the sake of others."""
    maker = None if isinstance(atom, jec.Literal) else subject.makers.get(atom)
    return subject.is_mapped(atom) and (maker is None or not subject.is_copy(maker))


# -- Tables that all examples share -------------------------------------------


def _is_shared_table(subject: Subject, step: Step) -> bool:
    """Say whether each example looks something up in what all of them share."""
    return any(
        eqn.primitive.name == "gather"
        and not subject.is_mapped(eqn.invars[0])
        and subject.is_mapped(eqn.invars[1])
        for eqn in step.batched
    )


def _table(step: Step, atom: Any) -> object:
    """Return what a look-up in a table and its gradient have in common: their line and a type."""
    source = step.source
    return source and (source.file, source.line), atom.aval.shape, atom.aval.dtype


def _table_for_each(subject: Subject, step: Step) -> Iterator[Finding]:
    """Yield whether a gradient writes few numbers into a table of zeros, for each example."""
    for eqn in step.batched:
        if not eqn.primitive.name.startswith("scatter") or not _is_zero(subject, eqn.invars[0]):
            continue
        made, whole = in_bytes(eqn.outvars[0]), size(step.equation.outvars[0])
        written = primitives.traits(step.equation.primitive.name).written
        changed = size(step.equation.invars[written or 0])
        is_part = whole >= subject.limits.factor * changed
        if is_part and subject.is_mapped(eqn.outvars[0]) and made >= subject.limits.bytes:
            yield subject.found(TABLE_FOR_EACH, step, bytes_=made, changed=changed, whole=whole)
            return


def _is_zero(subject: Subject, atom: Any) -> bool:
    """Say whether all numbers of a value are a zero that is written into the program."""
    while not isinstance(atom, jec.Literal):
        maker = subject.makers.get(atom)
        if maker is None or maker.primitive.name != "broadcast_in_dim":
            return False
        atom = maker.invars[0]
    return not atom.val


# -- Loops that each example leaves by itself ---------------------------------


class _Write(NamedTuple):
    """A change of an array that a loop carries: the equation that is to blame for it."""

    equation: jec.JaxprEqn
    array: Any
    changed: int


def _loops(subject: Subject) -> Iterator[_Loop]:
    for step in subject.steps:
        if step.kind == "slowest example" and (loop := _Loop.of(subject, step)):
            yield loop


class _Loop:
    """The body of a `while` that each example leaves by itself."""

    def __init__(self, body: jec.Jaxpr, consts: int, own: list[bool]) -> None:
        self.body = body
        self.consts = consts
        self.own = own  # For each argument of the body: whether examples start with other ones.

    @staticmethod
    def of(subject: Subject, step: Step) -> _Loop | None:
        """Return the loop of a step; None if the examples leave it together."""
        for eqn in step.batched:
            if eqn.primitive.name != "while":
                continue
            (predicate,) = inner_jaxpr(eqn, "cond_jaxpr").outvars
            operands = eqn.invars[eqn.params["cond_nconsts"] :]
            body = inner_jaxpr(step.equation, "body_jaxpr")
            if subject.is_mapped(predicate) and len(operands) == len(body.invars):
                own = [_is_own(subject, atom) for atom in operands]
                return _Loop(body, step.equation.params["body_nconsts"], own)
        return None

    def counted(self) -> set[int]:
        """Return the `id` of slices at places that are alike for all examples that go on."""
        slices = [e for e in self.body.eqns if e.primitive.name == "dynamic_slice"]
        if not slices:
            return set()
        differs = differing(self.body, self.consts, self.own)
        return {
            id(eqn) for eqn in slices if not any(is_in(differs, atom) for atom in eqn.invars[1:])
        }

    def writes(self) -> Iterator[_Write]:
        """Yield the arrays of the carry that a trip changes in part."""
        updates = Updates(self.body)
        for place, result in enumerate(self.body.outvars, self.consts):
            update = updates.of(result)
            if update is not None and update.last is not None and update.argument == place:
                yield _Write(update.last, self.body.invars[place], update.changed)


def _is_much(subject: Subject, write: _Write) -> bool:
    """Say whether a trip copies much more than it changes."""
    is_part = size(write.array) >= subject.limits.factor * write.changed
    return is_part and subject.size * in_bytes(write.array) >= subject.limits.bytes


def _in_loop(subject: Subject, write: _Write) -> Finding:
    step = subject.step_of[id(write.equation)]
    copied, whole = subject.size * in_bytes(write.array), size(write.array)
    return subject.found(_WRITES_IN_LOOP, step, bytes_=copied, changed=write.changed, whole=whole)
