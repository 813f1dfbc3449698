"""Pages as an e-book wants them: XHTML, with nothing to fold open and the stylesheets that it has.

Readers of e-books refuse what browsers forgive. See https://www.w3.org/TR/epub-33; `epubcheck`
validates.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.builders.epub3 import Epub3Builder


# What to look for, and what to write instead.
AMENDMENTS = {
    # A summary has no paragraphs.
    r"<summary[^>]*>\s*<p [^>]*>([^<]*)</p>\s*<p [^>]*>[^<]*</p>\s*</summary>": (
        r"<summary>\1</summary>"
    ),
    # Within a line nothing folds: long parameters are shown, library code is named.
    r'<details class="vg-long"><summary>.*?</summary>(.*?)</details>': r"\1",
    r'<details class="vg-more"><summary>(.*?)</summary></details>': r"\1",
    r"<svg (?![^>]*xmlns=)": r'<svg xmlns="http://www.w3.org/2000/svg" ',
}

# What the manifest says of a page: https://www.w3.org/TR/epub-33/#sec-item-resource-properties
PROPERTIES = {"mathml": "<math ", "svg": "<svg "}

STYLESHEETS = ("pygments.css", "epub.css", "vmapguide.css", "book.css")


class Builder(Epub3Builder):
    """Sphinx's builder, which leaves out of the book's manifest that a page has drawings."""

    def build_content(self) -> None:
        """Write the manifest, and what it lacks."""
        super().build_content()
        manifest = Path(self.outdir, "content.opf")
        text = manifest.read_text("utf-8")
        for page in Path(self.outdir).rglob("*.xhtml"):
            body = page.read_text("utf-8")
            if has := " ".join(name for name, tag in PROPERTIES.items() if tag in body):
                address = f'href="{page.relative_to(self.outdir).as_posix()}"'
                text = text.replace(
                    f"{address} media-type", f'{address} properties="{has}" media-type'
                )
        manifest.write_text(text, "utf-8")


def amended(body: str) -> str:
    """Return a page as XHTML."""
    for pattern, replacement in AMENDMENTS.items():
        body = re.sub(pattern, replacement, body, flags=re.DOTALL)
    return body


def adapt(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Change what a page of an e-book is made of."""
    del pagename, templatename, doctree
    if app.builder.name == "epub":
        context["css_files"] = [
            sheet for sheet in context["css_files"] if str(sheet.filename).endswith(STYLESHEETS)
        ]
        context["body"] = amended(context.get("body", ""))


def add_stylesheet(app: Sphinx) -> None:
    """Add the stylesheet that only an e-book has."""
    if app.builder.name == "epub":
        app.add_css_file("book.css")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension with Sphinx."""
    app.add_builder(Builder, override=True)
    app.connect("builder-inited", add_stylesheet)
    app.connect("html-page-context", adapt, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
