"""Mapped inside and outside of transform, with Haiku."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np


X, key = jnp.ones((4, 16)), jax.random.key(0)


@hk.without_apply_rng
@hk.transform
def network(x):
    return hk.Linear(2)(x)


keys = jax.random.split(key, 4)
params = network.init(key, X[0])
members = jax.vmap(network.init, in_axes=(0, None))(keys, X[0])
print("one:    ", params["linear"]["w"].shape)
print("members:", members["linear"]["w"].shape)
print("batch:  ", jax.vmap(network.apply, in_axes=(None, 0))(params, X).shape)
assert members["linear"]["w"].shape == (4, *params["linear"]["w"].shape)


def noisy(x):
    return hk.dropout(hk.next_rng_key(), 0.5, x)


for split in True, False:
    inside = hk.transform(lambda X, split=split: hk.vmap(noisy, split_rng=split)(X))
    masks = len(np.unique(inside.apply({}, key, X), axis=0))
    print(f"hk.vmap, split_rng={split}, masks: {masks}")
    assert masks == (4 if split else 1)
try:
    hk.transform(hk.vmap(noisy)).apply({}, key, X)
except TypeError as error:
    print(str(error).partition(". ")[0])


def scaled(x, *, by):
    return x * by


try:
    hk.transform(hk.vmap(scaled, split_rng=False)).apply({}, key, X, by=X[:, 0])
except TypeError as error:
    print(str(error)[-40:])
else:
    raise AssertionError("a keyword was taken")
