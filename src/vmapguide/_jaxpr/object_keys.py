"""Keys of Python objects: arrays by their values, functions by what they do.

`ObjectKeys.of` returns what two objects have in common that are the same, although every trace may
make them anew, as it does a function that `jax.pure_callback` calls. Functions are the same if they
have the same bytecode and captured the same values. An object of which no more is known is the same
as itself alone. `digest` is the key of an array.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import types
from collections.abc import Callable, Hashable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def digest(value: Any) -> Hashable:
    """Return what tells an array from others: its type, and a hash of its values."""
    if hasattr(value, "dtype") and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        kind, words = str(value.dtype), np.asarray(jax.random.key_data(value))
    else:
        words = np.asarray(value)
        kind = str(words.dtype)
    return kind, words.shape, hashlib.sha256(np.ascontiguousarray(words).tobytes()).hexdigest()


class ObjectKeys:
    """Makes keys of objects, and keeps the objects, so that the `id` of each stays its own."""

    def __init__(self, of_plain: Callable[[Any], Hashable]) -> None:
        """Take what makes keys of numbers, texts and the like, and texts of all else."""
        self._of_plain = of_plain
        self._kept: dict[int, Any] = {}
        self._digests: dict[int, Hashable] = {}
        self._open: set[int] = set()  # The functions whose keys are being made.

    def of_array(self, value: Any) -> Hashable:
        """Return an array's digest, computed once."""
        if id(value) not in self._digests:
            self._digests[self._identity(value)] = digest(value)
        return self._digests[id(value)]

    def of(self, value: Any) -> Hashable:  # noqa: PLR0911 - one case for each kind of object.
        """Return the key of an object."""
        match value:
            case types.FunctionType():
                return self._of_function(value)
            case types.CodeType():
                return value.co_code, value.co_names, self.of(value.co_consts)
            case types.MethodType():
                return self.of(value.__func__), self.of(value.__self__)
            case functools.partial():
                return self.of((value.func, value.args, value.keywords))
            case tuple() | list():
                return tuple(map(self.of, value))
            case dict():
                return tuple((str(k), self.of(v)) for k, v in value.items())
            case jax.Array():
                return self.of_array(value)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = [getattr(value, field.name) for field in dataclasses.fields(value)]
            return type(value).__name__, self.of(fields)
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
            self.of(f.__code__),
            self.of((f.__defaults__, f.__kwdefaults__)),
            tuple(map(self._of_cell, f.__closure__ or ())),
        )
        self._open.remove(id(f))
        return key

    def _of_cell(self, cell: types.CellType) -> Hashable:
        """Return the key of a variable that a function captured."""
        try:
            return self.of(cell.cell_contents)
        except ValueError:
            return None  # The variable is not assigned yet.

    def _identity(self, value: Any) -> int:
        self._kept[id(value)] = value
        return id(value)


def _may_hold_more(value: Any) -> bool:
    """Say whether an object is a user's, whose text need not say all that is in it."""
    library = type(value).__module__.partition(".")[0]
    return hasattr(value, "__dict__") and library not in {"builtins", "jax", "jaxlib", "numpy"}
