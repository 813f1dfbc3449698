"""Built pages, parsed: tests ask for elements, in whatever order their attributes are written."""

from pathlib import Path

from bs4 import BeautifulSoup


def parsed(path: Path) -> BeautifulSoup:
    """Return a page of the site, for `select` with CSS selectors."""
    return BeautifulSoup(path.read_text("utf-8"), "html.parser")
