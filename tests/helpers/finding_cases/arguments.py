"""Cases of the rules about arguments."""

from typing import Any

import jax
import jax.numpy as jnp

import vmapguide
from finding_cases import Case
from finding_cases.memory import of


def layer(W: jax.Array, x: jax.Array) -> Any:
    """Multiply by weights."""
    return jnp.tanh(W @ x)


def scale(x: jax.Array, by: jax.Array) -> Any:
    """Let the numbers of an array add up to another one."""
    return x / x.sum() * by


def reads(table: jax.Array, places: jax.Array) -> Any:
    """Read from an array at some places."""
    return table[places]


def reads_rows(table: jax.Array, places: jax.Array) -> Any:
    """Read from an array without that it is moved first."""
    return jnp.tanh(table) + places.sum()


TABLE = of(1000, 500)
PLACES = of(500, 200, dtype=jnp.int32)

CASES = (
    Case(
        "VG601",
        firing=lambda: vmapguide.explain(layer)(of(5, 5), of(5, 5)),
        line="jnp.tanh(W @ x)",
        twin=lambda: vmapguide.explain(layer)(of(5, 3, 4), of(5, 4)),
        fix=lambda: vmapguide.explain(layer, in_axes=(None, 0))(of(5, 5), of(5, 5)),
    ),
    Case(
        "VG602",
        firing=lambda: vmapguide.explain(scale, in_axes=(1, None))(of(5, 5), of()),
        line="x / x.sum() * by",
        twin=lambda: vmapguide.explain(scale, in_axes=(0, None))(of(5, 5), of()),
        fix=lambda: vmapguide.explain(scale, in_axes=(1, None))(of(3, 5), of()),
    ),
    Case(
        "VG603",
        firing=lambda: vmapguide.explain(reads, in_axes=(1, 0), out_axes=1)(TABLE, PLACES),
        line="return table[places]",
        twin=lambda: vmapguide.explain(reads, in_axes=(1, 0))(TABLE, PLACES),
        fix=lambda: vmapguide.explain(reads)(of(500, 1000), PLACES),
    ),
)
