"""Keys of the parameters of equations, in one spelling.

`ParameterKeys.of` returns for an equation the names of its parameters, each with a key. Two
parameters have equal keys if they say the same: NumPy's numbers are as good as Python's, an axis -1
as good as the last one, and arrays are compared by their values. Parameters that say nothing about
what is computed are left out.

Every trace may make objects anew, as it does a function that `jax.pure_callback` calls. Functions
are the same if they have the same bytecode and captured the same values, and an object of which no
more is known is the same as itself alone.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import hashlib
import types
from collections.abc import Callable, Hashable
from typing import Any

import jax
import jax.extend.core as jec
import numpy as np

from vmapguide._jaxpr.compat import AnyJaxpr
from vmapguide._jaxpr.same_values import as_numpy
from vmapguide._jaxpr.views import Params
from vmapguide._jaxpr.walk import nested, without_addresses


# These say nothing about what is computed, only about the type or place of the result.
_NEUTRAL = frozenset({"weak_type", "sharding", "out_sharding"})

# These count axes, from the front or from the back.
_AXES = frozenset({"axes", "axis", "dimension", "dimensions"})


def digest(value: Any) -> Hashable:
    """Return what tells an array from others: its type, and a hash of its values."""
    words = as_numpy(value)
    kind = str(getattr(value, "dtype", words.dtype))
    return kind, words.shape, hashlib.sha256(words.tobytes()).hexdigest()


class ParameterKeys:
    """Makes keys of parameters, and keeps the objects, so that the `id` of each stays its own."""

    def __init__(self, of_jaxpr: Callable[[AnyJaxpr], Hashable]) -> None:
        """Take what makes keys of jaxprs."""
        self._of_jaxpr = of_jaxpr
        self._kept: dict[int, Any] = {}
        self._digests: dict[int, Hashable] = {}
        self._open: set[int] = set()  # The functions whose keys are being made.

    def of(self, eqn: jec.JaxprEqn) -> Params:
        """Return the keys of an equation's parameters, each with its name."""
        rank = len(getattr(eqn.invars[0].aval, "shape", ())) if eqn.invars else 0
        # Beside a jaxpr, a function is what the jaxpr was traced from, or the rule of another
        # transformation: its text will do. Elsewhere it is what the equation calls.
        key_of = self._of_plain if nested(eqn) else self._of_object
        return tuple(
            (name, key_of(_from_the_front(value, rank) if name in _AXES else value))
            for name, value in sorted(eqn.params.items())
            if name not in _NEUTRAL
        )

    def of_array(self, value: Any) -> Hashable:
        """Return an array's digest, computed once."""
        if id(value) not in self._digests:
            self._digests[self._identity(value)] = digest(value)
        return self._digests[id(value)]

    def _of_plain(self, value: Any) -> Hashable:  # noqa: PLR0911 - one case for each kind of value.
        """Return the key of a parameter, functions and unknown objects as text."""
        match value:
            case jec.Jaxpr() | jec.ClosedJaxpr():
                return self._of_jaxpr(value)
            case np.generic():
                return self._of_plain(value.item())
            case tuple() | list():
                return tuple(map(self._of_plain, value))
            case dict():
                return tuple((k, self._of_plain(v)) for k, v in sorted(value.items()))
            case float():
                return "float", repr(value)  # 0.0 is not -0.0.
            case enum.Enum() | bool() | int() | str() | None:
                return type(value).__name__, value
            case np.ndarray():
                return self.of_array(value)
        return without_addresses(value)

    def _of_object(self, value: Any) -> Hashable:  # noqa: PLR0911 - as above.
        """Return the key of a parameter, functions and unknown objects by what is in them."""
        match value:
            case types.FunctionType():
                return self._of_function(value)
            case types.CodeType():
                return value.co_code, value.co_names, self._of_object(value.co_consts)
            case types.MethodType():
                return self._of_object(value.__func__), self._of_object(value.__self__)
            case functools.partial():
                return self._of_object((value.func, value.args, value.keywords))
            case tuple() | list():
                return tuple(map(self._of_object, value))
            case dict():
                return tuple((str(k), self._of_object(v)) for k, v in value.items())
            case jax.Array():
                return self.of_array(value)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = [getattr(value, field.name) for field in dataclasses.fields(value)]
            return type(value).__name__, self._of_object(fields)
        plain = self._of_plain(value)
        if isinstance(plain, str) and (" at 0x" in str(value) or _may_hold_more(value)):
            return plain, self._identity(value)
        return plain

    def _of_function(self, f: types.FunctionType) -> Hashable:
        if id(f) in self._open:
            return "itself"
        self._open.add(id(f))
        key = (
            self._identity(f.__globals__),
            self._of_object(f.__code__),
            self._of_object((f.__defaults__, f.__kwdefaults__)),
            tuple(map(self._of_cell, f.__closure__ or ())),
        )
        self._open.remove(id(f))
        return key

    def _of_cell(self, cell: types.CellType) -> Hashable:
        """Return the key of a variable that a function captured."""
        try:
            return self._of_object(cell.cell_contents)
        except ValueError:
            return None  # The variable is not assigned yet.

    def _identity(self, value: Any) -> int:
        self._kept[id(value)] = value
        return id(value)


def _may_hold_more(value: Any) -> bool:
    """Say whether an object is a user's, whose text need not say all that is in it."""
    library = type(value).__module__.partition(".")[0]
    return hasattr(value, "__dict__") and library not in {"builtins", "jax", "jaxlib", "numpy"}


def _from_the_front(value: Any, rank: int) -> Any:
    """Return axes counted from the front."""
    if isinstance(value, (tuple, list)):
        return tuple(_from_the_front(axis, rank) for axis in value)
    return int(value) % rank if isinstance(value, (int, np.integer)) and rank else value
