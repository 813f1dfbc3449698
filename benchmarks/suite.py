"""A Python loop, `jax.lax.map`, `jax.vmap` and the batch by hand, side by side: `nox -s bench`.

The programs, and the function that times one of them four ways, are those of the page "Speed": this
script runs that cell of docs/guide/speed.md, at a larger size. So what is measured is what the page
shows. The Python loop calls the compiled function of one example; the others are compiled as a
whole, and that is not in the times.

The table has, for each program, how many times as long each way took as `vmap`, in the median; a
`~` says that the run could not tell the two apart (`Benchmark.told_apart`). Nothing is asserted but
that all four compute the same: times depend on the machine.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from machine import surroundings

import vmapguide


PAGE = Path(__file__).parents[1] / "docs" / "guide" / "speed.md"
CELL = re.compile(r"^```\{code-cell\}[^\n]*\n(?::[^\n]*\n)*(.*?)^```$", re.MULTILINE | re.DOTALL)
OTHERS = ("Python loop", "lax.map", "by hand")


@dataclass(frozen=True)
class Side:
    """How one way compares with `vmap`, and its seconds."""

    ratio: float
    told_apart: bool
    seconds: float
    compiling: float | None


@dataclass(frozen=True)
class Result:
    """What was measured of a program; `vmap` is in seconds."""

    case: str
    vmap: float
    vmap_compiling: float | None
    sides: dict[str, Side]


def programs() -> dict[str, Any]:
    """Return the names that the page's cell of programs defines."""
    cells = CELL.findall(PAGE.read_text("utf-8"))
    (cell,) = [cell for cell in cells if "def suite(" in cell]
    names: dict[str, Any] = {}
    imports = "import jax, vmapguide, jax.numpy as jnp, numpy as np\nfrom jax import lax\n"
    exec(compile(imports + cell, str(PAGE), "exec"), names)  # noqa: S102
    return names


def timing(raced: vmapguide.Benchmark, name: str) -> vmapguide.Timing:
    """Return how long one way took; there is one size."""
    (found,) = raced.timings[name]
    if found is None:
        raise ValueError(f"{name} was not run.")
    return found


def result(case: str, raced: vmapguide.Benchmark) -> Result:
    """Return the numbers of a race."""
    vmap = timing(raced, "vmap")
    sides = {}
    for name in OTHERS:
        ratio, is_apart = raced.ratio(name, to="vmap"), raced.told_apart(name, to="vmap")
        side = timing(raced, name)
        sides[name] = Side(ratio, is_apart, side.median, side.compiling)
    return Result(case, vmap.median, vmap.compiling, sides)


def main() -> None:
    """Race every program and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15, help="rounds of each case (default: 15)")
    parser.add_argument("--examples", type=int, default=512, help="the batch size (default: 512)")
    parser.add_argument("--size", type=int, default=256, help="the size of one (default: 256)")
    parser.add_argument("--only", default="", metavar="TEXT", help="cases whose name holds this")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the numbers there, too")
    options = parser.parse_args()
    page = programs()
    results = []
    for case, program in page["suite"](options.examples, options.size).items():
        if options.only in case:
            sys.stderr.write(f"{case} …\n")
            results.append(result(case, page["race"](*program, rounds=options.rounds)))
    lines = [f"{'case':<28}{'vmap':>12}" + "".join(f"{name:>14}" for name in OTHERS)]
    for r in results:
        multiples = (f"{'' if s.told_apart else '~ '}{s.ratio:.2f}" for s in r.sides.values())
        cells = "".join(f"{text:>14}" for text in multiples)
        lines.append(f"{r.case:<28}{1000 * r.vmap:>9.2f} ms{cells}")
    sys.stdout.write("\n".join(lines) + "\n")
    if options.json:
        report = {
            **surroundings(),
            "rounds": options.rounds,
            "examples": options.examples,
            "size": options.size,
            "cases": [asdict(r) for r in results],
        }
        options.json.write_text(json.dumps(report, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
