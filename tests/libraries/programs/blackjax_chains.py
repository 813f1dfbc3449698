"""Sample a banana-shaped density by four chains of NUTS with adapted steps, with BlackJAX."""

import blackjax
import jax
import jax.numpy as jnp


def logdensity(position):
    """Return the logarithm of a density that is not normalized."""
    x, y = position["x"], position["y"]
    return -0.5 * x**2 - 0.5 * (y - x**2) ** 2


CHAINS, STEPS = 4, 50
key_of_start, key_of_warmup, key = jax.random.split(jax.random.key(0), 3)
starts = {
    "x": jax.random.normal(key_of_start, (CHAINS,)),
    "y": jnp.zeros(CHAINS),
}

warmup = blackjax.window_adaptation(blackjax.nuts, logdensity)
adapt = jax.jit(jax.vmap(lambda key, start: warmup.run(key, start, 50)[0]))
states, parameters = adapt(jax.random.split(key_of_warmup, CHAINS), starts)


def step(key, state, parameters):
    """Advance one chain, with what its warmup has found."""
    return blackjax.nuts(logdensity, **parameters).step(key, state)


@jax.jit
def sample(key, states):
    """Advance all chains together."""

    def one_step(states, key):
        keys = jax.random.split(key, CHAINS)
        states, info = jax.vmap(step)(keys, states, parameters)
        return states, (states.position, info.acceptance_rate)

    return jax.lax.scan(one_step, states, jax.random.split(key, STEPS))[1]


positions, rates = sample(key, states)
print("positions", positions["x"].shape, "acceptance", bool(rates.mean() > 0.5))
print("means", {name: bool(jnp.abs(values.mean()) < 3) for name, values in positions.items()})
print("rhat", blackjax.rhat(positions["x"].T).shape)
