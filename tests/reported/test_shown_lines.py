"""Whose lines are shown: the user's; if there are none, those of the function that is explained."""

import functools
import importlib
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from batches import array
from jax.experimental.ode import odeint

import vmapguide
from vmapguide._cli.inputs import load
from vmapguide._jaxpr import source_files


NUMBERS = array(8)
VECTORS = array(8, 3)
MATRICES = array(8, 3, 3)

BASE = """
import jax


class Environment:
    @jax.jit
    def step(self, state):
        return self.step_env(state)

    def loop(self, state):
        return self.step_env(state), jax.lax.while_loop(
            lambda s: s < 3,
            lambda s: s + 1,
            state,
        )


jax.tree_util.register_static(Environment)
"""

CARTPOLE = """
import jax
import jax.numpy as jnp

from gym_like.base import Environment


@jax.tree_util.register_static
class CartPole(Environment):
    def step_env(self, state):
        force = jnp.sin(state)
        return force * 2 + 1


def single(state):
    return jnp.cos(state)
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Install a package where libraries are, and import it."""
    folder = tmp_path / "site-packages" / "gym_like"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "base.py").write_text(BASE)
    (folder / "cartpole.py").write_text(CARTPOLE)
    root = f"{folder.parent}/"
    roots = source_files._LIBRARY_ROOTS  # noqa: SLF001
    monkeypatch.setattr(source_files, "_LIBRARY_ROOTS", (*roots, root))
    monkeypatch.syspath_prepend(str(folder.parent))
    source_files.is_library.cache_clear()
    yield importlib.import_module("gym_like.cartpole")
    for name in [name for name in sys.modules if name.startswith("gym_like")]:
        del sys.modules[name]
    source_files.is_library.cache_clear()


class TestNoUser:
    """Where no frame is the user's there are lines all the same."""

    def test_a_partial_of_a_library_function(self) -> None:
        """The lines are those of the function in its own file."""
        g = functools.partial(jnp.interp, xp=jnp.arange(4.0), fp=jnp.arange(4.0))
        explanation = vmapguide.explain(g)(jnp.ones(3))
        files = {Path(s.source.file).name for s in explanation.steps if s.source}
        assert {s.source is None for s in explanation.steps} == {False}
        assert files == {Path(inspect.getfile(inspect.unwrap(jnp.interp))).name}
        assert "(no source)" not in str(explanation)

    def test_a_method_of_an_installed_class(self, installed: ModuleType) -> None:
        """Of another package than JAX it is the innermost line that is in the package."""
        explanation = vmapguide.explain(installed.CartPole().step)(VECTORS)
        sin = next(s for s in explanation.steps if s.equation.primitive.name == "sin")
        assert sin.source is not None
        assert (sin.source.expression, sin.source.function) == ("jnp.sin(state)", "step_env")
        text = str(explanation)
        assert "force = jnp.sin(state)" in text
        assert "gym_like/cartpole.py" in text

    def test_an_instance_that_is_called(self, installed: ModuleType) -> None:
        """An object that can be called has the lines of its `__call__`."""
        kind = type("Called", (installed.CartPole,), {"__call__": installed.CartPole.step_env})
        explanation = vmapguide.explain(kind())(VECTORS)
        assert {s.source.function for s in explanation.steps if s.source} == {"step_env"}

    @pytest.mark.parametrize("transform", [jax.jit, jax.grad, jax.checkpoint, jax.vmap])
    def test_transformations_around_it(self, installed: ModuleType, transform: Any) -> None:
        """A library's function inside JAX's transformations is still that function."""
        types = VECTORS if transform is jax.vmap else NUMBERS
        steps = vmapguide.explain(transform(installed.single))(types).steps
        sources = [s.source for s in steps if s.equation.primitive.name in ("cos", "sin")]
        assert sources
        assert all(s and s.expression == "jnp.cos(state)" for s in sources)

    def test_the_users_line_wins(self, installed: ModuleType) -> None:
        """With a function of the user's around it, the line is the user's."""
        environment = installed.CartPole()
        explanation = vmapguide.explain(lambda s: environment.step(s) + 1)(VECTORS)
        assert {Path(s.source.file).name for s in explanation.steps if s.source} == {
            Path(__file__).name
        }

    def test_a_function_of_the_users_that_a_library_calls(self) -> None:
        """A library's function that is explained shows its own lines and the user's."""

        def slope(x: jax.Array, _: Any) -> jax.Array:
            return jnp.sin(x)

        f = functools.partial(odeint, slope, t=jnp.linspace(0.0, 1.0, 5))
        explanation = vmapguide.explain(lambda x: f(x) + 1)(VECTORS)
        direct = vmapguide.explain(f)(VECTORS)
        for found in (explanation, direct):
            sin = next(s for s in found.steps if s.equation.primitive.name == "sin")
            assert sin.source is not None
            assert sin.source.file == __file__
        assert any(s.source and s.source.file.endswith("ode.py") for s in direct.steps)
        text = str(direct)
        assert "jax/experimental/ode.py" in text
        assert Path(__file__).name in text

    def test_the_cost_has_lines_as_well(self, installed: ModuleType) -> None:
        """The table of what lines cost is more than one row."""
        explanation = vmapguide.explain(installed.CartPole().step)(VECTORS)
        assert "jnp.sin(state)" in str(vmapguide.cost(explanation))

    def test_code_without_a_file(self) -> None:
        """Code that is in no file has none to show, whatever called it."""
        namespace: dict[str, Any] = {"jnp": jnp}
        exec("def g(x):\n    return jnp.tanh(x) * 71", namespace)  # noqa: S102
        assert "(no source)" in str(vmapguide.explain(namespace["g"])(VECTORS))


