"""`%load_ext vmapguide` and `%%explain`, in a kernel as notebooks have it."""

import re
import textwrap
from pathlib import Path
from typing import Any

import nbformat
import pytest
from markup_tree import Tree
from nbclient import NotebookClient


CELLS = {
    "load": "import jax, jax.numpy as jnp\n%load_ext vmapguide",
    "explain": """
        %%explain
        from jax import vmap, lax
        def branching(x):
            return lax.cond(x.sum() > 0, lambda x: jnp.exp(x) @ x, jnp.sum, x)
        print("printed")
        mapped = jax.vmap(branching)
        mapped(jnp.ones((3, 500))).shape
    """,
    "after": "print(vmap is jax.vmap, mapped(jnp.ones((5, 500))).shape, branching.__name__)",
    "nothing": "%%explain\nx = 3",
    "error": "%%explain\njax.vmap(jnp.sin)(jnp.ones(2))\n1 / 0",
    "syntax": "%%explain\nx = = 3",
    "interrupt": "%%explain\nraise KeyboardInterrupt",
    "again": "1 / 0",
    "hidden": """
        %%explain
        jnp.vectorize(jnp.dot, signature="(i),(i)->()")(jnp.ones((4, 2)), jnp.ones(2));
    """,
    "kept": """
        result = get_ipython().run_cell_magic("explain", "", "jax.vmap(jnp.sin)(jnp.ones(2));")
        print(len(result.records), result.findings, result.to_dict()["name"])
        result.save("out.html")
        result.save("out.sarif")
    """,
}


@pytest.fixture(scope="module", name="folder")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder in which the notebook runs."""
    return tmp_path_factory.mktemp("notebook")


@pytest.fixture(scope="module", name="outputs")
def _outputs(folder: Path) -> dict[str, list[Any]]:
    """Return what the cells have printed, shown and raised."""
    new: Any = nbformat.v4
    cells = [new.new_code_cell(textwrap.dedent(text).strip()) for text in CELLS.values()]
    notebook = new.new_notebook(cells=cells)
    resources = {"metadata": {"path": str(folder)}}
    client: Any = NotebookClient(notebook, timeout=120, allow_errors=True, resources=resources)
    client.execute()
    return dict(zip(CELLS, (cell.outputs for cell in notebook.cells), strict=True))


def test_a_cell_is_run_and_explained(outputs: dict[str, list[Any]]) -> None:
    """It prints and shows what it would, and then comes the report."""
    assert outputs["load"] == []
    printed, value, report = outputs["explain"]
    assert printed.text == "printed\n"
    assert value.data == {"text/plain": "(3,)"}
    text = report.data["text/plain"]
    assert re.search(r"^  <cell>:5 +branching +3 +\d+ +100% +VG101$", text, re.MULTILINE)
    assert "\nVG101  <cell>:3: `lax.cond(" in text
    tree = Tree(report.data["text/html"])
    assert [e.name for e in tree.elements if "vg-call-line" in e.attributes.get("class", "")] == [
        "div",
        "summary",
    ]
    assert "place <cell>:5" in tree.text
    assert "runs each of its 2 branches" in tree.text


def test_nothing_is_left_behind(outputs: dict[str, list[Any]]) -> None:
    """After the cell, `jax.vmap` is JAX's own again, also under a name that the cell gave it."""
    (printed,) = outputs["after"]
    assert printed.text == "True (5,) branching\n"
    (report,) = outputs["nothing"]
    assert report.data["text/plain"].endswith("\n\nThe program called no jax.vmap.")


def test_an_error_is_shown_once(outputs: dict[str, list[Any]]) -> None:
    """It is IPython's own of the cell, with no frame of ours; the next one is shown as ever."""
    names = {"error": "ZeroDivisionError", "syntax": "SyntaxError", "again": "ZeroDivisionError"}
    for cell, name in (names | {"interrupt": "KeyboardInterrupt"}).items():
        (error,) = outputs[cell]
        assert (error.output_type, error.ename) == ("error", name)
        assert "vmapguide" not in "".join(error.traceback)
        assert "Cell" in "".join(error.traceback)


def test_a_semicolon_hides_the_value(outputs: dict[str, list[Any]]) -> None:
    """As in any other cell; the report is shown."""
    (report,) = outputs["hidden"]
    assert "<cell>:1 (vectorize)   dot " in report.data["text/plain"]


def test_the_report_is_a_result(outputs: dict[str, list[Any]], folder: Path) -> None:
    """It has data and can be saved, as every result."""
    (printed,) = outputs["kept"]
    assert printed.text == "1 () the cell\n"
    assert (folder / "out.html").read_text("utf-8").startswith("<!doctype html>")
    assert '"version": "2.1.0"' in (folder / "out.sarif").read_text("utf-8")
