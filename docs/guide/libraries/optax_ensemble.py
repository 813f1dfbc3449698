"""An optimiser for each member of an ensemble, with Optax."""

import jax
import jax.numpy as jnp
import numpy as np
import optax


members = {"W": jnp.ones((4, 2, 5)), "b": jnp.ones((4, 2))}
slopes = jax.tree.map(
    lambda leaf: leaf * jnp.arange(1.0, 5).reshape(4, *[1] * (leaf.ndim - 1)), members
)


def count(state):
    return optax.tree.get(state, "count")


def step(optimizer, one_state):
    if one_state:
        return optimizer.update(slopes, optimizer.init(members), members)
    return jax.vmap(optimizer.update)(slopes, jax.vmap(optimizer.init)(members), members)


clip = optax.clip_by_global_norm(1.0)
for name, optimizer in {"adam": optax.adam(0.1), "clip": optax.chain(clip, optax.sgd(0.1))}.items():
    stacked, mapped = step(optimizer, one_state=True)[0], step(optimizer, one_state=False)[0]
    same = jax.tree.all(jax.tree.map(lambda a, b: jnp.allclose(a, b, atol=1e-6), stacked, mapped))
    print(f"{name}, state of the stack and stack of states agree:", same)
    assert same == (name == "adam")

adam = optax.adam(0.1)
print("count of one state:", count(adam.init(members)).shape)
print("count of four:     ", count(jax.vmap(adam.init)(members)).shape)
try:
    jax.vmap(adam.update)(slopes, adam.init(members), members)
except ValueError as error:
    print("one state, mapped:", str(error).partition(",")[0])

sgd = optax.inject_hyperparams(optax.sgd)
rates = jnp.array([0.01, 0.1, 1.0, 10.0])
states = jax.vmap(lambda rate, member: sgd(learning_rate=rate).init(member))(rates, members)
updates, _ = jax.vmap(sgd(learning_rate=0.0).update)(slopes, states, members)
print("a rate for each:", states.hyperparams["learning_rate"].shape)
np.testing.assert_allclose(updates["b"][:, 0], -rates * jnp.arange(1.0, 5), rtol=1e-6)
