"""Everything on this site that relies on what another package does not document.

Only this module imports such things; the other modules ask it. Where one is missing, the build
stops with the name of the package, its version, and the version that is known to work (`inside`).
Nothing that is documented belongs here.

In this module, with what stops the build:

* MyST-NB's `create_nb_reader`, and the settings that it keeps in Sphinx's environment: to run a
  page, its cells must be those that MyST-NB will look for. One that is missing.
* MyST-NB's metadata `kernelspec` of a page, its node attributes `nb_element`, `mime_type` and
  `classes`, the class of an output in HTML, and the metadata `scrapbook` of what a cell glued. An
  executed page without cells, or with another number of outputs in its HTML; the rest is tried in
  tests/docs/test_insides.py.
* jupyter-cache's key, which knows nothing of outputs, and the engine of its database. What was kept
  and is not found, or a missing attribute.
* sphinx-codeautolink's `env.sphinx_codeautolink_transforms`: what it knows of each page. One that
  is missing, or without a page that was read.
* BeautifulSoup's `DEFAULT_PRESERVE_WHITESPACE_TAGS`. An example that loses its spaces.
* Sphinx's order of pages, `env.collect_relations`, and the index entries that its search has,
  `builder.indexer._index_entries`. One that is missing.
* Names in the script of Sphinx's search that _static/search.js replaces or reads, and the order of
  what a search finds. One that is missing; tests/browser searches.
* The module that JAX's types name as theirs, which _kernel/ipython_kernel_config.py prints without
  colours. Another one.

Elsewhere, since each changes nothing but the text of pages:

* `finish.AMENDMENTS` and `epub.AMENDMENTS`: HTML of furo, MyST-NB and Sphinx. One that is nowhere
  on the site is a warning.
* `epub.Builder`: the entries of Sphinx's `content.opf`, and the names of the files in `css_files`.
  An entry or a stylesheet that is not there is a warning.
* `figures`: that Matplotlib's black is `#000000`, and that MyST-NB has chosen the SVG before
  priority 6. A figure without black is a warning, and so is one with a style of its own.
* `mathml`: MyST-Parser gives a formula and the box around it one identifier, which
  tests/docs/test_incremental.py counts.
"""

import contextlib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import jax.extend.core
from bs4 import BeautifulSoup
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError


# The versions with which all of this was tried.
KNOWN = {
    "beautifulsoup4": "4.15.0",
    "jax": "0.10.2 and 0.12.0.1",
    "jupyter-cache": "1.0.1",
    "myst-nb": "1.4.0",
    "sphinx": "9.0.4 and 9.2.0",
    "sphinx-codeautolink": "0.20.0",
}


def missing(package: str, what: str) -> ExtensionError:
    """Return the error that names a package in which something is not as this site needs it."""
    return ExtensionError(
        f"{package} {metadata.version(package)} is not as this site needs it: {what}. It works with"
        f" {package} {KNOWN[package]}; docs/_ext/guide_site/insides.py says what for"
    )


@contextlib.contextmanager
def inside(package: str, what: str) -> Iterator[None]:
    """Stop the build with the name of the package when something in it is missing."""
    try:
        yield
    except (ImportError, AttributeError, KeyError, TypeError) as error:
        raise missing(package, f"{what} ({type(error).__name__}: {error})") from error


with inside("beautifulsoup4", "DEFAULT_PRESERVE_WHITESPACE_TAGS"):
    from bs4.builder import HTMLTreeBuilder
with inside("jupyter-cache", "the cache's interface"):
    from jupyter_cache import get_cache
    from jupyter_cache.base import CacheBundleIn
with inside("myst-nb", "create_nb_reader"):
    from myst_nb.core.read import create_nb_reader


# -- MyST-NB: pages as notebooks ------------------------------------------------------------------


def is_executed(env: BuildEnvironment, docname: str) -> bool:
    """Say whether a page has a kernel to run in."""
    return "kernelspec" in env.metadata[docname]


