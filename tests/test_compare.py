"""`vmapguide.compare`: same jaxpr, same compiled program, same numbers."""

import itertools
import json
import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import vmapguide
from vmapguide import Comparison


k = jax.random.split(jax.random.key(0), 7)
W = jax.random.normal(k[0], (2, 5))
b = jax.random.normal(k[1], (2,))
X = jax.random.normal(k[2], (3, 5))
Y = jax.random.normal(k[3], (3, 4, 5))
T = jax.random.normal(k[4], (7, 5))
ROWS = jnp.array([1, 6, 2])
LARGE = jnp.sin(jnp.arange(4000.0)).reshape(50, 80)


def answers(comparison: Comparison) -> tuple[bool, bool | None, bool | None]:
    """Return the three answers of a comparison."""
    return comparison.same_jaxpr, comparison.same_program, comparison.same_numbers


def because(comparison: Comparison, question: str) -> str:
    """Return what is said behind an answer."""
    text = " ".join(str(comparison).split())
    questions = ("same jaxpr", "same compiled program", "same numbers")
    found = re.search(rf"{question} (.*?)(?= [=≠?] (?:{'|'.join(questions)})|$)", text)
    assert found
    return found[1]


def solve(x: jax.Array, y: jax.Array, **options: Any) -> Any:
    """Solve a triangular system."""
    return jax.scipy.linalg.solve_triangular(x, y, **options)


def called(x: jax.Array, factor: float) -> Any:
    """Return a product that NumPy computes."""
    return jax.pure_callback(lambda v: (v * factor).astype(v.dtype), x, x)


def layernorm(x: jax.Array) -> jax.Array:
    """Normalise along the last axis."""
    centred = x - x.mean(-1, keepdims=True)
    return centred / jnp.sqrt(x.var(-1, keepdims=True) + 1e-5)


def scanned(x: jax.Array, start: Any) -> Any:
    """Return a decaying sum."""
    return lax.scan(lambda c, y: (c * 0.9 + y, c), start, x)[1]


def loss(x: jax.Array) -> jax.Array:
    """Return a loss."""
    return (jnp.tanh(x) ** 2).sum()


PER_ROW = jax.vmap(lambda W, b, x: W @ x + b, in_axes=(None, None, 0))

# By hand, by vmap, the arguments, and the three answers.
PAIRS: dict[str, tuple[Any, Any, tuple[Any, ...], tuple[bool, bool, bool]]] = {
    "affine, transposed": (lambda W, b, X: X @ W.T + b, PER_ROW, (W, b, X), (False, True, True)),
    "affine, einsum": (
        lambda W, b, X: jnp.einsum("oi,ni->no", W, X) + b,
        PER_ROW,
        (W, b, X),
        (False, True, True),
    ),
    "softmax": (
        lambda X: jax.nn.softmax(X, axis=-1),
        jax.vmap(jax.nn.softmax),
        (X,),
        (True, True, True),
    ),
    "relu": (jax.nn.relu, jax.vmap(jax.nn.relu), (X,), (True, True, True)),
    "distances": (
        lambda X: ((X[:, None] - T[None]) ** 2).sum(-1),
        jax.vmap(lambda x: jax.vmap(lambda t: ((x - t) ** 2).sum())(T)),
        (X,),
        (True, True, True),
    ),
    "matmul": (
        lambda X, Y: jnp.einsum("nij,nj->ni", Y, X),
        jax.vmap(lambda x, y: y @ x),
        (X, Y),
        (True, True, True),
    ),
    "where": (
        lambda X: jnp.where(X > 0, jnp.sin(X), X),
        jax.vmap(lambda x: jnp.where(x > 0, jnp.sin(x), x)),
        (X,),
        (True, True, True),
    ),
    "take": (lambda i: T[i], jax.vmap(lambda i: T[i]), (ROWS,), (False, False, True)),
    "take along an axis": (
        lambda X, i: jnp.take_along_axis(X, i[:, None], axis=1)[:, 0],
        jax.vmap(lambda x, i: x[i]),
        (X, ROWS % 5),
        (False, False, True),
    ),
    "scan": (
        lambda X: scanned(X.T, jnp.zeros(3)).T,
        jax.vmap(lambda x: scanned(x, 0.0)),
        (X,),
        (False, True, True),
    ),
    "wrong axis": (
        lambda X: X / X.sum(),
        jax.vmap(lambda x: x / x.sum()),
        (X,),
        (False, False, False),
    ),
    "where for cond": (
        lambda X: jnp.where(X.sum(1, keepdims=True) > 0, jnp.sin(X), jnp.cos(X)),
        jax.vmap(lambda x: lax.cond(x.sum() > 0, jnp.sin, jnp.cos, x)),
        (X,),
        (False, False, True),
    ),
    "layernorm": (layernorm, jax.vmap(layernorm), (X,), (False, True, True)),
    "grad": (
        lambda X: 2 * jnp.tanh(X) * (1 - jnp.tanh(X) ** 2),
        jax.vmap(jax.grad(loss)),
        (X,),
        (False, False, True),
    ),
}


