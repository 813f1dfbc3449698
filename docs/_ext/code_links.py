"""What sphinx-codeautolink, which makes links of names in code, does not do by itself.

It keeps what it knows of a page in a cache, and its version 0.20 takes from there only pages whose
source ends in `.rst`. So a page in Markdown lost its links when Sphinx wrote it without reading it
again: a term's definition or another page's title had changed.

And it reads pages with BeautifulSoup and writes them again. On the way a run of spaces between two
elements becomes one space, except where it is known to matter: in a listing, which is made of
`div`s, it is the indentation.
"""

from __future__ import annotations

from typing import Any

from bs4.builder import HTMLTreeBuilder
from sphinx.application import Sphinx


def remember(app: Sphinx) -> None:
    """Let the environment, which Sphinx saves, keep what is known of each page."""
    if app.builder.name not in {"html", "dirhtml"}:  # The others get no links.
        return
    saved = vars(app.env)
    known: dict[str, Any] = saved["sphinx_codeautolink_transforms"]
    for docname, links in saved.get("code_links", {}).items():
        known.setdefault(docname, links)
    # The same object, to which sphinx-codeautolink adds what it finds on a page.
    saved["code_links"] = known


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension with Sphinx."""
    HTMLTreeBuilder.DEFAULT_PRESERVE_WHITESPACE_TAGS |= {"div"}
    app.connect("builder-inited", remember, priority=600)  # After sphinx-codeautolink has begun.
    return {"env_version": 1, "parallel_read_safe": True, "parallel_write_safe": True}
