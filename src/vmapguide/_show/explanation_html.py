"""An explanation as HTML: a table that folds without a script.

Text that a user may have chosen (names, keys, lines, paths) is escaped.
"""

from __future__ import annotations

from html import escape

from vmapguide._data import Equation, Source
from vmapguide._show import explanation
from vmapguide._show.explanation import ExplanationView, Group, Made, Row
from vmapguide._show.explanation_summary import folded, summary
from vmapguide._show.tokens import (
    Token,
    equation_tokens,
    script_element,
    style_element,
    tokens_html,
)


def explanation_html(view: ExplanationView, *, fold: bool = True) -> str:
    """Print a view as one self-contained HTML element, with its stylesheet and script."""
    name = escape(view.name)
    types = tokens_html(explanation.signature(view))
    sizes = ", ".join(
        f"{tokens_html([Token(letter, 'axis')])} = {size}" for letter, size in view.sizes.items()
    )
    heads = "".join(
        f'<th role="columnheader" scope="col">{title}</th>'
        for title in ("your code", "one example", "the whole batch")
    )
    bodies = "".join(_group(group, fold=fold) for group in explanation.groups(view, fold=fold))
    return (
        f'{style_element()}<div class="vg vg-explain">'
        f'<div class="vg-head"><code>vmap({name})</code> '
        f'<span class="vg-call">{escape(view.call)}</span> '
        f'<span class="vg-signature">{types}</span><span class="vg-sizes">{sizes}</span></div>'
        f'<table role="table" aria-label="What vmap made of {name}">'
        f'<thead role="rowgroup"><tr role="row">{heads}</tr></thead>{bodies}</table>'
        f'<p class="vg-foot">{escape(summary(view))}</p></div>'
        f"{script_element()}"
    )


def _group(group: Group, *, fold: bool) -> str:
    rows = []
    previous = None
    if not group.rows and group.source:
        code = _place(group) + _code(group.source)
        rows.append(f'<tr role="row"><td role="cell" class="vg-code" colspan="3">{code}</td></tr>')
    for i, row in enumerate(group.rows):
        code = _place(group) if i == 0 else ""
        if row.source and row.own and row.source != previous:
            code += _code(row.source)
            previous = row.source
        elif row.source and i == 0:
            code += _code(row.source)
        elif row.kind == "out_axes":
            code += '<span class="vg-keyword">out_axes</span>'
        if i == 0 and group.folded:
            label = escape(folded(group))
            code += f'<details class="vg-more"><summary>{label}</summary></details>'
        rows.append(_row(row, code, hidden=i in group.folded, fold=fold))
    return f'<tbody role="rowgroup">{"".join(rows)}</tbody>'


def _place(group: Group) -> str:
    return f'<div class="vg-place">{escape(group.place)}</div>' if group.place else ""


def _row(row: Row, code: str, *, hidden: bool, fold: bool) -> str:
    indent = '<span class="vg-indent"></span>' * row.depth
    one = indent + _equation(row.equation) if row.equation else ""
    classes = ' class="vg-inner"' if hidden else ""
    return (
        f'<tr role="row" tabindex="0"{classes}>'
        f'<td role="cell" class="vg-code">{code}</td>'
        f'<td role="cell" class="vg-one">{one}</td>'
        f'<td role="cell" class="vg-whole">{_became(explanation.made(row, fold=fold))}</td></tr>'
    )


def _became(parts: list[Made]) -> str:
    """Return what an equation became; the folded ones, which follow each other, open."""
    folded = "".join(_made(made) for made in parts if made.folded)
    if not folded:
        return "".join(map(_made, parts))
    first = next(i for i, made in enumerate(parts) if made.folded)
    label = escape(explanation.folded_label(parts))
    rest = f'<details class="vg-rest"><summary>{label}</summary>{folded}</details>'
    shown = [_made(made) for made in parts if not made.folded]
    return "".join([*shown[:first], rest, *shown[first:]])


def _made(made: Made) -> str:
    equation = _equation(made.equation) if made.equation else ""
    note = escape(made.note)
    # In the note on one call of several the kind is the last word.
    kind = made.note.rpartition(": ")[2].replace(" ", "-")
    tag = f'<span class="vg-tag vg-tag-{escape(kind)}">{note}</span>' if note else ""
    faded = " vg-faded" if made.note == "layout" else ""
    return f'<div class="vg-made{faded}"><span>{equation}</span>{tag}</div>'


def _equation(eqn: Equation) -> str:
    return tokens_html(equation_tokens(eqn))


def _code(source: Source) -> str:
    parts = []
    for number, row, start, end in explanation.underlined(source):
        before, part, after = (escape(p) for p in (row[:start], row[start:end], row[end:]))
        parts.append(
            f'<div class="vg-code-line"><span class="vg-number">{number}</span>'
            f"<span>{before}<u>{part}</u>{after}</span></div>"
        )
    return "".join(parts)