class TestPairs:
    """Versions written by hand and by vmap, which people take for the same."""

    @pytest.mark.cpu_only
    @pytest.mark.parametrize("pair", PAIRS)
    def test_answers(self, pair: str) -> None:
        """Each question has its own answer."""
        by_hand, by_vmap, args, expected = PAIRS[pair]
        assert answers(vmapguide.compare(by_hand, by_vmap)(*args)) == expected

    @pytest.mark.parametrize("pair", [p for p in PAIRS if not PAIRS[p][3][0]])
    def test_differences_are_explained(self, pair: str) -> None:
        """Where the jaxprs differ it is said in what."""
        by_hand, by_vmap, args, _ = PAIRS[pair]
        comparison = vmapguide.compare(by_hand=by_hand, vmap=by_vmap)(*args)
        assert re.search(r" only|on other values", because(comparison, "same jaxpr"))

    @pytest.mark.parametrize("pair", ["take", "take along an axis", "grad", "where for cond"])
    def test_programs_are_told_apart_by_their_instructions(self, pair: str) -> None:
        """One has something more than the other."""
        by_hand, by_vmap, args, _ = PAIRS[pair]
        comparison = vmapguide.compare(by_hand=by_hand, vmap=by_vmap)(*args)
        assert re.search(r"no: .*has \d+ \w", because(comparison, "same compiled program"))

    def test_work_and_layout(self) -> None:
        """The transposed product is one product and one addition, the axes elsewhere."""
        by_hand, by_vmap, args, _ = PAIRS["affine, transposed"]
        comparison = vmapguide.compare(by_hand=by_hand, vmap=by_vmap)(*args)
        data: Any = comparison.to_dict()
        rows = data["sides"][1]["pairs"]
        work = [(row["left"]["primitive"], row["relation"]) for row in rows if not row["is_layout"]]
        assert work == [("dot_general", "layout"), ("add", "layout")]
        moves = [row["relation"] for row in rows if row["is_layout"]]
        assert sorted(moves) == ["left", "right", "same"]

    @pytest.mark.parametrize(
        "batch", [X, jnp.ones((3, 3)), jnp.ones((5, 3)), jnp.zeros((3, 5))], ids=jnp.shape
    )
    def test_the_wrong_axis_is_never_the_same_step(self, batch: jax.Array) -> None:
        """Not even in a square, or where the numbers agree since all are NaN."""
        by_hand, by_vmap, _, _ = PAIRS["wrong axis"]
        comparison = vmapguide.compare(by_hand, by_vmap)(batch)
        assert not comparison.same_jaxpr
        data: Any = comparison.to_dict()
        work = [row for row in data["sides"][1]["pairs"] if not row["is_layout"]]
        assert {row["relation"] for row in work} == {"differs"}

    def test_the_wrong_axis_with_a_batch_of_one(self) -> None:
        """Then there is nothing else to add up: the numbers agree, and the jaxprs do not."""
        by_hand, by_vmap, _, _ = PAIRS["wrong axis"]
        comparison = vmapguide.compare(by_hand, by_vmap)(X[:1])
        assert comparison.same_numbers
        assert not comparison.same_jaxpr
        data: Any = comparison.to_dict()
        work = [row for row in data["sides"][1]["pairs"] if not row["is_layout"]]
        assert {row["relation"] for row in work} == {"layout"}

    def test_the_wrong_axis_is_not_the_same_in_any_way(self) -> None:
        """Two signs of difference, and where the numbers differ."""
        by_hand, by_vmap, args, _ = PAIRS["wrong axis"]
        comparison = vmapguide.compare(by_hand, by_vmap)(*args)
        assert str(comparison).count("≠") == 3 + 2 + 1  # Answers, steps, legend.
        assert "15 of 15 values differ" in because(comparison, "same numbers")


