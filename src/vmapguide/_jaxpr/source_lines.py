"""The user's own code: which line, and which part of it, an equation was made by.

JAX keeps the Python frames that led to each equation. The innermost frame in the user's own code is
the line; since Python 3.11 its bytecode tells the exact columns. Nothing here imports JAX's
internals: frames are asked for by duck typing, and where they are missing there is no line.

Where none of the frames is the user's, and on request, the line is one of a library.
"""

from __future__ import annotations

import ast
import functools
import linecache
import os
import sysconfig
import textwrap
import types
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from vmapguide._data import Source
from vmapguide._jaxpr.compat import frames
from vmapguide._jaxpr.walk import walk


# Where installed code lives: the standard library, site-packages, and JAX itself wherever it is.
_LIBRARY_ROOTS = tuple(
    f"{root}{os.sep}"
    for root in {
        str(Path(jax.__file__).parent),
        *(sysconfig.get_path(key) for key in ("stdlib", "platstdlib", "purelib", "platlib")),
    }
)
HERE = f"{Path(__file__).parents[1]}{os.sep}"
JAX = f"{Path(jax.__file__).parent}{os.sep}"


@functools.cache
def is_library(path: str) -> bool:
    """Say whether a source file belongs to an installed library rather than to the user."""
    return path.startswith(_LIBRARY_ROOTS)


@dataclass(frozen=True)
class Home:
    """Where a function is at home, and whose lines are shown where there are none of the user's.

    Attributes:
        file: the file of the function; "" if it has none.
        library: where the paths of its library begin; "" if the function is the user's.
    """

    file: str
    library: str


def home(file: str) -> Home:
    """Return where a function is at home that is written in a file."""
    return Home(file, _library(file) if is_library(file) else "")


def _library(path: str) -> str:
    """Return where the paths of the package that a file of a library is in begin.

    JAX has a hand in every equation, and Python's own library is no package: of these the file
    alone tells one thing from another.
    """
    root = max((root for root in _LIBRARY_ROOTS if path.startswith(root)), key=len)
    package, separator, _ = path[len(root) :].partition(os.sep)
    if root == JAX or root not in _installed() or not separator:
        return path
    return f"{root}{package}{separator}"


def _installed() -> set[str]:
    """Return where packages are installed, other than JAX and Python's own library."""
    own = {f"{sysconfig.get_path(key)}{os.sep}" for key in ("stdlib", "platstdlib")}
    return {*_LIBRARY_ROOTS} - own - {JAX}


def shown_paths(paths: Iterable[str]) -> dict[str, str]:
    """Return how to name files, each by its path.

    A file of a library is named as it is imported, and the user's by its name, with that of its
    folder if there are several of that name. A cell of a notebook has no name.
    """
    names = {path: _shown_path(path) for path in paths}
    several = Counter(names.values())
    return {
        path: "/".join(Path(path).parts[-2:]) if name and several[name] > 1 else name
        for path, name in names.items()
    }


def _shown_path(path: str) -> str:
    if is_library(path):
        root = max((root for root in _LIBRARY_ROOTS if path.startswith(root)), key=len)
        return Path(path).relative_to(Path(JAX).parent if root == JAX else root).as_posix()
    return "" if path.startswith("<") or "ipykernel_" in path else Path(path).name


def of_equation(eqn: Any, at: Home | None = None) -> Source | None:
    """Return the piece of code that made an equation, or None if it is not known.

    Args:
        eqn: the equation.
        at: where the function that is explained is at home.

    Returns:
        The innermost piece of the user's code. If there is none, and the function is a library's,
        the innermost piece of that library.
    """
    library = at.library if at else ""
    inner: tuple[types.CodeType, int] | None = None
    for code, instruction in frames(eqn):
        whose = _whose(code.co_filename)
        if whose == "library":
            if library and inner is None and code.co_filename.startswith(library):
                inner = code, instruction
        elif whose == "user":
            return _piece_of(code, instruction)
        elif whose == "ours":
            break
    return _piece_of(*inner) if inner else None


def in_library(eqn: Any) -> Source | None:
    """Return the piece of library code that made an equation; None if there is nothing to see.

    It is in the library that the user's code called: in its package, or, of JAX, in the file of
    the function that was called. What lies below every operation is left out.
    """
    found: list[tuple[types.CodeType, int]] = []
    for code, instruction in _frames(eqn):
        if not is_library(code.co_filename):
            break
        if code.co_filename not in _below_all():
            found.append((code, instruction))
    if not found:
        return None
    called = _library(found[-1][0].co_filename)
    return next(_piece_of(*f) for f in found if f[0].co_filename.startswith(called))


def _frames(eqn: Any) -> Iterator[tuple[types.CodeType, int]]:
    """Yield the frames that led to an equation, up to whoever called vmapguide.

    The innermost is the first, and each has its instruction.
    """
    for code, instruction in frames(eqn):
        whose = _whose(code.co_filename)
        if whose == "ours":
            return
        if whose != "python":
            yield code, instruction


@functools.cache
def _whose(path: str) -> Literal["ours", "python", "library", "user"]:
    """Say whose a source file is; every frame of every equation is asked for it."""
    if path.startswith(HERE):
        return "ours"
    if path.startswith("<frozen"):
        return "python"
    return "library" if is_library(path) else "user"


@functools.cache
def _below_all() -> frozenset[str]:
    """Return the files of JAX that lie below operators and transformations, found by using them."""

    def f(x: Any, i: Any) -> Any:
        y = jax.lax.cond(i > 0, jnp.sin, jnp.cos, jax.jit(lambda x: x * 2 + x)(x)[i])
        y = jax.lax.while_loop(lambda y: y < 1, lambda y: y * y - y, y)
        y = jax.lax.scan(lambda y, z: (y + z, z / y), y, x[1:])[0]
        negated = jax.custom_jvp(lambda y: -y)
        negated.defjvps(lambda t, _, __: -t)
        y = jax.grad(jax.checkpoint(lambda y: jnp.exp(negated(y))))(y)
        return jax.vmap(lambda z: z - y)(x)

    found: set[str] = set()
    for jaxpr in walk(jax.make_jaxpr(f)(jnp.ones(3), 1)):
        for eqn in jaxpr.eqns:
            codes = [code for code, _ in frames(eqn)]
            end = codes.index(f.__code__) if f.__code__ in codes else len(codes)
            found |= {code.co_filename for code in codes[:end]}
    return frozenset(found)


def _piece_of(code: types.CodeType, instruction: int) -> Source | None:
    if id(code) not in _codes:
        _codes[id(code)] = _Code(code)
    return _codes[id(code)].piece(instruction)


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
