"""llms-full.txt has what the HTML of every page shows: outputs, tables, links and prose."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import pytest
from bs4 import Tag
from guide_site.markdown import LEFT_OUT, markdown
from html_pages import parsed
from places import DOCS


PAGES = sorted(
    path.relative_to(DOCS).with_suffix("").as_posix()
    for path in DOCS.rglob("*.md")
    if "_build" not in path.parts
)


def squeezed(text: str) -> str:
    """Return a text without marks of Markdown and runs of spaces."""
    text = re.sub(r"\]\((?:<[^<>]*>|[^()\s]*)\)", "", text)
    return " ".join(re.sub(r"`` | ``|[*`\[\\]|\$[^$\n]*\$", "", text).split())


def shown(element: Tag) -> str:
    """Return the text of an element as the site shows it."""
    text = "".join(
        str(part) for part in element.find_all(string=True) if not part.find_parent(["math", "svg"])
    )
    return squeezed(text)


def missing(page: Tag, address: str, text: str) -> list[str]:
    """Return what is in a page's HTML and not in its text."""
    for element in page.select(LEFT_OUT):
        element.extract()
    views = [view.extract() for view in page.select(".output.text_html")]
    return [
        *(f"listing: {listing}" for listing in listings(page) if listing not in flush(text)),
        *(f"word of a view: {word}" for word in words(views) if not has_word(text, word)),
        *(f"row: {row}" for row in rows(page) if row not in squeezed(text)),
        *(f"link: {link}" for link in links(page, address) if link not in text.translate(ANGLES)),
        *(f"paragraph: {line}" for line in paragraphs(page) if line not in squeezed(text)),
    ]


# What a view shows only where a reader opens it, and headings. A line of the source opens to its
# equations, and the row of a report to an explanation.
FOLDED = (
    ".vg-long, .vg-more, .vg-rest, .vg-inner, thead, svg, "
    ".vg-annotated details > :not(summary), .vg-recording > details > :not(summary)"
)

# No column is so narrow that a word of so many letters is broken.
SHORT = 10

# Around the target of a link, where it has parentheses.
ANGLES = str.maketrans({"<": "", ">": ""})


def listings(page: Tag) -> Iterator[str]:
    """Yield the text of every listing, and of every output that is no view."""
    for listing in page.select("pre"):
        yield flush(listing.get_text().strip())


def flush(text: str) -> str:
    """Return a text whose lines all begin at the left: an item of a list has its lines indented."""
    return re.sub(r"^ +", "", text, flags=re.MULTILINE)


def words(views: list[Tag]) -> Iterator[str]:
    """Yield every word of views of this package that is neither folded away nor a heading.

    A view as text breaks lines elsewhere, so whole lines cannot be compared.
    """
    for view in views:
        for folded in view.select(FOLDED):
            folded.extract()
        yield from re.findall(r"\w+", view.get_text(" "))


def has_word(text: str, word: str) -> bool:
    """Say whether a view as text has a word. A long one may be broken at the end of a column."""
    ends = range(1, len(word)) if len(word) > SHORT else ()
    breaks = (rf"{word[:end]}(?=\s)[\s\S]*(?<=\s){word[end:]}" for end in ends)
    return word in text or any(re.search(broken, text) for broken in breaks)


def rows(page: Tag) -> Iterator[str]:
    """Yield every row of a table."""
    for row in page.select("tr"):
        yield squeezed(f"| {' | '.join(shown(cell) for cell in row.select('th, td'))} |")


def links(page: Tag, address: str) -> Iterator[str]:
    """Yield the target of every link, as Markdown has it; in code there are none."""
    for link in page.select("a[href]"):
        if not link.find_parent("pre") and not link.find_parent(class_="sig") and shown(link):
            yield f"]({urljoin(address, str(link['href']))})"


def paragraphs(page: Tag) -> Iterator[str]:
    """Yield every paragraph, heading and defined name outside of tables."""
    for paragraph in page.select("p, h1, h2, h3, dt"):
        if not paragraph.find_parent("table"):
            yield shown(paragraph)


def section(site: Path, name: str) -> str:
    """Return what llms-full.txt has of a page."""
    full = (site / "llms-full.txt").read_text("utf-8")
    return re.split(r"^<!-- \S+ -->$", full.partition(f"<!-- {name} -->")[2], flags=re.MULTILINE)[0]


