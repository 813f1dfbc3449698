"""Do what the README says, as somebody does who has nothing but a Python and git.

HEAD is cloned into an empty folder. The two commands are read out of the clone's README and run
there, with empty package caches and no terminal to ask. Then the guide must open, and the tests
must have run. Needs nothing but the standard library: nothing is installed yet.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname


ROOT = Path(__file__).parents[1]

# The sections of the README whose first command is one of the two.
SECTIONS = ("Read the guide", "Work on it")

# What a machine that was worked on has, and a fresh one has not.
LEFT_OUT = re.compile(r"CI$|VIRTUAL_ENV|PYTHON|PYENV|NOX|VMAPGUIDE|JAX_|XLA_|UV_(PYTHON|PROJECT)")

SYSTEM_PYTHON = Path("/usr/bin/python3")

# Fewer tests than these are not the tests.
TESTS = 1000


class Page(HTMLParser):
    """What is looked at of a page: the text of its title and heading, and where its links lead."""

    def __init__(self, path: Path) -> None:
        """Read the page."""
        super().__init__()
        self.path = path
        self.texts: dict[str, str] = {}
        self.links: list[str] = []
        self._tag = ""
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a link, or that a text begins."""
        if tag in ("title", "h1") and tag not in self.texts:  # Drawings have titles, too.
            self._tag = tag
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_endtag(self, tag: str) -> None:
        """Note that a text has ended."""
        self._tag = "" if tag == self._tag else self._tag

    def handle_data(self, data: str) -> None:
        """Keep a text."""
        if self._tag:
            self.texts[self._tag] = self.texts.get(self._tag, "") + data

    def local(self) -> list[Path]:
        """Return the files of the site that the page links to."""
        parts = [urlsplit(link) for link in self.links]
        names = [unquote(part.path) for part in parts if not part.scheme and part.path]
        return [(self.path.parent / name).resolve() for name in names]


def commands(readme: str) -> list[str]:
    """Return the first command of each section that has one of the two."""
    found = []
    for section in SECTIONS:
        _, _, text = readme.partition(f"\n## {section}\n")
        text = re.split(r"^## ", text, maxsplit=1, flags=re.MULTILINE)[0]
        command = re.search(r"^```console\n\$ (.+)", text, re.MULTILINE)
        if command is None:
            sys.exit(f"fresh: README.md has no command under '## {section}'")
        found.append(re.sub(r"\s+#.*", "", command[1]))
    return found


def surroundings(folder: Path) -> dict[str, str]:
    """Return the environment of a fresh machine, with the system's Python if it will do."""
    kept = {name: value for name, value in os.environ.items() if not LEFT_OUT.match(name)}
    caches = {name: str(folder / name) for name in ("PIP_CACHE_DIR", "UV_CACHE_DIR")}
    probe = "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))"
    if SYSTEM_PYTHON.exists() and not subprocess.call([SYSTEM_PYTHON, "-c", probe]):
        kept["PATH"] = os.pathsep.join([str(SYSTEM_PYTHON.parent), kept["PATH"]])
    return {**kept, **caches, "XDG_CACHE_HOME": str(folder / "cache"), "PIP_NO_INPUT": "1"}


def run(command: str, clone: Path, environment: dict[str, str]) -> str:
    """Run a command of the README in the clone; return what it says, and show it."""
    print(f"fresh: $ {command}", flush=True)
    started = time.monotonic()
    process = subprocess.Popen(
        ["bash", "-c", command],
        cwd=clone,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines = []
    for line in process.stdout or ():
        print(line, end="", flush=True)
        lines.append(line)
    if process.wait():
        sys.exit(f"fresh: {command!r}, which the README says, failed")
    print(f"fresh: that took {time.monotonic() - started:.0f} s", flush=True)
    return "".join(lines)


def check_guide(said: str, clone: Path) -> None:
    """Open the landing page where the command says it is, a chapter, and a notebook."""
    address = re.search(r"Open (file://\S+)", said)
    if address is None:
        sys.exit("fresh: the first command does not say where to open the guide")
    index = Path(url2pathname(urlsplit(address[1]).path))
    if not (index.is_file() and index.is_relative_to(clone.resolve())):
        sys.exit(f"fresh: there is no guide in the clone at {address[1]}")
    page = Page(index)
    chapters = [path for path in page.local() if path.parent.name == "guide"]
    if not chapters:
        sys.exit(f"fresh: {index} links to no chapter")
    chapter = Page(chapters[0])
    for opened in (page, chapter):
        if not {"title", "h1"} <= opened.texts.keys():
            sys.exit(f"fresh: {opened.path} has no title")
        if missing := [str(path) for path in opened.local() if not path.exists()]:
            sys.exit(f"fresh: {opened.path} links to what is not there: {', '.join(missing)}")
    notebooks = [path for path in chapter.local() if path.suffix == ".ipynb"]
    if not notebooks:
        sys.exit(f"fresh: {chapter.path} offers no notebook")
    cells = json.loads(notebooks[0].read_text("utf-8"))["cells"]
    if not any(cell.get("outputs") for cell in cells):
        sys.exit(f"fresh: {notebooks[0]} was not run")
    print(f"fresh: opened {page.texts['title']}, {chapter.texts['title']}, its notebook")


def check_tests(said: str) -> None:
    """See in pytest's closing line that the tests ran."""
    passed = re.findall(r"^=* ?(\d+) passed\b", said, re.MULTILINE)
    if sum(map(int, passed)) < TESTS:
        sys.exit("fresh: the second command did not run the tests")


def main() -> None:
    """Clone, run both commands, and look at what they made."""
    with tempfile.TemporaryDirectory(prefix="fresh-") as name:
        folder = Path(name)
        clone = folder / "clone"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        environment = surroundings(folder)
        reading, working = commands((clone / "README.md").read_text("utf-8"))
        check_guide(run(reading, clone, environment), clone)
        check_tests(run(working, clone, environment))
    print("fresh: the README's two commands work")


if __name__ == "__main__":
    main()
