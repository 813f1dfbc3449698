"""The words that lead to a heading, and what is made of them."""

from types import SimpleNamespace
from typing import Any

from docutils.core import publish_doctree
from guide_site.search_words import KEPT, add_entries, complete, entries_of, phrases
from sphinx import addnodes


PAGE = """
Loops
=====

text

Who waits
---------

text
"""


def page() -> Any:
    """Return a page with a heading."""
    return publish_doctree(PAGE, settings_overrides={"doctitle_xform": False})


class TestPhrases:
    """They stand between commas."""

    def test_what_stands_between_commas(self) -> None:
        """What stands between commas is a phrase, each once and in one line."""
        assert phrases("hang, never\n    returns, hang, ,") == ["hang", "never returns"]


class TestEntries:
    """They are entries of Sphinx's index."""

    def test_of_a_heading_and_of_the_page(self) -> None:
        """An entry leads to its heading, and those of the page to the page."""
        doctree = page()
        assert add_entries(doctree, {"who-waits": "idle, waste", "page": "iterate"}) == []
        entries = [entry for node in doctree.findall(addnodes.index) for entry in node["entries"]]
        assert sorted((value, target, main) for _, value, target, main, _ in entries) == [
            ("idle", "who-waits", "main"),
            ("iterate", "", "main"),
            ("waste", "who-waits", "main"),
        ]

    def test_a_heading_that_is_not_there(self) -> None:
        """It is told, and the others are not lost."""
        doctree = page()
        assert add_entries(doctree, {"who-went": "gone", "who-waits": "idle"}) == ["who-went"]
        assert len([*doctree.findall(addnodes.index)]) == 1
        assert add_entries(publish_doctree("no heading"), {"page": "word"}) == ["page"]

    def test_they_say_nothing(self) -> None:
        """To readers: the text of the page is what it was."""
        doctree = page()
        before = doctree.astext().split()
        add_entries(doctree, {"who-waits": "idle", "page": "iterate"})
        assert doctree.astext().split() == before

    def test_as_search_has_them(self) -> None:
        """Each once, sorted, and without the form in which the page has them."""
        doctree = page()
        add_entries(doctree, {"who-waits": "waste, idle", "page": "iterate"})
        term = ("single", "tracer", "term-tracer", "main", "t")
        doctree += addnodes.index(entries=[term, term, ("single", "f() (in m)", None, "", None)])
        assert entries_of(doctree) == [
            ("f() (in m)", "", ""),
            ("idle", "who-waits", "main"),
            ("iterate", "", "main"),
            ("tracer", "term-tracer", "main"),
            ("waste", "who-waits", "main"),
        ]


class TestComplete:
    """Search keeps the entries of pages that are not written again."""

    def app(self, written: dict[str, Any] | None) -> Any:
        """Return what the extension asks of Sphinx, with a page that was written and one kept."""
        metadata = {"a": {KEPT: [("old", "", "main")]}, "b": {KEPT: [("old", "", "main")]}, "c": {}}
        indexer = None if written is None else SimpleNamespace(_index_entries=written)
        builder = SimpleNamespace(indexer=indexer, search=indexer is not None)
        environment = SimpleNamespace(metadata=metadata, all_docs={"c": 0, "b": 0, "a": 0})
        return SimpleNamespace(builder=builder, env=environment)

    def test_what_was_written_and_what_was_kept(self) -> None:
        """New entries count; of a page that is no more, none; and the order is that of names."""
        written = {"b": [("new", "", "main")], "gone": [("old", "", "main")]}
        assert [*complete(self.app(written))] == []
        assert [*written.items()] == [
            ("a", [("old", "", "main")]),
            ("b", [("new", "", "main")]),
            ("c", []),
        ]

    def test_a_builder_without_search(self) -> None:
        """A builder that has no search gets no entries."""
        assert [*complete(self.app(None))] == []
