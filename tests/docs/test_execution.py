"""Pages run while they are built: what happens when one fails, and what is not run twice."""

import re
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest
from guide_site import kernels, running
from guide_site.running import Page
from small_site import Site, page

import vmapguide


@pytest.fixture(name="site")
def _site(tmp_path: Path) -> Site:
    """Return a small site that has nothing yet but a list of its pages."""
    return Site(tmp_path)


@pytest.fixture(name="page_site")
def _page_site(site: Site) -> Site:
    """Return a small site of one page."""
    site.write("index", "# Index\n\n```{toctree}\npage\n```\n")
    return site


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


ENDLESS = "import threading\nthreading.Event().wait()"


@pytest.mark.parametrize(
    ("cells", "timeout", "expected"),
    [
        (("1 + 1", "1 +"), 600, r"page\.md:\d+: .*cell 2 failed at `1 \+`: SyntaxError: invalid"),
        (
            ("import os\nos._exit(1)",),
            600,
            r"page\.md:\d+: .*cell 1 failed at `.*`: its kernel died",
        ),
        ((ENDLESS,), 1, r"page\.md:\d+: .*cell 1 failed at `import .*`: it ran longer than 1 s"),
        (("1 + 1",), 600, r"page\.md:\d+: .*No such kernel named pyhton3"),
    ],
    ids=["syntax", "dead kernel", "timeout", "no kernel"],
)
def test_what_else_can_fail(
    page_site: Site, cells: tuple[str, ...], timeout: int, expected: str
) -> None:
    """Code that is none, a kernel that dies or is not there, a cell that does not end."""
    text = page("Page", *cells)
    if "pyhton3" in expected:
        text = text.replace("name: python3", "name: pyhton3")
    page_site.write("page", text)
    result = page_site.build("-D", f"nb_execution_timeout={timeout}")
    assert result.returncode != 0
    assert re.search(expected, result.stderr), result.stderr
    assert "Extension error" not in result.stderr


@pytest.mark.slow
def test_what_runs_from_build_to_build(site: Site) -> None:
    """What changed, what has failed, and what another fingerprint asks for."""

    def build(*options: str, **variables: str) -> tuple[bool, list[str]]:
        result = site.build(*options, **variables)
        assert (result.returncode != 0) == ("the claim is false" in result.stderr), result.stderr
        return result.returncode == 0, sorted(site.ran(result))

    claim = "assert x == 2, 'the claim is false'"
    site.write("good", page("Good", "print('executed')"))
    site.write("bad", page("Bad", "x = 1", claim))
    assert build() == (False, ["bad", "good"])
    # A second build does not forget what was wrong.
    assert build() == (False, ["bad"])
    site.write("bad", page("Bad", "x = 2", claim))
    assert build() == (True, ["bad"])
    # Other prose runs nothing: the page is built anew from what its cells have printed.
    site.write("bad", page("Better", "x = 2", claim))
    assert build() == (True, [])
    assert "Better" in site.html("bad")
    assert build() == (True, [])
    assert "no targets are out of date" in site.build().stdout
    # What is on a page depends on what ran it: pages of another fingerprint do not count.
    assert build(VMAPGUIDE_TEST_FINGERPRINT="another") == (True, ["bad", "good"])
    # What was printed is found again by who reads all pages anew.
    assert build("-E", VMAPGUIDE_TEST_FINGERPRINT="another") == (True, [])


def test_pages_show_no_paths_and_no_colour_codes(page_site: Site) -> None:
    """An error shows its message; a jaxpr is text even where JAX would colour it."""
    bare = "import jax\njax.make_jaxpr(lambda x: x + 1)(1.0)"
    wrong = ":tags: [raises-exception]\nimport numpy\nnumpy.ones((2, 3)) @ numpy.ones(2)"
    traced = ":tags: [raises-exception]\njax.vmap(lambda x: x if x else -x)(numpy.ones(2))"
    page_site.write("page", page("Page", bare, wrong, traced))
    result = page_site.build()
    assert result.returncode == 0, result.stderr
    html = page_site.html("page")
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


DRAW = "import matplotlib.pyplot as plt\nfigure, axes = plt.subplots()\naxes.plot([1, 2])\nfigure;"
ALT = ':mystnb: {image: {alt: "A rising \\"line\\"."}}\n'


@pytest.mark.slow
def test_a_figure_without_alternative_text_is_refused(page_site: Site) -> None:
    """A drawing that nobody can read aloud fails the build; with a text it is part of the page."""
    page_site.write("page", page("Page", DRAW))
    result = page_site.build()
    assert result.returncode != 0
    assert "a figure has no alternative text" in result.stderr
    page_site.write("page", page("Page", ALT + DRAW))
    result = page_site.build()
    assert result.returncode == 0, result.stderr
    (figure,) = re.findall(r'<svg [^>]*class="figure".*?</svg>', page_site.html("page"), re.DOTALL)
    assert 'role="img" aria-label="A rising &quot;line&quot;."' in figure
    assert "currentColor" in figure
    assert "#000000" not in figure
    assert "<metadata" not in figure
    # The rule that Matplotlib writes for the whole drawing is an attribute of it.
    assert "<style" not in figure
    assert 'stroke-linejoin="round"' in figure
    identifiers = re.findall(r'\bid="([^"]+)"', figure)
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', figure)) <= set(identifiers)


