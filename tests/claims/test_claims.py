"""The pages' claims can fail: a program is changed, as claims.toml says, and a sentence is false.

A copy of the page with the change must not build, and it must be one of the page's own cells that
stops it. The page as it is must build. See `nox -s claims`.
"""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from places import DOCS, ROOT


CLAIMS: list[dict[str, Any]] = tomllib.loads(
    Path(__file__).with_name("claims.toml").read_text("utf-8")
)["claim"]
PAGES = sorted({claim["page"] for claim in CLAIMS})

FAILED = re.compile(r"WARNING: cell \d+ failed at `.*`: .*")


def failures(page: str, source: str, folder: Path) -> list[str]:
    """Build a page alone, in a copy of the docs; return what its cells failed with."""
    docs = folder / "docs"
    shutil.copytree(ROOT / "docs", docs, ignore=shutil.ignore_patterns("_build", "*.md"))
    path = docs / f"{page}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source, "utf-8")
    command = [sys.executable, "-m", "sphinx", "-b", "dummy", "-D", f"root_doc={page}"]
    result = subprocess.run(
        [*command, str(docs), str(docs / "_build" / "dummy")],
        check=False,
        capture_output=True,
        text=True,
    )
    assert "running pages..." in result.stdout, result.stderr
    return FAILED.findall(result.stderr)


def visible_code(source: str) -> str:
    """Return the code that the page shows."""
    cells = re.findall(r"^```\{code-cell\}[^\n]*\n(.*?)^```$", source, re.MULTILINE | re.DOTALL)
    return "\n".join(cell for cell in cells if "remove-cell" not in cell.partition("\n")[0])


def test_there_are_enough() -> None:
    """Twenty or more, each once, on most of the pages."""
    assert len({claim["says"] for claim in CLAIMS}) == len(CLAIMS) >= 20
    assert len(PAGES) >= 15


@pytest.mark.parametrize("page", PAGES)
def test_a_page_as_it_is(page: str, tmp_path: Path) -> None:
    """None of its cells fails."""
    assert failures(page, (DOCS / f"{page}.md").read_text("utf-8"), tmp_path) == []


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: f"{claim['page']}: {claim['says']}")
def test_a_false_claim(claim: dict[str, Any], tmp_path: Path) -> None:
    """The program that the reader sees is changed, and a cell notices."""
    source = (DOCS / f"{claim['page']}.md").read_text("utf-8")
    assert visible_code(source).count(claim["find"]) == 1
    inverted = source.replace(claim["find"], claim["replace"])
    assert len(failures(claim["page"], inverted, tmp_path)) == 1
