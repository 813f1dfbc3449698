"""The extensions that only this site needs: what each makes of a page."""

import base64
import hashlib
import html
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import nbformat
import pytest
from docutils import nodes
from docutils.core import publish_doctree
from guide_site.epub import AMENDMENTS as XHTML
from guide_site.facts import CODE_LINES, WORDS, facts_line, is_line, reading_minutes, summary
from guide_site.figures import themed
from guide_site.finish import AMENDMENTS, amended, policy, secured, sitemap
from guide_site.mathml import mathml
from guide_site.notebooks import INSTALL, plain_markdown, readable
from html_pages import parsed
from lab import lay_out
from places import DOCS


class TestMathml:
    """Formulas are MathML."""

    def test_inline_and_display(self) -> None:
        """A formula in a line, and one on its own."""
        inline = mathml(nodes.math("", "x^2"))
        assert re.search(r'<math [^>]*display="inline"', inline)
        assert "<msup>" in inline
        assert 'display="block"' in mathml(nodes.math_block("", r"\frac{1}{n}"))

    def test_the_source_is_its_alternative_text(self) -> None:
        """The alternative text of a formula is its source, escaped."""
        assert 'alttext="a &lt; &quot;b&quot;"' in mathml(nodes.math("", 'a < "b"'))

    @pytest.mark.parametrize("source", [r"\frac{", r"\fracc{1}{2}", r"\text{a<b}"])
    def test_what_is_no_formula(self, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """It stays readable, and the build is warned."""
        warnings: list[Any] = []
        monkeypatch.setattr(
            "guide_site.mathml.logger.warning", lambda *told, **_: warnings.append(told)
        )
        assert mathml(nodes.math("", source)) == f"<code>{html.escape(source)}</code>"
        assert len(warnings) == 1
        assert source in warnings[0]


class TestPageFacts:
    """How long a page takes to read."""

    def test_prose(self) -> None:
        """As many minutes as it has words for."""
        page = publish_doctree("word " * (3 * WORDS))
        assert reading_minutes(page) == 3

    def test_code(self) -> None:
        """Lines of code count, folded ones do not."""
        page: Any = publish_doctree("")
        code = nodes.literal_block("", "x = 1\n\n" * (4 * CODE_LINES))
        page += nodes.container("", code)
        assert reading_minutes(page) == 4
        page[0]["classes"] = ["tag_hide-input"]
        assert reading_minutes(page) == 1

    def test_what_is_shown_as_something_better(self) -> None:
        """An output's plain text is not read where it has a table or a drawing beside it."""
        page: Any = publish_doctree("")
        plain = nodes.container("", nodes.literal_block("", "x\n" * 3 * CODE_LINES))
        plain["mime_type"] = "text/plain"
        bundle = nodes.container("", plain)
        page += bundle
        assert reading_minutes(page) == 3
        bundle += nodes.container("", nodes.raw("", "<table>"), mime_type="text/html")
        assert reading_minutes(page) == 1

    def test_one_line_for_all_facts(self) -> None:
        """Whoever asks for it first makes it, below the title."""
        page: Any = publish_doctree("")
        page += nodes.section("", nodes.title("", "Title"), nodes.paragraph("", "text"))
        line = facts_line(page)
        assert facts_line(page) is line
        assert page[0].index(line) == 1

    def test_a_page_is_described_by_its_question(self) -> None:
        """The first paragraph, and not the line of facts, nor a paragraph that is one by chance."""
        page: Any = publish_doctree("")
        page += nodes.section("", nodes.title("", "Title"), nodes.paragraph("", "Why\n this?"))
        facts_line(page).append(nodes.inline("", "3 minutes to read"))
        assert len(list(page.findall(is_line))) == 1
        assert summary(page) == "Why this?"
        assert summary(publish_doctree("")) == ""


CODE = """
# Title

```{py:function} json.dumps(value)
```

```python
import json
json.dumps(1)
```

```{toctree}
other
```
"""


class TestCodeLinks:
    """Names in code stay links."""

    def test_on_a_page_that_is_written_but_not_read_again(self, tmp_path: Path) -> None:
        """It repeats the title of another page, which has changed."""
        extensions = ["myst_parser", "sphinx_codeautolink", "guide_site.insides"]
        path = f"import sys\nsys.path.insert(0, {str(DOCS / '_ext')!r})\n"
        (tmp_path / "conf.py").write_text(f"{path}extensions = {extensions}\n")
        (tmp_path / "index.md").write_text(CODE)
        builds = {"before": "2 added", "after": "0 added, 1 changed", "last": "0 added, 1 changed"}
        for title, read in builds.items():
            (tmp_path / "other.md").write_text(f"# {title}")
            command = [sys.executable, "-m", "sphinx", str(tmp_path), str(tmp_path / "html")]
            done = subprocess.run(command, check=True, capture_output=True, encoding="utf-8")
            assert read in done.stdout
            page = parsed(tmp_path / "html" / "index.html")
            assert page.find("a", string=title)
            assert page.select('a.sphinx-codeautolink-a[href$="#json.dumps"]')


def as_xhtml(page: str) -> str:
    """Return a page as an e-book has it; to amend it twice changes nothing."""
    once, matches = amended(page, XHTML)
    twice, again = amended(once, XHTML)
    assert twice == once
    assert {name for name, count in matches.items() if count} == {n for n, c in again.items() if c}
    return once


class TestEpub:
    """Pages as XHTML."""

    def test_summaries_have_no_paragraphs(self) -> None:
        """One of the two texts is kept: a book's page does not change its words."""
        fold = (
            '<details><summary aria-label="x">\n<p class="collapsed">Show</p>\n'
            '<p class="expanded">Hide</p>\n</summary>\ntext</details>'
        )
        assert as_xhtml(fold) == "<details><summary>Show</summary>\ntext</details>"

    def test_nothing_folds_within_a_line(self) -> None:
        """A long parameter is shown whole; library code is named."""
        line = '<b>[<details class="vg-long"><summary>…</summary>a=<b>0</b></details>]</b>'
        assert as_xhtml(line) == '<b>[<span class="vg-long">a=<b>0</b></span>]</b>'
        line = '<details class="vg-more"><summary>15 equations</summary></details>'
        assert as_xhtml(line) == '<span class="vg-more">15 equations</span>'

    def test_drawings_say_what_they_are(self) -> None:
        """XHTML knows no svg without a namespace; one is enough."""
        drawing = '<svg xmlns="http://www.w3.org/2000/svg" class="a"></svg>'
        assert as_xhtml('<svg class="a"></svg>') == drawing
        other = '<svg class="a" xmlns="http://www.w3.org/2000/svg"></svg>'
        assert as_xhtml(other) == other


class TestFigures:
    """Drawings that follow the theme and stand side by side."""

    DRAWING = (
        '<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="9pt" height="9pt"'
        ' xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 2 1">'
        "<metadata>made by</metadata><defs><style>*{stroke-linejoin: round}</style></defs>"
        '<path id="a" d="M0 0" style="fill: #ffffff; stroke-width: 2"/>'
        '<use xlink:href="#a" clip-path="url(#a)" style="fill: #000000"/><text>plain</text>'
        '<text style="fill: #ff0000">red</text><text style="fill: #ffffff">white</text></svg>'
    )

    def test_colours(self) -> None:
        """Black is the ink and a white area is the paper; text that has a colour keeps it."""
        drawing = themed(self.DRAWING, 'A "drawing".')
        assert re.search(r'<use [^>]*fill="currentColor" />', drawing)
        assert '<text fill="currentColor">plain' in drawing
        assert '<text fill="#ff0000">red' in drawing
        assert '<text fill="#ffffff">white' in drawing
        assert 'd="M0 0" fill="none" stroke-width="2"' in drawing

    def test_what_is_left_out(self) -> None:
        """Who made it, how large it was, and every style: the page has no place for them."""
        drawing = themed(self.DRAWING, 'A "drawing".')
        for word in ("made by", "9pt", "style", "<?xml"):
            assert word not in drawing
        assert 'class="figure" role="img" aria-label="A &quot;drawing&quot;."' in drawing
        assert 'stroke-linejoin="round"' in drawing

    def test_references(self) -> None:
        """Each refers to itself, and not to another drawing of the page."""
        one, other = (themed(self.DRAWING.replace("plain", text), "") for text in ("1", "2"))
        names = []
        for drawing in (one, other):
            names += re.findall(r'\bid="([^"]+)"', drawing)
            assert f'xlink:href="#{names[-1]}"' in drawing
            assert f'clip-path="url(#{names[-1]})"' in drawing
        assert len(names) == len(set(names)) == 2


class TestNotebooks:
    """Markdown that Jupyter shows as well."""

    def test_roles(self) -> None:
        """Names as code, pages by their names or as they are called, numbers as they are."""
        source = "{py:func}`jax.vmap` {doc}`../guide/cost` {doc}`and/or <cost>` {glue:text}`n`"
        assert plain_markdown(source, {"n": "3"}) == "`jax.vmap` cost and/or 3"

    def test_it_is_readable(self) -> None:
        """Without the cells that the page does not show, and with those that a reader needs."""
        numbers = shown(**{"application_papermill.record/text_plain": "'3'"})
        numbers.metadata = {
            "scrapbook": {"name": "n", "mime_prefix": "application/papermill.record/"}
        }
        page = nbformat.v4.new_notebook(
            cells=[
                cell("glue('n', 3)", numbers, tags=("remove-cell",)),
                cell("It is {glue:text}`n`.", kind="markdown"),
                cell("1 + 1", printed("2")),
            ]
        )
        made = readable(page, "https://github.com/some/where")
        assert [made_cell.source.partition("\n")[0] for made_cell in made.cells] == [
            INSTALL,
            "import importlib.util",
            "It is 3.",
            "1 + 1",
        ]
        assert [made_cell.id for made_cell in made.cells] == [
            "install",
            "setup",
            "cell-0",
            "cell-1",
        ]


class TestLab:
    """Notebooks to run and to edit."""

    @pytest.fixture(name="source")
    def _source(self, tmp_path: Path) -> Path:
        """Return a folder with a notebook."""
        path = tmp_path / "source" / "guide" / "page.ipynb"
        path.parent.mkdir(parents=True)
        nbformat.write(nbformat.v4.new_notebook(cells=[cell("1 + 1")]), path)
        return tmp_path / "source"

    def test_all_are_laid_out_and_brought_up_to_date(self, source: Path, tmp_path: Path) -> None:
        """A notebook that was only run is replaced by a newer one."""
        target = tmp_path / "target"
        assert lay_out(source, target) == []
        copy = target / "guide" / "page.ipynb"
        ran = nbformat.read(copy, as_version=4)
        ran.cells[0].outputs = [printed("2")]
        nbformat.write(ran, copy)
        newer = nbformat.v4.new_notebook(cells=[cell("2 + 2")])
        nbformat.write(newer, source / "guide" / "page.ipynb")
        assert lay_out(source, target) == []
        assert nbformat.read(copy, as_version=4).cells[0].source == "2 + 2"
        assert [path.name for path in (target / "guide").iterdir()] == ["page.ipynb"]

    def test_what_the_reader_changed_is_kept(self, source: Path, tmp_path: Path) -> None:
        """Edited, or no notebook any more: it is the reader's."""
        target = tmp_path / "target"
        lay_out(source, target)
        copy = target / "guide" / "page.ipynb"
        edited = nbformat.read(copy, as_version=4)
        edited.cells[0].source = "my own"
        nbformat.write(edited, copy)
        assert lay_out(source, target) == [copy]
        assert nbformat.read(copy, as_version=4).cells[0].source == "my own"
        copy.write_text("not a notebook")
        assert lay_out(source, target) == [copy]
        assert copy.read_text() == "not a notebook"


def cell(source: str, *outputs: Any, kind: str = "code", tags: tuple[str, ...] = ()) -> Any:
    """Return a notebook's cell."""
    if kind == "markdown":
        return nbformat.v4.new_markdown_cell(source)
    made = nbformat.v4.new_code_cell(source, outputs=[*outputs])
    made.metadata["tags"] = [*tags]
    return made


def printed(text: str) -> Any:
    """Return what a cell has printed."""
    return nbformat.v4.new_output("stream", text=text)


def shown(**data: str) -> Any:
    """Return what a cell shows."""
    mime = {kind.replace("_", "/"): text for kind, text in data.items()}
    return nbformat.v4.new_output("display_data", data=mime)


PAGE = (
    '<head><meta charset="utf-8"/></head><script src="a.js"></script><script>run()</script>'
    '<style>p{}</style><p>style="kept"</p>'
)


class TestPolicy:
    """A security policy on every page."""

    def test_inline_scripts_and_styles_have_their_hashes(self) -> None:
        """What stands on the page may run by its hash, and nothing else may."""
        rules, matches = policy(PAGE)
        for kind, text in (("script", b"run()"), ("style", b"p{}")):
            digest = base64.b64encode(hashlib.sha256(text).digest()).decode()
            assert f"{kind}-src 'self' 'sha256-{digest}';" in rules
        assert matches == {"inline script": 1, "inline style": 1}
        other, _ = policy(PAGE.replace("run()", "hack()"))
        hashes = re.compile(r"(?:script|style)-src 'self' 'sha256-([^']+)'")
        scripts, styles = hashes.findall(rules)
        other_scripts, other_styles = hashes.findall(other)
        assert scripts != other_scripts
        assert styles == other_styles

    def test_nothing_is_unsafe(self) -> None:
        """Neither scripts nor styles."""
        assert "unsafe" not in policy(PAGE)[0]
        assert "default-src 'none'" in policy(PAGE)[0]

    def test_it_comes_first_and_once(self) -> None:
        """Before anything is loaded; a page that has one already gets it anew."""
        page, _ = secured(PAGE, "page.html")
        assert page.index("Content-Security-Policy") < page.index("<script")
        assert secured(page, "page.html")[0] == page
        changed, _ = secured(page.replace("run()", "other()"), "page.html")
        assert changed.count("Content-Security-Policy") == 1
        assert policy(PAGE.replace("run()", "other()"))[0] in changed

    @pytest.mark.parametrize(
        ("page", "said"),
        [
            (PAGE.replace("<meta", "<meat"), "no `<meta charset>`"),
            (PAGE + "<script>unclosed()", "a script or a stylesheet that"),
            (PAGE + '<p style="color: red">', 'forbids <p style="color: red"'),
            (PAGE, ""),
        ],
        ids=["charset", "script", "style", "nothing"],
    )
    def test_a_gap(self, page: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is a warning with the page's name."""
        warnings: list[str] = []
        monkeypatch.setattr(
            "guide_site.finish.warn", lambda *told: warnings.append(": ".join(told))
        )
        secured(page, "page.html")
        assert [warning[:11] for warning in warnings] == (["page.html: "] if said else [])
        assert said in "".join(warnings)


class TestAmendments:
    """What the theme leaves out."""

    @pytest.mark.parametrize(
        ("page", "expected"),
        [
            (
                '<p class="caption" role="heading">',
                '<p class="caption" role="heading" aria-level="2">',
            ),
            ('<th class="head text-left"><p></p></th>', '<td class="corner"></td>'),
            ('<th class="head"></th>', '<td class="corner"></td>'),
            ('<th class="head"><p>A</p></th>', '<th class="head"><p>A</p></th>'),
            ("<td></td>", "<td></td>"),
            (
                '<summary aria-label="Toggle hidden content">\n<p class="collapsed x">',
                '<summary>\n<p class="collapsed x">',
            ),
            (
                '<aside class="sidebar-drawer">',
                '<aside class="sidebar-drawer" aria-label="All pages">',
            ),
            (
                '<aside class="toc-drawer no-toc">',
                '<aside class="toc-drawer no-toc" aria-label="This page">',
            ),
            (
                '<div class="content-icon-container">',
                '<div class="content-icon-container" role="region" aria-label="Source and theme">',
            ),
            (
                '<svg xmlns="x" style="display: none;">',
                '<svg xmlns="x" display="none">',
            ),
            ('<line style="opacity: 50%" x1="1">', '<line opacity="50%" x1="1">'),
        ],
    )
    def test_amendments(self, page: str, expected: str) -> None:
        """Levels of headings, names of landmarks; twice is once, and matches as well."""
        once, matches = amended(page, AMENDMENTS)
        assert once == expected
        twice, again = amended(once, AMENDMENTS)
        assert (twice, again) == (once, matches)
        assert sum(matches.values()) == int("A" not in page and page != "<td></td>")


class TestSitemap:
    """Addresses of pages, for search engines."""

    def test_addresses(self) -> None:
        """Each once, escaped, in a file that XML can read."""
        made = sitemap(["https://pages.example/a.html", "https://pages.example/?a&b"])
        urls = ET.fromstring(made.encode())  # noqa: S314 - our own.
        found = [location.text for location in urls.iter() if location.tag.endswith("}loc")]
        assert found == ["https://pages.example/a.html", "https://pages.example/?a&b"]

    def test_only_where_there_are_addresses(self, site: Path) -> None:
        """A local build, which knows no address, has no sitemap."""
        assert not (site / "sitemap.xml").exists()
