"""`vmapguide.explain`: which line of the user's code, and which part of it, made an equation."""

import functools
import importlib.util
import itertools
import linecache
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from batches import VECTORS

import vmapguide
from vmapguide import Source, Step


def step_of(f: Callable[..., Any], primitive: str, *args: Any) -> Step:
    """Explain a function and return the last step of a primitive."""
    steps = vmapguide.explain(f)(*args or (VECTORS,)).steps
    return [step for step in steps if step.equation.primitive.name == primitive][-1]


def source_of(f: Callable[..., Any], primitive: str, *args: Any) -> Source:
    """Explain a function and return the source of the last step of a primitive."""
    source = step_of(f, primitive, *args).source
    assert source is not None
    return source


def line_of(f: Any, offset: int) -> int:
    """Return the number of a line of a function, counted from the one with its name."""
    assert isinstance(f, FunctionType)
    return f.__code__.co_firstlineno + offset


def several(x: jax.Array) -> jax.Array:
    """Hold several operations on a line."""
    return jnp.sin(x) * jnp.cos(x) + 1


def spread(x: jax.Array) -> Any:
    """Hold one operation over several lines."""
    return jnp.where(
        x > 0,
        jnp.exp(
            -x,
        ),
        x,
    )


def double_of(f: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a function with another one."""

    @functools.wraps(f)
    def wrapper(x: jax.Array) -> Any:
        return f(x) * 2

    return wrapper


@double_of
@jax.jit
def decorated(x: jax.Array) -> jax.Array:
    """Stand under two decorators."""
    return jnp.tanh(x)


class Model:
    """A model with methods."""

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.layer(x).sum()

    def layer(self, x: jax.Array) -> jax.Array:
        return jnp.tanh(x)


class TestExpressions:
    """The line is the user's, and the columns are those of the sub-expression."""

    def test_several_operations_on_a_line(self) -> None:
        """Each equation has its own part of the line."""
        parts = {name: source_of(several, name) for name in ("sin", "cos", "mul", "add")}
        assert {name: source.expression for name, source in parts.items()} == {
            "sin": "jnp.sin(x)",
            "cos": "jnp.cos(x)",
            "mul": "jnp.sin(x) * jnp.cos(x)",
            "add": "jnp.sin(x) * jnp.cos(x) + 1",
        }
        assert {(s.line, s.end_line) for s in parts.values()} == {(line_of(several, 2),) * 2}
        assert (parts["cos"].column, parts["cos"].end_column) == (24, 34)
        assert parts["cos"].text == "return jnp.sin(x) * jnp.cos(x) + 1"
        assert parts["cos"].indentation == 4

    def test_one_operation_over_several_lines(self) -> None:
        """A part may reach over lines, and its text has all of them."""
        source = source_of(spread, "exp")
        assert (source.line, source.end_line) == (line_of(spread, 4), line_of(spread, 6))
        assert source.expression == "jnp.exp(\n    -x,\n)"
        assert source_of(spread, "neg").expression == "-x"
        assert source_of(spread, "gt").line == line_of(spread, 3)
        assert source_of(spread, "select_n").expression.startswith("jnp.where(\n")

    def test_a_lambda(self) -> None:
        """A lambda's line is where its part stands, not where it is called."""
        f = lambda x: jnp.sin(x) + 1  # noqa: E731
        source = source_of(f, "sin")
        assert (source.line, source.expression) == (line_of(f, 0), "jnp.sin(x)")
        assert source.function == "<lambda>"

    def test_methods(self) -> None:
        """A method, and a method that it calls."""
        model = Model()
        assert source_of(model, "reduce_sum").expression == "self.layer(x).sum()"
        assert source_of(model.layer, "tanh").expression == "jnp.tanh(x)"
        source = source_of(model, "tanh")
        assert (source.line, source.function) == (line_of(Model.layer, 1), "layer")

    def test_decorated_functions(self) -> None:
        """The body's line under its decorators, and the decorator's own."""
        assert source_of(decorated, "tanh").expression == "jnp.tanh(x)"
        assert source_of(decorated, "mul").expression == "f(x) * 2"
        assert source_of(decorated, "mul").function == "wrapper"

    def test_functions_in_functions(self) -> None:
        """A function that is defined in another one, and one that is called."""

        def outer(x: jax.Array) -> jax.Array:
            def inner(y: jax.Array) -> jax.Array:
                return jnp.cos(y)

            return inner(x) + several(x)

        assert source_of(outer, "sin").line == line_of(several, 2)
        source = source_of(outer, "cos")
        assert (source.line, source.function) == (line_of(several, 2), "several")
        steps = vmapguide.explain(outer)(VECTORS).steps
        assert steps[0].source is not None
        assert (steps[0].source.line, steps[0].source.function) == (line_of(outer, 2), "inner")
        assert steps[-1].source is not None
        assert steps[-1].source.expression == "inner(x) + several(x)"

    def test_bodies_of_loops(self) -> None:
        """What is nested has the line of the body, not that of the loop."""

        def f(x: jax.Array) -> Any:
            return jax.lax.fori_loop(
                0,
                3,
                lambda _, v: jnp.sin(v) * 2,
                x,
            )

        assert source_of(f, "sin").expression == "jnp.sin(v)"
        assert source_of(f, "sin").line == line_of(f, 4)
        assert source_of(f, "scan").line == line_of(f, 1)

    def test_letters_of_several_bytes(self) -> None:
        """Python counts columns in bytes; a column here is a character."""

        def f(x: jax.Array) -> Any:
            return {"größte Länge, 最大": jnp.sin(x)}, {"é": jnp.cos(x)}  # größer

        assert source_of(f, "sin").expression == "jnp.sin(x)"
        source = source_of(f, "cos")
        assert source.expression == "jnp.cos(x)"
        line = Path(__file__).read_text(encoding="utf-8").split("\n")[source.line - 1]
        assert line[source.column : source.end_column] == "jnp.cos(x)"

    def test_the_source_is_what_is_in_the_file(self) -> None:
        """File, line and columns lead to the expression, with or without the text."""
        for step in vmapguide.explain(several)(VECTORS).steps:
            source = step.source
            assert source is not None
            assert source.file == __file__
            line = Path(source.file).read_text(encoding="utf-8").split("\n")[source.line - 1]
            assert line[source.column : source.end_column] == source.expression


class TestLibraries:
    """What library code made belongs to the line that called it."""

    def test_the_line_that_called_in(self) -> None:
        """Inside a compiled function of JAX's there are no lines but the caller's."""

        def f(x: jax.Array) -> jax.Array:
            return jnp.where(x > 0, x, 0.0) * 2

        step = step_of(f, "select_n")
        assert step.source is not None
        assert step.source.expression == "jnp.where(x > 0, x, 0.0)"
        assert (step.in_user_code, step.depth) == (False, 1)
        assert step_of(f, "jit").in_user_code
        assert step_of(f, "mul").in_user_code

    @pytest.mark.parametrize("primitive", ["select_n", "cos", "erf_inv", "max"])
    def test_the_first_caller_is_not_taken_for_the_second(self, primitive: str) -> None:
        """JAX keeps the traces of its own functions: they know who called first."""

        def first(x: jax.Array) -> Any:
            a = jnp.where(x > 0, x, 0.0)
            b = jax.lax.cond(x[0] > 0, jnp.sin, jnp.cos, x)
            key = jax.random.wrap_key_data(jnp.zeros(2, jnp.uint32))
            return a + b + jax.random.normal(key, x.shape) + jax.nn.relu(x)

        def second(x: jax.Array) -> Any:
            key = jax.random.wrap_key_data(jnp.zeros(2, jnp.uint32))
            d = jax.random.normal(key, x.shape) + jax.nn.relu(x)
            b = jax.lax.cond(x[0] > 0, jnp.sin, jnp.cos, x)
            return jnp.where(x > 0, x, 0.0) + b + d

        expected = {"select_n": (1, 4), "cos": (2, 3), "erf_inv": (4, 2), "max": (4, 2)}
        offsets = expected[primitive]
        for f, offset in ((first, offsets[0]), (second, offsets[1]), (first, offsets[0])):
            source = source_of(f, primitive)
            assert (source.line, source.function) == (line_of(f, offset), f.__name__)

    def test_one_line_that_is_called_twice(self) -> None:
        """A helper's equations are the helper's line, whoever calls it."""

        def helper(x: jax.Array) -> Any:
            return jnp.where(x > 0, x, 1.0)

        compiled = jax.jit(helper)
        for f in (lambda x: compiled(x) + 1, lambda x: compiled(x) - 1):
            source = source_of(f, "select_n")
            assert source.line == line_of(helper, 1)

    def test_a_function_that_is_all_library(self) -> None:
        """Its own lines are shown; what called it from outside is no line of it."""
        explanation = vmapguide.explain(jnp.sort)(VECTORS)
        call, sort = explanation.steps
        assert call.source is None
        assert sort.source is not None
        assert sort.source.function == "sort"
        assert "(no source)" in str(explanation)

    def test_a_library_function_in_a_view_is_folded(self) -> None:
        """Of a call that makes many equations one line is shown, and how many there are."""
        explanation = vmapguide.explain(lambda a, b: 2 * jnp.linalg.solve(a, b))(
            jax.ShapeDtypeStruct((3, 4, 4), jnp.float32), VECTORS
        )
        inside = sum(not step.in_user_code for step in explanation.steps)
        assert inside > 10
        text = str(explanation)
        assert f"({inside} equations inside library code)" in text
        assert "= triangular_solve" not in text
        assert f"{inside} equations inside library code" in explanation._repr_html_()


def execute(code: str, filename: str) -> Any:
    """Execute code that claims to be from a file and return its function `g`."""
    namespace: dict[str, Any] = {"jnp": jnp}
    exec(compile(textwrap.dedent(code), filename, "exec"), namespace)  # noqa: S102
    return namespace["g"]


def load(path: Path) -> ModuleType:
    """Import a file as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_numbers = itertools.count(2)


def new_code() -> str:
    """Return code that no other test has run: Python takes equal code for the same."""
    return f"def g(x):\n    y = jnp.sin(x)\n    return y * {next(_numbers)}\n"


class TestMissing:
    """Without source there is no line, and never a wrong one."""

    @pytest.mark.parametrize("filename", ["<string>", "<stdin>", "/nowhere/at_all.py"])
    def test_executed_code(self, filename: str) -> None:
        """Code that is in no file has no lines."""
        explanation = vmapguide.explain(execute(new_code(), filename))(VECTORS)
        assert [step.source for step in explanation.steps] == [None, None]
        assert [step.kind for step in explanation.steps] == ["same", "same"]
        assert "(no source)" in str(explanation)
        assert explanation.to_dict()["complete"] is True

    def test_executed_code_that_a_file_of_the_users_calls(self) -> None:
        """The line of who called is not the line of the code that was executed."""
        g = execute(new_code(), "<string>")

        def f(x: jax.Array) -> Any:
            return g(x)

        assert step_of(f, "sin").source is None

    @pytest.mark.parametrize(
        "text",
        [
            pytest.param("# Another file altogether.\n" * 5, id="comments"),
            pytest.param("import os\n\nprint('for g in gs: pass')\n", id="letter"),
            pytest.param("def h(x):\n    return x\n\n\ndef g(x):\n    return 1\n", id="moved"),
            pytest.param(
                "def go(x):\n    y = x + x + x + 1\n    return y * x - 1\n",
                id="prefix",
            ),
            pytest.param(
                "def g(x):\n    # Something has come in.\n    y = jnp.sin(x)\n    return y\n",
                id="inserted",
            ),
            pytest.param("", id="empty"),
        ],
    )
    def test_a_file_that_says_something_else(self, text: str, tmp_path: Path) -> None:
        """A name of a file is a claim: a file that was changed since, or never was the source."""
        path = tmp_path / "other.py"
        path.write_text(text, encoding="utf-8")
        steps = vmapguide.explain(execute(new_code(), str(path)))(VECTORS).steps
        assert [step.source for step in steps] == [None, None]

    def test_a_file_edited_after_import(self, tmp_path: Path) -> None:
        """What is shown is what was run, or nothing."""
        path = tmp_path / "edited_module.py"
        code = new_code()
        path.write_text(f"import jax.numpy as jnp\n\n\n{code}", encoding="utf-8")
        g = load(path).g
        path.write_text(f"import jax.numpy as jnp\nN = 1\n\n\n{code}", encoding="utf-8")
        assert [step.source for step in vmapguide.explain(g)(VECTORS).steps] == [None, None]

    def test_a_file_as_it_is(self, tmp_path: Path) -> None:
        """A file that has not changed since it was loaded has lines."""
        path = tmp_path / "module_as_it_is.py"
        path.write_text(f"import jax.numpy as jnp\n\n\n{new_code()}", encoding="utf-8")
        source = source_of(load(path).g, "sin")
        assert (source.file, source.line, source.expression) == (str(path), 5, "jnp.sin(x)")

    def test_equal_code_in_two_files(self, tmp_path: Path) -> None:
        """Python takes equal functions of two files for the same; they are not."""
        code = f"import jax.numpy as jnp\n\n\n{new_code()}"
        paths = [tmp_path / "one_of_two.py", tmp_path / "other_of_two.py"]
        for path in paths:
            path.write_text(code, encoding="utf-8")
            assert source_of(load(path).g, "sin").file == str(path)

    def test_equal_code_without_a_file_and_with_one(self, tmp_path: Path) -> None:
        """That code had no source when it was executed says nothing about a file's."""
        code = new_code()
        assert step_of(execute(code, "<string>"), "sin").source is None
        path = tmp_path / "later_in_a_file.py"
        path.write_text(code, encoding="utf-8")
        assert source_of(execute(code, str(path)), "sin").file == str(path)

    def test_a_notebook_cell(self, tmp_path: Path) -> None:
        """A cell's source is where Python keeps it for tracebacks; there is no such file."""
        name = str(tmp_path / "ipykernel_1" / "2345.py")
        cell = "scale = 2.0\ng = lambda x: scale * jnp.sin(x)\n"
        linecache.cache[name] = (len(cell), None, cell.splitlines(keepends=True), name)
        try:
            source = source_of(execute(cell, name), "sin")
        finally:
            del linecache.cache[name]
        assert (source.file, source.line, source.expression) == (name, 2, "jnp.sin(x)")

    def test_two_cells_of_one_number(self) -> None:
        """A cell that is run again has another name, and its own text."""
        found = []
        for number, expression in enumerate(["jnp.sin(x)", "jnp.sin(x * 1)"]):
            name = f"<ipython-input-{number}-abc>"
            cell = f"def g(x):\n    return {expression}\n"
            linecache.cache[name] = (len(cell), None, cell.splitlines(keepends=True), name)
            found.append(source_of(execute(cell, name), "sin").expression)
            del linecache.cache[name]
        assert found == ["jnp.sin(x)", "jnp.sin(x * 1)"]
