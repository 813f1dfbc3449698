"""Listings keep their indentation.

sphinx-codeautolink reads every page with BeautifulSoup and writes it again. On the way a run of
spaces between two elements becomes one space, except where it is known to matter. In a listing,
which is made of `div`s, it does.
"""

from __future__ import annotations

from typing import Any

from bs4.builder import HTMLTreeBuilder
from sphinx.application import Sphinx


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension with Sphinx."""
    del app
    HTMLTreeBuilder.DEFAULT_PRESERVE_WHITESPACE_TAGS |= {"div"}
    return {"parallel_read_safe": True, "parallel_write_safe": True}
