"""Train four networks at once, each from its own key, with Flax NNX."""

import jax
import jax.numpy as jnp
import optax
from flax import nnx


class Network(nnx.Module):
    """Two layers with dropout between them."""

    def __init__(self, rngs):
        """Draw the parameters."""
        self.first = nnx.Linear(1, 16, rngs=rngs)
        self.dropout = nnx.Dropout(0.1, rngs=rngs)
        self.second = nnx.Linear(16, 1, rngs=rngs)

    def __call__(self, x):
        """Return what one network predicts."""
        return self.second(self.dropout(nnx.relu(self.first(x))))


@nnx.split_rngs(splits=4)
@nnx.vmap(in_axes=0)
def create(rngs):
    """Make a network for each key."""
    return Network(rngs)


@nnx.vmap(in_axes=(0, 0, None, None))
def train(model, optimizer, x, y):
    """Take one step with one network."""

    def loss(model):
        return ((model(x) - y) ** 2).mean()

    value, gradients = nnx.value_and_grad(loss)(model)
    optimizer.update(model, gradients)
    return value


@nnx.vmap(in_axes=0)
def with_optimizer(model):
    """Return the optimizer of one network."""
    return nnx.Optimizer(model, optax.adam(1e-2), wrt=nnx.Param)


x = jnp.linspace(0, 1, 32)[:, None]
models = create(nnx.Rngs(0))
optimizers = with_optimizer(models)
step = nnx.jit(train)
for _ in range(10):
    losses = step(models, optimizers, x, jnp.sin(6 * x))
evaluate = jax.vmap(lambda weights: jnp.abs(weights).mean())
print("losses", losses.shape, bool(losses.max() < 2))
print("weights", evaluate(models.first.kernel[...]).round(4))
