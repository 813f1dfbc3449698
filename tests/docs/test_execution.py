"""Pages run while they are built: what happens when one fails, and what is not run twice."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest


DOCS = Path(__file__).parent.parent.parent / "docs"

CONF = f"""
import sys
sys.path.insert(0, {str(DOCS / "_ext")!r})
project = "a small site"
extensions = ["myst_nb", "vmapguide.sphinx", "execution", "figures", "notebooks"]
exclude_patterns = ["_build"]
nb_execution_mode = "cache"
nb_execution_show_tb = True
html_theme = "basic"
"""

HEADER = """---
jupytext: {text_representation: {extension: .md, format_name: myst}}
kernelspec: {name: python3, display_name: Python 3}
---
"""


def page(title: str, *cells: str) -> str:
    """Return the source of a page."""
    blocks = "\n".join(f"```{{code-cell}} ipython3\n{cell}\n```" for cell in cells)
    return f"{HEADER}\n# {title}\n\n{blocks}\n"


class Site:
    """A small site in a folder of its own, built as noxfile.py builds the guide."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "conf.py").write_text(CONF)
        self.write("index", "# Index\n\n```{toctree}\ngood\nbad\n```\n")

    def write(self, name: str, text: str) -> None:
        (self.folder / f"{name}.md").write_text(text)

    def html(self, name: str) -> str:
        return (self.folder / "_build" / "html" / f"{name}.html").read_text()

    def build(self) -> subprocess.CompletedProcess[str]:
        options = ["-n", "-W", "-T", "--keep-going", "-j", "2", "--color"]
        command = [sys.executable, "-m", "sphinx", *options, ".", "_build/html"]
        environment = {**os.environ, "COLUMNS": "200"}
        return subprocess.run(
            command, check=False, cwd=self.folder, env=environment, capture_output=True, text=True
        )


@pytest.fixture(scope="module", name="site")
def _site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(tmp_path_factory.mktemp("site"))


def test_a_failing_cell_fails_the_build_and_the_others_are_built(site: Site) -> None:
    """The page, its cell and its message are named; the rest of the site is there."""
    site.write("good", page("Good", "print('executed', 6 * 7)"))
    site.write("bad", page("Bad", "x = 1", "assert x == 2, 'the claim is false'"))
    result = site.build()
    assert result.returncode != 0
    assert re.search(r"bad\.md.*Executing notebook failed", result.stderr)
    assert "assert x == 2" in result.stderr
    assert "AssertionError: the claim is false" in result.stderr
    assert "executed 42" in site.html("good")


def test_it_fails_again_when_nothing_changed(site: Site) -> None:
    """A second build does not forget what was wrong."""
    result = site.build()
    assert result.returncode != 0
    assert "the claim is false" in result.stderr


def test_the_repaired_page_passes_and_nothing_else_runs(site: Site) -> None:
    """Only what changed runs."""
    site.write("bad", page("Bad", "x = 2", "assert x == 2, 'the claim is false'"))
    result = site.build()
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("Executed notebook in") == 1


def test_a_build_without_changes_runs_nothing(site: Site) -> None:
    """Nothing changed, nothing runs."""
    result = site.build()
    assert result.returncode == 0, result.stderr
    assert "Execut" not in result.stdout


def test_pages_show_no_paths_and_no_colour_codes(site: Site) -> None:
    """An error shows its message; a jaxpr is text even where JAX would colour it."""
    bare = "import jax\njax.make_jaxpr(lambda x: x + 1)(1.0)"
    wrong = ":tags: [raises-exception]\nimport numpy\nnumpy.ones((2, 3)) @ numpy.ones(2)"
    site.write("good", page("Good", bare, wrong))
    result = site.build()
    assert result.returncode == 0, result.stderr
    html = site.html("good")
    assert "lambda ; " in html
    assert "\x1b" not in html
    assert "[34;1m" not in html
    assert "ValueError" in html
    assert "Traceback" not in html
    assert "site-packages" not in html
    assert "encryption" not in result.stderr


def test_a_figure_without_alternative_text_is_refused(site: Site) -> None:
    """A drawing that nobody can read aloud fails the build; with a text it is part of the page."""
    draw = (
        "import matplotlib.pyplot as plt\nfigure, axes = plt.subplots()\naxes.plot([1, 2])\nfigure;"
    )
    site.write("good", page("Good", draw))
    result = site.build()
    assert result.returncode != 0
    assert "a figure has no alternative text" in result.stderr
    site.write("good", page("Good", ':mystnb: {image: {alt: "A rising \\"line\\"."}}\n' + draw))
    result = site.build()
    assert result.returncode == 0, result.stderr
    (figure,) = re.findall(r'<svg class="figure".*?</svg>', site.html("good"), re.DOTALL)
    assert 'role="img" aria-label="A rising &quot;line&quot;."' in figure
    assert "currentColor" in figure
    assert "#000000" not in figure
    assert "<metadata" not in figure
    # The rule that Matplotlib writes for the whole drawing is an attribute of it.
    assert "<style" not in figure
    assert 'stroke-linejoin="round"' in figure
    identifiers = re.findall(r'\bid="([^"]+)"', figure)
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', figure)) <= set(identifiers)
