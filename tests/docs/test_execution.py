"""Pages run while they are built: what happens when one fails, and what is not run twice.

Each test goes on with the small site that the one before has left.
"""

import re
import shutil
import threading
import time
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import execution
import nbformat
import pytest
import running
from running import Page
from small_site import Site, page

import vmapguide


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
        (("1 + 1",), r"bad\.md:\d+: .*No such kernel named pyhton3"),
    ],
    ids=["syntax", "dead kernel", "timeout", "no kernel"],
)
def test_what_else_can_fail(site: Site, cells: tuple[str, ...], expected: str) -> None:
    """Code that is none, a kernel that dies or is not there, a cell that does not end."""
    text = page("Bad", *cells)
    if "pyhton3" in expected:
        text = text.replace("name: python3", "name: pyhton3")
    site.write("bad", text)
    result = site.build("-D", "nb_execution_timeout=5")
    assert result.returncode != 0
    assert re.search(expected, result.stderr), result.stderr
    assert "Extension error" not in result.stderr


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
    """Nothing changed, nothing runs, and no page is read."""
    result = site.build()
    assert result.returncode == 0, result.stderr
    assert site.ran(result) == []
    assert "no targets are out of date" in result.stdout


def test_another_fingerprint_runs_everything(site: Site) -> None:
    """What is on a page depends on what ran it: pages of another fingerprint do not count."""
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


@pytest.mark.parametrize("what", ["package", "kernel", "measured", *execution.SPEAKERS])
def test_the_fingerprint(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is another for another package, kernel, library, or number that was measured."""
    before = execution.fingerprint()
    assert execution.fingerprint() == before
    if what == "package":
        copy = shutil.copytree(Path(vmapguide.__file__).parent, tmp_path / "vmapguide")
        monkeypatch.setattr("execution.vmapguide.__file__", str(copy / "__init__.py"))
        assert execution.fingerprint() == before
        (copy / "new.py").touch()
    elif what == "kernel":
        copy = shutil.copytree(execution.KERNEL, tmp_path / "kernel")
        monkeypatch.setattr(execution, "KERNEL", copy)
        assert execution.fingerprint() == before
        (copy / "new.py").touch()
    elif what == "measured":
        names = ("_ext", "project")
        for name in names:
            shutil.copytree(execution.DOCS / name, tmp_path / name)
        monkeypatch.setattr(execution, "DOCS", tmp_path)
        assert execution.fingerprint() == before
        (tmp_path / "project" / "corpus.json").write_text("{}")
    else:
        real = metadata.version
        monkeypatch.setattr(
            "execution.metadata.version", lambda name: "0" if name == what else real(name)
        )
    assert execution.fingerprint() != before


class TestQueue:
    """Pages run side by side, the long ones first, and no longer than somebody wants them."""

    @pytest.fixture(name="app")
    def _app(self, monkeypatch: pytest.MonkeyPatch) -> Any:
        """Return what of a Sphinx application the queue looks at, and let pages sleep."""
        self.started: list[str] = []
        self.together = threading.Barrier(2, timeout=10)

        def run(page: Page, timeout: int) -> Page:
            self.started.append(page.docname)
            if timeout:
                self.together.wait()
            else:
                time.sleep(0.05)
            return page

        monkeypatch.setattr(running, "run", run)
        config = SimpleNamespace(nb_execution_timeout=1)
        return SimpleNamespace(parallel=2, config=config)

    def pages(self, *lengths: int) -> list[Page]:
        """Return pages of so many cells."""
        cells = {n: [nbformat.v4.new_code_cell("") for _ in range(n)] for n in lengths}
        return [
            Page(f"{n}", Path(f"{n}.md"), nbformat.v4.new_notebook(cells=cells[n])) for n in lengths
        ]

    def test_side_by_side(self, app: Any) -> None:
        """Each waits for another to run at the same time; the first to start have most cells."""
        ran = running.run_all(app, self.pages(1, 4, 3, 2))
        assert {page.docname for page in ran} == {"1", "2", "3", "4"}
        assert set(self.started[:2]) == {"4", "3"}

    def test_who_stops_waits_for_no_more_than_what_runs(self, app: Any) -> None:
        """A build that ends early, by Ctrl-C, leaves the others alone."""
        app.config.nb_execution_timeout = 0
        ran = running.run_all(app, self.pages(*range(1, 200)))
        next(ran)
        ran.close()
        assert 0 < len(self.started) < 100
