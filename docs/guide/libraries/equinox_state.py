"""Batch normalisation and dropout, with Equinox."""

import equinox as eqx
import jax
import numpy as np

import vmapguide


class Network(eqx.Module):
    norm: eqx.nn.BatchNorm
    drop: eqx.nn.Dropout

    def __init__(self):
        self.norm = eqx.nn.BatchNorm(5, axis_name="batch", mode="batch")
        self.drop = eqx.nn.Dropout(0.5)

    def __call__(self, x, state, key):
        x, state = self.norm(x, state)
        return self.drop(x, key=key), state


model, state = eqx.nn.make_with_state(Network)()
X = jax.random.normal(jax.random.key(0), (3, 5))
keys = jax.random.split(jax.random.key(1), 3)
options = {"in_axes": (0, None, 0), "axis_name": "batch"}


def shapes(tree):
    return [leaf.shape for leaf in jax.tree.leaves(tree)]


_, one = jax.vmap(model, out_axes=(0, None), **options)(X, state, keys)
_, three = jax.vmap(model, **options)(X, state, keys)
print("state, before:            ", shapes(state))
print("state, out_axes=(0, None):", shapes(one))
print("state, out_axes=0:        ", shapes(three))
assert shapes(one) == shapes(state)
assert shapes(three) == [(3, *shape) for shape in shapes(state)]

norm = jax.vmap(model.norm, in_axes=(0, None), axis_name="batch")
np.testing.assert_allclose(norm(X, state)[0], (X - X.mean(0)) / X.std(0), atol=1e-2)

shared = vmapguide.explain(model, in_axes=(0, None, None), axis_name="batch")
print("one key for all:", [finding.code for finding in shared(X, state, keys[0]).findings])
try:
    jax.vmap(model, in_axes=(0, None, 0))(X, state, keys)
except NameError as error:
    print("without axis_name:", str(error).partition(".")[0])
