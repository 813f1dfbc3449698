"""`python -m vmapguide`: what it prints, what it writes, and what it says of mistakes."""

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

import vmapguide
from vmapguide._cli.main import COMMANDS, main


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


def by_hand(w, X):
    return jnp.tanh(X @ w.T).sum(1)


def doubled(w, X):
    return 2 * by_hand(w, X)


def halved(x):
    return jax.lax.while_loop(lambda x: x > 1, lambda x: x / 2, x)


def centred(x):
    return x - jax.lax.pmean(x, "i")


def same(x):
    return x


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


class TestCommands:
    """The other commands, which take the same arguments."""

    def test_check(self, capsys: pytest.CaptureFixture[str]) -> None:
        """It compares with the loop, and ends with 1 where they differ."""
        assert main(["check", *NEURON[1:]]) == 0
        assert "= equals the loop   yes: every value is equal" in capsys.readouterr().out
        assert main(["check", "model.py:centred", "f32[4]", "--axis-name", "i"]) == 1
        assert "≠ equals the loop   no: 4 of 4 values differ" in capsys.readouterr().out

    def test_the_seed_of_check(self, capsys: pytest.CaptureFixture[str]) -> None:
        """The same seed has the same numbers, and another one others."""
        found = []
        for seed in ("1", "1", "2"):
            call = ["check", "model.py:centred", "f32[4]", "--axis-name", "i", "--json"]
            assert main([*call, "--seed", seed]) == 1
            found.append(json.loads(capsys.readouterr().out)["leaves"])
        assert found[0] == found[1]
        assert found[0] != found[2]

    def test_compare(self, capsys: pytest.CaptureFixture[str]) -> None:
        """It compares with a function by hand, and ends with 1 where numbers differ."""
        assert main(["compare", "model.py:by_hand", *NEURON[1:]]) == 0
        assert "by_hand · vmap(neuron)" in capsys.readouterr().out
        assert main(["compare", "model.py:doubled", *NEURON[1:]]) == 1
        assert "≠ same numbers" in capsys.readouterr().out
        assert main(["compare", "model.py:absent", *NEURON[1:]]) == 2
        assert "model.py has no function 'absent'" in capsys.readouterr().err

    def test_cost(self, capsys: pytest.CaptureFixture[str]) -> None:
        """It counts, line by line."""
        assert main(["cost", *NEURON[1:]]) == 0
        assert "return jnp.tanh(w @ x).sum()" in capsys.readouterr().out
        assert main(["cost", *NEURON[1:], "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["schema"] == "vmapguide.cost/1"

    def test_listing(self, capsys: pytest.CaptureFixture[str]) -> None:
        """It prints a jaxpr; with `--in-axes`, that of `jax.vmap`."""
        assert main(["listing", "model.py:neuron", "f32[2,5]", "f32[5]"]) == 0
        assert "x:f32[5]" in capsys.readouterr().out
        assert main(["listing", *NEURON[1:]]) == 0
        assert "x:f32[3,5]" in capsys.readouterr().out
        assert main(["listing", "model.py:neuron", "f32[2,5]", "f32[5]", "--out-axes", "1"]) == 2
        assert "are for jax.vmap: give --in-axes, too" in capsys.readouterr().err

    def test_diagram(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        """It draws, as text and in a file."""
        assert main(["diagram", *NEURON[1:]]) == 0
        assert "one example" in capsys.readouterr().out
        assert main(["diagram", *NEURON[1:], "--svg", "out.svg"]) == 0
        assert capsys.readouterr().out == "wrote out.svg\n"
        assert (tmp_path / "out.svg").read_text("utf-8").startswith("<svg")

    @pytest.mark.parametrize("command", ["check", "compare", "cost", "listing", "diagram"])
    def test_pages(self, command: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        """Each writes a page, whose title is the first line of the text."""
        manual = ["model.py:by_hand"] * (command == "compare")
        assert main([command, *manual, *NEURON[1:], "--html", "out.html"]) == 0
        assert capsys.readouterr().out == "wrote out.html\n"
        page = (tmp_path / "out.html").read_text("utf-8")
        assert re.search("<title>[^<]+", page)
        assert not re.search(r'\b(?:src|href)="', page)

    @pytest.mark.parametrize("command", ["check", "compare", "cost", "listing", "diagram"])
    def test_a_function_that_raises(self, command: str, capsys: pytest.CaptureFixture[str]) -> None:
        """The exit status is 1, and the line is named, without a traceback."""
        manual = ["model.py:branch"] * (command == "compare")
        call = [command, *manual, "model.py:branch", "f32[3]", "--in-axes", "0"]
        assert main(call) == 1
        errors = capsys.readouterr().err
        error = "ValueError" if manual else "TracerBoolConversionError"
        assert f"model.py:23: {error}" in errors
        assert "Traceback" not in errors

    def test_an_interrupt(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Ctrl-C ends a command, and nothing is printed of what it was at."""

        def interrupted(_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("vmapguide._cli.explain.run", interrupted)
        assert main(NEURON) == 130

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            ([], "the following arguments are required: command"),
            (["nonsense"], "invalid choice: 'nonsense' (choose from"),
            (["explain"], "the following arguments are required: function"),
            ([*NEURON, "--no-such-option"], "unrecognized arguments: --no-such-option"),
            ([*NEURON, "--view", "all"], "invalid choice: 'all'"),
            ([*NEURON, "--json", "--html", "x.html"], "not allowed with argument"),
            ([*NEURON, "--sarif"], "--sarif: expected one argument"),
            (["check", *NEURON[1:], "--seed", "x"], "--seed: invalid int value: 'x'"),
            (["run", "-m"], "required: program"),
        ],
    )
    def test_wrong_options(
        self, call: list[str], message: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The status is 2, and what is wrong is said."""
        with pytest.raises(SystemExit) as ended:
            main(call)
        assert ended.value.code == 2
        assert message in capsys.readouterr().err

    def test_help_and_version(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Each command is listed with what it does, and has options of its own."""
        for call in (["--version"], ["--help"], *([command, "--help"] for command in COMMANDS)):
            with pytest.raises(SystemExit) as ended:
                main(call)
            assert ended.value.code == 0
            printed = capsys.readouterr().out
            if call == ["--version"]:
                assert printed == f"vmapguide {vmapguide.__version__}\n"
            elif call == ["--help"]:
                named = re.findall(r"^  (\w+) +\w+ ", printed, re.MULTILINE)
                assert named[: len(COMMANDS)] == [*COMMANDS]
            else:
                assert printed.startswith(f"usage: vmapguide {call[0]} ")


class TestFindings:
    """What `explain` says of findings to other tools."""

    HALVED = ("explain", "model.py:halved", "f32[3]")

    def test_views(self, capsys: pytest.CaptureFixture[str]) -> None:
        """`--view` and `--cost` choose what is shown of the program."""
        assert main([*self.HALVED, "--view", "source"]) == 0
        source = capsys.readouterr().out
        assert "halved · model.py" in source
        assert main([*self.HALVED, "--view", "equations"]) == 0
        equations = capsys.readouterr().out
        assert "the whole batch" in equations
        assert "halved · model.py" not in equations
        assert "100%" not in source + equations
        assert main([*self.HALVED, "--cost"]) == 0
        assert "100%" in capsys.readouterr().out

    def test_annotations(self, capsys: pytest.CaptureFixture[str]) -> None:
        """`--format github` prints a command for each finding, and nothing where there is none."""
        assert main([*self.HALVED, "--format", "github"]) == 0
        (line,) = capsys.readouterr().out.splitlines()
        assert line.startswith("::warning title=VG102 slowest example,file=model.py,line=")
        assert main([*NEURON, "--format", "github"]) == 0
        assert capsys.readouterr().out == ""

    def test_sarif(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        """`--sarif` writes a file."""
        assert main([*self.HALVED, "--sarif", "out.sarif"]) == 0
        assert capsys.readouterr().out == "wrote out.sarif\n"
        (run,) = json.loads((tmp_path / "out.sarif").read_text())["runs"]
        assert [result["ruleId"] for result in run["results"]] == ["VG102"]

    @pytest.mark.parametrize(
        ("codes", "status"),
        [("VG102", 1), ("VG1", 1), ("VG2,VG102", 1), ("VG2, VG3", 0), ("", 0)],
    )
    def test_a_status(self, codes: str, status: int, capsys: pytest.CaptureFixture[str]) -> None:
        """`--fail-on` makes 1 of the status, and what is found is told all the same."""
        assert main([*self.HALVED, "--fail-on", codes]) == status
        assert "VG102" in capsys.readouterr().out

    def test_an_unknown_code(self, capsys: pytest.CaptureFixture[str]) -> None:
        """It is a wrong call, before anything is explained."""
        assert main(["explain", "model.py:branch", "f32[3]", "--fail-on", "E501"]) == 2
        errors = capsys.readouterr().err
        assert errors.startswith("vmapguide: error: --fail-on names 'E501', and there is no such")


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

    @pytest.mark.parametrize("closed", [True, False])
    def test_poor_terminals(self, closed: bool) -> None:
        """Where there is no output, or one with few letters, what can be printed is."""
        command = [sys.executable, "-m", "vmapguide", *NEURON]
        if closed:
            command = ["sh", "-c", 'exec "$@" >&-', "sh", *command]
        result = subprocess.run(
            command,
            check=False,
            env={**os.environ, "PYTHONIOENCODING": "ascii"},
            capture_output=True,
            text=True,
        )
        assert (result.returncode, result.stderr) == (0, "")
        assert ("f32[B,5] \\u2192 f32[B]" in result.stdout) != closed
