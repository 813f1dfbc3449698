"""Cases of the rule about comments that leave nothing out."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

import vmapguide
from finding_cases import Case


X = jnp.array([[1.0, -2.0, 3.0], [0.5, 0.5, -4.0]])


def nothing_left_out(x: jax.Array) -> Any:
    """Say that a finding is to be left out where there is none."""
    return jnp.where(x > 0, jnp.sin(x), x)  # vmapguide: ignore[VG101]


def left_out(x: jax.Array) -> Any:
    """Say so where there is one."""
    return lax.cond(x[0] > 0, jnp.sin, jnp.cos, x)  # vmapguide: ignore[VG101]


def nothing_said(x: jax.Array) -> Any:
    """Say nothing."""
    return jnp.where(x > 0, jnp.sin(x), x)


CASES = (
    Case(
        "VG901",
        firing=lambda: vmapguide.explain(nothing_left_out)(X),
        line="# vmapguide: ignore[VG101]",
        twin=lambda: vmapguide.explain(left_out)(X),
        fix=lambda: vmapguide.explain(nothing_said)(X),
    ),
)
