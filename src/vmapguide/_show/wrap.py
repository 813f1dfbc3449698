"""Break lines: `broken` takes a text, `filled` takes words, and both return lines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator


def broken(text: str, width: int, hang: int) -> list[str]:
    """Break a text at its spaces, which are kept, as is its indentation.

    A word that is longer than a line is broken before its brackets and, if it must be, anywhere.

    Args:
        text: the text.
        width: how many characters a line may have.
        hang: how far in the lines after the first begin.
    """
    indent = len(text) - len(text.lstrip())
    room = max(width - hang, 1)
    words = (piece for word in re.findall(r"\S+\s*", text) for piece in _pieces(word, room))
    return filled(words, width, indent, hang)


def filled(words: Iterable[str], width: int, indent: int, hang: int) -> list[str]:
    """Return lines of words, each of which brings the space behind it.

    Args:
        words: the words, which are not broken.
        width: how many characters a line may have.
        indent: how far in the first line begins.
        hang: how far in the others begin.
    """
    lines: list[str] = []
    current, is_empty = " " * indent, True
    for word in words:
        if not is_empty and len(current) + len(word.rstrip()) > width:
            lines.append(current.rstrip())
            current = " " * hang
        current += word
        is_empty = False
    return [*lines, current.rstrip()]


def _pieces(word: str, room: int) -> Iterator[str]:
    """Yield the pieces of a word, none longer than a line."""
    if len(word.rstrip()) > room:
        before, bracket, after = word.partition("[")
        if before and bracket and len(before) <= room:
            yield before
            yield from _pieces(bracket + after, room)
            return
    while len(word.rstrip()) > room:
        # Behind a comma or an opening bracket, if there is one in the second half of the line.
        end = max(word.rfind(mark, room // 2, room) for mark in ",([{") + 1 or room
        yield word[:end]
        word = word[end:]
    yield word
