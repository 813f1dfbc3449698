"""What all results have: text, a view, data and files; and what an explanation can be asked."""

import copy
import dataclasses
import json
import os
import pickle
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from batches import X
from jax import lax
from markup_tree import Tree

import vmapguide
from vmapguide import Explanation


def long(x: jax.Array) -> Any:
    """Do one thing so often that a line of it is folded."""
    for _ in range(40):
        x = jnp.sin(x)
    return x


def longer(x: jax.Array) -> Any:
    """Do one thing more."""
    return jnp.cos(long(x))


def compiled(x: jax.Array) -> Any:
    """Call a library, whose call is one folded line."""
    return jnp.where(x > 0, x, 0.0)


SHOWN: dict[str, Callable[[], Any]] = {
    "explain": lambda: vmapguide.explain(long)(X),
    "diagram": lambda: vmapguide.diagram(jnp.sin)(X),
    "listing": lambda: vmapguide.listing(compiled)(X),
    "check": lambda: vmapguide.check(jnp.sin)(X),
    "compare": lambda: vmapguide.compare(long, longer)(X),
    "benchmark": lambda: vmapguide.benchmark(jnp.sin, jnp.sin, rounds=1)(X),
    "cost": lambda: vmapguide.cost(long)(X),
}
# Those of which something is folded away; in the view of some it opens.
FOLDED = {"explain", "listing", "compare"}
OPENS = {"explain", "listing"}

OTHERS: dict[str, Callable[[], Any]] = {
    "step": lambda: vmapguide.explain(jnp.sin)(X).steps[0],
    "variant": lambda: vmapguide.explain(jnp.sin)(X).steps[0].variants[0],
    "side": lambda: vmapguide.compare(jnp.sin, jnp.cos)(X).sides[0],
    "cost of an explanation": lambda: vmapguide.cost(vmapguide.explain(jnp.sin)(X)),
}

# What cannot be broken: a picture's lines and an equation stay as they are.
UNBROKEN = {"diagram", "listing"}


