"""What can be read off a `while`: whether it is sure to end, and what examples share of it."""

from collections.abc import Callable
from typing import Any

import jax
import jax.extend.core as jec
import jax.numpy as jnp
import pytest
from jax import lax

from vmapguide._jaxpr.while_loops import alike, is_sure_to_end


def the_while(f: Callable[..., Any], *args: Any) -> jec.JaxprEqn:
    """Return the one loop of a function."""
    eqn: jec.JaxprEqn
    (eqn,) = [e for e in jax.make_jaxpr(f)(*args).eqns if e.primitive.name == "while"]
    return eqn


def loop(go_on: Any, trip: Any, *start: Any) -> jec.JaxprEqn:
    """Return the equation of a loop that carries a number, and what else it starts with."""
    return the_while(lambda x: lax.while_loop(go_on, trip, (x, *start)), 8.0)


def halve_and_count(state: Any) -> Any:
    """Halve a number, and count up."""
    return state[0] / 2, state[1] + 1


def halve_and_count_down(state: Any) -> Any:
    """Halve a number, and count down."""
    return state[0] / 2, state[1] - 1


UP_TO_A_BOUND: dict[str, Any] = {
    "below": lambda s: s[1] < 9,
    "at most": lambda s: s[1] <= 9,
    "above": lambda s: 9 > s[1],  # noqa: SIM300 - it is another equation.
    "and": lambda s: (s[0] > 1) & (s[1] < 9),
    "and, twice": lambda s: jnp.logical_and((s[0] > 1) & (s[0] < 99), s[1] < 9),
    "computed": jax.jit(lambda s: (s[0] > 1) & (s[1] < jnp.int32(4) * 2)),
}


@pytest.mark.parametrize("bound", UP_TO_A_BOUND)
def test_a_count_up_to_a_bound_ends(bound: str) -> None:
    """However the bound is written, and whatever else is asked."""
    go_on = UP_TO_A_BOUND[bound]
    assert is_sure_to_end(loop(go_on, halve_and_count, 0))
    assert is_sure_to_end(loop(go_on, jax.jit(halve_and_count), 0))


def test_a_count_down_to_a_bound_ends() -> None:
    """A counter may go either way, if the bound is on that side."""
    go_on = lambda s: (s[0] > 1) & (s[1] > 0)  # noqa: E731
    assert is_sure_to_end(loop(go_on, halve_and_count_down, 9))
    assert not is_sure_to_end(loop(go_on, halve_and_count, 9))


MAY_NOT_END: dict[str, tuple[Any, Any]] = {
    "no bound": (lambda s: s[0] > 1, halve_and_count),
    "one of two conditions": (lambda s: (s[0] > 1) | (s[1] < 9), halve_and_count),
    "not equal": (lambda s: s[1] != 9, halve_and_count),
    "a product": (lambda s: s[1] < 9, lambda s: (s[0], s[1] * 2)),
    "nothing added": (lambda s: s[1] < 9, lambda s: (s[0], s[1] + 0)),
    "added at times": (lambda s: s[1] < 9, lambda s: (s[0], s[1] + (s[0] > 1))),
    "a bound that moves": (lambda s: s[1] < s[0], lambda s: (2 * s[0], s[1] + 1)),
    "begun anew": (lambda s: s[1] < 9, lambda s: (s[0], 0)),
}


@pytest.mark.parametrize("loop_", MAY_NOT_END)
def test_other_loops_may_not_end(loop_: str) -> None:
    """A bound that moves, a counter that may stand, a condition that is one of two."""
    assert not is_sure_to_end(loop(*MAY_NOT_END[loop_], 0))


def test_a_float_is_no_counter() -> None:
    """Where it is large, adding one does not change it."""
    assert not is_sure_to_end(loop(lambda s: s[1] < 1e9, halve_and_count, 0.0))


def test_a_bound_from_outside_ends() -> None:
    """The bound of a `fori_loop` is carried, and no trip changes it."""
    eqn = the_while(lambda n, x: lax.fori_loop(0, n, lambda _, x: x / 2, x), 3, 8.0)
    assert is_sure_to_end(eqn)


def test_a_flag_from_outside_guards() -> None:
    """A loop that asks for it in its condition does not begin where the flag says no."""

    def f(x: Any, ok: Any) -> Any:
        return lax.while_loop(lambda x: (x > 1) & ok, lambda x: x / 2, x)

    assert is_sure_to_end(the_while(f, 8.0, True))


def reads(n: Any, xs: Any) -> Any:
    """Read a vector up to a length, in a jitted body."""
    return lax.fori_loop(0, n, jax.jit(lambda i, h: h + xs[i]), 0.0)


def test_a_counter_is_alike() -> None:
    """It counts the same for all, and so does the bound; what is read is each example's own."""
    eqn = the_while(reads, 3, jnp.ones(5))
    # The vector, the counter, the bound, and the sum.
    found = alike(eqn, [True, False, True, False])
    assert found.is_index
    assert len(found.places) == 1


def test_what_examples_change_is_not_alike() -> None:
    """What depends on an example in the second trip does so in all that follow."""

    def f(x: Any) -> Any:
        return lax.while_loop(lambda s: s[0] < 9, lambda s: (s[1], s[2], s[0]), (1.0, 2.0, x))

    eqn = the_while(f, 3.0)
    assert alike(eqn, [False, False, True]).places == frozenset()
    assert alike(eqn, [False, False, False]).places == {0, 1, 2}
