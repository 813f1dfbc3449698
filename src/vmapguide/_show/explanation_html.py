"""An explanation as HTML: a table that folds without a script. Start with `explanation_html`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from vmapguide._data import Equation, Finding, Source, page_of
from vmapguide._show import explanation
from vmapguide._show.explanation import HEADINGS, ExplanationView, Group, Made, Row
from vmapguide._show.explanation_summary import NOTHING_FOUND, folded, place, summary
from vmapguide._show.markup import (
    Markup,
    joined,
    of_tokens,
    script_element,
    style_element,
    tag,
)
from vmapguide._show.tokens import Token, equation_tokens
from vmapguide._show.words import sharded_text


def explanation_html(view: ExplanationView, *, fold: bool = True) -> Markup:
    """Print a view as one self-contained HTML element, with its stylesheet and script."""
    groups = explanation.groups(view, fold=fold)
    table = groups_html(groups, label=f"What vmap made of {view.name}", fold=fold)
    foot = tag("p", summary(view), class_="vg-foot")
    parts = (header_html(view), findings_html(view), table, foot)
    whole = tag("div", *parts, class_="vg vg-explain")
    return joined([style_element(), whole, script_element()])


def groups_html(groups: Iterable[Group], *, label: str, fold: bool) -> Markup:
    """Return groups of rows as a table: your code, one example, the whole batch."""
    heads = (tag("th", title, role="columnheader", scope="col") for title in HEADINGS)
    return tag(
        "table",
        tag("thead", tag("tr", *heads, role="row"), role="rowgroup"),
        *(_group(group, fold=fold) for group in groups),
        role="table",
        aria_label=label,
    )


def header_html(view: ExplanationView) -> Markup:
    """Return what was called, the types, and the sizes of the batch axes."""
    sizes: list[str] = []
    for letter, size in view.sizes.items():
        sizes += [", "] * bool(sizes) + [of_tokens([Token(letter, "axis")]), f" = {size}"]
    return tag(
        "div",
        tag("code", f"vmap({view.name})"),
        " ",
        tag("span", view.call, class_="vg-call"),
        " ",
        tag("span", of_tokens(explanation.signature(view)), class_="vg-signature"),
        tag("span", *sizes, class_="vg-sizes"),
        tag("span", sharded_text(view.sharded), class_="vg-sizes") if view.sharded else "",
        class_="vg-head",
    )


def findings_html(view: ExplanationView) -> Markup:
    """Return the findings: each with its code, its line, what happens and what to do."""
    if not view.findings:
        return tag("p", NOTHING_FOUND, class_="vg-nothing")
    findings = (finding_html(finding, place(view, finding)) for finding in view.findings)
    return tag("ul", *findings, class_="vg-findings")


def finding_html(finding: Finding, where: str) -> Markup:
    """Return a finding: its code, its place, what happens and what to do."""
    return tag(
        "li",
        code_of(finding.code),
        f" {where}: " if where else " ",
        *_with_code(finding.message),
        " ",
        tag("span", *_with_code(finding.remedy), class_="vg-remedy"),
        class_=f"vg-finding vg-{finding.severity}",
    )


def code_of(code: str) -> Markup:
    """Return the code of a finding, with the page that a site may link to."""
    return tag("span", code, class_="vg-finding-code", data_page=page_of(code))


def _with_code(sentence: str) -> Iterator[str]:
    """Yield a sentence, what stands between backticks in it as code."""
    for number, part in enumerate(sentence.split("`")):
        yield tag("code", part) if number % 2 else part


def _group(group: Group, *, fold: bool) -> Markup:
    rows: list[Markup] = []
    previous = None
    if not group.rows and group.source:
        code = [*_place(group), *_code(group.source)]
        cell = tag("td", *code, role="cell", class_="vg-code", colspan=3)
        rows.append(tag("tr", cell, role="row"))
    for i, row in enumerate(group.rows):
        code = [*_place(group)] if i == 0 else []
        if row.source and (i == 0 or (row.own and row.source != previous)):
            code += _code(row.source)
            previous = row.source if row.own else previous
        elif row.kind == "out_axes":
            code.append(tag("span", "out_axes", class_="vg-keyword"))
        if i == 0 and group.folded:
            code.append(tag("details", tag("summary", folded(group)), class_="vg-more"))
        rows.append(_row(row, code, hidden=i in group.folded, fold=fold))
    return tag("tbody", *rows, role="rowgroup")


def _place(group: Group) -> Iterator[Markup]:
    if group.place:
        yield tag("div", group.place, class_="vg-place")


def _row(row: Row, code: Sequence[Markup], *, hidden: bool, fold: bool) -> Markup:
    indent = [tag("span", class_="vg-indent")] * row.depth
    one = [*indent, _equation(row.equation)] if row.equation else []
    return tag(
        "tr",
        tag("td", *code, role="cell", class_="vg-code"),
        tag("td", *one, role="cell", class_="vg-one"),
        tag("td", *_became(explanation.made(row, fold=fold)), role="cell", class_="vg-whole"),
        role="row",
        tabindex=0,
        class_="vg-inner" if hidden else None,
    )


def _became(parts: Sequence[Made]) -> Iterator[Markup]:
    """Yield what an equation became; the folded ones, which follow each other, open."""
    hidden = [_made(made) for made in parts if made.folded]
    for made in parts:
        if not made.folded:
            yield _made(made)
        elif hidden:
            label = tag("summary", explanation.folded_label(parts))
            yield tag("details", label, *hidden, class_="vg-rest")
            hidden = []


def _made(made: Made) -> Markup:
    equation = [_equation(made.equation)] if made.equation else []
    # In the note on one call of several the kind is the last word.
    kind = made.note.rpartition(": ")[2].replace(" ", "-")
    note = [tag("span", made.note, class_=f"vg-tag vg-tag-{kind}")] if made.note else []
    note += map(code_of, made.codes)
    faded = " vg-faded" if made.note == "layout" else ""
    return tag("div", tag("span", *equation), *note, class_=f"vg-made{faded}")


def _equation(eqn: Equation) -> Markup:
    return of_tokens(equation_tokens(eqn))


def _code(source: Source) -> Iterator[Markup]:
    for number, row, start, end in explanation.underlined(source):
        code = tag("span", row[:start], tag("u", row[start:end]), row[end:])
        number_ = tag("span", str(number), class_="vg-number")
        yield tag("div", number_, code, class_="vg-code-line")
