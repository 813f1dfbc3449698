"""Progress of long work, shown to a person who waits and to nobody else. Start with `tracked`.

`tqdm` shows it if it is installed. It is not a dependency, so without it a line of text does.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar


T = TypeVar("T")

# Work that takes less than this many seconds shows nothing.
_DELAY = 1.0


def tracked(
    steps: Iterable[T], description: str, total: int, *, progress: bool | None = None
) -> Iterator[T]:
    """Yield steps, and show how many of them are done.

    Args:
        steps: the steps.
        description: what they are steps of.
        total: how many there are.
        progress: whether to show it; None for where someone is likely to see it and no text is left
            of it: in a terminal, and in a notebook that has widgets.
    """
    if not (is_seen() if progress is None else progress):
        yield from steps
    elif importlib.util.find_spec("tqdm"):
        from tqdm.auto import tqdm  # noqa: PLC0415 - not everyone has it.

        bar: Any = tqdm(steps, desc=description, total=total, delay=_DELAY, leave=False)
        yield from bar
    else:
        yield from _plain(steps, description, total)


def is_seen() -> bool:
    """Say whether someone is likely to see what is written now, and it is wiped off."""
    if sys.stderr.isatty():
        return True
    return "ipykernel" in sys.modules and importlib.util.find_spec("ipywidgets") is not None


def _plain(steps: Iterable[T], description: str, total: int) -> Iterator[T]:
    """Write one line and keep it up to date; it is wiped off at the end."""
    start, shown = time.monotonic(), ""
    try:
        for number, step in enumerate(steps):
            if time.monotonic() - start > _DELAY:
                shown = f"{description}: {number} of {total}"
                sys.stderr.write(f"\r{shown}")
                sys.stderr.flush()
            yield step
    finally:
        if shown:
            sys.stderr.write(f"\r{' ' * len(shown)}\r")
