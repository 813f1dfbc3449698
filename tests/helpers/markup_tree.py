"""The markup that the package makes, parsed by Python alone: every element has to be closed."""

from collections import Counter
from html.parser import HTMLParser
from typing import NamedTuple


VOID = ("br", "img", "meta", "link")


class Element(NamedTuple):
    """An element's name and its attributes."""

    name: str
    attributes: dict[str, str]


class Tree(HTMLParser):
    """Markup whose elements nest: its elements in order, and what a reader can read."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self.scripts: list[str] = []
        self._open: list[str] = []
        self._texts: list[str] = []
        self.feed(source)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "script" in self._open:
            self.scripts.append(data)
        elif "style" not in self._open:
            self._texts.append(data)

    @property
    def text(self) -> str:
        return "".join(self._texts)

    @property
    def counts(self) -> Counter[str]:
        return Counter(element.name for element in self.elements)

    def values(self, attribute: str) -> list[str]:
        """Return the values of an attribute, of all elements that have it."""
        return [e.attributes[attribute] for e in self.elements if attribute in e.attributes]
