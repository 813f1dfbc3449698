"""Findings as annotations that a forge shows beside the lines of a change. Start with `github`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from vmapguide._data import Finding


def github(findings: Iterable[Finding]) -> Iterator[str]:
    """Yield each finding as a workflow command of GitHub Actions, which prints an annotation.

    See https://docs.github.com/actions/reference/workflow-commands-for-github-actions.
    """
    for finding in findings:
        level = "warning" if finding.severity == "warning" else "notice"
        properties = {"title": f"{finding.code} {finding.name}"}
        if source := finding.source:
            properties |= {
                "file": _relative(source.file),
                "line": str(source.line),
                "endLine": str(source.end_line),
            }
        written = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
        yield f"::{level} {written}::{_data(f'{finding.message} {finding.remedy}')}"


def _relative(file: str) -> str:
    """Return a path from where the program runs, if it is below."""
    path = Path(file)
    here = Path.cwd()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else os.fspath(path)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
