"""Where in a program `jax.vmap` is called, and on whose behalf. Start with `call_site`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType

from vmapguide._jaxpr.compat import is_batching
from vmapguide._jaxpr.source_files import JAX, whose


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
    """

    place: Place
    via: Place | None
    maker: str


def call_site() -> CallSite | None:
    """Return where the function of vmapguide's that asks is called from, in code that is not ours.

    Returns:
        None if JAX calls it for itself, or a library does so in the batching rule of a primitive,
        which is part of a `jax.vmap` that was seen before.
    """
    frames = [*_frames()]
    if not frames:
        return None
    first, own = frames[0], None
    for frame in frames:
        if whose(_file(frame)) == "user":
            own = frame
            break
        if _file(frame).startswith(JAX) and is_batching(frame.f_code):
            return None
    maker = ""
    if _file(first).startswith(JAX):
        maker, *_ = first.f_code.co_qualname.split(".")
        if maker not in _MAKERS:
            return None
    called = _place(first)
    place = _place(own) if own is not None else called
    return CallSite(place, None if place == called else called, maker)


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
