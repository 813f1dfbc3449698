"""What is shown of an explanation: your code, one example, the whole batch.

Start with `groups`, which puts the rows together by the line that made them and folds away what has
no room, and `made`, which says what became of a row. `explanation_summary` says it in words, and
`explanation_text` and `explanation_html` print it all.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from vmapguide._data import (
    AnnotatedFunction,
    Equation,
    Finding,
    Literal,
    Program,
    Sharded,
    Source,
    Type,
    Variable,
)
from vmapguide._show.tokens import Token, type_tokens


# What stands above the columns.
HEADINGS = ("your code", "one example", "the whole batch")

# Of a line of the user's are folded: more equations inside library code than this, and what comes
# after so many equations.
_MANY, _FIRST = 3, 12

# Of what one equation became, if it is more than `_FIRST`, so many equations are shown: the first
# and the last. A `switch` masks its operands first and picks its results last.
_MADE_FIRST, _MADE_LAST = 4, 2

# Kinds of what runs more than once for the whole batch, or may do so.
SLOW = frozenset({"unknown", "one by one", "slowest example", "all branches", "any example"})

# An argument of more arrays than this is shown as how many, as are more results than this.
_FEW_ARRAYS, _FEW_RESULTS = 3, 6


@dataclass(frozen=True)
class Part:
    """What became of an equation in one of its calls: equations, each with whether it is layout."""

    batched: tuple[tuple[Equation, bool], ...]
    kind: str
    axes: tuple[int | None, ...] | None = None


@dataclass(frozen=True)
class Row:
    """A step: an equation, what it became in each of its calls, its kind.

    `called_from` is the user's code where `source` is that of a library which it called. `bounds`
    are the arguments that say how often a loop runs, and that `jax.vmap` would hand on as numbers.
    `codes` are those of the findings about it.
    """

    source: Source | None
    own: bool
    equation: Equation | None
    parts: tuple[Part, ...]
    kind: str
    depth: int
    called_from: Source | None = None
    bounds: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()

    @property
    def batched(self) -> tuple[tuple[Equation, bool], ...]:
        """What the equation became, in all calls."""
        return tuple(made for part in self.parts for made in part.batched)


@dataclass(frozen=True)
class ExplanationView:
    """Everything that is shown of an explanation.

    Attributes:
        name: what the function is called.
        call: the arguments of `jax.vmap`, as written.
        sizes: the sizes of the batch axes.
        sharded: the arguments of which each of several devices has a part.
        arguments: what the user calls each argument of `whole`.
        whole: the batched program.
        rows: the steps.
        file: the file of the function, whose lines need no name of a file; "" if it is a library's.
        files: what to call the files of the lines.
        kernels: the operations that are one call of a library, which may take matrices one by one.
        findings: what cost or surprised.
        functions: the source of the functions that took part; empty if it is not known.
        shares: which share of the cost each line of each function has; None if nobody asked.
    """

    name: str
    call: str
    sizes: Mapping[str, int]
    sharded: Sequence[Sharded]
    arguments: Sequence[str]
    whole: Program
    rows: tuple[Row, ...]
    file: str
    files: Mapping[str, str]
    kernels: frozenset[str]
    findings: tuple[Finding, ...]
    functions: tuple[AnnotatedFunction, ...] = ()
    shares: tuple[tuple[float | None, ...], ...] | None = None


@dataclass(frozen=True)
class Group:
    """The rows of one line; `folded` has the numbers of those to fold away.

    `place` names the file of the line where it is another one than that of the line above. A line
    of the user's has no rows if those of the library that it called follow.
    """

    source: Source | None
    rows: tuple[Row, ...]
    folded: frozenset[int]
    place: str


def groups(view: ExplanationView, *, fold: bool = True) -> Iterator[Group]:
    """Yield runs of rows that came from the same line."""
    return groups_of(view, view.rows, fold=fold)


def groups_of(view: ExplanationView, among: Iterable[Row], *, fold: bool = True) -> Iterator[Group]:
    """Yield runs of rows, out of some of the view's, that came from the same line."""
    file = view.file
    above: object = None

    def group(source: Source | None, rows: tuple[Row, ...], folded: Iterable[int] = ()) -> Group:
        nonlocal file
        place = view.files.get(source.file, "") if source and source.file != file else ""
        file = source.file if source else file
        return Group(source, rows, frozenset(folded), place)

    for _, run in groupby(among, key=lambda row: (_line(row.source), row.kind == "out_axes")):
        rows = tuple(run)
        caller = rows[0].called_from
        if caller and _line(caller) != above:
            yield group(caller, ())
        above = _line(caller or rows[0].source)
        yield group(rows[0].source, rows, _folded(rows) if fold else ())


def _line(source: Source | None) -> object:
    return source and (source.file, source.line, source.end_line)


def _folded(rows: Sequence[Row]) -> set[int]:
    """Return which rows of a line to fold away: those of library code, and those after the first.

    Of the latter, those that run more than once for the batch are shown.
    """
    inner = [i for i, row in enumerate(rows) if not row.own]
    folded = set(inner if len(inner) > _MANY else ())
    left = [i for i in range(len(rows)) if i not in folded]
    if len(left) > _FIRST + _MANY:
        slow = [i for i in left[_FIRST:] if rows[i].kind in SLOW]
        folded |= set(left[_FIRST:]) - set(slow[:_FIRST])
    return folded


