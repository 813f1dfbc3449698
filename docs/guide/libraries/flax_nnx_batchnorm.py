"""Batch normalisation for a batch, with Flax NNX."""

import jax
import numpy as np
from flax import nnx


X = jax.random.normal(jax.random.key(0), (8, 5))


def call(model, x):
    return model(x)


model = nnx.BatchNorm(5, momentum=0.9, axis_name="batch", rngs=nnx.Rngs(0))
Y = nnx.vmap(call, in_axes=(None, 0), axis_name="batch")(model, X)
np.testing.assert_allclose(Y, (X - X.mean(0)) / X.std(0), atol=1e-3)
np.testing.assert_allclose(model.mean[...], 0.1 * X.mean(0), atol=1e-6)
print("with a name, the running mean:", model.mean.shape, "moved:", bool(model.mean[...].any()))

unnamed = nnx.BatchNorm(5, momentum=0.9, rngs=nnx.Rngs(0))
try:
    nnx.vmap(call, in_axes=(None, 0))(unnamed, X)
except ValueError as error:
    print("without:", str(error).partition("got ")[2])
else:
    raise AssertionError("a mean of each example was written to what is shared")

own = nnx.StateAxes({nnx.BatchStat: 0, nnx.Param: None})
copies = nnx.vmap(lambda rngs: nnx.BatchNorm(5, rngs=rngs), in_axes=None, out_axes=own, axis_size=8)
each = copies(nnx.Rngs(0))
alone = nnx.vmap(call, in_axes=(own, 0))(each, X)
print("one for each example:", each.mean.shape, " scale:", each.scale.shape)
print("what it makes of them:", np.unique(alone))
assert each.mean.shape == (8, 5)
assert not alone.any()