@pytest.mark.parametrize("name", PAGES)
def test_everything_is_in_it(name: str, site: Path) -> None:
    """Every listing and output, every row, every link, and every paragraph."""
    article = parsed(site / f"{name}.html").find("article")
    assert isinstance(article, Tag)
    assert missing(article, f"{name}.html", section(site, name)) == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("guide/one-neuron", "4 equations became 6."),
        ("guide/one-neuron", "../reference/glossary.html#term-example"),
        ("guide/indexing", "| "),
        ("project/status", "passed"),
    ],
)
def test_something_that_is_left_out_is_noticed(name: str, words: str, site: Path) -> None:
    """The test above can fail: each of these is taken out of the text, one by one."""
    article = parsed(site / f"{name}.html").find("article")
    assert isinstance(article, Tag)
    words = words.removeprefix("../")
    text = section(site, name)
    assert words in text
    assert missing(article, f"{name}.html", text.replace(words, ""))


def test_notes_of_exceptions(site: Path) -> None:
    """What vmapguide adds to an exception is in the text, as it is in the HTML."""
    notes = 0
    for name in PAGES:
        for listing in parsed(site / f"{name}.html").select(".output.traceback pre"):
            lines = listing.get_text().strip()
            notes += "\n" in lines
            assert lines in section(site, name)
    assert notes > 3


TABLE = (
    "<table><tr><th>a</th><td class='corner'></td></tr>"
    "<tr><td><p>1</p></td><td>x|y</td></tr></table>"
)


class TestMarkdown:
    """Elements, one by one."""

    @pytest.mark.parametrize(
        ("html", "expected"),
        [
            ("<h2>Title<a class='headerlink' href='#t'>¶</a></h2>", "## Title"),
            ("<p>a  <em>b</em>\n<strong>c</strong></p>", "a *b* **c**"),
            ("<p>loose</p>tail", "loose\n\ntail"),
            ("<a href='../b.html#c'><code>f()</code></a>", "[`f()`](b.html#c)"),
            ("<a href='https://x.example/a_(b)'>x</a>", "[x](<https://x.example/a_(b)>)"),
            ("<code>a`b</code>", "`` a`b ``"),
            (
                "<div class='highlight-ipython3'><pre><span>x = 1</span>\n</pre></div>",
                "```python\nx = 1\n```",
            ),
            ("<div class='output'><pre>  1\n</pre></div>", "```text\n  1\n```"),
            ("<pre>```\n</pre>", "````\n```\n````"),
            (
                TABLE,
                "| a |  |\n| --- | --- |\n| 1 | x\\|y |",
            ),
            ("<ul><li>a</li><li><p>b</p><p>c</p></li></ul>", "- a\n- b\n\n  c"),
            ("<ol><li>a</li><li>b</li></ol>", "1. a\n2. b"),
            ("<dl><dt>a</dt><dd><p>what it is</p></dd></dl>", "a\n:   what it is"),
            (
                "<dl><dt class='sig'>f(x: <a href='t'>T</a>)</dt><dd></dd></dl>",
                "`f(x: T)`",
            ),
            ("<math alttext='x^2' display='inline'><mi>x</mi></math>", "$x^2$"),
            ("<div><svg aria-label='A line.'><text>1</text></svg></div>", "[Figure: A line.]"),
            (
                "<details class='hide'><summary><p>Show</p></summary><p>text</p></details>",
                "text",
            ),
            ("<blockquote><p>a</p><p>b</p></blockquote>", "> a\n>\n> b"),
            ("a<hr>b<!-- c -->", "a\n\n---\n\nb"),
        ],
    )
    def test_elements(self, html: str, expected: str) -> None:
        """Each as Markdown that reads well."""
        assert markdown(html, "guide/a.html", []).strip() == expected.strip()

    def test_outputs(self) -> None:
        """A view is its text; where the text says nothing, the HTML is taken."""
        html = "<div class='output text_html'><table><tr><td>1</td></tr></table></div>"
        assert markdown(html, "a.html", ["a = 1"]) == "```text\na = 1\n```"
        assert markdown(html, "a.html", ["<HTML object>"]) == "| 1 |\n| --- |"
