"""Trace a function once more, and let nobody notice what its Python code does. See `unnoticed`.

A program may have several threads: what the others print, log and warn of meanwhile is not touched.
"""

from __future__ import annotations

import contextlib
import logging
import random
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np


# What the threads have in common: how many of them are in here, and what is to be put back when
# the last one leaves.
_lock = threading.RLock()
_restorers: list[Callable[[], None]] = []
_inside: set[int] = set()


def _is_unnoticed() -> bool:
    """Say whether this thread is to be silent."""
    return threading.get_ident() in _inside


@contextlib.contextmanager
def unnoticed() -> Iterator[None]:
    """Let this thread print, log and warn of nothing, draw no random number and stop nowhere.

    What a function does besides, such as to count its calls or to write to a file, is done.
    """
    state = random.getstate()
    numpy_state = np.random.get_state(legacy=False)  # noqa: NPY002 - it is the user's.
    _enter()
    try:
        yield
    finally:
        _leave()
        random.setstate(state)
        np.random.set_state(numpy_state)  # noqa: NPY002


def _enter() -> None:
    with _lock:
        if not _inside:
            _replace_streams()
            _replace(logging.Logger, "handle")
            _replace(sys, "breakpointhook")
            # Not by `catch_warnings`: after it, Python repeats warnings that it has shown.
            warnings.filters.insert(0, _FILTER)  # type: ignore[attr-defined]
            _restorers.append(_remove_filter)
        _inside.add(threading.get_ident())


def _leave() -> None:
    with _lock:
        _inside.discard(threading.get_ident())
        while _restorers and not _inside:
            _restorers.pop()()


def _replace_streams() -> None:
    for name in ("stdout", "stderr"):
        if (stream := getattr(sys, name)) is not None:
            _put(sys, name, _Stream(stream))


def _replace(owner: Any, name: str) -> None:
    """Replace a function by one that does nothing in silent threads."""
    original = getattr(owner, name)

    def replacement(*args: Any, **kwargs: Any) -> Any:
        return None if _is_unnoticed() else original(*args, **kwargs)

    _put(owner, name, replacement)


def _put(owner: Any, name: str, replacement: Any) -> None:
    original = getattr(owner, name)
    setattr(owner, name, replacement)

    def restore() -> None:
        # The program may have put something else there.
        if getattr(owner, name) is replacement:
            setattr(owner, name, original)

    _restorers.append(restore)


class _Stream:
    """A stream that swallows what silent threads write, and is the original one to the others."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return len(text) if _is_unnoticed() else self._stream.write(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _OfSilentThreads(type):
    """The type of a category that has all warnings of silent threads, and none of the others."""

    def __subclasscheck__(cls, subclass: type) -> bool:
        return _is_unnoticed()


class _Unnoticed(Warning, metaclass=_OfSilentThreads):
    """What silent threads warn of."""


_FILTER = ("ignore", None, _Unnoticed, None, 0)


def _remove_filter() -> None:
    with contextlib.suppress(ValueError):
        warnings.filters.remove(_FILTER)  # type: ignore[attr-defined]
