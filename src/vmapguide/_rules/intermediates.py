"""Find the large values that the batch has in memory on the way from arguments to results.

Start with `large_intermediates`. A value is in memory if what makes it or what reads it is computed
apart by XLA. What is made from a large value and is no larger is that one's consequence, and so is
what is made from a copy of what all examples share: other rules speak of these.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax.extend.core as jec

from vmapguide._jaxpr import primitives
from vmapguide._jaxpr.compat import opened
from vmapguide._jaxpr.walk import walk
from vmapguide._rules.flow import entering, is_apart, leaving, of_last_trip
from vmapguide._rules.subject import Subject, in_bytes, size
from vmapguide._trace.steps import Step


class Intermediate(NamedTuple):
    """A large value: the step that makes it, and how large it is."""

    step: Step
    bytes: int
    factor: float


def large_intermediates(subject: Subject) -> Iterator[Intermediate]:
    """Yield the largest value of each line that is in memory and exceeds both limits."""
    # Taken in chunks, the batch needs less by as many times as there are chunks.
    if subject.size < subject.limits.factor:
        return
    largest: dict[object, Intermediate] = {}
    for found in _Search(subject).visit(opened(subject.batched)):
        source = found.step.source
        line = (source.file, source.line) if source else None
        if line not in largest or found.bytes > largest[line].bytes:
            largest[line] = found
    yield from largest.values()


def _held(subject: Subject) -> set[Any]:
    """Return the variables that something reads or makes apart from what is around it."""
    held: set[Any] = set()
    for jaxpr in reversed([*walk(subject.batched)]):
        for eqn in jaxpr.eqns:
            if is_apart(eqn):
                held.update(eqn.outvars, _variables(eqn.invars))
            for inner, operands in entering(eqn):
                pairs = zip(inner.invars, operands, strict=True)
                held.update(_variables(atom for var, atom in pairs if var in held))
    return held


class _Search:
    """One pass through the batched program, in its order."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        jaxpr = opened(subject.batched)
        self.given = sum(map(in_bytes, (*jaxpr.constvars, *jaxpr.invars, *jaxpr.outvars)))
        self.floor = max(subject.limits.bytes, subject.limits.factor * self.given)
        self.held = _held(subject)
        self.told: dict[Any, int] = {}  # The size of the large value that a value is made from.
        self.copies: set[Any] = set()  # Of these, the copies, and what is made from them.
        self.seen: set[int] = set()

    def visit(self, jaxpr: jec.Jaxpr) -> Iterator[Intermediate]:
        """Yield the large values of a jaxpr that are no other's consequence."""
        if id(jaxpr) in self.seen:
            return
        self.seen.add(id(jaxpr))
        for eqn in jaxpr.eqns:
            for inner, operands in entering(eqn, loosely=True):
                for var, atom in zip(inner.invars, operands, strict=True):
                    self.note(var, self.told_of(atom), is_copy=self.is_copy(atom))
                yield from self.visit(inner)
            yield from self.results(eqn)

    def results(self, eqn: jec.JaxprEqn) -> Iterator[Intermediate]:
        """Yield the large values among the results of an equation."""
        before = max(map(self.told_of, eqn.invars), default=0)
        of_copies = any(map(self.is_copy, eqn.invars))
        inside = leaving(eqn) or of_last_trip(eqn) or (None,) * len(eqn.outvars)
        for var, atom in zip(eqn.outvars, inside, strict=True):
            told = max(before, self.told_of(atom))
            # A loop may stack any number of copies, and what is joined to one may be small.
            is_stack = self.is_copy(atom) or self.is_joined_to_copies(eqn)
            if told >= size(var) or is_stack:
                self.note(var, max(told, size(var)), is_copy=of_copies or is_stack)
            elif in_bytes(var) >= self.floor and self.subject.is_mapped(var):
                yield from self.large(eqn, var)

    def is_joined_to_copies(self, eqn: jec.JaxprEqn) -> bool:
        """Say whether most of a result is copies that were put side by side with something."""
        traits = primitives.traits(eqn.primitive.name)
        if not traits.joins or traits.stands_alone:
            return False
        copies = sum(size(atom) for atom in eqn.invars if self.is_copy(atom))
        return 2 * copies >= size(eqn.outvars[0])

    def large(self, eqn: jec.JaxprEqn, var: Any) -> Iterator[Intermediate]:
        """Yield a large value if it is in memory, and not a copy that other rules speak of."""
        step = self.subject.step_behind.get(id(eqn))
        is_loops = step is not None and step.equation.primitive.name in _LOOPS
        if self.subject.is_copy(eqn):
            if is_loops or not all(map(self.subject.is_filled, eqn.invars)):
                self.note(var, size(var), is_copy=True)
        elif var in self.held and step is not None and step.kind != "unknown":
            self.note(var, size(var), is_copy=False)
            yield Intermediate(step, in_bytes(var), in_bytes(var) / max(self.given, 1))

    def note(self, var: Any, told: int, *, is_copy: bool) -> None:
        """Note that a value is made from a large one of some size, which is a copy or not."""
        if told:
            self.told[var] = told
            if is_copy:
                self.copies.add(var)

    def is_copy(self, atom: Any) -> bool:
        """Say whether a value is known to be a copy, or to be made from one."""
        return atom is not None and not isinstance(atom, jec.Literal) and atom in self.copies

    def told_of(self, atom: Any) -> int:
        """Return the size of the large value that a value is made from; 0 if there is none."""
        return 0 if atom is None or isinstance(atom, jec.Literal) else self.told.get(atom, 0)


_LOOPS = primitives.with_role("loop")


def _variables(atoms: Any) -> Iterator[Any]:
    return (atom for atom in atoms if atom is not None and not isinstance(atom, jec.Literal))
