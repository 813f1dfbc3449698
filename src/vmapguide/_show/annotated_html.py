"""Source code with what became of it, as HTML: a line opens to its equations, without a script."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vmapguide._data import AnnotatedFunction, AnnotatedLine
from vmapguide._show import explanation
from vmapguide._show.annotated import (
    SEEN,
    Margin,
    boundary,
    elsewhere,
    legend,
    margins,
    pieces,
    quiet,
    sections,
    title,
)
from vmapguide._show.explanation import ExplanationView, Row
from vmapguide._show.explanation_html import (
    findings_html,
    groups_html,
    header_html,
)
from vmapguide._show.explanation_summary import summary
from vmapguide._show.markup import Markup, joined, of_tokens, script_element, style_element, tag
from vmapguide._show.words import counted


def annotated_html(view: ExplanationView, *, fold: bool = True) -> Markup:
    """Print the source of the functions that took part as one self-contained HTML element."""
    return joined([style_element(), annotated_part(view, fold=fold), script_element()])


def annotated_part(view: ExplanationView, *, fold: bool = True) -> Markup:
    """Print the same without stylesheet and script, for a view that has them."""
    printer = _Printer(view, fold=fold)
    besides = margins(view)
    parts = [header_html(view), findings_html(view)]
    if view.functions:
        parts.append(tag("p", legend(besides), class_="vg-legend"))
    for section in sections(view, besides, fold=fold):
        shown = [printer.function(function, beside) for function, beside in section.functions]
        if section.is_quiet:
            head = tag("summary", f"⋮ {quiet(view, section)}", class_="vg-quiet-functions")
            parts.append(tag("details", head, *shown))
        else:
            parts += shown
    if added := boundary(view):
        parts.append(tag("p", added, class_="vg-legend"))
    if rows := elsewhere(view):
        parts.append(printer.equations(rows))
    parts.append(tag("p", summary(view), class_="vg-foot"))
    return tag("div", *parts, class_="vg vg-explain vg-annotated")


class _Printer:
    """Prints functions: a line with its margin opens to its equations."""

    def __init__(self, view: ExplanationView, *, fold: bool) -> None:
        self.view, self.fold = view, fold

    def function(self, function: AnnotatedFunction, margins: Sequence[Margin]) -> Markup:
        """Return a function, line by line."""
        parts: list[Markup] = []
        run: list[AnnotatedLine] = []
        for line, beside in zip(function.lines, margins, strict=True):
            if self.fold and line.is_quiet:
                run.append(line)
                continue
            parts += self.folded(run)
            run = []
            parts.append(self.line(line, beside))
        parts += self.folded(run)
        head = tag("p", title(self.view, function), class_="vg-function")
        return tag("section", head, *parts, aria_label=function.name)

    def folded(self, run: Sequence[AnnotatedLine]) -> Iterator[Markup]:
        """Yield what stands for a run of lines that make nothing; it opens."""
        lines = [self.line(line, Margin()) for line in run]
        if len(run) > 1:
            cells = tag("span", "⋮", class_="vg-number"), counted(len(run), "line")
            label = tag("summary", *cells, class_="vg-source-line vg-quiet")
            yield tag("details", label, *lines)
        else:
            yield from lines

    def line(self, line: AnnotatedLine, beside: Margin) -> Markup:
        """Return a line; one that made equations opens to them."""
        text = (tag("u", part) if is_call else part for part, is_call in pieces(line))
        note = [tag("span", beside.said, class_=_kind_class(beside.kind))] * bool(beside.kind)
        beside_it = (
            tag("span", of_tokens(beside.type), class_="vg-makes"),
            tag("span", *note, *map(_code, beside.codes), class_="vg-notes"),
            *self.share(beside),
        )
        cells = (
            tag("span", str(line.number), class_="vg-number"),
            tag("code", *text, class_="vg-text"),
            *[tag("span", *beside_it, class_="vg-margin")] * (beside != Margin()),
        )
        tint = " vg-warned" if beside.is_warned else " vg-found" * bool(beside.codes)
        quiet = "" if line.led_to else " vg-quiet"
        looks = f"vg-source-line{tint}{quiet}"
        if not line.made:
            return tag("div", *cells, class_=looks)
        rows = [self.view.rows[number] for number in line.made]
        return tag("details", tag("summary", *cells, class_=looks), self.equations(rows))

    def share(self, beside: Margin) -> Iterator[Markup]:
        """Yield the share of the cost, as a bar and as a number, if somebody asked."""
        if self.view.shares is None:
            return
        share = beside.share or 0
        bar = tag("rect", width=round(100 * share), height=8)
        drawn = tag("svg", bar, viewBox="0 0 100 8", class_="vg-bar", aria_hidden="true")
        yield tag("span", drawn, f"{share:.0%}" if share >= SEEN else "", class_="vg-share")

    def equations(self, rows: Sequence[Row]) -> Markup:
        """Return the equations of a line: your code, one example, the whole batch."""
        groups = explanation.groups_of(self.view, rows, fold=self.fold)
        return groups_html(groups, label="What vmap made of the line", fold=self.fold)


def _code(code: str) -> Markup:
    """Return the code of a finding in a line that opens: on no site may a link stand in it."""
    return tag("span", code, class_="vg-finding-code")


def _kind_class(kind: str) -> str:
    return f"vg-tag vg-tag-{kind.replace(' ', '-')}"
