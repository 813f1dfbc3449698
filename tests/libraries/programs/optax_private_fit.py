"""Fit a logistic regression with a gradient for each example, clipped and with noise, by Optax."""

import jax
import jax.numpy as jnp
import optax


def loss(params, x, y):
    """Return the loss of one example."""
    logit = x @ params["w"] + params["b"]
    return optax.sigmoid_binary_cross_entropy(logit, y)


optimizer = optax.chain(
    optax.contrib.differentially_private_aggregate(l2_norm_clip=1.0, noise_multiplier=0.1, key=0),
    optax.sgd(0.5),
)


@jax.jit
def step(params, state, X, y):
    """Take one step with the gradients of all examples."""
    gradients = jax.vmap(jax.grad(loss), in_axes=(None, 0, 0))(params, X, y)
    updates, state = optimizer.update(gradients, state, params)
    return optax.apply_updates(params, updates), state


X = jax.random.normal(jax.random.key(1), (64, 5))
y = (X[:, 0] > X[:, 1]).astype(float)
params = {"w": jnp.zeros(5), "b": jnp.zeros(())}
state = optimizer.init(params)
for _ in range(20):
    params, state = step(params, state, X, y)
losses = jax.vmap(loss, in_axes=(None, 0, 0))(params, X, y)
print(f"loss {losses.mean():.4f}")
