"""What became slow is said beside the line that it belongs to, and again at the end."""

import dataclasses
import itertools
import re
from collections.abc import Callable
from types import FunctionType
from typing import Any, cast

import jax
import jax.numpy as jnp
import jax.scipy as jsp
import pytest
from batches import array
from jax import lax
from jax.experimental.ode import odeint

import vmapguide
from vmapguide import Explanation


KEYS = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), 8))
NUMBERS = array(8)
INDICES = array(8, dtype=jnp.int32)
VECTORS = array(8, 3)
MATRICES = array(8, 3, 3)


def poisson(key: jax.Array, rate: jax.Array) -> jax.Array:
    """Call a library that loops, on line 2 of the body."""
    rate = rate + 1
    return jax.random.poisson(key, rate)


def binomial(key: jax.Array, p: jax.Array) -> jax.Array:
    """Call one whose code is traced as if it were the user's."""
    return jax.random.binomial(key, 10, p)


def decay(start: jax.Array, rate: jax.Array) -> Any:
    """Call one that calls the user's code, so that one line stands several times."""

    def slope(x: jax.Array, _: Any) -> jax.Array:
        return -rate * x

    return odeint(slope, start, jnp.linspace(0.0, 1.0, 5))


def solved(matrix: jax.Array, vector: jax.Array) -> Any:
    """Call one whose loop is nested in a solver."""
    return jsp.sparse.linalg.cg(lambda x: matrix @ x, vector)[0]


def exponential(matrix: jax.Array) -> Any:
    """Call one that branches."""
    return jsp.linalg.expm(matrix)


SLOWEST = r"run(s)? until the slowest example is done"

EVERY_BRANCH = r"run(s)? every branch for every example"

# What calls a library, its arguments, what is said of it, and how far below its name it calls.
LIBRARY: dict[str, tuple[FunctionType, tuple[Any, ...], str, int]] = {
    "poisson": (cast("FunctionType", poisson), (KEYS, NUMBERS), SLOWEST, 3),
    "odeint": (cast("FunctionType", decay), (VECTORS, NUMBERS), SLOWEST, 6),
    "cg": (cast("FunctionType", solved), (MATRICES, VECTORS), SLOWEST, 2),
    "expm": (cast("FunctionType", exponential), (MATRICES,), EVERY_BRANCH, 2),
}


def equations(explanation: Explanation) -> str:
    """Return what is shown of equations, however many there are."""
    return explanation.as_text(view="equations")


def words(text: str) -> str:
    """Return a text on one line."""
    return " ".join(text.split())


def line_of(f: Any, offset: int) -> int:
    """Return the number of a line of a function, counted from the one with its name."""
    assert isinstance(f, FunctionType)
    return f.__code__.co_firstlineno + offset


def tables(explanation: Explanation) -> str:
    """Return the HTML of an explanation without its stylesheet and script."""
    return explanation._repr_html_().partition("<table")[2].partition("<script")[0]


class TestFolded:
    """A kind that matters is in no folded row only."""

    @pytest.mark.parametrize("name", LIBRARY)
    def test_the_label_of_folded_rows_says_it(self, name: str) -> None:
        """Beside the user's line stands how many of the folded equations became slow."""
        f, args, what, _ = LIBRARY[name]
        explanation = vmapguide.explain(f)(*args)
        said = rf"\(\d+ [^()]*: [^()]*\d+ {what}[^()]*\)"
        assert re.search(said, words(equations(explanation).rpartition("\n\n")[0]))
        assert re.search(rf"<summary>\d+ [^<]*: [^<]*\d+ {what}", tables(explanation))

    def test_what_is_not_nested_is_shown(self) -> None:
        """Library code that is traced like the user's has rows, and those that loop are shown."""
        explanation = vmapguide.explain(binomial)(KEYS, NUMBERS)
        loops = [step for step in explanation.steps if step.kind == "slowest example"]
        text = equations(explanation)
        assert len(loops) == 2
        assert text.count("slowest example VG102\n") == 2
        assert f"is done: line {line_of(binomial, 2)}." in words(text)

    @pytest.mark.parametrize("name", LIBRARY)
    def test_the_last_sentence_names_the_line(self, name: str) -> None:
        """The line is the user's, where the library is called."""
        f, args, what, offset = LIBRARY[name]
        line = line_of(f, offset)
        for text in (str(vmapguide.explain(f)(*args)), tables(vmapguide.explain(f)(*args))):
            assert re.search(rf"{what}: line {line}\.", words(text))

    def test_several_lines_are_named_once_each(self) -> None:
        """Lines are in order, and a line that loops twice is one line."""

        def f(x: jax.Array) -> Any:
            x = lax.while_loop(lambda v: v < 9, lambda v: v * 2, x)
            y = lax.while_loop(lambda v: v < 8, lambda v: v * 2, x)
            return lax.while_loop(lambda v: v < 7, lambda v: v + 1, y) + lax.while_loop(
                lambda v: v < 6, lambda v: v + 1, y
            )

        text = words(str(vmapguide.explain(f)(NUMBERS)))
        first = line_of(f, 1)
        assert f"slowest example is done: lines {first}, {first + 1} and {first + 2}." in text

    def test_what_is_rewritten_counts_as_well(self) -> None:
        """A rewritten equation inside library code is no secret."""
        text = words(equations(vmapguide.explain(lambda key: 2 * jax.random.normal(key))(KEYS)))
        assert re.search(r"inside library code: 1 was rewritten\)", text)

    def test_own_rows_that_matter_are_not_folded(self) -> None:
        """After a dozen equations of a line a slow one of the user's is still shown."""

        def f(x: jax.Array) -> Any:
            return sum(jnp.sin(x * i) for i in range(20)) + lax.cond(x > 0, jnp.sin, jnp.cos, x)

        text = equations(vmapguide.explain(f)(NUMBERS))
        assert "more equations" in text
        assert re.search(r"cond\[.*  all branches VG101$", text, re.MULTILINE)

    def test_nothing_is_added_where_nothing_matters(self) -> None:
        """What runs once for the batch leaves the label as it is."""
        text = equations(vmapguide.explain(lambda x: 2 * jnp.linalg.det(x))(MATRICES))
        assert re.search(r"\(\d+ (more )?equations( inside library code)?\)", text)


