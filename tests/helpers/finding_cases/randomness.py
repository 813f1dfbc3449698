"""Cases of the rules about random numbers."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

import vmapguide
from finding_cases import Case


X = jnp.array([[1.0, -2.0, 3.0], [0.5, 0.5, -4.0]])
KEY = jax.random.key(0)
KEYS = jax.random.split(KEY, 2)
RBG = jax.random.split(jax.random.key(0, impl="rbg"), 2)


def dropout(key: jax.Array, x: jax.Array) -> Any:
    """Set some values to 0."""
    keep = jax.random.bernoulli(key, 0.5, x.shape)
    return jnp.where(keep, 2 * x, 0)


def initialised(key: jax.Array, x: jax.Array) -> Any:
    """Apply a layer whose parameters are drawn here."""
    of_w, of_b = jax.random.split(key)
    w = jax.random.normal(of_w, (4, 3))
    return jnp.tanh(w @ x + jax.random.uniform(of_b, (4,)))


def drawn_again(key: jax.Array, x: jax.Array) -> Any:
    """Use a key after it was split."""
    first, _ = jax.random.split(key)
    x = x + jax.random.normal(first, x.shape)
    return x * jax.random.uniform(key, x.shape)


def drawn_in_a_branch(key: jax.Array, x: jax.Array) -> Any:
    """Use a key in either of two branches."""
    return lax.cond(
        x[0] > 0,
        lambda x: x + jax.random.normal(key, x.shape),
        lambda x: x + jax.random.uniform(key, x.shape),
        x,
    )


def drawn_once(key: jax.Array, x: jax.Array) -> Any:
    """Use both keys of a split."""
    first, second = jax.random.split(key)
    x = x + jax.random.normal(first, x.shape)
    return x * jax.random.uniform(second, x.shape)


CASES = (
    Case(
        "VG501",
        firing=lambda: vmapguide.explain(dropout, in_axes=(None, 0))(KEY, X),
        line="jax.random.bernoulli(key",
        twin=lambda: vmapguide.explain(initialised, in_axes=(None, 0))(KEY, X),
        fix=lambda: vmapguide.explain(dropout)(KEYS, X),
    ),
    Case(
        "VG502",
        firing=lambda: vmapguide.explain(dropout)(RBG, X),
        line="jax.random.bernoulli(key",
        twin=lambda: vmapguide.explain(dropout, in_axes=(None, 0))(RBG[0], X),
        fix=lambda: vmapguide.explain(dropout)(KEYS, X),
    ),
    Case(
        "VG503",
        firing=lambda: vmapguide.explain(drawn_again)(KEYS, X),
        line="jax.random.uniform(key",
        twin=lambda: vmapguide.explain(drawn_in_a_branch)(KEYS, X),
        fix=lambda: vmapguide.explain(drawn_once)(KEYS, X),
    ),
)
