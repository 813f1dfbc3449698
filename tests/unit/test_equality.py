"""Whether two jaxprs are the same program."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from vmapguide._jaxpr.equality import equal


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