class TestAnswers:
    """The three answers do not imply each other."""

    def test_same_numbers_alone(self) -> None:
        """Two ways to compute zero."""
        comparison = vmapguide.compare(lambda x: x - x, lambda x: 0 * x)(X)
        assert answers(comparison) == (False, False, True)

    @pytest.mark.cpu_only
    def test_same_program_alone(self) -> None:
        """A key is two words, and a key: compiled it is the same, and a result of another type."""
        comparison = vmapguide.compare(lambda k: k, jax.random.key_data)(jax.random.key(0))
        assert answers(comparison) == (False, True, False)

    def test_same_jaxpr_alone(self) -> None:
        """Without values there are no numbers; what is the same jaxpr is the same program."""
        comparison = vmapguide.compare(jnp.sin, jax.jit(jnp.sin))(jax.ShapeDtypeStruct((3,), "f4"))
        assert answers(comparison) == (True, True, None)
        assert "? same numbers" in str(comparison)

    @pytest.mark.parametrize(
        ("f", "g"),
        [
            (lambda x, y: x + 1, lambda x, y: y + 1),  # noqa: ARG005
            (lambda x, y: (x, y), lambda x, y: (y, x)),
            (lambda x, y: x - y, lambda x, y: y - x),
            (lambda x, y: x @ y, lambda x, y: y @ x),
            (lambda x, y: x @ y, lambda x, y: x.T @ y),
            (lambda x, y: solve(x, y, lower=True), lambda x, y: solve(x, y, lower=False)),
            (lambda x, y: solve(x, y, trans=0), lambda x, y: solve(x, y, trans=1)),
            (lambda x, y: called(x, 1) + y, lambda x, y: called(x, 2) + y),
            (lambda x, y: y + jnp.cumsum(x, 0), lambda x, y: y + jnp.cumsum(x, 1)),
            (lambda x, y: y[x.argmax(0)], lambda x, y: y[x.argmax(1)]),
            (jax.vmap(jnp.outer), jax.vmap(jnp.outer, out_axes=1)),
            (jax.vmap(jnp.dot), jax.vmap(jnp.dot, in_axes=1)),
            (jax.vmap(jnp.dot), jax.vmap(jnp.dot, in_axes=(0, 1))),
        ],
        ids=itertools.count(),
    )
    def test_different_in_every_way(self, f: Any, g: Any) -> None:
        """With square matrices no shape gives it away."""
        x = jnp.array([[3.0, -1.0, 4.0], [1.0, -5.0, 9.0], [2.0, 6.0, -5.0]])
        y = jnp.array([[-7.0, 2.0, 8.0], [1.0, 8.0, -2.0], [8.0, 4.0, 5.0]])
        assert answers(vmapguide.compare(f, g)(x, y)) == (False, False, False)

    def test_callbacks(self) -> None:
        """What they do is not in the compiled program: it is the same if the jaxpr is."""
        same = vmapguide.compare(lambda x: called(x, 1), lambda x: called(x, 1))(X)
        assert answers(same) == (True, True, True)
        other = vmapguide.compare(lambda x: called(x, 1), lambda x: called(x, 1 + 1e-12))(X)
        assert answers(other) == (False, None, True)
        assert "what callbacks do" in because(other, "same compiled program")

    def test_callbacks_of_objects(self) -> None:
        """The text of an object need not say what is in it: it is the same as itself alone."""

        class Scale:
            def __init__(self, factor: float) -> None:
                self.factor = factor

            def __repr__(self) -> str:
                return "Scale()"

        def scaled(scale: Scale) -> Any:
            return lambda x: jax.pure_callback(lambda v: (v * scale.factor).astype(v.dtype), x, x)

        one = Scale(1.0)
        assert answers(vmapguide.compare(scaled(one), scaled(one))(X)) == (True, True, True)
        other = vmapguide.compare(scaled(one), scaled(Scale(2.0)))(X)
        assert answers(other) == (False, False, False)

    def test_trees(self) -> None:
        """It is said in which leaf of the results they differ."""
        comparison = vmapguide.compare(
            lambda p: {"loss": p["x"].sum(0), "rest": [p["y"]]},
            lambda p: {"loss": p["x"].sum(0) + jnp.array([0.0, 1.0]), "rest": [p["y"]]},
        )({"x": jnp.ones((2, 2)), "y": 3})
        _, second = comparison.sides
        assert [leaf.same for leaf in second.leaves or ()] == [False, True]
        assert because(comparison, "same numbers").startswith(
            "no: ['loss']: 1 of 2 values differ, the most at element 1: 3 and not 2"
        )

    def test_the_dtype_decides_what_is_near(self) -> None:
        """Half precision has fewer digits, and integers have all."""
        for dtype, same in ((jnp.float32, False), (jnp.float16, True)):
            x = jnp.array([1, 2], dtype)
            assert vmapguide.compare(lambda x: x, lambda x: x * 1.005)(x).same_numbers is same
        whole = jnp.array([10**9])
        assert not vmapguide.compare(lambda x: x, lambda x: x + 1)(whole).same_numbers

    def test_weak_types_are_no_types(self) -> None:
        """A number that came from Python is the same number."""
        comparison = vmapguide.compare(lambda x: (x, 2.0), lambda x: (x, jnp.float32(2)))(X)
        assert answers(comparison) == (True, True, True)

    def test_within_the_tolerance(self) -> None:
        """The same numbers need not be equal, and by how much they differ is said."""
        near = vmapguide.compare(lambda x: x, lambda x: x * (1 + 1e-5))(X)
        assert near.same_numbers
        assert "the largest difference is" in because(near, "same numbers")
        assert not vmapguide.compare(lambda x: x, lambda x: x * (1 + 1e-5), rtol=0, atol=0)(
            X
        ).same_numbers

    def test_nan_is_nan(self) -> None:
        """Equal NaNs are equal."""
        comparison = vmapguide.compare(lambda x: jnp.log(x), jnp.log)(-jnp.ones(3))  # noqa: PLW0108
        assert comparison.same_numbers

    def test_nan_is_not_a_number(self) -> None:
        """NaN on one side is a difference."""
        comparison = vmapguide.compare(jnp.log, lambda x: jnp.log(jnp.abs(x)))(-jnp.ones(3))
        assert not comparison.same_numbers

    def test_dtypes(self) -> None:
        """A result of another dtype is another result."""
        comparison = vmapguide.compare(lambda x: x, lambda x: x.astype(jnp.bfloat16))(jnp.ones(3))
        assert answers(comparison) == (False, False, False)
        assert "bfloat16[3] and not float32[3]" in because(comparison, "same numbers")

    def test_abstract_arguments(self) -> None:
        """They have no numbers, but programs."""
        comparison = vmapguide.compare(jnp.sin, jax.vmap(jnp.sin))(
            jax.ShapeDtypeStruct((1000, 1000, 1000), jnp.float32)
        )
        assert answers(comparison) == (True, True, None)
        assert because(comparison, "same numbers").startswith(
            "unknown: the arguments have no values"
        )

    def test_names_do_not_count(self) -> None:
        """Neither those of arguments nor those of functions."""

        def one(first: Any) -> Any:
            return {"a": jnp.sin(first["a}b"])}

        def two(other: Any) -> Any:
            return {"a": jax.jit(jnp.sin)(other["a}b"])}

        assert answers(vmapguide.compare(one, two)({"a}b": X})) == (True, True, True)

    def test_three_sides(self) -> None:
        """Each is compared with the first; one that differs makes a no."""
        comparison = vmapguide.compare(
            one=jnp.sin,
            two=jax.jit(jnp.sin),
            three=jnp.cos,
        )(X)
        assert [side.same_jaxpr for side in comparison.sides] == [True, True, False]
        assert answers(comparison) == (False, False, False)
        assert "three: same jaxpr" in str(comparison)

    def test_donated_arguments_survive(self) -> None:
        """What a side would donate, it does not."""
        argument = jnp.ones(3)
        donating = jax.jit(lambda x: x + 1, donate_argnums=0)
        assert vmapguide.compare(donating, lambda x: x + 1)(argument).same_numbers
        assert not argument.is_deleted()


