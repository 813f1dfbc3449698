"""Pages run while they are built: what happens when one fails, and what is not run twice.

Each test goes on with the small site that the one before has left.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest


DOCS = Path(__file__).parent.parent.parent / "docs"

COLOUR = re.compile(r"\x1b\[[\d;]*[mK]")

CONF = f"""
import os, sys
sys.path.insert(0, {str(DOCS / "_ext")!r})
import execution
project = "a small site"
extensions = ["myst_nb", "vmapguide.sphinx", "execution", "figures", "notebooks", "running"]
exclude_patterns = ["_build"]
execution.SURROUNDINGS["TEST"] = os.environ.get("VMAPGUIDE_TEST_FINGERPRINT", "")
nb_execution_mode = "cache"
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

    def lines(self, name: str) -> list[str]:
        return (self.folder / f"{name}.md").read_text().splitlines()

    def ran(self, result: subprocess.CompletedProcess[str]) -> list[str]:
        return re.findall(r"running pages\.\.\. .*?(\w+) \([\d.]+ s\)", result.stdout)

    def html(self, name: str) -> str:
        return (self.folder / "_build" / "html" / f"{name}.html").read_text()

    def build(self, *more: str, **variables: str) -> subprocess.CompletedProcess[str]:
        options = ["-n", "-W", "-T", "--keep-going", "-j", "2", "--color", *more]
        command = [sys.executable, "-m", "sphinx", *options, ".", "_build/html"]
        environment = {**os.environ, "COLUMNS": "200", "CI": "", **variables}
        result = subprocess.run(
            command, check=False, cwd=self.folder, env=environment, capture_output=True, text=True
        )
        # As a terminal shows them.
        result.stdout, result.stderr = (COLOUR.sub("", s) for s in (result.stdout, result.stderr))
        return result


@pytest.fixture(scope="module", name="site")
def _site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(tmp_path_factory.mktemp("site"))


def test_a_failing_cell_fails_the_build_and_the_others_are_built(site: Site) -> None:
    """The page, its line, its cell and its message are named; the rest of the site is there."""
    site.write("good", page("Good", "print('executed', 6 * 7)"))
    claim = "def claim():\n    assert x == 2, 'it is false'"
    options = ":tags: [hide-output]\n"
    site.write("bad", page("Bad", "x = 1", f"{options}{claim}\nclaim()", "print('unreached')"))
    result = site.build()
    assert result.returncode != 0
    (line,) = [n for n, text in enumerate(site.lines("bad"), start=1) if text == "claim()"]
    expected = rf"bad\.md:{line}: .*cell 2 failed at `claim\(\)`: AssertionError: it is false"
    assert re.search(expected, result.stderr)
    assert "AssertionError" in site.html("bad")
    assert "unreached" in site.html("bad")
    assert "executed 42" in site.html("good")
    assert re.search(r"running pages\.\.\. .*\[ 50%\] .*\b(good|bad) \([\d.]+ s\)", result.stdout)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (("1 + 1", "1 +"), r"bad\.md:\d+: .*cell 2 failed at `1 \+`: SyntaxError: invalid syntax"),
        (("import os\nos._exit(1)",), r"bad\.md:\d+: .*cell 1 failed at `.*`: its kernel died"),
        (("import time", "time.sleep(60)"), r"cell 2 failed at `time.*`: it ran longer than 5 s"),
    ],
    ids=["syntax", "dead kernel", "timeout"],
)
def test_what_else_can_fail(site: Site, cells: tuple[str, ...], expected: str) -> None:
    """Code that is none, a kernel that dies, a cell that does not end."""
    site.write("bad", page("Bad", *cells))
    result = site.build("-D", "nb_execution_timeout=5")
    assert result.returncode != 0
    assert re.search(expected, result.stderr)


def test_it_fails_again_when_nothing_changed(site: Site) -> None:
    """A second build does not forget what was wrong."""
    site.write("bad", page("Bad", "x = 1", "assert x == 2, 'the claim is false'"))
    assert site.build().returncode != 0
    result = site.build()
    assert result.returncode != 0
    assert "the claim is false" in result.stderr
    assert len(site.ran(result)) == 1


def test_the_repaired_page_passes_and_nothing_else_runs(site: Site) -> None:
    """Only what changed runs."""
    site.write("bad", page("Bad", "x = 2", "assert x == 2, 'the claim is false'"))
    result = site.build()
    assert result.returncode == 0, result.stderr
    assert site.ran(result) == ["bad"]


def test_changed_prose_runs_nothing(site: Site) -> None:
    """The cells are as they were; the page is built anew from what they printed."""
    site.write("bad", page("Better", "x = 2", "assert x == 2, 'the claim is false'"))
    result = site.build()
    assert result.returncode == 0, result.stderr
    assert site.ran(result) == []
    assert "Better" in site.html("bad")


def test_a_build_without_changes_runs_nothing(site: Site) -> None:
    """Nothing changed, nothing runs."""
    result = site.build()
    assert result.returncode == 0, result.stderr
    assert site.ran(result) == []


def test_another_package_or_jax_runs_everything(site: Site) -> None:
    """What stands on a page depends on them, so pages of another fingerprint are not reused."""
    result = site.build(VMAPGUIDE_TEST_FINGERPRINT="another")
    assert result.returncode == 0, result.stderr
    assert sorted(site.ran(result)) == ["bad", "good"]


def test_on_a_server_nothing_comes_from_a_cache(site: Site) -> None:
    """Where CI is set, a page that is read runs, also if another build has run it."""
    result = site.build("-E", CI="true")
    assert result.returncode == 0, result.stderr
    assert sorted(site.ran(result)) == ["bad", "good"]


def test_pages_show_no_paths_and_no_colour_codes(site: Site) -> None:
    """An error shows its message; a jaxpr is text even where JAX would colour it."""
    bare = "import jax\njax.make_jaxpr(lambda x: x + 1)(1.0)"
    wrong = ":tags: [raises-exception]\nimport numpy\nnumpy.ones((2, 3)) @ numpy.ones(2)"
    traced = ":tags: [raises-exception]\njax.vmap(lambda x: x if x else -x)(numpy.ones(2))"
    site.write("good", page("Good", bare, wrong, traced))
    result = site.build()
    assert result.returncode == 0, result.stderr
    html = site.html("good")
    assert "lambda ; " in html
    assert "\x1b" not in html
    assert "[34;1m" not in html
    assert "ValueError" in html
    assert "Traceback" not in html
    assert "site-packages" not in html
    assert "Attempted boolean conversion" in html
    assert "ipykernel" not in html
    assert "object id" not in html
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
