"""What stands on top of an explanation: it wraps, and arguments of many arrays have a name."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import pytest
from batches import array
from hostile_names import HOSTILE, assert_is_text
from markup_tree import Tree

import vmapguide
from vmapguide._cli.inputs import load


X = array(8, 3)


def arrays(count: int, *shape: int) -> dict[str, Any]:
    """Return a dictionary of arrays."""
    return {f"weight_{i}": array(*shape) for i in range(count)}


@jax.tree_util.register_pytree_node_class
class Model:
    """An object that JAX knows as a container, without names for what it holds."""

    def __init__(self, *weights: Any) -> None:
        self.weights = weights

    def __call__(self, x: jax.Array) -> Any:
        """Add the sums of all weights."""
        return x + sum(w.sum() for w in self.weights)

    def tree_flatten(self) -> Any:
        """Take it apart."""
        return self.weights, None

    @classmethod
    def tree_unflatten(cls, _: Any, weights: Any) -> "Model":
        """Put it together."""
        return cls(*weights)


class State(NamedTuple):
    """A state of four arrays."""

    a: Any
    b: Any
    c: Any
    d: Any


def header(explanation: Any, width: int = 200) -> str:
    """Return what is above the first line of code."""
    text: str = explanation.as_text(width).partition("\n\n")[0]
    return text


class TestNames:
    """An argument of many arrays is one argument."""

    def test_an_object_of_a_library(self) -> None:
        """Its name stands with the number of its arrays, and the others' with their types."""
        model = Model(*[jnp.ones((3, 3))] * 12)
        top = header(vmapguide.explain(lambda model, x: model(x), (None, 0))(model, X))
        assert "model: 12 arrays, x: f32[B,3] → f32[B,3]" in top

    def test_a_methods_self(self) -> None:
        """A method taken from its class has a `self`."""
        model = Model(*[jnp.ones((3, 3))] * 5)
        top = header(vmapguide.explain(Model.__call__, (None, 0))(model, X))
        assert "self: 5 arrays, x: f32[B,3] → " in top

    def test_what_is_mapped_is_said(self) -> None:
        """Of an argument that is shortened it is said whether it is mapped."""
        f = lambda p, q, x: sum(v.sum() for v in [*p.values(), *q]) + x  # noqa: E731
        state = State(*[X] * 4)
        top = header(vmapguide.explain(f)(arrays(7, 8, 2), state, X))
        assert "p: 7 mapped arrays, q: 4 mapped arrays, x: f32[B,3] → " in top
        some = State(0, None, None, None)
        top = header(vmapguide.explain(f, (None, some, 0))(arrays(7, 2), state, X))
        assert "p: 7 arrays, q: 4 arrays (1 mapped), x: f32[B,3] → " in top

    def test_a_few_arrays_are_listed(self) -> None:
        """Two or three types are shown in brackets."""
        top = header(
            vmapguide.explain(lambda p, x: p["w"] @ x + p["b"], (None, 0))(
                {"b": jnp.ones(2), "w": jnp.ones((2, 3))}, X
            )
        )
        assert "p: (f32[2], f32[2,3]), x: f32[B,3] → f32[B,2]" in top

    def test_plain_arguments_stay_types(self) -> None:
        """An argument that is one array is shown as its type, without a name."""
        top = header(vmapguide.explain(lambda w, x: w @ x, (None, 0))(jnp.ones((2, 3)), X))
        assert "f32[2,3], f32[B,3] → f32[B,2]" in top
        assert "w:" not in top

    def test_many_results(self) -> None:
        """Results without end are counted."""
        top = header(vmapguide.explain(lambda p: jax.tree.map(jnp.sin, p))(arrays(30, 8)))
        assert "p: 30 mapped arrays → 30 mapped arrays" in top

    def test_html_has_the_same(self) -> None:
        """The header of the HTML view says what the text says."""
        model = Model(*[jnp.ones((3, 3))] * 12)
        html = vmapguide.explain(lambda model, x: model(x), (None, 0))(model, X).as_html()
        assert "model: 12 arrays" in re.sub("<[^>]*>", "", html)


