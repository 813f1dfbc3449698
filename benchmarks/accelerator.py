"""What holds on a GPU or a TPU of what the guide says: `nox -s accelerator` measures it.

Each table of `accelerator_tables.py` is measured on the device that JAX finds, in a process of its
own that gets so many seconds: on an accelerator, a program may take minutes to compile. A table
that fails or does not finish is recorded as such, with the rows that it had, and the next one
comes. This process never asks JAX for a device, since a TPU belongs to one process at a time.

The record goes into a folder, under the day and the device, and the page about accelerators shows
the newest. That of a CPU says nothing about accelerators: its tables are small, and it is written
only where `--json` says. The record names no host, no path and no user.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import accelerator_tables  # noqa: F401 - It fills TABLES.
import jax
from accelerator_measuring import LEAST, MOST, TABLES
from machine import processor, surroundings


SCHEMA = "vmapguide.accelerator/1"
HOW = (
    "each table in a process of its own; compiled, warmed up, each call waits for its result"
    f" (block_until_ready); the median of {LEAST} to {MOST} calls"
)
DIGITS = 4

# An error of XLA begins with its kind. What follows may name files and machines.
KIND = re.compile(r"[A-Z_]{4,}(?=:)")


@dataclass
class Measured:
    """What became of a table: `why` says why it is not whole."""

    status: str = "measured"
    why: str = ""
    rows: list[dict[str, Any]] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return what the record has of it."""
        why = {"why": self.why} if self.why else {}
        return {"status": self.status, **why, "rows": self.rows}


# -- In a process of its own ------------------------------------------------


def find_device() -> dict[str, Any]:
    """Return what JAX finds, in words."""
    first, *others = jax.devices()
    kind = processor() if first.platform == "cpu" else first.device_kind
    more = f", one of {len(others) + 1}" if others else ""
    return {"device": f"{kind}{more}", "platform": first.platform}


def rounded(value: Any) -> Any:
    """Return a number with as many digits as say something."""
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def be_measured(name: str, path: Path, *, full: bool) -> None:
    """Write the rows of a table to a file, each as soon as it is there, and its end."""
    with path.open("w", encoding="utf-8", buffering=1) as lines:

        def write(**line: Any) -> None:
            lines.write(json.dumps(line) + "\n")

        try:
            if name == "device":
                write(row=find_device())
            else:
                for row in TABLES[name].rows(full):
                    write(row={key: rounded(value) for key, value in row.items()})
        except Exception as error:
            kind = KIND.match(str(error))
            write(failed=type(error).__name__ + (f", {kind[0]}" if kind else ""))
            raise
        write(finished=True)


# -- Here -------------------------------------------------------------------


def measure(name: str, seconds: float, *, full: bool) -> Measured:
    """Measure a table in a process of its own, and end the process when its time is over."""
    if seconds <= 0:
        return Measured("not finished", "there was no time left for it")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows")
        command = [sys.executable, __file__, "--table", name, "--into", str(path)]
        late, status = "", 0
        try:
            # No pipes: what the process has started could hold them open after its end.
            size = ["--full"] if full else []
            ran = subprocess.run([*command, *size], check=False, timeout=seconds)  # noqa: S603
            status = ran.returncode
        except subprocess.TimeoutExpired:
            late = f"it did not finish in {seconds:.0f} seconds"
        text = path.read_text("utf-8") if path.exists() else ""
    # The last line may be cut.
    lines = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
    rows = [line["row"] for line in lines if "row" in line]
    failed = next((line["failed"] for line in lines if "failed" in line), "")
    if late:
        return Measured("not finished", late, rows)
    if failed or not any("finished" in line for line in lines):
        return Measured("failed", failed or f"its process ended with {status}", rows)
    return Measured(rows=rows)


def measure_all(names: list[str], limit: float, total: float, *, full: bool | None) -> Any:
    """Return the record of these tables."""
    end = time.monotonic() + total
    found = measure("device", limit, full=False)
    if found.status != "measured":
        sys.exit(f"JAX finds no device: {found.why}")
    (device,) = found.rows
    if full is None:
        full = device["platform"] != "cpu"
    sys.stderr.write(f"{device['device']}, {'full' if full else 'small'} sizes\n")
    tables = {}
    for number, name in enumerate(names, start=1):
        start = time.monotonic()
        sys.stderr.write(f"[{number}/{len(names)}] {name} …\n")
        tables[name] = measured = measure(name, min(limit, end - start), full=full)
        took = time.monotonic() - start
        sys.stderr.write(
            f"    {measured.status} in {took:.0f} s{measured.why and ': '}{measured.why}\n"
        )
    versions = surroundings()
    return {
        "schema": SCHEMA,
        "measured": versions["measured"],
        **device,
        "cores": os.cpu_count(),
        "sizes": "full" if full else "small",
        "how": HOW,
        **{name: versions[name] for name in ("jax", "python", "vmapguide")},
        "tables": {name: measured.to_dict() for name, measured in tables.items()},
    }


def text_of(record: Any) -> str:
    """Return a record as it stands in a file: sorted, a row a line."""
    head = json.dumps({**record, "tables": {}}, indent=2, sort_keys=True, ensure_ascii=False)
    tables = []
    for name, found in sorted(record["tables"].items()):
        rows = [f"        {json.dumps(row, ensure_ascii=False)}" for row in found["rows"]]
        listed = "[\n" + ",\n".join(rows) + "\n      ]" if rows else "[]"
        fields = [f'      "rows": {listed}'] + [
            f'      "{key}": {json.dumps(found[key], ensure_ascii=False)}'
            for key in ("status", "why")
            if key in found
        ]
        tables.append(f'    "{name}": {{\n' + ",\n".join(fields) + "\n    }")
    return head.replace('"tables": {}', '"tables": {\n' + ",\n".join(tables) + "\n  }") + "\n"


def main() -> None:
    """Measure the tables and write the record."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--folder", type=Path, help="write an accelerator's record into it")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the record there, too")
    parser.add_argument("--only", nargs="+", choices=sorted(TABLES), help="these tables alone")
    parser.add_argument("--limit", type=float, default=60, help="seconds of a table (default: 60)")
    parser.add_argument("--total", type=float, default=230, help="seconds of all (default: 230)")
    parser.add_argument("--small", action="store_true", help="small sizes, whatever the device")
    # What this script says to itself in a process of its own.
    for name in ("--table", "--into"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    parser.add_argument("--full", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.table:
        be_measured(options.table, Path(options.into), full=options.full)
        return
    names = options.only or list(TABLES)
    full = False if options.small else None
    record = measure_all(names, options.limit, options.total, full=full)
    paths = [options.json] if options.json else []
    if options.folder and record["platform"] == "cpu":
        sys.stderr.write("This is a CPU: nothing is written to the records of accelerators.\n")
    elif options.folder:
        device = re.sub(r"[^a-z0-9]+", "-", record["device"].lower()).strip("-")
        paths.append(options.folder / f"{record['measured']}-{device}.json")
    for path in paths:
        path.write_text(text_of(record), "utf-8")
        sys.stderr.write(f"{path}\n")
    if not paths:
        sys.stdout.write(text_of(record))


if __name__ == "__main__":
    main()
