"""Four networks from four streams of keys, with Flax NNX."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import vmapguide


class Network(nnx.Module):
    def __init__(self, rngs):
        self.first = nnx.Linear(5, 8, rngs=rngs)
        self.second = nnx.Linear(8, 2, rngs=rngs)

    def __call__(self, x):
        return self.second(nnx.relu(self.first(x)))


create = nnx.split_rngs(splits=4)(nnx.vmap(Network))
create_alike = nnx.vmap(Network, in_axes=None, axis_size=4)


def distinct(models):
    return len(np.unique(models.first.kernel[...], axis=0))


models = create(nnx.Rngs(0))
print("kernel:", models.first.kernel.shape, " distinct:", distinct(models))
print("the stream shared, distinct:", distinct(create_alike(nnx.Rngs(0))))
assert distinct(models) == 4
assert distinct(create_alike(nnx.Rngs(0))) == 1
try:
    nnx.vmap(Network, axis_size=4)(nnx.Rngs(0))
except ValueError as error:
    print("the stream not split:", str(error).partition(",")[0])


def scaled(x, *, by):
    return x * by


try:
    nnx.vmap(scaled)(jnp.ones(4), by=jnp.ones(4))
except TypeError as error:
    print("a keyword:", error)

graph, params = nnx.split(models)


def apply(params, x):
    return nnx.merge(graph, params)(x)


x = jnp.arange(5.0)
each = nnx.vmap(lambda model, x: model(x), in_axes=(0, None))(models, x)
assert jnp.allclose(jax.vmap(apply, in_axes=(0, None))(params, x), each, atol=1e-6)
print(vmapguide.explain(apply, in_axes=(0, None))(params, x))
