"""Annotated source: the functions that took part, whole, with what became of each line."""

import functools
import inspect
import linecache
import pickle
import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from decoder import ARGUMENTS, IN_AXES, attention, block, greedy, layer_norm
from hostile_names import HOSTILE, assert_is_text
from markup_tree import Tree

import vmapguide
from vmapguide import Explanation


X = jnp.ones((3, 4))


@pytest.fixture(scope="module", name="decoded")
def _decoded() -> Explanation:
    return vmapguide.explain(greedy, in_axes=IN_AXES)(*ARGUMENTS)


def source(explanation: Explanation, width: int = 120, **options: Any) -> str:
    """Return the annotated source as text."""
    return explanation.as_text(width, view="source", **options)


def row(text: str, code: str) -> str:
    """Return the line of a text that shows a piece of code."""
    (found,) = [line for line in text.split("\n") if "│" in line and code in line]
    return found


def number_of(f: Callable[..., Any], code: str) -> int:
    """Return the number of the line of a function that has a piece of code."""
    lines, first = inspect.getsourcelines(f)
    (offset,) = [i for i, line in enumerate(lines) if code in line]
    return first + offset


class TestLines:
    """Which lines there are, and what they made."""

    def test_the_functions_stand_whole_and_in_file_order(self, decoded: Explanation) -> None:
        """Every line of every function that took part is there, once, with its number."""
        text = source(decoded, fold=False)
        numbers = [int(n) for n in re.findall(r"^ *(\d+) [ !i]│", text, re.MULTILINE)]
        expected: list[int] = []
        for f in (layer_norm, attention, block, greedy):
            lines, first = inspect.getsourcelines(f)
            expected += range(first, first + len(lines))
        assert numbers == expected
        for f in (layer_norm, attention, block, greedy):
            for line in inspect.getsource(f).splitlines():
                assert line.strip() in text

    def test_a_function_that_is_called_twice_stands_once(self, decoded: Explanation) -> None:
        """Its title says from how many places it is called."""
        titles = re.findall(r"^(\w+) · .*$", source(decoded), re.MULTILINE)
        assert titles == ["layer_norm", "attention", "block", "greedy"]
        assert "layer_norm · decoder.py · called from 2 places" in source(decoded)

    def test_what_calls_differ_in_is_shown(self) -> None:
        """A function that is called with two shapes makes two."""

        def double(x: jax.Array) -> jax.Array:
            return x + x

        def f(x: jax.Array) -> jax.Array:
            return double(x).sum() + double(x[:2]).sum()

        assert "f32[B,4] or f32[B,2]" in row(source(vmapguide.explain(f)(X)), "return x + x")

    def test_the_type_is_that_of_what_the_line_makes(self, decoded: Explanation) -> None:
        """Also of a line that calls functions of the user's."""
        text = source(decoded)
        assert "f32[B,16,1]" in row(text, "mean = x.mean")
        assert "f32[B,16,16]" in row(text, "scores =")
        assert "f32[B,16,32]" in row(text, "return x + jax.nn.gelu")
        assert "i32[B]" in row(text, "token =")
        assert "f32[B,16,32]" in row(text, "jax.lax.while_loop")

    def test_the_kind_stands_there_if_it_is_not_same(self, decoded: Explanation) -> None:
        """The worst of what a line made, library code included."""
        text = source(decoded)
        assert "slowest example" in row(text, "jax.lax.while_loop")
        assert "rewritten" in row(text, "token =")
        assert row(text, "weights =").rstrip().endswith("f32[B,16,16]")

    def test_a_line_with_a_finding_is_marked(self, decoded: Explanation) -> None:
        """A warning has another mark than a note, and the code stands beside the line."""
        line = row(source(decoded), "jax.lax.while_loop")
        assert re.match(r" *\d+ !│", line)
        assert "VG102" in line
        note = vmapguide.explain(lambda x: jax.lax.cond(x[0] > 0, jnp.sin, jnp.cos, x))(X)
        assert re.search(r"^ *\d+ i│.*VG101", source(note), re.MULTILINE)

    def test_lines_that_make_nothing_have_no_margin(self, decoded: Explanation) -> None:
        """They are there, plain."""
        assert row(source(decoded), "n, x, length = state").endswith("state")

    def test_only_what_took_part_is_shown(self) -> None:
        """Not the function in which another one is written and called."""
        text = source(vmapguide.explain(lambda x: jnp.sin(x) + 1)(X))
        assert "def test_only_what" not in text
        assert "jnp.sin(x)" in text

    def test_a_method_is_named_with_its_class(self) -> None:
        """As users call it."""
        model = Model(jnp.ones(4))
        assert "Model.__call__ · " in source(vmapguide.explain(model)(X))

    def test_decorated_and_jitted_functions(self) -> None:
        """A decorator is part of the function."""

        @jax.jit
        def f(x: jax.Array) -> jax.Array:
            return jnp.cos(x)

        text = source(vmapguide.explain(f)(X))
        assert "@jax.jit" in text
        assert "f32[B,4]" in row(text, "return jnp.cos(x)")

    def test_code_without_a_file(self) -> None:
        """What no line is known of is shown as equations."""
        scope: dict[str, Any] = {}
        exec("def f(x):\n    return x + 1", scope)  # noqa: S102 - code without a file is the point.
        assert "add" in source(vmapguide.explain(scope["f"])(X))

    def test_what_vmap_adds_stands_below(self) -> None:
        """The boundary has no line."""
        text = source(vmapguide.explain(lambda x: jnp.sin(x) * 2, out_axes=1)(X))
        assert "\nout_axes: 1 transpose.\n" in text

    def test_a_library_is_shown_where_there_is_no_other_code(self) -> None:
        """A function of a library shows that library's lines."""
        g = functools.partial(jnp.interp, xp=jnp.arange(4.0), fp=jnp.arange(4.0))
        assert "interp · jax/_src/numpy/lax_numpy.py" in source(vmapguide.explain(g)(X[:, 0]))


