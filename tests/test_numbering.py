"""Value numbering: what is the same by construction, and never anything else."""

import functools
import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.extend.core as jec
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jax import lax

from vmapguide._jaxpr import value_numbering
from vmapguide._jaxpr.alignment import align, flat
from vmapguide._jaxpr.compat import opened
from vmapguide._jaxpr.trace_matching import equal
from vmapguide._jaxpr.value_numbering import Numbering
from vmapguide._jaxpr.views import BaseAxis, New, View
from vmapguide._measure import xla


S = jnp.arange(9.0).reshape(3, 3)
U = S + 1
R = jnp.arange(6.0).reshape(2, 3)
V = jnp.arange(3.0)


def same(f: Callable[..., Any], g: Callable[..., Any], *args: Any) -> bool:
    """Say whether two functions have the same jaxpr."""
    return align(*(flat(jax.make_jaxpr(h)(*args)) for h in (f, g))).same


def relations(f: Callable[..., Any], g: Callable[..., Any], *args: Any) -> list[str] | None:
    """Return the relations of the steps of two functions that do work, None if declined."""
    aligned = align(*(flat(jax.make_jaxpr(h)(*args)) for h in (f, g)))
    if aligned.pairs is None:
        return None
    return [pair.relation for pair in aligned.pairs if not pair.is_layout]


def scan(f: Callable[[Any, Any], Any], length: int = 3) -> Callable[[Any], Any]:
    """Return a scan."""
    return lambda x: lax.scan(lambda c, _: (f(c, x), None), x, None, length=length)[0]


def added(one: Any, other: Any) -> Any:
    """Return a sum."""
    return one + other


