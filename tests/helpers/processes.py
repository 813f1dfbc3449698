"""Programs in processes of their own: by Python alone, and by `vmapguide run`."""

import os
import re
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any


# What `run` prints itself, up to its last sentence. What Python says at its very end stands behind.
REPORT = re.compile(
    r"^(jax\.vmap in .*?called (no )?jax\.vmap[.,][^\n]*|wrote [^\n]*)\n", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Ran:
    """What a program has left: `errors` is what it printed to the error stream itself."""

    status: int
    output: str
    errors: str
    report: str


def written(folder: Path, **programs: str) -> None:
    """Write programs to files by their names; `___` in a name stands for the end of a folder's."""
    for name, text in programs.items():
        path = folder / f"{name.replace('___', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))


def by_python(folder: Path, *arguments: str, **options: Any) -> Ran:
    """Run `python arguments` in a folder."""
    return _ran(folder, [sys.executable, *arguments], **options)


def by_vmapguide(folder: Path, *arguments: str, **options: Any) -> Ran:
    """Run `python -m vmapguide run arguments` in a folder."""
    return _ran(folder, [sys.executable, "-m", "vmapguide", "run", *arguments], **options)


def _ran(folder: Path, command: list[str], *, flags: tuple[str, ...] = (), **variables: str) -> Ran:
    executable, *arguments = command
    environment = {**os.environ, "COLUMNS": "100", "PYTHONWARNINGS": "default", **variables}
    # As in a shell, where what is printed waits in a buffer.
    environment.pop("PYTHONUNBUFFERED", None)
    result = subprocess.run(
        [executable, *flags, *arguments],
        check=False,
        cwd=folder,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        timeout=120,
    )
    report = REPORT.search(result.stderr)
    # Python prints the addresses of objects when it has lost its error stream, and JAX others.
    addresses = r"0x\w+|refcount : \d+|object id \d+"
    errors = re.sub(addresses, "", REPORT.sub("", result.stderr))
    return Ran(result.returncode, result.stdout, errors, report[0] if report else "")
