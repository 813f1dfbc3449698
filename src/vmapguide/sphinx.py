"""A Sphinx extension for pages that show jaxprs.

Add `"vmapguide.sphinx"` to `extensions`. It registers the `jaxpr` lexer, serves the stylesheet and
the script of vmapguide's views once for the site, and takes the copies that every view carries for
notebooks out of the pages. The codes of findings link to the pages about them, where a site has
such pages.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.transforms.post_transforms import SphinxPostTransform

import vmapguide
from vmapguide._show.markup import script_element, style_element, tag
from vmapguide.lexer import JaxprLexer


# The code of a finding, as `_show.explanation_html` writes it.
_CODE = re.compile('<span class="vg-finding-code" data-page="([^"]+)">([^<]+)</span>')


class ShareStylesheet(SphinxPostTransform):
    """Drop the stylesheet and the script from every view: the page links to one file of each."""

    default_priority = 900
    formats = ("html",)

    def run(self, **_: Any) -> None:
        """Edit the raw HTML of the page's outputs."""
        for node in list(self.document.findall(nodes.raw)):
            if "html" in node["format"].split():
                text = node.astext()
                for element in (style_element(), script_element()):
                    text = text.replace(element, "")
                text = re.sub(_CODE, self.linked, text)
                node.replace_self(nodes.raw(node.rawsource, text, **node.attributes))

    def linked(self, found: re.Match[str]) -> str:
        """Return the code of a finding as a link to its page, if there is one."""
        page, code = found.groups()
        if page not in self.env.found_docs:
            return found[0]
        address = self.app.builder.get_relative_uri(self.env.docname, page)
        return str(tag("a", code, class_="vg-finding-code", href=address))


def _serve_stylesheet(app: Sphinx, config: Config) -> None:
    del app
    assets = Path(__file__).parent / "assets"
    config.html_static_path += [str(assets / "vmapguide.css"), str(assets / "vmapguide.js")]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension with Sphinx."""
    app.add_lexer("jaxpr", JaxprLexer)
    app.add_css_file("vmapguide.css")
    app.add_js_file("vmapguide.js", loading_method="defer")
    app.add_post_transform(ShareStylesheet)
    app.connect("config-inited", _serve_stylesheet)
    return {
        "version": vmapguide.__version__,
        "parallel_read_safe": True,
        "parallel_write_safe": True,
    }