class TestWidth:
    """No line is wider than the width, if it can be broken."""

    @pytest.mark.parametrize("width", [60, 80, 120])
    def test_many_types(self, width: int) -> None:
        """The line of types is broken, as are the axes."""

        def f(*xs: Any) -> Any:
            return xs

        f.__name__ = "f"
        g = eval(  # noqa: S307 - a function of forty arguments.
            f"lambda {', '.join(f'x{i}' for i in range(40))}: x0 + x39"
        )
        explanation = vmapguide.explain(g, (0,) * 40)(*[X] * 40)
        text = explanation.as_text(width)
        assert header(explanation, width).count("f32[B,3]") == 41
        assert max(map(len, text.splitlines())) <= width

    @pytest.mark.parametrize("width", [0, 1, 20])
    def test_no_width_at_all(self, width: int) -> None:
        """A width that nothing fits into is no error: lines are as narrow as they can be."""
        text = vmapguide.explain(lambda x: jnp.sin(x))(X).as_text(width)  # noqa: PLW0108
        assert max(map(len, text.splitlines())) <= 60

    @pytest.mark.parametrize("width", [80, 120])
    def test_long_lines_of_code(self, width: int, tmp_path: Path) -> None:
        """A line of code that is too long is broken, and its part is named."""
        name = "a_rather_long_name_of_an_argument"
        body = f"    return {name} * {name} + {name} - {name} / {name} * {name}"
        (tmp_path / "wide.py").write_text(f"def f({name}):\n{body}\n")
        explanation = vmapguide.explain(load(f"{tmp_path / 'wide.py'}:f"))(X)
        assert f"  > {name} * {name}\n" in explanation.as_text(width)
        assert max(map(len, explanation.as_text(width).splitlines())) <= width

    @pytest.mark.parametrize("width", [80, 120])
    def test_what_is_nested_deep(self, width: int) -> None:
        """Deep indentation leaves room for words: none is cut in two that fits."""
        explanation = vmapguide.explain(lambda x: jnp.interp(x, x, x))(X)
        text = explanation.as_text(width, fold=False)
        assert max(map(len, text.splitlines())) <= width
        assert text.count("broadcast_in_dim") >= sum(
            s.equation.primitive.name == "broadcast_in_dim" for s in explanation.steps
        )


class TestEscaped:
    """What users name cannot break out of the page."""

    @pytest.mark.parametrize("evil", HOSTILE)
    def test_names_and_keys(self, evil: str) -> None:
        """A function's name, an argument's key and a shortened list are text."""

        def f(p: Any, x: jax.Array) -> Any:
            return x + sum(v.sum() for v in p.values())

        f.__name__ = evil
        many = {f"{evil}{i}": X for i in range(5)}
        assert_is_text(evil, vmapguide.explain(f)(many, X).as_html(fold=False, library=True))

    @pytest.mark.parametrize("evil", ["<blink>.py", "a'\"b.py", "&lt;.py"])
    def test_paths(self, evil: str, tmp_path: Path) -> None:
        """The name of a file is text."""
        (tmp_path / evil).write_text("import jax.numpy as jnp\ndef g(x):\n    return jnp.sin(x)\n")
        g = load(f"{tmp_path / evil}:g")
        html = vmapguide.explain(lambda x: g(x) + 1)(X).as_html()
        assert "jnp.sin(x)" in Tree(html).text
        assert_is_text(evil, html)

    def test_no_styles_and_roles(self) -> None:
        """The site's policy forbids styles on elements; tables keep their roles."""
        html = vmapguide.explain(lambda p, x: p[0] @ x, (None, 0))([jnp.ones((2, 3))], X).as_html()
        body = html.partition("</style>")[2]
        assert " style=" not in body
        for row in re.findall(r"<(?:tr|td|tbody|th|thead|table)\b[^>]*>", body):
            assert ' role="' in row
