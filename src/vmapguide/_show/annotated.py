"""What is shown of source code with what became of it: the margin of each line.

Start with `margin`. `annotated_text` and `annotated_html` print it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vmapguide._data import WEIGHTS, AnnotatedFunction, AnnotatedLine, Type
from vmapguide._show.explanation import ExplanationView, Row
from vmapguide._show.tokens import Token, type_tokens


# A share that is no percent when it is rounded is left out.
SEEN = 0.005

# A line with this share of the cost stands out.
_LARGE = 0.1

# In a view of more lines than this, functions of which nothing stands out are folded.
_MANY_LINES = 200

# So many types are shown of a line whose function is called with different ones.
_FEW_CALLS = 2


@dataclass(frozen=True)
class Margin:
    """What stands beside a line.

    Attributes:
        type: the type of what the line makes, as tokens.
        kind: what became of its equations if that is not `same`: the worst.
        codes: the codes of the findings about it.
        is_warned: whether one of these is a warning.
        share: which part of the cost is the line's, with all that it calls; None if nobody asked.
    """

    type: tuple[Token, ...] = ()
    kind: str = ""
    codes: tuple[str, ...] = ()
    is_warned: bool = False
    share: float | None = None

    @property
    def note(self) -> str:
        """The kind and the codes, as text."""
        return " ".join(part for part in (self.kind, *self.codes) if part)


def margin(view: ExplanationView, function: AnnotatedFunction, line: AnnotatedLine) -> Margin:
    """Return what stands beside a line."""
    rows = [view.rows[number] for number in line.made]
    worst = max((row.kind for row in rows), key=WEIGHTS.__getitem__, default="same")
    findings = [
        finding
        for finding in view.findings
        if set(finding.steps) & set(line.made)
        or (
            not finding.steps
            and finding.source
            and finding.source.file == function.file
            and finding.source.line == line.number
        )
    ]
    share = None
    if view.work is not None and line.led_to:
        share = sum(view.work[number] for number in line.led_to) / max(sum(view.work), 1)
    return Margin(
        tuple(_types([view.rows[number] for number in line.values])),
        "" if worst == "same" else worst,
        tuple(dict.fromkeys(finding.code for finding in findings)),
        any(finding.severity == "warning" for finding in findings),
        share,
    )


def _types(rows: list[Row]) -> Iterator[Token]:
    """Yield the types of what rows make, those of the calls of a function one beside the other."""
    different = list(dict.fromkeys(map(_result, rows)))
    for i, (kind, is_one) in enumerate(different[:_FEW_CALLS]):
        yield from [Token(" or ")] * bool(i)
        yield from type_tokens(kind) if kind else ()
        yield from [Token(", …")] * (not is_one)
    yield from [Token(" or …")] * (len(different) > _FEW_CALLS)


def _result(row: Row) -> tuple[Type | None, bool]:
    """Return the type of what a row makes, the largest of several, and whether it is the only one.

    Of a row that became nothing it is the type for one example.
    """
    made = [equation for equation, _ in row.parts[-1].batched] if row.parts else []
    equation = made[-1] if made else row.equation
    types = [variable.type for variable in equation.outputs] if equation else []
    return max(types, key=_size, default=None), len(types) <= 1


def _size(kind: Type) -> int:
    """Return by what types are compared: axes, then numbers for one example."""
    shape = kind.shape or ()
    return math.prod(size for size in shape if isinstance(size, int)) + len(shape)


def is_quiet(margins: Sequence[Margin]) -> bool:
    """Say whether nothing of a function stands out: no finding, no costly kind, no large share."""
    return not any(
        beside.codes
        or WEIGHTS[beside.kind or "same"] > WEIGHTS["same"]
        or (beside.share or 0) >= _LARGE
        for beside in margins
    )


def is_long(view: ExplanationView) -> bool:
    """Say whether a view has more lines than somebody looks through."""
    return sum(len(function.lines) for function in view.functions) > _MANY_LINES


def title(view: ExplanationView, function: AnnotatedFunction) -> str:
    """Return what stands above a function: its name, its file, how many places call it."""
    calls = f"called from {function.call_count} places" if function.call_count > 1 else ""
    file = view.files.get(function.file, "")
    return " · ".join(part for part in (function.name, file, calls) if part)


def elsewhere(view: ExplanationView) -> tuple[Row, ...]:
    """Return the rows that no line of the functions shown has made."""
    held = {number for f in view.functions for line in f.lines for number in line.made}
    return tuple(row for number, row in enumerate(view.rows) if number not in held)


def pieces(line: AnnotatedLine) -> Iterator[tuple[str, bool]]:
    """Yield a line in pieces, each with whether it leads to code of the user's."""
    at = 0
    for start, end in line.calls:
        if start >= at:
            yield line.text[at:start], False
            yield line.text[start:end], True
            at = end
    yield line.text[at:], False
