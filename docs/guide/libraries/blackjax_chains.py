"""Four chains, with BlackJAX."""

import blackjax
import jax
import jax.numpy as jnp
import numpy as np

import vmapguide


def logdensity(x):
    return -0.5 * (x**2).sum()


sampler = blackjax.hmc(logdensity, 0.5, jnp.ones(2), num_integration_steps=4)
states = jax.vmap(sampler.init)(jnp.zeros((4, 2)))
print("state:", jax.tree.map(jnp.shape, states))


def distinct(step, keys):
    state = states
    for key in keys:
        state, _ = step(key, state)
    return len(np.unique(state.position, axis=0))


keys = jax.random.split(jax.random.key(0), 3)
keys_of_chains = jax.random.split(jax.random.key(0), (3, 4))
own = distinct(jax.jit(jax.vmap(sampler.step)), keys_of_chains)
shared = distinct(jax.jit(jax.vmap(sampler.step, in_axes=(None, 0))), keys)
print("distinct chains, a key for each:", own)
print("distinct chains, one key:       ", shared)
assert (own, shared) == (4, 1)
explained = vmapguide.explain(sampler.step, in_axes=(None, 0))(keys[0], states)
print("findings, one key:", [finding.code for finding in explained.findings])
assert "VG501" in [finding.code for finding in explained.findings]
