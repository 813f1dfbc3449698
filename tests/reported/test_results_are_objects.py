"""Results can be put into sets and caches, and a cost can be pickled."""

import copy
import dataclasses
import pickle
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from jax import lax

import vmapguide


X = jnp.ones((3, 4))

RESULTS: dict[str, Callable[[], Any]] = {
    "explain": lambda: vmapguide.explain(jnp.sin)(X),
    "step": lambda: vmapguide.explain(jnp.sin)(X).steps[0],
    "variant": lambda: vmapguide.explain(jnp.sin)(X).steps[0].variants[0],
    "diagram": lambda: vmapguide.diagram(jnp.sin)(X),
    "listing": lambda: vmapguide.listing(jnp.sin)(X),
    "check": lambda: vmapguide.check(jnp.sin)(X),
    "compare": lambda: vmapguide.compare(jnp.sin, jnp.cos)(X),
    "side": lambda: vmapguide.compare(jnp.sin, jnp.cos)(X).sides[0],
    "benchmark": lambda: vmapguide.benchmark(jnp.sin, jnp.sin, rounds=1)(X),
    "cost": lambda: vmapguide.cost(jnp.sin)(X),
    "cost of an explanation": lambda: vmapguide.cost(vmapguide.explain(jnp.sin)(X)),
}


@pytest.mark.parametrize("name", RESULTS)
def test_identity(name: str) -> None:
    """A result is equal to itself and to no other one: it holds programs, which are compared so."""
    one, other = RESULTS[name](), RESULTS[name]()
    assert len({one, other, one}) == 2
    assert one == one  # noqa: PLR0124 - that is the question.
    assert one != other


def halved(x: jax.Array) -> Any:
    """Run a loop of unknown length, and a choice."""
    x = lax.while_loop(lambda x: x.sum() > 1, lambda x: x / 2, x)
    return lax.cond(x.sum() > 0, lambda x: x @ x, lambda x: x, jnp.outer(x, x))


def summed(x: jax.Array) -> Any:
    """Use an axis that there is not."""
    return lax.psum(x, "i")


def pickled(value: Any) -> Any:
    """Return what comes of a value that is pickled."""
    return pickle.loads(pickle.dumps(value))  # noqa: S301 - its own.


COSTS: dict[str, Callable[[], vmapguide.Cost]] = {
    "function": lambda: vmapguide.cost(halved)(X[0]),
    "lambda": lambda: vmapguide.cost(lambda x: halved(x) + 1)(X[0]),
    "explanation": lambda: vmapguide.cost(vmapguide.explain(halved)(X)),
    "not compiled": lambda: vmapguide.cost(summed, axis_env=[("i", 2)])(X[0]),
}


@pytest.mark.parametrize("name", COSTS)
@pytest.mark.parametrize("through", [pickled, copy.deepcopy])
def test_a_cost_is_pickled(name: str, through: Callable[[Any], Any]) -> None:
    """With what XLA says, since the copy cannot ask it."""
    cost = COSTS[name]()
    again = through(cost)
    assert again.to_dict() == cost.to_dict()
    assert str(again) == str(cost)
    assert again.xla == cost.xla
    assert dataclasses.is_dataclass(again)
