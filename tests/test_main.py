"""`python -m vmapguide`: what it prints, what it writes, and what it says of mistakes."""

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from vmapguide._cli.inputs import UsageError, argument
from vmapguide._cli.main import main


MODEL = """
import jax
import jax.numpy as jnp

CONSTANT = 3


def neuron(w, x):
    return jnp.tanh(w @ x).sum()


def repeat(x, n, *, scale=1.0):
    for _ in range(n):
        x = x * scale
    return x


def sample(key):
    return jax.random.normal(key)


def branch(x):
    return x if x > 0 else -x


class Model:
    @staticmethod
    def apply(params):
        return params["w"].sum() + params["b"]
"""

NEURON = ["explain", "model.py:neuron", "--in-axes", "None, 0", "f32[2,5]", "f32[3,5]"]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder with a model in it; forget what was imported from there."""
    (tmp_path / "model.py").write_text(MODEL)
    (tmp_path / "broken.py").write_text("import jax\n\n1 / 0\n")
    (tmp_path / "README.md").write_text("# A model\n")
    (tmp_path / "notes.txt").write_text("x = 1\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "model", raising=False)
    monkeypatch.delitem(sys.modules, "broken", raising=False)


def on_a_terminal(arguments: list[str], **variables: str) -> str:
    """Return what the command line prints on a terminal."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": "100", **variables}
    command = [sys.executable, "-m", "vmapguide", *arguments]
    subprocess.run(command, stdout=theirs, env=environment, check=True)
    os.close(theirs)
    return os.read(ours, 100_000).decode()


