"""The built guide: what it asks of the network, where its links lead, whether its notebooks run."""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
from html_pages import parsed
from places import DOCS, ROOT


CHAPTERS = sorted(path.relative_to(DOCS).with_suffix("") for path in (DOCS / "guide").glob("*.md"))


class Page:
    """What a page loads, where it links, and what can be linked to on it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.source = path.read_text("utf-8")
        page = parsed(path)
        named = page.select(
            'link:not([rel~="canonical"], [rel~="next"], [rel~="prev"], [rel~="author"])'
        )
        self.loads = [str(element["href"]) for element in named]
        self.loads += [str(element["src"]) for element in page.select("[src]")]
        self.links = [str(link["href"]) for link in page.select('a[href]:not([href=""])')]
        self.anchors = {
            str(element[key]) for key in ("id", "name") for element in page.select(f"[{key}]")
        }


@pytest.fixture(scope="session", name="pages")
def _pages(site: Path) -> dict[str, Page]:
    return {path.relative_to(site).as_posix(): Page(path) for path in site.rglob("*.html")}


def is_external(address: str) -> bool:
    """Say whether an address leaves the site."""
    return bool(urlsplit(address).scheme or urlsplit(address).netloc)


def test_nothing_is_loaded_from_elsewhere(site: Path, pages: dict[str, Page]) -> None:
    """Reading needs no network: neither pages nor stylesheets load anything from outside."""
    assert len(pages) > 6
    for page in pages.values():
        assert [load for load in page.loads if is_external(load)] == []
    for sheet in site.rglob("*.css"):
        urls = re.findall(r"url\(\s*[\"']?([^)\"']+)", sheet.read_text("utf-8"))
        assert [url for url in urls if is_external(url) and not url.startswith("data:")] == []
        assert "@import" not in sheet.read_text("utf-8")


def test_every_link_within_the_site_leads_somewhere(site: Path, pages: dict[str, Page]) -> None:
    """Files exist, and so do the anchors in them."""
    for name, page in pages.items():
        for link in filter(lambda link: not is_external(link), page.links + page.loads):
            path, anchor = unquote(urlsplit(link).path), unquote(urlsplit(link).fragment)
            # The 404 page does not know where it stands: its links start at the site's root.
            start = site if path.startswith("/") else page.path.parent
            target = (start / path.lstrip("/")).resolve() if path else page.path
            assert target.is_file(), f"{name}: {link}"
            if anchor and target.suffix == ".html":
                anchors = pages[target.relative_to(site.resolve()).as_posix()].anchors
                assert anchor in anchors, f"{name}: {link}"


def test_pages_know_nothing_of_the_machine(pages: dict[str, Page]) -> None:
    """No path of the machine that built it, and no terminal's colour code, is on a page."""
    places = [str(ROOT), str(Path.home()), "site-packages", "ipykernel_", "object id", "\x1b"]
    for name, page in pages.items():
        assert [place for place in places if place in page.source] == [], name


def test_the_stylesheet_and_the_script_are_shared(pages: dict[str, Page]) -> None:
    """Views bring their stylesheet and script to notebooks; pages link to one file of each."""
    views = [page for page in pages.values() if 'class="vg ' in page.source]
    assert len(views) >= 3
    for page in views:
        assert "--vg-ink" not in page.source
        assert "window.vmapguide" not in page.source
        assert any("vmapguide.css" in load for load in page.loads)
        assert any("vmapguide.js" in load for load in page.loads)


def test_printed_jaxprs_are_lexed(pages: dict[str, Page]) -> None:
    """A cell's option chooses the lexer, and the lexer finds the primitives."""
    source = pages["guide/one-neuron.html"].source
    (printed, *_) = re.findall(r"highlight-jaxpr.*?</pre>", source, re.DOTALL)
    assert '<span class="nf">dot_general</span>' in printed
    assert 'class="err"' not in printed


@pytest.fixture(scope="module", name="ran")
def _ran(pages: dict[str, Page], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Run the notebooks that the pages offer, as `jupyter execute` does, two at a time.

    Each is alone in an empty folder, and leaves nothing behind but its outputs.
    """
    paths = [tmp_path_factory.mktemp(chapter.name) / "page.ipynb" for chapter in CHAPTERS]
    for chapter, path in zip(CHAPTERS, paths, strict=True):
        nbformat.write(offered(chapter, pages), path)
    environment = {name: value for name, value in os.environ.items() if name != "IPYTHONDIR"}

    def run(path: Path) -> None:
        options = ["--allow-errors", "--timeout=120", "--inplace", path.name]
        command = [sys.executable, "-c", "from nbclient.cli import main; main()", *options]
        result = subprocess.run(
            command,
            check=False,
            cwd=path.parent,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stderr

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, paths))
    for path in paths:
        assert list(path.parent.iterdir()) == [path]
    names = [chapter.name for chapter in CHAPTERS]
    return {name: nbformat.read(p, as_version=4) for name, p in zip(names, paths, strict=True)}


def offered(chapter: Path, pages: dict[str, Page]) -> Any:
    """Return the notebook that a page offers, without what its cells have printed."""
    page = pages[f"{chapter.as_posix()}.html"]
    (link,) = [link for link in page.links if link.endswith(f"{chapter.name}.ipynb")]
    notebook = nbformat.read((page.path.parent / link).resolve(), as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


@pytest.mark.parametrize("chapter", CHAPTERS, ids=str)
def test_a_chapters_notebook_reads_well(chapter: Path, pages: dict[str, Page]) -> None:
    """It has nothing in it that only Sphinx understands."""
    cells = offered(chapter, pages).cells
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    assert not re.findall(r"\{[a-z:]+\}`", prose)
    assert "myst_nb" not in str([cell.source for cell in cells])


@pytest.mark.parametrize("chapter", CHAPTERS, ids=str)
def test_a_chapters_notebook_has_outputs(chapter: Path, pages: dict[str, Page]) -> None:
    """What a reader downloads was executed."""
    page = pages[f"{chapter.as_posix()}.html"]
    (link,) = [link for link in page.links if link.endswith(f"{chapter.name}.ipynb")]
    cells = nbformat.read((page.path.parent / link).resolve(), as_version=4).cells
    assert len([cell for cell in cells if cell.get("outputs")]) > 5


@pytest.mark.slow
@pytest.mark.parametrize("chapter", CHAPTERS, ids=str)
def test_a_chapters_notebook_runs_on_its_own(chapter: Path, ran: dict[str, Any]) -> None:
    """It runs to its end, and fails where the page says so and nowhere else."""
    cells = [cell for cell in ran[chapter.name].cells if cell.cell_type == "code"]
    for cell in cells:
        errors = [output for output in cell.outputs if output.output_type == "error"]
        expected = "raises-exception" in cell.metadata.get("tags", [])
        assert bool(errors) == expected, (cell.source, errors)
    assert all(cell.execution_count for cell in cells if cell.source.strip())
