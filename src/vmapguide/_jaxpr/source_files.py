"""Whose a source file is, and what to call it.

Start with `whose`. A file is the user's, an installed library's, or vmapguide's own. `shown_paths`
says how to name files to the reader.
"""

from __future__ import annotations

import functools
import os
import sysconfig
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import jax


# Where installed code lives: the standard library, site-packages, and JAX itself wherever it is.
_LIBRARY_ROOTS = tuple(
    f"{root}{os.sep}"
    for root in {
        str(Path(jax.__file__).parent),
        *(sysconfig.get_path(key) for key in ("stdlib", "platstdlib", "purelib", "platlib")),
    }
)

# Where the files of vmapguide and of JAX begin.
HERE = f"{Path(__file__).parents[1]}{os.sep}"
JAX = f"{Path(jax.__file__).parent}{os.sep}"


@functools.cache
def is_library(path: str) -> bool:
    """Say whether a source file belongs to an installed library rather than to the user."""
    return path.startswith(_LIBRARY_ROOTS)


@functools.cache
def whose(path: str) -> Literal["ours", "python", "library", "user"]:
    """Say whose a source file is; every frame of every equation is asked for it."""
    if path.startswith(HERE):
        return "ours"
    if path.startswith("<frozen"):
        return "python"
    return "library" if is_library(path) else "user"


@dataclass(frozen=True)
class Home:
    """Where a function is at home, and whose lines are shown where there are none of the user's.

    Attributes:
        file: the file of the function; "" if it has none.
        library: where the paths of its library begin; "" if the function is the user's.
    """

    file: str
    library: str


def library_of(path: str) -> str:
    """Return where the paths of the package that a file of a library is in begin.

    JAX has a hand in every equation, and Python's own library is no package: of these the file
    alone tells one thing from another.
    """
    root = _root(path)
    package, separator, _ = path[len(root) :].partition(os.sep)
    if root == JAX or root not in _installed() or not separator:
        return path
    return f"{root}{package}{separator}"


def _root(path: str) -> str:
    """Return where the library lives that a file is in."""
    return max((root for root in _LIBRARY_ROOTS if path.startswith(root)), key=len)


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


def uri(path: str) -> str:
    """Return where a file is, as a URI; "" for a cell of a notebook.

    Below the working directory it is relative to it. What a URI cannot have in it is escaped.
    """
    if not _shown_path(path):
        return ""
    file, here = Path(os.path.normpath(Path(path).absolute())), Path.cwd()
    for likely in (file, _real(file)):
        if likely.is_relative_to(here):
            return quote(_bytes(likely.relative_to(here).as_posix()))
    # A path of Windows begins with a drive.
    return (
        f"file://{'' if file.as_posix().startswith('/') else '/'}{quote(_bytes(file.as_posix()))}"
    )


def _real(file: Path) -> Path:
    """Return a path without links in it; the path itself if the system cannot have it."""
    try:
        return Path(os.path.realpath(file))
    except (OSError, ValueError):
        return file


def _bytes(path: str) -> bytes:
    """Return the bytes of a path, those that are no text as the system has them."""
    try:
        return path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return path.encode("utf-8", "surrogatepass")


def _shown_path(path: str) -> str:
    if is_library(path):
        root = _root(path)
        return Path(path).relative_to(Path(JAX).parent if root == JAX else root).as_posix()
    return "" if path.startswith("<") or "ipykernel_" in path else Path(path).name
