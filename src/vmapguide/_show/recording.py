"""What is shown of a program's calls of `jax.vmap`: a table of places, and what was found there.

Start with `recording_text`; in `recording_html` each row opens its explanation.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vmapguide._data import Finding
from vmapguide._show.annotated_html import annotated_part
from vmapguide._show.explanation import ExplanationView
from vmapguide._show.explanation_html import finding_html
from vmapguide._show.explanation_summary import NOTHING_FOUND
from vmapguide._show.explanation_text import finding_text
from vmapguide._show.markup import Markup, joined, script_element, style_element, tag
from vmapguide._show.report import Report, Row, Table, report_text
from vmapguide._show.words import counted, printable


@dataclass(frozen=True)
class CallView:
    """A place with what is shown of it.

    Attributes:
        place: the line, as `train.py:33`.
        via: the line of a library that the user's line called, or the function of JAX; "" if none.
        name: what the function is called.
        size: the size of the batch.
        equations: how many equations one example has.
        share: which part of what all places cost is this one's; None for what is inside another.
        findings: what was found, each with its place.
        reason: why there is no explanation; "" if there is one.
        explanation: what is shown of the explanation, if it was kept.
    """

    place: str
    via: str
    name: str
    size: int | None
    equations: int
    share: float | None
    findings: tuple[tuple[str, Finding], ...]
    reason: str
    explanation: ExplanationView | None


# The columns of the table: what they are called, and whether they are aligned to the right.
_HEAD = ("place", "function", "batch", "equations", "cost", "findings")
_RIGHT = frozenset({2, 3, 4})


def recording_text(title: str, calls: Sequence[CallView], width: int) -> str:
    """Print a table of places, what was found, and what could not be explained."""
    if not calls:
        return printable(f"{title}\n\nThe program called no jax.vmap.")
    rows = tuple(Row(_cells(call)) for call in calls)
    lines = [report_text(Report(title, tables=(Table(_HEAD, rows, _RIGHT),)), width)]
    # Several places may call one function, with the same findings in it.
    found = {
        (place, finding.code, finding.message): finding
        for call in calls
        for place, finding in call.findings
    }
    for (place, _, _), finding in found.items():
        lines += ["", *finding_text(finding, place, width)]
    lines += ["", *textwrap.wrap(_sentence(calls), width, break_on_hyphens=False)]
    return printable("\n".join(lines))


def recording_html(title: str, calls: Sequence[CallView]) -> Markup:
    """Print the same as one self-contained HTML element, in which each row opens."""
    parts = [tag("div", tag("code", title), class_="vg-head")]
    if calls:
        heads = [tag("span", name, class_=_cell_class(i)) for i, name in enumerate(_HEAD)]
        # A reader who hears the page hears the name of each cell with it.
        parts.append(tag("div", *heads, class_="vg-call-line vg-call-head", aria_hidden="true"))
    parts += map(_call_html, calls)
    parts.append(tag("p", _sentence(calls), class_="vg-foot"))
    whole = tag("div", *parts, class_="vg vg-explain vg-recording")
    return joined([style_element(), whole, script_element()])


def _call_html(call: CallView) -> Markup:
    cells = [
        tag("span", tag("span", f"{name} ", class_="vg-label"), cell, class_=_cell_class(i))
        for i, (name, cell) in enumerate(zip(_HEAD, _cells(call), strict=True))
        if cell
    ]
    warned = any(finding.severity == "warning" for _, finding in call.findings)
    tint = " vg-warned" if warned else " vg-found" * bool(call.findings)
    head = tag("summary", *cells, class_=f"vg-call-line{tint}")
    # An explanation lists its own.
    own = call.explanation.findings if call.explanation else ()
    findings = [finding_html(f, place) for place, f in call.findings if f not in own]
    inside = [tag("ul", *findings, class_="vg-findings")] * bool(findings)
    if call.explanation:
        inside.append(annotated_part(call.explanation))
    elif call.reason:
        inside.append(tag("p", call.reason, class_="vg-nothing"))
    return tag("details", head, *inside)


def _cell_class(column: int) -> str:
    return f"vg-cell-{column}{' vg-right' * (column in _RIGHT)}"


def _cells(call: CallView) -> tuple[str, ...]:
    codes = " ".join(dict.fromkeys(finding.code for _, finding in call.findings))
    return (
        f"{call.place} ({call.via})" if call.via else call.place,
        call.name,
        "?" if call.size is None else f"{call.size:,}",
        "" if call.reason else f"{call.equations:,}",
        "" if call.share is None else f"{call.share:.0%}",
        "not explained" if call.reason else codes,
    )


def _sentence(calls: Sequence[CallView]) -> str:
    return " ".join(_sentences(calls))


def _sentences(calls: Sequence[CallView]) -> Iterator[str]:
    if not calls:
        yield "The program called no jax.vmap."
        return
    places = len({call.place for call in calls})
    ways = f", in {counted(len(calls), 'way')}" if places < len(calls) else ""
    yield f"{counted(places, 'place')} called jax.vmap{ways}."
    reasons = Counter(call.reason for call in calls if call.reason)
    if reasons:
        yield f"{reasons.total():,} could not be explained: {'; '.join(reasons)}."
    if not any(call.findings for call in calls):
        yield NOTHING_FOUND
