"""Parse a type that was printed, `f32[3,5]`, into what to pass for it. `_data.Type` prints them.

`dtype_named` returns the dtype of a name, and `type_hint` what to pass in the place of such a text.
"""

from __future__ import annotations

import re
from typing import Any

import jax
import jax.numpy as jnp


_SHORT = {"f": "float", "i": "int", "u": "uint", "c": "complex", "bf": "bfloat"}


def dtype_named(name: str) -> Any:
    """Return the dtype that a name stands for: `f32`, `float32`, `key`.

    Raises:
        ValueError: if it stands for none.
    """
    if name == "key":
        return jax.random.key(0).dtype
    short = re.fullmatch(r"([a-z]+)(\d+)", name.lower())
    letters, digits = short.groups() if short else (name.lower(), "")
    try:
        return jnp.dtype(f"{_SHORT.get(letters, letters)}{digits}")
    except TypeError:
        raise ValueError(f"{name} is not a dtype") from None


def type_hint(leaf: Any, *, values: bool) -> str | None:
    """Say what to pass in place of a string that names a type; None if it does not name one.

    Args:
        leaf: what was passed.
        values: whether it has to have values, since the function is run with it.
    """
    named = re.fullmatch(r"\s*(\w+)\[([\d,\s]*)\]\s*", leaf) if isinstance(leaf, str) else None
    if named is None:
        return None
    shape = tuple(int(size) for size in named[2].replace(",", " ").split())
    if named[1] == "key":
        count = f", {shape[0] if len(shape) == 1 else shape}"
        return f"jax.random.split(jax.random.key(0){count})" if shape else "jax.random.key(0)"
    try:
        dtype = dtype_named(named[1])
    except ValueError:
        return None
    made = "jnp.zeros" if values else "jax.ShapeDtypeStruct"
    return f"{made}({shape}, {str(dtype)!r})"
