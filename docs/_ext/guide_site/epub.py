"""Writes pages as an e-book wants them: XHTML, with nothing to fold open, and a whole manifest.

Readers of e-books refuse what browsers forgive. See https://www.w3.org/TR/epub-33; `epubcheck`
validates. What a browser gets is in `finish`.
"""

from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.builders.epub3 import Epub3Builder

from guide_site.finish import amended, expect, rewrite


# By its name: what to look for, amended already or not, and what to write instead.
AMENDMENTS = {
    # A summary has no paragraphs: one of the two texts is kept.
    "e-book: folded cell": (
        r"<summary[^>]*>\s*(?:<p [^>]*>)?([^<]*)(?:</p>\s*<p [^>]*>[^<]*</p>\s*)?</summary>\n",
        "<summary>\\1</summary>\n",
    ),
    # Within a line nothing folds: long parameters are shown, library code is named.
    "e-book: long parameters": (
        r'<(details|span) class="vg-long">(?:<summary>.*?</summary>)?(.*?)</\1>',
        r'<span class="vg-long">\2</span>',
    ),
    "e-book: library code": (
        r'<(details|span) class="vg-more">(?:<summary>)?(.*?)(?:</summary>)?</\1>',
        r'<span class="vg-more">\2</span>',
    ),
    # XHTML knows no drawing without a namespace.
    "e-book: drawing": (
        r'<svg (?:xmlns="http://www.w3.org/2000/svg" )?((?:(?!xmlns=)[^>])*>)',
        r'<svg xmlns="http://www.w3.org/2000/svg" \1',
    ),
}

# What the manifest says of a page: https://www.w3.org/TR/epub-33/#sec-item-resource-properties
PROPERTIES = {"mathml": "<math ", "svg": "<svg "}

STYLESHEETS = ("pygments.css", "epub.css", "vmapguide.css", "book.css")


class Builder(Epub3Builder):
    """Sphinx's builder, with amended pages and a manifest that says which have drawings."""

    def build_content(self) -> None:
        """Amend the pages; write the manifest, and what it lacks."""
        out = Path(self.outdir)
        matches = rewrite(out, "*.xhtml", lambda page, _: amended(page, AMENDMENTS))
        super().build_content()
        manifest = Path(self.outdir, "content.opf")
        text = manifest.read_text("utf-8")
        for path in out.rglob("*.xhtml"):
            page = path.read_text("utf-8")
            matches.update({f"e-book: {sheet}": sheet in page for sheet in STYLESHEETS})
            if has := " ".join(name for name, tag in PROPERTIES.items() if tag in page):
                entry = f'href="{path.relative_to(out).as_posix()}" '
                matches["e-book: entry of a page with drawings"] += text.count(entry)
                text = text.replace(entry, f'{entry}properties="{has}" ')
        manifest.write_text(text, "utf-8")
        expect(self.config, matches)


def choose_stylesheets(
    app: Sphinx, _pagename: str, _templatename: str, context: dict[str, Any], _doctree: Any
) -> None:
    """Leave out of an e-book's page the stylesheets that are a website's."""
    if app.builder.name == "epub":
        context["css_files"] = [
            sheet for sheet in context["css_files"] if str(sheet.filename).endswith(STYLESHEETS)
        ]
