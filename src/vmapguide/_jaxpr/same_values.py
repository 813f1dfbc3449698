"""Whether constants, types and parameters of two traces of one program are the same.

Start with `Same`. Two programs may differ in the size of a batch: then types, constants and
parameters are also the same if they are so up to sizes that correspond, which the caller of
`trace_matching.match` decides.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vmapguide._jaxpr.walk import without_addresses


# Says whether a number of one jaxpr may stand where another stands in the other.
SameSize = Callable[[int, int], bool]

_NUMBER = re.compile(r"(?<![\w.])\d+(?![\w.])")


class Same:
    """Says of two things whether they are the same, each pair asked once.

    Attributes:
        size: for two programs that differ in sizes: which sizes correspond.
    """

    def __init__(self, size: SameSize | None = None) -> None:
        """Take which sizes correspond."""
        self.size = size
        self._constants: dict[tuple[int, int], bool] = {}
        self._types: dict[tuple[Any, Any], bool] = {}

    def constant(self, ours: Any, theirs: Any) -> bool:
        """Say whether two constants have the same values."""
        if ours is theirs:
            return True
        key = (id(ours), id(theirs))
        if key not in self._constants:
            self._constants[key] = _same_numbers(ours, theirs) or (
                self.size is not None and _same_sized(ours, theirs, self.size)
            )
        return self._constants[key]

    def type(self, ours: Any, theirs: Any) -> bool:
        """Say whether two types are the same, up to sizes that correspond."""
        if ours is theirs or ours == theirs:
            return True
        if self.size is None:
            return False
        key = (ours, theirs)
        if key not in self._types:
            self._types[key] = self._same_sized_type(ours, theirs)
        return self._types[key]

    def _same_sized_type(self, ours: Any, theirs: Any) -> bool:
        if getattr(ours, "weak_type", None) != getattr(theirs, "weak_type", None):
            return False
        return self.text(str(ours), str(theirs))

    def text(self, ours: str, theirs: str) -> bool:
        """Say whether two texts are the same, up to sizes that correspond."""
        if ours == theirs:
            return True
        if self.size is None:
            return False
        (a, numbers), (b, others) = map(_numbers_apart, (ours, theirs))
        return a == b and all(map(self.size, numbers, others))

    def numbers(self, ours: Any, theirs: Any) -> bool:
        """Say whether two parameters are numbers or tuples of numbers that correspond."""
        if type(ours) is int and type(theirs) is int:
            return ours == theirs or (self.size is not None and self.size(ours, theirs))
        if type(ours) is not tuple or type(theirs) is not tuple or len(ours) != len(theirs):
            return False
        return all(map(self.numbers, ours, theirs))

    def parameter(self, left: Any, right: Any) -> bool:
        """Compare two parameters. Functions made anew by every trace compare by their text."""
        if type(left) is not type(right):
            return False
        try:
            if bool(np.all(left == right)):
                return True
        except (TypeError, ValueError):
            pass  # Not comparable: compare the texts.
        return self.text(without_addresses(left), without_addresses(right))


def _same_numbers(ours: Any, theirs: Any) -> bool:
    """Compare two constants bit by bit; what is traced and what is no array is itself alone."""
    if any(isinstance(value, jax.core.Tracer) for value in (ours, theirs)):
        return False
    try:
        a, b = map(as_numpy, (ours, theirs))
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    except (TypeError, ValueError):
        return str(ours) == str(theirs)


def _same_sized(ours: Any, theirs: Any, same_size: SameSize) -> bool:
    """Say whether two constants are sizes that correspond, or one repeated as often as a size."""
    if any(isinstance(value, jax.core.Tracer) for value in (ours, theirs)):
        return False
    try:
        a, b = map(as_numpy, (ours, theirs))
        if a.ndim == 0 or a.ndim != b.ndim:
            one, other = float(a), float(b)
            return one.is_integer() and other.is_integer() and same_size(int(one), int(other))
    except (TypeError, ValueError):
        return False
    for axis in range(a.ndim):
        if a.shape[axis] != b.shape[axis]:
            if not (a.shape[axis] and b.shape[axis]):
                return same_size(a.shape[axis], b.shape[axis])
            a, b = (_once(array, axis) for array in (a, b))
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def _once(array: np.ndarray[Any, Any], axis: int) -> np.ndarray[Any, Any]:
    """Return what is repeated along an axis; if nothing is, the array itself."""
    first = array.take([0], axis)
    return first if (array == first).all() else array


def as_numpy(value: Any) -> np.ndarray[Any, Any]:
    """Return the numbers of an array, or the words of keys, as an array of NumPy's."""
    if hasattr(value, "dtype") and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        value = jax.random.key_data(value)
    return np.asarray(value)


def _numbers_apart(text: str) -> tuple[str, list[int]]:
    """Return a text without its whole numbers, and these."""
    return _NUMBER.sub("#", text), [int(number) for number in _NUMBER.findall(text)]
