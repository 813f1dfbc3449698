"""Four networks from four keys, with Equinox."""

import equinox as eqx
import jax
import jax.numpy as jnp

import vmapguide


def create(key):
    return eqx.nn.MLP(5, 2, width_size=8, depth=1, key=key)


def predict(model, x):
    return model(x)


keys = jax.random.split(jax.random.key(0), 4)
x = jnp.arange(5.0)
try:
    jax.vmap(create)(keys)
except TypeError as error:
    assert "is not a valid JAX type" in str(error)
    print("jax.vmap(create) raises a TypeError")
else:
    raise AssertionError("an activation was returned")

models = eqx.filter_vmap(create)(keys)
print("weights:", models.layers[0].weight.shape, models.layers[1].weight.shape)
print("activation, one for all:", models.activation is create(keys[0]).activation)
each = eqx.filter_vmap(predict, in_axes=(eqx.if_array(0), None))(models, x)
assert jnp.allclose(each, jnp.stack([create(key)(x) for key in keys]), atol=1e-5)
try:
    vmapguide.explain(predict, in_axes=(eqx.if_array(0), None))(models, x)
except TypeError as error:
    print(str(error).replace(", but got", ",\nbut got"))

params, static = eqx.partition(models, eqx.is_array)


def apply(params, x):
    return eqx.combine(params, static)(x)


assert jnp.allclose(jax.vmap(apply, in_axes=(0, None))(params, x), each, atol=1e-6)
print(vmapguide.explain(apply, in_axes=(0, None))(params, x))