class TestFiles:
    """Files have names where there are several."""

    def test_two_files_of_one_name(self, tmp_path: Path) -> None:
        """Files of one name have that of their folder as well."""
        for folder, operation in (("one", "sin"), ("two", "cos")):
            (tmp_path / folder).mkdir()
            code = f"import jax.numpy as jnp\ndef g(x):\n    return jnp.{operation}(x)\n"
            (tmp_path / folder / "helper.py").write_text(code)
        one, two = (load(f"{tmp_path / folder / 'helper.py'}:g") for folder in ("one", "two"))
        lines = str(vmapguide.explain(lambda x: one(x) + two(x))(VECTORS)).splitlines()
        assert [line for line in lines if line.endswith(".py")] == [
            "one/helper.py",
            "two/helper.py",
            Path(__file__).name,
        ]

    def test_lines_in_several_files(self, tmp_path: Path) -> None:
        """Where lines are in several files, the last sentences name the file."""
        code = "import jax\ndef g(x):\n    return jax.lax.while_loop(lambda x: x < 3, f, x)\n"
        (tmp_path / "looping.py").write_text(f"{code}def f(x):\n    return x + 1\n")
        g = load(f"{tmp_path / 'looping.py'}:g")
        text = " ".join(str(vmapguide.explain(lambda x: 2 * g(x))(NUMBERS)).split())
        assert "slowest example is done: line 3 of looping.py." in text

    def test_one_file_needs_no_name(self, tmp_path: Path) -> None:
        """Where all lines are in the file of the function, it is not named."""
        (tmp_path / "alone.py").write_text("def g(x):\n    return x + 1\n")
        text = str(vmapguide.explain(load(f"{tmp_path / 'alone.py'}:g"))(NUMBERS))
        assert "alone.py" not in text


class TestOnRequest:
    """Library lines are there for who asks."""

    def test_text(self, installed: ModuleType) -> None:
        """The lines inside the call stand under the name of their file."""
        environment = installed.CartPole()
        explanation = vmapguide.explain(lambda s: environment.step(s) + 1)(VECTORS)
        assert "jnp.sin(state)" not in explanation.as_text(100)
        text = explanation.as_text(100, library=True)
        assert "force = jnp.sin(state)" in text
        assert "gym_like/cartpole.py" in text
        assert "equations inside library code" not in text

    def test_html(self, installed: ModuleType) -> None:
        """The view has the library's lines when it is asked for them, too."""
        environment = installed.CartPole()
        explanation = vmapguide.explain(lambda s: environment.step(s) + 1)(VECTORS)
        assert "jnp.sin(state)" not in explanation.as_html()
        html = explanation.as_html(library=True)
        assert "<u>jnp.sin(state)</u>" in html
        assert "gym_like/cartpole.py" in html

    @pytest.mark.parametrize(
        ("f", "args", "line"),
        [
            (lambda x: 2 * jax.scipy.linalg.expm(x), (MATRICES,), "linalg.py"),
            (lambda x: odeint(lambda y, _: -y, x, jnp.arange(3.0)), (VECTORS,), "ode.py"),
            (lambda x: 2 * jax.nn.softmax(x), (VECTORS,), "functions.py"),
        ],
    )
    def test_code_of_jaxs(self, f: Any, args: Any, line: str) -> None:
        """JAX's own functions open, and what lies below all of them does not."""
        text = vmapguide.explain(f)(*args).as_text(100, library=True)
        files = {words[0] for words in map(str.split, text.splitlines()) if words[:1] != []}
        places = {Path(word).name for word in files if word.endswith(".py")}
        assert line in places
        assert not places & {"core.py", "api.py", "pjit.py", "lax.py", "array_methods.py"}

    def test_the_users_line_stands_above(self, installed: ModuleType) -> None:
        """Before the lines of a library stands the line that called it, once."""
        environment = installed.CartPole()

        def f(state: jax.Array) -> Any:
            state = 2 * state
            return environment.step(state)

        explanation = vmapguide.explain(f)(VECTORS)
        text = explanation.as_text(100, library=True)
        assert text.count("return environment.step(state)") == 1
        assert text.index("return environment.step(state)") < text.index("gym_like/cartpole.py")
        html = explanation.as_html(library=True)
        assert html.count("<u>environment.step(state)</u>") == 1

    def test_operators_are_the_users(self) -> None:
        """An operator runs library code as well, and there is nothing to see in it."""
        explanation = vmapguide.explain(lambda x: (x * 2 - 1)[0])(VECTORS)
        assert explanation.as_text(100, library=True) == explanation.as_text(100)