@inside("myst-nb", "create_nb_reader, or env.myst_config and env.mystnb_config")
def notebook(env: BuildEnvironment, docname: str) -> Any:
    """Return a page as the notebook that MyST-NB reads, or None if it has no cells to run."""
    path = Path(env.doc2path(docname))
    text = path.read_text("utf-8")
    settings = vars(env)
    reader = create_nb_reader(str(path), settings["myst_config"], settings["mystnb_config"], text)
    return None if reader is None else reader.read(text)


@inside("myst-nb", "an output's metadata `scrapbook`")
def take_glued(executed: Any) -> dict[str, str]:
    """Take what its cells glued out of an executed notebook; return the texts by their names."""
    glued: dict[str, str] = {}
    for cell in executed.cells:
        for output in list(cell.get("outputs", ())):
            if found := output.get("metadata", {}).get("scrapbook"):
                text = output.data[f"{found['mime_prefix']}text/plain"]
                glued[found["name"]] = text.strip("'")
                if found["mime_prefix"]:  # It is for the text alone.
                    cell.outputs.remove(output)
    return glued


def is_folded(node: nodes.Node) -> bool:
    """Say whether a part of a page is folded away until a reader opens it."""
    return isinstance(node, nodes.Element) and any("hide" in name for name in node["classes"])


def is_alternative(node: nodes.Node) -> bool:
    """Say whether a part of an output stands beside a better one, which is shown."""
    is_plain = isinstance(node, nodes.container) and node.get("mime_type") == "text/plain"
    return is_plain and len(alternatives(node.parent)) > 1


def alternatives(output: nodes.Element) -> dict[str, str]:
    """Return the text of all that stands for an output, by its kind."""
    parts = [part for part in output.children if isinstance(part, nodes.container)]
    return {part["mime_type"]: part.astext() for part in parts if "mime_type" in part}


def plain_outputs(doctree: nodes.document, body: str) -> list[str]:
    """Return the plain text of each output that the page's HTML, `body`, shows as HTML."""
    outputs = [alternatives(node) for node in doctree.findall(nodes.container)]
    texts = [output.get("text/plain", "<>") for output in outputs if "text/html" in output]
    if len(texts) != body.count('class="output text_html"'):
        raise missing("myst-nb", "the class `output text_html` of an output")
    return texts


def check_cells(doctree: nodes.document) -> None:
    """Stop the build if nothing on an executed page is marked as a cell."""
    if not any("nb_element" in node for node in doctree.findall(nodes.container)):
        raise missing("myst-nb", "the attribute `nb_element` of a cell")


# -- jupyter-cache: what pages have printed -------------------------------------------------------


class Outputs:
    """What pages have printed: the cache in which MyST-NB looks for it."""

    @inside("jupyter-cache", "get_cache")
    def __init__(self, app: Sphinx) -> None:
        """Open the cache, and make it if there is none."""
        self.cache = get_cache(app.config.nb_execution_cache_path)
        self.cache.list_cache_records()

    def facts(self, source: Any) -> dict[str, Any] | None:
        """Return what was kept beside a page's outputs, or None if it has none."""
        try:
            return dict(self.cache.match_cache_notebook(source).data)
        except KeyError:
            return None

    def executed(self, source: Any) -> Any:
        """Return a page's notebook with its outputs, or None if it has none."""
        has_run = self.facts(source) is not None
        return self.cache.merge_match_into_notebook(source)[1] if has_run else None

    def keep(self, source: Any, executed: Any, path: Path, facts: dict[str, Any]) -> None:
        """Keep what a page has printed, in the place of what it printed before."""
        with inside("jupyter-cache", "CacheBundleIn and cache_notebook_bundle"):
            bundle = CacheBundleIn(executed, str(path), data=facts)
            self.cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
        if self.facts(source) != facts:
            raise missing("jupyter-cache", "a page that has run is not found in the cache")

    @inside("jupyter-cache", "the database's engine, cache.db")
    def close(self) -> None:
        """Close the connections: they must not be carried over into Sphinx's processes."""
        self.cache.db.dispose()


# -- sphinx-codeautolink and BeautifulSoup: links in code ------------------------------------------