class TestLongBranches:
    """What one equation became is shown up to a number of equations."""

    @staticmethod
    def switch(i: jax.Array, *operands: jax.Array) -> Any:
        """Take one of five branches of six operands."""
        a, b, c, d, e, f = operands
        return lax.switch(
            i,
            [
                lambda: a + b,
                lambda: c * d,
                lambda: jnp.sin(e),
                lambda: f - a,
                lambda: a * b * c,
            ],
        )

    def test_a_switch_of_many_operands(self) -> None:
        """A few rows stand under the label, the first and the last, the rest has a count."""
        explanation = vmapguide.explain(self.switch)(INDICES, *[VECTORS] * 6)
        step = next(s for s in explanation.steps if s.kind == "all branches")
        assert len(step.batched) > 60
        text = str(explanation)
        found = re.search(r"\((\d+) more: (.*?)\)", words(text))
        assert found is not None
        assert "select_n" in found[2]
        shown = len(step.batched) - int(found[1])
        assert 4 <= shown <= 8
        assert text.count("stop_gradient") <= 4
        # The equation that picks the result is the last one, and is shown.
        assert re.search(rf"select_n( [\w′″‴]+){{{6}}}", words(text))

    def test_html_holds_the_rest(self) -> None:
        """In HTML the rest opens, and nothing is lost."""
        explanation = vmapguide.explain(self.switch)(INDICES, *[VECTORS] * 6)
        step = next(s for s in explanation.steps if s.kind == "all branches")
        html = tables(explanation)
        assert len(re.findall(r'class="vg-made', html)) >= len(step.batched)
        assert re.search(r"<summary>\d+ more: ", html)

    def test_callbacks_of_every_example(self) -> None:
        """What is unrolled over the batch folds likewise."""

        def f(x: jax.Array) -> jax.Array:
            jax.debug.print("{}", x)
            return x

        text = str(vmapguide.explain(f)(jax.ShapeDtypeStruct((64, 3), jnp.float32)))
        assert len(text.splitlines()) < 30
        assert re.search(r"\(\d+ more: .*debug_", words(text))

    def test_all_of_it_on_request(self) -> None:
        """Unfolded, every equation is there."""
        explanation = vmapguide.explain(self.switch)(INDICES, *[VECTORS] * 6)
        text = explanation.as_text(200, fold=False)
        assert "more:" not in text
        html = explanation.as_html(fold=False).partition("<table")[2]
        names = [eqn.primitive.name for step in explanation.steps for eqn in step.batched]
        assert text.count("stop_gradient") == names.count("stop_gradient")
        assert "<summary>" not in re.sub(r'<details class="vg-long">.*?</details>', "", html)


