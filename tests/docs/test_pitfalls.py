"""Every pitfall has its place in the guide: an anchor on a page, and there a cell that shows it.

pitfalls.toml lists them. One without a place says why.
"""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from places import DOCS


PITFALLS: dict[str, dict[str, Any]] = tomllib.loads(
    Path(__file__).with_name("pitfalls.toml").read_text("utf-8")
)
PLACED = {number: pitfall for number, pitfall in PITFALLS.items() if "page" in pitfall}

HEADING = re.compile(r"^(#+) (.*)$")


def sections(page: str) -> dict[str, list[str]]:
    """Return the code cells below each heading of a page, by the heading's anchor."""
    found: dict[str, list[str]] = {}
    open_headings: list[tuple[int, str]] = []
    cell: list[str] | None = None
    for line in (DOCS / f"{page}.md").read_text("utf-8").splitlines():
        if cell is not None:
            if line == "```":
                for _, anchor in open_headings:
                    found[anchor].append("\n".join(cell))
                cell = None
            else:
                cell.append(line)
        elif line.startswith("```{code-cell}"):
            cell = []
        elif heading := HEADING.match(line):
            level = len(heading[1])
            anchor = re.sub(r"[^\w]+", "-", heading[2].lower()).strip("-").replace("_", "-")
            open_headings = [(n, a) for n, a in open_headings if n < level] + [(level, anchor)]
            found[anchor] = []
    return found


def test_all_are_listed() -> None:
    """None is forgotten; a reason is a sentence."""
    expected = [str(number) for number in range(1, 92)] + ["36b"]
    assert sorted(PITFALLS) == sorted(expected)
    for pitfall in PITFALLS.values():
        assert len(pitfall["what"]) > 10
        assert ("page" in pitfall) != ("left_out" in pitfall)
        assert pitfall.get("left_out", "It is so.").endswith(".")
    assert len(PLACED) > 85


@pytest.mark.parametrize("number", PLACED)
def test_it_has_its_place(number: str, site: Path) -> None:
    """The anchor is on the built page, and a cell under it shows the pitfall."""
    pitfall = PLACED[number]
    html = (site / f"{pitfall['page']}.html").read_text("utf-8")
    assert f'id="{pitfall["anchor"]}"' in html
    cells = sections(pitfall["page"])[pitfall["anchor"]]
    assert any(pitfall["cell"] in cell for cell in cells)
