"""What `explain` and `run` share: outputs for findings, and an exit status that says of them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from vmapguide._cli import output
from vmapguide._cli.inputs import UsageError
from vmapguide._data import Finding
from vmapguide._explanation import Explanation
from vmapguide._recording.recording import Recording
from vmapguide._rules.choose import beginnings, split
from vmapguide._show.annotations import github


def add_outputs(group: Any, parser: argparse.ArgumentParser) -> None:
    """Let a command write findings for other tools, and fail because of them."""
    group.add_argument("--sarif", metavar="FILE", help="write the findings as SARIF 2.1.0 instead")
    group.add_argument(
        "--format", choices=["text", "github"], default="text", help="github: annotations of lines"
    )
    parser.add_argument(
        "--fail-on",
        metavar="CODES",
        default="",
        help="end with status 1 if there are such findings: VG101,VG3",
    )


def write(
    given: argparse.Namespace,
    result: Explanation | Recording,
    *,
    text: Callable[[], str],
    html: Callable[[], str],
    file: Any = None,
) -> None:
    """Print or write a result in the form that is asked for.

    Args:
        given: the options.
        result: the result.
        text: returns it as text.
        html: returns it as a page.
        file: where what is printed goes, if it is not what the program prints.
    """
    data = given.json if isinstance(given.json, str) else None
    if path := given.html or given.sarif or data:
        if given.html:
            made = html()
        else:
            made = json.dumps(result.to_sarif() if given.sarif else result.to_dict(), indent=2)
        output.write(Path(path), made)
        print(f"wrote {path}", file=file)
    elif given.json:
        print(json.dumps(result.to_dict(), indent=2), file=file)
    elif given.format == "github":
        for line in github(result.findings):
            print(line, file=file)
    else:
        print(text(), file=file)


def checked_codes(text: str) -> tuple[str, ...]:
    """Return the codes, or beginnings of codes, in an option.

    Raises:
        UsageError: if no rule has one of them.
    """
    try:
        return beginnings("vmapguide", "--fail-on", split(text))
    except ValueError as error:
        # Who calls is said in front of each error.
        raise UsageError(str(error).removeprefix("vmapguide: ")) from None


def status(found: Iterable[Finding], codes: tuple[str, ...]) -> int:
    """Return the exit status: 1 if one of the findings has one of the codes."""
    return int(any(finding.code.startswith(codes) for finding in found)) if codes else 0
