"""The programs of the guide's page on libraries print what the page shows.

The page's kernel has none of the libraries, so what a program prints is recorded: its source's
digest, its output and the versions, in docs/project/library-programs.json. `nox -s libraries`
writes the record, and `nox -s libraries-3.13` compares. Each program asserts what the page says.
"""

import ast
import hashlib
import json
import os
import platform
import tomllib
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from places import DOCS, ROOT
from processes import by_python


RECORD = DOCS / "project" / "library-programs.json"
GROUPS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["dependency-groups"]
LIBRARIES = {"jax", *(wanted.partition(">")[0] for wanted in GROUPS["libraries"])}
PROGRAMS = sorted((DOCS / "guide" / "libraries").glob("*.py"))


def versions(source: str) -> dict[str, str]:
    """Return the versions of JAX and of the libraries that a program imports."""
    roots = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            roots |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            roots.add(node.module.partition(".")[0])
    found = metadata.packages_distributions()
    names = {name for root in roots for name in found.get(root, ())} & LIBRARIES
    return {name: metadata.version(name) for name in sorted(names)}


def recorded() -> dict[str, Any]:
    """Return the record of all programs."""
    record: dict[str, Any] = json.loads(RECORD.read_text("utf-8")) if RECORD.exists() else {}
    return record


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_it_prints_what_the_page_shows(program: Path, tmp_path: Path) -> None:
    """With this Python and this JAX, too."""
    source = program.read_text("utf-8")
    ran = by_python(tmp_path, str(program), COLUMNS="80", JAX_PLATFORMS="cpu")
    assert ran.status == 0, ran.errors
    run = {
        "sha256": hashlib.sha256(source.encode()).hexdigest(),
        "printed": ran.output,
        "versions": versions(source),
        "python": platform.python_version(),
        "recorded": f"{datetime.now(UTC):%Y-%m-%d}",
    }
    if out := os.environ.get("VMAPGUIDE_PROGRAMS_OUT"):
        there = {path.stem for path in PROGRAMS}
        kept = {name: each for name, each in recorded().items() if name in there}
        record = dict(sorted({**kept, program.stem: run}.items()))
        Path(out).write_text(f"{json.dumps(record, indent=1)}\n", encoding="utf-8")
        return
    expected = recorded()[program.stem]
    assert run["sha256"] == expected["sha256"], "`nox -s libraries` records what it prints now"
    assert run["printed"] == expected["printed"]


def test_all_are_recorded() -> None:
    """And nothing else is."""
    assert list(recorded()) == [path.stem for path in PROGRAMS]
