"""The command `run`: run a program, and explain every `jax.vmap` that it calls."""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import functools
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from vmapguide._cli import findings, output, programs
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
    outputs = parser.add_mutually_exclusive_group()
    outputs.add_argument("--html", metavar="FILE", help="write one page, each row of which opens")
    outputs.add_argument("--json", metavar="FILE", help="write data: what is printed is another's")
    findings.add_outputs(outputs, parser)
    parser.add_argument("program", help="path/to/script.py, or with -m a module")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="the program's own arguments")


def run(given: argparse.Namespace) -> int:
    """Run the program, then report.

    What the program prints, and its exit status, are its own. The report goes to the error stream.

    Returns:
        The program's exit status. If that is 0: 1 if a finding is there that `--fail-on` names, and
        2 if the report cannot be written.
    """
    codes = findings.checked_codes(given.fail_on)
    for name in ("html", "json", "sarif"):
        if path := getattr(given, name):
            # The program may work in another folder.
            setattr(given, name, str(Path(path).absolute()))
            output.check_writable(Path(path).absolute())
    errors = output.ErrorStream()
    here, process = Path.cwd(), os.getpid()
    recorder = Recorder(keeps_views=bool(given.html), is_wanted=_filter(given.only, here))
    with recorder:
        status = programs.run(given.program, given.arguments, is_module=given.is_module)
    if os.getpid() != process:
        return status  # A child that the program has forked off: the parent reports.
    with contextlib.suppress(AttributeError, OSError, ValueError):
        sys.stdout.flush()
    name = Path(given.program).name or given.program
    with contextlib.closing(errors), _working_in(here):
        recording = Recording.of(name, [*recorder.records.values()])
        return _report(recording, given, errors, status) or findings.status(
            recording.findings, codes
        )


def _report(
    recording: Recording, given: argparse.Namespace, errors: output.ErrorStream, status: int
) -> int:
    """Print or write a recording; return the status of the program, or 2 if that fails."""
    try:
        findings.write(
            given,
            recording,
            text=recording.as_text,
            html=lambda: page(f"jax.vmap in {recording.name}", recording.as_html()),
            file=errors,
        )
    except UsageError as error:
        print(f"vmapguide: error: {error}", file=errors)
        return status or 2
    return status


def _filter(patterns: list[str], here: Path) -> Callable[[Place], bool]:
    """Return what says of a place whether its file matches a pattern, from here or from the root.

    `*` may span folders.
    """

    @functools.cache
    def matches(file: str) -> bool:
        path = Path(file)
        names = [path.as_posix()]
        if path.is_relative_to(here):
            names.append(path.relative_to(here).as_posix())
        return not patterns or any(fnmatch.fnmatch(n, p) for n in names for p in patterns)

    return lambda place: matches(place.file)


@contextlib.contextmanager
def _working_in(folder: Path) -> Iterator[None]:
    """Work in the folder that the program was started from: the report names files from there."""
    try:
        before = Path.cwd()
    except OSError:
        before = folder  # The program has removed the folder that it is in.
    for place in (folder, Path(folder.anchor)):
        with contextlib.suppress(OSError):
            os.chdir(place)
            break
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.chdir(before)
