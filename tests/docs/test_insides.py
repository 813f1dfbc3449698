"""What the site relies on in other packages: it is there, and where it is not the build says so."""

import pickle
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bs4
import jax.extend.core
import pytest
from docutils import nodes
from guide_site import insides
from places import DOCS
from small_site import Site, page
from sphinx.errors import ExtensionError


@pytest.fixture(scope="module", name="read")
def _read(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return what Sphinx has read of a page with cells of every kind."""
    site = Site(tmp_path_factory.mktemp("site"))
    site.write(
        "index",
        page(
            "Index",
            "from IPython.display import HTML\nHTML('<b>bold</b>')",
            ":tags: [hide-input]\nprint('printed')",
            "'alone'",
        ),
    )
    result = site.build("-d", "doctrees")
    assert result.returncode == 0, result.stderr
    return (site.folder / "doctrees" / "index.doctree").read_bytes()


@pytest.fixture(name="doctree")
def _doctree(read: bytes) -> nodes.document:
    """Return the page, for one test."""
    loaded: nodes.document = pickle.loads(read)  # noqa: S301 - our own.
    return loaded


class TestMystNb:
    """Pages as MyST-NB reads them."""

    def test_cells(self, doctree: nodes.document) -> None:
        """They are marked, and a page without them is noticed."""
        insides.check_cells(doctree)
        for node in doctree.findall(nodes.container):
            node.attributes.pop("nb_element", None)
        with pytest.raises(ExtensionError, match=r"myst-nb [\d.]+ is not as this site needs it"):
            insides.check_cells(doctree)

    def test_folded_cells(self, doctree: nodes.document) -> None:
        """One of the three is folded."""
        code = [node for node in doctree.findall(nodes.literal_block) if "print(" in node.astext()]
        assert [folded(node) for node in code] == [True]
        other = [node for node in doctree.findall(nodes.literal_block) if "HTML(" in node.astext()]
        assert [folded(node) for node in other] == [False]

    def test_alternatives(self, doctree: nodes.document) -> None:
        """Plain text is one where there is HTML beside it, and none where it is alone."""
        found = {
            node.astext(): insides.is_alternative(node)
            for node in doctree.findall(nodes.container)
            if node.get("mime_type") == "text/plain"
        }
        assert found == {"<IPython.core.display.HTML object>": True, "'alone'": False}

    def test_plain_texts_of_outputs(self, doctree: nodes.document) -> None:
        """One for each output that is shown as HTML; another number is noticed."""
        body = '<div class="output text_html"><b>bold</b></div>'
        texts = insides.plain_outputs(doctree, body)
        assert texts == ["<IPython.core.display.HTML object>"]
        with pytest.raises(ExtensionError, match=r"myst-nb [\d.]+ is not as this site needs it"):
            insides.plain_outputs(doctree, body + body)


def folded(node: nodes.Node) -> bool:
    """Say whether any part of a page around a node is folded."""
    parents = []
    while node.parent is not None:
        node = node.parent
        parents.append(node)
    return any(insides.is_folded(parent) for parent in parents)


class Nothing:
    """A module, or an object, in which nothing is left."""


@pytest.mark.parametrize(
    ("package", "broken", "use"),
    [
        ("jupyter-cache", {"get_cache": Nothing}, lambda: insides.Outputs(app())),
        ("sphinx", {}, lambda: insides.in_order(cast_any(Nothing()))),
        ("myst-nb", {}, lambda: insides.notebook(app().env, "page")),
        ("sphinx-codeautolink", {}, lambda: insides.keep_code_links(app())),
        ("beautifulsoup4", {"HTMLTreeBuilder": Nothing}, insides.keep_indentation),
        ("beautifulsoup4", {"BeautifulSoup": lambda *_: "<div></div>"}, insides.keep_indentation),
    ],
)
def test_what_is_missing_is_named(
    package: str,
    broken: dict[str, Any],
    use: Callable[[], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The package, what was looked for, and the version that is known to work."""
    for name, value in broken.items():
        monkeypatch.setattr(insides, name, value)
    with pytest.raises(
        ExtensionError, match=rf"^{package} [\d.]+ is not as .* works with {package}"
    ):
        use()


def cast_any(value: Any) -> Any:
    """Return a value, of which nothing is known."""
    return value


def app() -> Any:
    """Return what of a Sphinx application is looked at, with nothing from the other packages."""
    env = SimpleNamespace(doc2path=lambda _: __file__)
    config = SimpleNamespace(nb_execution_cache_path="")
    builder = SimpleNamespace(name="html")
    return SimpleNamespace(
        env=env, config=config, builder=builder, extensions={"sphinx_codeautolink": None}
    )


def test_pages_that_codeautolink_does_not_know() -> None:
    """All pages must be in what it has read."""
    made = app()
    made.env.found_docs, made.env.code_links = {"a", "b"}, {"a": []}
    with pytest.raises(ExtensionError, match=r"sphinx-codeautolink .* it knows nothing of b"):
        insides.check_code_links(made, made.env)
    made.env.code_links["b"] = []
    insides.check_code_links(made, made.env)


def test_jaxprs_that_would_have_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """JAX's types must be where the kernel's configuration looks for them."""
    insides.check_jaxprs()
    monkeypatch.setattr(jax.extend.core.JaxprEqn, "__module__", "jax._src.elsewhere")
    with pytest.raises(ExtensionError, match=r"jax [\d.]+ .* JaxprEqn is in jax._src.elsewhere"):
        insides.check_jaxprs()


def test_a_search_with_other_names(tmp_path: Path) -> None:
    """Sphinx's script must have what search.js replaces; the result's order matters."""
    script = tmp_path / "_static" / "searchtools.js"
    script.parent.mkdir()
    made = SimpleNamespace(outdir=tmp_path, builder=SimpleNamespace(name="html"))
    lines = "\n  ".join(insides.SEARCH).replace("[ docNames", "[\n    docNames")
    script.write_text(lines)
    insides.check_search(cast_any(made), None)
    script.write_text(lines.replace("score, filenames[file]", "filenames[file], score"))
    with pytest.raises(ExtensionError, match=r"sphinx [\d.]+ .* searchtools.js has no"):
        insides.check_search(cast_any(made), None)


@pytest.mark.parametrize(
    ("package", "more"),
    [
        ("myst-nb", "import myst_nb.core.read\ndel myst_nb.core.read.create_nb_reader"),
        ("sphinx-codeautolink", "extensions.insert(0, 'sphinx_codeautolink')"),
    ],
)
def test_a_build_with_another_release_says_which(package: str, more: str, tmp_path: Path) -> None:
    """The error names the package, and no page is built."""
    # A release that has moved everything: there is nothing but a setup.
    (tmp_path / "sphinx_codeautolink.py").write_text("def setup(app): return {}\n")
    paths = [str(tmp_path), str(DOCS / "_ext")]
    conf = f"import sys\nsys.path[:0] = {paths}\nextensions = ['guide_site.insides']\n{more}\n"
    (tmp_path / "conf.py").write_text(conf)
    (tmp_path / "index.rst").write_text("Index\n=====\n")
    command = [sys.executable, "-m", "sphinx", str(tmp_path), str(tmp_path / "html")]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    assert result.returncode == 2
    version = metadata.version(package)
    assert f"{package} {version} is not as this site needs it" in result.stderr
    assert not (tmp_path / "html" / "index.html").exists()


def test_beautifulsoup_keeps_indentation() -> None:
    """As the site needs it, once the extension is loaded."""
    insides.keep_indentation()
    listing = "<div>    <b>a</b>  <b>b</b></div>"
    assert str(bs4.BeautifulSoup(listing, "html.parser")) == listing
