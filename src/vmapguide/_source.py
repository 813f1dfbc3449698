"""The user's own code: which line, and which part of it, an equation was made by.

JAX keeps the Python frames that led to each equation. The innermost frame in the user's own code is
the line; since Python 3.11 its bytecode tells the exact columns. Nothing here imports JAX's
internals: frames are asked for by duck typing, and where they are missing there is no line.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import linecache
import sysconfig
import textwrap
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax


# Where installed code lives: the standard library, site-packages, and JAX itself wherever it is.
_LIBRARY_ROOTS = tuple(
    {sysconfig.get_path(key) for key in ("stdlib", "platstdlib", "purelib", "platlib")}
    | {str(Path(jax.__file__).parent)}
)
_HERE = str(Path(__file__).parent)


@dataclass(frozen=True)
class Source:
    """A piece of the user's code.

    Attributes:
        file: the file's path, or the name that a notebook gives its cell.
        line: the first line, counted from 1.
        end_line: the last line.
        column: where the piece starts in the first line, in characters, counted from 0.
        end_column: where it ends in the last line.
        text: the lines, whole, without their common indentation.
        indentation: how many characters of indentation were taken off.
        function: the name of the function the piece is in.
    """

    file: str
    line: int
    end_line: int
    column: int
    end_column: int
    text: str
    indentation: int
    function: str

    @property
    def expression(self) -> str:
        """The sub-expression that made the equation, with its line breaks."""
        lines = self.text.split("\n")
        lines[-1] = lines[-1][: self.end_column - self.indentation]
        lines[0] = lines[0][self.column - self.indentation :]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, object]:
        """Return the fields and the expression as plain data."""
        return dataclasses.asdict(self) | {"expression": self.expression}


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
            return _piece(code, instruction)
    return None


@functools.lru_cache(maxsize=65536)
def _piece(code: types.CodeType, instruction: int) -> Source | None:
    positions = next(_from(code, instruction // 2), None)
    if positions is None or None in positions:
        return None
    line, end_line, start, end = positions
    lines = [linecache.getline(code.co_filename, n) for n in range(line, end_line + 1)]
    if not _is_source_of(code) or not all(lines):
        return None
    # Python counts columns in bytes of UTF-8.
    column = len(lines[0].encode()[:start].decode(errors="replace"))
    end_column = len(lines[-1].encode()[:end].decode(errors="replace"))
    text = "\n".join(line.rstrip("\n") for line in lines)
    dedented = textwrap.dedent(text)
    return Source(
        file=code.co_filename,
        line=line,
        end_line=end_line,
        column=column,
        end_column=end_column,
        text=dedented,
        indentation=len(text.split("\n")[0]) - len(dedented.split("\n")[0]),
        function=code.co_name,
    )


def _from(code: types.CodeType, index: int) -> Any:
    return itertools.islice(code.co_positions(), index, None)


def _is_source_of(code: types.CodeType) -> bool:
    """Say whether the file's lines are those that the code was compiled from.

    Code made by `exec` may claim the name of a file that says something else, and a file may have
    been edited since. The line on which a function starts has to name it.
    """
    first = linecache.getline(code.co_filename, code.co_firstlineno)
    if code.co_name == "<lambda>":
        return "lambda" in first
    if code.co_name.startswith("<"):
        return bool(first)
    return code.co_name in first or first.lstrip().startswith("@")
