"""What a reader does with a page: copy, switch the theme, point, and press Tab."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page


Opened = Callable[..., Page]

CHAPTER = "guide/what-vmap-did.html"


class TestCopy:
    """The button of a cell copies its code."""

    def test_code_without_outputs(self, opened: Opened) -> None:
        """What is on the clipboard is the cell, and nothing of what it printed."""
        page = opened(CHAPTER, permissions=["clipboard-read", "clipboard-write"])
        cell = page.locator("div.cell_input", has_text="def neuron").first
        cell.hover()
        cell.locator("button.copybtn").click()
        copied = page.evaluate("navigator.clipboard.readText()")
        assert copied.rstrip() == cell.locator("pre").inner_text().rstrip()
        assert copied.startswith("W_key, b_key, X_key = jax.random.split(")
        assert "dot_general" not in copied

    def test_examples_without_prompts_and_outputs(self, opened: Opened) -> None:
        """What a docstring shows, and what a terminal does, is copied to be run."""
        page = opened("reference/vmapguide.html", permissions=["clipboard-read", "clipboard-write"])
        for text, copied in ((">>> ", "import jax"), ("$ pip", "pip install .")):
            block = page.locator("div.highlight", has_text=text).first
            block.hover()
            block.locator("button.copybtn").click()
            clipboard = page.evaluate("navigator.clipboard.readText()")
            assert clipboard.startswith(copied)
            lines = [line for line in block.inner_text().splitlines() if line.strip()]
            of_code = [line for line in lines if line.startswith((">>> ", "... ", "$ "))]
            assert len(clipboard.strip().splitlines()) == len(of_code)
            assert ">>>" not in clipboard

    def test_outputs_have_no_button(self, opened: Opened) -> None:
        """They are not for running."""
        page = opened(CHAPTER)
        assert page.locator("div.cell_output button.copybtn").count() == 0
        assert page.locator("div.cell_input button.copybtn").count() > 5


class TestDefinitions:
    """Terms show what they mean."""

    def test_under_the_pointer(self, opened: Opened) -> None:
        """While the pointer is there, and not after Escape."""
        page = opened("guide/one-neuron.html")
        term = page.locator(".term").first
        definition = term.locator("[role=tooltip]")
        assert not definition.is_visible()
        term.hover()
        assert definition.inner_text().startswith("One unbatched input")
        page.keyboard.press("Escape")
        assert not definition.is_visible()
        page.mouse.move(0, 0)
        term.hover()
        assert definition.is_visible()

    @pytest.mark.parametrize("width", [1280, 390])
    def test_with_the_keyboard(self, opened: Opened, width: int) -> None:
        """A link that has the focus shows it, inside the page, and says that it describes it."""
        page = opened("guide/one-neuron.html", width=width)
        for term in page.locator(".term").all():
            link, definition = term.locator("a"), term.locator("[role=tooltip]")
            link.focus()
            assert definition.is_visible()
            assert link.get_attribute("aria-describedby") == definition.get_attribute("id")
            box = definition.bounding_box()
            assert box
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width
        assert page.evaluate("document.documentElement.scrollWidth") <= width

    @pytest.mark.parametrize("name", ["guide/branches.html", "guide/nesting.html"])
    def test_the_pointer_reaches_it(self, opened: Opened, name: str) -> None:
        """Also under a term in bold: it is next to its term, and stays while one goes there."""
        page = opened(name)
        for term in page.locator("article .term").all():
            term.evaluate("e => e.scrollIntoView({block: 'center'})")
            term.locator("a").hover()
            definition = term.locator("[role=tooltip]")
            word, box = term.locator("a").bounding_box(), definition.bounding_box()
            article = page.locator("article").bounding_box()
            assert word
            assert box
            assert article
            assert article["x"] - 1 < box["x"] < article["x"] + article["width"] - box["width"] + 1
            below = word["y"] + word["height"]
            assert 0 <= box["y"] - below < 16
            middle = word["x"] + word["width"] / 2
            for y in (below + 2, (below + box["y"]) / 2, box["y"] + 5):
                page.mouse.move(middle, y)
                assert definition.is_visible()
            page.mouse.move(0, 0)


class TestTheme:
    """The toggle recolours everything."""

    def colours(self, page: Page, selector: str) -> Any:
        """Return the colours of the first such element."""
        return page.locator(selector).first.evaluate(
            "e => [getComputedStyle(e).color, getComputedStyle(e).fill, "
            "getComputedStyle(e).backgroundColor]"
        )

    @pytest.mark.parametrize(
        ("name", "selectors"),
        [
            (CHAPTER, [".vg-explain", ".vg-axis", "div.cell_input pre"]),
            ("guide/in-axes-out-axes.html", [".vg-d-first", ".vg-diagram text"]),
            ("guide/one-neuron.html", ["svg.figure", ".highlight-jaxpr pre"]),
            ("guide/same-program.html", [".vg-report"]),
        ],
    )
    def test_toggle(self, opened: Opened, name: str, selectors: list[str]) -> None:
        """Explanations, diagrams, listings and figures follow, against the system's scheme."""
        page = opened(name, theme="light")
        light = [self.colours(page, selector) for selector in selectors]
        for _ in range(3):
            if page.locator("body").get_attribute("data-theme") == "dark":
                break
            page.locator("button.theme-toggle:visible").first.click()
        assert page.locator("body").get_attribute("data-theme") == "dark"
        for selector, before in zip(selectors, light, strict=True):
            assert self.colours(page, selector) != before, selector


