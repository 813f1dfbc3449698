"""A decoder of one sequence: layer norm, attention, GELU, and greedy decoding in a loop."""

from typing import Any

import jax
import jax.numpy as jnp


WIDTH, LENGTH, BATCH = 32, 16, 8


def layer_norm(x: Any, scale: Any, shift: Any) -> Any:
    """Give each row mean 0 and variance 1, then scale and shift it."""
    mean = x.mean(axis=-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(axis=-1, keepdims=True)
    return (x - mean) / jnp.sqrt(variance + 1e-6) * scale + shift


def attention(q: Any, k: Any, v: Any, mask: Any) -> Any:
    """Mix the rows of v, each by how much its key fits a query."""
    scores = q @ k.T / jnp.sqrt(q.shape[-1])
    weights = jax.nn.softmax(jnp.where(mask, scores, -1e9), axis=-1)
    return weights @ v


def block(p: Any, x: Any, length: Any) -> Any:
    """Run one layer of the decoder."""
    h = layer_norm(x, p["g1"], p["b1"])
    q, k, v = h @ p["wq"], h @ p["wk"], h @ p["wv"]
    mask = jnp.arange(x.shape[0])[None, :] < length
    x = x + attention(q, k, v, mask) @ p["wo"]
    h = layer_norm(x, p["g2"], p["b2"])
    return x + jax.nn.gelu(h @ p["w1"]) @ p["w2"]


def greedy(p: Any, x: Any, length: Any, steps: Any) -> Any:
    """Append the likeliest token, so many times."""

    def is_going(state: Any) -> Any:
        return state[0] < steps

    def body(state: Any) -> Any:
        n, x, length = state
        token = jnp.argmax(block(p, x, length)[length - 1])
        x = x.at[length].set(jax.nn.one_hot(token, x.shape[1]))
        return n + 1, x, length + 1

    return jax.lax.while_loop(is_going, body, (0, x, length))[1]


_VECTORS = {name: jnp.ones(WIDTH) for name in ("g1", "b1", "g2", "b2")}
_MATRICES = {name: jnp.ones((WIDTH, WIDTH)) for name in ("wq", "wk", "wv", "wo")}

PARAMETERS = {
    **_VECTORS,
    **_MATRICES,
    "w1": jnp.ones((WIDTH, 2 * WIDTH)),
    "w2": jnp.ones((2 * WIDTH, WIDTH)),
}

# What a batch is called with; all examples share the parameters.
IN_AXES = (None, 0, 0, 0)
ARGUMENTS = (
    PARAMETERS,
    jax.ShapeDtypeStruct((BATCH, LENGTH, WIDTH), jnp.float32),
    jax.ShapeDtypeStruct((BATCH,), jnp.int32),
    jax.ShapeDtypeStruct((BATCH,), jnp.int32),
)
