"""Two builds of the same sources differ in times, dates and benchmark figures, and in nothing else.

One is the guide that `nox -s reproducible` has just built or found up to date, the other is built
from nothing, in a folder of its own. A page that measures
something may differ in its numbers and in its figures, which are masked; so may the files that
repeat what stands on it. Every other file is the same byte for byte.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from places import DOCS, ROOT


# A number, and whether a measurement could tell it from another.
NUMBER = re.compile(r"(?:≈ )?\d+(?:[.,:-]\d+)*(?:e[+-]?\d+)?")
# What a page shows of a measurement: a drawing, and a report, whose rows are in the order of speed
# and whose last lines say what was told apart.
FIGURE = re.compile(r'<svg [^>]*class="figure".*?</svg>', re.DOTALL)
REPORT = re.compile(
    r'<div class="vg vg-report"><div class="vg-head"><code>benchmark .*?</table>(?:</div>)?'
    r'(?:<p class="vg-foot">.*?</p>)*'
    r"|^```text\nbenchmark .*?^```$",
    re.DOTALL | re.MULTILINE,
)


def measures(source: Path) -> bool:
    """Say whether a page shows what was measured while it ran, or when that was."""
    text = source.read_text("utf-8")
    return bool(re.search(r"\bbenchmark\(|perf_counter\(|datetime\.now\(", text))


MEASURED = {
    path.relative_to(DOCS).with_suffix("").as_posix()
    for path in DOCS.rglob("*.md")
    if "_build" not in path.parts and measures(path)
}


# MyST-NB copies its stylesheet when a build ends: a second build knows the file's checksum, which
# Sphinx writes behind the address, and a first one does not.
CHECKSUM = re.compile(rb"(mystnb\.[0-9a-f]+\.css)\?v=[0-9a-f]+")


def build(folder: Path) -> Path:
    """Copy the sources to a folder and build the guide there, from nothing."""
    ignored = shutil.ignore_patterns("_build")
    shutil.copytree(ROOT / "docs", folder / "docs", ignore=ignored)
    for path in ROOT.glob("*.md"):
        shutil.copy(path, folder)
    processes = str((os.cpu_count() or 1) + 1)
    command = [sys.executable, "-m", "sphinx", "-q", "-n", "-W", "--keep-going", "-j", processes]
    out = folder / "docs" / "_build" / "html"
    command += ["-d", str(out.with_name("doctrees")), str(folder / "docs"), str(out)]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return out


@pytest.fixture(scope="module", name="builds")
def _builds(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Return the files of the guide that is there, and of one that is built from nothing."""

    def files(out: Path) -> dict[str, bytes]:
        paths = [path for path in out.rglob("*") if path.is_file()]
        return {path.relative_to(out).as_posix(): path.read_bytes() for path in paths}

    return files(DOCS / "_build" / "html"), files(build(tmp_path_factory.mktemp("again")))


def masked(name: str, content: bytes) -> Any:
    """Return a file without what may differ in it."""
    page = re.sub(r"^(_downloads/[0-9a-f]*|_sources)/", "", name).partition(".")[0]
    is_measured = any(measured.endswith(page) for measured in MEASURED)
    content = CHECKSUM.sub(rb"\1", content)
    if name == "searchindex.js":
        return index_without_measured(content.decode())
    if name.endswith(".ipynb") and is_measured:
        notebook = nbformat.reads(content.decode(), as_version=4)
        return [
            (cell.source, [*shown(cell.outputs)])
            if cell.cell_type == "code"
            else NUMBER.sub("0", cell.source)  # Measured numbers are glued into the text.
            for cell in notebook.cells
        ]
    if (name.endswith(".html") and is_measured) or name == "llms-full.txt":
        return NUMBER.sub("0", REPORT.sub("", FIGURE.sub("", content.decode())))
    return content


def shown(outputs: Iterable[Any]) -> Iterator[str]:
    """Yield what a cell of a page that measures shows, without numbers, drawings and reports."""
    for output in outputs:
        data = output.get("data", {"text/plain": output.get("text", output.get("evalue"))})
        text = data.get("text/markdown", data.get("text/plain", ""))
        if not text.startswith("benchmark ") and "image/svg+xml" not in data:
            yield NUMBER.sub("0", text)


def index_without_measured(text: str) -> Any:
    """Return the index of the search without the words of pages that measure."""
    index = json.loads(text.removeprefix("Search.setIndex(").rstrip(")"))
    out = {number for number, name in enumerate(index["docnames"]) if name in MEASURED}
    terms = {
        word: set(pages if isinstance(pages, list) else [pages]) - out
        for word, pages in index["terms"].items()
    }
    return {**index, "terms": {word: pages for word, pages in terms.items() if pages}}


def test_what_measures_is_known() -> None:
    """Some pages do, and most do not."""
    assert {"guide/one-neuron", "project/status"} <= MEASURED
    assert not {"guide/what-vmap-did", "guide/same-program", "reference/glossary"} & MEASURED


def test_a_difference_would_be_noticed() -> None:
    """A word anywhere, a number on a page that measures nothing."""
    assert masked("guide/one-neuron.html", b"5.1 s") == masked("guide/one-neuron.html", b"17 s")
    assert masked("guide/one-neuron.html", b"5 s") != masked("guide/one-neuron.html", b"5 ms")
    assert masked("reference/glossary.html", b"5") != masked("reference/glossary.html", b"6")
    assert masked("objects.inv", b"5") != masked("objects.inv", b"6")


def test_two_builds_are_the_same(builds: tuple[dict[str, bytes], dict[str, bytes]]) -> None:
    """Two builds have the same files with the same contents, times and dates aside."""
    first, second = builds
    assert sorted(first) == sorted(second)
    assert len(first) > 60
    differing = [name for name in first if masked(name, first[name]) != masked(name, second[name])]
    assert differing == []
    # That nothing differs at all would mean that one was compared with itself.
    assert first["project/status.html"] != second["project/status.html"]
