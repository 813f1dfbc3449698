"""Where in a program `jax.vmap` is called, and on whose behalf. Start with `call_site`."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from vmapguide._data import Source
from vmapguide._jaxpr import compat
from vmapguide._jaxpr.source_files import HERE, JAX, whose
from vmapguide._jaxpr.source_pieces import line_of, piece_of


@dataclass(frozen=True)
class Place:
    """A line of code: its file, its number, and the function that it is in."""

    file: str
    line: int
    function: str


@dataclass(frozen=True)
class CallSite:
    """Where `jax.vmap` is called.

    Attributes:
        place: the line of the user's; that of a library if there is none of the user's.
        via: the line of a library that calls `jax.vmap`, if the user's line does not do so itself.
        maker: the function of JAX that the user calls instead, such as `jacfwd`; "" if none.
        instructions: where in the bytecode of the two the calls are: a line may have several.
        source: the call, as a piece of the code at the place; None if that is not known.
    """

    place: Place
    via: Place | None
    maker: str
    instructions: tuple[int, ...]
    source: Source | None = field(compare=False)


# Which of our files a program's calls of `jax.vmap` lead through. What is called by another one,
# as by `explain`, is vmapguide's own affair.
_WAYS_IN = tuple(
    f"{HERE}{name}"
    for name in (
        f"_cli{os.sep}",
        f"_recording{os.sep}",
        "__main__.py",
        "_ipython.py",
        "_vmap.py",
        "pytest_plugin.py",
    )
)


def call_site() -> tuple[CallSite, Callable[..., Any] | None] | None:
    """Return where the function of vmapguide's that asks is called from, in code that is not ours.

    Returns:
        The place and, if JAX calls `jax.vmap` for the user, the user's function. None if JAX or
        vmapguide calls it for itself, or a library does so in the batching rule of a primitive,
        which is part of a `jax.vmap` that was seen before.
    """
    frames = [frame for frame in _frames() if whose(_file(frame)) not in ("ours", "python")]
    if not frames or calls_for_itself():
        return None
    first = frames[0]
    own = next((frame for frame in frames if whose(_file(frame)) == "user"), first)
    for frame in itertools.takewhile(lambda frame: frame is not own, frames):
        if _file(frame).startswith(JAX) and compat.is_batching(frame.f_code):
            return None
    maker, function = "", None
    if _file(first).startswith(JAX):
        maker = compat.maker(first)
        if not maker:
            return None
        function = compat.function_of_maker(first)
    via = None if own is first else _place(first)
    instructions = own.f_lasti, first.f_lasti
    return CallSite(_place(own), via, maker, instructions, _source(own)), function


def calls_for_itself() -> bool:
    """Say whether what is called here is called for vmapguide, as for an explanation."""
    files = map(_file, _frames())
    return any(whose(file) == "ours" and not file.startswith(_WAYS_IN) for file in files)


def _frames() -> Iterator[FrameType]:
    """Yield the frames that led here, the innermost first."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - there is no other way to it.
    while frame is not None:
        yield frame
        frame = frame.f_back


def _file(frame: FrameType) -> str:
    return frame.f_code.co_filename


def _place(frame: FrameType) -> Place:
    return Place(_file(frame), frame.f_lineno, frame.f_code.co_name)


def _source(frame: FrameType) -> Source | None:
    """Return the expression that a frame is evaluating; its line if that is all that is known."""
    piece = piece_of(frame.f_code, frame.f_lasti)
    return piece or line_of(_file(frame), frame.f_lineno, frame.f_code.co_name)
