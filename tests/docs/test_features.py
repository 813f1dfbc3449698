"""What the site's extensions have put on the built pages."""

import re
from pathlib import Path

from html_pages import parsed
from places import DOCS


def test_facts(site: Path) -> None:
    """How long a chapter reads, what it ran with, and its notebook."""
    page = (site / "guide" / "cost.html").read_text("utf-8")
    facts = re.search(r'<p class="page-facts">(.*?)</p>', page)
    assert facts
    assert re.search(r"\d+ minutes to read · ran with JAX [\d.]+ on cpu, Python 3", facts[1])
    assert ".ipynb" in facts[1]


def test_terms_show_their_definitions(site: Path) -> None:
    """From the glossary, each with an identifier of its own."""
    page = parsed(site / "guide" / "one-neuron.html")
    (link,) = page.select('a[aria-describedby][href$="glossary.html#term-example"]')
    (definition,) = page.select(f'#{link["aria-describedby"]}[role="tooltip"]')
    assert definition.get_text().startswith("One unbatched input")
    identifiers = [said["id"] for said in page.select('[id^="definition-"]')]
    assert len(identifiers) == len(set(identifiers)) > 1


def test_descriptions(site: Path) -> None:
    """A page says of itself what it answers."""
    page = parsed(site / "guide" / "cost.html")
    (said,) = page.select('meta[name="description"]')
    assert str(said["content"]).startswith("Your vmapped function is right.")


def test_sources(site: Path) -> None:
    """Every page leads to its source, which is on the site."""
    page = (site / "guide" / "cost.html").read_text("utf-8")
    assert 'href="../_sources/guide/cost.md.txt"' in page
    source = (site / "_sources" / "guide" / "cost.md.txt").read_text("utf-8")
    assert source == (DOCS / "guide" / "cost.md").read_text("utf-8")


def test_previous_and_next(site: Path) -> None:
    """All pages are one sequence, from the landing page on."""

    def linked(page: Path, relation: str) -> Path | None:
        link = re.search(rf'<link [^>]*rel="{relation}"[^>]*>', page.read_text("utf-8"))
        address = re.search(r'href="([^"#]*)', link[0]) if link else None
        return (page.parent / address[1]).resolve() if address else None

    page: Path | None = site.resolve() / "index.html"
    found = []
    while page:
        found.append(page.relative_to(site.resolve()).with_suffix(".md").as_posix())
        following = linked(page, "next")
        assert following is None or linked(following, "prev") == page
        page = following
    sources = [path.relative_to(DOCS) for path in DOCS.rglob("*.md")]
    assert sorted(found) == sorted(s.as_posix() for s in sources if s.parts[0] != "_build")


def test_listings_keep_their_indentation(site: Path) -> None:
    """Spaces are kept, though pages are parsed and written again for the links in their code."""
    page = (site / "guide" / "jit.html").read_text("utf-8")
    inner = re.findall(r'<div class="vg-line">( *)<span class="vg-param">jaxpr', page)
    assert inner
    assert min(map(len, inner)) >= 4


def test_names_in_code_are_links(site: Path) -> None:
    """To JAX, and to this package."""
    page = parsed(site / "guide" / "one-neuron.html")
    links = [str(link["href"]) for link in page.select("a.sphinx-codeautolink-a")]
    assert any(link.startswith("https://docs.jax.dev/") for link in links)
    assert any("reference/vmapguide.html#vmapguide.listing" in link for link in links)


def test_llms(site: Path) -> None:
    """Every page, with what its cells print."""
    index = (site / "llms.txt").read_text("utf-8")
    full = (site / "llms-full.txt").read_text("utf-8")
    for name in ("guide/cost", "reference/vmapguide", "project/changelog"):
        assert f"({name}.html)" in index
        assert f"<!-- {name} -->" in full
    assert "4 equations became 6." in full
    assert "vmapguide.explain(f: " in full
    for place in ("\x1b", "site-packages", str(Path.home())):
        assert place not in full


def test_a_page_that_is_not_there(site: Path) -> None:
    """Its address is not known, so its links are absolute."""
    page = (site / "404.html").read_text("utf-8")
    assert 'href="/guide/one-neuron.html"' in page
    assert 'action="/search.html"' in page


def test_run_times(site: Path) -> None:
    """Pages by their titles, in their order, and what became of each in words."""
    page = (site / "project" / "status.html").read_text("utf-8")
    (table,) = re.findall(r"<table[^>]*>(?:(?!</table>).)*<p>Ran</p>.*?</table>", page, re.DOTALL)
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", table, re.DOTALL)
    cells = [re.findall(r"<p>(.*?)</p>", row, re.DOTALL) for row in rows]
    ran = [[re.sub("<[^>]*>", "", cell) for cell in row] for row in cells if len(row) == 4]
    assert ran[0] == ["Page", "Ran", "Seconds", "Result"]
    assert [row[0] for row in ran[1:4]] == [
        "What does vmap do to your function?",
        "One neuron, many inputs",
        "The mental model",
    ]
    assert len(ran) > 20
    assert {row[3] for row in ran[1:]} == {"passed"}
    assert all(float(row[2]) > 0 for row in ran[1:])
