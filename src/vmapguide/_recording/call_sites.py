"""Where in a program `jax.vmap` is called, and on whose behalf. Start with `call_site`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import FrameType

from vmapguide._data import Source
from vmapguide._jaxpr.source_files import JAX, whose
from vmapguide._jaxpr.source_pieces import line_of, piece_of


# Functions of JAX that call `jax.vmap` for the user. What else in JAX does so, such as a batching
# rule, is JAX's own affair.
_MAKERS = frozenset({"hessian", "jacfwd", "jacrev", "sequential_vmap", "vectorize"})


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
        source: the call, as a piece of the code at the place; None if that is not known.
    """

    place: Place
    via: Place | None
    maker: str
    source: Source | None = field(default=None, compare=False)


def call_site() -> CallSite | None:
    """Return where the function of vmapguide's that asks is called from, in code that is not ours.

    Returns:
        None if JAX calls it for itself.
    """
    frames = _frames()
    first = next(frames, None)
    if first is None:
        return None
    maker = ""
    if _file(first).startswith(JAX):
        maker, *_ = first.f_code.co_qualname.split(".")
        if maker not in _MAKERS:
            return None
    called = _place(first)
    own = next((f for f in (first, *frames) if whose(_file(f)) == "user"), first)
    place = _place(own)
    return CallSite(place, None if place == called else called, maker, _source(own))


def _frames() -> Iterator[FrameType]:
    """Yield the frames that are not vmapguide's, the innermost first."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - there is no other way to it.
    while frame is not None:
        if whose(_file(frame)) not in ("ours", "python"):
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