def test_a_figure_that_cannot_follow_the_theme_is_refused(page_site: Site) -> None:
    """A drawing without Matplotlib's black would be invisible on a dark page."""
    white = "<svg xmlns='http://www.w3.org/2000/svg'><path fill='black' d='M0 0'/></svg>"
    draw = f'from IPython.display import SVG\nSVG("{white}")'
    page_site.write("page", page("Page", ALT + draw))
    result = page_site.build()
    assert result.returncode != 0
    assert re.search(r"page\.md.*a figure has colours of its own", result.stderr)


CHANGED = {
    "measured": "project/corpus.json",
    "recorded": "project/accelerators/new.json",
    "program": "guide/libraries/new.py",
}


@pytest.mark.parametrize("what", ["package", "kernel", *CHANGED, *kernels.SPEAKERS])
def test_the_fingerprint(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is another for another package, kernel, library, or number that was measured."""
    before = kernels.fingerprint()
    assert kernels.fingerprint() == before
    if what == "package":
        copy = shutil.copytree(Path(vmapguide.__file__).parent, tmp_path / "vmapguide")
        monkeypatch.setattr("guide_site.kernels.vmapguide.__file__", str(copy / "__init__.py"))
        assert kernels.fingerprint() == before
        (copy / "new.py").touch()
    elif what == "kernel":
        copy = shutil.copytree(kernels.KERNEL, tmp_path / "kernel")
        monkeypatch.setattr(kernels, "KERNEL", copy)
        assert kernels.fingerprint() == before
        (copy / "new.py").touch()
    elif what in CHANGED:
        names = ("_ext", "project", "guide/libraries")
        for name in names:
            shutil.copytree(kernels.DOCS / name, tmp_path / name)
        monkeypatch.setattr(kernels, "DOCS", tmp_path)
        assert kernels.fingerprint() == before
        (tmp_path / CHANGED[what]).write_text("{}")
    else:
        real = metadata.version
        monkeypatch.setattr(
            "guide_site.kernels.metadata.version", lambda name: "0" if name == what else real(name)
        )
    assert kernels.fingerprint() != before


class TestQueue:
    """Pages run side by side, the long ones first, and no longer than somebody wants them."""

    app: Any = SimpleNamespace(parallel=3, config=SimpleNamespace(nb_execution_timeout=1))

    @pytest.fixture(autouse=True)
    def _cores(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have two cores: however many processes Sphinx may start, two pages run at a time."""
        monkeypatch.setattr("os.cpu_count", lambda: 2)

    def pages(self, *lengths: int) -> list[Page]:
        """Return pages of so many cells."""
        cells = {n: [nbformat.v4.new_code_cell("") for _ in range(n)] for n in lengths}
        return [
            Page(f"{n}", Path(f"{n}.md"), nbformat.v4.new_notebook(cells=cells[n])) for n in lengths
        ]

    def test_side_by_side(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each waits for another to run at the same time; the first to start have most cells."""
        started: list[str] = []
        workers: list[int] = []
        together = threading.Barrier(2)

        def pool(number: int) -> ThreadPoolExecutor:
            workers.append(number)
            return ThreadPoolExecutor(number)

        def run(page: Page, timeout: int) -> Page:
            del timeout
            started.append(page.docname)
            assert workers == [2]  # Or it would wait forever.
            together.wait()
            return page

        monkeypatch.setattr(running, "run", run)
        monkeypatch.setattr(running, "ThreadPoolExecutor", pool)
        ran = running.run_all(self.app, self.pages(1, 4, 3, 2))
        assert {page.docname for page in ran} == {"1", "2", "3", "4"}
        assert set(started[:2]) == {"4", "3"}

    def test_who_stops_waits_for_no_more_than_what_runs(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A build that ends early, by Ctrl-C, leaves the others alone."""
        started: list[str] = []
        stopped = threading.Event()
        shutdown = ThreadPoolExecutor.shutdown

        def stop(pool: ThreadPoolExecutor, **how: bool) -> None:
            if not how.get("cancel_futures"):  # Now all pages may run.
                stopped.set()
            shutdown(pool, **how)
            stopped.set()

        def run(page: Page, timeout: int) -> Page:
            del timeout
            started.append(page.docname)
            if page.docname != started[0]:
                stopped.wait()
            return page

        monkeypatch.setattr(running, "run", run)
        monkeypatch.setattr(ThreadPoolExecutor, "shutdown", stop)
        ran = running.run_all(self.app, self.pages(*range(1, 200)))
        assert next(ran).docname == started[0]
        ran.close()
        # The first, and what each of two threads had begun by then.
        assert len(started) <= 3
