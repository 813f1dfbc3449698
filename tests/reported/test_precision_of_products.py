"""`benchmark` and `compare` where a device computes matrix products with fewer digits."""

from typing import Any

import jax
import jax.numpy as jnp
import pytest
from jax import lax

import vmapguide
from vmapguide._measure import precision


W = jax.random.normal(jax.random.key(0), (96, 128))
X = jax.random.normal(jax.random.key(1), (12, 128))

# Of TF32, to which NVIDIA's GPUs round what they multiply.
BITS = 10


def exact(X: jax.Array) -> jax.Array:
    """Return a product as the loop over its rows has it."""
    return X @ W.T


def rounded(X: jax.Array) -> jax.Array:
    """Return the product as a GPU has it."""
    return lax.reduce_precision(X, 8, BITS) @ lax.reduce_precision(W, 8, BITS).T


def wrong(X: jax.Array) -> jax.Array:
    """Return another product."""
    return X @ W.T * 1.1


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the device say of itself what a GPU says."""
    monkeypatch.setattr(precision, "of_products", lambda *_: 2.0**-BITS)


@pytest.mark.usefixtures("gpu")
class TestGpu:
    """There the two differ by no more than the products have digits."""

    @pytest.mark.parametrize("jit", [True, False])
    def test_benchmark(self, jit: bool) -> None:
        """It times them, compiled or not."""
        assert vmapguide.benchmark(exact, rounded, jit=jit, rounds=1)(X).names

    def test_compare(self) -> None:
        """The numbers are the same."""
        assert vmapguide.compare(exact, rounded)(X).same_numbers

    def test_what_is_wrong_is_wrong(self) -> None:
        """The tolerance is no wider than that."""
        assert not vmapguide.compare(exact, wrong)(X).same_numbers
        with pytest.raises(ValueError, match="do not compute the same"):
            vmapguide.benchmark(exact, wrong, rounds=1)(X)

    def test_what_multiplies_no_matrices(self) -> None:
        """For it the tolerance is that of the dtype."""
        one: Any = lambda x: jnp.sin(x)  # noqa: E731, PLW0108
        assert not vmapguide.compare(one, lambda x: jnp.sin(x) * 1.001)(X).same_numbers

    def test_tolerances_that_are_given(self) -> None:
        """Tolerances that the user gives are not widened."""
        assert not vmapguide.compare(exact, rounded, rtol=0, atol=1e-6)(X).same_numbers


@pytest.mark.cpu_only
def test_where_products_have_all_digits() -> None:
    """There the same difference is one."""
    assert not vmapguide.compare(exact, rounded)(X).same_numbers
    with pytest.raises(ValueError, match="do not compute the same"):
        vmapguide.benchmark(exact, rounded, rounds=1)(X)
