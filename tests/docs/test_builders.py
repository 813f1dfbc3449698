"""The same pages elsewhere: on a server that knows its address, as an e-book, before linkcheck."""

import json
import re
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from html_pages import parsed
from places import DOCS


Build = Callable[..., Path]


@pytest.fixture(scope="module", name="local")
def _local(site: Path) -> Path:
    """Build the site first: the others use what its pages printed."""
    return site


@pytest.fixture(scope="module", name="book")
def _book(local: Path, build: Build) -> zipfile.ZipFile:
    """Build the book."""
    del local
    return zipfile.ZipFile(build("epub") / "vmapguide.epub")


@pytest.fixture(scope="module", name="online")
def _online(local: Path, build: Build) -> Path:
    """Build with what GitHub's machines set, from what the other build has run."""
    del local
    variables = {
        "PAGES_URL": "https://pages.example/guide",
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_REPOSITORY": "some/where",
        "GITHUB_REF_NAME": "main",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        return build("html", name="online")


class TestEpub:
    """The guide as a book."""

    def test_every_page_is_in_it_and_is_xhtml(self, book: zipfile.ZipFile) -> None:
        """Readers refuse what is not well-formed."""
        names = set(book.namelist())
        for path in DOCS.rglob("*.md"):
            if "_build" not in path.parts:
                name = path.relative_to(DOCS).with_suffix(".xhtml").as_posix()
                assert name in names
                ET.fromstring(book.read(name))  # noqa: S314 - our own.

    def test_it_has_outputs_and_drawings(self, book: zipfile.ZipFile) -> None:
        """What the cells printed, the views, and the figures."""
        page = book.read("guide/one-neuron.xhtml").decode()
        assert "4 equations became 6." in page
        drawings = re.findall(r"<svg [^>]*>", page)
        assert any('class="figure"' in drawing for drawing in drawings)
        assert {drawing.count('xmlns="http://www.w3.org/2000/svg"') for drawing in drawings} == {1}
        manifest = book.read("content.opf").decode()
        assert 'href="guide/one-neuron.xhtml" properties="svg"' in manifest

    def test_its_table_of_contents_has_all_pages(self, book: zipfile.ZipFile) -> None:
        """The table of contents has all pages, though the landing page hides its own."""
        contents = book.read("nav.xhtml").decode()
        assert "guide/one-neuron.xhtml" in contents
        assert "project/status.xhtml" in contents

    def test_nothing_in_it_needs_a_script_or_the_network(self, book: zipfile.ZipFile) -> None:
        """A book is read anywhere."""
        for name in book.namelist():
            if name.endswith(".xhtml"):
                page = book.read(name).decode()
                assert "<script" not in page
                assert not re.search(r'(?:src|<link[^>]* href)="https?:', page)


@pytest.mark.slow
def test_linkcheck_sees_every_external_link(build: Build, site: Path) -> None:
    """What leads out of the site is what `nox -s linkcheck` asks for; here it asks for nothing."""
    out = build("linkcheck", "-D", "linkcheck_ignore=.*")
    lines = (out / "output.json").read_text("utf-8").splitlines()
    checked = {json.loads(line)["uri"].partition("#")[0] for line in lines}
    for path in site.rglob("*.html"):
        # Names in code are linked while a page is written, to addresses from the inventories.
        links = parsed(path).select('article a[href^="http"]:not(.sphinx-codeautolink-a)')
        assert {str(link["href"]).partition("#")[0] for link in links} <= checked, path
    assert len(checked) > 10


@pytest.mark.slow
class TestKnownAddress:
    """A build that knows where it will stand and where its sources are."""

    def test_links_to_the_repository(self, online: Path) -> None:
        """Edit, view, and Colab, where CI has put the notebooks."""
        page = (online / "guide" / "cost.html").read_text("utf-8")
        assert "https://github.com/some/where/edit/main/docs/guide/cost.md" in page
        assert "https://github.com/some/where/blob/main/docs/guide/cost.md" in page
        colab = (
            "https://colab.research.google.com/github/some/where/blob/notebooks/guide/cost.ipynb"
        )
        assert colab in page

    def test_the_notebook_installs_what_it_needs(self, online: Path) -> None:
        """Colab has JAX and not this package."""
        (path,) = online.glob("_downloads/*/cost.ipynb")
        setup = nbformat.read(path, as_version=4).cells[1].source
        assert 'find_spec("vmapguide") is None' in setup
        assert "git+https://github.com/some/where" in setup

    def test_addresses(self, online: Path) -> None:
        """Canonical addresses, a sitemap, and a picture for links to a page, made by the build."""
        page = parsed(online / "guide" / "cost.html")
        (canonical,) = page.select('link[rel="canonical"]')
        assert canonical["href"] == "https://pages.example/guide/guide/cost.html"
        assert "https://pages.example/guide/guide/cost.html" in (online / "sitemap.xml").read_text()
        (picture,) = page.select('meta[property="og:image"]')
        address = str(picture["content"])
        assert (online / address.removeprefix("https://pages.example/guide/")).is_file()
        (words,) = page.select('meta[property="og:description"]')
        assert str(words["content"]).startswith("Your vmapped function is right.")
