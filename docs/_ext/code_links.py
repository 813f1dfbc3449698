"""Keep the indentation of listings on pages whose code has links.

sphinx-codeautolink, which makes links of names in code, reads pages with BeautifulSoup and writes
them again. On the way a run of spaces between two elements becomes one space, except where it is
known to matter: in a listing, which is made of `div`s, it is the indentation.
"""

from __future__ import annotations

from typing import Any

from bs4.builder import HTMLTreeBuilder
from sphinx.application import Sphinx


def setup(app: Sphinx) -> dict[str, Any]:
    """Let BeautifulSoup keep the spaces inside every `div`."""
    del app
    HTMLTreeBuilder.DEFAULT_PRESERVE_WHITESPACE_TAGS |= {"div"}
    return {"parallel_read_safe": True, "parallel_write_safe": True}
