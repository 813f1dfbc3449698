"""Results of a program that are an argument with part of it changed."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from vmapguide._jaxpr.compat import opened
from vmapguide._jaxpr.updates import Update, Updates


X, Y = jnp.arange(9.0), jnp.arange(3)


def updates(f: Callable[..., Any]) -> list[Update | None]:
    """Return what the results of a function of two vectors and a number are."""
    jaxpr = opened(jax.make_jaxpr(f)(X, Y, 1))
    looked = Updates(jaxpr)
    return [looked.of(atom) for atom in jaxpr.outvars]


CHANGED: dict[str, tuple[Callable[..., Any], int]] = {
    "not at all": (lambda x, _y, _i: x, 0),
    "set": (lambda x, _y, i: x.at[i].set(1.0), 1),
    "add": (lambda x, _y, i: x.at[i].add(1.0), 1),
    "several": (lambda x, y, _i: x.at[y].set(1.0), 3),
    "a slice": (lambda x, _y, i: lax.dynamic_update_slice(x, jnp.ones(2), (i,)), 2),
    "twice": (lambda x, _y, i: x.at[i].set(1.0).at[i + 1].set(2.0), 2),
    "in a call": (lambda x, _y, i: jax.jit(lambda x, i: x.at[i].set(1.0))(x, i).at[0].set(3.0), 2),
}
ANEW: dict[str, Callable[..., Any]] = {
    "a sum": lambda x, _y, _i: x + 1,
    "a number": lambda _x, _y, _i: 1.0,
    "a sum, changed": lambda x, _y, i: (x + 1).at[i].set(1.0),
    "picked": lambda x, _y, i: jnp.where(i > 0, x, x.at[i].set(1.0)),
    "in a call": lambda x, _y, i: jax.jit(lambda x, i: (x * 2).at[i].set(1.0))(x, i),
}


@pytest.mark.parametrize("how", CHANGED)
def test_what_is_an_argument_changed_in_part(how: str) -> None:
    """It says of which argument, and how many numbers were written."""
    f, changed = CHANGED[how]
    assert [u and u[:2] for u in updates(f)] == [(0, changed)]


@pytest.mark.parametrize("how", ANEW)
def test_what_is_computed_anew(how: str) -> None:
    """It is no argument, changed or not."""
    assert updates(ANEW[how]) == [None]


def test_each_result_is_looked_at() -> None:
    """A call has several results."""

    def f(x: Any, y: Any, i: Any) -> Any:
        return jax.jit(lambda x, y, i: (y, x.at[i].set(1.0), x * 2))(x, y, i)

    whole, part, new = updates(f)
    assert whole == Update(1, 0)
    assert part is not None
    assert part[:2] == (0, 1)
    assert part.last is not None
    assert part.last.primitive.name.startswith("scatter")
    assert new is None
