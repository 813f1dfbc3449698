"""A program as text and as HTML, line by line: `listing_text` and `listing_html`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vmapguide._show.markup import Markup, joined, of_tokens, style_element, tag
from vmapguide._show.tokens import SPACE, Line
from vmapguide._show.wrap import filled


# The rest of a line that had to be broken stands so much further in.
_HANG = 6


def listing_text(lines: Iterable[Line], width: int) -> str:
    """Print lines as plain text, broken at spaces to at most `width` characters if they can be."""
    return "\n".join(piece for line in lines for piece in _broken(line, width))


def _broken(line: Line, width: int) -> list[str]:
    """Break a line at its spaces. A value is kept together, unless no line is long enough."""
    hang = line.indent + _HANG
    room = width - hang
    words = (
        f"{part} "
        for word in _words(line)
        for part in ([word] if len(word) <= room else word.split(" "))
    )
    return filled(words, width, line.indent, hang)


def _words(line: Line) -> Iterator[str]:
    """Join tokens into words. Only the token `SPACE` parts them: a value may hold spaces."""
    word = ""
    for token in (*line.tokens, SPACE):
        if token is SPACE:
            yield word
            word = ""
        else:
            word += token.text


def listing_html(lines: Iterable[Line], label: str) -> Markup:
    """Print lines as one self-contained HTML element, with its stylesheet.

    Folded lines and shortened texts are `<details>`, so that they open without a script.
    """
    body = tag("div", *map(_line, lines), class_="vg-listing", role="group", aria_label=label)
    return joined([style_element(), tag("div", body, class_="vg")])


def _line(line: Line) -> Markup:
    shown = joined([" " * line.indent, of_tokens(line.tokens), "\n"])
    if not line.folded:
        return tag("div", shown, class_="vg-line")
    return tag("details", tag("summary", shown, class_="vg-line"), *map(_line, line.folded))
