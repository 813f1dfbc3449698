"""Find the line of the user's code that raised an exception, and say what Python did there.

Start with `user_frame`; `what_was_tested` names the `if`, `while` or `and` that needed a value.
"""

from __future__ import annotations

import ast
import builtins
import linecache
import traceback
from collections.abc import Iterator

from vmapguide._jaxpr.source_files import HERE, is_library


_Span = tuple[tuple[int, int], tuple[int, int]]


def user_frame(error: BaseException) -> traceback.FrameSummary | None:
    """Return the innermost frame of the user's code that an exception came through.

    None if there is none between the exception and vmapguide: beyond vmapguide is whoever called
    it, and not the function that it was called for.
    """
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename.startswith(HERE):
            return None
        if not is_library(frame.filename) and not frame.filename.startswith("<frozen"):
            return frame
    return None


def what_was_tested(frame: traceback.FrameSummary) -> tuple[str, ...]:
    """Return why Python asked whether a value is true: `if`, `while`, `and`, `max`, ….

    The outermost reason comes first: of `if a and b` both are. There is none if it cannot be told,
    as where there is no source.
    """
    tree = _tree(frame)
    start, end = _position(frame)
    found: list[str] = []
    for node in ast.walk(tree) if tree else ():
        for region, what, whole in (*_tests(node), *_calls(node)):
            # What is tested may be a part of the region, or the whole of a statement: that is what
            # Python 3.11 says of some.
            span = _span(region)
            if (span[0] <= start and end <= span[1]) or _span(whole) == (start, end):
                found.append(what)
    # Regions are nested, and a walk comes to the inner ones later.
    return tuple(dict.fromkeys(found))


def what_was_called(frame: traceback.FrameSummary) -> str | None:
    """Return the name of the function that was called there; None if it is one of Python's own."""
    tree = _tree(frame)
    start, end = _position(frame)
    for node in ast.walk(tree) if tree else ():
        match node:
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
                is_python = isinstance(node.func, ast.Name) and hasattr(builtins, name)
                if _span(node) == (start, end) and not is_python:
                    return name
    return None


def _tree(frame: traceback.FrameSummary) -> ast.Module | None:
    """Return the module that a frame lies in; None if it has no source, or no position in it."""
    if None in (frame.lineno, frame.end_lineno, frame.colno, frame.end_colno):
        return None
    try:
        return ast.parse("".join(linecache.getlines(frame.filename)))
    except (SyntaxError, ValueError):
        return None


def _position(frame: traceback.FrameSummary) -> _Span:
    return (
        (frame.lineno or 0, frame.colno or 0),
        (frame.end_lineno or 0, frame.end_colno or 0),
    )


def _span(node: ast.AST) -> _Span:
    at = [
        getattr(node, name, -1) for name in ("lineno", "col_offset", "end_lineno", "end_col_offset")
    ]
    return (at[0], at[1]), (at[2], at[3])


def _tests(node: ast.AST) -> Iterator[tuple[ast.AST, str, ast.AST]]:
    """Yield what of a node Python asks the truth of, why, and the whole that it is in."""
    match node:
        case ast.If(test=test, body=[ast.Raise()]) | ast.Assert(test=test):
            yield test, "assert", node
        case ast.If(test=test) | ast.IfExp(test=test):
            yield test, "if", node
        case ast.While(test=test):
            yield test, "while", node
        case ast.BoolOp() | ast.UnaryOp(op=ast.Not()) | ast.Compare(ops=[_, _, *_]):
            yield node, "and", node
        case ast.Compare(ops=[ast.In() | ast.NotIn()]):
            yield node, "in", node
        case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            for test in (test for part in node.generators for test in part.ifs):
                yield test, "if", node
        case ast.match_case(pattern=pattern):
            yield pattern, "match", pattern


def _calls(node: ast.AST) -> Iterator[tuple[ast.AST, str, ast.AST]]:
    """Yield the same of a call of what asks for the truth of its arguments."""
    match node:
        case ast.Call(func=ast.Name(id="max" | "min" as name), args=[_], keywords=[]):
            yield node, f"{name} of one", node
        case ast.Call(func=ast.Name(id="max" | "min" | "sorted" | "any" | "all" as name)):
            yield node, name, node
