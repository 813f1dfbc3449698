"""The report of a comparison: three answers, and the programs side by side.

Start with `comparison_report`, which takes a `Pairing` for each pair of functions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from vmapguide._data import Equation, LeafResult, Pair
from vmapguide._show.agreement import summary
from vmapguide._show.report import Answer, Report, Row, Table, Verdict
from vmapguide._show.tokens import Token, equation_tokens
from vmapguide._show.words import counted


_WORDS: dict[bool | None, Answer] = {True: "yes", False: "no", None: "unknown"}

# Every relation has a sign of its own shape.
_SIGNS = {"same": "=", "layout": "≈", "differs": "≠", "left": "<", "right": ">", "moved": "↕"}
_MEANING = {
    "=": "the same step",
    "≈": "the same but for where its axes or operands are",
    "≠": "the same operation on other values or with other parameters",
    "<": "on the left only",
    ">": "on the right only",
    "↕": "elsewhere on the other side",
    "·": "only moves axes",
}

# Of a long run of equal steps, as many are shown at each end.
_KEPT = 4


@dataclass(frozen=True)
class Pairing:
    """Two sides: names, readings, aligned rows, answers, compiled programs, results.

    `folded` says that the programs would be the same if captured arrays were arguments.
    """

    names: tuple[str, str]
    pairs: tuple[Pair[Equation], ...] | None
    answers: tuple[bool, bool | None, bool | None]
    instructions: tuple[Counter[str], Counter[str]]
    leaves: tuple[LeafResult, ...] | None
    folded: bool


def comparison_report(title: str, call: str, pairings: Sequence[Pairing]) -> Report:
    """Return what a comparison found, as a report."""
    several = len(pairings) > 1
    verdicts = tuple(v for pairing in pairings for v in _verdicts(pairing, several=several))
    tables = tuple(_table(pairing) for pairing in pairings if pairing.pairs)
    signs = {row.cells[1] for table in tables for row in table.rows}
    legend = "   ".join(f"{sign} {text}" for sign, text in _MEANING.items() if sign in signs)
    declined = [
        f"{pairing.names[0]} and {pairing.names[1]} are not set side by side: no step of the one "
        f"is a step of the other. vmapguide.listing shows each of them."
        for pairing in pairings
        if pairing.pairs is None
    ]
    return Report(title, call, verdicts, tables, (*[legend] * bool(legend), *declined))


def _verdicts(pairing: Pairing, *, several: bool) -> Iterator[Verdict]:
    questions = ("same jaxpr", "same compiled program", "same numbers")
    because = (_about_jaxprs(pairing), _about_programs(pairing), _about_numbers(pairing))
    for question, answer, text in zip(questions, pairing.answers, because, strict=True):
        word = _WORDS[answer]
        name = f"{pairing.names[1]}: {question}" if several else question
        yield Verdict(word, name, text)


def _about_jaxprs(pairing: Pairing) -> str:
    """Say what is different about two jaxprs, or how long they are."""
    if pairing.pairs is None:
        return "no step of the one is a step of the other"
    if pairing.answers[0]:
        return counted(len(pairing.pairs), "equation")
    relations = Counter(p.relation for p in pairing.pairs if not p.is_layout)
    parts = []
    if relations["same"] or relations["layout"]:
        both = relations["same"] + relations["layout"]
        text = f"{counted(both, 'step')} in both"
        if relations["layout"]:
            moved = "" if relations["layout"] == both else f"{relations['layout']} of them "
            text += f", {moved}with axes or operands in another place"
        parts.append(text)
    differing = [p.left.primitive for p in pairing.pairs if p.relation == "differs" and p.left]
    if differing:
        parts.append(f"{_listed(differing)} on other values or with other parameters")
    if relations["moved"]:
        parts.append("some in another place of the program")
    for relation, name in zip(("left", "right"), pairing.names, strict=True):
        for layout, text in ((False, ""), (True, ", which only moves axes")):
            only = [
                eqn.primitive
                for p in pairing.pairs
                if p.relation == relation and p.is_layout == layout and (eqn := p.left or p.right)
            ]
            if only:
                parts.append(f"{_listed(only)} in {name} only{text}")
    return "; ".join(parts)


def _about_programs(pairing: Pairing) -> str:
    """Say which instructions one compiled program has more than the other."""
    one, two = pairing.instructions
    if pairing.answers[1] is None:
        return "the texts are equal, but leave out what is in large constants, or what callbacks do"
    if pairing.answers[1]:
        return counted(one.total(), "instruction")
    if pairing.folded:
        return (
            "but only for what XLA has computed from captured arrays: with these as arguments the "
            "programs are the same"
        )
    parts = []
    for name, more in zip(pairing.names, (one - two, two - one), strict=True):
        if more:
            found = ", ".join(f"{number} {operation}" for operation, number in more.most_common(6))
            rest = len(more) - 6
            parts.append(f"{name} has {found}{f' and {rest} other kinds' if rest > 0 else ''} more")
    return "; ".join(parts) or "the same kinds of instructions, put together in another way"


def _about_numbers(pairing: Pairing) -> str:
    if pairing.leaves is None:
        return "the arguments have no values"
    return summary(pairing.leaves)


def _table(pairing: Pairing) -> Table:
    rows = [_row(pair) for pair in pairing.pairs or ()]
    shown: list[Row] = []
    for is_equal, run in groupby(rows, key=lambda row: row.cells[1] == "="):
        every = [*run]
        if is_equal and len(every) > 2 * _KEPT + 1:
            hidden = f"… {len(every) - 2 * _KEPT} more, the same on both sides"
            folded = tuple(every[_KEPT:-_KEPT])
            every[_KEPT:-_KEPT] = [Row((hidden, "=", ""), faded=True, folded=folded)]
        shown += every
    return Table((pairing.names[0], "", pairing.names[1]), tuple(shown))


def _row(pair: Pair[Equation]) -> Row:
    left, right = (
        (Token("  " * pair.depth), *equation_tokens(eqn)) if eqn is not None else ""
        for eqn in (pair.left, pair.right)
    )
    is_move = pair.is_layout and pair.relation in ("layout", "left", "right")
    sign = "·" if is_move else _SIGNS[pair.relation]
    return Row((left, sign, right), faded=pair.is_layout)


def _listed(names: Sequence[str]) -> str:
    counts = Counter(names)
    return ", ".join(f"{name} ({n} times)" if n > 1 else name for name, n in counts.items())
