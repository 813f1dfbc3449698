"""Write what a command has made: to a file, or to the error stream of a program that has run."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from vmapguide._cli.inputs import UsageError
from vmapguide._show.result import write_whole


def write(path: Path, text: str) -> None:
    """Write a file whole or not at all.

    Raises:
        UsageError: if it cannot be written there.
    """
    try:
        write_whole(path, text)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from None


def check_writable(path: Path) -> None:
    """Say it before a program runs if a file can certainly not be written after it.

    Raises:
        UsageError: if it cannot be written.
    """
    if path.is_dir():
        raise UsageError(f"cannot write {path}: it is a folder")
    if not path.parent.is_dir():
        raise UsageError(f"cannot write {path}: there is no such folder")


class ErrorStream:
    """The error stream as it is now: what is written reaches it even if a program closes it."""

    def __init__(self) -> None:
        """Take a copy of the stream, or the stream if it is none of the system's."""
        self._stream, self._is_copy = sys.stderr, False
        with contextlib.suppress(AttributeError, OSError, ValueError):
            self._stream = open(  # noqa: PTH123, SIM115 - it has no path, and is open to the end.
                os.dup(sys.stderr.fileno()), "w", encoding="utf-8", errors="backslashreplace"
            )
            self._is_copy = True
            # Who waits for the end of what this process prints is not to wait for its children.
            if hasattr(os, "register_at_fork"):
                os.register_at_fork(after_in_child=self._stream.close)

    def write(self, text: str) -> int:
        """Write a text, if there is still somebody who reads it."""
        with contextlib.suppress(AttributeError, OSError, ValueError):
            self._stream.write(text)
            self._stream.flush()
        return len(text)

    def close(self) -> None:
        """Leave the stream to the program."""
        if self._is_copy:
            self._stream.close()
