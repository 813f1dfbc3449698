"""Turns the HTML of a page into Markdown, which keeps all words, tables, listings and link targets.

Which pages, and what becomes of them, is in `llms`. Here is what `markdownify` leaves to its user:
links from the root of the site, formulas, drawings, and what is known of MyST-NB's HTML, where
outputs have the class `output` and folded cells the class `hide`.
"""

import re
from collections.abc import Iterable
from urllib.parse import urljoin

from bs4 import BeautifulSoup
from bs4.element import Tag
from markdownify import ATX, MarkdownConverter


# What is read by nobody here: what can be pressed, and definitions, which the glossary has.
LEFT_OUT = "a.headerlink, .term-definition, details.hide > summary, script, style, button, input"

LANGUAGES = {"ipython3": "python", "default": "python", "none": ""}


def markdown(body: str, address: str, outputs: Iterable[str]) -> str:
    """Return a page as Markdown.

    Args:
        body: the HTML of the page.
        address: the address of the page, which its links start from.
        outputs: the plain text of each of its outputs that are HTML, in their order. A view of this
            package is much shorter as text. Where the text is but a name, as `<Figure …>`, the HTML
            is taken.
    """
    page = BeautifulSoup(body, "html.parser")
    for element in page.select(LEFT_OUT):
        element.decompose()
    for output, text in zip(page.select(".output.text_html"), outputs, strict=True):
        if not re.fullmatch(r"<.*>", text):
            output.replace_with(page.new_tag("pre", string=text, attrs={"class": "output"}))
    for link in page.select("a[href]"):
        target = urljoin(address, str(link["href"]))
        link.attrs = {"href": f"<{target}>" if re.search(r"[()\s]", target) else target}
    for signature in page.select("dt.sig"):
        words = " ".join(signature.get_text().split())
        signature.clear()
        signature.append(page.new_tag("code", string=words))
    for bar in page.find_all(string=re.compile(r"\|")):
        if bar.find_parent(["td", "th"]):
            bar.replace_with(bar.replace("|", "\\|"))
    converter = Converter(
        autolinks=False,
        bullets="-",
        escape_asterisks=False,
        escape_underscores=False,
        heading_style=ATX,
        table_infer_header=True,
        wrap=True,
        wrap_width=None,  # A paragraph is one line.
    )
    return str(converter.convert_soup(page))


class Converter(MarkdownConverter):
    """Converts what the library does not know, and listings."""

    def convert_pre(self, element: Tag, text: str, parent_tags: set[str]) -> str:
        """Return a listing between fences that are longer than those in it."""
        del parent_tags
        marks = "`" * max([3, *(len(found) + 1 for found in re.findall("`{3,}", text))])
        text = text.strip("\n").rstrip()
        return f"\n\n{marks}{language(element)}\n{text}\n{marks}\n\n"

    def convert_math(self, element: Tag, _text: str, **_: object) -> str:
        """Return a formula as it was written."""
        mark = "$$" if element.get("display") == "block" else "$"
        return f"{mark}{element['alttext']}{mark}"

    def convert_svg(self, element: Tag, _text: str, **_: object) -> str:
        """Return what a drawing shows, in words."""
        return f"[Figure: {element.get('aria-label') or element.get('alt') or ''}]"

    convert_img = convert_svg


def language(listing: Tag) -> str:
    """Return the language of a listing; what a cell has printed is text."""
    around = [name for tag in (listing, *listing.parents) for name in tag.get("class") or ()]
    if "output" in around:
        return "text"
    names = [name.removeprefix("highlight-") for name in around if name.startswith("highlight-")]
    return LANGUAGES.get(names[0], names[0]) if names else ""
