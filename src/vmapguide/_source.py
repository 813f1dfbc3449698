"""The user's own code: which line, and which part of it, an equation was made by.

JAX keeps the Python frames that led to each equation. The innermost frame in the user's own code is
the line; since Python 3.11 its bytecode tells the exact columns. Nothing here imports JAX's
internals: frames are asked for by duck typing, and where they are missing there is no line.
"""

from __future__ import annotations

import ast
import functools
import linecache
import os
import sysconfig
import textwrap
import types
from pathlib import Path
from typing import Any, NamedTuple

import jax

from vmapguide._program import Source


# Where installed code lives: the standard library, site-packages, and JAX itself wherever it is.
_LIBRARY_ROOTS = tuple(
    f"{root}{os.sep}"
    for root in {
        str(Path(jax.__file__).parent),
        *(sysconfig.get_path(key) for key in ("stdlib", "platstdlib", "purelib", "platlib")),
    }
)
_HERE = f"{Path(__file__).parent}{os.sep}"


@functools.cache
def is_library(path: str) -> bool:
    """Say whether a source file belongs to an installed library rather than to the user."""
    return path.startswith(_LIBRARY_ROOTS)


def of_equation(eqn: Any) -> Source | None:
    """Return the piece of the user's code that made an equation, or None if it is not known."""
    traceback = getattr(eqn.source_info, "traceback", None)
    if traceback is None:
        return None
    for code, instruction in zip(*traceback.raw_frames(), strict=True):
        path = code.co_filename
        if path.startswith(_HERE):
            # Beyond this is whoever called vmapguide, not the function that is explained.
            return None
        if not is_library(path) and not path.startswith("<frozen"):
            if id(code) not in _codes:
                _codes[id(code)] = _Code(code)
            return _codes[id(code)].piece(instruction)
    return None


def forget() -> None:
    """Forget what files say: they may have been edited since they were last looked at."""
    _text.cache_clear()
    _codes.clear()


class _Code:
    """A code object with its pieces, each found once.

    To find the position of one instruction takes as long as to find those of all.
    """

    def __init__(self, code: types.CodeType) -> None:
        """Take a code object."""
        self.code = code
        self.positions = tuple(code.co_positions())
        self.pieces: dict[int, Source | None] = {}

    def piece(self, instruction: int) -> Source | None:
        """Return the piece of the user's code that an instruction was compiled from."""
        if instruction not in self.pieces:
            known = 0 <= instruction // 2 < len(self.positions)
            positions = self.positions[instruction // 2] if known else (None,)
            self.pieces[instruction] = _piece(self.code, positions)
        return self.pieces[instruction]


# By `id`, for which the code is kept: its hash takes as long as it is, and equal code in two files
# is equal.
_codes: dict[int, _Code] = {}


@functools.lru_cache(maxsize=256)
def _text(path: str) -> str:
    """Return what a file says, or a notebook's cell; "" if there is no such thing."""
    linecache.checkcache(path)
    return "".join(linecache.getlines(path))


@functools.lru_cache(maxsize=256)
def _lines(text: str) -> list[str]:
    return text.split("\n")


def _piece(code: types.CodeType, positions: tuple[int | None, ...]) -> Source | None:
    if None in positions:
        return None
    path, text = code.co_filename, _text(code.co_filename)
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
    spans: set[tuple[int, int, int, int]] = set()
    starts: dict[tuple[int, int], int] = {}
    functions: set[tuple[str, int]] = set()
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return _Nodes(spans, starts, functions)
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
    return _Nodes(spans, starts, functions)
