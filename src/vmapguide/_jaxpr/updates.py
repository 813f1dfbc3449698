"""Find the results of a program that are an argument with part of it changed: `Updates`."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax.extend.core as jec

from vmapguide._jaxpr import primitives
from vmapguide._jaxpr.walk import nested


class Update(NamedTuple):
    """What a result is: an argument, by its number, of which so many numbers were changed.

    `last` is the equation that changed it last; None if it is the argument as it was.
    """

    argument: int
    changed: int
    last: jec.JaxprEqn | None = None


class Updates:
    """Says of the results of a jaxpr which arguments they are, changed or not."""

    def __init__(self, jaxpr: jec.Jaxpr) -> None:
        """Look at a jaxpr."""
        self.jaxpr = jaxpr
        self.makers = {var: eqn for eqn in jaxpr.eqns for var in eqn.outvars}
        self.numbers = {var: number for number, var in enumerate(jaxpr.invars)}
        self.called: dict[int, Updates] = {}

    def of(self, atom: Any) -> Update | None:
        """Return what a value in the jaxpr is; None if it is computed anew."""
        changed = 0
        last: jec.JaxprEqn | None = None
        while not isinstance(atom, jec.Literal) and (eqn := self.makers.get(atom)) is not None:
            traits = primitives.traits(eqn.primitive.name)
            if traits.written is not None:
                changed += math.prod(eqn.invars[traits.written].aval.shape)  # type: ignore[attr-defined]
                last, atom = last or eqn, eqn.invars[0]
                continue
            if not traits.body or len(held := nested(eqn)) != 1:
                return None
            if id(held[0]) not in self.called:
                self.called[id(held[0])] = Updates(held[0])
            inner = self.called[id(held[0])].of(held[0].outvars[eqn.outvars.index(atom)])
            if inner is None:
                return None
            changed += inner.changed
            last, atom = last or inner.last, eqn.invars[inner.argument]
        if isinstance(atom, jec.Literal) or atom not in self.numbers:
            return None
        return Update(self.numbers[atom], changed, last)