class TestConstants:
    """Captured arrays are what is in them."""

    @pytest.mark.cpu_only
    def test_compiled_functions_that_capture(self) -> None:
        """What is captured inside of `jax.jit` is captured outside of it, too."""
        affine = jax.vmap(lambda x: W @ x + b)
        assert answers(vmapguide.compare(affine, jax.jit(affine))(X)) == (True, True, True)
        doubled = jax.jit(jax.vmap(lambda x: 2 * W @ x + b))
        assert answers(vmapguide.compare(affine, doubled)(X)) == (False, False, False)

    @pytest.mark.cpu_only
    def test_pairs_that_capture(self) -> None:
        """The pairs of weights by hand, with weights captured."""
        by_einsum = vmapguide.compare(
            lambda X: jnp.einsum("oi,ni->no", W, X) + b, jax.vmap(lambda x: W @ x + b)
        )(X)
        assert answers(by_einsum) == (False, True, True)

    @pytest.mark.parametrize("compiled", [lambda f: f, jax.jit])
    def test_large_constants_without_values(self, compiled: Any) -> None:
        """Whether the programs are the same is not known where nothing tells: it is not claimed."""
        one, two = LARGE, LARGE + 1
        x = jax.ShapeDtypeStruct((80,), jnp.float32)
        comparison = vmapguide.compare(compiled(lambda x: one @ x), compiled(lambda x: two @ x))(x)
        assert answers(comparison) == (False, None, None)
        assert because(comparison, "same compiled program").startswith(
            "unknown: the texts are equal, but leave out"
        )

    def test_what_xla_computes_from_large_constants(self) -> None:
        """Twice a constant, or a constant that is twice as large: the numbers are all there is."""
        one, two = LARGE, 2 * LARGE
        comparison = vmapguide.compare(lambda x: (2 * one) @ x, lambda x: two @ x)(jnp.ones(80))
        assert answers(comparison) == (False, None, True)

    def test_zeros_with_signs(self) -> None:
        """They are equal numbers, and other constants."""
        mask = np.where(np.asarray(LARGE) > 0, np.float32(0), np.float32(1))
        other = np.where(mask == 0, -mask, mask)
        comparison = vmapguide.compare(lambda x: x / mask, lambda x: x / other)(LARGE)
        assert answers(comparison) == (False, False, False)
        assert " inf" in because(comparison, "same numbers")

    def test_large_constants(self) -> None:
        """XLA prints large ones without their values, which must not make them equal."""
        one, two = LARGE, LARGE + 1
        x = jnp.ones(80)
        assert answers(vmapguide.compare(lambda x: one @ x, lambda x: two @ x)(x)) == (
            False,
            False,
            False,
        )
        copy = jnp.array(np.asarray(one))
        assert answers(vmapguide.compare(lambda x: one @ x, lambda x: copy @ x)(x)) == (
            True,
            True,
            True,
        )

    def test_large_constants_that_are_used_otherwise(self) -> None:
        """Two products with two constants, the other way round."""
        one, two = LARGE, LARGE + 1
        comparison = vmapguide.compare(
            lambda x: (one @ x) - (two @ x), lambda x: (two @ x) - (one @ x)
        )(jnp.ones(80))
        assert answers(comparison) == (False, False, False)

    @pytest.mark.cpu_only
    def test_folded_constants(self) -> None:
        """XLA transposes what it knows: another program, and it is said what it is about."""
        captured = vmapguide.compare(lambda X: X @ W.T, jax.vmap(lambda x: W @ x))(X)
        assert answers(captured) == (False, False, True)
        assert "with these as arguments the programs are the same" in because(
            captured, "same compiled program"
        )
        passed = vmapguide.compare(
            lambda W, X: X @ W.T, jax.vmap(lambda W, x: W @ x, in_axes=(None, 0))
        )(W, X)
        assert answers(passed) == (False, True, True)

    @pytest.mark.slow
    def test_keys(self) -> None:
        """A captured key is its words."""
        one, two = jax.random.key(0), jax.random.key(1)

        def draw(key: Any) -> Callable[[jax.Array], jax.Array]:
            return lambda x: x + jax.random.normal(key, x.shape)

        assert answers(vmapguide.compare(draw(one), draw(jax.random.key(0)))(X)) == (
            True,
            True,
            True,
        )
        assert answers(vmapguide.compare(draw(one), draw(two))(X)) == (False, False, False)


