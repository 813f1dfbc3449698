"""Reports: what was found, in verdicts, tables and notes; as text and as HTML.

`check`, `compare`, `benchmark` and `cost` say what they found as one of these. Pure functions of
plain data, like `_render`, whose tokens the cells of a table may hold.
"""

from __future__ import annotations

import html as escape
import shutil
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from vmapguide._show.tokens import Token, script_element, style_element, tokens_html


# A cell: plain text, or an equation's tokens.
Cell = str | tuple[Token, ...]

# Columns of text stand this far apart, and everything below a heading this far in.
_GAP, _INDENT = 3, 2

# Every verdict and every mark has a shape, so that none is told by its colour alone.
SIGNS = {"yes": "=", "no": "≠", "unknown": "?"}


@dataclass(frozen=True)
class Verdict:
    """An answer, `yes`, `no` or `unknown`, to a question, and what is behind it."""

    answer: str
    question: str
    because: str = ""


@dataclass(frozen=True)
class Row:
    """A row of a table. `faded` rows matter less."""

    cells: tuple[Cell, ...]
    faded: bool = False


@dataclass(frozen=True)
class Table:
    """A table. `right` has the numbers of the columns that are aligned to the right."""

    head: tuple[str, ...]
    rows: tuple[Row, ...]
    right: frozenset[int] = frozenset()
    caption: str = ""


@dataclass(frozen=True)
class Report:
    """What was found: a title, what was called, answers, tables, notes."""

    title: str
    call: str = ""
    verdicts: tuple[Verdict, ...] = ()
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()


class Shown:
    """A result that is shown as a report: as text in a terminal, as HTML in a notebook."""

    def _as_report(self) -> Report:
        raise NotImplementedError

    def __str__(self) -> str:
        """Return the report as text, at most as wide as the terminal where it can be."""
        return report_text(self._as_report(), shutil.get_terminal_size((100, 24)).columns)

    def __repr__(self) -> str:
        """Return the same as `str`: a result is made to be looked at."""
        return str(self)

    def _repr_html_(self) -> str:
        return report_html(self._as_report())


def report_text(report: Report, width: int) -> str:
    """Print a report as text, at most `width` characters wide where that is possible."""
    lines = [f"{report.title}   {report.call}".rstrip()]
    if report.verdicts:
        lines += ["", *_verdict_lines(report.verdicts, width)]
    for table in report.tables:
        lines += ["", *_table_lines(table, width)]
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


def _table_lines(table: Table, width: int) -> Iterator[str]:
    if table.caption:
        yield table.caption
    rows = [tuple(map(_plain, row.cells)) for row in table.rows]
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


def report_html(report: Report) -> str:
    """Print a report as one self-contained HTML element, with its stylesheet and script."""
    title, call = escape.escape(report.title), escape.escape(report.call)
    verdicts = "".join(map(_verdict_html, report.verdicts))
    notes = "".join(f'<p class="vg-foot">{escape.escape(note)}</p>' for note in report.notes)
    return (
        f'{style_element()}<div class="vg vg-report">'
        f'<div class="vg-head"><code>{title}</code> <span class="vg-call">{call}</span></div>'
        + (f'<ul class="vg-verdicts">{verdicts}</ul>' if verdicts else "")
        + "".join(_table_html(table, report.title) for table in report.tables)
        + f"{notes}</div>{script_element()}"
    )


def _verdict_html(verdict: Verdict) -> str:
    because = f": {escape.escape(verdict.because)}" if verdict.because else ""
    return (
        f'<li class="vg-{verdict.answer}"><span class="vg-sign" aria-hidden="true">'
        f"{SIGNS[verdict.answer]}</span> <b>{escape.escape(verdict.question)}</b> "
        f"<span>{verdict.answer}{because}</span></li>"
    )


def _table_html(table: Table, label: str) -> str:
    # A header without a text is none.
    head = "".join(
        f'<th role="columnheader" scope="col"{_right(table, i)}>{escape.escape(title)}</th>'
        if title
        else '<td role="cell"></td>'
        for i, title in enumerate(table.head)
    )
    body = "".join(_row_html(row, table) for row in table.rows)
    caption = f"<caption>{escape.escape(table.caption)}</caption>" if table.caption else ""
    thead = f'<thead role="rowgroup"><tr role="row">{head}</tr></thead>' if any(table.head) else ""
    return (
        f'<div class="vg-scroll" tabindex="0" role="group" aria-label="{escape.escape(label)}">'
        f'<table role="table">{caption}{thead}<tbody role="rowgroup">{body}</tbody></table></div>'
    )


def _row_html(row: Row, table: Table) -> str:
    cells = "".join(
        f'<td role="cell"{_right(table, i)}>{_cell_html(cell)}</td>'
        for i, cell in enumerate(row.cells)
    )
    faded = ' class="vg-faded"' if row.faded else ""
    return f'<tr role="row"{faded}>{cells}</tr>'


def _right(table: Table, column: int) -> str:
    return ' class="vg-right"' if column in table.right else ""


def _cell_html(cell: Cell) -> str:
    if isinstance(cell, str):
        return escape.escape(cell)
    return tokens_html(cell)
