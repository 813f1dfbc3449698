"""The command `run`: run a program, and explain every `jax.vmap` that it calls."""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import os
import sys
from pathlib import Path

from vmapguide._cli import findings, programs
from vmapguide._cli.inputs import UsageError
from vmapguide._recording.call_sites import Place
from vmapguide._recording.recorder import Recorder
from vmapguide._recording.recording import Recording
from vmapguide._show.markup import page


HELP = "run a program, and explain every jax.vmap that it calls"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Tell a parser what the command takes."""
    parser.add_argument("-m", dest="is_module", action="store_true", help="run a module")
    parser.add_argument(
        "--only",
        metavar="PATTERN",
        action="append",
        default=[],
        help="explain what is called in files that match: 'src/**'",
    )
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--html", metavar="FILE", help="write one page, each row of which opens")
    output.add_argument("--json", metavar="FILE", help="write data")
    findings.add_outputs(output, parser)
    parser.add_argument("program", help="path/to/script.py, or with -m a module")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="the program's own arguments")


def run(given: argparse.Namespace) -> int:
    """Run the program, then report.

    What the program prints, and its exit status, are its own. The report goes to the error stream.

    Returns:
        The program's exit status; 1 if that is 0 and a finding is there that `--fail-on` names.
    """
    codes = findings.checked_codes(given.fail_on)
    for path in (given.html, given.json, given.sarif):
        if path and not Path(path).absolute().parent.is_dir():
            raise UsageError(f"cannot write {path}: there is no such folder")
    patterns = given.only

    def is_wanted(place: Place) -> bool:
        return not patterns or any(_matches(place.file, pattern) for pattern in patterns)

    process = os.getpid()
    recorder = Recorder(keeps_views=bool(given.html), is_wanted=is_wanted)
    with recorder:
        status = programs.run(given.program, given.arguments, is_module=given.is_module)
    if os.getpid() != process:
        return status  # A child that the program has forked off: the parent reports.
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    recording = Recording.of(Path(given.program).name, [*recorder.records.values()])
    findings.write(
        given,
        recording,
        text=recording.as_text,
        html=lambda: page(f"jax.vmap in {recording.name}", recording.as_html()),
        file=sys.stderr,
    )
    return status or findings.status(recording.findings, codes)


def _matches(file: str, pattern: str) -> bool:
    """Say whether a file matches a pattern, from here or from the root; `*` may span folders."""
    path = Path(file)
    here = Path.cwd()
    relative = path.relative_to(here).as_posix() if path.is_relative_to(here) else path.as_posix()
    return any(fnmatch.fnmatch(name, pattern) for name in (relative, path.as_posix()))
