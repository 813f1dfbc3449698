"""What `nox -s docs -- serve` serves: a page that is saved is shown, without a reload by hand."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from places import DOCS, ROOT
from playwright.sync_api import Browser, expect


@pytest.fixture(name="checkout")
def _checkout(tmp_path: Path) -> Path:
    """Return a checkout whose guide has two short pages."""
    checkout = tmp_path / "checkout"
    not_pages = shutil.ignore_patterns(
        "_build", "findings", "guide", "project", "reference", "index.md"
    )
    shutil.copytree(ROOT / "docs", checkout / "docs", ignore=not_pages)
    for name in ("noxfile.py", "pyproject.toml", "CHANGELOG.md", "CONTRIBUTING.md"):
        shutil.copy(ROOT / name, checkout)
    (checkout / "src").mkdir()
    (checkout / "docs" / "index.md").write_text("# Index\n\n```{toctree}\npage\n```\n")
    (checkout / "docs" / "page.md").write_text("# The page\n\nAs it was.\n")
    return checkout


def test_a_page_that_is_saved_is_shown(
    checkout: Path, start: Callable[..., str], chromium: Browser
) -> None:
    """The reader does nothing: the text changes, and what a new cell prints appears."""
    # In this environment: no other is made, and nothing is installed.
    here = ["-R", "--no-venv", "--script-mode=none"]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    address = start(
        [sys.executable, "-m", "nox", *here, "-s", "docs", "--", "serve", "--port", "0"],
        cwd=checkout,
        env={**os.environ, "PATH": path},
    )
    page = chromium.new_page()
    page.goto(f"{address}/page.html")
    expect(page.locator("article")).to_contain_text("As it was.")
    source = checkout / "docs" / "page.md"
    source.write_text("# The page\n\nAs it is.\n")
    expect(page.locator("article")).to_contain_text("As it is.", timeout=60_000)
    header, _, _ = (DOCS / "index.md").read_text().partition("\n\n")
    cell = "```{code-cell} ipython3\nprint(6 * 7)\n```"
    source.write_text(f"{header}\n\n# The page\n\n{cell}\n")
    expect(page.locator("article .output")).to_have_text("42\n", timeout=60_000)
    page.close()
