"""Lay out reports of any kind, as text and as HTML: answers, tables with their columns, notes.

`check`, `compare`, `benchmark` and `cost` say what they found as a `Report`; `report_text` and
`report_html` print it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from vmapguide._show.markup import (
    Markup,
    joined,
    of_tokens,
    script_element,
    scrolling,
    style_element,
    tag,
)
from vmapguide._show.result import Shown
from vmapguide._show.tokens import Token


# A cell: plain text, or an equation's tokens.
Cell = str | tuple[Token, ...]

# Columns of text stand this far apart, and everything below a heading this far in.
_GAP, _INDENT = 3, 2

Answer = Literal["yes", "no", "unknown"]

# Every verdict and every mark has a shape, so that none is told by its colour alone.
SIGNS = {"yes": "=", "no": "≠", "unknown": "?"}


@dataclass(frozen=True)
class Verdict:
    """An answer, `yes`, `no` or `unknown`, to a question, and what is behind it."""

    answer: Answer
    question: str
    because: str = ""


@dataclass(frozen=True)
class Row:
    """A row of a table. `faded` rows matter less; `folded` are rows that this one stands for."""

    cells: tuple[Cell, ...]
    faded: bool = False
    folded: tuple[Row, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table. `right` has the numbers of the columns that are aligned to the right."""

    head: tuple[str, ...]
    rows: tuple[Row, ...]
    right: frozenset[int] = frozenset()
    caption: str = ""

    def shown(self, *, fold: bool) -> list[Row]:
        """Return the rows, or what they stand for."""
        return [*self.rows] if fold else [r for row in self.rows for r in row.folded or (row,)]


@dataclass(frozen=True)
class Report:
    """What was found: a title, what was called, answers, tables, notes."""

    title: str
    call: str = ""
    verdicts: tuple[Verdict, ...] = ()
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()


class Reported(Shown):
    """A result that is shown as a report."""

    def _as_report(self) -> Report:
        raise NotImplementedError

    def _text(self, width: int, *, fold: bool) -> str:
        return report_text(self._as_report(), width, fold=fold)

    def _html(self, *, fold: bool) -> str:
        return report_html(self._as_report(), fold=fold)


def report_text(report: Report, width: int, *, fold: bool = True) -> str:
    """Print a report as text, at most `width` characters wide where that is possible."""
    lines = [f"{report.title}   {report.call}".rstrip()]
    if report.verdicts:
        lines += ["", *_verdict_lines(report.verdicts, width)]
    for table in report.tables:
        lines += ["", *_table_lines(table, width, fold=fold)]
    for note in report.notes:
        lines += ["", *textwrap.wrap(note, width)]
    return "\n".join(line.rstrip() for line in lines)


def _verdict_lines(verdicts: tuple[Verdict, ...], width: int) -> Iterator[str]:
    longest = max(len(verdict.question) for verdict in verdicts)
    for verdict in verdicts:
        answer = f"{verdict.answer}: {verdict.because}" if verdict.because else verdict.answer
        start = f"{'':{_INDENT}}{SIGNS[verdict.answer]} {verdict.question:<{longest}}   "
        rest = textwrap.wrap(answer, max(width - len(start), 20))
        for i, line in enumerate(rest):
            yield f"{start if i == 0 else ' ' * len(start)}{line}"


def _table_lines(table: Table, width: int, *, fold: bool) -> Iterator[str]:
    if table.caption:
        yield table.caption
    rows = [tuple(map(_plain, row.cells)) for row in table.shown(fold=fold)]
    widths = _widths([table.head, *rows], width - _INDENT)
    for i, row in enumerate((table.head, *rows)):
        if i == 0 and not any(row):
            continue
        wrapped = [_wrapped(cell, w) for cell, w in zip(row, widths, strict=True)]
        for k in range(max(map(len, wrapped))):
            parts = [cell[k] if k < len(cell) else "" for cell in wrapped]
            aligned = [
                f"{part:>{w}}" if column in table.right else f"{part:<{w}}"
                for column, (part, w) in enumerate(zip(parts, widths, strict=True))
            ]
            yield " " * _INDENT + (" " * _GAP).join(aligned)


def _widths(rows: list[tuple[str, ...]], room: int) -> list[int]:
    """Return the columns' widths: the widest are narrowed until the table fits."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    room -= _GAP * (len(widths) - 1)
    while sum(widths) > room and max(widths) > 1:
        widest = max(widths)
        second = max((w for w in widths if w < widest), default=1)
        count = widths.count(widest)
        step = min(widest - second, -(-(sum(widths) - room) // count))
        widths = [w - step if w == widest else w for w in widths]
    return widths


def _wrapped(text: str, width: int) -> list[str]:
    """Break a cell at its spaces; what has to be broken hangs, and indentation is kept."""
    indent = " " * (len(text) - len(text.lstrip()))
    hang = min(len(indent) + 2, max(width - 8, 0))
    lines = textwrap.wrap(
        text.lstrip(),
        width,
        initial_indent=indent,
        subsequent_indent=" " * hang,
        break_on_hyphens=False,
    )
    return lines or [""]


def _plain(cell: Cell) -> str:
    return cell if isinstance(cell, str) else "".join(token.text for token in cell)


# -- HTML -------------------------------------------------------------------


def report_html(report: Report, *, fold: bool = True) -> Markup:
    """Print a report as one self-contained HTML element, with its stylesheet and script."""
    head = (tag("code", report.title), " ", tag("span", report.call, class_="vg-call"))
    whole = tag(
        "div",
        tag("div", *head, class_="vg-head"),
        *(
            [tag("ul", *map(_verdict, report.verdicts), class_="vg-verdicts")]
            * bool(report.verdicts)
        ),
        *(scrolling(_table(table, fold=fold), label=report.title) for table in report.tables),
        *(tag("p", note, class_="vg-foot") for note in report.notes),
        class_="vg vg-report",
    )
    return joined([style_element(), whole, script_element()])


def _verdict(verdict: Verdict) -> Markup:
    because = f": {verdict.because}" if verdict.because else ""
    return tag(
        "li",
        tag("span", SIGNS[verdict.answer], class_="vg-sign", aria_hidden="true"),
        " ",
        tag("b", verdict.question),
        " ",
        tag("span", f"{verdict.answer}{because}"),
        class_=f"vg-{verdict.answer}",
    )


def _table(table: Table, *, fold: bool) -> Markup:
    style = ["vg-right" if i in table.right else None for i in range(len(table.head))]
    # A header without a text is none.
    heads = (
        tag("th", title, role="columnheader", scope="col", class_=right)
        if title
        else tag("td", role="cell")
        for title, right in zip(table.head, style, strict=True)
    )
    rows = (
        tag(
            "tr",
            *(
                tag(
                    "td",
                    cell if isinstance(cell, str) else of_tokens(cell),
                    role="cell",
                    class_=right,
                )
                for cell, right in zip(row.cells, style, strict=True)
            ),
            role="row",
            class_="vg-faded" if row.faded else None,
        )
        for row in table.shown(fold=fold)
    )
    caption = [tag("caption", table.caption)] * bool(table.caption)
    thead = [tag("thead", tag("tr", *heads, role="row"), role="rowgroup")] * any(table.head)
    return tag("table", *caption, *thead, tag("tbody", *rows, role="rowgroup"), role="table")
