"""An explanation as text: below each line of code two columns, and notes.

Start with `explanation_text`; `coloured` adds the colours of a terminal.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence

from vmapguide._data import Equation, Finding
from vmapguide._show import explanation
from vmapguide._show.explanation import HEADINGS, ExplanationView, Group, Row
from vmapguide._show.explanation_summary import NOTHING_FOUND, folded, place, summary
from vmapguide._show.tokens import equation_tokens
from vmapguide._show.words import sharded_text
from vmapguide._show.wrap import broken


# Equations stand this far in, and columns of text this far apart.
_INDENT, _GAP = 4, 3

# A column is never narrower than this, and indentation never takes more than half of one.
_NARROW = 16
_NARROWEST = _INDENT + 2 * (_NARROW + _GAP)


def explanation_text(view: ExplanationView, width: int, *, fold: bool = True) -> str:
    """Print a view as text of at most `width` characters a line, where that is possible."""
    width = max(width, _NARROWEST)
    lines = [*header_text(view, width), "", *findings_text(view, width), ""]
    lines += groups_text([*explanation.groups(view, fold=fold)], width, fold=fold)
    lines += ["", *textwrap.wrap(summary(view), width, break_on_hyphens=False)]
    return "\n".join(line.rstrip() for line in lines)


def groups_text(groups: Sequence[Group], width: int, *, fold: bool) -> Iterator[str]:
    """Yield groups of rows: below each line of code two columns, and notes."""
    width = max(width, _NARROWEST)
    shown = [row for g in groups for i, row in enumerate(g.rows) if i not in g.folded]
    notes = [len(_note(made)) for row in shown for made in explanation.made(row, fold=fold)]
    room = width - _INDENT - 2 * _GAP - max(notes, default=0)
    widest = max((len(_plain(row.equation)) + 2 * row.depth for row in shown), default=0)
    left = max(min(widest, room // 2), _NARROW)
    printer = _Printer(width, left, max(room - left, _NARROW), fold=fold)
    yield HEADINGS[0]
    yield f"{'':{_INDENT}}{HEADINGS[1]:<{left}}{'':{_GAP}}{HEADINGS[2]}"
    for group in groups:
        yield ""
        yield from printer.group(group)


def header_text(view: ExplanationView, width: int) -> Iterator[str]:
    """Yield what was called, the types, and the sizes of the batch axes."""
    sizes = "  ".join(f"{letter} = {size}" for letter, size in view.sizes.items())
    types = "".join(token.text for token in explanation.signature(view))
    head = [part for part in (f"vmap({view.name})  {view.call}", types, sizes) if part]
    on_one_line = "   ".join(head)
    if len(on_one_line) <= width:
        yield on_one_line
    else:
        for part in head:
            yield from broken(part, width, hang=2)
    if view.sharded:
        yield from broken(sharded_text(view.sharded), width, hang=2)


class _Printer:
    """Prints groups: columns of two widths."""

    def __init__(self, width: int, left: int, right: int, *, fold: bool) -> None:
        self.width, self.left, self.right, self.fold = width, left, right, fold

    def group(self, group: Group) -> Iterator[str]:
        """Yield a line of code and, in two columns, what was made of it."""
        several = len({row.source for row in group.rows if row.own}) > 1
        if group.place:
            yield group.place
        if group.source is None:
            yield "out_axes" if group.rows[0].kind == "out_axes" else "(no source)"
        else:
            several |= not self.fits(group)
            yield from self.code(group, alone=not several)
        previous = None
        for i, row in enumerate(group.rows):
            if i in group.folded:
                continue
            if several and row.source != previous and row.source:
                first, *rest = row.source.expression.split("\n")
                yield from broken(f"  > {first}{' …' if rest else ''}", self.width, hang=6)
            previous = row.source
            yield from self.columns(row)
        if group.folded:
            yield from broken(f"{'':{_INDENT}}({folded(group)})", self.width, hang=_INDENT + 1)

    def fits(self, group: Group) -> bool:
        """Say whether the lines of code have room for what is to be underlined."""
        assert group.source is not None  # noqa: S101 - the caller has looked.
        lines = group.source.text.split("\n")
        return len(str(group.source.end_line)) + 2 + max(map(len, lines)) <= self.width

    def code(self, group: Group, *, alone: bool) -> Iterator[str]:
        """Yield the lines of code; if one part of them made all the equations, it is underlined."""
        assert group.source is not None  # noqa: S101 - the caller has looked.
        gutter = len(str(group.source.end_line))
        for number, row, start, end in explanation.underlined(group.source):
            indentation = len(row) - len(row.lstrip())
            numbered = f"{number:>{gutter}}  {row}"
            if len(numbered) <= self.width:
                yield numbered
            else:
                yield from broken(numbered, self.width, hang=gutter + indentation + 6)
            if alone and row[start:end] != row.strip():
                yield f"{'':>{gutter}}  {' ' * start}{'~' * (end - start)}"

    def columns(self, row: Row) -> Iterator[str]:
        """Yield the lines of a row: two columns and the notes, each broken at its own width."""
        indent = min(2 * row.depth, self.left // 2)
        lefts = broken(" " * indent + _plain(row.equation), self.left, hang=indent + 2)
        rights: list[tuple[str, str]] = []
        parts = explanation.made(row, fold=self.fold)
        label = f"({explanation.folded_label(parts)})" if any(made.folded for made in parts) else ""
        for made in parts:
            if made.folded:
                rights += [(part, "") for part in broken(label, self.right, hang=1) if label]
                label = ""
                continue
            lines = broken(_plain(made.equation), self.right, hang=2)
            rights += [(part, _note(made) if i == 0 else "") for i, part in enumerate(lines)]
        height = max(len(lefts), len(rights))
        lefts += [""] * (height - len(lefts))
        rights += [("", "")] * (height - len(rights))
        for one, (whole, note) in zip(lefts, rights, strict=True):
            columns = f"{one:<{self.left}}", f"{whole:<{self.right}}", note
            yield " " * _INDENT + (" " * _GAP).join(columns)


def findings_text(view: ExplanationView, width: int) -> Iterator[str]:
    """Yield the findings: each with its code, its line, what happens and what to do."""
    if not view.findings:
        yield NOTHING_FOUND
    for finding in view.findings:
        yield from finding_text(finding, place(view, finding), width)


def finding_text(finding: Finding, where: str, width: int) -> Iterator[str]:
    """Yield a finding: its code, its place, what happens and what to do."""
    hang = len(finding.code) + 2
    head = f"{finding.code}  {f'{where}: ' if where else ''}{finding.message}"
    yield from _wrapped(head, width, "", hang)
    yield from _wrapped(finding.remedy, width, f"{'→ ':>{hang}}", hang)


def _wrapped(text: str, width: int, start: str, hang: int) -> list[str]:
    return textwrap.wrap(
        text,
        width,
        initial_indent=start,
        subsequent_indent=" " * hang,
        break_on_hyphens=False,
    )


def _note(made: explanation.Made) -> str:
    return " ".join([made.note, *made.codes] if made.note else made.codes)


def _plain(eqn: Equation | None) -> str:
    return "".join(token.text for token in equation_tokens(eqn)) if eqn else ""


def coloured(text: str) -> str:
    """Return a printed view with a terminal's colours: axes, the user's lines, what is layout."""
    lines = []
    for line in text.split("\n"):
        # Equations stand further in than the number of a line of code. Of annotated source it is
        # the lines with findings.
        if re.match(rf" {{0,{_INDENT - 1}}}\d+  (?!│)| *\d+ [!i]│", line):
            lines.append(f"\x1b[1m{line}\x1b[0m")
        elif line.endswith("layout"):
            lines.append(f"\x1b[2m{line}\x1b[0m")
        else:
            # A capital letter alone among the sizes of a type is a batch axis.
            lines.append(re.sub(r"(?<=[\[,·])[B-H](?=[\],·])", "\x1b[33m\\g<0>\x1b[39m", line))
    return "\n".join(lines)
