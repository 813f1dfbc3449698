"""Two traces of one program, matched."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from vmapguide._jaxpr.compat import opened
from vmapguide._jaxpr.trace_matching import equal, match


X = jnp.arange(3.0)
LARGE = jnp.arange(6.0)


def jaxpr_of(f: Callable[..., Any], x: Any = X) -> Any:
    """Return the jaxpr of a function."""
    return jax.make_jaxpr(f)(x)


def loop(x: Any) -> Any:
    """Run a loop that captured an array."""
    return lax.fori_loop(0, 3, lambda i, c: c * X + i, x)


def anew(f: Callable[..., Any]) -> Callable[[Any], Any]:
    """Return a function that computes what another does, and is traced again."""

    def run(x: Any) -> Any:
        return f(x)

    return run


@pytest.mark.parametrize("f", [jnp.sin, loop, jax.nn.relu, jax.jit(jnp.sum), jax.grad(jnp.prod)])
def test_two_traces_are_equal(f: Callable[..., Any]) -> None:
    """Variables are other ones each time."""
    assert equal(jaxpr_of(anew(f)), jaxpr_of(anew(f)))


OTHER: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "operation": (jnp.sin, jnp.cos),
    "operands": (lambda x: x - 1, lambda x: 1 - x),
    "constant": (lambda x: x + X, lambda x: x + (X + 1)),
    "sign of zero": (lambda x: x + 0.0, lambda x: x + -0.0),
    "type": (lambda x: x.sum(), lambda x: x.sum(keepdims=True)),
    "results": (lambda x: (x, x + 1), lambda x: (x + 1, x)),
    # `value_numbering` calls the two programs of each of these the same.
    "call": (jax.jit(jnp.sin), jax.jit(jax.jit(jnp.sin))),
    "order": (
        lambda x: (jnp.sin(x), jnp.cos(x)),
        lambda x: (jnp.cos(x), jnp.sin(x))[::-1],
    ),
}


@pytest.mark.parametrize("what", OTHER)
def test_other_programs_are_not(what: str) -> None:
    """They differ in one thing."""
    f, g = OTHER[what]
    assert not equal(jaxpr_of(f), jaxpr_of(g))


def test_what_fits_is_matched_beside_what_does_not() -> None:
    """An equation more is listed, and the others have their counterparts."""
    one = jaxpr_of(lambda x: jnp.cos(jnp.sin(x)))
    other = jaxpr_of(lambda x: (jnp.tan(x), jnp.cos(jnp.sin(x)))[1])
    found = match(one, other)
    assert not found.exact
    assert [eqn.primitive.name for eqn in found.right] == ["tan"]
    assert not found.left
    names = [found.equations[id(eqn)].primitive.name for eqn in opened(one).eqns]
    assert names == ["sin", "cos"]


def test_spots_may_be_tolerated() -> None:
    """An operand that differs is a spot, and the rest still fits."""
    one, other = jaxpr_of(lambda x: x * 2), jaxpr_of(lambda x: x * 3)
    found = match(one, other)
    assert found.spots == {(id(opened(one).eqns[0]), 1)}
    assert not found.exact
    assert match(one, other, tolerated=frozenset(found.spots)).exact


def test_sizes_may_correspond() -> None:
    """Types, parameters and repeated constants of another size then fit, and no others."""

    def f(x: jax.Array) -> jax.Array:
        return jnp.broadcast_to(x.sum(), x.shape) / len(x) + np.ones(len(x), np.float32)

    small, large = jaxpr_of(f), jaxpr_of(f, LARGE)
    assert not equal(small, large)
    assert match(small, large, same_size=lambda a, b: a == b or (a, b) == (3, 6)).exact
    assert not match(small, large, same_size=lambda a, b: a == b or (a, b) == (3, 7)).exact


# Pairs of functions whose jaxprs differ.
DIFFERENT: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "primitive": (lambda x, _: jnp.sin(x), lambda x, _: jnp.cos(x)),
    "parameter": (lambda x, _: jax.lax.cumsum(x), lambda x, _: jax.lax.cumsum(x, reverse=True)),
    "literal": (lambda x, _: x * 2.0, lambda x, _: x * 3.0),
    "literal or variable": (lambda x, _: x * 2.0, lambda x, y: x * y[0]),
    "operands": (lambda x, y: x - y, lambda x, y: y - x),
    "results": (lambda x, y: (x, y), lambda x, y: (y, x)),
    "order of results": (lambda x, _: (jnp.sin(x), x), lambda x, _: (x, jnp.sin(x))),
    "number of results": (lambda x, _: x, lambda x, _: (x, x)),
    "number of equations": (lambda x, _: x + 1, lambda x, _: x + 1 + 1),
    "body": (
        lambda x, _: jax.lax.map(lambda v: v + 1, x),
        lambda x, _: jax.lax.map(lambda v: v - 1, x),
    ),
    "order of branches": (
        lambda x, y: jax.lax.cond(y[0] > 0, jnp.sin, jnp.cos, x),
        lambda x, y: jax.lax.cond(y[0] > 0, jnp.cos, jnp.sin, x),
    ),
    "operands in a call": (
        jax.jit(lambda x, y: x - y),
        jax.jit(lambda x, y: y - x),
    ),
    "the second of two bodies": (
        lambda x, _: (jax.jit(jnp.cos)(x), jax.jit(lambda v: v + 1)(x)),
        lambda x, _: (jax.jit(jnp.cos)(x), jax.jit(lambda v: v + 2)(x)),
    ),
}


class TestEqual:
    """Identity is only worth what the comparison is worth."""

    @pytest.mark.parametrize("difference", DIFFERENT)
    def test_a_difference_is_seen(self, difference: str) -> None:
        """Another primitive, parameter, literal, operand, result, or nested jaxpr is a difference.

        The text that JAX prints says the same.
        """
        x = jnp.ones(3)
        a, b = (jax.make_jaxpr(f)(x, x) for f in DIFFERENT[difference])
        assert not equal(a, b)
        assert not equal(b, a)
        assert str(a) != str(b)

    def test_another_size_or_type_is_a_difference(self) -> None:
        """The types of arguments count, even where nothing else differs."""
        small, large, whole = (
            jax.make_jaxpr(lambda x: x)(jax.ShapeDtypeStruct(shape, dtype))
            for shape, dtype in (((3,), "float32"), ((4,), "float32"), ((3,), "int32"))
        )
        assert not equal(small, large)
        assert not equal(small, whole)