def named(x: jax.Array) -> jax.Array:
    """Return the sine."""
    return jnp.sin(x)


class TestNames:
    """Sides have names."""

    def test_names(self) -> None:
        """Those of functions with what was done to them, or those that were given."""
        comparison = vmapguide.compare(
            named, jax.vmap(named), jax.jit(jax.vmap(named)), named, jnp.sin, mine=named
        )(X)
        assert [side.name for side in comparison.sides] == [
            "named",
            "vmap(named)",
            "jit(vmap(named))",
            "named 2",
            "sin",
            "mine",
        ]

    def test_a_name_that_is_taken(self) -> None:
        """No side is lost, whatever the names are."""
        given: dict[str, Any] = {"named 2": named, "named": jnp.cos}
        comparison = vmapguide.compare(named, named, **given)(X)
        names = [side.name for side in comparison.sides]
        assert names == ["named 3", "named 4", "named 2", "named"]
        assert not comparison.sides[-1].same_numbers


class TestErrors:
    """Bad input gets an error that names the side and the fix."""

    @pytest.mark.parametrize(("functions", "number"), [((), 0), ((jnp.sin,), 1)])
    def test_too_few(self, functions: Any, number: int) -> None:
        """It takes two."""
        message = (
            rf"compare: pass two or more functions, {number} .*compare\(by_hand, jax.vmap\(f\)\)"
        )
        with pytest.raises(TypeError, match=message):
            vmapguide.compare(*functions)

    def test_not_a_function(self) -> None:
        """The side is named."""
        with pytest.raises(TypeError, match=r"compare: argument 1 must be a function, but"):
            vmapguide.compare(jnp.sin, X)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"compare: mine= must be a function"):
            vmapguide.compare(jnp.sin, mine=3)  # type: ignore[arg-type]

    def test_arguments_that_do_not_fit_one_side(self) -> None:
        """The side is named, with its signature."""
        with pytest.raises(TypeError, match=r"compare: mine\(x, y\) cannot be called"):
            vmapguide.compare(jnp.sin, mine=lambda x, y: x + y)(X)

    def test_a_side_that_fails(self) -> None:
        """The error is its own; the note names it."""
        with pytest.raises(TypeError, match="contracting") as caught:
            vmapguide.compare(lambda x: x, mine=lambda x: x @ x)(X)
        assert any("compare: mine raised this" in note for note in caught.value.__notes__)

    def test_an_argument_that_is_no_array(self) -> None:
        """It is named, and what to do."""
        with pytest.raises(TypeError) as caught:
            vmapguide.compare(lambda x, s: x, lambda x, s: x)(X, "text")  # noqa: ARG005
        assert any("JAX cannot trace s" in note for note in caught.value.__notes__)

    def test_structures(self) -> None:
        """Both sides are named."""
        with pytest.raises(TypeError, match=r"compare: <lambda> and mine return results of"):
            vmapguide.compare(lambda x: x, mine=lambda x: (x, x))(X)

    def test_an_empty_batch_that_no_function_accepts(self) -> None:
        """It is said before JAX says something else."""
        with pytest.raises(ValueError, match=r"compare: d\['x'\] is empty, float32\[0,5\]"):
            vmapguide.compare(lambda d: d["x"].max(), lambda d: d["x"].min())({"x": X[:0]})

    def test_a_side_whose_arguments_do_not_fit_comes_first(self) -> None:
        """Even if the batch is empty: names of arguments would be guesses."""
        with pytest.raises(TypeError, match=r"compare: mine\(x, y\) cannot be called"):
            vmapguide.compare(jnp.sin, mine=lambda x, y: x + y)(X[:0])

    def test_an_empty_batch(self) -> None:
        """The argument is named."""
        with pytest.raises(ValueError, match=r"compare: x is empty, float32\[0,5\]"):
            vmapguide.compare(lambda x: x, jnp.sin)(X[:0])


