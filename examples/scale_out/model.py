"""What is computed, for one example: nothing here knows of a batch, a device or a process.

A small network learns a function of eight numbers. Every example's gradient is clipped to length
one before the mean is taken, so that no single example decides a step: that needs each gradient by
itself, which `jax.vmap` of `jax.grad` gives.
"""

import jax
import jax.numpy as jnp
from jax import Array


Parameters = dict[str, Array]
State = dict[str, Parameters]

INPUTS, WIDTH = 8, 64
LEARNING_RATE, MOMENTUM = 0.1, 0.9


@jax.jit
def initial_state(seed: int) -> State:
    """Return the parameters to start with, and their velocity, zero."""
    first, second, last = jax.random.split(jax.random.key(seed), 3)
    parameters = {
        "W1": jax.random.normal(first, (WIDTH, INPUTS)) / INPUTS**0.5,
        "b1": jnp.zeros(WIDTH),
        "W2": jax.random.normal(second, (WIDTH, WIDTH)) / WIDTH**0.5,
        "b2": jnp.zeros(WIDTH),
        "w3": jax.random.normal(last, (WIDTH,)) / WIDTH**0.5,
    }
    return {"parameters": parameters, "velocity": jax.tree.map(jnp.zeros_like, parameters)}


def example_loss(parameters: Parameters, x: Array, y: Array) -> Array:
    """Return the squared error, f32[], for one example: x is f32[8], y is f32[]."""
    hidden = jnp.tanh(parameters["W1"] @ x + parameters["b1"])
    hidden = jnp.tanh(parameters["W2"] @ hidden + parameters["b2"])
    return (parameters["w3"] @ hidden - y) ** 2


def example_gradient(parameters: Parameters, x: Array, y: Array) -> tuple[Array, Parameters]:
    """Return the loss of one example and its gradient, clipped to length one."""
    loss, gradient = jax.value_and_grad(example_loss)(parameters, x, y)
    square = sum(jnp.vdot(leaf, leaf) for leaf in jax.tree.leaves(gradient))
    scale = 1 / jnp.sqrt(jnp.maximum(square, 1))
    return loss, jax.tree.map(lambda leaf: leaf * scale, gradient)


def step(state: State, x: Array, y: Array) -> tuple[State, Array]:
    """Return the next state and the mean loss of a batch: x is f32[B, 8], y is f32[B].

    On how many devices B lies is not said here: the mean is over all of it.
    """
    per_example = jax.vmap(example_gradient, in_axes=(None, 0, 0))
    losses, gradients = per_example(state["parameters"], x, y)
    mean = jax.tree.map(lambda leaf: leaf.mean(axis=0), gradients)
    velocity = jax.tree.map(lambda v, g: MOMENTUM * v + g, state["velocity"], mean)
    parameters = jax.tree.map(lambda p, v: p - LEARNING_RATE * v, state["parameters"], velocity)
    return {"parameters": parameters, "velocity": velocity}, losses.mean()
