"""Source code with what became of it, as text: a margin beside each line."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterator, Sequence

from vmapguide._data import AnnotatedFunction, AnnotatedLine
from vmapguide._show.annotated import (
    FOUND,
    SEEN,
    WARNED,
    Margin,
    boundary,
    elsewhere,
    legend,
    margins,
    quiet,
    sections,
    title,
)
from vmapguide._show.explanation import ExplanationView, groups_of
from vmapguide._show.explanation_summary import summary
from vmapguide._show.explanation_text import findings_text, groups_text, header_text
from vmapguide._show.words import counted
from vmapguide._show.wrap import broken


# The columns of a margin stand this far apart, and behind a line's number are a mark and a bar.
_GAP, _MARK = 2, 4

# Types get no more room than this. A share takes four characters: `100%`.
_TYPE, _SHARE = 30, 4

# How to come to the equations.
_EQUATIONS = 'as_text(view="equations") shows the equations of each line.'

# What stands before a line with a warning, with another finding, and with none.
_WARNED, _FOUND, _PLAIN = WARNED, FOUND, " "


def annotated_text(view: ExplanationView, width: int, *, fold: bool = True) -> str:
    """Print the source of the functions that took part, with margins."""
    besides = margins(view)
    printer = _Printer(view, width, [*itertools.chain(*besides)], fold=fold)
    lines = [*header_text(view, width), "", *findings_text(view, width)]
    if view.functions:
        lines += ["", *textwrap.wrap(legend(besides), width, break_on_hyphens=False)]
    for section in sections(view, besides, fold=fold):
        if section.is_quiet:
            lines += ["", *broken(f"⋮ {quiet(view, section)}", width, hang=2)]
            continue
        for function, beside in section.functions:
            lines += ["", *broken(title(view, function), width, hang=2)]
            lines += printer.function(function, beside)
    if added := boundary(view):
        lines += ["", *textwrap.wrap(added, width, break_on_hyphens=False)]
    if rows := elsewhere(view):
        lines += ["", *groups_text([*groups_of(view, rows, fold=fold)], width, fold=fold)]
    lines += ["", _EQUATIONS]
    lines += ["", *textwrap.wrap(summary(view), width, break_on_hyphens=False)]
    return "\n".join(line.rstrip() for line in lines)


class _Printer:
    """Prints functions: numbers, code, margins.

    A margin has a type and a share of the cost, and a note stands behind them where the lines leave
    room for it, and below them where they do not.
    """

    def __init__(
        self, view: ExplanationView, width: int, margins: Sequence[Margin], *, fold: bool
    ) -> None:
        self.width, self.fold = width, fold
        lines = [line for function in view.functions for line in function.lines]
        self.gutter = len(str(max((line.number for line in lines), default=1)))
        self.type = min(max((len(_plain(m)) for m in margins), default=0), _TYPE)
        self.share = _SHARE * any(m.share is not None for m in margins)
        note = max((len(m.note) for m in margins), default=0)
        beside = self.type + bool(self.share) * (_GAP + self.share)
        longest = max((len(line.text) for line in lines), default=0)
        room = width - self.gutter - _MARK - _GAP
        self.is_wide = longest <= room - beside - _GAP - note
        self.code = min(longest, room - (beside if self.is_wide else max(beside, note)))

    def function(self, function: AnnotatedFunction, margins: Sequence[Margin]) -> Iterator[str]:
        """Yield the lines of a function; a run of quiet ones is one line."""
        run: list[AnnotatedLine] = []
        for line, beside in zip(function.lines, margins, strict=True):
            if self.fold and line.is_quiet:
                run.append(line)
                continue
            yield from self.folded(run)
            run = []
            yield from self.line(line, beside)
        yield from self.folded(run)

    def folded(self, run: Sequence[AnnotatedLine]) -> Iterator[str]:
        """Yield what stands for a run of quiet lines."""
        if len(run) == 1:
            yield from self.line(run[0], Margin())
        elif run:
            indent = len(run[0].text) - len(run[0].text.lstrip())
            start = f"{'│ ':>{self.gutter + _MARK}}"
            yield f"{start}{'':{indent}}⋮ {counted(len(run), 'line')}"

    def line(self, line: AnnotatedLine, beside: Margin) -> Iterator[str]:
        """Yield a line with its margin."""
        mark = _WARNED if beside.is_warned else _FOUND if beside.codes else _PLAIN
        start = f"{line.number:>{self.gutter}} {mark}│ "
        right = [*self.margin(beside)]
        indent = len(line.text) - len(line.text.lstrip())
        room = self.code if right else self.width - len(start)
        left = broken(line.text, room, hang=indent + 4) if line.text.strip() else [""]
        for code, text in itertools.zip_longest(left, right, fillvalue=""):
            yield f"{start}{code:<{self.code}}{'':{_GAP}}{text}"
            start = f"{'│ ':>{len(start)}}"

    def margin(self, beside: Margin) -> Iterator[str]:
        """Yield the lines of a margin."""
        types = textwrap.wrap(_plain(beside), max(self.type, 1), break_on_hyphens=False)
        if not types and not beside.note:
            return
        share = f"{beside.share:.0%}" if beside.share and beside.share >= SEEN else ""
        for i, part in enumerate(types or [""]):
            text = f"{part:<{self.type}}"
            if self.share:
                text += f"{'':{_GAP}}{share if i == 0 else '':>{self.share}}"
            yield f"{text}{'':{_GAP}}{beside.note}" if self.is_wide and i == 0 else text
        if beside.note and not self.is_wide:
            yield beside.note


def _plain(beside: Margin) -> str:
    return "".join(token.text for token in beside.type)
