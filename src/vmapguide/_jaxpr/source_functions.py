"""Find the functions that pieces of source code are in, whole. Start with `function_around`."""

from __future__ import annotations

import ast
import functools
from dataclasses import dataclass

from vmapguide._data import Source
from vmapguide._jaxpr.source_pieces import text_of


@dataclass(frozen=True, eq=False)
class Function:
    """A function in a file: where it is, and the function that it is written in.

    Attributes:
        file: the file.
        name: its name, behind that of the class that it is a method of: `Model.apply`.
        start: its first line, that of a decorator if it has any.
        end: its last line.
        column: where it starts in its first line, and where it ends in its last; of a `lambda`
            alone, which shares its lines with others.
        outer: the function that it is written in, None if it is in none.
        docstring: the lines of its docstring, (0, 0) if it has none.
    """

    file: str
    name: str
    start: int
    end: int
    columns: tuple[int, int] | None
    outer: Function | None
    docstring: tuple[int, int]

    def holds(self, source: Source) -> bool:
        """Say whether a piece of the file is in the function."""
        if not self.start <= source.line <= source.end_line <= self.end:
            return False
        if self.columns is None:
            return True
        first, last = self.columns
        starts_late = source.line > self.start or source.column >= first
        return starts_late and (source.end_line < self.end or source.end_column <= last)


def function_around(source: Source) -> Function | None:
    """Return the innermost function that a piece of code is in, None if it is in none."""
    held = [f for f in functions_in(source.file, text_of(source.file)) if f.holds(source)]
    # An inner function comes behind the one that it is written in.
    return held[-1] if held else None


@functools.lru_cache(maxsize=256)
def functions_in(file: str, text: str) -> tuple[Function, ...]:
    """Return the functions of a file, each behind the one that it is written in."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return ()
    finder = _Finder(file, text.split("\n"))
    finder.visit(tree)
    return tuple(finder.found)


class _Finder(ast.NodeVisitor):
    """Finds functions, and in which function or class each is written."""

    def __init__(self, file: str, lines: list[str]) -> None:
        self.file = file
        self.lines = lines
        self.found: list[Function] = []
        self.outer: Function | None = None
        self.owner = ""

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        owner, self.owner = self.owner, f"{node.name}."
        self.generic_visit(node)
        self.owner = owner

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self.function(node)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        # Python counts columns in bytes of UTF-8.
        start = len(self.lines[node.lineno - 1].encode()[: node.col_offset].decode())
        end_line = node.end_lineno or node.lineno
        end = len(self.lines[end_line - 1].encode()[: node.end_col_offset].decode())
        self.add(node, "<lambda>", node.lineno, (start, end), (0, 0))

    def function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        start = min([node.lineno, *(d.lineno for d in node.decorator_list)])
        docstring = (0, 0)
        first = node.body[0]
        if ast.get_docstring(node, clean=False) is not None:
            docstring = first.lineno, first.end_lineno or first.lineno
        self.add(node, f"{self.owner}{node.name}", start, None, docstring)

    def add(
        self,
        node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda,
        name: str,
        start: int,
        columns: tuple[int, int] | None,
        docstring: tuple[int, int],
    ) -> None:
        end = node.end_lineno or node.lineno
        found = Function(self.file, name, start, end, columns, self.outer, docstring)
        self.found.append(found)
        owner, outer = self.owner, self.outer
        self.owner, self.outer = "", found
        self.generic_visit(node)
        self.owner, self.outer = owner, outer
