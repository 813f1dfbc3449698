"""`vmapguide.check`: does vmap equal the loop, and if not, why."""

import dataclasses
import functools
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import vmapguide
from vmapguide import Check
from vmapguide._measure.causes import evidence, reasons


X = jax.random.normal(jax.random.key(0), (3, 5))
KEYS = jax.random.split(jax.random.key(1), 3)
RBG = jax.random.split(jax.random.key(1, impl="rbg"), 3)
BIG_W = jax.random.normal(jax.random.key(2), (64, 1000))
BIG_X = jax.random.normal(jax.random.key(3), (20, 1000))


@functools.partial(jax.tree_util.register_dataclass, data_fields=["w"], meta_fields=["kind"])
@dataclasses.dataclass
class Params:
    """Parameters that look at their own shape, as a pytree of the user's own."""

    w: Any
    kind: str = "dense"

    def __post_init__(self) -> None:
        """Look at the shape."""
        if hasattr(self.w, "ndim"):
            assert self.w.ndim in (1, 2)


def codes(check: Check) -> list[str]:
    """Return the codes of the reasons of a check."""
    return [reason.code for reason in check.reasons]


def noisy(key: Any, x: jax.Array) -> jax.Array:
    """Add noise."""
    return x + jax.random.normal(key, x.shape)


def with_rule(rule: Callable[[jax.Array], jax.Array]) -> Callable[[jax.Array], jax.Array]:
    """Return sin, batched by a rule."""

    @jax.custom_batching.custom_vmap
    def sine(x: jax.Array) -> jax.Array:
        return jnp.sin(x)

    @sine.def_vmap
    def _(size: int, batched: Any, x: jax.Array) -> tuple[jax.Array, bool]:
        del size, batched
        return rule(x), True

    return sine


