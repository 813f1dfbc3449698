"""Turns the HTML of a page into Markdown, which keeps all words, tables, listings and link targets.

Which pages, and what becomes of them, is in `llms`. Nothing here knows Sphinx; what is known of
MyST-NB's HTML is that outputs have the class `output` and folded cells the class `hide`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from urllib.parse import urljoin

from bs4 import BeautifulSoup
from bs4.element import Comment, NavigableString, PageElement, Tag


BLOCKS = {
    *(f"h{level}" for level in range(1, 7)),
    *("p", "div", "section", "article", "aside", "figure", "figcaption", "blockquote", "details"),
    *("pre", "table", "hr", "ul", "ol", "dl"),
}
# What is read by nobody here: what can be pressed, and definitions, which the glossary has.
LEFT_OUT = "a.headerlink, .term-definition, details.hide > summary, script, style, button, input"

LANGUAGES = {"ipython3": "python", "default": "python", "none": ""}
PAIRS = {"em": "*", "i": "*", "strong": "**", "b": "**"}


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
    return "\n\n".join(Writer(address, iter(outputs)).blocks(page))


class Writer:
    """Writes the elements of one page."""

    def __init__(self, address: str, outputs: Iterator[str]) -> None:
        """Take what `markdown` is told of the page."""
        self.address = address
        self.outputs = outputs

    def blocks(self, element: Tag) -> list[str]:
        """Return the paragraphs, listings, lists and tables in an element."""
        found, line = [], ""
        for child in element.children:
            if isinstance(child, Tag) and child.name in BLOCKS:
                found += [line.strip(), *self.block(child)]
                line = ""
            else:
                line += self.inline(child)
        return [block for block in (*found, line.strip()) if block]

    def block(self, tag: Tag) -> list[str]:
        """Return what becomes of one element that stands on its own."""
        classes = tag.get("class") or ()
        if "output" in classes and "text_html" in classes:
            text = next(self.outputs)
            return self.blocks(tag) if re.fullmatch(r"<.*>", text) else [fence(text, "text")]
        match tag.name:
            case "pre":
                block = fence(tag.get_text(), language(tag))
            case "table":
                block = "\n".join(self.rows(tag))
            case "ul" | "ol" | "dl":
                block = "\n".join(self.items(tag))
            case "blockquote":
                block = indented("\n\n".join(self.blocks(tag)), "> ")
            case "h1" | "h2" | "h3" | "h4" | "h5" | "h6":
                block = f"{'#' * int(tag.name[1])} {self.line(tag)}"
            case "hr":
                block = "---"
            case _:
                return self.blocks(tag)
        return [block]

    def items(self, tag: Tag) -> Iterator[str]:
        """Yield the items of a list; those of a list of definitions begin with what is defined."""
        children = [child for child in tag.children if isinstance(child, Tag)]
        for number, child in enumerate(children, start=1):
            blocks = self.blocks(child)
            if child.name == "dt":
                is_signature = "sig" in (child.get("class") or ())
                blocks = [f"`{squeezed(child.get_text())}`"] if is_signature else blocks
            mark = f"{number}. " if tag.name == "ol" else "- "
            text = indented("\n\n".join(blocks), " " * len(mark))
            if child.name != "dd":
                yield mark + text.lstrip()
            elif text:
                yield f"\n{text}\n"

    def rows(self, tag: Tag) -> Iterator[str]:
        """Yield the lines of a table; its first row is its head."""
        for number, row in enumerate(tag.select("tr")):
            cells = [self.line(cell).replace("|", "\\|") for cell in row.select("th, td")]
            yield f"| {' | '.join(cells)} |"
            if number == 0:
                yield f"|{' -- |' * len(cells)}"

    def line(self, tag: Tag) -> str:
        """Return an element's content as one line."""
        return squeezed(" ".join(self.blocks(tag)))

    def inline(self, element: PageElement) -> str:
        """Return what stands within a line."""
        if not isinstance(element, Tag):
            is_text = isinstance(element, NavigableString) and not isinstance(element, Comment)
            return re.sub(r"\s+", " ", element.get_text()) if is_text else ""
        text = "".join(self.inline(child) for child in element.children)
        mark = PAIRS.get(element.name, "") if text.strip() else ""
        match element.name:
            case "code":
                text = squeezed(element.get_text())
                mark = "``" if "`" in text else "`"
                text = f" {text} " if "`" in text else text
            case "math":
                text = str(element["alttext"])
                mark = "$$" if element.get("display") == "block" else "$"
            case "svg" | "img":
                text = f"[Figure: {element.get('aria-label') or element.get('alt') or ''}]"
            case "a" if element.get("href") and text.strip():
                text = f"[{text}]({self.target(str(element['href']))})"
        return f"{mark}{text}{mark}"

    def target(self, address: str) -> str:
        """Return where a link leads, from the root of the site if not from elsewhere."""
        target = urljoin(self.address, address)
        return f"<{target}>" if re.search(r"[()\s]", target) else target


def indented(text: str, mark: str) -> str:
    """Return a text with a mark before each of its lines that is not empty."""
    return re.sub(r"^(?=.)", mark, text, flags=re.MULTILINE)


def squeezed(text: str) -> str:
    """Return a text as one line."""
    return " ".join(text.split())


def language(listing: Tag) -> str:
    """Return the language of a listing; what a cell has printed is text."""
    if listing.find_parent(class_="output"):
        return "text"
    for parent in listing.parents:
        for name in parent.get("class") or ():
            if name.startswith("highlight-"):
                found = name.removeprefix("highlight-")
                return LANGUAGES.get(found, found)
    return ""


def fence(text: str, kind: str) -> str:
    """Return a listing between fences that are longer than those in it."""
    longest = max(map(len, re.findall("`{3,}", text)), default=2)
    marks = "`" * (longest + 1)
    return f"{marks}{kind}\n{text.strip(chr(10)).rstrip()}\n{marks}"
