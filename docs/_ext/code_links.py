"""What sphinx-codeautolink, which makes links of names in code, does not do by itself.

It reads pages with BeautifulSoup and writes them again. On the way a run of spaces between two
elements becomes one space, except where it is known to matter: in a listing, which is made of
`div`s, it is the indentation. And it links the pages whose source is newer than they are, but a
page is also written anew when something else that it depends on has changed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bs4.builder import HTMLTreeBuilder
from docutils import nodes
from sphinx.application import Sphinx
from sphinx_codeautolink.extension import SphinxCodeAutoLink


def link_too(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Let a page that is being written have its links."""
    del doctree
    for listener in app.events.listeners["build-finished"]:
        linker = getattr(listener.handler, "__self__", None)
        if isinstance(linker, SphinxCodeAutoLink) and not linker.do_nothing:
            linker.outdated_docs.add(str(Path(docname)))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension with Sphinx."""
    HTMLTreeBuilder.DEFAULT_PRESERVE_WHITESPACE_TAGS |= {"div"}
    app.connect("doctree-resolved", link_too)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
