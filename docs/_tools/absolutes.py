"""List the sentences of the guide that leave no exception: who writes one tries to refute it.

`python docs/_tools/absolutes.py [FILE ...]` prints them, each with its file and line. Without files
it reads all pages, the README, CONTRIBUTING and the docstrings of the package.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path


ROOT = Path(__file__).parents[2]

# Words that leave no exception.
ABSOLUTE = re.compile(
    r"\b(?:only|never|always|exactly|nothing|no other|whatever|character for character"
    r"|to the last bit|identical(?:ly)?|every|everything|anything|any|none|cannot)\b",
    re.IGNORECASE,
)

# What is not prose: the header of a page, blocks of code, lines of options.
NO_PROSE = re.compile(
    r"\A---\n.*?^---$|^(?P<fence>`{3,}).*?^(?P=fence)$|^:[\w-]+:.*?$|^:{3,}.*?$",
    re.MULTILINE | re.DOTALL,
)

# A sentence ends where another begins: a capital letter, a code, a new paragraph or item.
END = re.compile(
    r"(?<=[.?!])[*_)\"]*\s+(?=[A-Z`*{\[(\"])|\n\s*\n|\n(?=\s*(?:[-*]|\d+\.)\s)|\n(?=\|)"
)


def sentences(text: str) -> Iterator[tuple[int, str]]:
    """Yield the sentences of a text, each with the number of the line on which it begins."""
    start = 0
    for end in [*END.finditer(text), None]:
        sentence = text[start : end.start() if end else len(text)]
        if words := " ".join(sentence.split()):
            before = text[: start + len(sentence) - len(sentence.lstrip())]
            yield before.count("\n") + 1, words
        start = end.end() if end else start


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the texts of a file, each with the number of its first line."""
    text = path.read_text("utf-8")
    if path.suffix != ".py":
        # Blank lines in their places, so that the others keep their numbers.
        yield 1, NO_PROSE.sub(lambda match: "\n" * match[0].count("\n"), text)
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            docstring = ast.get_docstring(node, clean=False)
            if docstring:
                yield node.body[0].lineno, docstring


def absolutes(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the sentences of a file that leave no exception, with their lines."""
    for first, text in prose(path):
        for line, sentence in sentences(text):
            if ABSOLUTE.search(sentence):
                yield first + line - 1, sentence


def files() -> list[Path]:
    """Return what a reader reads: pages, the README, CONTRIBUTING, docstrings."""
    pages = [path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts]
    texts = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(pages)]
    return [*texts, *sorted((ROOT / "src").rglob("*.py"))]


if __name__ == "__main__":
    for file in map(Path, sys.argv[1:]) if sys.argv[1:] else files():
        for number, found in absolutes(file):
            shown = file.resolve()
            shown = shown.relative_to(ROOT) if shown.is_relative_to(ROOT) else shown
            sys.stdout.write(f"{shown}:{number}: {found}\n")