class Model:
    """A model that is called."""

    def __init__(self, weight: jax.Array) -> None:
        self.weight = weight

    def __call__(self, x: jax.Array) -> jax.Array:
        """Weigh an example."""
        return self.weight * x


class TestView:
    """Which view is shown, and how it fits."""

    def test_a_large_program_shows_its_source(self, decoded: Explanation) -> None:
        """More than 40 equations are more than a screen."""
        assert str(decoded) == decoded.as_text(view="source")
        small = vmapguide.explain(jnp.sin)(X)
        assert str(small) == small.as_text(view="equations")

    def test_equations_are_there_on_request(self, decoded: Explanation) -> None:
        """Of all programs, and where more of them is asked for."""
        assert "one example" in decoded.as_text(view="equations")
        for options in ({"fold": False}, {"library": True}):
            assert "one example" in decoded.as_text(**options)  # type: ignore[arg-type]

    def test_an_unknown_view_is_an_error(self, decoded: Explanation) -> None:
        """It says which views there are."""
        with pytest.raises(ValueError, match="view must be 'source' or 'equations', but is 'code'"):
            decoded.as_text(view="code")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="view must be"):
            decoded.as_html(view="code")  # type: ignore[arg-type]

    @pytest.mark.parametrize("width", [60, 80, 100, 120, 160])
    def test_it_fits(self, decoded: Explanation, width: int) -> None:
        """No line is longer than the terminal is wide, and no code is lost."""
        for options in ({}, {"cost": True}):
            text = source(decoded, width, **options)
            assert max(map(len, text.split("\n"))) <= width
            code = re.findall(r"│ (.*)$", text, re.MULTILINE)
            assert "jax.lax.while_loop" in " ".join(code)

    def test_long_runs_and_docstrings_are_folded(self) -> None:
        """They are counted; unfolded they are there."""

        def f(x: jax.Array) -> jax.Array:
            """Say much.

            In several lines.
            """
            y = jnp.sin(x)
            # 1
            # 2
            # 3
            # 4
            # 5
            # 6
            # 7
            return y * 2

        explanation = vmapguide.explain(f)(X)
        assert "⋮ 4 lines" in source(explanation)
        assert "⋮ 5 lines" in source(explanation)
        assert "# 4" not in source(explanation)
        assert "# 4" in source(explanation, fold=False)

    def test_cost_shows_shares(self, decoded: Explanation) -> None:
        """A line has the share of all that it leads to, and the loop has all of it."""
        text = source(decoded, cost=True)
        assert "100%" in row(text, "jax.lax.while_loop")
        parts = [int(n) for n in re.findall(r"(\d+)%", text[text.index("block ·") :])]
        products = row(text, "q, k, v =")
        counted = vmapguide.cost(decoded)
        total = sum(step.flops + step.transcendentals for step in counted.steps)
        line = number_of(block, "q, k, v =")
        own = sum(
            step.flops + step.transcendentals
            for step in counted.steps
            if step.source and step.source.line == line
        )
        assert f"{own / total:.0%}" in products
        assert parts
        assert "%" not in source(decoded)

    def test_a_pickle_shows_the_same(self, decoded: Explanation) -> None:
        """Source and cost are kept."""
        copy = pickle.loads(pickle.dumps(decoded))  # noqa: S301 - it was made here.
        assert str(copy) == str(decoded)
        assert source(copy, cost=True) == source(decoded, cost=True)
        assert copy.as_html(cost=True) == decoded.as_html(cost=True)