def called(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a function that calls another outside of JAX."""
    return lambda x: jax.pure_callback(f, x, x)


def scaled(factor: Any) -> Callable[[Any], Any]:
    """Return a callback, made anew, that captured a factor."""
    return called(lambda v: v * factor)


def halving() -> Callable[[Any], Any]:
    """Return a callback, made anew, that captured itself."""

    def half(v: Any) -> Any:
        return v if (v < 1).all() else half(v / 2)

    return called(half)


class Scale:
    """Something with a method."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def __call__(self, v: Any) -> Any:
        return v * self.factor

    def apply(self, v: Any) -> Any:
        return v * self.factor


DOUBLE, TRIPLE = Scale(2.0), Scale(3.0)


def stored(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a function that writes into a mutable array and reads it."""

    def run(x: Any) -> Any:
        ref = jax.new_ref(x)
        ref[...] = f(x)
        return jnp.sin(ref[...])

    return run


# Two functions that have the same jaxpr, and their arguments.
SAME: dict[str, tuple[Any, Any, tuple[Any, ...]]] = {
    "names": (lambda a: a + 1, lambda b: b + 1, (S,)),
    "a call": (lambda x: jax.jit(jnp.sin)(x) + 1, lambda x: jnp.sin(x) + 1, (S,)),
    "calls in calls": (jax.jit(jax.jit(lambda x: x * 2)), lambda x: x * 2, (S,)),
    "remat": (jax.checkpoint(jnp.sin), jnp.sin, (S,)),
    "a call in a loop": (scan(jax.jit(jnp.add)), scan(lambda c, x: c + x), (S,)),
    "negative axes": (lambda x: x.sum(-1), lambda x: x.sum(1), (S,)),
    "the order of what is independent": (
        lambda x: added(jnp.sin(x), jnp.cos(x)),
        lambda x: added(*[jnp.cos(x), jnp.sin(x)][::-1]),
        (S,),
    ),
    "constants": (lambda x: x + S, lambda x: x + jnp.array(np.asarray(S)), (S,)),
    "weak types": (lambda x: x * 2.0, lambda x: x * jnp.float32(2.0), (S,)),
    "a third": (lambda x: x * (1 / 3), lambda x: x * np.float32(1 / 3), (S,)),
    "nothing to do": (lambda x: x, jax.jit(lambda y: y), (S,)),
    "moved axes alone": (lambda x: x.T, jnp.transpose, (S,)),
    "what a call captured": (jax.jit(lambda x: x @ S), lambda x: x @ S, (S,)),
    "what calls in calls captured": (
        jax.jit(lambda x: jax.jit(lambda x: x @ S)(x) + S),
        lambda x: x @ S + S,
        (S,),
    ),
    "what a call in a loop captured": (
        scan(jax.jit(lambda c, x: c * x + S)),
        scan(jax.jit(lambda c, x: c * x + S)),
        (S,),
    ),
    "a rule for derivatives": (jax.nn.relu, lambda x: jnp.maximum(x, 0), (S,)),
    "a callback": (scaled(2.0), scaled(2.0), (S,)),
    "an array that a callback captured": (scaled(np.ones(3)), scaled(np.ones(3)), (S,)),
    "a callback that calls itself": (halving(), halving(), (S,)),
    "a method": (called(DOUBLE.apply), called(DOUBLE.apply), (S,)),
    "an object": (called(DOUBLE), called(DOUBLE), (S,)),
    "a part of a function": (
        called(functools.partial(np.multiply, 2)),
        called(functools.partial(np.multiply, 2)),
        (S,),
    ),
    "the same effects": (
        lambda x: (jax.debug.print("a"), jax.debug.print("b"), x)[2],
        lambda x: (jax.debug.print("a"), jax.debug.print("b"), x)[2],
        (S,),
    ),
    "a mutable array": (stored(jnp.sin), stored(jnp.sin), (S,)),
}

# XLA would see that 0, 1, 2, ... is that, and not keep it.
LARGE = np.sin(np.arange(4000.0, dtype=np.float32))
CHANGED = np.where(np.arange(4000) == 2000, 0, LARGE)

# Two functions that have not, and their arguments.
OTHER: dict[str, tuple[Any, Any, tuple[Any, ...]]] = {
    "another operation": (jnp.sin, jnp.cos, (S,)),
    "another axis": (lambda x: x.sum(0), lambda x: x.sum(1), (S,)),
    "another number": (lambda x: x * 0.1, lambda x: x * 0.2, (S,)),
    "another constant": (lambda x: x + S, lambda x: x + 2 * S, (S,)),
    "operands exchanged": (lambda x, y: x - y, lambda x, y: y - x, (S, S + 1)),
    "results exchanged": (lambda x: (jnp.sin(x), x), lambda x: (x, jnp.sin(x)), (S,)),
    "an argument for another": (lambda x, y: x + 0 * y, lambda x, y: y + 0 * x, (S, S)),
    "computed twice": (
        lambda x: added(jnp.sin(x), jnp.sin(x)),
        lambda x: added(*[jnp.sin(x)] * 2),
        (S,),
    ),
    "computed for nothing": (lambda x: (jnp.sin(x), x)[1], lambda x: x, (S,)),
    "a longer loop": (scan(lambda c, x: c + x), scan(lambda c, x: c + x, length=4), (S,)),
    "another body": (scan(lambda c, x: c + x), scan(lambda c, x: c * x), (S,)),
    "another branch": (
        lambda x: lax.cond(x[0, 0] > 0, jnp.sin, jnp.cos, x),
        lambda x: lax.cond(x[0, 0] > 0, jnp.cos, jnp.sin, x),
        (S,),
    ),
    "what a call captured": (jax.jit(lambda x: x + S), jax.jit(lambda x: x + U), (S,)),
    "what a call in a loop captured": (
        scan(jax.jit(lambda c, x: c * x + S)),
        scan(jax.jit(lambda c, x: c * x + U)),
        (S,),
    ),
    "one value of many": (
        lambda x: x + LARGE,
        lambda x: x + CHANGED,
        (jnp.ones(4000),),
    ),
    "a zero with a sign": (lambda x: x * 0.0, lambda x: x * -0.0, (S,)),
    "the number next to it": (
        lambda x: x * np.float32(0.1),
        lambda x: x * np.nextafter(np.float32(0.1), np.float32(1)),
        (S,),
    ),
    "another callback": (called(lambda v: v + 1), called(lambda v: v * 2), (S,)),
    "another number in a callback": (called(lambda v: v + 1), called(lambda v: v + 2), (S,)),
    "what a callback captured": (scaled(2.0), scaled(3.0), (S,)),
    "a zero with a sign that a callback captured": (scaled(0.0), scaled(-0.0), (S,)),
    "an array that a callback captured": (scaled(np.ones(3)), scaled(np.arange(3.0)), (S,)),
    "another object's method": (called(DOUBLE.apply), called(TRIPLE.apply), (S,)),
    "another object": (called(DOUBLE), called(TRIPLE), (S,)),
    "a part of another function": (
        called(functools.partial(np.multiply, 2)),
        called(functools.partial(np.multiply, 3)),
        (S,),
    ),
    "what was stored": (stored(jnp.sin), stored(jnp.cos), (S,)),
    "another precision": (
        lambda x: jnp.matmul(x, x, precision="highest"),
        lambda x: jnp.matmul(x, x, precision="high"),
        (S,),
    ),
    "the largest along another axis": (
        lambda x: x.argmax(0),
        lambda x: x.argmax(1),
        (S,),
    ),
    "other rows": (lambda x: x[np.array([0, 1])], lambda x: x[np.array([0, 2])], (S,)),
    "another dtype": (lambda x: x.astype(int), lambda x: x.astype(bool), (S,)),
    "a transpose": (lambda x: x.T, lambda x: x, (S,)),
    "another order of effects": (
        lambda x: (jax.debug.print("a"), jax.debug.print("b"), x)[2],
        lambda x: (jax.debug.print("b"), jax.debug.print("a"), x)[2],
        (S,),
    ),
    "an effect more": (
        lambda x: (jax.debug.print("a"), x)[1],
        lambda x: (jax.debug.print("a"), jax.debug.print("a"), x)[2],
        (S,),
    ),
}


class TestStrict:
    """Whether jaxprs are the same."""

    @pytest.mark.parametrize("case", SAME)
    def test_the_same(self, case: str) -> None:
        """Names, calls, order and spelling do not count."""
        f, g, args = SAME[case]
        assert same(f, g, *args)
        assert set(relations(f, g, *args) or ["same"]) <= {"same", "moved"}

    @pytest.mark.parametrize("case", OTHER)
    def test_not_the_same(self, case: str) -> None:
        """Everything else does."""
        f, g, args = OTHER[case]
        assert not same(f, g, *args)


# Two functions, their arguments, and how their steps that do work are related.
LAYOUT: dict[str, tuple[Any, Any, tuple[Any, ...], list[str]]] = {
    "axes in another order": (jnp.sin, lambda x: jnp.sin(x.T), (S,), ["layout"]),
    "a sum over the same axis": (lambda x: x.sum(1), lambda x: x.T.sum(0), (S,), ["layout"]),
    "a sum over the other axis": (lambda x: x.sum(1), lambda x: x.sum(0), (S,), ["differs"]),
    "a sum over the other axis, moved": (
        lambda x: x.sum(1),
        lambda x: x.T.sum(1),
        (S,),
        ["differs"],
    ),
    "a product": (lambda x, y: x @ y, lambda x, y: (y.T @ x.T).T, (S, S + 1), ["layout"]),
    "another product": (lambda x, y: x @ y, lambda x, y: y @ x, (S, S + 1), ["differs"]),
    "a product with itself": (lambda x: x @ x.T, lambda x: x.T @ x, (S,), ["differs"]),
    "a product with itself, moved": (lambda x: x @ x.T, lambda x: (x @ x.T).T, (S,), ["same"]),
    "operands exchanged": (lambda x, y: x + y, lambda x, y: y + x, (S, S + 1), ["layout"]),
    "operands that cannot be": (lambda x, y: x - y, lambda x, y: y - x, (S, S + 1), ["differs"]),
    "spread along another axis": (
        lambda x, v: x + v[:, None],
        lambda x, v: x + v[None, :],
        (S, V),
        ["differs"],
    ),
    "spread along the same axis": (
        lambda x, v: x + v[:, None],
        lambda x, v: (x.T + v[None, :]).T,
        (S, V),
        ["layout"],
    ),
    "another dtype": (
        lambda x: x.astype(jnp.int32),
        lambda x: x.astype(jnp.float16).T,
        (S,),
        ["differs"],
    ),
    "another power": (lambda x: x**2, lambda x: (x**3).T, (S,), ["differs"]),
    "summed in other pairs": (
        lambda x, y: jnp.einsum("abc,abd->cd", x, y),
        lambda x, y: jnp.einsum("abc,bad->cd", x, y),
        (jnp.ones((3, 3, 3)), jnp.ones((3, 3, 3))),
        ["differs"],
    ),
    "more of the same work": (
        lambda v: jnp.sin(jnp.broadcast_to(v, (3, 3))),
        lambda v: jnp.broadcast_to(jnp.sin(v), (3, 3)),
        (V,),
        ["differs"],
    ),
    "its own transpose": (lambda x: x + x.T, lambda x: (x + x.T).T, (S,), ["same"]),
    "cases exchanged": (
        lambda x: jnp.where(x > 0, x, -x),
        lambda x: jnp.where(x > 0, -x, x),
        (S,),
        ["same", "same", "differs"],
    ),
    "along another axis": (
        lambda x: jnp.cumsum(x, 0),
        lambda x: jnp.cumsum(x, 1),
        (S,),
        ["differs"],
    ),
    "keepdims": (
        lambda x: x / x.sum(1, keepdims=True),
        lambda x: (x.T / x.sum(1)).T,
        (R,),
        ["same", "layout"],
    ),
    "merged axes": (lambda x: jnp.sin(x.reshape(-1)), jnp.sin, (R,), ["differs"]),
    "one constant more": (
        lambda x: jnp.sin(x) + S,
        lambda x: jnp.sin(x) + S + S.T,
        (S,),
        ["same", "same", "right"],
    ),
    "read in another order": (
        lambda x: jnp.sin(lax.reshape(x, (3, 3), dimensions=(1, 0))).sum(0),
        lambda x: jnp.sin(x).sum(0),
        (S,),
        ["layout", "differs"],
    ),
    "as many new values, in other axes": (
        lambda v: jnp.sin(jnp.broadcast_to(v, (2, 3, 3))),
        lambda v: jnp.sin(jnp.broadcast_to(v, (6, 3))),
        (V,),
        ["differs"],
    ),
    "precision of the one operand and of the other": (
        lambda x, y: jnp.matmul(x, y, precision=("highest", "default")),
        lambda x, y: jnp.matmul(y.T, x.T, precision=("highest", "default")).T,
        (S, S + 1),
        ["differs"],
    ),
    "precision of both": (
        lambda x, y: jnp.matmul(x, y, precision="highest"),
        lambda x, y: jnp.matmul(y.T, x.T, precision="highest").T,
        (S, S + 1),
        ["layout"],
    ),
    "a batch": (
        lambda x, y: jnp.einsum("bij,bjk->bik", x, y),
        jax.vmap(lambda x, y: (y.T @ x.T).T),
        (jnp.ones((3, 3, 3)), jnp.ones((3, 3, 3))),
        ["layout"],
    ),
    "another batch": (
        lambda x, y: jnp.einsum("bij,bjk->bik", x, y),
        lambda x, y: jnp.einsum("ibj,bjk->bik", x, y),
        (jnp.ones((3, 3, 3)), jnp.ones((3, 3, 3))),
        ["differs"],
    ),
    "a sum over copies": (
        lambda v: jnp.broadcast_to(v, (3, 3)).sum(0),
        lambda v: jnp.broadcast_to(v, (3, 3)).sum(1),
        (V,),
        ["differs"],
    ),
    "another text": (
        lambda x: (jax.debug.print("a"), jnp.sin(x))[1],
        lambda x: (jax.debug.print("b"), jnp.sin(x))[1],
        (S,),
        ["differs", "same"],
    ),
    "sorted along another axis": (
        lambda x: jnp.sort(x, 0),
        lambda x: jnp.sort(x, 1),
        (S,),
        ["differs"],
    ),
    "sorted along another axis of the transpose": (
        lambda x: jnp.sort(x, 0),
        lambda x: jnp.sort(x.T, 0),
        (S,),
        ["differs"],
    ),
    "axes of size one": (lambda x: jnp.sin(x[None]), jnp.sin, (R,), ["layout"]),
}


def test_the_example_of_the_docstring() -> None:
    """It has the numbers that are found."""
    numbering = Numbering()
    found = []
    for f in (lambda x: x.T + 1, lambda x: (x + 1).T):
        for row in numbering.read(jax.make_jaxpr(f)(R))[0]:
            ((strict, view),) = row.results
            found.append(f"{strict} {view.base} {', '.join(str(a.number) for a in view.axes)}")  # type: ignore[union-attr]
    assert found == ["2 0 1, 0", "5 6 1, 0", "8 6 0, 1", "10 6 1, 0"]
    text = " ".join((value_numbering.__doc__ or "").split())
    assert [line in text for line in found] == [True] * 4


class TestLayout:
    """Whether steps are the same but for their axes."""

    @pytest.mark.parametrize("case", LAYOUT)
    def test_relations(self, case: str) -> None:
        """Decided, not guessed: squares do not confuse it."""
        f, g, args, expected = LAYOUT[case]
        if case == "merged axes":
            # The reshape does work of its own, as nothing is known of it.
            assert "layout" not in (relations(f, g, *args) or [])
            return
        assert relations(f, g, *args) == expected

    def test_a_reshape_is_no_transpose(self) -> None:
        """It has the same sizes, and other values."""
        assert relations(lambda x: jnp.sin(x.reshape(3, 2)), lambda x: jnp.sin(x.T), R) is None

    def test_nested(self) -> None:
        """What is in a loop is aligned, too, if the loops are not the same."""
        f, g = scan(lambda c, x: jnp.sin(c) + x), scan(lambda c, x: jnp.sin(c) * x)
        aligned = align(*(flat(jax.make_jaxpr(h)(S)) for h in (f, g)))
        assert aligned.pairs is not None
        inner = [(pair.relation, pair.depth) for pair in aligned.pairs]
        assert inner == [("differs", 0), ("same", 1), ("left", 1), ("right", 1)]

    def test_another_order(self) -> None:
        """What is on both sides is on neither alone."""
        f, g, args = SAME["the order of what is independent"]
        assert sorted(relations(f, g, *args) or []) == ["moved", "moved", "same", "same"]

    def test_read_after_another_write(self) -> None:
        """What is read depends on what was written."""
        found = relations(stored(jnp.sin), stored(jnp.cos), S)
        # The array is made, and then everything differs: what is written, read and used.
        assert found is not None
        assert found[0] == "same"
        assert "same" not in found[1:]
        assert "layout" not in found

    def test_constants_of_a_call_in_a_loop(self) -> None:
        """They are told apart inside of it, too."""
        f, g, args = OTHER["what a call in a loop captured"]
        assert relations(f, g, *args) == ["differs", "differs", "same", "differs"]

    def test_nothing_in_common(self) -> None:
        """An alignment that would be a guess is declined."""
        assert relations(lambda x: jnp.sin(x) + 1, lambda x: jnp.cos(x).sum(), S) is None


# -- Random programs ----------------------------------------------------------

Step = tuple[int, int, int, int]
STEPS = st.lists(st.tuples(*[st.integers(0, 1000)] * 4), min_size=4, max_size=14)


def program(steps: list[Step]) -> Callable[[Any, Any], list[Any]]:
    """Return a function of two square matrices; its values are squares, vectors and numbers."""

    def run(x: jax.Array, y: jax.Array) -> list[Any]:
        values = [x, y]
        for kind, first, second, axis in steps:
            one, other = values[first % len(values)], values[second % len(values)]
            values.append(_apply(kind % 15, one, other, axis))
        return values

    return run


# Products over axes that are paired, summed, both or neither.
PRODUCTS = ["ij,ij->i", "ij,ij->j", "ij,ji->i", "ij,kj->ik", "ij,ik->jk", "ij,ji->ij", "ij,ij->"]


def _apply(kind: int, one: Any, other: Any, axis: int) -> Any:  # noqa: C901, PLR0911
    """Apply one of the operations that there is a rule for."""
    if kind == 0:
        return jnp.negative(one)
    if kind == 1:
        return one.T
    if kind == 2 and one.ndim:
        return one.sum(axis % one.ndim)
    if kind == 3 and one.ndim < 2:
        return (
            jnp.stack([one]).repeat(3, 0) if axis % 2 and not one.ndim else jnp.expand_dims(one, 0)
        )
    if kind == 4 and one.ndim == 1:
        return jnp.broadcast_to(one[:, None] if axis % 2 else one[None], (one.size, one.size))
    if kind == 5 and one.ndim == other.ndim == 2 and one.shape == other.shape[::-1]:
        return one @ other
    if kind == 6 and one.ndim == 2:
        return jnp.max(one, axis % 2)
    if kind == 7 and one.shape == (3, 3):
        return lax.reshape(one, (9,) if axis % 3 == 2 else (3, 3), ((0, 1), (1, 0))[axis % 2])
    if kind == 8 and one.ndim:
        return jnp.cumsum(one, axis % one.ndim)
    if kind == 9:
        return jnp.where(one > 0, *((one, -one)[:: 1 - 2 * (axis % 2)]))
    if kind == 10 and one.shape == other.shape == (3, 3):
        return jnp.einsum(PRODUCTS[axis % len(PRODUCTS)], one, other)
    if kind == 11 and one.ndim < 3:
        return jnp.expand_dims(one, axis % (one.ndim + 1))
    operation = (jnp.add, jnp.subtract, jnp.multiply)[kind % 3]
    return operation(one, other) if one.shape == other.shape else operation(one, one.T)


def evaluated(jaxpr: Any, args: tuple[Any, ...]) -> list[list[Any]]:
    """Return the results of each equation of a flat jaxpr."""
    inner = opened(jaxpr)
    known: dict[Any, Any] = dict(zip(inner.invars, args, strict=True))
    known |= zip(inner.constvars, jaxpr.consts, strict=True)
    made = []
    for eqn in inner.eqns:
        read = [v.val if isinstance(v, jec.Literal) else known[v] for v in eqn.invars]
        results = eqn.primitive.bind(*read, **eqn.params)
        results = results if eqn.primitive.multiple_results else [results]
        known |= zip(eqn.outvars, results, strict=True)
        made.append([np.asarray(result) for result in results])
    return made


def base_of(value: Any, view: View) -> Any:
    """Return the base of a value that is a view of it: new axes taken out, the others in order."""
    for axis in reversed(range(value.ndim)):
        if isinstance(view.axes[axis], New):
            first = value.take([0], axis)
            assert (value == first).all(), "something changes along a new axis"
            value = first.squeeze(axis)
    kept = [axis.number for axis in view.axes if isinstance(axis, BaseAxis)]
    assert sorted(kept) == list(range(value.ndim))
    return np.transpose(value, np.argsort(kept))


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS)
def test_equal_numbers_are_equal_values(steps: list[Step]) -> None:
    """Values with one strict number are equal; views of one base are views of one array."""
    # Integers: whatever is the same by construction is equal to the last bit.
    x = jnp.array([[3, -1, 4], [1, -5, 9], [2, 6, -5]])
    y = jnp.array([[-7, 2, 8], [1, 8, -2], [8, 4, 5]])
    jaxpr = flat(jax.make_jaxpr(program(steps))(x, y))
    rows, _ = Numbering().read(jaxpr)
    strict: dict[int, Any] = {}
    bases: dict[int, Any] = {}
    for row, values in zip(rows, evaluated(jaxpr, (x, y)), strict=True):
        for (number, view), value in zip(row.results, values, strict=True):
            assert (strict.setdefault(number, value) == value).all()
            base = base_of(value, view)
            known = bases.setdefault(view.base, base)
            assert known.shape == base.shape
            assert (known == base).all()


def without_ones(value: Any) -> Any:
    """Return a value without its axes of size 1."""
    return value.reshape([size for size in value.shape if size != 1])


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS, others=st.dictionaries(st.integers(0, 13), st.tuples(*[st.integers(0, 9)] * 2)))
def test_paired_steps_have_equal_values(
    steps: list[Step], others: dict[int, tuple[int, int]]
) -> None:
    """Where programs differ in operands and axes, steps called the same have equal values."""
    args = (
        jnp.array([[3, -1, 4], [1, -5, 9], [2, 6, -5]]),
        jnp.array([[-7, 2, 8], [1, 8, -2], [8, 4, 5]]),
    )
    changed = [(s[0], s[1], *others.get(i, s[2:])) for i, s in enumerate(steps)]
    jaxprs = [flat(jax.make_jaxpr(program(s))(*args)) for s in (steps, changed)]
    made = {
        id(eqn): values
        for jaxpr in jaxprs
        for eqn, values in zip(opened(jaxpr).eqns, evaluated(jaxpr, args), strict=True)
    }
    aligned = align(*jaxprs)
    for pair in aligned.pairs or ():
        if pair.relation in ("same", "layout") and pair.depth == 0:
            for one, other in zip(made[id(pair.left)], made[id(pair.right)], strict=True):
                if pair.relation == "same":
                    assert one.shape == other.shape
                    assert (one == other).all()
                    continue
                ours, theirs = map(without_ones, (one, other))
                orders = itertools.permutations(range(theirs.ndim))
                assert any(np.array_equal(ours, theirs.transpose(order)) for order in orders)
    if aligned.same:
        results = [program(s)(*args) for s in (steps, changed)]
        assert all((one == other).all() for one, other in zip(*results, strict=True))


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS, other=STEPS, cut=st.integers(0, 14))
def test_aligned_programs(steps: list[Step], other: list[Step], cut: int) -> None:
    """Of two programs with a common start, the start is paired, and the same ones are the same."""
    x, y = jnp.ones((3, 3), int), 2 * jnp.ones((3, 3), int)
    jaxprs = [flat(jax.make_jaxpr(program(s))(x, y)) for s in (steps, steps[:cut] + other[cut:])]
    aligned = align(*jaxprs)
    assert aligned.same or not equal(*jaxprs)
    for side, jaxpr in zip(("left", "right"), jaxprs, strict=True):
        shown = [getattr(pair, side) for pair in aligned.pairs or () if pair.depth == 0]
        if aligned.pairs is not None:
            assert [eqn for eqn in shown if eqn] == list(opened(jaxpr).eqns)
    assert align(jaxprs[0], jaxprs[0]).same


# -- Compiled programs -----------------------------------------------------------


def solved(*, lower: bool) -> Callable[[Any], Any]:
    """Return a function that solves a system with a triangle of a matrix."""
    return lambda x: jax.scipy.linalg.solve_triangular(x, x, lower=lower)


def eigenvalues(*, lower: bool) -> Callable[[Any], Any]:
    """Return a function that reads a triangle of a matrix."""
    return lambda x: lax.linalg.eigh(x, lower=lower, symmetrize_input=False)


# A function, its argument, and whether XLA's text leaves something out.
INCOMPLETE: dict[str, tuple[Any, Any, bool]] = {
    "a large constant": (lambda x: x + jnp.asarray(LARGE), jnp.ones(4000), True),
    "a small constant": (lambda x: x + S, S, False),
    "a callback": (called(np.sin), S, True),
    "a print": (lambda x: (jax.debug.print("a"), x)[1], S, True),
    "a library": (jnp.linalg.cholesky, S, False),
}

# As XLA prints a program, shortened.
PRINTED = r"""HloModule jit_f, is_scheduled=true, entry_computation_layout={(f32[3]{0})->f32[3]{0}}

FileNames
1 "f.py"

FunctionNames
1 "f"

FileLocations
1 {file_name_id=1 function_name_id=1 line=5 end_line=5 column=4 end_column=9}

StackFrames
1 {file_location_id=1 parent_frame_id=1}


%fused (param_0.1: f32[3]) -> f32[3] {
  %param_0.1 = f32[3]{0} parameter(0)
  ROOT %sine.3 = f32[3]{0} sine(%param_0.1), metadata={op_name="d['a}\"b']" stack_frame_id=1}
}

ENTRY %main.2 (d__a___.1: f32[3]) -> f32[3] {
  %d__a___.1 = f32[3]{0} parameter(0), metadata={op_name="d['a}\"b']"}
  %f.1 = f32[3]{0} fusion(%d__a___.1), kind=kLoop, calls=%fused, backend_config={"parts":["3"]}
  ROOT %s = f32[3]{0} custom-call(%f.1), custom_call_target="solve", backend_config={uplo = 76}
}
"""
NORMALISED = """v0 (v1: f32[3]) -> f32[3] {
  v1 = f32[3]{0} parameter(0)
  ROOT v2 = f32[3]{0} sine(v1)
}

ENTRY v3 (v4: f32[3]) -> f32[3] {
  v4 = f32[3]{0} parameter(0)
  v5 = f32[3]{0} fusion(v4), kind=kLoop, calls=v0
  ROOT v6 = f32[3]{0} custom-call(v5), custom_call_target="solve", backend_config={uplo = 76}
}
"""


class TestHlo:
    """The text of a compiled program, without what is not the program."""

    def text(self, f: Callable[..., Any], *args: Any) -> str:
        """Return the normalised text of a compiled function."""
        return xla.compiled(f, args, {}).text

    def test_the_program_is_left(self) -> None:
        """What is cut off are the tables in front of it."""
        text = self.text(lambda x: jnp.sin(x) @ x, S)
        assert " dot(" in text
        assert " sine(" in text
        for gone in ("metadata", "HloModule", "FileNames", "jit(", ".py"):
            assert gone not in text

    def test_names_do_not_count(self) -> None:
        """Neither those of arguments nor hostile ones."""
        one = self.text(lambda d: jnp.sin(d['a"}, metadata={'] + 1), {'a"}, metadata={': S})
        assert one == self.text(lambda other: jnp.sin(other["b"] + 1), {"b": S})

    @pytest.mark.parametrize(
        ("f", "g"),
        list(itertools.combinations([jnp.sin, jnp.cos, jnp.sum, jnp.linalg.cholesky], 2)),
    )
    def test_other_programs_have_other_texts(self, f: Any, g: Any) -> None:
        """Any two of these."""
        assert self.text(f, S) != self.text(g, S)

    def test_a_text(self) -> None:
        """Tables, places and settings are gone; what a library is called with is not."""
        assert xla.normalised(PRINTED) == NORMALISED

    def test_arguments_have_places(self) -> None:
        """The first of two is not the second, though the other one is not used."""
        assert self.text(lambda x, y: x + 1, S, S) != self.text(lambda x, y: y + 1, S, S)  # noqa: ARG005

    def test_results_have_places(self) -> None:
        """The first of two is not the second."""
        assert self.text(lambda x, y: (x, y), S, S) != self.text(lambda x, y: (y, x), S, S)

    @pytest.mark.parametrize("f", [solved, eigenvalues])
    def test_calls_of_libraries_have_options(self, f: Any) -> None:
        """The upper triangle is not the lower one."""
        assert self.text(f(lower=True), S) != self.text(f(lower=False), S)
        assert self.text(f(lower=True), S) == self.text(f(lower=True), S)

    @pytest.mark.parametrize("case", INCOMPLETE)
    def test_what_is_left_out_is_known(self, case: str) -> None:
        """The values of large constants, and which function is called back."""
        f, x, incomplete = INCOMPLETE[case]
        assert xla.compiled(f, (x,), {}).incomplete == incomplete

    def test_something_else(self) -> None:
        """A text that is not understood is not compared."""
        with pytest.raises(ValueError, match="does not look like HLO"):
            xla.normalised("module @jit_f {}")
