"""Reports as text and as HTML: pure functions of plain data."""

import re

import pytest
from hostile_names import HOSTILE, assert_is_text
from markup_tree import Tree

from vmapguide._show.report import Report, Row, Table, Verdict, report_html, report_text
from vmapguide._show.tokens import Token


LONG = "what is said here is longer than any line that it may stand on, " * 4
TABLE = Table(
    ("line", "FLOPs", "share"),
    (
        Row(("first", "1,234", "90%")),
        Row(((Token("a"), Token(" = "), Token("add", "primitive")), "5", ""), faded=True),
    ),
    frozenset({1}),
    caption="a caption",
)
REPORT = Report(
    "title f",
    "x: float32[3]",
    (
        Verdict("yes", "same numbers", "all"),
        Verdict("no", "same jaxpr"),
        Verdict("unknown", "q", LONG),
    ),
    (TABLE,),
    ("a note", LONG),
)


class TestText:
    """A report in a terminal."""

    def test_all_is_said(self) -> None:
        """Title, call, answers, cells, notes."""
        text = report_text(REPORT, 100)
        for part in ("title f   x: float32[3]", "= same numbers   yes: all", "≠ same jaxpr", "? q"):
            assert part in text
        assert "a caption" in text
        assert " ".join(text.split()).count("what is said here") == 8

    @pytest.mark.parametrize("width", [40, 60, 100, 200])
    def test_width(self, width: int) -> None:
        """No line is wider than it may be, and none ends in spaces."""
        lines = report_text(REPORT, width).split("\n")
        assert max(map(len, lines)) <= width
        assert lines == [line.rstrip() for line in lines]

    def test_columns(self) -> None:
        """Numbers are aligned on the right, texts on the left."""
        lines = report_text(Report("t", tables=(TABLE,)), 80).split("\n")
        assert lines[3:] == [
            "  line      FLOPs   share",
            "  first     1,234   90%",
            "  a = add       5",
        ]

    def test_answers_hang(self) -> None:
        """What is behind an answer stands below its beginning; questions are equally wide."""
        verdicts = (Verdict("no", "ab", "one two three four five"), Verdict("yes", "abcd"))
        lines = report_text(Report("t", verdicts=verdicts), 32).split("\n")
        assert lines[2:] == [
            "  ≠ ab     no: one two three",
            "           four five",
            "  = abcd   yes",
        ]

    def test_no_head(self) -> None:
        """A table without titles has no line for them; a cell may be empty."""
        table = Table(("", ""), (Row(("a", "")), Row(("", "b"))))
        assert report_text(Report("t", tables=(table,)), 80).split("\n")[2:] == ["  a", "      b"]

    def test_only_a_title(self) -> None:
        """What is not there leaves no empty line."""
        assert report_text(Report("t"), 80) == "t"
        assert report_text(Report("t", notes=("n",)), 80) == "t\n\nn"

    def test_numbers_in_a_narrow_table(self) -> None:
        """The text gives way, and every number stays on the right of its column."""
        rows = (Row(("some words that are long", "7")), Row(("b", "1,234")))
        table = Table(("what", "count"), rows, frozenset({1}))
        lines = report_text(Report("t", tables=(table,)), 26).split("\n")
        assert lines[2:] == [
            "  what               count",
            "  some words that        7",
            "    are long",
            "  b                  1,234",
        ]

    def test_indentation_is_kept(self) -> None:
        """A cell that is broken hangs below its own beginning."""
        table = Table(("",), (Row(("  one two three four",)),))
        lines = report_text(Report("t", tables=(table,)), 20).split("\n")
        assert lines[2:] == ["    one two three", "      four"]

    def test_a_word_that_is_too_long(self) -> None:
        """It is broken, not let out."""
        table = Table(("",), (Row(("x" * 95,)),))
        lines = report_text(Report("t", tables=(table,)), 42).split("\n")
        assert max(map(len, lines)) <= 42
        assert "".join(lines).count("x") == 95

    def test_a_wide_cell_gives_way(self) -> None:
        """The widest column is broken, the others stay whole."""
        table = Table(("", ""), (Row((LONG, "short")),))
        lines = report_text(Report("t", tables=(table,)), 60).split("\n")
        assert lines[2].endswith("short")
        assert "".join(lines[2:]).count("what") == 4


class TestHtml:
    """A report in a notebook and on the site."""

    def test_it_is_well_formed_and_brings_its_style(self) -> None:
        """Every tag is closed; the stylesheet and the script are there, once."""
        html = report_html(REPORT)
        counts = Tree(html).counts
        assert (counts["style"], counts["script"]) == (1, 1)
        assert counts["tr"] == 3
        assert 'tr role="row" class="vg-faded"' in html

    def test_answers_have_signs_and_words(self) -> None:
        """None is told by its colour alone."""
        html = report_html(REPORT)
        assert re.findall(r'aria-hidden="true">(.)</span>', html) == ["=", "≠", "?"]
        for word in ("yes", "no", "unknown"):
            assert re.search(rf"<span>{word}[:<]", html)

    @pytest.mark.parametrize("evil", HOSTILE)
    def test_everything_is_escaped(self, evil: str) -> None:
        """Names and keys of the user's are text, wherever they stand."""
        table = Table((evil,), (Row((evil,)), Row(((Token(evil),),))), caption=evil)
        report = Report(evil, evil, (Verdict("no", evil, evil),), (table,), (evil,))
        html = report_html(report)
        assert_is_text(evil, html)
        # Title, call, question, reason, caption, head, two cells, note; and the label.
        tree = Tree(html)
        assert tree.text.count(evil) == 9
        assert evil in tree.values("aria-label")

    def test_it_is_self_contained(self) -> None:
        """Nothing is loaded from anywhere."""
        html = report_html(REPORT)
        assert not re.findall(r"https?://(?!www\.w3\.org/)|\bsrc=|\bhref=|@import|url\(", html)

    def test_nothing_is_left_empty(self) -> None:
        """A list, a head or a caption that has nothing in it is not there."""
        html = report_html(Report("t", tables=(Table(("",), (Row(("a",)),)),)))
        for tag in ("<ul", "<thead", "<caption", "vg-foot"):
            assert tag not in html.partition("</style>")[2]

    def test_numbers_are_on_the_right(self) -> None:
        """In the head and in every row, in their columns alone."""
        html = report_html(Report("t", tables=(TABLE,))).partition("</style>")[2]
        assert html.count('class="vg-right"') == 3
        assert 'class="vg-right">1,234</td>' in html
        assert 'class="vg-right">FLOPs</th>' in html
