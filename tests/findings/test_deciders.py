"""A finding about a loop or a branch says which arguments decide how it goes on."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from jax import lax

import vmapguide


X = jnp.ones((4, 3))
N = jnp.arange(4.0)
KEYS = jax.random.split(jax.random.key(0), 4)


def branch(p: Any, x: Any) -> Any:
    """Take a branch."""
    return lax.cond(p > 0, lambda x: jnp.outer(x, x) @ x, lambda x: x, x)


def loop(n: Any, x: Any) -> Any:
    """Make some trips."""
    return lax.while_loop(lambda c: c[0] < n, lambda c: (c[0] + 1, c[1] * 2), (0.0, x))[1]


def grows(x: Any, y: Any, z: Any) -> Any:
    """Go on until what is added up is large: both the start and what is added have a say."""
    return lax.while_loop(lambda c: c < 9, lambda c: c + y + 1, x) + z


def guarded(n: Any, p: Any, x: Any) -> Any:
    """Make trips in a branch."""
    return lax.cond(p > 0, lambda x: loop(n, x), lambda x: x, x)


def by_a_scan(x: Any, y: Any) -> Any:
    """Take a branch on what a loop has computed."""
    total, _ = lax.scan(lambda c, v: (c + v, None), 0.0, x)
    return branch(total, y)


def together(n: Any, x: Any, p: Any) -> Any:
    """Make trips, of which each takes a branch that all examples have a say in."""
    return branch(lax.pmax(p, "i"), loop(n, x))


TRIED: dict[str, tuple[Callable[..., Any], tuple[Any, ...], list[tuple[str, ...]]]] = {
    "a branch": (branch, (N, X), [("p",)]),
    "a loop": (loop, (N, X), [("n",)]),
    "two of three": (grows, (N, N, N), [("x", "y")]),
    "in a nested program": (jax.jit(loop), (N, X), [("n",)]),
    "in a batch": (jax.vmap(loop), (jnp.ones((4, 2)), jnp.ones((4, 2, 3))), [("n",)]),
    "a gradient": (jax.grad(lambda p, x: branch(p, x).sum(), 1), (N, X), [("p",)]),
    "a library's": (jax.random.poisson, (KEYS, N), [("key", "lam")]),
    "what a loop computes": (by_a_scan, (X, X), [("x",)]),
    "a loop and not a branch": (together, (N, X, N), [("n",)]),
    "one argument": (lambda x: loop(x[0], x), (X,), [()]),
}


@pytest.mark.parametrize(("f", "arguments", "expected"), TRIED.values(), ids=TRIED)
def test_who_decides(
    f: Callable[..., Any], arguments: tuple[Any, ...], expected: list[tuple[str, ...]]
) -> None:
    """The arguments that have a say are named, and no others."""
    findings = vmapguide.explain(f, axis_name="i")(*arguments).findings
    named = [f.deciders for f in findings if f.code in ("VG101", "VG102", "VG103", "VG104")]
    assert list(dict.fromkeys(named)) == expected


def test_each_has_its_own() -> None:
    """Of a branch and the loop in it, each is decided by something else."""
    findings = vmapguide.explain(guarded)(N, N, X).findings
    assert {f.code: f.deciders for f in findings} == {"VG104": ("p",), "VG102": ("n",)}


def test_what_is_shared_decides_nothing() -> None:
    """Who shares it need not be told that it differs."""
    findings = vmapguide.explain(grows, in_axes=(None, 0, 0))(1.0, N, N).findings
    assert [f.deciders for f in findings] == [("y",)]


def test_the_sentence() -> None:
    """It is the last of the message, and in the data."""
    (one,) = vmapguide.explain(loop)(N, X).findings
    assert one.message.endswith(" `n` decides.")
    (two,) = vmapguide.explain(grows)(N, N, N).findings
    assert two.message.endswith(" `x` and `y` decide.")
    assert two.to_dict()["deciders"] == ["x", "y"]


def test_leaves() -> None:
    """A leaf is named, whatever its key; of many leaves, the argument they are in."""

    def f(s: dict[str, Any], x: Any) -> Any:
        return loop(s["`n`"], x) + sum(s.values())

    few = {"`n`": N, "b": N}
    (finding,) = vmapguide.explain(f)(few, X).findings
    assert finding.message.endswith(" `s[''n'']` decides.")
    many = few | {f"c{k}": N for k in range(9)}
    (finding,) = vmapguide.explain(f)(many, X).findings
    assert finding.deciders == ("s",)


def test_several_leaves() -> None:
    """Of more than three that decide, their arguments are named, and no more than four of these."""

    def f(s: dict[str, Any], *more: Any) -> Any:
        return loop(sum(s.values()) + sum(more), X[0])

    leaves = {"a": N, "b": N, "c": N}
    (finding,) = vmapguide.explain(f)(leaves).findings
    assert finding.deciders == ("s['a']", "s['b']", "s['c']")
    (finding,) = vmapguide.explain(f)(leaves | {"d": N}, N).findings
    assert finding.deciders == ("s", "more")

    def g(**more: Any) -> Any:
        return loop(sum(more.values()), X[0])

    (finding,) = vmapguide.explain(g)(a=N, b=N, c=N, d=N, e=N).findings
    assert finding.message.endswith(" `a`, `b`, `c`, `d` and 1 more decide.")


def test_too_many() -> None:
    """With many arguments nothing is said: the program would be followed once for each."""

    def f(*arguments: Any) -> Any:
        return loop(arguments[0], arguments[1]) + sum(arguments[2:])

    eight, nine = [N, X, *[N] * 6], [N, X, *[N] * 7]
    assert vmapguide.explain(f)(*eight).findings[0].deciders != ()
    assert vmapguide.explain(f)(*nine).findings[0].deciders == ()
