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
from accessibility import amended
from docutils import nodes
from docutils.core import publish_doctree
from epub import amended as as_xhtml
from figures import themed
from html_pages import parsed
from lab import lay_out
from llms import cell_parts
from mathml import mathml
from notebooks import plain_markdown
from page_facts import CODE_LINES, WORDS, facts_line, reading_minutes, summary
from security import policy, secured, without_styles
from sitemap import sitemap
from terms import explained


DOCS = Path(__file__).parent.parent.parent / "docs"


class TestMathml:
    """Formulas are MathML."""

    def test_inline_and_display(self) -> None:
        """A formula in a line, and one on its own."""
        inline = mathml(nodes.math("", "x^2"))
        assert re.search(r'<math [^>]*display="inline"', inline)
        assert "<msup>" in inline
        assert 'display="block"' in mathml(nodes.math_block("", r"\frac{1}{n}"))

    def test_the_source_is_its_alternative_text(self) -> None:
        """Escaped."""
        assert 'alttext="a &lt; &quot;b&quot;"' in mathml(nodes.math("", 'a < "b"'))

    @pytest.mark.parametrize("source", [r"\frac{", r"\fracc{1}{2}", r"\text{a<b}"])
    def test_what_is_no_formula(self, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """It stays readable, and the build is warned."""
        warnings: list[Any] = []
        monkeypatch.setattr("mathml.logger.warning", lambda *told, **_: warnings.append(told))
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
        assert summary(page) == "Why this?"
        assert summary(publish_doctree("")) == ""


class TestTerms:
    """What a term means stands beside it."""

    def test_the_definition_belongs_to_the_link(self) -> None:
        """It is escaped, it is a tooltip, and it describes the link."""
        words = nodes.inline("", "batch axis", classes=["std-term"])
        link = nodes.reference("", "", words, refuri="glossary.html#term-batch-axis")
        opening, middle, closing = explained(link, "definition-3", "An axis <B>.")
        assert 'href="glossary.html#term-batch-axis" aria-describedby="definition-3"' in (
            opening.astext()
        )
        assert middle is words
        assert 'role="tooltip" id="definition-3">An axis &lt;B&gt;.</span>' in closing.astext()

    def test_a_term_on_the_glossarys_own_page(self) -> None:
        """Its link leads to a place on the page."""
        link = nodes.reference("", "jaxpr", refid="term-jaxpr")
        assert 'href="#term-jaxpr"' in explained(link, "d", "A record.")[0].astext()


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
        extensions = ["myst_parser", "sphinx_codeautolink", "code_links"]
        path = f"import sys\nsys.path.insert(0, {str(DOCS / '_ext')!r})\n"
        (tmp_path / "conf.py").write_text(f"{path}extensions = {extensions}\n")
        (tmp_path / "index.md").write_text(CODE)
        for title in ("before", "after", "at last"):
            (tmp_path / "other.md").write_text(f"# {title}")
            command = [sys.executable, "-m", "sphinx", str(tmp_path), str(tmp_path / "html")]
            done = subprocess.run(command, check=True, capture_output=True, encoding="utf-8")
            assert title == "before" or "0 added, 1 changed" in done.stdout
            page = parsed(tmp_path / "html" / "index.html")
            assert page.find("a", string=title)
            assert page.select('a.sphinx-codeautolink-a[href$="#json.dumps"]')


class TestEpub:
    """Pages as XHTML."""

    def test_summaries_have_no_paragraphs(self) -> None:
        """One of the two texts is kept: a book's page does not change its words."""
        fold = (
            '<details><summary aria-label="x">\n<p class="collapsed">Show</p>\n'
            '<p class="expanded">Hide</p>\n</summary>text</details>'
        )
        assert as_xhtml(fold) == "<details><summary>Show</summary>text</details>"

    def test_nothing_folds_within_a_line(self) -> None:
        """A long parameter is shown whole."""
        line = '<span>[<details class="vg-long"><summary>…</summary>axes=(0,)</details>]</span>'
        assert as_xhtml(line) == "<span>[axes=(0,)]</span>"

    def test_drawings_say_what_they_are(self) -> None:
        """XHTML knows no svg without a namespace; one is enough."""
        drawing = as_xhtml('<svg class="a"></svg>')
        assert drawing == '<svg xmlns="http://www.w3.org/2000/svg" class="a"></svg>'
        assert as_xhtml(drawing) == drawing


class TestFigures:
    """Drawings that follow the theme and stand side by side."""

    DRAWING = (
        '<svg viewBox="0 0 2 1"><path id="a" d="M0 0" style="fill: #ffffff"/>'
        '<use href="#a" style="fill: #000000"/><text>plain</text>'
        '<text style="fill: #ff0000">red</text><text style="fill: #ffffff">white</text></svg>'
    )

    def test_colours(self) -> None:
        """Black is the ink and a white area is the paper; text that has a colour keeps it."""
        drawing = without_styles(themed(self.DRAWING, "A drawing."))
        assert 'fill="currentColor"/>' in drawing
        assert '<text fill="currentColor">plain' in drawing
        assert '<text fill="#ff0000">red' in drawing
        assert '<text fill="#ffffff">white' in drawing
        assert 'd="M0 0" fill="none"' in drawing
        for tag in re.findall(r"<[^>]*>", drawing):
            assert tag.count("fill=") <= 1

    def test_references(self) -> None:
        """Each refers to itself, and not to another drawing of the page."""
        one, other = (themed(self.DRAWING.replace("plain", text), "") for text in ("1", "2"))
        for drawing in (one, other):
            (name,) = re.findall(r'\bid="([^"]+)"', drawing)
            assert f'href="#{name}"' in drawing
        assert re.findall(r'\bid="([^"]+)"', one) != re.findall(r'\bid="([^"]+)"', other)


class TestNotebooks:
    """Markdown that Jupyter shows as well."""

    def test_roles(self) -> None:
        """Names as code, pages by their names or as they are called, numbers as they are."""
        source = "{py:func}`jax.vmap` {doc}`../guide/cost` {doc}`and/or <cost>` {glue:text}`n`"
        assert plain_markdown(source, {"n": "3"}) == "`jax.vmap` cost and/or 3"


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


class TestLlms:
    """Cells with what they print."""

    def test_code_and_outputs(self) -> None:
        """Text as text, errors by name and message, tables as tables."""
        error = nbformat.v4.new_output("error", ename="E", evalue="no", traceback=["\x1b[31mE"])
        parts = [*cell_parts(cell("f()", printed("out\n"), shown(text_plain="3"), error), {})]
        assert parts == [
            "```python\nf()\n```",
            "```text\nout\n```",
            "```text\n3\n```",
            "```text\nE: no\n```",
        ]
        table = shown(text_plain="<object>", text_markdown="| a |\n|--|")
        assert [*cell_parts(cell("t", table), {})][1] == "| a |\n|--|"

    def test_what_the_page_hides(self) -> None:
        """It is hidden here, too; what is folded is not."""
        assert [*cell_parts(cell("x", printed("y"), tags=("remove-cell",)), {})] == []
        assert [*cell_parts(cell("x", printed("y"), tags=("remove-input",)), {})] == [
            "```text\ny\n```"
        ]
        assert len([*cell_parts(cell("x", printed("y"), tags=("hide-cell",)), {})]) == 2

    def test_text(self) -> None:
        """Roles and directives mean nothing outside of Sphinx."""
        source = "See {py:func}`jax.vmap`.\n\n:::{card} Title\n:link: x\n\nText.\n:::\n"
        (text,) = cell_parts(cell(source, kind="markdown"), {})
        fenced = "```python\n:::x\n:a: b\n```"
        assert [*cell_parts(cell(f"```{{toctree}}\na\n```\n{fenced}", kind="markdown"), {})] == [
            fenced
        ]
        assert "See `jax.vmap`." in text
        assert "Text." in text
        assert ":::" not in text
        assert ":link:" not in text


PAGE = (
    '<head><meta charset="utf-8"/></head><script src="a.js"></script><script>run()</script>'
    '<style>p{}</style><svg><g style="fill: none; stroke-width: 2"/></svg><p>style="kept"</p>'
)


class TestSecurity:
    """A policy on every page."""

    def test_inline_scripts_have_their_hashes(self) -> None:
        """And no other script may run."""
        digest = base64.b64encode(hashlib.sha256(b"run()").digest()).decode()
        assert f"script-src 'self' 'sha256-{digest}';" in policy(PAGE)
        other = policy(PAGE.replace("run()", "hack()"))
        assert digest not in other

    def test_nothing_is_unsafe(self) -> None:
        """Neither scripts nor styles."""
        assert "unsafe" not in policy(PAGE)
        assert "default-src 'none'" in policy(PAGE)

    def test_styles_of_drawings_are_attributes(self) -> None:
        """They look the same; texts that only look like styles stay."""
        page = secured(PAGE)
        assert '<g fill="none" stroke-width="2"/>' in page
        assert '<p>style="kept"</p>' in page
        assert page.index("Content-Security-Policy") < page.index("<script")


class TestAccessibility:
    """What the theme leaves out."""

    def test_amendments(self) -> None:
        """Levels of headings, names of landmarks; twice is once."""
        page = (
            '<p class="caption" role="heading"></p><summary aria-label="Toggle hidden content">'
            '<aside class="sidebar-drawer"><aside class="toc-drawer no-toc">'
            '<div class="content-icon-container">'
        )
        once = amended(page)
        assert 'role="heading" aria-level="2"' in once
        assert 'class="sidebar-drawer" aria-label="All pages"' in once
        assert 'class="content-icon-container" role="region"' in once
        assert 'class="toc-drawer no-toc" aria-label="This page"' in once
        assert "<summary>" in once
        assert amended(once) == once

    def test_the_corner_of_a_table(self) -> None:
        """A heading without a word is none."""
        page = '<th class="head text-left"><p></p></th><th class="head"><p>A</p></th>'
        assert amended(page) == '<td></td><th class="head"><p>A</p></th>'


class TestSitemap:
    """Addresses of pages, for search engines."""

    def test_addresses(self) -> None:
        """Each once, escaped, in a file that XML can read."""
        made = sitemap(["https://pages.example/a.html", "https://pages.example/?a&b"])
        urls = ET.fromstring(made.encode())  # noqa: S314 - our own.
        found = [location.text for location in urls.iter() if location.tag.endswith("}loc")]
        assert found == ["https://pages.example/a.html", "https://pages.example/?a&b"]

    def test_only_where_there_are_addresses(self, site: Path) -> None:
        """A local build has none."""
        assert not (site / "sitemap.xml").exists()
