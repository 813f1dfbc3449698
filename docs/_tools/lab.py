"""The guide as a folder of notebooks to run and to edit: what `nox -s lab` opens in JupyterLab.

A notebook that its reader has changed is theirs: it stays as it is when the guide is laid out anew.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import nbformat


KEY = "vmapguide"


def digest(notebook: Any) -> str:
    """Return what changes when a cell's source changes, and not when it runs."""
    sources = "\0".join(f"{cell.cell_type}\0{cell.source}" for cell in notebook.cells)
    return hashlib.sha256(sources.encode()).hexdigest()


def is_changed(path: Path) -> bool:
    """Say whether a notebook's text is no longer what was laid out."""
    try:
        notebook = nbformat.read(path, as_version=4)
    except Exception:  # noqa: BLE001 - whatever it is now, it is not ours.
        return True
    return bool(notebook.metadata.get(KEY, {}).get("digest") != digest(notebook))


def lay_out(source: Path, target: Path) -> list[Path]:
    """Copy all notebooks to a folder; return those that were there, changed, and were kept."""
    kept = []
    for path in sorted(source.rglob("*.ipynb")):
        copy = target / path.relative_to(source)
        if copy.exists() and is_changed(copy):
            kept.append(copy)
            continue
        notebook = nbformat.read(path, as_version=4)
        notebook.metadata[KEY] = {"digest": digest(notebook)}
        copy.parent.mkdir(parents=True, exist_ok=True)
        # Whole or not at all: a reader may have it open.
        partial = copy.with_suffix(".partial")
        nbformat.write(notebook, partial)
        partial.replace(copy)
    return kept


if __name__ == "__main__":
    for changed in lay_out(Path(sys.argv[1]), Path(sys.argv[2])):
        sys.stdout.write(f"{changed} has changes of yours and stays as it is.\n")
