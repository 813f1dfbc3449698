"""What the theme leaves out for readers who do not see the page, written into every page.

Each is what axe-core finds on a page without it, or a reader who listens or speaks to the page.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx


# What to look for, and what to write instead.
AMENDMENTS = {
    # A heading says of which level it is.
    r'(class="caption" role="heading")(?! aria-level)': r'\1 aria-level="2"',
    # The corner of a table heads nothing.
    r'<th class="head[^"]*">(<p></p>)?</th>': "<td></td>",
    # What is read out stands in a landmark.
    r'<div class="content-icon-container">': (
        '<div class="content-icon-container" role="region" aria-label="Source and theme">'
    ),
    # What can be pressed is called by what is written on it.
    r' aria-label="Toggle hidden content"': "",
    # Two landmarks of one kind have names.
    r'<aside class="sidebar-drawer">': '<aside class="sidebar-drawer" aria-label="All pages">',
    r'<aside class="toc-drawer([^"]*)">': r'<aside class="toc-drawer\1" aria-label="This page">',
}


def amended(page: str) -> str:
    """Return a page with what it lacks. To amend it twice changes nothing."""
    for pattern, replacement in AMENDMENTS.items():
        page = re.sub(pattern, replacement, page)
    return page


def amend(app: Sphinx, error: Exception | None) -> None:
    """Amend the pages that this build has written."""
    if error or app.builder.name != "html":
        return
    for path in Path(app.outdir).rglob("*.html"):
        page = path.read_text("utf-8")
        if (new := amended(page)) != page:
            path.write_text(new, "utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension with Sphinx."""
    app.connect("build-finished", amend)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
