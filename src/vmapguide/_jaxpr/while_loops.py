"""What can be read off a `while`: whether it is sure to end, and what of its carry examples share.

Start with `is_sure_to_end` and `alike`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax.extend.core as jec
import jax.numpy as jnp

from vmapguide._jaxpr import primitives
from vmapguide._jaxpr.compat import AnyJaxpr, opened
from vmapguide._jaxpr.walk import inlined, nested


# What reads or writes at a place that may be an operand.
READ_OR_WRITE = frozenset(
    name for name, row in primitives.PRIMITIVES.items() if row.reads_part or row.written is not None
)


def is_sure_to_end(eqn: jec.JaxprEqn) -> bool:
    """Say whether a `while` ends, or does not begin, whatever its carry starts with.

    It does if its condition asks, besides whatever else, whether a counter is on this side of a
    bound, or for a flag that no trip changes.
    """
    loop = _While(eqn)
    return any(loop.is_flag(part) or loop.is_count(part) for part in loop.conjuncts())


@dataclass(frozen=True)
class Alike:
    """What of the carry of a `while` examples do not change, each in its own way.

    Attributes:
        places: which values of the carry are such.
        is_index: whether the body reads or writes at a place that is made of these alone.
    """

    places: frozenset[int]
    is_index: bool


def alike(eqn: jec.JaxprEqn, mapped: Sequence[bool]) -> Alike:
    """Find what of the carry of a `while` would be one for all if all made the same trips.

    Args:
        eqn: the `while` of one example.
        mapped: of which of its operands there is one for each example to begin with.
    """
    body = _without_calls(eqn.params["body_jaxpr"])
    tests, consts = eqn.params["cond_nconsts"], eqn.params["body_nconsts"]
    differs = differing(body, consts, mapped[tests:])
    carry = body.invars[consts:]
    places = frozenset(k for k, var in enumerate(carry) if var not in differs)
    made: set[Any] = {carry[k] for k in places}
    is_index = False
    for inner in body.eqns:
        is_index |= any(is_in(made, v) and not is_in(differs, v) for v in _indices(inner))
        if any(is_in(made, atom) for atom in inner.invars):
            made.update(inner.outvars)
    return Alike(places, is_index)


def differing(body: jec.Jaxpr, consts: int, mapped: Sequence[bool]) -> set[Any]:
    """Return the values of a loop's body that are not one for all examples in a trip that all make.

    Args:
        body: the body.
        consts: how many of its arguments come before the carry.
        mapped: of which of its arguments there is one for each example to begin with.
    """
    fixed, own = list(mapped[:consts]), list(mapped[consts:])
    while True:
        differs: set[Any] = {v for v, m in zip(body.invars, fixed + own, strict=True) if m}
        for eqn in body.eqns:
            if eqn.effects or any(is_in(differs, atom) for atom in eqn.invars):
                differs.update(eqn.outvars)
        after = [m or is_in(differs, v) for m, v in zip(own, body.outvars, strict=True)]
        if after == own:
            return differs
        own = after


class _While:
    """The condition and the body of a `while`."""

    def __init__(self, eqn: jec.JaxprEqn) -> None:
        self.test = _without_calls(eqn.params["cond_jaxpr"])
        self.body = opened(eqn.params["body_jaxpr"])
        self.makers = {v: inner for inner in self.test.eqns for v in inner.outvars}
        tests = eqn.params["cond_nconsts"]
        self.place = {var: k for k, var in enumerate(self.test.invars[tests:])}
        self.starts = self.body.invars[eqn.params["body_nconsts"] :]
        # What is the same in every trip.
        self.stays: set[Any] = {*self.test.constvars, *self.test.invars[:tests]}
        for var, k in self.place.items():
            if self.body.outvars[k] is self.starts[k]:
                self.stays.add(var)
        for inner in self.test.eqns:
            if all(map(self.is_fixed, inner.invars)):
                self.stays.update(inner.outvars)

    def is_fixed(self, atom: Any) -> bool:
        """Say whether a value in the condition is the same in every trip."""
        return isinstance(atom, jec.Literal) or atom in self.stays

    def conjuncts(self) -> Iterator[Any]:
        """Yield the values that all have to be true for another trip."""
        pending = [*self.test.outvars]
        while pending:
            atom = self.source(pending.pop())
            maker = self.maker(atom)
            if maker is not None and maker.primitive.name == "and":
                pending += maker.invars
            else:
                yield atom

    def is_flag(self, atom: Any) -> bool:
        """Say whether a condition is a value from outside that no trip changes."""
        return not isinstance(atom, jec.Literal) and atom in self.stays

    def is_count(self, atom: Any) -> bool:
        """Say whether a condition is that a counter is on this side of a bound."""
        maker = self.maker(atom)
        smaller = None if maker is None else primitives.traits(maker.primitive.name).smaller
        if maker is None or smaller is None:
            return False
        low, high = maker.invars[smaller], maker.invars[1 - smaller]
        return (self.is_fixed(high) and self.is_counted(low, up=True)) or (
            self.is_fixed(low) and self.is_counted(high, up=False)
        )

    def is_counted(self, atom: Any, *, up: bool) -> bool:
        """Say whether each trip adds to a whole number, or subtracts from it."""
        place = self.place.get(self.source(atom))
        if place is None:
            return False
        aval: Any = self.starts[place].aval
        if not jnp.issubdtype(aval.dtype, jnp.integer):
            return False
        added = _added(self.body, self.body.outvars[place], self.starts[place])
        return added > 0 if up else added < 0

    def maker(self, atom: Any) -> jec.JaxprEqn | None:
        """Return the equation of the condition that makes a value."""
        return None if isinstance(atom, jec.Literal) else self.makers.get(atom)

    def source(self, atom: Any) -> Any:
        """Return a value as it was before it was given another type."""
        while (maker := self.maker(atom)) and maker.primitive.name == "convert_element_type":
            atom = maker.invars[0]
        return atom


def _added(jaxpr: jec.Jaxpr, result: Any, start: Any) -> int:
    """Return what a program adds to a value, if a result of it is that; else 0."""
    maker = next((eqn for eqn in jaxpr.eqns if result in eqn.outvars), None)
    if maker is None or not any(atom is start for atom in maker.invars):
        return 0
    name = maker.primitive.name
    if primitives.traits(name).body and len(held := nested(maker)) == 1:
        (inner,) = held
        place = next(k for k, atom in enumerate(maker.invars) if atom is start)
        return _added(inner, inner.outvars[maker.outvars.index(result)], inner.invars[place])
    if name not in ("add", "sub"):
        return 0
    first, second = maker.invars
    if name == "add" and second is start:
        first, second = second, first
    if first is not start or not isinstance(second, jec.Literal):
        return 0
    return int(second.val) if name == "add" else -int(second.val)


def _without_calls(jaxpr: AnyJaxpr) -> jec.Jaxpr:
    """Return a jaxpr with what functions compute that it calls in the place of the calls."""

    def body(eqn: jec.JaxprEqn) -> AnyJaxpr | None:
        name = primitives.traits(eqn.primitive.name).body
        return eqn.params[name] if name else None

    return opened(inlined(jaxpr, body))


def _indices(eqn: jec.JaxprEqn) -> Sequence[Any]:
    """Return the operands that say where an equation reads or writes; none if it does neither."""
    traits = primitives.traits(eqn.primitive.name)
    if not traits.reads_part and traits.written is None:
        return ()
    return [atom for k, atom in enumerate(eqn.invars) if k not in (0, traits.written)]


def is_in(values: set[Any], atom: Any) -> bool:
    """Say whether a value is one of several; a number written into the program is none."""
    return not isinstance(atom, jec.Literal) and atom in values