class TestText:
    """A result as text."""

    @pytest.mark.parametrize("name", SHOWN)
    def test_it_is_what_is_printed(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """`str`, `repr` and `as_text()` are the same, as wide as the terminal."""
        monkeypatch.setenv("COLUMNS", "72")
        result = SHOWN[name]()
        assert str(result) == repr(result) == result.as_text() == result.as_text(72)

    @pytest.mark.parametrize("name", SHOWN)
    @pytest.mark.parametrize("width", [50, 80, 200])
    def test_width(self, name: str, width: int) -> None:
        """No line is wider than what is asked for, where lines can be broken."""
        lines = SHOWN[name]().as_text(width).splitlines()
        assert name in UNBROKEN or max(map(len, lines)) <= width
        assert lines == [line.rstrip() for line in lines]

    @pytest.mark.parametrize("name", SHOWN)
    def test_a_width_does_not_depend_on_the_terminal(
        self, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Who asks for a width gets it wherever they are."""
        result = SHOWN[name]()
        monkeypatch.setenv("COLUMNS", "40")
        narrow = result.as_text(120)
        monkeypatch.setenv("COLUMNS", "180")
        assert result.as_text(120) == narrow

    @pytest.mark.parametrize("name", SHOWN)
    def test_fold(self, name: str) -> None:
        """Unfolded, what was left out is there; where nothing was, nothing changes."""
        result = SHOWN[name]()
        folded, whole = result.as_text(100), result.as_text(100, fold=False)
        assert result.as_text(100, fold=True) == folded
        if name in FOLDED:
            assert len(whole) > len(folded)
        else:
            assert whole == folded


class TestView:
    """A result as HTML."""

    @pytest.mark.parametrize("name", SHOWN)
    def test_it_is_what_a_notebook_shows(self, name: str) -> None:
        """The view is an element, whole, with its stylesheet before it."""
        result = SHOWN[name]()
        html = result.as_html()
        assert html == result._repr_html_()
        assert type(html) is str
        assert Tree(html).elements[0].name == "style"

    @pytest.mark.parametrize("name", SHOWN)
    def test_fold(self, name: str) -> None:
        """Folded, a part of some views opens on demand; unfolded, all of it is there, and open."""
        result = SHOWN[name]()
        folded, whole = (Tree(result.as_html(fold=fold)) for fold in (True, False))
        assert ("summary" in folded.counts) == (name in OPENS)
        assert "summary" not in whole.counts
        if name == "compare":
            assert whole.text.count("sin") > folded.text.count("sin")
        elif name not in FOLDED:
            assert whole.text == folded.text


class TestSave:
    """A result as a file."""

    @pytest.mark.parametrize("name", SHOWN)
    def test_a_page(self, name: str, tmp_path: Path) -> None:
        """A name in `.html` makes a page that needs no other file, with the view in it."""
        result = SHOWN[name]()
        result.save(tmp_path / "it.html")
        page = (tmp_path / "it.html").read_text("utf-8")
        assert page.startswith("<!doctype html>\n<html")
        assert page.endswith("</html>\n")
        assert result.as_html() in page
        tree = Tree(page.removeprefix("<!doctype html>"))
        assert [element.name for element in tree.elements[:4]] == ["html", "head", "meta", "title"]
        assert (tree.counts["html"], tree.counts["main"]) == (1, 1)
        assert tree.values("src") == tree.values("href") == []
        assert [*tmp_path.iterdir()] == [tmp_path / "it.html"]

    @pytest.mark.parametrize("name", SHOWN)
    def test_a_text(self, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A name in `.txt` makes the text that is 100 wide, whatever the terminal is."""
        monkeypatch.setenv("COLUMNS", "40")
        result = SHOWN[name]()
        result.save(str(tmp_path / "it.txt"))
        assert (tmp_path / "it.txt").read_text("utf-8") == f"{result.as_text(100)}\n"

    @pytest.mark.parametrize("name", SHOWN)
    def test_data(self, name: str, tmp_path: Path) -> None:
        """A name in `.json`, also in capitals, makes the data of `to_dict`."""
        result = SHOWN[name]()
        result.save(tmp_path / "it.JSON")
        data = json.loads((tmp_path / "it.JSON").read_text("utf-8"))
        assert data == json.loads(json.dumps(result.to_dict()))
        assert data["schema"].startswith("vmapguide.")

    def test_a_drawing(self, tmp_path: Path) -> None:
        """A diagram can be a drawing, too, which is what `svg` returns."""
        diagram = vmapguide.diagram(jnp.sin)(X)
        diagram.save(tmp_path / "it.svg")
        assert (tmp_path / "it.svg").read_text("utf-8") == diagram.svg()
        assert ET.parse(tmp_path / "it.svg").getroot().tag.endswith("}svg")  # noqa: S314 - our own.

    @pytest.mark.parametrize("name", SHOWN)
    @pytest.mark.parametrize("file", ["it.pdf", "it", "it.html.gz", ".html"])
    def test_another_ending(self, name: str, file: str, tmp_path: Path) -> None:
        """What a name could end in is said, and what it does; nothing is written."""
        others = {"diagram": r"\.txt, \.json or \.svg", "explain": r"\.txt, \.json or \.sarif"}
        endings = others.get(name, r"\.txt or \.json")
        named = re.escape(repr(file))
        with pytest.raises(ValueError, match=rf"^save: .* \.html, {endings}\. It is {named}\."):
            SHOWN[name]().save(tmp_path / file)
        assert [*tmp_path.iterdir()] == []

    def test_only_a_diagram_is_a_drawing(self, tmp_path: Path) -> None:
        """Of the others there is no picture."""
        for name in SHOWN.keys() - {"diagram"}:
            with pytest.raises(ValueError, match=r"^save: .* It is 'it\.svg'"):
                SHOWN[name]().save(tmp_path / "it.svg")
        assert [*tmp_path.iterdir()] == []

    def test_a_folder_that_is_not_there(self, tmp_path: Path) -> None:
        """The system's error comes through, and no folder is made."""
        with pytest.raises(FileNotFoundError, match=r"No such file or directory: '.*/it\.\w+'"):
            vmapguide.listing(jnp.sin)(X).save(tmp_path / "no" / "it.html")
        assert [*tmp_path.iterdir()] == []

    def test_a_folder_of_that_name(self, tmp_path: Path) -> None:
        """It stays what it is, and nothing stays beside it."""
        (tmp_path / "it.html").mkdir()
        with pytest.raises(OSError, match=r"it\.html"):
            vmapguide.listing(jnp.sin)(X).save(tmp_path / "it.html")
        assert [*tmp_path.iterdir()] == [tmp_path / "it.html"]
        assert [*(tmp_path / "it.html").iterdir()] == []

    def test_a_file_that_was_there(self, tmp_path: Path) -> None:
        """A file of that name is replaced, whole."""
        file = tmp_path / "it.txt"
        file.write_text("before\n" * 1000)
        listing = vmapguide.listing(jnp.sin)(X)
        listing.save(file)
        assert file.read_text("utf-8") == f"{listing.as_text(100)}\n"

    @pytest.mark.parametrize("fails", ["write_text", "replace"])
    def test_a_disk_that_is_full(
        self, fails: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What was there before is there still, and nothing half-written beside it."""
        file = tmp_path / "it.txt"
        file.write_text("before")
        listing = vmapguide.listing(jnp.sin)(X)
        write = Path.write_text

        def fail(path: Path, given: Any, **_: Any) -> None:
            if fails == "write_text":
                write(path, given[:10])
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, fails, fail)
        with pytest.raises(OSError, match="No space left"):
            listing.save(file)
        monkeypatch.undo()
        assert [*tmp_path.iterdir()] == [file]
        assert file.read_text() == "before"

    def test_a_path_of_another_type(self, tmp_path: Path) -> None:
        """Whatever names a file for Python names it here."""

        class Place(os.PathLike[str]):
            def __fspath__(self) -> str:
                return str(tmp_path / "it.txt")

        vmapguide.listing(jnp.sin)(X).save(Place())
        assert (tmp_path / "it.txt").exists()


def branching(x: jax.Array) -> Any:
    """Have steps of several kinds, on several lines."""
    y = jnp.sin(x) * jnp.cos(x)
    z = lax.cond(y.sum() > 0, jnp.exp, jnp.log, y)
    return (
        z
        + y
    )  # fmt: skip


def line_of(f: Any, offset: int) -> int:
    """Return the number of a line of a function, counted from the one with its name."""
    assert isinstance(f, FunctionType)
    return f.__code__.co_firstlineno + offset


@pytest.fixture(scope="module", name="explanation")
def _explanation() -> Explanation:
    """Explain a function with several kinds of steps."""
    return vmapguide.explain(branching)(X)


class TestAsked:
    """What an explanation can be asked."""

    def test_kinds(self, explanation: Explanation) -> None:
        """How often each kind occurs, in the order in which they appear; all steps are counted."""
        kinds = [step.kind for step in explanation.steps]
        assert explanation.kinds == {kind: kinds.count(kind) for kind in kinds}
        assert [*explanation.kinds] == [*dict.fromkeys(kinds)]
        assert explanation.kinds["all branches"] == 1
        assert explanation.kinds["same"] > 1

    def test_no_steps(self) -> None:
        """A function that does nothing has none."""
        nothing = vmapguide.explain(lambda x: x)(X)
        assert (nothing.kinds, nothing.by_line, nothing.find()) == ({}, {}, ())
        assert nothing.summary

    def test_by_line(self, explanation: Explanation) -> None:
        """Every step is at the line that made it, in the order of the program."""
        lines = [(__file__, line_of(branching, offset)) for offset in (2, 3, 5)]
        by_line = explanation.by_line
        assert [*by_line] == lines
        outer = [
            [step.equation.primitive.name for step in steps if step.depth == 0]
            for steps in by_line.values()
        ]
        assert outer[0] == ["sin", "cos", "mul"]
        assert (outer[1][-1], outer[2]) == ("cond", ["add"])
        assert sum(map(len, by_line.values())) == len(explanation.steps)

    def test_by_line_of_what_has_no_line(self) -> None:
        """None stands for no known line."""
        steps = vmapguide.explain(jnp.sin)(X).by_line
        assert [*steps] == [None]
        assert [step.equation.primitive.name for step in steps[None]] == ["sin"]

    def test_find(self, explanation: Explanation) -> None:
        """Steps are all that is asked for, and all that are it."""
        names = [step.equation.primitive.name for step in explanation.find(kind="all branches")]
        assert names == ["cond"]
        (sine,) = explanation.find(primitive="sin")
        assert (sine.equation.primitive.name, sine.kind) == ("sin", "same")
        assert explanation.find() == explanation.steps
        line = line_of(branching, 2)
        found = explanation.find(line=line)
        assert found
        assert {step.source and step.source.line for step in found} == {line}
        assert explanation.find(kind="same", line=line, primitive="sin") == (sine,)
        assert explanation.find(kind="all branches", line=line) == ()
        assert explanation.find(line=1) == explanation.find(primitive="dot_general") == ()

    def test_a_line_inside_an_expression(self, explanation: Explanation) -> None:
        """A step of several lines is found at each of them."""
        (added,) = explanation.find(primitive="add")
        assert added.source is not None
        first, last = added.source.line, added.source.end_line
        assert last == first + 1
        for line in (first, last):
            assert added in explanation.find(line=line)
        assert added not in explanation.find(line=last + 1)

    @pytest.mark.parametrize("kind", ["slow", "Same", " same", "out_axes"])
    def test_no_such_kind(self, explanation: Explanation, kind: Any) -> None:
        """A kind that there is not is refused, with those that there are."""
        with pytest.raises(ValueError, match=f"^find: there is no kind '{kind}'.*'all branches'"):
            explanation.find(kind=kind)

    def test_positions(self, explanation: Explanation) -> None:
        """What is asked for is named."""
        ask: Any = explanation.find
        with pytest.raises(TypeError, match="positional"):
            ask("same")

    def test_summary(self, explanation: Explanation) -> None:
        """The last words of the view, in the text and in a notebook."""
        summary = explanation.summary
        assert "runs every branch for every example" in summary
        assert " ".join(explanation.as_text(100).split()).endswith(" ".join(summary.split()))
        assert summary in Tree(explanation.as_html()).text


class TestObjects:
    """Results can be put into sets and caches."""

    @pytest.mark.parametrize("name", SHOWN | OTHERS)
    def test_identity(self, name: str) -> None:
        """A result equals itself and no other one: it holds programs, which are compared so."""
        make = (SHOWN | OTHERS)[name]
        one, other = make(), make()
        assert len({one, other, one}) == 2
        assert one == one  # noqa: PLR0124 - that is the question.
        assert one != other

    @pytest.mark.parametrize("name", SHOWN)
    @pytest.mark.parametrize("field", ["name", "unheard_of"])
    def test_nothing_in_it_changes(self, name: str, field: str) -> None:
        """A result is what was found out, and stays so."""
        with pytest.raises(dataclasses.FrozenInstanceError, match=field):
            setattr(SHOWN[name](), field, "another")


def halved(x: jax.Array) -> Any:
    """Run a loop of unknown length, and a choice."""
    x = lax.while_loop(lambda x: x.sum() > 1, lambda x: x / 2, x)
    return lax.cond(x.sum() > 0, lambda x: x @ x, lambda x: x, jnp.outer(x, x))


def summed(x: jax.Array) -> Any:
    """Use an axis that there is not."""
    return lax.psum(x, "i")


def program(x: jax.Array) -> Any:
    """Use a library, a loop that each example decides, and a branch."""
    x = lax.while_loop(lambda x: x.sum() > 1, lambda x: x / 2, x)
    return lax.cond(x.sum() > 0, jnp.sin, jnp.cos, jax.nn.softmax(x)).sum()


def pickled(value: Any) -> Any:
    """Return what comes of a value that is pickled, twice."""
    for _ in range(2):
        value = pickle.loads(pickle.dumps(value))  # noqa: S301 - its own.
    return value


COSTS: dict[str, Callable[[], vmapguide.Cost]] = {
    "function": lambda: vmapguide.cost(halved)(X[0]),
    "lambda": lambda: vmapguide.cost(lambda x: halved(x) + 1)(X[0]),
    "explanation": lambda: vmapguide.cost(vmapguide.explain(halved)(X)),
    "not compiled": lambda: vmapguide.cost(summed, axis_env=[("i", 2)])(X[0]),
}


class TestPickled:
    """Results go through pickle: what they show is kept, and of jaxprs the text."""

    @pytest.mark.parametrize("name", SHOWN)
    def test_it_says_the_same(self, name: str) -> None:
        """What comes back is shown alike, as text, as a view and as data."""
        result = SHOWN[name]()
        again = pickled(result)
        assert str(again) == str(result)
        assert again.as_html() == result.as_html()
        assert json.dumps(again.to_dict()) == json.dumps(result.to_dict())

    def test_an_explanation(self) -> None:
        """It can still be asked, and unfolded."""
        explanation = vmapguide.explain(program)(X)
        again = pickled(explanation)
        for fold in (True, False):
            text = explanation.as_text(80, library=True, fold=fold)
            assert again.as_text(80, library=True, fold=fold) == text
        assert (again.kinds, again.summary) == (explanation.kinds, explanation.summary)
        (step,) = again.find(primitive="while")
        assert (step.kind, again.batch_size, again.complete) == ("slowest example", 3, True)

    def test_a_comparison(self) -> None:
        """Its answer is kept."""
        comparison = vmapguide.compare(jax.vmap(program), by_hand=lambda X: jnp.sin(X).sum(1))(X)
        assert pickled(comparison).same_program is comparison.same_program is False

    def test_a_listing(self) -> None:
        """It knows how often each primitive occurs."""
        listing = vmapguide.listing(program)(X[0])
        assert pickled(listing).primitives == listing.primitives

    @pytest.mark.parametrize(
        "get", [lambda e: e.batched, lambda e: e.steps[0].equation], ids=["jaxpr", "equation"]
    )
    def test_a_jaxpr_is_its_text(self, get: Any) -> None:
        """Who asks for more is told why there is no more, and what to do."""
        explanation = vmapguide.explain(program)(X)
        text = get(pickled(explanation))
        assert str(text) == str(get(explanation))
        with pytest.raises(AttributeError, match=r"invars: JAX cannot pickle .* result anew"):
            _ = text.invars

    def test_a_copy_is_the_result_itself(self) -> None:
        """Nothing in a result can be changed, so a deep copy keeps the jaxprs."""
        explanation = vmapguide.explain(program)(X)
        assert copy.deepcopy(explanation) is explanation
        assert copy.deepcopy([explanation])[0].batched is explanation.batched

    @pytest.mark.parametrize("name", COSTS)
    @pytest.mark.parametrize("through", [pickled, copy.deepcopy])
    def test_a_cost(self, name: str, through: Callable[[Any], Any]) -> None:
        """It keeps what XLA says, since the copy cannot ask it."""
        cost = COSTS[name]()
        again = through(cost)
        assert again.to_dict() == cost.to_dict()
        assert str(again) == str(cost)
        assert again.xla == cost.xla
        assert dataclasses.is_dataclass(again)
