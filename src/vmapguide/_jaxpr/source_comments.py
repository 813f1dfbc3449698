"""Read the comments of a source file that speak to vmapguide. Start with `notes_in`.

A file is read as `source_pieces` reads it, once, and a notebook's cell is a file, too. What is a
comment, Python's tokenizer says: a `#` in a string is none.
"""

from __future__ import annotations

import ast
import functools
import io
import textwrap
import tokenize
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from vmapguide._data import Source
from vmapguide._jaxpr.source_pieces import text_of


@dataclass(frozen=True)
class Comment:
    """A comment.

    Attributes:
        line: its line, counted from 1.
        column: where it begins in it, in characters, counted from 0.
        text: all of it.
    """

    line: int
    column: int
    text: str


@dataclass(frozen=True)
class Notes:
    """What a file says to vmapguide, and where its statements and functions are.

    Attributes:
        comments: the comments that name vmapguide, by their lines.
        lines: the lines of the file.
        ends: the last line of the statement that a line is in, by the line. Of a compound
            statement that is its head.
        functions: the first line and the name of the innermost function with a name that a line is
            in, by the line.
    """

    comments: Mapping[int, Comment] = field(default_factory=dict)
    lines: tuple[str, ...] = ()
    ends: Mapping[int, int] = field(default_factory=dict)
    functions: Mapping[int, tuple[int, str]] = field(default_factory=dict)

    def says(self, source: Source) -> bool:
        """Say whether a piece of code is still where it was: the file may have been edited."""
        lines = self.lines[source.line - 1 : source.end_line]
        return source.text == textwrap.dedent("\n".join(lines))

    def source(self, comment: Comment) -> Source:
        """Return a comment as a piece of code."""
        line = self.lines[comment.line - 1]
        text = line.lstrip()
        return Source(
            file="",
            line=comment.line,
            end_line=comment.line,
            column=comment.column,
            end_column=comment.column + len(comment.text),
            text=text,
            indentation=len(line) - len(text),
            function=self.functions.get(comment.line, (0, "<module>"))[1],
        )


def notes_in(path: str) -> Notes:
    """Return what a file says to vmapguide."""
    return _notes(text_of(path))


@functools.lru_cache(maxsize=256)
def _notes(text: str) -> Notes:
    if "vmapguide" not in text:
        return _NOTHING
    comments: dict[int, Comment] = {}
    ends: dict[int, int] = {}
    first: int | None = None
    for token in _tokens(text):
        line = token.start[0]
        if token.type == tokenize.COMMENT:
            if "vmapguide" in token.string:
                comments[line] = Comment(line, token.start[1], token.string)
        elif token.type == tokenize.NEWLINE:
            ends |= dict.fromkeys(range(first or line, line + 1), line)
            first = None
        elif token.type not in _BETWEEN and first is None:
            first = line
    if not comments:
        return _NOTHING
    return Notes(comments, tuple(text.split("\n")), ends, _functions(text))


_NOTHING = Notes()

# Tokens that are in no statement.
_BETWEEN = {tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING, tokenize.ENDMARKER}


def _tokens(text: str) -> Iterator[tokenize.TokenInfo]:
    """Yield the tokens of a text, up to where it is no Python any more."""
    try:
        yield from tokenize.generate_tokens(io.StringIO(text).readline)
    except (tokenize.TokenError, SyntaxError):
        return


def _functions(text: str) -> dict[int, tuple[int, str]]:
    """Return the innermost function that each line is in."""
    found: dict[int, tuple[int, str]] = {}
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return found
    for node in ast.walk(tree):  # The outer ones come first.
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            lines = range(first, (node.end_lineno or node.lineno) + 1)
            found |= dict.fromkeys(lines, (first, node.name))
    return found
