"""Dropout for a batch, with Flax NNX."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import vmapguide


X = jnp.ones((3, 16))


def call(model, x):
    return model(x)


own_streams = nnx.StateAxes({nnx.RngState: 0, ...: None})
ways = {
    "nnx.vmap": nnx.vmap(call, in_axes=(None, 0)),
    "jax.vmap": jax.vmap(call, in_axes=(None, 0)),
    "split_rngs": nnx.split_rngs(splits=3)(nnx.vmap(call, in_axes=(own_streams, 0))),
}
found = {}
for name, on_batch in ways.items():
    model = nnx.Dropout(0.5, rngs=nnx.Rngs(0))
    first, second = on_batch(model, X), on_batch(model, X)
    masks = len(np.unique(first, axis=0))
    count = int(model.rngs.count[...])
    again = bool((first == second).all())
    print(f"{name:10}  masks: {masks}  count: {count}  the second call draws the same: {again}")
    found[name] = masks, count, again
assert found == {"nnx.vmap": (1, 2, False), "jax.vmap": (1, 0, True), "split_rngs": (3, 2, False)}

graph, state = nnx.split(nnx.Dropout(0.5, rngs=nnx.Rngs(0)))


def apply(state, x):
    return nnx.merge(graph, state)(x)


explained = vmapguide.explain(apply, in_axes=(None, 0))(state, X)
print("findings:", [finding.code for finding in explained.findings])
try:
    jax.vmap(nnx.Dropout(0.5, rngs=nnx.Rngs(0)))(X)
except Exception as error:
    print(type(error).__name__, str(error).partition(" (")[0], sep=": ")
else:
    raise AssertionError("a captured stream was advanced")
