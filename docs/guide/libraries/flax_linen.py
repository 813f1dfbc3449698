"""Lifted vmap, with Flax Linen."""

import warnings

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np


X, key = jnp.ones((4, 16)), jax.random.key(0)


def kernel(axis, split, in_axes):
    options = {"variable_axes": {"params": axis}, "split_rngs": {"params": split}}
    Layer = nn.vmap(nn.Dense, in_axes=in_axes, axis_size=4, **options)
    return Layer(2).init(key, X)["params"]["kernel"]


shared, alike, own = kernel(None, False, 0), kernel(0, False, None), kernel(0, True, None)
print("shared by examples:", shared.shape)
print("members from one key:", alike.shape, "distinct:", len(np.unique(alike, axis=0)))
print("members from four keys:", own.shape, "distinct:", len(np.unique(own, axis=0)))
assert shared.shape == (16, 2)
assert len(np.unique(alike, axis=0)) == 1
assert len(np.unique(own, axis=0)) == 4
try:
    kernel(None, True, 0)
except ValueError as error:
    print("one kernel from four keys:", str(error).partition("got ")[2])


class Noisy(nn.Module):
    @nn.compact
    def __call__(self, x, deterministic=False):
        return nn.Dropout(0.5, deterministic=deterministic)(x)


for split in True, False:
    Mapped = nn.vmap(Noisy, variable_axes={}, split_rngs={"dropout": split})
    masks = len(np.unique(Mapped().apply({}, X, rngs={"dropout": key}), axis=0))
    print(f"dropout split: {split}, masks: {masks}")
    assert masks == (4 if split else 1)
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    Y = Mapped().apply({}, X, deterministic=True, rngs={"dropout": key})
print(said[0].message)
assert not (Y == X).all()
Mapped = nn.vmap(Noisy, variable_axes={}, split_rngs={"dropout": True}, in_axes=(0, None))
assert (Mapped().apply({}, X, True, rngs={"dropout": key}) == X).all()

named = nn.with_partitioning(nn.initializers.lecun_normal(), ("in", "out"))


def names(metadata):
    options = {"variable_axes": {"params": 0}, "split_rngs": {"params": True}, "in_axes": None}
    Layer = nn.vmap(nn.Dense, axis_size=4, metadata_params=metadata, **options)
    return jax.eval_shape(Layer(2, kernel_init=named).init, key, X)["params"]["kernel"].names


print("names of axes:", names({nn.PARTITION_NAME: "member"}))
assert names({nn.PARTITION_NAME: "member"}) == ("member", "in", "out")
try:
    names({})
except Exception as error:
    print("no name for the new axis:", type(error).__name__)
else:
    raise AssertionError("an axis got no name")
