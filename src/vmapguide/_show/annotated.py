"""What is shown of source code with what became of it: the margin of each line.

Start with `margin`. `annotated_text` and `annotated_html` print it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from vmapguide._data import WEIGHTS, AnnotatedFunction, AnnotatedLine, Type
from vmapguide._show.explanation import ExplanationView, Row
from vmapguide._show.tokens import Token, type_tokens
from vmapguide._show.words import counted, listed


# What marks a line with a warning, and one with a note.
WARNED, FOUND = "!", "i"

# A share that is no percent when it is rounded is left out.
SEEN = 0.005

# A line with this share of the cost stands out.
_LARGE = 0.1

# In a view of more lines than this, functions of which nothing stands out are folded.
_MANY_LINES = 200

# A function of no more lines than this is not worth folding.
_SHORT = 5

# So many types are shown of a line whose function is called with different ones.
_FEW_CALLS = 2


@dataclass(frozen=True)
class Margin:
    """What stands beside a line.

    Attributes:
        type: the type of what the line makes, as tokens.
        kind: what became of its equations if that is not `same`: the worst.
        became: of what was rewritten, what it became.
        codes: the codes of the findings about it.
        is_warned: whether one of these is a warning.
        share: which part of the cost is the line's, with all that it calls; None if nobody asked.
    """

    type: tuple[Token, ...] = ()
    kind: str = ""
    became: str = ""
    codes: tuple[str, ...] = ()
    is_warned: bool = False
    share: float | None = None

    @property
    def said(self) -> str:
        """The kind, and what it became."""
        return f"{self.kind}: {self.became}" if self.became else self.kind

    @property
    def note(self) -> str:
        """The same with the codes."""
        return " ".join(part for part in (self.said, *self.codes) if part)


def margins(view: ExplanationView) -> list[list[Margin]]:
    """Return what stands beside each line of each function."""
    shares = view.shares or [[None] * len(function.lines) for function in view.functions]
    return [
        [_margin(view, function, *beside) for beside in zip(function.lines, shared, strict=True)]
        for function, shared in zip(view.functions, shares, strict=True)
    ]


def _margin(
    view: ExplanationView, function: AnnotatedFunction, line: AnnotatedLine, share: float | None
) -> Margin:
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
    return Margin(
        tuple(_types([view.rows[number] for number in line.values])),
        "" if worst == "same" else worst,
        _became(rows) if worst == "rewritten" else "",
        tuple(dict.fromkeys(finding.code for finding in findings)),
        any(finding.severity == "warning" for finding in findings),
        share,
    )


def _became(rows: Sequence[Row]) -> str:
    """Return the primitive that the first rewritten row became in the end; "" if none was."""
    for row in rows:
        work = [eqn.primitive for eqn, is_layout in row.batched if not is_layout]
        if row.kind == "rewritten" and work:
            return work[-1]
    return ""


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


@dataclass(frozen=True)
class Section:
    """Functions that are shown one behind the other, each with its margins.

    `is_quiet` says that nothing of them stands out, and that they are folded.
    """

    functions: tuple[tuple[AnnotatedFunction, list[Margin]], ...]
    is_quiet: bool


def sections(
    view: ExplanationView, besides: Sequence[list[Margin]], *, fold: bool
) -> Iterator[Section]:
    """Yield the functions in order; in a long view those of which nothing stands out together."""
    folds = fold and sum(map(len, besides)) > _MANY_LINES
    pairs = zip(view.functions, besides, strict=True)
    for is_quiet, run in groupby(pairs, key=lambda pair: folds and _is_quiet(pair[1])):
        yield Section(tuple(run), is_quiet)


def quiet(view: ExplanationView, section: Section) -> str:
    """Return what stands for functions that are folded: their names, and how much they cost."""
    number = counted(len(section.functions), "function")
    names: dict[str, list[str]] = {}
    for function, _ in section.functions:
        names.setdefault(view.files.get(function.file, ""), []).append(function.name)
    where = "; ".join(f"{', '.join(n)}{f' of {file}' if file else ''}" for file, n in names.items())
    shares = [m.share for _, margins in section.functions for m in margins if m.share is not None]
    most = max(shares, default=0)
    cost = f", none of whose lines has more than {most:.0%} of the cost" if most >= SEEN else ""
    return f"{number} of which nothing stands out{cost}: {where}"


def legend(besides: Sequence[list[Margin]]) -> str:
    """Say what stands beside the lines."""
    every = [margin for margins in besides for margin in margins]
    parts = ["Beside a line: the type of what it makes in the batch"]
    if any(margin.share is not None for margin in every):
        parts.append(
            "its share of the operations, with all that it calls, of each loop of unknown length "
            "one trip"
        )
    if any(margin.kind for margin in every):
        parts.append("what vmap did if that is more than to carry the batch along")
    marks = [f"{WARNED} a warning"] * any(margin.is_warned for margin in every)
    marks += [f"{FOUND} a note"] * any(m.codes and not m.is_warned for m in every)
    return f"{'; '.join([*parts, *marks])}."


def boundary(view: ExplanationView) -> str:
    """Say what `vmap` added for `in_axes` and `out_axes`; "" if nothing."""
    rows = (row for row in view.rows if row.kind == "out_axes")
    names = Counter(eqn.primitive for row in rows for eqn, _ in row.batched)
    if not names:
        return ""
    return f"out_axes: {listed(f'{number} {name}' for name, number in names.items())}."


def _is_quiet(margins: Sequence[Margin]) -> bool:
    """Say whether nothing of a function stands out: no finding, no costly kind, no large share."""
    return len(margins) > _SHORT and not any(
        beside.codes
        or WEIGHTS[beside.kind or "same"] > WEIGHTS["same"]
        or (beside.share or 0) >= _LARGE
        for beside in margins
    )


def title(view: ExplanationView, function: AnnotatedFunction) -> str:
    """Return what stands above a function: its name, its file, how many places call it."""
    calls = f"called from {function.call_count} places" if function.call_count > 1 else ""
    file = view.files.get(function.file, "")
    return " · ".join(part for part in (function.name, file, calls) if part)


def elsewhere(view: ExplanationView) -> tuple[Row, ...]:
    """Return the rows that no line of the functions shown has made, but for the boundary."""
    held = {number for f in view.functions for line in f.lines for number in line.made}
    return tuple(
        row for number, row in enumerate(view.rows) if number not in held and row.kind != "out_axes"
    )


def pieces(line: AnnotatedLine) -> Iterator[tuple[str, bool]]:
    """Yield a line in pieces, each with whether it leads to code of the user's."""
    at = 0
    for start, end in line.calls:
        if start >= at:
            yield line.text[at:start], False
            yield line.text[start:end], True
            at = end
    yield line.text[at:], False