class TestExplanation:
    """Variables light up with their definition and uses."""

    def test_hover(self, opened: Opened) -> None:
        """Under the pointer: the same name in both columns."""
        page = opened(CHAPTER)
        view = page.locator(".vg-explain").first
        variable = view.locator("td.vg-whole [data-vg=c]").first
        variable.hover()
        lit = view.locator(".vg-lit")
        assert lit.count() >= 2
        columns = [
            view.locator(f"td.{column} .vg-lit").count() for column in ("vg-one", "vg-whole")
        ]
        assert all(columns)
        assert {lit.nth(i).get_attribute("data-vg") for i in range(lit.count())} == {"c"}

    def test_focus(self, opened: Opened) -> None:
        """A row that has the keyboard lights its own variables."""
        page = opened(CHAPTER)
        row = page.locator(".vg-explain tbody tr").first
        row.focus()
        assert page.locator(".vg-explain .vg-lit").count() >= 2


class TestKeyboard:
    """Everything can be reached without a mouse."""

    @pytest.mark.parametrize("width", [1280, 640])
    def test_the_focus_is_seen(self, opened: Opened, width: int) -> None:
        """What has it is in the window, and not transparent: also drawers and copy buttons."""
        page = opened(CHAPTER, width=width)
        stops = ("button.copybtn", ".sidebar-drawer a", ".toc-drawer a")
        for stop in stops:
            page.keyboard.press("Tab")  # What is focused by a script is seen after a key.
            page.locator(stop).nth(2).focus()
            page.wait_for_timeout(400)  # The drawers slide.
            box = page.locator(stop).nth(2).bounding_box()
            assert box, stop
            assert 0 <= box["x"] < width, stop
            assert page.locator(stop).nth(2).evaluate("e => getComputedStyle(e).opacity") == "1"

    def test_skip_link(self, opened: Opened) -> None:
        """The first stop leads past the navigation."""
        page = opened(CHAPTER)
        page.keyboard.press("Tab")
        focused = page.evaluate("document.activeElement.textContent.trim()")
        assert focused == "Skip to content"

    @pytest.mark.parametrize("name", ["index.html", CHAPTER, "project/status.html", "search.html"])
    @pytest.mark.parametrize("width", [1280, 390])
    def test_tab_reaches_every_control(self, opened: Opened, name: str, width: int) -> None:
        """Links, buttons, fields, summaries, rows of explanations, and what scrolls."""
        page = opened(name, width=width)
        wanted = page.evaluate(
            """() => [...document.querySelectorAll(
                 'a[href], button, input:not([type=hidden]), summary, [tabindex="0"]')]
               .filter(e => e.checkVisibility({visibilityProperty: true}) && e.tabIndex >= 0)
               .map((e, i) => (e.dataset.stop = i, i))"""
        )
        seen = set()
        for _ in range(len(wanted) + 20):
            page.keyboard.press("Tab")
            stop = page.evaluate("document.activeElement.dataset.stop ?? ''")
            seen.add(stop)
        missing = {str(stop) for stop in wanted} - seen
        names = [
            page.locator(f'[data-stop="{stop}"]').evaluate("e => e.outerHTML.slice(0, 120)")
            for stop in sorted(missing)
        ]
        # A button that shows only under the pointer is reached in its turn all the same.
        assert names == []


def test_on_paper(opened: Opened) -> None:
    """Printed, a page is its text in black on white: no navigation, no buttons, nothing dark."""
    page = opened(CHAPTER, theme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    gone = (".sidebar-drawer", ".toc-drawer", ".theme-toggle", ".copybtn", ".page-facts a")
    for selector in gone:
        elements = page.locator(selector).all()
        assert elements, selector
        assert [element for element in elements if element.is_visible()] == [], selector
    for selector in ("body", ".vg-explain", "div.cell_input pre"):
        paper = page.locator(selector).first.evaluate("e => getComputedStyle(e).backgroundColor")
        shades = [float(number) for number in re.findall(r"[\d.]+", paper)]
        assert shades[3:] == [0] or min(shades[:3]) > 230, (selector, paper)


def test_a_page_that_is_not_there(opened: Opened, address: str) -> None:
    """It says so, and leads back, from any depth."""
    page = opened("index.html")
    response = page.request.get(f"{address}/guide/nowhere.html")
    assert response.status == 404
    links = re.findall(r'href="(/guide/[^"]*)"', response.text())
    assert "/guide/one-neuron.html" in links
    page = opened("404.html", width=390)
    page.locator("form.page-search input").fill("dynamic_slice")
    page.locator("form.page-search button").click()
    page.wait_for_selector("#search-results li a", timeout=20_000)
