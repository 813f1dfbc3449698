"""The data set: example number `row` of step `step` is the same whoever makes it, and whenever.

So each process makes only its own rows, and a run that starts again in the middle sees what it
would have seen. A data set on a disk does as well, if its rows are read by number.
"""

import jax
import jax.numpy as jnp
import model
import numpy as np
from jax import Array


def example(key: Array, step: Array, row: Array) -> tuple[Array, Array]:
    """Return one example: x, f32[8], and y, f32[]."""
    key = jax.random.fold_in(jax.random.fold_in(key, step), row)
    x = jax.random.normal(key, (model.INPUTS,))
    return x, jnp.sin(x[0] + x[1])


@jax.jit
def examples(key: Array, step: Array, rows: Array) -> tuple[Array, Array]:
    """Return the examples with these numbers, on one device."""
    return jax.vmap(example, in_axes=(None, None, 0))(key, step, rows)


def load(seed: int, step: int, rows: range) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of the batch of a step, in this process's own memory."""
    key = jax.random.key(seed + 1)
    x, y = examples(key, np.uint32(step), np.arange(rows.start, rows.stop, dtype=np.uint32))
    return np.asarray(x), np.asarray(y)
