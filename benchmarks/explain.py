"""How long `vmapguide.explain` takes beside the `jax.vmap` it explains: `nox -s bench`.

For each program three calls are timed, in turns, round after round, in one process:

- (a) `jax.make_jaxpr(jax.vmap(f))(*args)`, which is what JAX itself needs to make the program;
- (b) `vmapguide.explain(f)(*args)`, the explanation as data;
- (c) the same with `_repr_html_()`, what a notebook shows.

The table has the median seconds of (a) with half the distance of its quartiles, the ratios (b)/(a)
and (c)/(a), each the median of the ratios within a round, and the equations per second of (b). The
equations are those of the batched program; those nested in an equation count once. A second
measurement is what `import vmapguide` adds to `import jax`, in fresh processes. Nothing is
asserted: times depend on the machine. The aims for the data are at most 2.5 times from 1,000
equations on and 3 times for smaller programs; 4 times with HTML; and 25 ms for the import.

(b) is the value: its steps with their sources, kinds and axes. The texts of equations are made
when it is first shown, and so belong to (c).

What is cached and what is not: every call gets a function made anew, so neither side finds a trace
of it in JAX's caches. The first round is thrown away. So what does not depend on `f` is warm on
both sides: compiled bytecode, JAX's traces of its own functions (`jnp.where`, `jax.nn.gelu`), and
vmapguide's notes on source lines and on defaults of parameters. One thing is warm for (a) only:
JAX keeps how it batched the trace of one of its own functions, and (b) batches a tagged copy.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import jax
from machine import surroundings
from programs import CASES, Case

import vmapguide
from vmapguide._jaxpr.walk import walk


IMPORTS = 7


@dataclass(frozen=True)
class Result:
    """What was measured of a case; `spread` is half the distance of the quartiles of `seconds`."""

    case: str
    equations: int
    seconds: float
    spread: float
    data_ratio: float
    html_ratio: float
    equations_per_second: float


# -- Measuring --------------------------------------------------------------


def seconds(call: Callable[[], object]) -> float:
    """Return how long a call takes; rubbish of the calls before it is not counted."""
    gc.collect()
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def measure(case: Case, rounds: int) -> Result:
    """Time the three calls in turns."""

    def plain() -> object:
        return jax.make_jaxpr(jax.vmap(case.make(), case.in_axes))(*case.args)

    def data() -> object:
        return vmapguide.explain(case.make(), case.in_axes)(*case.args)

    def html() -> object:
        return vmapguide.explain(case.make(), case.in_axes)(*case.args)._repr_html_()

    times = [[seconds(call) for call in (plain, data, html)] for _ in range(rounds + 1)][1:]
    batched = jax.make_jaxpr(jax.vmap(case.make(), case.in_axes))(*case.args)
    equations = sum(len(jaxpr.eqns) for jaxpr in walk(batched))
    low, median, high = statistics.quantiles([a for a, _, _ in times], method="inclusive")
    return Result(
        case=case.name,
        equations=equations,
        seconds=median,
        spread=(high - low) / 2,
        data_ratio=statistics.median(b / a for a, b, _ in times),
        html_ratio=statistics.median(c / a for a, _, c in times),
        equations_per_second=equations / statistics.median(b for _, b, _ in times),
    )


def measure_import() -> tuple[float, float]:
    """Return the milliseconds of `import jax` and what `import vmapguide` adds, as medians."""
    program = (
        "import time; start = time.perf_counter(); import jax; middle = time.perf_counter(); "
        "import vmapguide; end = time.perf_counter(); print(middle - start, end - middle)"
    )
    command = [sys.executable, "-c", program]
    # An installed package is compiled, so this one may be, too: the first run does it.
    env = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    runs = [
        subprocess.run(command, check=True, capture_output=True, text=True, env=env)  # noqa: S603
        for _ in range(IMPORTS + 1)
    ]
    times = [[1000 * float(number) for number in run.stdout.split()] for run in runs[1:]]
    jax_alone, added = (statistics.median(column) for column in zip(*times, strict=True))
    return jax_alone, added


def table(results: list[Result]) -> str:
    """Return the results in columns."""
    widths = (24, 10, 21, 9, 9, 17)
    rows = [("case", "equations", "(a) seconds", "(b)/(a)", "(c)/(a)", "(b) equations/s")]
    rows += [
        (
            r.case,
            f"{r.equations:,}",
            f"{r.seconds:.4f} ± {r.spread:.4f}",
            f"{r.data_ratio:.2f}",
            f"{r.html_ratio:.2f}",
            f"{r.equations_per_second:,.0f}",
        )
        for r in results
    ]
    return "\n".join(
        f"{case:<{widths[0]}}"
        + "".join(f"{entry:>{width}}" for entry, width in zip(rest, widths[1:], strict=True))
        for case, *rest in rows
    )


def main() -> None:
    """Measure every case and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7, help="rounds of each case (default: 7)")
    parser.add_argument("--only", default="", metavar="TEXT", help="cases whose name holds this")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the numbers there, too")
    options = parser.parse_args()
    results = []
    for case in CASES:
        if options.only in case.name:
            sys.stderr.write(f"{case.name} …\n")
            results.append(measure(case, max(options.rounds, 2)))
    sys.stderr.write("import …\n")
    jax_alone, added = measure_import()
    python = ".".join(map(str, sys.version_info[:3]))
    sys.stdout.write(
        f"Python {python}, JAX {jax.__version__}, vmapguide {vmapguide.__version__}\n\n"
        f"{table(results)}\n\n"
        f"import jax: {jax_alone:.0f} ms; import vmapguide adds {added:.1f} ms\n"
    )
    if options.json:
        report = {
            **surroundings(),
            "rounds": options.rounds,
            "cases": [asdict(result) for result in results],
            "import": {"jax_ms": jax_alone, "added_ms": added},
        }
        options.json.write_text(json.dumps(report, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
