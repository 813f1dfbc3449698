"""Search finds what people type: symptoms, names of other libraries, and pasted error messages."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page


Opened = Callable[..., Page]

CHAPTER = "guide/what-vmap-did.html"

GROUPS = tomllib.loads(Path(__file__).with_name("queries.toml").read_text("utf-8"))
QUERIES = {query: place for group in GROUPS.values() for query, place in group.items()}

# As it comes out of somebody's program, with names and sizes that are on no page.
FOREIGN = (
    "ValueError: vmap got inconsistent sizes for array axes to be mapped: * one axis had size 17: "
    "axis 0 of argument observations['flux'] of type float64[17,23]; * one axis had size 12: "
    "axis 0 of argument nightlog of type int16[12]"
)

# What a reader's browser does with each query, and the links that it shows. Not a page is fetched
# for a few words of it, and results that Sphinx shows one by one, every 5 ms, are shown at once.
SEARCH = """async (queries) => {
    DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
    const later = window.setTimeout;
    window.setTimeout = (f, ms) => (ms === 5 ? queueMicrotask(f) : later(f, ms));
    const found = {};
    for (const query of queries) {
        document.getElementById("search-results").replaceChildren();
        Search.performSearch(query);
        while (Search.title.textContent !== "Search Results")
            await new Promise((done) => later(done));
        const links = [...document.querySelectorAll("#search-results li > a")];
        found[query] = links.map((link) => link.getAttribute("href").replace(".html", ""));
    }
    window.setTimeout = later;
    return found;
}"""


@pytest.fixture(scope="module", name="search")
def _search(chromium: Browser, address: str) -> Any:
    """Return a function that searches for queries, on one page, and returns where each leads."""
    context = chromium.new_context()
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"{address}/search.html", wait_until="load")
    page.wait_for_function("Search.hasIndex()")

    def search(*queries: str) -> dict[str, list[str]]:
        found: dict[str, list[str]] = page.evaluate(SEARCH, list(queries))
        assert complaints == []
        return found

    yield search
    context.close()


def astray(found: dict[str, list[str]], expected: dict[str, str]) -> dict[str, list[str]]:
    """Return the queries whose place is not among the first three results, and these."""
    return {
        f"{query} → {place}": found[query][:3]
        for query, place in expected.items()
        if place not in found[query][:3]
    }


class TestQueries:
    """A query leads to the heading that answers it."""

    def test_there_are_many(self) -> None:
        """There are at least 80 queries, and each leads to one place."""
        assert len(QUERIES) == sum(len(group) for group in GROUPS.values()) >= 80

    def test_what_people_type(self, search: Any) -> None:
        """The page and its heading are among the first three results."""
        wrong = astray(search(*QUERIES), QUERIES)
        assert not wrong, json.dumps(wrong, indent=1, ensure_ascii=False)

    def test_a_place_that_is_not_found_is_told(self, search: Any) -> None:
        """The test above can fail: the page alone is not enough, nor is the fourth result."""
        found = search("hang", "gradient")
        assert astray(found, {"hang": "guide/loops"})
        assert astray(found, {"hang": "guide/loops#no-such-heading"})
        assert astray(found, {"gradient": found["gradient"][3]})
        assert not astray(found, {"gradient": found["gradient"][2]})

    @pytest.mark.parametrize(
        "spellings",
        [
            ("elementwise", "element-wise", "element wise"),
            ("step size", "stepsize", "step-size", "step sizes"),
            ("vectorise", "vectorize", "vectorised", "vectorizing"),
            ("in_axes", "in axes", "in-axes"),
            ("while_loop", "while loop", "while loops"),
            ("parallelise", "parallelize"),
            ("nearest neighbour", "nearest neighbors"),
            ("hessian-vector product", "hessian vector products"),
            ("vmap vs loop", "vmap versus loops"),
            ("ConcretizationTypeError", "ConcretizationError"),
        ],
    )
    def test_spellings(self, search: Any, spellings: tuple[str, ...]) -> None:
        """Hyphens, British words, plurals and names in parts lead to the same first place."""
        found = search(*spellings)
        assert len({found[spelling][0] for spelling in spellings}) == 1, found

    def test_words_that_sphinx_drops(self, search: Any) -> None:
        """They are words of Python."""
        found = search("if", "while", "where", "for loop")
        assert found["if"][0] in ("guide/branches", "guide/python-inside#if-and-max-assert")
        assert found["where"][0] == "guide/branches#both-branches-run"
        assert all(found.values())

    def test_a_word_among_unknown_ones(self, search: Any) -> None:
        """No page has all of them, and the one that is known leads on."""
        found = search("zzyzx recompile", "zzyzx quux recompile plugh")
        for links in found.values():
            assert "guide/jit#a-jit-made-anew" in links[:3]

    def test_few_results_come_first_and_no_noise(self, search: Any) -> None:
        """Nobody reads two hundred; and "hang" is not "change"."""
        found = search("vmap", "hang", "pairwise")
        assert len(found["vmap"]) < 100
        assert len(found["hang"]) < 5
        assert all(links == list(dict.fromkeys(links)) for links in found.values())


class TestSearchPage:
    """What a reader sees of it."""

    @pytest.mark.parametrize(
        ("query", "page"),
        [
            ("in_axes", "in-axes-out-axes.html"),
            ("dynamic_slice", "what-vmap-did.html"),
            ("raise_if_different", "equals-the-loop.html"),
            ("vmap got inconsistent sizes for array axes to be mapped", "in-axes-out-axes.html"),
            ("Attempted boolean conversion of traced array", "python-inside.html"),
            (FOREIGN, "in-axes-out-axes.html#which-argument-is-the-batch"),
        ],
    )
    def test_finds(self, opened: Opened, query: str, page: str) -> None:
        """Among the results is the page that is about it."""
        results = opened(CHAPTER)
        results.keyboard.press("/")
        results.keyboard.insert_text(query)
        results.keyboard.press("Enter")
        results.wait_for_selector("#search-results li a", timeout=20_000)
        results.wait_for_function(
            "page => [...document.querySelectorAll('#search-results li a')]"
            ".some(a => a.href.includes(page))",
            arg=page,
            timeout=20_000,
        )

    def test_a_query_that_nothing_answers(self, opened: Opened) -> None:
        """The page says that no page has these words, and lists none."""
        page = opened("search.html?q=zzyzx+quux+xyzzy+plugh+frobnicate")
        page.wait_for_selector(".search-summary:not(:empty)")
        assert "No page has these words" in page.locator(".search-summary").inner_text()
        assert page.locator("#search-results li").count() == 0

    def test_what_is_shown_of_a_page(self, opened: Opened) -> None:
        """Its words, apart, and without the line that every page has."""
        page = opened("search.html?q=in_axes")
        snippets = page.locator("#search-results p.context")
        snippets.nth(15).wait_for(timeout=20_000)
        shown = " ".join(snippets.all_inner_texts())
        assert "minutes to read" not in shown
        assert "your code one example the whole batch" in shown
        assert "your codeone" not in shown
        assert "mappedSaid of" not in shown
        assert page.locator("form.page-search input").input_value() == "in_axes"

    def test_what_is_shown_of_a_heading(self, opened: Opened) -> None:
        """It is named, after its page, and followed by the words below it."""
        page = opened("search.html?q=hang")
        first = page.locator("#search-results li").first
        first.locator("p.context").wait_for(timeout=20_000)
        assert first.locator("a").inner_text() == "Loops > An example that never finishes"
        assert first.locator("p.context").inner_text().startswith("Half of infinity is infinity.")
        first.locator("a").click()
        page.wait_for_url("**/guide/loops.html*#an-example-that-never-finishes")

    def test_what_is_shown_of_a_term(self, opened: Opened) -> None:
        """A term of the glossary is shown with what it means."""
        page = opened("search.html?q=tracer")
        term = page.locator("#search-results li", has_text="Glossary > tracer")
        term.locator("p.context").wait_for(timeout=20_000)
        assert "in the place of an array" in term.locator("p.context").inner_text()


def test_the_words_are_for_search_alone(site: Path) -> None:
    """Neither a page shows them, nor its notebook, nor the text for language models."""
    assert "solve_ivp" in (site / "searchindex.js").read_text("utf-8")
    assert "solve_ivp" not in (site / "guide" / "loops.html").read_text("utf-8")
    assert "solve_ivp" not in (site / "llms-full.txt").read_text("utf-8")
    notebook = json.loads((site.parent / "notebooks" / "guide" / "loops.ipynb").read_text("utf-8"))
    assert "solve_ivp" not in json.dumps(notebook["cells"])
