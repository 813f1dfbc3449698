"""Whether what two traces of one program hold is the same."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vmapguide._jaxpr.same_values import Same


def doubled(real: int, other: int) -> bool:
    """Say that 3 in one program is 7 in the other."""
    return real == other or (real, other) == (3, 7)


EXACT, SIZED = Same(), Same(doubled)
KEY = jax.random.key(0)

CONSTANTS: dict[str, tuple[Any, Any, bool, bool]] = {
    "the same": (np.arange(3), np.arange(3), True, True),
    "other values": (np.arange(3), np.arange(1, 4), False, False),
    "another dtype": (np.zeros(3, np.float32), np.zeros(3, np.int32), False, False),
    "a NaN": (np.array([np.nan]), np.array([np.nan]), True, True),
    "the sign of zero": (np.array([0.0]), np.array([-0.0]), False, False),
    "a size": (np.int32(3), np.int32(7), False, True),
    "another number": (np.int32(4), np.int32(7), False, False),
    "no whole number": (np.float32(3.5), np.float32(7), False, False),
    "repeated as often": (np.ones((3, 2)), np.ones((7, 2)), False, True),
    "not repeated": (np.ones((3, 2)), np.arange(14.0).reshape(7, 2), False, False),
    "nothing": (np.ones((0, 2)), np.ones((3, 2)), False, False),
    "keys": (KEY, KEY, True, True),
    "other keys": (KEY, jax.random.key(1), False, False),
    "no arrays": ("text", "text", True, True),
}


@pytest.mark.parametrize("name", CONSTANTS)
def test_constants(name: str) -> None:
    """They are compared bit by bit, and up to sizes that correspond where these are known."""
    one, other, exactly, sized = CONSTANTS[name]
    assert EXACT.constant(one, other) == exactly
    assert SIZED.constant(one, other) == sized


def test_what_is_traced_is_no_constant() -> None:
    """Nothing is known of its value."""

    def f(x: jax.Array) -> jax.Array:
        assert not EXACT.constant(x, np.ones(3))
        assert not SIZED.constant(np.ones(3), x)
        return x

    jax.make_jaxpr(f)(jnp.ones(3))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (jax.ShapeDtypeStruct((3, 2), "float32"), jax.ShapeDtypeStruct((7, 2), "float32"), True),
        (jax.ShapeDtypeStruct((3, 2), "float32"), jax.ShapeDtypeStruct((7, 2), "int32"), False),
        (jax.ShapeDtypeStruct((3, 2), "float32"), jax.ShapeDtypeStruct((5, 2), "float32"), False),
        (
            jax.ShapeDtypeStruct((3,), "float32", weak_type=True),
            jax.ShapeDtypeStruct((7,), "float32"),
            False,
        ),
    ],
    ids=["a size", "another dtype", "no size", "weak"],
)
def test_types(one: Any, other: Any, same: bool) -> None:
    """They are the same up to sizes that correspond, if these are known."""
    assert SIZED.type(one, other) == same
    assert not EXACT.type(one, other)
    assert EXACT.type(one, one)


@pytest.mark.parametrize(
    ("one", "other", "exactly", "sized"),
    [
        (3, 3, True, True),
        ((3, (3, 2)), (7, (7, 2)), False, True),
        (("f", 3), ("g", 3), False, False),
        (np.arange(2), np.arange(3), False, False),
        (len, len, True, True),
        (3, "3", False, False),
    ],
    ids=["equal", "sizes", "texts", "arrays of other shapes", "functions", "other types"],
)
def test_parameters(one: Any, other: Any, exactly: bool, sized: bool) -> None:
    """What cannot be compared is compared as text."""
    assert EXACT.parameter(one, other) == exactly
    assert SIZED.parameter(one, other) == sized
