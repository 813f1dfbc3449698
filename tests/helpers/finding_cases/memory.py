"""Cases of the rules about memory and layout."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

import vmapguide
from finding_cases import Case


def of(*shape: int, dtype: Any = jnp.float32) -> jax.ShapeDtypeStruct:
    """Return the type of an array: nothing is computed here."""
    return jax.ShapeDtypeStruct(shape, dtype)


A = of(64, 64)
X = of(32, 64)
P = of(32, dtype=bool)


def solves_in_a_branch(a: jax.Array, x: jax.Array, p: jax.Array) -> Any:
    """Solve a shared system in a branch."""
    return lax.cond(p, lambda x: jnp.linalg.solve(a, x), jnp.zeros_like, x)


def adds_in_a_branch(a: jax.Array, x: jax.Array, p: jax.Array) -> Any:
    """Read a shared matrix in a branch, for a sum that XLA fuses."""
    return lax.cond(p, lambda x: (a + x).sum(0), jnp.zeros_like, x)


def picks_a_solution(a: jax.Array, x: jax.Array, p: jax.Array) -> Any:
    """Solve for all, and pick afterwards."""
    return jnp.where(p, jnp.linalg.solve(a, x), 0)


def multiplies_in_a_branch(a: jax.Array, x: jax.Array, p: jax.Array) -> Any:
    """Multiply by a shared matrix in a branch."""
    return lax.cond(p, lambda x: a @ x, jnp.zeros_like, x)


def picks_a_product(a: jax.Array, x: jax.Array, p: jax.Array) -> Any:
    """Multiply for all, and pick afterwards."""
    return jnp.where(p, a @ x, 0)


def kernel(x: jax.Array) -> jax.Array:
    """Return the distances between all entries, as weights."""
    return jnp.exp(-jnp.square(x[:, None] - x))


def smooths(x: jax.Array) -> Any:
    """Multiply by a matrix that is made of the example."""
    return kernel(x) @ x


def sums_up(x: jax.Array) -> Any:
    """Add up such a matrix, so that XLA never has it in memory."""
    return kernel(x).sum(1)


def smooths_by_rows(x: jax.Array) -> Any:
    """Multiply by one row of the matrix after the other."""
    return lax.map(lambda one: jnp.exp(-jnp.square(one - x)) @ x, x)


def follows(state: jax.Array, inputs: jax.Array) -> Any:
    """Go through inputs, and keep the last state."""
    return lax.scan(lambda s, x: (jnp.tanh(s + x), None), state, inputs)[0]


def follows_and_sums(state: jax.Array, inputs: jax.Array) -> Any:
    """Go through inputs that are read elsewhere as well."""
    return follows(state, inputs) + inputs.sum(0)


def returns_what_is_shared(a: jax.Array, x: jax.Array) -> Any:
    """Return something that no example has a say in."""
    return jnp.tanh(a), a @ x


def returns_its_own(a: jax.Array, x: jax.Array) -> Any:
    """Return something of that size that depends on the example."""
    return jnp.tanh(a * x), a @ x


def scales(x: jax.Array, s: jax.Array) -> Any:
    """Multiply an array by a number."""
    return x * s


def scales_a_cast(x: jax.Array, s: jax.Array) -> Any:
    """Multiply an array that is meant to be wide."""
    return x.astype(jnp.float32) * s


def scales_by_a_cast(x: jax.Array, s: jax.Array) -> Any:
    """Multiply an array by a number of its type."""
    return x * s.astype(x.dtype)


NARROW = of(32, 8192, dtype=jnp.bfloat16)

CASES = (
    Case(
        "VG201",
        firing=lambda: vmapguide.explain(solves_in_a_branch, in_axes=(None, 0, 0))(A, X, P),
        line="lax.cond(p, lambda x: jnp.linalg.solve",
        twin=lambda: vmapguide.explain(adds_in_a_branch, in_axes=(None, 0, 0))(A, X, P),
        fix=lambda: vmapguide.explain(picks_a_solution, in_axes=(None, 0, 0))(A, X, P),
    ),
    Case(
        "VG202",
        firing=lambda: vmapguide.explain(smooths)(X),
        line="jnp.exp(-jnp.square(x[:, None] - x))",
        twin=lambda: vmapguide.explain(sums_up)(X),
        fix=lambda: vmapguide.explain(smooths_by_rows)(X),
    ),
    Case(
        "VG203",
        firing=lambda: vmapguide.explain(multiplies_in_a_branch, in_axes=(None, 0, 0))(A, X, P),
        line="lambda x: a @ x",
        twin=lambda: vmapguide.explain(multiplies_in_a_branch, in_axes=(0, 0, None))(
            of(32, 64, 64), X, of(dtype=bool)
        ),
        fix=lambda: vmapguide.explain(picks_a_product, in_axes=(None, 0, 0))(A, X, P),
    ),
    Case(
        "VG204",
        firing=lambda: vmapguide.explain(follows)(X, of(32, 100, 64)),
        line="lax.scan(lambda s, x",
        twin=lambda: vmapguide.explain(follows_and_sums)(X, of(32, 100, 64)),
        fix=lambda: vmapguide.explain(follows, in_axes=(0, 1))(X, of(100, 32, 64)),
    ),
    Case(
        "VG205",
        firing=lambda: vmapguide.explain(returns_what_is_shared, in_axes=(None, 0))(A, X),
        line="return jnp.tanh(a), a @ x",
        twin=lambda: vmapguide.explain(returns_its_own, in_axes=(None, 0))(A, X),
        fix=lambda: vmapguide.explain(
            returns_what_is_shared, in_axes=(None, 0), out_axes=(None, 0)
        )(A, X),
    ),
    Case(
        "VG206",
        firing=lambda: vmapguide.explain(scales)(NARROW, of(32)),
        line="return x * s",
        twin=lambda: vmapguide.explain(scales_a_cast)(NARROW, of(32)),
        fix=lambda: vmapguide.explain(scales_by_a_cast)(NARROW, of(32)),
    ),
)