# What calls LAPACK, each with the primitives that a library's kernel computes.
KERNELS: dict[str, tuple[Callable[..., Any], tuple[str, ...]]] = {
    "eigvalsh": (jnp.linalg.eigvalsh, ("eigh",)),
    "eig": (lambda x: lax.linalg.eig(x)[0], ("eig",)),
    "svd": (lambda x: jnp.linalg.svd(x)[1], ("svd",)),
    "qr": (lambda x: jnp.linalg.qr(x)[0], ("qr",)),
    "cholesky": (jnp.linalg.cholesky, ("cholesky",)),
    "solve": (lambda x: jnp.linalg.solve(x, jnp.ones(3)), ("lu", "triangular_solve")),
    "schur": (lambda x: lax.linalg.schur(x)[0], ("schur",)),
    "hessenberg": (lambda x: lax.linalg.hessenberg(x)[0], ("hessenberg",)),
    "tridiagonal": (lambda x: lax.linalg.tridiagonal(x)[0], ("tridiagonal",)),
    "gradient": (jax.grad(lambda x: jnp.linalg.svd(x)[1].sum()), ("svd",)),
}


class TestKernels:
    """A kernel of a library may go through the matrices one by one."""

    @pytest.mark.parametrize("name", KERNELS)
    def test_the_summary_names_the_primitive(self, name: str) -> None:
        """It does not say without reservation that nothing runs one example at a time."""
        f, primitives = KERNELS[name]
        text = words(str(vmapguide.explain(f)(MATRICES)))
        assert "Nothing runs one example at a time" not in text
        for primitive in primitives:
            assert re.search(rf"\b{primitive}\b[^.]* librar[^.]* one by one", text)
        assert text.endswith("Nothing else runs one example at a time.")

    @pytest.mark.parametrize("name", [name for name in KERNELS if name != "gradient"])
    def test_the_kernel_is_one_of_lapack_on_a_cpu(self, name: str) -> None:
        """The batch goes to one call of LAPACK's wrapper, which has a loop."""
        lowered = jax.jit(jax.vmap(KERNELS[name][0])).trace(MATRICES)
        assert "@lapack_" in lowered.lower(lowering_platforms=("cpu",)).as_text()

    def test_its_line_is_named(self) -> None:
        """The sentence says where."""

        def f(x: jax.Array) -> Any:
            y = x + x.T
            return jnp.linalg.eigh(y)[0].sum()

        text = words(str(vmapguide.explain(f)(MATRICES)))
        assert f"one by one: line {line_of(f, 2)}." in text

    def test_one_matrix_for_all_is_one_matrix(self) -> None:
        """A decomposition that all examples share is computed once, and no reservation is made."""

        def f(x: jax.Array, v: jax.Array) -> Any:
            return jnp.linalg.cholesky(x) @ v

        text = words(str(vmapguide.explain(f, in_axes=(None, 0))(jnp.eye(3), VECTORS)))
        assert text.endswith("Nothing runs one example at a time.")
        assert "librar" not in text.rpartition("became")[2]

    def test_many_right_sides_are_one_call(self) -> None:
        """A triangular matrix that all share is given all right sides at once."""

        def f(x: jax.Array, v: jax.Array) -> Any:
            return jsp.linalg.solve_triangular(x, v)

        explanation = vmapguide.explain(f, in_axes=(None, 0))(jnp.eye(3), VECTORS)
        assert "triangular_solve" in {s.equation.primitive.name for s in explanation.steps}
        assert words(str(explanation)).endswith("Nothing runs one example at a time.")

    def test_a_product_of_matrices_is_none(self) -> None:
        """A batched matrix product is no such call."""
        text = words(str(vmapguide.explain(lambda x: x @ x)(MATRICES)))
        assert text.endswith("Nothing runs one example at a time.")


