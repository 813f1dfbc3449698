"""What the findings of an explanation cost beside the explanation itself: `nox -s bench`.

For each program of programs.py `vmapguide.explain(f)(*args)` is timed, and then `.findings` of what
it returned, round after round, in one process. What is counted is the time of the processor, since
both compute in Python alone. The table has the medians in milliseconds, and how many times as long
as the explanation both take together; the aim is 1.2 times. The last column, the time of the
findings for each step, is about the same for a program of 5,000 equations and for one of 20,000.

As in explain.py, the function is made anew in every round, and the first round is thrown away.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from machine import surroundings
from programs import CASES, Case

import vmapguide


@dataclass(frozen=True)
class Result:
    """What was measured of a case; times are in milliseconds."""

    case: str
    steps: int
    explain: float
    findings: float
    ratio: float


def measure(case: Case, rounds: int) -> Result:
    """Time an explanation and its findings."""
    times = []
    for _ in range(rounds + 1):
        gc.collect()
        start = time.process_time()
        explanation = vmapguide.explain(case.make(), case.in_axes)(*case.args)
        middle = time.process_time()
        _ = explanation.findings
        times.append((1000 * (middle - start), 1000 * (time.process_time() - middle)))
    alone, more = (statistics.median(column) for column in zip(*times[1:], strict=True))
    return Result(case.name, len(explanation.steps), alone, more, (alone + more) / alone)


def main() -> None:
    """Measure every case and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7, help="rounds of each case (default: 7)")
    parser.add_argument("--only", default="", metavar="TEXT", help="cases whose name holds this")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the numbers there, too")
    options = parser.parse_args()
    results = [measure(case, options.rounds) for case in CASES if options.only in case.name]
    lines = [f"{'case':<26}{'steps':>8}{'explain':>12}{'findings':>12}{'ratio':>8}{'µs/step':>9}"]
    lines += [
        f"{r.case:<26}{r.steps:>8,}{r.explain:>9.1f} ms{r.findings:>9.2f} ms{r.ratio:>8.3f}"
        f"{1000 * r.findings / r.steps:>9.1f}"
        for r in results
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    if options.json:
        cases = [asdict(result) for result in results]
        report = {**surroundings(), "rounds": options.rounds, "cases": cases}
        options.json.write_text(json.dumps(report, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
