"""Find the copies that the batch has of what all examples share, and what reads them.

Start with `uses_of_copies`. A copy is followed through what moves axes, through a pick between
copies, and into calls and branches, up to an operation that XLA computes apart: there it is in
memory. What is only read by operations that XLA fuses takes none, and is not a use.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax.extend.core as jec

from vmapguide._jaxpr import primitives
from vmapguide._jaxpr.compat import opened
from vmapguide._rules.flow import entering, is_apart, leaving
from vmapguide._rules.subject import Subject, in_bytes, rank, size
from vmapguide._trace.steps import Step


@dataclass(frozen=True, eq=False)
class Copy:
    """A copy for each example of a value that all share.

    Attributes:
        equation: the batched equation that makes it.
        step: the step that it is part of.
        shared: the value.
    """

    equation: jec.JaxprEqn
    step: Step
    shared: Any

    @property
    def bytes(self) -> int:
        """How many bytes it takes, all examples together."""
        return in_bytes(self.equation.outvars[0])


@dataclass(frozen=True, eq=False)
class Use:
    """An operation that needs a copy in memory.

    Attributes:
        copy: the copy.
        equation: the batched equation that reads it.
        step: the step that this one is part of.
        operand: as which of its operands.
        is_part: whether the operand has more in it than the copy.
        limit: from how many times as much on a copy is large beside what changes in it.
    """

    copy: Copy
    equation: jec.JaxprEqn
    step: Step
    operand: int
    is_part: bool
    limit: float


def uses_of_copies(subject: Subject) -> list[Use]:
    """Return the operations that need copies of at least `limits.bytes` in memory."""
    if subject.size <= 1:
        return []
    return [*_Copies(subject).visit(opened(subject.batched))]


class _Copies:
    """One pass through the batched program, in its order."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.whole: dict[Any, Copy] = {}
        self.parts: dict[Any, Copy] = {}
        self.made: set[Any] = set()  # What is made of numbers in the program: XLA need not hold it.
        self.seen: set[int] = set()

    def visit(self, jaxpr: jec.Jaxpr) -> Iterator[Use]:
        """Yield the uses in a jaxpr, and note which of its values are copies."""
        if id(jaxpr) in self.seen:
            return
        self.seen.add(id(jaxpr))
        for eqn in jaxpr.eqns:
            for inner, operands in entering(eqn):
                self.note(zip(inner.invars, operands, strict=True))
                yield from self.visit(inner)
            if is_apart(eqn):
                yield from self.uses(eqn)
            self.results(eqn)

    def note(self, pairs: Any) -> None:
        """Note of values what is known of others, which they are."""
        for var, atom in pairs:
            if atom is None or isinstance(atom, jec.Literal):
                continue
            for known in (self.whole, self.parts):
                if atom in known:
                    known[var] = known[atom]
            if atom in self.made:
                self.made.add(var)

    def uses(self, eqn: jec.JaxprEqn) -> Iterator[Use]:
        """Yield the operands of an equation that are copies."""
        step = self.subject.step_behind.get(id(eqn))
        if step is None or step.kind == "unknown" or not (self.whole or self.parts):
            return
        limit = self.subject.limits.factor
        for place, atom in enumerate(eqn.invars):
            if isinstance(atom, jec.Literal):
                continue
            if (whole := self.whole.get(atom)) is not None:
                if is_apart(eqn, reads_copies=True):
                    yield Use(whole, eqn, step, place, is_part=False, limit=limit)
            elif (part := self.parts.get(atom)) is not None:
                yield Use(part, eqn, step, place, is_part=True, limit=limit)

    def results(self, eqn: jec.JaxprEqn) -> None:
        """Note whether results are copies."""
        if atoms := leaving(eqn):
            self.note(zip(eqn.outvars, atoms, strict=True))
            return
        name, result = eqn.primitive.name, eqn.outvars[0] if eqn.outvars else None
        if not self.subject.is_mapped(result):
            if self.is_made(eqn):
                self.made.update(eqn.outvars)
            return
        if self.subject.is_copy(eqn):
            self.copied(eqn)
        elif not (self.whole or self.parts):
            return
        elif name == "select_n":
            self.picked(eqn)
        elif (traits := primitives.traits(name)).joins and not traits.stands_alone:
            self.joined(eqn)
        else:
            self.changed(eqn)

    def is_made(self, eqn: jec.JaxprEqn) -> bool:
        """Say whether a shared value is made of numbers in the program, or of a single one."""
        if is_apart(eqn):
            return False
        if eqn.primitive.name == "broadcast_in_dim" and rank(eqn.invars[0]) == 0:
            return True
        return all(isinstance(atom, jec.Literal) or atom in self.made for atom in eqn.invars)

    def copied(self, eqn: jec.JaxprEqn) -> None:
        """Note a new copy, if it is a large one of what is in memory."""
        step = self.subject.step_behind.get(id(eqn))
        if step is None or step.kind == "unknown" or eqn.primitive.name != "broadcast_in_dim":
            return
        (shared,) = eqn.invars[:1]
        if isinstance(shared, jec.Literal) or shared in self.made:
            return
        # It may have other new axes, which the user has asked for.
        if in_bytes(eqn.outvars[0]) >= max(self.subject.limits.bytes, 2 * in_bytes(shared)):
            self.whole[eqn.outvars[0]] = Copy(eqn, step, shared)

    def picked(self, eqn: jec.JaxprEqn) -> None:
        """Note a pick between copies by one decision for the whole of each."""
        decision, *cases = eqn.invars
        copies = [None if isinstance(c, jec.Literal) else self.whole.get(c) for c in cases]
        if None in copies:
            return
        maker = self.subject.makers.get(decision) if not isinstance(decision, jec.Literal) else None
        if maker is not None and maker.primitive.name == "broadcast_in_dim":
            decision = maker.invars[0]
        if size(decision) * self.subject.limits.factor <= size(eqn.outvars[0]):
            self.whole[eqn.outvars[0]] = copies[0]  # type: ignore[assignment]

    def joined(self, eqn: jec.JaxprEqn) -> None:
        """Note what is mostly a copy, with other values beside it."""
        found = [(size(a), a) for a in eqn.invars if not isinstance(a, jec.Literal)]
        copies = [(n, self.whole[a]) for n, a in found if a in self.whole]
        if 2 * sum(n for n, _ in copies) >= size(eqn.outvars[0]) > 0:
            self.parts[eqn.outvars[0]] = max(copies, key=lambda pair: pair[0])[1]

    def changed(self, eqn: jec.JaxprEqn) -> None:
        """Note what is a copy still, moved or computed from copies, or what is partly one."""
        traits = primitives.traits(eqn.primitive.name)
        if not (traits.elementwise or traits.role == "layout"):
            return
        result = eqn.outvars[0]
        mapped = [atom for atom in eqn.invars if self.subject.is_mapped(atom)]
        copies = [copy for atom in mapped if (copy := self.whole.get(atom)) is not None]
        if len(copies) == len(mapped) and size(result) == size(mapped[0]):
            self.whole[result] = copies[0]
        elif len(mapped) == 1 and mapped[0] in self.parts:
            self.parts[result] = self.parts[mapped[0]]
