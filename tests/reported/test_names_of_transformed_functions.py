"""A result says whose it is: what was done to a function belongs to its name (reported: cost)."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest

import vmapguide
from vmapguide._trace.user_names import transformed_name


X = jnp.ones((3, 4))


def energy(x: jax.Array) -> jax.Array:
    """Return a number."""
    return (x**2).sum()


def twice(x: jax.Array, factor: float = 1.0) -> jax.Array:
    """Return an array."""
    return 2 * x * factor


class Model:
    """Something with a method."""

    def loss(self, x: jax.Array) -> jax.Array:
        """Return a number."""
        return energy(x)


NAMES: dict[str, Callable[..., Any]] = {
    "energy": energy,
    "hessian(energy)": jax.hessian(energy),
    "grad(energy)": jax.grad(energy),
    "value_and_grad(energy)": jax.value_and_grad(energy),
    "jacfwd(energy)": jax.jacfwd(energy),
    "jacrev(energy)": jax.jacrev(energy),
    "jacrev(jacfwd(energy))": jax.jacrev(jax.jacfwd(energy)),
    "jacfwd(grad(energy))": jax.jacfwd(jax.grad(energy)),
    "vmap(energy)": jax.vmap(energy),
    "vmap(vmap(energy))": jax.vmap(jax.vmap(energy)),
    "jit(vmap(grad(energy)))": jax.jit(jax.vmap(jax.grad(energy))),
    "vmap(hessian(energy))": jax.vmap(jax.hessian(energy)),
    "checkpoint(energy)": jax.checkpoint(energy),
    "vectorize(twice)": jnp.vectorize(twice),
    "twice": functools.partial(twice, factor=2.0),
    "grad(twice)": jax.grad(functools.partial(twice, factor=2.0)),
    "vmap(grad(energy))": jax.vmap(functools.partial(jax.grad(energy))),
    "grad(loss)": jax.grad(Model().loss),
    "grad(sum)": jax.grad(jnp.sum),
    "grad(<lambda>)": jax.grad(lambda x: x.sum()),
    "vmap(cos)": jax.vmap(jnp.cos),
    "cos": jnp.cos,
    "relu": jax.nn.relu,
    "logsumexp": jax.nn.logsumexp,
}


@pytest.mark.parametrize("name", NAMES)
def test_names(name: str) -> None:
    """All that the user has done to it, and nothing that a library has done to its own."""
    assert transformed_name(NAMES[name]) == name


def test_the_cost_of_a_hessian() -> None:
    """It is not headed as that of the function."""
    cost = vmapguide.cost(jax.hessian(energy))(X[0])
    assert cost.name == "hessian(energy)"
    assert str(cost).startswith("cost hessian(energy) ")


def test_the_cost_of_an_explanation() -> None:
    """The gradient was mapped, and not the function."""
    cost = vmapguide.cost(vmapguide.explain(jax.grad(energy))(X))
    assert cost.name == "vmap(grad(energy))"


def test_sides() -> None:
    """A gradient beside its function is not the function for a second time."""
    comparison = vmapguide.compare(jnp.sin, jax.grad(jnp.sin), jax.grad(jax.grad(jnp.sin)))(1.0)
    assert [side.name for side in comparison.sides] == ["sin", "grad(sin)", "grad(grad(sin))"]


def test_listing() -> None:
    """A listing knows it, too."""
    assert vmapguide.listing(jax.grad(energy))(X[0]).name == "grad(energy)"


def test_a_wrapper_of_the_users() -> None:
    """What it does is not known: it is called what it calls itself."""

    def scaled(f: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(f)
        def grad(x: Any) -> Any:
            return 3 * f(x)

        return grad

    assert transformed_name(scaled(energy)) == "energy"
