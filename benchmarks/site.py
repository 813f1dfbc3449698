"""How long building the guide takes beside plain Sphinx: `nox -s bench-docs`.

Both build a copy of the same pages with the same configuration. The guide is built as `nox -s docs`
does it: pages run from one queue on all cores, and what they print is kept. Plain Sphinx is
`sphinx-build` as it comes: one process, and MyST-NB runs every page that is read
(`nb_execution_mode = "force"`).

Four builds are timed, each by both, in turns: cold, from nothing; warm, without the pages but with
what was kept, which plain Sphinx does not; with nothing changed; and after one cell of one page was
changed. The aims: cold in at most 0.65 of plain Sphinx's time on two cores, at most 3 s for
nothing, and at most 4 s beside what the changed page itself runs.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import surroundings


ROOT = Path(__file__).parent.parent
PAGE = "guide/in-axes-out-axes"

OPTIONS = {
    "guide": ["-n", "-W", "--keep-going", "-j", str((os.cpu_count() or 1) + 1)],
    "plain": ["-n", "-W", "--keep-going", "-D", "nb_execution_mode=force"],
}
BUILDS = {
    "cold": "from nothing",
    "warm": "without the pages, with what was kept",
    "nothing": "with nothing changed",
    "edit": "one cell of one page changed",
}


class Site:
    """A copy of the guide's sources in a folder of its own."""

    def __init__(self, folder: Path, options: list[str]) -> None:
        """Copy them; `options` are those of sphinx-build."""
        self.docs = folder / "docs"
        self.options = options
        shutil.copytree(ROOT / "docs", self.docs, ignore=shutil.ignore_patterns("_build"))
        for path in ROOT.glob("*.md"):
            shutil.copy(path, folder)

    def build(self) -> tuple[float, str]:
        """Build what there is to build; return the seconds and the output."""
        command = [sys.executable, "-m", "sphinx", *self.options, ".", "_build/html"]
        # Modules are compiled once.
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
        start = time.perf_counter()
        result = subprocess.run(  # noqa: S603 - this Python, with constant arguments.
            command, check=False, cwd=self.docs, env=environment, capture_output=True, text=True
        )
        seconds = time.perf_counter() - start
        if result.returncode:
            sys.exit(f"{' '.join(command)} failed:\n{result.stderr}")
        return seconds, result.stdout

    def prepare(self, build: str, number: int) -> None:
        """Bring the folder into the state that a build starts from."""
        if build == "cold":
            shutil.rmtree(self.docs / "_build", ignore_errors=True)
        elif build == "warm":
            shutil.rmtree(self.docs / "_build" / "html")
        elif build == "edit":
            page = self.docs / f"{PAGE}.md"
            text = page.read_text("utf-8")
            cell = re.compile(r"^import jax(  # \d+)?$", re.MULTILINE)
            page.write_text(cell.sub(f"import jax  # {number}", text, count=1), "utf-8")


def page_seconds(output: str) -> float:
    """Return how long the changed page ran, as the build says."""
    (seconds,) = re.findall(rf"{PAGE} \(([\d.]+) s\)", output)
    return float(seconds)


def measure(rounds: int) -> dict[str, dict[str, float]]:
    """Time every build, `rounds` times, by both in turns; return the medians."""
    times: dict[str, dict[str, list[float]]] = {
        build: {"guide": [], "plain": [], "page": []} for build in BUILDS
    }
    with tempfile.TemporaryDirectory() as folder:
        sites = {name: Site(Path(folder, name), options) for name, options in OPTIONS.items()}
        for number in range(rounds):
            for build in BUILDS:
                for name, site in sites.items():
                    sys.stderr.write(f"round {number + 1} of {rounds}, {build}, {name} …\n")
                    site.prepare(build, number)
                    seconds, output = site.build()
                    times[build][name].append(seconds)
                    if (build, name) == ("edit", "guide"):
                        times[build]["page"].append(page_seconds(output))
    return {
        build: {name: statistics.median(seconds) for name, seconds in sides.items() if seconds}
        for build, sides in times.items()
    }


def main() -> None:
    """Measure, print the table, and write it to where the status page reads it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="rounds of all builds (default: 3)")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the numbers there, too")
    options = parser.parse_args()
    builds = measure(max(options.rounds, 1))
    sys.stdout.write(f"{'build':40}{'guide':>10}{'plain':>10}{'ratio':>8}\n")
    for build, seconds in builds.items():
        guide, plain = seconds["guide"], seconds["plain"]
        sys.stdout.write(f"{BUILDS[build]:40}{guide:9.1f}s{plain:9.1f}s{guide / plain:8.2f}\n")
    beside = builds["edit"]["guide"] - builds["edit"]["page"]
    sys.stdout.write(f"Beside the run of the changed page itself: {beside:.1f} s.\n")
    if options.json:
        pages = len([p for p in (ROOT / "docs").rglob("*.md") if "_build" not in p.parts])
        meaning = {build: {"is": BUILDS[build], **seconds} for build, seconds in builds.items()}
        report = {**surroundings(), "pages": pages, "builds": meaning}
        options.json.write_text(json.dumps(report, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
