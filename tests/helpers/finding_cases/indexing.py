"""Cases of the rules about reading and writing at places of each example's own."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

import vmapguide
from finding_cases import Case


X = jax.ShapeDtypeStruct((256, 4096), jnp.float32)
TABLE = jax.ShapeDtypeStruct((4096,), jnp.float32)
STARTS = jax.ShapeDtypeStruct((256,), jnp.int32)
START = jax.ShapeDtypeStruct((), jnp.int32)


def crop(x: jax.Array, start: jax.Array) -> Any:
    """Read a window."""
    return lax.dynamic_slice(x, (start,), (1024,))


def blank(x: jax.Array, start: jax.Array) -> Any:
    """Write a window."""
    return lax.dynamic_update_slice(x, jnp.zeros(1024), (start,))


def loss(table: jax.Array, word: jax.Array) -> Any:
    """Look up a row."""
    return (table[word] ** 2).sum()


def loss_of_row(row: jax.Array) -> Any:
    """Do the same with a row that is looked up already."""
    return (row**2).sum()


def gradient_of_row(table: jax.Array, word: jax.Array) -> Any:
    """Take the gradient with regard to the row."""
    return jax.grad(loss_of_row)(table[word])


CASES = (
    Case(
        "VG301",
        firing=lambda: vmapguide.explain(crop)(X, STARTS),
        line="lax.dynamic_slice",
        twin=lambda: vmapguide.explain(crop, in_axes=(None, 0))(TABLE, STARTS),
        fix=lambda: vmapguide.explain(crop, in_axes=(0, None))(X, START),
    ),
    Case(
        "VG302",
        firing=lambda: vmapguide.explain(blank)(X, STARTS),
        line="lax.dynamic_update_slice",
        twin=lambda: vmapguide.explain(lambda x, i: x.at[i].set(0))(X, STARTS),
        fix=lambda: vmapguide.explain(blank, in_axes=(0, None))(X, START),
    ),
    Case(
        "VG303",
        firing=lambda: vmapguide.explain(jax.grad(loss), in_axes=(None, 0))(TABLE, STARTS),
        line="table[word]",
        twin=lambda: vmapguide.explain(jax.grad(loss))(X, STARTS),
        fix=lambda: vmapguide.explain(gradient_of_row, in_axes=(None, 0))(TABLE, STARTS),
    ),
)
