"""Write a file for a command, and say it if that fails."""

from __future__ import annotations

from pathlib import Path

from vmapguide._cli.inputs import UsageError


def write(path: Path, text: str) -> None:
    """Write a file whole or not at all.

    Raises:
        UsageError: if it cannot be written there.
    """
    if not path.name:
        raise UsageError(f"cannot write {path}: Is a directory")
    unfinished = path.with_name(path.name + ".unfinished")
    try:
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from None