@dataclass(frozen=True)
class Made:
    """A batched equation with a note; without an equation the note stands alone.

    `codes` are those of the findings about the row, with the first equation of it that is shown.
    """

    equation: Equation | None
    note: str = ""
    folded: bool = False
    codes: tuple[str, ...] = ()


def made(row: Row, *, fold: bool = True) -> list[Made]:
    """Return what a row's equation became. A kind is noted once in each call."""
    notes = [_note(row, number) for number in range(len(row.parts))]
    found = [
        made for part, note in zip(row.parts, notes, strict=True) for made in _part(part, note)
    ]
    if fold and len(found) > _FIRST:
        last = len(found) - _MADE_LAST
        found = [
            dataclasses.replace(one, folded=_MADE_FIRST <= i < last) for i, one in enumerate(found)
        ]
    if found and row.codes:
        shown = [i for i, one in enumerate(found) if not one.folded]
        noted = [i for i in shown if found[i].note not in ("", "layout")]
        first = (noted or shown)[0]
        found[first] = dataclasses.replace(found[first], codes=row.codes)
    return found


def _part(part: Part, note: str) -> Iterator[Made]:
    for equation, is_layout in part.batched:
        yield Made(equation, "layout" if is_layout else note)
        note = note if is_layout else ""
    if not part.batched and note:
        yield Made(None, note)


def _note(row: Row, number: int) -> str:
    """Return the note on what became of a row in one of its calls."""
    part = row.parts[number]
    if len(row.parts) == 1:
        return "" if part.kind in ("same", "out_axes") else part.kind
    # JAX holds the program of a function once. What its calls made of it stands one below another.
    call = "another call" if number else "one call"
    if len({other.kind for other in row.parts}) > 1:
        return f"{call}: {'mapped' if part.kind == 'same' else part.kind}"
    if part.kind != "same":
        return f"{call}: {part.kind}"
    axes = [{*(other.axes or ())} - {None} for other in row.parts]
    differ = len({frozenset(found) for found in axes}) > 1
    if differ and len(axes[number]) == 1:
        return f"{call}: axis {next(iter(axes[number]))}"
    return call


def folded_label(parts: Iterable[Made]) -> str:
    """Return what stands for the folded part of what an equation became."""
    names = Counter(made.equation.primitive for made in parts if made.folded and made.equation)
    common = [f"{number} {name}" for name, number in names.most_common(3)]
    others = names.total() - sum(number for _, number in names.most_common(3))
    rest = [f"{others} other{'s' * (others > 1)}"] * bool(others)
    return f"{names.total()} more: {', '.join([*common, *rest])}"


# -- The header ------------------------------------------------------------


def signature(view: ExplanationView) -> list[Token]:
    """Return the types of a program's arguments and results.

    An argument of many arrays is named, with how many they are; then so are the others.
    """
    tokens: list[Token] = []
    # Of a function without a signature it is not known what its arguments are called.
    known = len(view.arguments) == len(view.whole.arguments)
    names = view.arguments if known else map(str, range(len(view.whole.arguments)))
    variables = zip(names, view.whole.arguments, strict=True)
    arguments = [
        (root, [variable.type for _, variable in entries])
        for root, entries in groupby(variables, key=lambda entry: _root(entry[0]))
    ]
    named = any(len(types) > 1 for _, types in arguments)
    for i, (root, types) in enumerate(arguments):
        tokens += [Token(", ")] * bool(i) + [Token(f"{root}: ")] * named
        tokens += _types(types, _FEW_ARRAYS, brackets=True)
    tokens.append(Token(" → "))
    return [*tokens, *_types(view.whole.results, _FEW_RESULTS)]


def _root(name: str) -> str:
    """Return the argument that a leaf belongs to: `model` for `model.layers[0]['w']`."""
    return re.split(r"[.\[<]", name, maxsplit=1)[0]


def _types(
    entries: Sequence[Type | Variable | Literal], few: int, *, brackets: bool = False
) -> list[Token]:
    """Return types as tokens, or how many there are."""
    types = [entry.type if isinstance(entry, Variable) else entry for entry in entries]
    if len(types) > few:
        return [Token(_arrays(types))]
    tokens: list[Token] = []
    for i, kind in enumerate(types):
        tokens += [Token(", ")] * bool(i)
        tokens += (Token(kind.text, "value"),) if isinstance(kind, Literal) else type_tokens(kind)
    return [Token("("), *tokens, Token(")")] if brackets and len(types) > 1 else tokens


def _arrays(types: Sequence[Type | Literal]) -> str:
    mapped = sum(
        isinstance(kind, Type) and any(isinstance(size, str) for size in kind.shape or ())
        for kind in types
    )
    if mapped in (0, len(types)):
        return f"{len(types)} {'mapped ' * bool(mapped)}arrays"
    return f"{len(types)} arrays ({mapped} mapped)"


# -- Code -------------------------------------------------------------------


def underlined(source: Source) -> Iterator[tuple[int, str, int, int]]:
    """Yield the lines of a source: number, text, and where the underlined part starts and ends."""
    rows = source.text.split("\n")
    for i, row in enumerate(rows):
        start = source.column - source.indentation if i == 0 else len(row) - len(row.lstrip())
        end = source.end_column - source.indentation if i == len(rows) - 1 else len(row)
        yield source.line + i, row, start, end
