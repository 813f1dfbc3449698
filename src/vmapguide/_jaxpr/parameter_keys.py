"""Keys of the parameters of equations, in one spelling.

`ParameterKeys.of` returns for an equation the names of its parameters, each with a key. Two
parameters have equal keys if they say the same: NumPy's numbers are as good as Python's, an axis -1
as good as the last one, and functions are compared as `object_keys` tells. Parameters that say
nothing about what is computed are left out.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Hashable
from typing import Any

import jax.extend.core as jec
import numpy as np

from vmapguide._jaxpr.compat import AnyJaxpr
from vmapguide._jaxpr.object_keys import ObjectKeys
from vmapguide._jaxpr.views import Params
from vmapguide._jaxpr.walk import nested, without_addresses


# These say nothing about what is computed, only about the type or place of the result.
_NEUTRAL = frozenset({"weak_type", "sharding", "out_sharding"})

# These count axes, from the front or from the back.
_AXES = frozenset({"axes", "axis", "dimension", "dimensions"})


class ParameterKeys:
    """Makes keys of parameters."""

    def __init__(self, of_jaxpr: Callable[[AnyJaxpr], Hashable]) -> None:
        """Take what makes keys of jaxprs."""
        self._of_jaxpr = of_jaxpr
        self.objects = ObjectKeys(self._plain)

    def of(self, eqn: jec.JaxprEqn) -> Params:
        """Return the keys of an equation's parameters, each with its name."""
        rank = len(getattr(eqn.invars[0].aval, "shape", ())) if eqn.invars else 0
        # Beside a jaxpr, a function is what the jaxpr was traced from, or the rule of another
        # transformation: its text will do. Elsewhere it is what the equation calls.
        key_of = self._plain if nested(eqn) else self.objects.of
        return tuple(
            (name, key_of(_from_the_front(value, rank) if name in _AXES else value))
            for name, value in sorted(eqn.params.items())
            if name not in _NEUTRAL
        )

    def _plain(self, value: Any) -> Hashable:  # noqa: PLR0911 - one case for each kind of value.
        """Return the key of a parameter, functions and unknown objects as text."""
        match value:
            case jec.Jaxpr() | jec.ClosedJaxpr():
                return self._of_jaxpr(value)
            case np.generic():
                return self._plain(value.item())
            case tuple() | list():
                return tuple(map(self._plain, value))
            case dict():
                return tuple((k, self._plain(v)) for k, v in sorted(value.items()))
            case float():
                return "float", repr(value)  # 0.0 is not -0.0.
            case enum.Enum() | bool() | int() | str() | None:
                return type(value).__name__, value
            case np.ndarray():
                return self.objects.of_array(value)
        return without_addresses(value)


def _from_the_front(value: Any, rank: int) -> Any:
    """Return axes counted from the front."""
    if isinstance(value, (tuple, list)):
        return tuple(_from_the_front(axis, rank) for axis in value)
    return int(value) % rank if isinstance(value, (int, np.integer)) and rank else value
