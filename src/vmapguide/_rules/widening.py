"""Find arrays of narrow floats that a number makes wider, since it is an array in a batch.

Start with `widened`. Outside of a batch the number may be a Python number, which widens nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax.extend.core as jec
import jax.numpy as jnp

from vmapguide._jaxpr import primitives
from vmapguide._jaxpr.compat import opened
from vmapguide._rules.flow import entering
from vmapguide._rules.subject import Argument, Subject, in_bytes, rank
from vmapguide._trace.steps import Step


class Widened(NamedTuple):
    """An operation that a number makes wider.

    Attributes:
        step: the operation.
        argument: the number.
        of: the type that the array has.
        to: the type that it is computed in.
        bytes: how large it is then, all examples together.
    """

    step: Step
    argument: Argument
    of: str
    to: str
    bytes: int


def widened(subject: Subject) -> Iterator[Widened]:
    """Yield the operations on a widened array and a mapped number in one expression of the user's.

    A cast that the user wrote is an expression of its own. Of each line, it is the largest.
    """
    arguments = opened(subject.per_example).invars
    if len(arguments) != len(subject.arguments):
        return
    numbers = {
        var: argument
        for var, argument in zip(arguments, subject.arguments, strict=True)
        if argument.axis is not None and rank(var) == 0 and _is_wide(var)
    }
    largest: dict[object, Widened] = {}
    found = _Search(subject, numbers).visit(opened(subject.per_example)) if numbers else ()
    for one in found:
        source = one.step.source
        line = (source.file, source.line) if source else None
        if line not in largest or one.bytes > largest[line].bytes:
            largest[line] = one
    yield from largest.values()


def _is_wide(var: Any) -> bool:
    """Say whether a value is of floats that it insists on."""
    dtype = getattr(var.aval, "dtype", jnp.bool_)
    return jnp.issubdtype(dtype, jnp.floating) and not getattr(var.aval, "weak_type", False)


class _Search:
    """One pass through the per-example program, in its order."""

    def __init__(self, subject: Subject, numbers: dict[Any, Argument]) -> None:
        self.subject = subject
        self.numbers = numbers
        self.casts: dict[Any, jec.JaxprEqn] = {}
        self.seen: set[int] = set()

    def visit(self, jaxpr: jec.Jaxpr) -> Iterator[Widened]:
        """Yield what a jaxpr computes wider than its arrays are."""
        if id(jaxpr) in self.seen:
            return
        self.seen.add(id(jaxpr))
        for eqn in jaxpr.eqns:
            for inner, operands in entering(eqn):
                for var, atom in zip(inner.invars, operands, strict=True):
                    if (number := self.number(atom)) is not None:
                        self.numbers[var] = number
                yield from self.visit(inner)
            if _is_cast(eqn):
                self.casts[eqn.outvars[0]] = eqn
                continue
            traits = primitives.traits(eqn.primitive.name)
            if traits.elementwise:
                yield from self.operation(eqn)
            if traits.elementwise or traits.role == "layout":
                found = [*map(self.number, _variables(eqn))]
                if found and None not in found:
                    self.numbers[eqn.outvars[0]] = found[0]  # type: ignore[assignment]

    def number(self, atom: Any) -> Argument | None:
        """Return the argument that a value is made of, if it is a mapped number."""
        return None if atom is None or isinstance(atom, jec.Literal) else self.numbers.get(atom)

    def operation(self, eqn: jec.JaxprEqn) -> Iterator[Widened]:
        """Yield an operation if one operand was widened for it, and another is a mapped number."""
        variables = _variables(eqn)
        casts = [cast for var in variables if (cast := self.casts.get(var)) is not None]
        numbers = [n for var in variables if (n := self.number(var)) is not None]
        if len(casts) != 1 or not numbers:
            return
        (cast,) = casts
        step = self.subject.step_of[id(eqn)]
        cast_step = self.subject.step_of[id(cast)]
        wide = self.subject.size * in_bytes(cast.outvars[0])
        if step.source is None or step.source != cast_step.source:
            return
        if step.batched and cast_step.batched and wide >= self.subject.limits.bytes:
            of, to = (str(atom.aval.dtype) for atom in (cast.invars[0], cast.outvars[0]))  # type: ignore[attr-defined]
            yield Widened(step, numbers[0], of, to, wide)


def _variables(eqn: jec.JaxprEqn) -> list[Any]:
    return [atom for atom in eqn.invars if not isinstance(atom, jec.Literal)]


def _is_cast(eqn: jec.JaxprEqn) -> bool:
    """Say whether an equation makes an array of floats wider that insists on its type."""
    if eqn.primitive.name != "convert_element_type" or isinstance(eqn.invars[0], jec.Literal):
        return False
    narrow, wide = eqn.invars[0], eqn.outvars[0]
    return (
        rank(narrow) > 0
        and _is_wide(narrow)
        and _is_wide(wide)
        and in_bytes(wide) > in_bytes(narrow)
    )
