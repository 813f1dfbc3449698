"""Decide "same jaxpr" for `compare`, whatever the order of independent equations, by numbers.

Start with `Numbering.read`. It returns what is known of each equation of a jaxpr, and a key that
two jaxprs share if they are the same. Every result of an equation gets two numbers, and both are
found by looking up how it was made (value numbering; Alpern, Wegman and Zadeck, 1988):

- the *strict* number: the same primitive, with the same parameters, made it from values with the
  same strict numbers. So the values are the same, axis for axis;
- the number of the *base* that it is a view of, see `views`. Values with one base are the same but
  for the order of their axes, and for axes along which nothing changes.

For `x.T + 1` and `(x + 1).T`, of an `x` of type `f32[2,3]`:

    value             strict   base   axes
    x                      0      0   0, 1
    x.T                    2      0   1, 0      another value than x, a view of the same base
    1                      3      3
    x.T + 1                5      6   1, 0
    x + 1                  8      6   0, 1      axis 0 is again the one along axis 0 of x
    (x + 1).T             10      6   1, 0      not known to be x.T + 1: its strict number is new

The numbers between stand for the operations themselves. The two additions have one base, so they
are the same step of work with its axes in another order.

Nothing is guessed. What has no rule is the same only if it is the same to the letter.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax.extend.core as jec
import numpy as np

from vmapguide._jaxpr.compat import AnyJaxpr, constants, consts_of, opened
from vmapguide._jaxpr.parameter_keys import ParameterKeys
from vmapguide._jaxpr.views import Params, View, bag, computed, moved, whole


class Value(NamedTuple):
    """A value by its strict number, and as a view."""

    strict: int
    view: View


@dataclass(frozen=True)
class Numbered:
    """What is known of one equation.

    Attributes:
        eqn: the equation.
        made: the strict number of the operation itself.
        results: its results.
        is_layout: whether it makes no new value, only another view of one.
    """

    eqn: jec.JaxprEqn
    made: int
    results: tuple[Value, ...]
    is_layout: bool


class Numbering:
    """Numbers values; jaxprs that are to be compared share one."""

    def __init__(self) -> None:
        """Start with no numbers."""
        self._numbers: dict[Hashable, int] = {}
        self._keys = ParameterKeys(lambda jaxpr: self.number(self.read(jaxpr)[1]))

    def number(self, *key: Hashable) -> int:
        """Return the number of a key, a new one if the key is new."""
        return self._numbers.setdefault(key, len(self._numbers))

    def read(self, jaxpr: AnyJaxpr) -> tuple[list[Numbered], Hashable]:
        """Number a jaxpr.

        Returns:
            What is known of each equation, in order, and the jaxpr's own key. Two jaxprs are the
            same, up to names, the order of independent equations and the spelling of parameters,
            if their keys are equal.
        """
        inner = opened(jaxpr)
        values: dict[Any, Value] = {}
        for var, key in self._inputs(jaxpr):
            values[var] = _whole(self.number(*key, str(var.aval)), var.aval)
        # An equation with an effect is another operation each time: it is told from others by how
        # many there are, or if it has results, by all effects before it, on which these may depend.
        effects, past = 0, 0
        rows: list[Numbered] = []
        for eqn in inner.eqns:
            effects += bool(eqn.effects)
            turn = past if eqn.outvars else effects
            row = self._equation(eqn, values, turn if eqn.effects else None)
            if eqn.effects:
                past = self.number("past", past, row.made)
            values.update(zip(eqn.outvars, row.results, strict=True))
            rows.append(row)
        results = tuple(self._value(atom, values).strict for atom in inner.outvars)
        return rows, ("jaxpr", len(inner.invars), results, bag(row.made for row in rows))

    def _inputs(self, jaxpr: AnyJaxpr) -> Iterator[tuple[jec.Var, tuple[str, Hashable]]]:
        """Yield the arguments and constants of a jaxpr, each with what tells it from others."""
        inner = opened(jaxpr)
        # An open jaxpr does not say what its constants are: they are arguments then.
        arguments = inner.invars if consts_of(jaxpr) else (*inner.constvars, *inner.invars)
        for i, var in enumerate(arguments):
            yield var, ("argument", i)
        for var, value in constants(jaxpr):
            yield var, ("constant", self._keys.of_array(value))

    def _equation(self, eqn: jec.JaxprEqn, values: dict[Any, Value], turn: int | None) -> Numbered:
        params = self._keys.of(eqn)
        operands = [self._value(atom, values) for atom in eqn.invars]
        views = tuple(operand.view for operand in operands)
        inputs = tuple(operand.strict for operand in operands)
        made = self.number(eqn.primitive.name, params, inputs, turn)
        strict = [self.number("output", made, k) for k in range(len(eqn.outvars))]
        view = moved(eqn, views) if len(strict) == 1 and not eqn.effects else None
        seen = self._computed(eqn, params, views, turn) if view is None else [view]
        return Numbered(eqn, made, tuple(map(Value, strict, seen)), is_layout=view is not None)

    def _computed(
        self, eqn: jec.JaxprEqn, params: Params, operands: tuple[View, ...], turn: int | None
    ) -> Sequence[View]:
        """Return how the results of an operation are seen that makes new values."""
        result = computed(eqn, operands, params)
        if result is not None:
            return [result.as_view(self.number("view", result.key))]
        made = self.number("view", eqn.primitive.name, params, operands, turn)
        return [
            whole(self.number("output", made, k), var.aval) for k, var in enumerate(eqn.outvars)
        ]

    def _value(self, atom: Any, values: dict[Any, Value]) -> Value:
        if not isinstance(atom, jec.Literal):
            return values[atom]
        aval: Any = atom.aval
        dtype = str(getattr(aval, "dtype", None))
        return _whole(self.number("literal", dtype, str(np.asarray(atom.val))), aval)


def _whole(number: int, aval: Any) -> Value:
    return Value(number, whole(number, aval))