# A function, its arguments, the arguments of vmap: all of them equal the loop.
EQUAL: dict[str, tuple[Any, tuple[Any, ...], dict[str, Any]]] = {
    "a vector for each": (lambda x: x / x.sum(), (X,), {}),
    "another axis": (jnp.cumsum, (X,), {"in_axes": 1}),
    "a negative axis": (jnp.cumsum, (X,), {"in_axes": -1, "out_axes": -1}),
    "out_axes": (lambda x: jnp.outer(x, x), (X,), {"out_axes": 2}),
    "shared": (lambda w, x: w @ x, (X, X), {"in_axes": (None, 0)}),
    "a shared result": (
        lambda w, x: (w.sum(), x),
        (X, X),
        {"in_axes": (None, 0), "out_axes": (None, 0)},
    ),
    "a shared result, repeated": (lambda w, x: (w.sum(), x), (X, X), {"in_axes": (None, 0)}),
    "a tree": (
        lambda p: {"a": p["w"] * p["b"], "n": None},
        ({"w": X, "b": X[0]},),
        {"in_axes": ({"w": 0, "b": None},)},
    ),
    "an axis for each result": (
        lambda x: {"a": x * 2, "b": (x.sum(), jnp.outer(x, x[:2]))},
        (X,),
        {"out_axes": {"a": 1, "b": (0, -1)}},
    ),
    "None among the results": (
        lambda x: {"a": None, "b": (x, None)},
        (X,),
        {"out_axes": {"a": None, "b": (1, None)}},
    ),
    "no result": (lambda _: None, (X,), {}),
    "in_axes as a list": (lambda n, x: n * x, (2.0, X), {"in_axes": [None, 0]}),
    "a class of the user's": (lambda p: Params(2 * p.w), (Params(X),), {}),
    "axis_size alone": (lambda x: x + 1, (X,), {"in_axes": None, "axis_size": 4}),
    "axis_size and axis_name alone": (
        lambda: lax.axis_index("i") * 0,
        (),
        {"axis_name": "i", "axis_size": 4},
    ),
    "NumPy": (lambda x: x * 2, (np.arange(6.0).reshape(2, 3),), {}),
    # NumPy's float64 and int64 are float32 and int32 in JAX, whoever returns them.
    "NumPy for results": (lambda x: (x, np.ones(2), np.float64(1), np.arange(3)), (X,), {}),
    "a number, shared": (lambda n, x: x[: int(n)], (2, X), {"in_axes": (None, 0)}),
    "a text, shared": (lambda s, x: x * len(s), ("abc", X), {"in_axes": (None, 0)}),
    "keys": (noisy, (KEYS, X), {}),
    "keys for results": (lambda k: jax.random.split(k, 2), (KEYS,), {}),
    "keys on another axis": (
        lambda k: (jax.random.split(k, 2), k),
        (KEYS,),
        {"out_axes": (1, 0)},
    ),
    "vmapped already": (jax.vmap(jnp.sin), (X,), {}),
    "an axis name of its own": (
        jax.vmap(lambda v: v - lax.pmean(v, "j"), axis_name="j"),
        (X,),
        {"axis_name": "i"},
    ),
    "a value that Python branches on": (
        lambda flag, x: x * 2 if flag > 0 else x,
        (jnp.float32(1.0), X),
        {"in_axes": (None, 0)},
    ),
    "the same, with an axis name": (
        lambda flag, x: x * 2 if flag > 0 else x,
        (jnp.float32(1.0), X),
        {"in_axes": (None, 0), "axis_name": "i"},
    ),
    "compiled": (jax.jit(lambda x: x.mean()), (X,), {}),
    "integers": (jnp.argsort, (X,), {}),
    "unsigned integers": (lambda x: x // 2, (jnp.arange(6, dtype=jnp.uint8),), {}),
    "booleans": (lambda x: x > 0, (X,), {}),
    "bfloat16": (lambda x: x.sum(), (X.astype(jnp.bfloat16),), {}),
    "float16": (lambda x: x.sum(), (X.astype(jnp.float16),), {}),
    "complex": (lambda x: x * (1 + 2j), (X,), {}),
    "NaN": (lambda x: jnp.log(x - 9), (X,), {}),
    "infinity": (lambda x: jnp.abs(x) / 0, (X,), {}),
    "a number of Python's": (lambda _: 1.5, (X,), {}),
    "a batch of one": (lambda x: x.sum(), (X[:1],), {}),
    "control flow": (lambda x: lax.cond(x.sum() > 0, jnp.sin, jnp.cos, x), (X,), {}),
    "a loop": (lambda x: lax.while_loop(lambda y: (y**2).sum() > 1, lambda y: y / 2, x), (X,), {}),
}


class TestEqual:
    """What equals the loop is found to."""

    @pytest.mark.parametrize("case", EQUAL)
    def test_equal(self, case: str) -> None:
        """Without a reason, and without an error where a test would raise one."""
        f, args, vmap = EQUAL[case]
        check = vmapguide.check(f, **vmap)(*args)
        assert check.same, str(check)
        assert check.reasons == ()
        check.raise_if_different()

    def test_keyword_arguments(self) -> None:
        """They are mapped over their first axis, whatever `in_axes` says."""
        check = vmapguide.check(lambda x, y: x * y, 1)(X.T, y=X)
        assert check.same
        assert check.batch_size == 3
        assert check.leaves[0].expected_type == "float32[5]"

    @pytest.mark.parametrize(
        ("args", "vmap", "size"),
        [
            ((X,), {}, 3),
            ((X,), {"in_axes": 1}, 5),
            ((X,), {"in_axes": -2}, 3),
            ((X,), {"in_axes": None, "axis_size": 4}, 4),
            ((X, X.T), {"in_axes": (None, 0)}, 5),
        ],
        ids=["first", "second", "negative", "axis_size", "shared"],
    )
    def test_how_many_examples(
        self, args: tuple[Any, ...], vmap: dict[str, Any], size: int
    ) -> None:
        """The mapped axis says it, or `axis_size`; the loop runs them all."""
        check = vmapguide.check(lambda *args: args[-1] * 2, **vmap)(*args)
        assert (check.batch_size, check.examples) == (size, tuple(range(size)))

    def test_no_result_has_no_leaf(self) -> None:
        """None is a structure, and there is nothing in it to compare."""
        assert vmapguide.check(lambda x: {"a": None, "b": x})(X).leaves[0].path == "['b']"
        assert vmapguide.check(lambda _: None)(X).leaves == ()

    def test_types_are_those_of_one_example(self) -> None:
        """What is compared is said in the user's terms."""
        (leaf,) = vmapguide.check(lambda x: jnp.outer(x, x), out_axes=1)(X).leaves
        assert leaf.expected_type == leaf.actual_type == "float32[5,5]"
        assert leaf.size == 3 * 25


class TestDifferent:
    """Where and by how much."""

    def test_which_example_leaf_and_element(self) -> None:
        """The report names them, the example by its number in the batch."""
        sine = with_rule(lambda x: jnp.sin(x).at[1, 2].add(1.0))
        check = vmapguide.check(lambda x: {"a": x, "b": sine(x)})(X)
        assert [(leaf.path, leaf.same) for leaf in check.leaves] == [
            ("['a']", True),
            ("['b']", False),
        ]
        assert not check.same
        wrong = check.leaves[1]
        assert (wrong.index, wrong.count, wrong.size) == ((1, 2), 1, 15)
        assert wrong.expected == pytest.approx(float(jnp.sin(X[1, 2])))
        assert wrong.actual == pytest.approx(float(jnp.sin(X[1, 2])) + 1)
        words = " ".join(str(check).split())
        assert "['b']: 1 of 15 values differ, the most at example 1, element 2:" in words

    def test_raises(self) -> None:
        """The message is the report."""
        check = vmapguide.check(with_rule(jnp.cos))(X)
        with pytest.raises(AssertionError) as caught:
            check.raise_if_different()
        assert str(caught.value) == str(check)

    def test_dtypes_come_first(self) -> None:
        """A dtype that is another one is told of, and no value."""
        sine = with_rule(jnp.sin)

        def f(x: jax.Array) -> jax.Array:
            return sine(x) if isinstance(x, jax.core.Tracer) else jnp.sin(x).astype(jnp.float16)

        check = vmapguide.check(f)(X)
        (leaf,) = check.leaves
        assert (leaf.expected_type, leaf.actual_type) == ("float16[5]", "float32[5]")
        assert "float32[5] and not float16[5]" in str(check)

    def test_shapes_come_first(self) -> None:
        """Shapes that would broadcast are not the same."""

        def f(x: jax.Array) -> jax.Array:
            return x[:1] if isinstance(x, jax.core.Tracer) else x

        (leaf,) = vmapguide.check(f)(X).leaves
        assert (leaf.expected_type, leaf.actual_type) == ("float32[5]", "float32[1]")

    def test_the_loop_is_what_is_expected(self) -> None:
        """Whatever axis of the results has the examples."""

        def f(x: jax.Array) -> Any:
            wrong = isinstance(x, jax.core.Tracer)
            return {"a": x[:2], "b": x * 0 + (7 if wrong else 5)}

        _, wrong = vmapguide.check(f, 1, out_axes={"a": 0, "b": 1})(X).leaves
        assert (wrong.path, wrong.expected, wrong.actual) == ("['b']", 5, 7)
        assert (wrong.count, wrong.size) == (15, 15)

    def test_a_type_of_a_later_example(self) -> None:
        """A dtype may depend on a value in the loop; every example is looked at."""

        def f(x: jax.Array) -> jax.Array:
            return x if isinstance(x, jax.core.Tracer) or x < 2 else x.astype(jnp.float16)

        (leaf,) = vmapguide.check(f)(jnp.arange(3.0)).leaves
        assert (leaf.expected_type, leaf.actual_type) == ("float16[]", "float32[]")

    def test_tolerances(self) -> None:
        """What differs within them does not."""
        sine = with_rule(lambda x: jnp.sin(x) + 0.01)
        assert not vmapguide.check(sine)(X).same
        assert vmapguide.check(sine, atol=0.011)(X).same
        assert not vmapguide.check(sine, atol=0.009, rtol=0.0)(X).same

    def test_not_known(self) -> None:
        """A cause that is none of the known ones is not made up."""

        def f(x: jax.Array) -> jax.Array:
            return x + isinstance(x, jax.core.Tracer)

        check = vmapguide.check(f)(X)
        assert not check.same
        assert check.reasons == ()
        assert "Why is not known" in str(check)


def wrong_in_vmap(by: Any) -> Callable[[jax.Array], jax.Array]:
    """Return a function that vmap gets wrong for a reason that nobody can find."""
    return lambda x: x + by if isinstance(x, jax.core.Tracer) else x


def counter() -> Iterator[int]:
    """Count, for ever."""
    number = 0
    while True:
        yield number
        number += 1


class TestReasons:
    """Each known cause is shown where it is one, and not where it is none."""

    def test_side_effect(self) -> None:
        """A function that counts its calls."""
        numbers = counter()
        check = vmapguide.check(lambda x: x + next(numbers))(X)
        assert codes(check) == ["side effect"]

    def test_side_effect_of_numpys_random_numbers(self) -> None:
        """They come from a state."""
        generator = np.random.default_rng(0)
        assert codes(vmapguide.check(lambda x: x + generator.normal())(X)) == ["side effect"]

    def test_side_effect_and_a_wrong_rule(self) -> None:
        """What changes from call to call cannot be looked into any further."""
        sine, numbers = with_rule(jnp.cos), counter()
        assert codes(vmapguide.check(lambda x: sine(x) + next(numbers))(X)) == ["side effect"]

    def test_side_effect_in_one_example(self) -> None:
        """It is looked for where each of the results is worst."""
        numbers = counter()

        def f(x: jax.Array) -> Any:
            counted = 0.0 if isinstance(x, jax.core.Tracer) or x[0] != 2 else 1.0 + next(numbers)
            return with_rule(jnp.cos)(x), x + counted

        check = vmapguide.check(f)(jnp.arange(3.0)[:, None])
        assert codes(check) == ["side effect"]
        assert "again with example 2" in check.reasons[0].text

    def test_a_side_effect_that_changes_no_result(self) -> None:
        """A list of calls that nobody reads is no reason for anything."""
        calls = []

        def f(x: jax.Array) -> jax.Array:
            calls.append(1)
            return with_rule(jnp.cos)(x)

        assert codes(vmapguide.check(f)(X)) == ["custom_vmap rule"]

    def test_custom_rule(self) -> None:
        """A rule that gives something else, in the function or in a loop inside it."""
        sine = with_rule(jnp.cos)
        assert codes(vmapguide.check(lambda x: sine(x) * 2)(X)) == ["custom_vmap rule"]

        def repeated(x: jax.Array) -> Any:
            return lax.fori_loop(0, 3, lambda _, y: sine(y), x)

        check = vmapguide.check(repeated)(X)
        assert codes(check) == ["custom_vmap rule"]
        source = check.reasons[0].source
        assert source is not None
        assert source.expression == "sine(y)"

    @pytest.mark.cpu_only
    def test_a_rule_that_is_right(self) -> None:
        """It is not blamed for the rounding of something else."""
        sine = with_rule(jnp.sin)
        assert vmapguide.check(sine)(X).reasons == ()
        check = vmapguide.check(lambda x: sine(BIG_W @ x), rtol=0.0, atol=0.0)(BIG_X)
        assert codes(check) == ["rounding"]

    def test_a_rule_that_returns_another_type(self) -> None:
        """The difference of types has its reason, too."""
        check = vmapguide.check(with_rule(lambda x: jnp.sin(x).astype(jnp.float16)))(X)
        assert codes(check) == ["custom_vmap rule"]
        assert check.leaves[0].actual_type == "float16[5]"

    @pytest.mark.parametrize("flag", [jnp.float32(1.0), np.float32(1.0), 1.0], ids=type)
    def test_custom_rule_beside_a_value_that_python_branches_on(self, flag: Any) -> None:
        """What the function needs to know, it knows while it is looked into."""
        sine = with_rule(jnp.cos)

        def f(flag: Any, x: jax.Array) -> jax.Array:
            return sine(x) if flag > 0 else x

        assert codes(vmapguide.check(f, (None, 0))(flag, X)) == ["custom_vmap rule"]

    @pytest.mark.cpu_only
    def test_one_of_two_results(self) -> None:
        """Each result that differs has its reason, from the example in which it is worst."""
        sine = with_rule(lambda x: jnp.sin(x).at[7].add(1))

        def f(x: jax.Array) -> Any:
            return {"a": BIG_W @ x, "b": sine(x[:3]), "c": x}

        check = vmapguide.check(f, rtol=0.0, atol=0.0)(BIG_X)
        assert [leaf.same for leaf in check.leaves] == [False, False, True]
        assert codes(check) == ["custom_vmap rule", "rounding"]

    def test_rbg_keys(self) -> None:
        """They draw a batch of numbers in their own way; the default ones do not."""
        assert codes(vmapguide.check(noisy)(RBG, X)) == ["rbg key"]
        assert vmapguide.check(noisy)(KEYS, X).reasons == ()

    @pytest.mark.slow
    def test_unsafe_rbg_keys(self) -> None:
        """They draw new keys in their own way, too; those of the safe kind do not."""

        def split(key: Any) -> Any:
            return jax.random.split(key, 2)

        unsafe = jax.random.split(jax.random.key(1, impl="unsafe_rbg"), 3)
        assert codes(vmapguide.check(split)(unsafe)) == ["rbg key"]
        assert codes(vmapguide.check(noisy)(unsafe, X)) == ["rbg key"]
        assert vmapguide.check(split)(RBG).same

    def test_rbg_keys_that_are_not_to_blame(self) -> None:
        """The result that differs draws nothing."""
        sine = with_rule(jnp.cos)
        check = vmapguide.check(lambda k, x: (sine(x), noisy(k, x) * 0))(RBG, X)
        assert [leaf.same for leaf in check.leaves] == [False, True]
        assert codes(check) == ["custom_vmap rule"]

    def test_an_rbg_key_that_is_shared_is_no_reason(self) -> None:
        """It draws what it draws in the loop; what differs is something else."""
        sine = with_rule(jnp.cos)
        key = jax.random.key(1, impl="rbg")
        check = vmapguide.check(lambda k, x: sine(noisy(k, x)), in_axes=(None, 0))(key, X)
        assert codes(check) == ["shared key", "custom_vmap rule"]

    def test_two_reasons(self) -> None:
        """Neither alone explains it: both are given."""
        sine = with_rule(jnp.cos)
        check = vmapguide.check(lambda k, x: sine(x) + noisy(k, x))(RBG, X)
        assert sorted(codes(check)) == ["custom_vmap rule", "rbg key"]

    @pytest.mark.parametrize(
        "f",
        [
            lambda x: x - lax.pmean(x, "i"),
            lambda x: x / lax.psum(x, "i"),
            lambda x: lax.all_gather(x, "i").max(axis=0),
            lambda x: x + lax.axis_index("i"),
            jax.jit(lambda x: x - lax.pmax(x, "i")),
            lambda x: lax.fori_loop(0, 2, lambda _, y: y - lax.pmean(y, "i"), x),
            lambda x: x / lax.psum(1, "i"),
            jax.jit(lambda x: x / lax.psum(1, "i")),
            lambda x: x * 0 + jnp.ones((lax.psum(1, "i"), 1)).sum(),
            lambda _: lax.psum(1, "i"),
        ],
        ids=[
            "pmean",
            "psum",
            "all_gather",
            "axis_index",
            "inside jit",
            "inside a loop",
            "size",
            "size inside jit",
            "size in a shape",
            "size alone",
        ],
    )
    def test_batch_statistic(self, f: Callable[..., Any]) -> None:
        """A collective makes examples depend on each other, or on how many they are."""
        assert codes(vmapguide.check(f, axis_name="i")(X)) == ["batch statistic"]

    def test_where_and_what_a_batch_statistic_is(self) -> None:
        """The collective, its axis and its line; other axes and other lines are not named."""

        def f(x: jax.Array) -> Any:
            rows = jax.vmap(lambda v: v - lax.pmean(v, "j"), axis_name="j")(x)
            return rows - lax.pmean(x, "i")

        (reason,) = vmapguide.check(f, axis_name="i")(X).reasons
        assert reason.source is not None
        assert reason.source.expression == 'lax.pmean(x, "i")'
        assert "over 'i'" in reason.text
        assert "no error of vmap's" in reason.text

    def test_axis_index_is_said_to_be_the_first(self) -> None:
        """In the loop every example is alone."""
        check = vmapguide.check(lambda x: x + lax.axis_index("i"), axis_name="i")(X)
        assert "in the loop every example is the first" in check.reasons[0].text
        mean = vmapguide.check(lambda x: x - lax.pmean(x, "i"), axis_name="i")(X)
        assert "is the first" not in mean.reasons[0].text

    @pytest.mark.slow
    def test_a_batch_statistic_that_is_not_to_blame(self) -> None:
        """The result that differs does not depend on it."""
        sine = with_rule(jnp.cos)

        def f(x: jax.Array) -> dict[str, jax.Array]:
            return {"sum of ones": lax.pmean(jnp.ones(3), "i"), "wrong": sine(x)}

        for g in (f, jax.jit(f)):
            check = vmapguide.check(g, axis_name="i")(X)
            assert [leaf.same for leaf in check.leaves] == [True, False]
            assert codes(check) == ["custom_vmap rule"]

    @pytest.mark.parametrize(
        "statistic", [lambda x: lax.pmean(x, "i"), lambda _: lax.psum(1, "i")], ids=["mean", "size"]
    )
    def test_a_batch_statistic_beside_another_reason(self, statistic: Any) -> None:
        """Each of two results has its own."""
        sine = with_rule(jnp.cos)

        def f(x: jax.Array) -> dict[str, jax.Array]:
            return {"a": x - statistic(x), "b": sine(x)}

        check = vmapguide.check(f, axis_name="i")(X)
        assert [leaf.same for leaf in check.leaves] == [False, False]
        assert codes(check) == ["batch statistic", "custom_vmap rule"]

    def test_a_batch_of_one_has_no_statistics(self) -> None:
        """It is the batch that the loop sees."""
        check = vmapguide.check(lambda x: x - lax.pmean(x, "i"), axis_name="i")(X[:1])
        assert check.same
        assert check.reasons == ()

    def test_a_wrong_rule_in_a_named_axis(self) -> None:
        """The loop has to run inside vmap there, and the rule has no say in it all the same."""
        check = vmapguide.check(with_rule(jnp.cos), axis_name="i")(X)
        assert codes(check) == ["custom_vmap rule"]
        assert check.leaves[0].expected == pytest.approx(
            float(jnp.sin(X[check.leaves[0].index or (0, 0)]))
        )

    def test_an_axis_name_without_a_collective(self) -> None:
        """The loop runs, and agrees."""
        assert vmapguide.check(lambda x: x.sum(), axis_name="i", in_axes=1, out_axes=0)(X).same

    @pytest.mark.cpu_only
    def test_rounding(self) -> None:
        """One product of matrices adds up in another order than many of vectors."""
        assert vmapguide.check(lambda x: BIG_W @ x)(BIG_X).same
        check = vmapguide.check(lambda x: BIG_W @ x, rtol=0.0, atol=0.0)(BIG_X)
        assert not check.same
        assert codes(check) == ["rounding"]

    @pytest.mark.parametrize("by", [1e-3, jnp.inf, jnp.nan])
    def test_what_is_no_rounding(self, by: float) -> None:
        """A difference that stays with twice the digits, small or infinite."""
        check = vmapguide.check(wrong_in_vmap(by))(X)
        assert not check.same
        assert codes(check) == []
        assert "Why is not known" in str(check)

    def test_what_is_no_rounding_beside_what_is(self) -> None:
        """All that differs has to go away, in every result and where it is worst."""

        def f(x: jax.Array) -> Any:
            late = isinstance(x, jax.core.Tracer) * (x[0] == BIG_X[7, 0])
            return BIG_W @ x, x[:3] * 0 + late

        check = vmapguide.check(f, rtol=0.0, atol=0.0)(BIG_X)
        assert [leaf.same for leaf in check.leaves] == [False, False]
        assert codes(check) == []

    def test_small_but_beyond_what_is_allowed(self) -> None:
        """A large difference that is allowed does not hide a small one that is not."""

        def f(x: jax.Array) -> jax.Array:
            is_traced = isinstance(x, jax.core.Tracer)
            return jnp.stack([x[0] * 0 + 1e6 + 50 * is_traced, x[0] * 0 + 1e-3 * is_traced])

        check = vmapguide.check(f, rtol=1e-4, atol=1e-6)(X)
        (leaf,) = check.leaves
        assert (leaf.count, leaf.difference, leaf.index) == (3, 50, (0, 1))
        assert codes(check) == []

    @pytest.mark.cpu_only
    @pytest.mark.parametrize("x64", [False, True])
    def test_jaxs_configuration_is_left_alone(
        self, monkeypatch: pytest.MonkeyPatch, x64: bool
    ) -> None:
        """Whatever was tried out, and if it failed."""
        monkeypatch.setattr(evidence, "RAISES_ERRORS", False)

        def f(x: jax.Array) -> jax.Array:
            if x.dtype == jnp.float64:
                raise ArithmeticError("not in float64")
            return BIG_W @ x

        with jax.enable_x64(x64):
            for g in (f, lambda x: BIG_W @ x):
                check = vmapguide.check(g, rtol=0.0, atol=0.0)(BIG_X)
                assert not check.same
                assert codes(check) == [] if g is f else ["rounding"]
                assert jnp.arange(2.0).dtype == (jnp.float64 if x64 else jnp.float32)

    def test_a_fault_in_a_cause(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is as if that cause were not known, and the next ones are tried. Tests see it."""

        def faulty(_: evidence.Evidence) -> evidence.Found:
            raise ZeroDivisionError

        numbers = counter()
        check = vmapguide.check(lambda x: x + next(numbers))
        monkeypatch.setattr(reasons, "CAUSES", (faulty, *reasons.CAUSES))
        with pytest.raises(ZeroDivisionError):
            check(X)
        monkeypatch.setattr(evidence, "RAISES_ERRORS", False)
        assert codes(check(X)) == ["side effect"]

    def test_shared_key(self) -> None:
        """The same noise for all is equal to the loop, and told of with its line."""
        check = vmapguide.check(noisy, in_axes=(None, 0))(KEYS[0], X)
        assert check.same
        assert codes(check) == ["shared key"]
        source = check.reasons[0].source
        assert source is not None
        assert source.expression == "jax.random.normal(key, x.shape)"

    def test_keys_that_are_not_shared(self) -> None:
        """Neither is a key that is folded with a number of the example."""

        def folded(key: Any, i: jax.Array) -> jax.Array:
            return jax.random.normal(jax.random.fold_in(key, i))

        assert vmapguide.check(folded, in_axes=(None, 0))(KEYS[0], jnp.arange(3)).reasons == ()

    def test_a_shared_key_that_nothing_is_drawn_from(self) -> None:
        """To hand a key on is not to draw from it."""
        check = vmapguide.check(lambda key, x: (key, x), (None, 0))(KEYS[0], X)
        assert check.same
        assert check.reasons == ()

    def test_a_captured_key_is_shared(self) -> None:
        """It is not even an argument. Two draws in one line are told of once."""

        def f(x: jax.Array) -> jax.Array:
            return noisy(KEYS[0], x) + noisy(KEYS[1], x)

        assert codes(vmapguide.check(f)(X)) == ["shared key"]

    def test_one_example_shares_nothing(self) -> None:
        """A batch of one draws its own numbers."""
        assert vmapguide.check(noisy, in_axes=(None, 0))(KEYS[0], X[:1]).reasons == ()


class TestSample:
    """Of a large batch some examples are run."""

    def test_all_of_a_small_batch(self) -> None:
        """In order."""
        assert vmapguide.check(jnp.sin)(jnp.arange(100.0)).examples == tuple(range(100))

    def test_a_hundred_of_a_large_one(self) -> None:
        """Drawn without repetition, by a seed, and said in the report."""
        batch = jnp.arange(1000.0)
        check = vmapguide.check(jnp.sin)(batch)
        assert len(set(check.examples)) == 100
        assert check.examples == tuple(sorted(check.examples))
        assert check.examples == vmapguide.check(jnp.sin)(batch).examples
        assert check.examples != vmapguide.check(jnp.sin, seed=1)(batch).examples
        assert "100 of 1,000 examples, drawn at random" in str(check)

    def test_the_loop_runs_no_others(self) -> None:
        """F is called once for vmap and once for each example of the sample."""
        calls = []

        def f(x: jax.Array) -> jax.Array:
            if not isinstance(x, jax.core.Tracer):
                calls.append(float(x))
            return x

        check = vmapguide.check(f, examples=7)(jnp.arange(50.0))
        assert calls == list(map(float, check.examples))

    def test_the_number_of_an_example_is_that_in_the_batch(self) -> None:
        """And not that in the sample."""
        drawn = vmapguide.check(jnp.sin, examples=5)(jnp.arange(50.0)).examples
        wrong = drawn[3]
        assert wrong != 3
        sine = with_rule(lambda x: jnp.sin(x).at[wrong].add(1))
        check = vmapguide.check(sine, examples=5)(jnp.arange(50.0))
        assert codes(check) == ["custom_vmap rule"]
        assert f"the most at example {wrong}:" in " ".join(str(check).split())
        assert check.leaves[0].index == (3,)
        assert check.leaves[0].size == 5

    def test_a_side_effect_in_a_sample(self) -> None:
        """The example that is called again is that of the batch."""
        numbers = counter()
        check = vmapguide.check(lambda x: x * 0 + next(numbers), examples=5)(jnp.arange(50.0))
        assert f"again with example {check.examples[-1]}:" in check.reasons[0].text

    def test_one_example_more_than_run(self) -> None:
        """`examples` is how many run at most."""
        batch = jnp.arange(4.0)
        for examples, ran in ((3, 3), (4, 4), (5, 4)):
            check = vmapguide.check(jnp.sin, examples=examples)(batch)
            assert len(check.examples) == ran
            assert ("drawn at random" in str(check)) == (ran == 3)


class TestErrors:
    """Bad input gets an error that says which side it is about and what to do."""

    def test_not_a_function(self) -> None:
        """A value where a function was meant."""
        with pytest.raises(TypeError, match=r"check: the first argument must be a function"):
            vmapguide.check(X)  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("option", "message"),
        [
            ({"examples": 0}, "examples must be a whole number of at least 1, but is 0"),
            ({"examples": -1}, "examples must be a whole number of at least 1, but is -1"),
            ({"examples": 2.5}, "examples must be a whole number of at least 1, but is 2.5"),
            ({"examples": True}, "examples must be a whole number of at least 1, but is True"),
            ({"seed": -1}, "seed must be a whole number of at least 0, but is -1"),
            ({"seed": None}, "seed must be a whole number of at least 0, but is None"),
            ({"rtol": -1}, "rtol must be a number of at least 0, but is -1"),
            ({"rtol": "a"}, "rtol must be a number of at least 0, but is 'a'"),
            ({"atol": float("nan")}, "atol must be a number of at least 0, but is nan"),
            ({"atol": 1j}, "atol must be a number of at least 0, but is 1j"),
        ],
        ids=str,
    )
    def test_options(self, option: dict[str, Any], message: str) -> None:
        """They are refused before anything runs, by name."""
        with pytest.raises((TypeError, ValueError), match=f"check: {message}"):
            vmapguide.check(jnp.sin, **option)

    def test_options_of_numpy(self) -> None:
        """And of JAX: their numbers are numbers, too, and no tolerance is too large."""
        options: dict[str, Any] = {
            "examples": np.int64(2),
            "seed": np.uint8(3),
            "rtol": jnp.bfloat16(0.1),
            "atol": np.inf,
        }
        assert vmapguide.check(jnp.sin, **options)(X).same

    def test_an_empty_batch(self) -> None:
        """There is nothing to check."""
        with pytest.raises(ValueError, match=r"check: the batch is empty.* Pass at least one"):
            vmapguide.check(jnp.sin)(X[:0])

    def test_inside_of_jit(self) -> None:
        """There everything is traced, also what the function captures."""
        with pytest.raises(TypeError, match="check: it is called while JAX traces a function"):
            jax.jit(lambda: vmapguide.check(jnp.sin)(X).same)()

    def test_sizes_that_differ(self) -> None:
        """One of them is 0: JAX says what is wrong, and the batch is not called empty."""
        with pytest.raises(ValueError, match="inconsistent sizes") as caught:
            vmapguide.check(lambda x, y: x + y)(X[:0], X)
        assert "the sizes 0 (x), 3 (y)" in caught.value.__notes__[-1]

    @pytest.mark.parametrize("in_axes", [1.5, ("a",), (0, 0)])
    def test_in_axes(self, in_axes: Any) -> None:
        """The error is JAX's."""
        with pytest.raises((TypeError, ValueError), match="vmap in_axes must be"):
            vmapguide.check(lambda x: x, in_axes=in_axes)(X)

    def test_sizes_that_differ_inside(self) -> None:
        """The error of a `vmap` in the function is not about its arguments."""
        with pytest.raises(ValueError, match="inconsistent sizes") as caught:
            vmapguide.check(lambda x: jax.vmap(jnp.add)(x, jnp.ones(7)))(X)
        assert not any("put None" in note for note in caught.value.__notes__)
        with pytest.raises(ValueError, match="inconsistent sizes") as caught:
            vmapguide.check(lambda x: x, axis_size=5)(X)
        assert "the sizes 3 (x)" in caught.value.__notes__[-1]

    def test_a_traced_argument(self) -> None:
        """A check cannot be compiled."""
        with pytest.raises(TypeError, match=r"check: x is being traced.* outside of jit"):
            jax.jit(lambda x: vmapguide.check(lambda x: x)(x).same)(X)

    def test_what_cannot_be_mapped(self) -> None:
        """It is named, and what to do."""
        with pytest.raises(TypeError, match="not a valid JAX type") as caught:
            vmapguide.check(lambda x, mode: (x, mode))(X, "fast")
        assert "mode is of type str" in caught.value.__notes__[-1]

    def test_an_argument_missing(self) -> None:
        """The signature is shown."""
        with pytest.raises(TypeError, match="missing 1 required") as caught:
            vmapguide.check(lambda x, y: x + y)(X)
        assert "missing a required argument: 'y'" in caught.value.__notes__[-1]

    def test_a_collective_that_a_batch_of_one_refuses(self) -> None:
        """The loop cannot run it, and why is said."""

        def f(x: jax.Array) -> Any:
            return lax.ppermute(x, "i", [(0, 1), (1, 2), (2, 0)])

        with pytest.raises(Exception, match="axis size") as caught:
            vmapguide.check(f, axis_name="i")(X)
        assert "the loop raised this" in caught.value.__notes__[-1]
        assert "every example is a batch of one" in caught.value.__notes__[-1]

    def test_abstract_arguments(self) -> None:
        """They have no values to run with."""
        with pytest.raises(TypeError, match=r"check: x is a type without values, float32\[3,5\]"):
            vmapguide.check(lambda x: x)(jax.ShapeDtypeStruct((3, 5), jnp.float32))

    def test_only_vmap_fails(self) -> None:
        """JAX's error, that it was not the loop, and what to do."""
        with pytest.raises(jax.errors.TracerBoolConversionError) as caught:
            vmapguide.check(lambda x: x if x.sum() > 0 else -x)(X)
        notes = [note for note in caught.value.__notes__ if note.startswith("check: ")]
        assert re.search("vmap.* raised this; the loop does not", notes[0])
        assert "jnp.where" in notes[1]

    def test_only_the_loop_fails(self) -> None:
        """The error, and the example."""

        def f(x: jax.Array) -> jax.Array:
            if not isinstance(x, jax.core.Tracer) and x[0] == 1:
                raise ArithmeticError("one")
            return x

        with pytest.raises(ArithmeticError, match="one") as caught:
            vmapguide.check(f)(jnp.array([[0.0], [1.0]]))
        assert "check: the loop raised this, for example 1" in caught.value.__notes__[-1]
        assert "sees no values" in caught.value.__notes__[-1]

    def test_both_fail(self) -> None:
        """So it is said."""
        with pytest.raises(TypeError, match="contracting") as caught:
            vmapguide.check(lambda x: jnp.dot(x, jnp.ones(4)))(X)
        assert any("the loop fails, too" in note for note in caught.value.__notes__)

    def test_structures(self) -> None:
        """Both are shown, and the example."""

        def f(x: jax.Array) -> Any:
            return [x] if isinstance(x, jax.core.Tracer) else x

        with pytest.raises(TypeError, match=r"different structure: for example 0 the loop returns"):
            vmapguide.check(f)(X)

    def test_a_structure_that_depends_on_a_value(self) -> None:
        """The example that has another one is named."""

        def f(x: jax.Array) -> Any:
            return [x] if isinstance(x, jax.core.Tracer) or x < 2 else [x, x]

        with pytest.raises(TypeError, match=r"for example 2 the loop returns .*Return the same"):
            vmapguide.check(f)(jnp.arange(3.0))

    @pytest.mark.parametrize(
        ("vmap", "message", "note"),
        [
            ({"in_axes": 2}, "rank should be at least 3", r"in_axes maps axis 2 of x"),
            ({"in_axes": (0, 0)}, "in_axes must be", r"in_axes has one entry for each"),
            ({"in_axes": None}, "at least one non-None", r"pass axis_size="),
            ({"out_axes": 5}, "out of bounds", r"no more than 0 to 1, or -2 to -1"),
        ],
        ids=str,
    )
    def test_what_vmap_refuses(self, vmap: dict[str, Any], message: str, note: str) -> None:
        """It does so in its own words, with advice behind them."""
        with pytest.raises(ValueError, match=message) as caught:
            vmapguide.check(lambda x: x, **vmap)(X)
        assert re.search(note, "".join(caught.value.__notes__))

    def test_a_result_that_is_no_array(self) -> None:
        """It is vmap that refuses it."""
        with pytest.raises(TypeError, match="not a valid JAX type"):
            vmapguide.check(lambda x: "text")(X)  # noqa: ARG005

    def test_a_result_of_the_loop_that_is_no_array(self) -> None:
        """The loop is named, and the example."""

        def f(x: jax.Array) -> Any:
            return x if isinstance(x, jax.core.Tracer) or x < 1 else "text"

        with pytest.raises(TypeError, match=r"check: for example 1 the loop returns a str"):
            vmapguide.check(f)(jnp.arange(2.0))


class TestValue:
    """A check is a value, and can be looked at."""

    def test_plain_data(self) -> None:
        """It goes through JSON, infinities and all."""
        sine = with_rule(lambda x: jnp.sin(x) * jnp.inf)
        data = json.loads(json.dumps(vmapguide.check(sine)(X).to_dict(), allow_nan=False))
        assert data["schema"] == "vmapguide.check/1"
        assert data["same"] is False
        assert data["leaves"][0]["difference"] == "inf"
        assert data["reasons"][0]["code"] == "custom_vmap rule"
        assert data["examples"] == [0, 1, 2]
        assert data["batch_size"] == 3
        assert data["name"] == "sine"

    def test_plain_data_with_the_line_of_a_reason(self) -> None:
        """It is in there, and tolerances without an end are text."""
        check = vmapguide.check(noisy, (None, 0), atol=jnp.inf)(KEYS[0], X)
        data = json.loads(json.dumps(check.to_dict(), allow_nan=False))
        assert data["same"] is True
        assert data["leaves"][0]["atol"] == "inf"
        assert data["reasons"][0]["source"]["expression"] == "jax.random.normal(key, x.shape)"
        assert data["reasons"][0]["code"] == "shared key"

    def test_width(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The report is as wide as the terminal."""
        check = vmapguide.check(lambda x: {"a": with_rule(jnp.cos)(x), "b": noisy(KEYS[0], x)})(X)
        assert len(check.reasons) == 2
        for columns in (50, 70, 120):
            monkeypatch.setenv("COLUMNS", str(columns))
            lines = str(check).split("\n")
            assert max(map(len, lines)) <= columns
            assert max(map(len, lines)) > columns - 15

    def test_what_was_called(self) -> None:
        """The report has the arguments of vmap that were given, and how many examples there are."""
        check = vmapguide.check(jnp.sin, axis_size=1)(X[:1])
        assert str(check).startswith("check vmap(sin)   in_axes=0, axis_size=1 · 1 example\n")
        assert "= equals the loop   yes: every value is equal" in str(check)

    def test_text_and_html(self) -> None:
        """The answer is there, and what the user wrote is escaped."""
        check = vmapguide.check(lambda x: {"<b>": with_rule(jnp.cos)(x)})(X)
        assert str(check).startswith("check vmap(<lambda>)   in_axes=0 · 3 examples")
        assert repr(check) == str(check)
        html = check._repr_html_()
        assert "&lt;b&gt;" in html
        assert "<b>'" not in html
        assert "&lt;lambda&gt;" in html
