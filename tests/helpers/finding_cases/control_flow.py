"""Cases of the rules about branches and loops."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

import vmapguide
from finding_cases import Case


X = jnp.array([[1.0, -2.0, 3.0], [0.5, 0.5, -4.0]])
P = X[:, 0] > 0
LENGTHS = jnp.array([1, 2])


# -- VG101 --


def picks_a_branch(x: jax.Array, p: jax.Array) -> Any:
    """Take one of two branches."""
    return lax.cond(p, jnp.sin, lambda x: x @ x * x, x)


def picks_a_value(x: jax.Array, p: jax.Array) -> Any:
    """Take one of two values, which costs nothing more in a batch."""
    return lax.cond(p, lambda x, _: x, lambda _, y: y, x, 2 * x)


# -- VG102 --


def until_small(x: jax.Array) -> Any:
    """Halve a vector as often as it needs."""
    return lax.while_loop(lambda x: x @ x > 1, lambda x: x / 2, x)


def as_often(n: jax.Array, x: jax.Array) -> Any:
    """Halve a vector as often as all are halved."""
    return lax.fori_loop(0, n, lambda _, x: x / 2, x)


def up_to_ten_times(x: jax.Array) -> Any:
    """Halve a vector as often as it needs, in ten trips."""
    return lax.fori_loop(0, 10, lambda _, x: jnp.where(x @ x > 1, x / 2, x), x)


# -- VG103 --


def a_loop_for_each_entry(plan: jax.Array) -> Any:
    """Count up to each entry, in a loop of its own."""

    def count(total: jax.Array, entry: jax.Array) -> Any:
        return total + lax.while_loop(lambda j: j < entry, lambda j: j + 1, jnp.float32(0)), None

    return lax.scan(count, jnp.float32(0), plan)[0]


def entries_in_each_trip(plan: jax.Array) -> Any:
    """Look at all entries in each trip of one loop."""

    def look(total: jax.Array) -> Any:
        return lax.scan(lambda total, entry: (total + entry**2 + 1, None), total, plan)[0]

    return lax.while_loop(lambda total: total < 10, look, jnp.float32(0))


def one_loop_for_all_entries(plan: jax.Array) -> Any:
    """Count up to each entry, in one loop of two counters."""

    def trip(state: tuple[jax.Array, ...]) -> Any:
        i, j, total = state
        is_done = j >= plan[i]
        return i + is_done, jnp.where(is_done, 0, j + 1), total + ~is_done

    start = jnp.int32(0), jnp.float32(0), jnp.float32(0)
    return lax.while_loop(lambda state: state[0] < plan.size, trip, start)[2]


# -- VG104 --


def doubled(x: jax.Array) -> Any:
    """Double a number until it is large; nought never is."""
    return lax.while_loop(lambda x: x < 100, lambda x: 2 * x, x)


def guarded(x: jax.Array) -> Any:
    """Double what is not nought."""
    return lax.cond(x > 0, doubled, lambda x: x, x)


def guarded_and_capped(x: jax.Array) -> Any:
    """Double what is not nought, a thousand times at most."""

    def doubled(x: jax.Array) -> Any:
        def go_on(state: tuple[jax.Array, jax.Array]) -> Any:
            return (state[0] < 100) & (state[1] < 1000)

        return lax.while_loop(go_on, lambda s: (2 * s[0], s[1] + 1), (x, jnp.int32(0)))[0]

    return lax.cond(x > 0, doubled, lambda x: x, x)


def decided_by_the_loop(x: jax.Array) -> Any:
    """Double as long as it is not nought and not large."""
    return lax.while_loop(lambda x: (x > 0) & (x < 100), lambda x: 2 * x, x)


# -- VG105 --


def read_to_its_length(n: jax.Array, xs: jax.Array) -> Any:
    """Read a sequence up to its length."""
    return lax.fori_loop(0, n, lambda i, h: jnp.tanh(h + xs[i]), jnp.float32(0))


def counted_to_its_length(n: jax.Array, xs: jax.Array) -> Any:
    """Make as many trips, in which nothing is read at the counter."""
    return lax.fori_loop(0, n, lambda _, h: jnp.tanh(h + xs.sum()), jnp.float32(0))


def read_to_the_longest(n: jax.Array, xs: jax.Array) -> Any:
    """Read a sequence as far as the longest goes, and keep what came of its own length."""

    def read(i: jax.Array, h: jax.Array) -> Any:
        return jnp.where(i < n, jnp.tanh(h + xs[i]), h)

    return lax.fori_loop(0, lax.pmax(n, "batch"), read, jnp.float32(0))


# -- VG106 --


def filled_by_array(x: jax.Array, start: jax.Array) -> Any:
    """Fill an array from a place on, and choose between arrays."""

    def step(i: int, x: jax.Array) -> Any:
        at = start + i
        return lax.cond(at < x.size, lambda x: x.at[at].set(1.0), lambda x: x, x)

    return lax.fori_loop(0, 100, step, x)


def filled_by_value(x: jax.Array, start: jax.Array) -> Any:
    """Fill an array from a place on, and choose between numbers."""

    def step(i: int, x: jax.Array) -> Any:
        at = start + i
        return x.at[at].set(jnp.where(at < x.size, 1.0, x[at]))

    return lax.fori_loop(0, 100, step, x)


LONG, SHORT = jnp.zeros((2, 1000)), jnp.zeros((2, 100))

CASES = (
    Case(
        "VG101",
        firing=lambda: vmapguide.explain(picks_a_branch)(X, P),
        line="lax.cond(p, jnp.sin",
        twin=lambda: vmapguide.explain(picks_a_value)(X, P),
        fix=lambda: vmapguide.explain(picks_a_branch, in_axes=(0, None))(X, P[0]),
    ),
    Case(
        "VG102",
        firing=lambda: vmapguide.explain(until_small)(X),
        line="lax.while_loop(lambda x: x @ x > 1",
        twin=lambda: vmapguide.explain(as_often, in_axes=(None, 0))(LENGTHS[0], X),
        fix=lambda: vmapguide.explain(up_to_ten_times)(X),
    ),
    Case(
        "VG103",
        firing=lambda: vmapguide.explain(a_loop_for_each_entry)(X),
        line="lax.while_loop(lambda j: j < entry",
        twin=lambda: vmapguide.explain(entries_in_each_trip)(X),
        fix=lambda: vmapguide.explain(one_loop_for_all_entries)(X),
    ),
    Case(
        "VG104",
        firing=lambda: vmapguide.explain(guarded)(X[0]),
        line="lax.cond(x > 0, doubled",
        twin=lambda: vmapguide.explain(guarded_and_capped)(X[0]),
        fix=lambda: vmapguide.explain(decided_by_the_loop)(X[0]),
    ),
    Case(
        "VG105",
        firing=lambda: vmapguide.explain(read_to_its_length)(LENGTHS, X),
        line="lax.fori_loop(0, n",
        twin=lambda: vmapguide.explain(counted_to_its_length)(LENGTHS, X),
        fix=lambda: vmapguide.explain(read_to_the_longest, axis_name="batch")(LENGTHS, X),
    ),
    Case(
        "VG106",
        firing=lambda: vmapguide.explain(filled_by_array)(LONG, LENGTHS),
        line="lax.cond(at < x.size",
        twin=lambda: vmapguide.explain(filled_by_array)(SHORT, LENGTHS),
        fix=lambda: vmapguide.explain(filled_by_value)(LONG, LENGTHS),
    ),
)
