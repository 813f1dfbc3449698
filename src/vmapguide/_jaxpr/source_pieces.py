"""Read from Python's bytecode which piece of a source file an instruction was compiled from.

Start with `piece_of`. Since Python 3.11, a code object knows the lines and columns of each of its
instructions. The file is parsed, and the piece is returned only if an expression or statement is
exactly there: a file may have been edited since, and code made by `exec` may claim any name.
"""

from __future__ import annotations

import ast
import functools
import linecache
import textwrap
import types
from typing import NamedTuple

from vmapguide._data import Source


# A code object with the positions of its instructions, by its `id`, for which it is kept: its hash
# takes as long as it is, and equal code in two files is equal. To find the position of one
# instruction takes as long as to find those of all.
_positions: dict[int, tuple[types.CodeType, tuple[tuple[int | None, ...], ...]]] = {}

# The pieces of instructions, by the `id` of their code.
_pieces: dict[tuple[int, int], Source | None] = {}


def piece_of(code: types.CodeType, instruction: int) -> Source | None:
    """Return the piece of a source file that an instruction was compiled from, None if unknown."""
    key = id(code), instruction
    if key not in _pieces:
        if id(code) not in _positions:
            _positions[id(code)] = code, tuple(code.co_positions())
        _, positions = _positions[id(code)]
        known = 0 <= instruction // 2 < len(positions)
        _pieces[key] = _piece(code, positions[instruction // 2]) if known else None
    return _pieces[key]


def forget() -> None:
    """Forget what files say: they may have been edited since they were last looked at."""
    text_of.cache_clear()
    _positions.clear()
    _pieces.clear()


@functools.lru_cache(maxsize=256)
def text_of(path: str) -> str:
    """Return what a file says, or a notebook's cell; "" if there is no such thing."""
    linecache.checkcache(path)
    return "".join(linecache.getlines(path))


@functools.lru_cache(maxsize=256)
def _lines(text: str) -> list[str]:
    return text.split("\n")


def line_of(file: str, line: int, function: str) -> Source | None:
    """Return a line of a file as a piece of its code, None if there is no such line."""
    lines = _lines(text_of(file))
    text = lines[line - 1] if 0 < line <= len(lines) else ""
    if not text.strip():
        return None
    indentation = len(text) - len(text.lstrip())
    end = len(text.rstrip())
    return Source(file, line, line, indentation, end, text.strip(), indentation, function)


def _piece(code: types.CodeType, positions: tuple[int | None, ...]) -> Source | None:
    if None in positions:
        return None
    path, text = code.co_filename, text_of(code.co_filename)
    line, end_line, start, end = (number for number in positions if number is not None)
    if not _is_source_of(text, code, (line, end_line, start, end)):
        return None
    lines = _lines(text)[line - 1 : end_line]
    # Python counts columns in bytes of UTF-8.
    column = len(lines[0].encode()[:start].decode(errors="replace"))
    end_column = len(lines[-1].encode()[:end].decode(errors="replace"))
    whole = "\n".join(lines)
    dedented = textwrap.dedent(whole)
    return Source(
        file=path,
        line=line,
        end_line=end_line,
        column=column,
        end_column=end_column,
        text=dedented,
        indentation=len(lines[0]) - len(dedented.split("\n")[0]),
        function=code.co_name,
    )


def _is_source_of(text: str, code: types.CodeType, span: tuple[int, int, int, int]) -> bool:
    """Say whether a text is what the code was compiled from.

    Code made by `exec` may claim the name of a file that says something else, and a file may have
    been edited since. So the function has to start where the code says, under the name that the
    code has, and an expression has to be exactly where the code says that one is.
    """
    spans, starts, functions = _nodes(text)
    is_named = code.co_name == "<lambda>" or not code.co_name.startswith("<")
    if is_named and (code.co_name, code.co_firstlineno) not in functions:
        return False
    line, end_line, _, end = span
    # A method that is called on a line of its own starts there for Python, and not where the
    # expression does.
    return span in spans or starts.get((end_line, end), line) < line


class _Nodes(NamedTuple):
    """Where a text's nodes are.

    `spans` are its expressions and statements, `starts` has the first line of those that end at a
    line and column, `functions` are their names and lines.
    """

    spans: set[tuple[int, int, int, int]]
    starts: dict[tuple[int, int], int]
    functions: set[tuple[str, int]]


@functools.lru_cache(maxsize=256)
def _nodes(text: str) -> _Nodes:
    spans, starts, functions = found = _Nodes(set(), {}, set())
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return found
    for node in ast.walk(tree):
        if isinstance(node, (ast.expr, ast.stmt)):
            ends = node.end_lineno or node.lineno, node.end_col_offset or 0
            spans.add((node.lineno, ends[0], node.col_offset, ends[1]))
            starts[ends] = min(node.lineno, starts.get(ends, node.lineno))
        if isinstance(node, ast.Lambda):
            functions.add(("<lambda>", node.lineno))
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            functions.add((node.name, first))
    return found
