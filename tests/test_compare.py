"""`vmapguide.compare`: same jaxpr, same compiled program, same numbers."""

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

    def test_large_constants(self) -> None:
        """XLA prints large ones without their values, which must not make them equal."""
        one, two = jnp.arange(4000.0).reshape(50, 80), jnp.arange(4000.0).reshape(50, 80) + 1
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
        one, two = jnp.arange(4000.0).reshape(50, 80), jnp.arange(4000.0).reshape(50, 80) + 1
        comparison = vmapguide.compare(
            lambda x: (one @ x) - (two @ x), lambda x: (two @ x) - (one @ x)
        )(jnp.ones(80))
        assert answers(comparison) == (False, False, False)

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