class TestKinds:
    """Kinds that the public met, in words."""

    def test_a_branch_for_all(self) -> None:
        """A `cond` that the examples decide together takes one branch for all."""

        def f(x: jax.Array) -> Any:
            return lax.cond(lax.pmax(x > 0, "i"), jnp.sin, jnp.cos, x)

        explanation = vmapguide.explain(f, axis_name="i")(NUMBERS)
        line = line_of(f, 1)
        text = words(str(explanation))
        assert f"1 takes one branch for all examples, chosen over the batch: line {line}." in text
        assert re.search(r"  any example$", str(explanation), re.MULTILINE)
        assert "vg-tag-any-example" in tables(explanation)

    def test_a_rule_of_its_own(self) -> None:
        """What a batching rule replaced has no kind, and is not said to run."""

        @jax.custom_batching.custom_vmap
        def double(x: jax.Array) -> jax.Array:
            return jnp.sin(x) * 2

        @double.def_vmap
        def _rule(_size: int, _mapped: Any, x: jax.Array) -> Any:
            return x * 2, True

        explanation = vmapguide.explain(lambda x: double(x) + 1)(VECTORS)
        text = words(str(explanation))
        assert [s.kind for s in explanation.steps].count("") == 2
        assert "2 lie in a function that has a batching rule of its own." in text

    def test_a_helper_that_is_called_in_two_ways(self) -> None:
        """What differs between the calls stands beside what each became."""

        @jax.jit
        def helper(x: jax.Array) -> jax.Array:
            return jnp.sin(x)

        explanation = vmapguide.explain(lambda x, y: helper(x) * helper(y), (None, 0))(
            jnp.float32(1), NUMBERS
        )
        (row,) = re.findall(r".* = sin .*\n.* = sin .*", str(explanation))
        one, other = row.split("\n")
        assert one.endswith("one call: shared")
        assert other.endswith("another call: mapped")
        assert "rewritten" not in str(explanation)

    def test_calls_that_differ_in_axes(self) -> None:
        """Mapped over one axis here and another there, the axes are named."""

        @jax.jit
        def helper(x: jax.Array) -> jax.Array:
            return jnp.sin(x)

        explanation = vmapguide.explain(lambda x, y: helper(x) * helper(y), (0, 1))(
            jax.ShapeDtypeStruct((8, 3), jnp.float32), jax.ShapeDtypeStruct((3, 8), jnp.float32)
        )
        step = next(s for s in explanation.steps if s.equation.primitive.name == "sin")
        assert [v.batch_axes for v in step.variants] == [(0,), (1,)]
        text = str(explanation)
        assert "one call: axis 0" in text
        assert "another call: axis 1" in text


class TestUnknown:
    """What could not be mapped costs its own lines alone."""

    @staticmethod
    def moody() -> FunctionType:
        """Return a function that is another one when it is traced again."""
        traces = itertools.count()

        def f(x: jax.Array) -> Any:
            x = lax.while_loop(lambda v: v.sum() < 9, lambda v: v * 2, x)
            if next(traces) == 0:  # noqa: SIM108 - each branch is to have its line.
                x = jnp.sin(x)
            else:
                x = jnp.tanh(x) - 3
            return jnp.exp(x)

        return cast("FunctionType", f)

    def test_the_lines_are_named_and_the_rest_counts(self) -> None:
        """One sentence says how many equations and where; the other sentences stay."""
        f = self.moody()
        explanation = vmapguide.explain(f)(VECTORS)
        assert not explanation.complete
        kinds = [step.kind for step in explanation.steps]
        assert kinds.count("unknown") == 2
        assert len(explanation.unknown) == 1
        loop, sin, tanh = (line_of(f, offset) for offset in (1, 3, 5))
        for text in (words(str(explanation)), words(tables(explanation))):
            assert (
                "2 equations and 1 of the batched ones could not be mapped to each other: lines "
                f"{sin} and {tanh}; both jaxprs are right all the same." in text
            )
            assert f"1 runs until the slowest example is done: line {loop}." in text
            assert f"{kinds.count('same')} run once for the whole batch." in text
            assert "one example at a time" not in text

    def test_the_rows_say_it(self) -> None:
        """Both sides have rows, each below its own line."""
        explanation = vmapguide.explain(self.moody())(VECTORS)
        text = str(explanation)
        assert re.search(r"= tanh \w+ +unknown$", text, re.MULTILINE)
        assert re.search(r"^ +\w+:f32\[\S+\] = sin \w+ +unknown$", text, re.MULTILINE)
        assert "out_axes" not in text
        assert "x = jnp.sin(x)" in text
        assert tables(explanation).count("vg-tag-unknown") == 3

    def test_one_side_alone(self) -> None:
        """If only one side has such equations, the sentence is about that side."""
        f = self.moody()
        explanation = vmapguide.explain(f)(VECTORS)
        ours = dataclasses.replace(explanation, unknown=())
        lines = f"line {line_of(f, 5)}; both"
        said = f"2 equations could not be mapped to what vmap made of them: {lines}"
        assert said in words(str(ours))
        steps = tuple(step for step in explanation.steps if step.kind != "unknown")
        theirs = dataclasses.replace(explanation, steps=steps)
        lines = f"line {line_of(f, 3)}; both"
        said = f"1 batched equation could not be mapped to what it came from: {lines}"
        assert said in words(str(theirs))

    def test_inside_library_code(self) -> None:
        """What could not be mapped inside a library is counted in the label."""
        explanation = vmapguide.explain(poisson)(KEYS, NUMBERS)
        steps = tuple(
            dataclasses.replace(step, kind="unknown") if step.kind == "slowest example" else step
            for step in explanation.steps
        )
        text = words(equations(dataclasses.replace(explanation, steps=steps, complete=False)))
        assert re.search(r"inside library code: 2 could not be mapped[,)]", text)
