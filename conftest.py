"""Examples as tests: the `>>>` blocks in docstrings, in Markdown files and on the pages.

`nox -s doctest` collects them. pytest's own tests are in tests/ and are not touched by this.
"""

from doctest import ELLIPSIS, NORMALIZE_WHITESPACE

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser
from sybil.parsers.rest import DocTestParser


OPTIONS = ELLIPSIS | NORMALIZE_WHITESPACE

docstrings = Sybil(parsers=[DocTestParser(OPTIONS)], patterns=["*.py"], path="src")
markdown = Sybil(
    parsers=[PythonCodeBlockParser(doctest_optionflags=OPTIONS)],
    patterns=["*.md"],
    excludes=["**/_build/**", ".nox/**"],
)

pytest_collect_file = (docstrings + markdown).pytest()


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Listings are broken at the width of the terminal: let it be the same everywhere."""
    monkeypatch.setenv("COLUMNS", "88")
