"""Measure the program on 1, 2, 4 and 8 devices of this machine's processor, and in two processes.

The devices are parts of one processor: what is measured is what dealing the batch costs, and not
what more hardware gives.
"""

import argparse
import datetime as dt
import json
import os
import platform
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any


PROGRAM = Path(__file__).with_name("run.py")
LAYOUTS = [(1, 1), (1, 2), (1, 4), (1, 8), (2, 4)]  # Processes, and devices of each.
PACKAGES = ("jax", "jaxlib", "numpy")


def processor() -> str:
    """Return the name of the processor, as well as the system tells."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text("utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return (names or [platform.processor() or platform.machine()])[0]


def measure(processes: int, devices: int, options: list[str]) -> dict[str, Any]:
    """Run the program once and return what it has measured."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        layout = ["--processes", str(processes), "--devices", str(devices)]
        command = [sys.executable, str(PROGRAM), *layout, *options, "--json", str(report)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        measured: dict[str, Any] = json.loads(report.read_text("utf-8"))
    return measured


def main() -> None:
    """Print a table; with --json, write a record too."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the record here")
    parser.add_argument("--steps", type=int, default=60, metavar="N", help="steps; default 60")
    parser.add_argument("--batch", type=int, default=4096, metavar="N", help="default 4096")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="runs; the best counts")
    args = parser.parse_args()
    options = ["--steps", str(args.steps), "--batch", str(args.batch)]
    cores, load = os.cpu_count(), os.getloadavg()[0]
    print(f"{args.batch} examples a step; the devices share {cores} cores of {processor()}")
    print("processes  devices  examples/s")
    runs = []
    for processes, devices in LAYOUTS:
        tries = [measure(processes, devices, options) for _ in range(args.repeat)]
        runs.append(max(tries, key=lambda run: run["examples_per_second"]))
        speed = runs[-1]["examples_per_second"]
        print(f"{processes:9}  {processes * devices:7}  {speed:10,}", flush=True)
    if args.json:
        record = {
            "measured": dt.datetime.now(dt.UTC).date().isoformat(),
            "machine": f"{processor()}, {platform.system()}",
            "cores": cores,
            "load": round(load, 1),  # How many others wanted the cores when it began.
            "python": platform.python_version(),
            **{package: version(package) for package in PACKAGES},
            "says": "All devices are parts of one processor and share its cores.",
            "runs": runs,
        }
        args.json.write_text(json.dumps(record, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
