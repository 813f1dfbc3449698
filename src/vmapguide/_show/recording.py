"""What is shown of a program's calls of `jax.vmap`: a table of places, and what was found there.

Start with `recording_text`; in `recording_html` each row opens its explanation.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vmapguide._data import Finding
from vmapguide._show.annotated_html import annotated_part
from vmapguide._show.explanation import ExplanationView
from vmapguide._show.explanation_html import finding_html
from vmapguide._show.explanation_text import finding_text
from vmapguide._show.markup import Markup, joined, script_element, style_element, tag
from vmapguide._show.report import Report, Row, Table, report_text
from vmapguide._show.words import counted


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


def recording_text(title: str, calls: Sequence[CallView], width: int) -> str:
    """Print a table of places, what was found, and what could not be explained."""
    if not calls:
        return f"{title}\n\nThe program called no jax.vmap."
    rows = tuple(Row(_cells(call)) for call in calls)
    head = ("place", "function", "batch", "equations", "cost", "findings")
    table = Table(head, rows, frozenset({2, 3, 4}))
    lines = [report_text(Report(title, tables=(table,)), width)]
    for call in calls:
        for place, finding in call.findings:
            lines += ["", *finding_text(finding, place, width)]
    lines += ["", *textwrap.wrap(_sentence(calls), width, break_on_hyphens=False)]
    return "\n".join(lines)


def recording_html(title: str, calls: Sequence[CallView]) -> Markup:
    """Print the same as one self-contained HTML element, in which each row opens."""
    parts = [tag("div", tag("code", title), class_="vg-head"), *map(_call_html, calls)]
    parts.append(tag("p", _sentence(calls), class_="vg-foot"))
    whole = tag("div", *parts, class_="vg vg-explain vg-recording")
    return joined([style_element(), whole, script_element()])


def _call_html(call: CallView) -> Markup:
    cells = [tag("span", cell, class_=f"vg-cell-{i}") for i, cell in enumerate(_cells(call))]
    head = tag("summary", *cells, class_="vg-call-line")
    findings = [finding_html(finding, place) for place, finding in call.findings]
    listed = [tag("ul", *findings, class_="vg-findings")] * bool(findings)
    inside: list[Markup] = []
    if call.explanation:
        inside.append(annotated_part(call.explanation))
    elif call.reason:
        inside.append(tag("p", call.reason, class_="vg-nothing"))
    return tag("details", head, *listed, *inside)


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
    explained = [call for call in calls if not call.reason]
    yield f"{counted(len(calls), 'place')} called jax.vmap."
    if len(explained) < len(calls):
        reasons = dict.fromkeys(call.reason for call in calls if call.reason)
        yield f"{len(calls) - len(explained)} could not be explained: {'; '.join(reasons)}."
    if not any(call.findings for call in calls):
        yield "findings: nothing found."
