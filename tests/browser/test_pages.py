"""Every page, light and dark, wide and narrow, in a real browser."""

import gzip
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from places import DOCS
from playwright.sync_api import Page


PAGES = [
    *sorted(
        path.relative_to(DOCS).with_suffix(".html").as_posix()
        for path in DOCS.rglob("*.md")
        if not any(part.startswith("_") for part in path.relative_to(DOCS).parts)
    ),
    "search.html",
    "404.html",
]

Opened = Callable[..., Page]

# What axe may report, and why it is left. There is nothing.
EXCEPTIONS: dict[str, str] = {}

# Of a page with all it loads, but for its own figures and listings; compressed, as hosts send it.
BYTES, REQUESTS = 80_000, 20


# All rules are tried on these pages in both themes and both widths.
SAMPLES = ("index.html", "guide/one-neuron.html", "search.html")


def axe_rules(name: str, theme: str, width: int) -> dict[str, object] | None:
    """Return the rules that axe is to try, or None for none.

    To compute contrasts takes longer than all else together. The theme changes colours alone, and
    the width brings the header of small screens, which the samples have too.
    """
    if name in SAMPLES or (theme, width) == ("light", 1280):
        return {}
    contrast = "color-contrast"
    if width == 1280:
        return {"runOnly": [contrast]}
    return {"rules": {contrast: {"enabled": False}}} if theme == "light" else None


def test_all_pages_are_tested() -> None:
    """There are as many as sources."""
    assert len(PAGES) > 12
    assert "guide/one-neuron.html" in PAGES


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_page(opened: Opened, name: str, theme: str, width: int) -> None:
    """No complaint, no request to elsewhere, no sideways scrolling, no barrier that axe finds."""
    page = opened(name, theme=theme, width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    rules = axe_rules(name, theme, width)
    if rules is None:
        return
    results = Axe().run(page, options={"resultTypes": ["violations"], **rules}).response
    found = {
        f"{violation['id']}: {node['target']} {node.get('failureSummary', '')}"
        for violation in results["violations"]
        for node in violation["nodes"]
        if violation["id"] not in EXCEPTIONS
    }
    assert found == set()


@pytest.mark.parametrize("name", PAGES)
def test_weight(opened: Opened, site: Path, name: str) -> None:
    """A page is light: few requests, few bytes."""
    page = opened("index.html")
    loaded: list[str] = []
    page.on("request", lambda request: loaded.append(urlsplit(request.url).path.lstrip("/")))
    page.goto(page.url.replace("index.html", name), wait_until="load")
    # Pages are as long as they are; what counts is what each reader loads beside the text.
    # Search brings its index, and what reads it.
    search = ("searchindex.js", "searchtools.js", "language_data.js", "/search.js")
    loaded = [path for path in loaded if not path.endswith(search)]
    own = {path for path in loaded if path.endswith(".html")}
    shared = [gzip.compress((site / path).read_bytes()) for path in loaded if path not in own]
    assert sum(map(len, shared)) <= BYTES
    assert len(loaded) <= REQUESTS


@pytest.mark.parametrize("name", PAGES)
def test_policy(opened: Opened, name: str) -> None:
    """The policy is on every page, and allows nothing that is written into a page."""
    page = opened(name)
    policy = page.locator('meta[http-equiv="Content-Security-Policy"]').get_attribute("content")
    assert policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert " style=" not in page.request.get(page.url).text()