class TestView:
    """A comparison is made to be looked at."""

    def test_text(self) -> None:
        """Equal steps side by side, a sign for each, and a legend of those that occur."""
        comparison = vmapguide.compare(
            by_hand=lambda x: jnp.sin(x).sum(), vmap=lambda x: jnp.sin(x).max()
        )(X)
        text = str(comparison)
        assert re.search(r"sin x +=  +a:f32\[3,5\] = sin x", text)
        assert re.search(r"reduce_sum\[axes=\(0, 1\)\] a +<", text)
        assert re.search(r">  +b:f32\[\] = reduce_max", text)
        legend = text.rsplit("\n\n", 1)[1]
        assert [sign for sign in "=≈≠<>·" if sign in legend] == ["=", "<", ">"]
        assert repr(comparison) == text

    def test_nothing_to_align(self) -> None:
        """Two programs without a step are the same; nothing is declined."""
        text = str(vmapguide.compare(lambda x: x, lambda y: y)(X))
        assert "= same jaxpr              yes: 0 equations" in text
        assert "side by side" not in text
        assert "step" not in text

    def test_moved_axes_alone(self) -> None:
        """They are all there is, and they are the same."""
        text = str(vmapguide.compare(lambda x: x.T, lambda x: jnp.swapaxes(x, 0, 1))(X))
        assert "yes: 1 equation\n" in text
        assert re.search(r"a:f32\[5,3\] = transpose.* =  .*transpose", text)

    def test_operands_in_another_place(self) -> None:
        """A sum of two is the same the other way round: the sign says so, and the jaxpr differs."""
        comparison = vmapguide.compare(lambda x: x + W[0], lambda x: W[0] + x)(X)
        assert because(comparison, "same jaxpr").endswith("axes or operands in another place")

    def test_moves_are_faded(self) -> None:
        """By a sign and by a class, in the rows that only move axes."""
        comparison = vmapguide.compare(lambda x: jnp.sin(x), lambda x: jnp.sin(x.T).T)(X)  # noqa: PLW0108
        rows = re.findall(r"<tr[^>]*>.*?</tr>", comparison._repr_html_())[1:]
        assert ["vg-faded" in row for row in rows] == [True, False, True]
        assert ["·" in row for row in rows] == [True, False, True]
        assert "· only moves axes" in str(comparison)

    def test_hostile_names_of_functions(self) -> None:
        """They are text."""

        def f(x: jax.Array) -> jax.Array:
            return jnp.sin(x)

        f.__name__ = "<img src=x onerror=alert(1)>"
        named: Any = {'"><script>': f}
        comparison = vmapguide.compare(f, jnp.cos, **named)
        html = comparison(X)._repr_html_()
        assert "<img" not in html
        assert '"><script>' not in html
        assert html.count("<script>") == 1  # Our own.
        assert "&lt;img src=x onerror=alert(1)&gt;" in html

    def test_long_runs_are_folded(self) -> None:
        """What is equal is said in few lines."""

        def many(x: jax.Array) -> jax.Array:
            for _ in range(30):
                x = jnp.sin(x)
            return x

        text = str(vmapguide.compare(many, lambda x: many(x))(X))  # noqa: PLW0108
        assert "… 22 more, the same on both sides" in text
        assert text.count("sin") < 30

    def test_declined(self) -> None:
        """Nothing is paired by a guess."""
        comparison = vmapguide.compare(
            loop=lambda X: jnp.stack([W @ x + b for x in X]), vmap=jax.vmap(lambda x: W @ x + b)
        )(X)
        assert "loop and vmap are not set side by side" in " ".join(str(comparison).split())
        data: Any = comparison.to_dict()
        assert data["sides"][1]["pairs"] is None
        assert comparison.same_numbers

    def test_html(self) -> None:
        """Names and keys are escaped, and so are the signs."""
        hostile = {"<script>": X}
        comparison = vmapguide.compare(
            lambda d: jnp.sin(d["<script>"]).sum(), lambda d: jnp.sin(d["<script>"]).max()
        )(hostile)
        html = comparison._repr_html_()
        assert "['<script>']" not in html
        assert "&lt;script&gt;" in html
        assert '<td role="cell">&lt;</td>' in html
        assert '<td role="cell">&gt;</td>' in html

    def test_plain_data(self) -> None:
        """It goes through JSON."""
        comparison = vmapguide.compare(jnp.log, jnp.sin)(-jnp.ones(3))
        data = json.loads(json.dumps(comparison.to_dict(), allow_nan=False))
        assert data["schema"] == "vmapguide.comparison/1"
        assert data["sides"][1]["leaves"][0]["expected"] == "nan"
        assert data["sides"][0]["jaxpr"]["equations"][0]["primitive"] == "log"
        assert [pair["relation"] for pair in data["sides"][0]["pairs"]] == ["same"]
