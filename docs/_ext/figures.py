"""Figures that follow the theme: SVG drawings become part of the page.

An SVG in an `<img>` cannot see the theme that the reader chose. Inlined, its ink is the page's
text colour, its paper the page's. The notebook keeps the drawing as Matplotlib made it, black on
white.
"""

from __future__ import annotations

import hashlib
import html
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging


logger = logging.getLogger(__name__)


def themed(svg: str, alt: str) -> str:
    """Return a drawing as an element for a page: themed, named for screen readers, resizable."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"\s(?:width|height)=\"[\d.]+pt\"", "", svg, count=2)
    svg = re.sub(r"#000000\b", "currentColor", svg)
    # Areas that are white are paper; white text is on something dark.
    svg = re.sub(r"(<(?!text)[^>]*)fill: #ffffff", r"\1fill: none", svg)
    # Text without a colour is black.
    svg = re.sub(r"<text(?=[\s>])(?![^>]*\bfill[:=])", '<text fill="currentColor"', svg)
    # Several drawings on a page must not answer to each other's references.
    prefix = "f" + hashlib.sha256(svg.encode()).hexdigest()[:8]
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{prefix}-", svg)
    # One rule for everything in the drawing: as attributes it needs no stylesheet of its own, which
    # the security policy of the page, and of the search that reads it, would have to know.
    rules = re.search(r"<style[^>]*>\s*\*\s*\{([^}]*)\}\s*</style>", svg)
    inherited = ""
    if rules:
        svg = svg.replace(rules[0], "")
        pairs = (rule.split(":") for rule in rules[1].split(";") if rule.strip())
        inherited = "".join(f' {name.strip()}="{value.strip()}"' for name, value in pairs)
    label = f'<svg class="figure" role="img" aria-label="{html.escape(alt)}"{inherited}'
    return svg.replace("<svg", label, 1)


class InlineFigures(SphinxPostTransform):
    """Replace every SVG image that has alternative text by the drawing itself."""

    default_priority = 6  # After MyST-NB has chosen the SVG among a figure's formats.
    formats = ("html",)

    def run(self, **_: Any) -> None:
        """Edit the page."""
        for node in list(self.document.findall(nodes.image)):
            path = Path(self.app.srcdir, node["uri"])
            if path.suffix != ".svg" or "://" in node["uri"]:
                continue
            if not node.get("alt"):
                logger.warning("a figure has no alternative text", location=node, type="figures")
            drawing = themed(path.read_text("utf-8"), node.get("alt", ""))
            node.replace_self(nodes.raw("", drawing, format="html"))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension with Sphinx."""
    app.add_post_transform(InlineFigures)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