class TestHtml:
    """Annotated source in a notebook."""

    def test_a_line_opens_to_its_equations(self, decoded: Explanation) -> None:
        """Every line that made equations has the three columns of them inside."""
        html = decoded.as_html()
        tree = Tree(html)
        lines = {line for line in decoded.by_line if line is not None}
        assert html.count(">the whole batch<") == len(lines)
        for name in ("dot_general", "while", "argmax"):
            assert f" = {name}" in tree.text

    def test_calls_are_underlined(self, decoded: Explanation) -> None:
        """A call that leads to code of the user's is told from others."""
        html = decoded.as_html()
        assert "<u>layer_norm</u>(x, p[" in html
        assert "<u>attention</u>(q, k, v, mask)" in html
        assert "<u>jnp.argmax</u>" not in html

    @pytest.mark.parametrize("name", HOSTILE)
    def test_hostile_source_is_escaped(self, name: str) -> None:
        """What a file says is text."""
        f = named(name)
        assert_is_text(repr(name), vmapguide.explain(f)(X).as_html(view="source"))


def named(name: str) -> Callable[..., Any]:
    """Return a function whose source has a hostile string in it."""
    return from_text("f", f"def f(x):\n    y = {name!r}\n    return x + len(y)\n")


def from_text(function: str, text: str) -> Callable[..., Any]:
    """Return a function of a text, as a notebook keeps its cells."""
    file = f"<text {hash(text)}>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    scope: dict[str, Any] = {}
    exec(compile(text, file, "exec"), scope)  # noqa: S102 - the point is what a file says.
    return scope[function]  # type: ignore[no-any-return]


class TestShares:
    """Which share of the cost a line has."""

    def test_a_compiled_function_costs_at_each_call(self) -> None:
        """JAX holds its program once, and each line that calls it has the cost of its calls."""

        @jax.jit
        def power(x: jax.Array) -> Any:
            return jnp.linalg.matrix_power(x, 4)

        def f(x: jax.Array) -> Any:
            y = power(x)
            return power(y)

        text = source(vmapguide.explain(f)(jnp.ones((3, 4, 4))), cost=True)
        assert "50%" in row(text, "y = power(x)")
        assert "50%" in row(text, "return power(y)")
        assert "100%" in row(text, "matrix_power")

    def test_a_loop_has_what_its_trips_cost(self) -> None:
        """A scan of 9 trips costs 9 times its body."""

        def f(x: jax.Array) -> Any:
            y = jax.lax.scan(lambda c, _: (jnp.sin(c), None), x, length=9)[0]
            return jnp.cos(y)

        text = source(vmapguide.explain(f)(X), cost=True)
        assert "90%" in row(text, "jax.lax.scan")
        assert "10%" in row(text, "jnp.cos(y)")

    def test_branches_that_all_run_are_the_lines_own(self) -> None:
        """What stands for a cond in the batch is counted with its line."""

        def f(x: jax.Array, p: jax.Array) -> Any:
            return jax.lax.cond(p, lambda x: jnp.sin(jnp.cos(x)), jnp.tan, x)

        text = source(vmapguide.explain(f)(X, X[:, 0] > 0), cost=True)
        assert "100%" in row(text, "jax.lax.cond")


def test_functions_of_which_nothing_stands_out_are_folded() -> None:
    """In a long view their names stand together; unfolded, each is there."""
    body = ["    x = x + 1", *["    # more"] * 4, "    return x", "", ""]
    quiet = [line for i in range(40) for line in (f"def quiet_{i}(x):", *body)]
    calls = [f"    x = quiet_{i}(x)" for i in range(40)]
    loud = ["def loud(x):", *calls, "    return jax.lax.cumsum(x)[x.argmax()]"]
    function = from_text("loud", "\n".join(["import jax", "", "", *quiet, *loud, ""]))
    explanation = vmapguide.explain(function)(X)
    folded = source(explanation)
    assert "40 functions of which nothing stands out" in folded
    assert "def quiet_7" not in folded
    assert "def loud" in folded
    assert "def quiet_7" in source(explanation, fold=False)
    assert "def quiet_7" in Tree(explanation.as_html(view="source")).text