class TestOutput:
    """What a right call gives."""

    def test_it_prints_the_explanation(self, capsys: pytest.CaptureFixture[str]) -> None:
        """By default the text is printed, without colour codes where there is no terminal."""
        assert main(NEURON) == 0
        text = capsys.readouterr().out
        assert "vmap(neuron)" in text
        assert "f32[2,5], f32[B,5] → f32[B]" in text
        assert "return jnp.tanh(w @ x).sum()" in text
        assert "\x1b" not in text

    @pytest.mark.parametrize("where", ["model.py:neuron", "model:neuron"])
    def test_files_and_modules(self, where: str) -> None:
        """A function is named by its file or by its module."""
        assert main(["explain", where, "--in-axes", "None, 0", "f32[2,5]", "f32[3,5]"]) == 0

    def test_attributes_and_pytrees(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A method is found through its class; arguments may be pytrees of types."""
        assert main(["explain", "model.py:Model.apply", "{'w': f32[8,3], 'b': f32[8]}"]) == 0
        assert "B = 8" in capsys.readouterr().out

    def test_values_keywords_and_keys(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Numbers are passed as they are, keywords by name, keys as keys."""
        call = ["explain", "model.py:repeat", "f32[4]", "3", "scale=f32[4]", "--in-axes", "0, None"]
        assert main(call) == 0
        assert "3 equations became 3" in capsys.readouterr().out
        assert main(["explain", "model.py:sample", "key[7]"]) == 0
        assert "key<fry>[B]" in capsys.readouterr().out

    def test_options_may_stand_between_arguments(self) -> None:
        """The order of options and arguments is free."""
        assert main(["explain", "--in-axes", "0", "model.py:sample", "key[2]", "--json"]) == 0

    def test_json_is_the_data(self, capsys: pytest.CaptureFixture[str]) -> None:
        """`--json` prints what `to_dict` returns."""
        assert main([*NEURON, "--json"]) == 0
        data = json.loads(capsys.readouterr().out)
        assert data["schema"] == "vmapguide.explanation/1"
        assert data["axis_sizes"] == {"B": 3}

    def test_html_is_one_self_contained_page(self, tmp_path: Path) -> None:
        """`--html` writes a whole page that loads nothing, and leaves nothing else behind."""
        before = set(tmp_path.iterdir())
        assert main([*NEURON, "--html", "out.html"]) == 0
        page = (tmp_path / "out.html").read_text("utf-8")
        assert page.startswith("<!doctype html>")
        assert page.rstrip().endswith("</html>")
        assert not re.search(r'\b(?:src|href)="', page)
        created = {path.name for path in set(tmp_path.iterdir()) - before}
        assert created - {"__pycache__"} == {"out.html"}

    def test_colour_only_on_a_terminal(self) -> None:
        """On a terminal the batch axis is coloured; `NO_COLOR` is respected."""
        assert "\x1b[33mB\x1b[39m" in on_a_terminal(NEURON)
        assert "\x1b" not in on_a_terminal(NEURON, NO_COLOR="1")

    @pytest.mark.parametrize("options", [[], ["--fold"]])
    def test_library_code_is_folded(
        self, options: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        """What matters is not buried, be it on a terminal or in a file."""
        call = ["explain", "model.py:sample", "key[7]", *options]
        assert main(call) == 0
        for folded in (capsys.readouterr().out, on_a_terminal(call)):
            assert "erf_inv" not in folded
            assert "inside library code: 1 was rewritten" in folded

    def test_all_of_it_on_request(self, capsys: pytest.CaptureFixture[str]) -> None:
        """`--no-fold` prints every equation."""
        assert main(["explain", "model.py:sample", "key[7]", "--no-fold"]) == 0
        whole = capsys.readouterr().out
        assert "erf_inv" in whole
        assert "inside library code" not in whole

    def test_lines_of_a_library(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        """`--library` shows the lines inside the call, in text and on a page."""
        call = ["explain", "model.py:sample", "key[7]", "--library"]
        assert main(call) == 0
        assert "jax/_src/random" in capsys.readouterr().out
        assert main([*call, "--no-fold", "--html", "out.html"]) == 0
        page = (tmp_path / "out.html").read_text("utf-8")
        assert 'class="vg-place">' in page
        assert 'class="vg-more">' not in page


class TestMistakes:
    """What a wrong call says: one message, no traceback, nothing half-written."""

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (["nofile.py:f", "f32[3]"], "there is no file nofile.py"),
            (["nomodule:f", "f32[3]"], "there is no module nomodule"),
            (["model.py", "f32[3]"], "does not name a function"),
            (["model.py:nuron", "f32[3]"], "has no function 'nuron'; did you mean neuron?"),
            (["model.py:Model.aply", "f32[3]"], "Model has no function 'aply'"),
            (["model.py:CONSTANT", "f32[3]"], "is of type int, not a function"),
            (["model.py:neuron", "f32[3,x]"], "(3, x) is not a shape"),
            (["model.py:neuron", "f32"], "a scalar of that type is f32[]"),
            (["model.py:neuron", "q32[3]"], "q32 is not a dtype"),
            (["model.py:neuron", "f32[3"], "it does not parse"),
            (["model.py:neuron", "f32[3]", "--in-axes", "0 1"], "cannot read --in-axes '0 1'"),
            (["model.py:sample", "key[3]", "--html", "no/out.html"], "cannot write no/out.html"),
            (["model.py:sample", "key[3]", "--html", "/"], "cannot write /"),
            (["model.py:CONSTANT.of", "f32[3]"], "CONSTANT has no function 'of'"),
            (["model.py:neuron", "my_type[3]"], "my_type is not a dtype"),
            (["model.py:neuron", "{[1]: 2}"], "cannot read the argument '{[1]: 2}'"),
            (["model.py:neuron", "f32[3]", "--in-axes", "{[1]: 0}"], "cannot read --in-axes"),
            (
                ["README.md:x", "f32[3]"],
                "README.md is not a Python file: its name has to end in .py",
            ),
            (["notes.txt:x", "f32[3]"], "notes.txt is not a Python file"),
            (["folder/model:x", "f32[3]"], "folder/model is not the name of a module"),
            (["folder/README.md:x", "f32[3]"], "folder/README.md is not the name of a module"),
            (["absent.md:x", "f32[3]"], "there is no module absent"),
        ],
    )
    def test_a_wrong_call(
        self, call: list[str], message: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The exit status is 2, and the message says what is wrong."""
        assert main(["explain", *call]) == 2
        errors = capsys.readouterr().err
        assert message in errors
        assert "Traceback" not in errors

    @pytest.mark.parametrize(
        ("call", "messages"),
        [
            (["model.py:branch", "f32[3]"], ["model.py:23", "TracerBoolConversionError", "cond"]),
            (["model.py:neuron", "f32[2,5]", "f32[3,5]"], ["inconsistent sizes", "share w"]),
            (["model.py:neuron", "f32[2]"], ["missing 1 required positional argument: 'x'"]),
            (["broken.py:f", "f32[2]"], ["broken.py:3", "ZeroDivisionError"]),
        ],
    )
    def test_a_function_that_raises(
        self, call: list[str], messages: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The exit status is 1; the message is JAX's, with the user's line and our advice."""
        assert main(["explain", *call]) == 1
        errors = capsys.readouterr().err
        assert all(message in errors for message in messages), errors
        assert "Traceback" not in errors

    @pytest.mark.parametrize(
        "folder", ["vmapguide", "vmapguide/examples", "src/vmapguide", "other"]
    )
    def test_the_line_is_named_whatever_its_folder(
        self, folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A checkout of this project has its name: what is in it is the user's all the same."""
        place = tmp_path / folder
        place.mkdir(parents=True)
        (place / "model.py").write_text(MODEL)
        (place / "broken.py").write_text("1 / 0\n")
        assert main(["explain", f"{place}/model.py:branch", "f32[3]"]) == 1
        assert f"vmapguide: {place}/model.py:23: Tracer" in capsys.readouterr().err
        assert main(["explain", f"{place}/broken.py:f", "f32[3]"]) == 1
        assert f"{place}/broken.py:1: ZeroDivisionError" in capsys.readouterr().err

    def test_no_line_is_named_where_the_call_is_wrong(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Sizes that differ are not the fault of a line, nor of one of this package's."""
        assert main(["explain", "model.py:neuron", "f32[2,5]", "f32[3,5]"]) == 1
        assert capsys.readouterr().err.startswith("vmapguide: ValueError: ")

    def test_it_runs_as_a_module(self) -> None:
        """`python -m vmapguide` passes its status on."""
        command = [sys.executable, "-m", "vmapguide", "explain", "nofile.py:f"]
        result = subprocess.run(command, check=False, capture_output=True, text=True)
        assert (result.returncode, result.stdout) == (2, "")

    def test_a_closed_pipe_is_no_mistake(self) -> None:
        """Whoever reads, such as `head`, has enough: nothing is said, and it is no failure."""
        reader, writer = os.pipe()
        os.close(reader)
        command = [sys.executable, "-m", "vmapguide", *NEURON]
        # As in a shell: the output waits in a buffer.
        environment = {name: os.environ[name] for name in os.environ if name != "PYTHONUNBUFFERED"}
        result = subprocess.run(
            command,
            check=False,
            env=environment,
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
        )
        os.close(writer)
        assert (result.returncode, result.stderr) == (0, "")


class TestArgument:
    """How types are written."""

    def test_types(self) -> None:
        """The short names are those of listings; the long ones are NumPy's."""
        for text, dtype in {
            "f32[3,5]": jnp.float32,
            "bf16[3,5]": jnp.bfloat16,
            "i8[3,5]": jnp.int8,
            "u32[3,5]": jnp.uint32,
            "c64[3,5]": jnp.complex64,
            "bool[3,5]": jnp.bool_,
            "float16[3,5]": jnp.float16,
            "float8_e4m3fn[3,5]": jnp.float8_e4m3fn,
        }.items():
            assert argument(text) == jax.ShapeDtypeStruct((3, 5), dtype)

    def test_scalars_and_containers(self) -> None:
        """A scalar has empty brackets; containers hold types and values."""
        scalar = jax.ShapeDtypeStruct((), jnp.int32)
        assert argument("i32[]") == scalar
        assert argument("[i32[], (1, -2.5), None]") == [scalar, (1, -2.5), None]

    def test_nothing_is_evaluated(self) -> None:
        """An argument is data: it cannot call anything."""
        with pytest.raises(UsageError, match="neither a type nor a value"):
            argument("__import__('os').system('true')")