def keep_code_links(app: Sphinx) -> None:
    """Let Sphinx's environment keep what sphinx-codeautolink knows of each page.

    Its own cache takes back only pages whose source ends in `.rst`. So a page in Markdown would
    lose its links when Sphinx writes it without reading it again, because a term's definition or
    another page's title has changed.
    """
    if links_code(app):
        saved = vars(app.env)
        with inside("sphinx-codeautolink", "env.sphinx_codeautolink_transforms"):
            known = saved["sphinx_codeautolink_transforms"]
            for docname, links in saved.get("code_links", {}).items():
                known.setdefault(docname, links)
        # The same object, to which sphinx-codeautolink adds what it finds on a page.
        saved["code_links"] = known


def check_code_links(app: Sphinx, env: BuildEnvironment) -> None:
    """Stop the build if sphinx-codeautolink does not know every page."""
    if links_code(app) and (unknown := env.found_docs - vars(env)["code_links"].keys()):
        raise missing("sphinx-codeautolink", f"it knows nothing of {', '.join(sorted(unknown))}")


def links_code(app: Sphinx) -> bool:
    """Say whether sphinx-codeautolink makes links in this build."""
    return "sphinx_codeautolink" in app.extensions and app.builder.name in {"html", "dirhtml"}


@inside("beautifulsoup4", "DEFAULT_PRESERVE_WHITESPACE_TAGS")
def keep_indentation() -> None:
    """Let BeautifulSoup keep the spaces in a listing, where they are the indentation.

    sphinx-codeautolink parses pages with it and writes them again. On the way, a run of spaces
    between two elements would become one space, except where it is known to matter.
    """
    HTMLTreeBuilder.DEFAULT_PRESERVE_WHITESPACE_TAGS |= {"div"}
    listing = '<div class="vg-line">    <b>a</b>  <b>b</b></div>'
    if str(BeautifulSoup(listing, "html.parser")) != listing:
        raise missing("beautifulsoup4", f"{listing!r} loses its spaces")


# -- Sphinx: the order of pages, and the search ----------------------------------------------------


@inside("sphinx", "env.collect_relations")
def in_order(env: BuildEnvironment) -> list[str]:
    """Return the names of all pages in the order of the table of contents."""
    return list(env.collect_relations())


@inside("sphinx", "the builder's indexer, and its _index_entries")
def search_entries(app: Sphinx) -> dict[str, Any] | None:
    """Return the index entries that Sphinx's search has of each page; None without a search."""
    builder: Any = app.builder
    if not builder.search:
        return None
    entries: dict[str, Any] = builder.indexer._index_entries  # noqa: SLF001
    return entries


# What _static/search.js replaces or reads, without regard to spaces.
SEARCH = (
    "class SearchResultKind {",
    "const _orderResultsByScoreThenName = (a, b) =>",
    "var splitQuery = (query) =>",
    "_performSearch: (",
    "performTermsSearch: (searchTerms, excludedTerms) =>",
    "makeSearchSummary: (htmlText, keywords, anchor) =>",
    "htmlToText: (htmlString, anchor) =>",
    "filenames = Search._index.filenames",
    'results.push([ docNames[file], titles[file], "", null, score, filenames[file],',
)


def check_search(app: Sphinx, error: Exception | None) -> None:
    """Stop the build if _static/search.js stands on something that Sphinx's search has not."""
    if error is None and app.builder.name == "html":
        script = " ".join(Path(app.outdir, "_static", "searchtools.js").read_text("utf-8").split())
        for part in SEARCH:
            if part not in script:
                raise missing("sphinx", f"searchtools.js has no {part!r}")


# -- JAX: jaxprs without colours -------------------------------------------------------------------


def check_jaxprs() -> None:
    """Stop the build if JAX's types are not where the kernel's configuration looks for them."""
    core = jax.extend.core
    for kind in (core.Jaxpr, core.ClosedJaxpr, core.JaxprEqn):
        if kind.__module__ != "jax._src.core":
            raise missing("jax", f"{kind.__name__} is in {kind.__module__}, not in jax._src.core")


def setup(app: Sphinx) -> None:
    """Check all that can be checked at once, and tell Sphinx when to ask for the rest."""
    keep_indentation()
    check_jaxprs()
    app.connect("builder-inited", keep_code_links, priority=600)  # After sphinx-codeautolink.
    app.connect("env-updated", check_code_links)
    app.connect("build-finished", check_search)
