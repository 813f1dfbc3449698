"""Write a file for a command, and say it if that fails."""

from __future__ import annotations

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
