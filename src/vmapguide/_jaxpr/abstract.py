"""Types in the place of tracers, which must not outlive the transformation that made them."""

from __future__ import annotations

from typing import Any

import jax


def abstract(leaf: Any) -> Any:
    """Return the type of a value that is traced, and all others as they are."""
    return typed(leaf) if isinstance(leaf, jax.core.Tracer) else leaf


def typed(array: Any) -> jax.ShapeDtypeStruct:
    """Return the type of an array."""
    aval = jax.typeof(array)
    return jax.ShapeDtypeStruct(aval.shape, aval.dtype, weak_type=getattr(aval, "weak_type", False))
