"""Arrays, types of arrays, and a function of one example, for tests that need any."""

from typing import Any

import jax
import jax.numpy as jnp


def array(*shape: int, dtype: Any = jnp.float32) -> jax.ShapeDtypeStruct:
    """Return an array without values."""
    return jax.ShapeDtypeStruct(shape, dtype)


# Of three examples, but for the first of each.
VECTOR, VECTORS = array(4), array(3, 4)
MATRICES = array(3, 4, 4)
NUMBERS = array(3)
INDEX, INDICES = array(dtype=jnp.int32), array(3, dtype=jnp.int32)

# The same, where values are asked for.
X = jnp.arange(12.0).reshape(3, 4)
V = jnp.arange(3.0)

# A layer's weights.
W = jnp.arange(10.0).reshape(2, 5)
b = jnp.ones(2)


def neuron(x: jax.Array) -> jax.Array:
    """Return the sum of a small layer."""
    h = jnp.dot(W, x)
    h = h + b
    return jnp.tanh(h).sum()
