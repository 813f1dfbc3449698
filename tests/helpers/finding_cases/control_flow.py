"""Cases of the rules about branches and loops."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

import vmapguide
from finding_cases import Case


X = jnp.array([[1.0, -2.0, 3.0], [0.5, 0.5, -4.0]])


def picks_a_branch(x: jax.Array, p: jax.Array) -> Any:
    """Take one of two branches."""
    return lax.cond(p, jnp.sin, lambda x: x @ x * x, x)


def picks_a_value(x: jax.Array, p: jax.Array) -> Any:
    """Take one of two values, which costs nothing more in a batch."""
    return lax.cond(p, lambda x, _: x, lambda _, y: y, x, 2 * x)


P = X[:, 0] > 0

CASES = (
    Case(
        "VG101",
        firing=lambda: vmapguide.explain(picks_a_branch)(X, P),
        line="lax.cond(p, jnp.sin",
        twin=lambda: vmapguide.explain(picks_a_value)(X, P),
        fix=lambda: vmapguide.explain(picks_a_branch, in_axes=(0, None))(X, P[0]),
    ),
)
