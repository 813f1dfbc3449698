"""An explanation in sentences: how many equations became how many, and at what cost.

Start with `summary`. `folded` says what the rows are that a view folds away.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence

from vmapguide._data import Equation, Finding, Variable
from vmapguide._show.explanation import ExplanationView, Group, Row
from vmapguide._show.words import counted, listed


# What is said of a number of equations of a kind, those that cost first.
_SAID = {
    "one by one": "{n} {run} one example at a time",
    "slowest example": "{n} {run} until the slowest example is done",
    "all branches": "{n} {run} every branch for every example",
    "any example": "{n} {take} one branch for all examples, chosen over the batch",
    "unknown": "{n} could not be mapped",
    "rewritten": "{n} {were} rewritten",
}

# So many lines are named.
_FEW_LINES = 5

# What stands in the place of findings if there are none.
NOTHING_FOUND = "findings: nothing found"


def summary(view: ExplanationView) -> str:
    """Say in a few sentences how many equations became how many, and at what cost."""
    return " ".join(_sentences(view))


def _sentences(view: ExplanationView) -> Iterator[str]:
    steps = [row for row in view.rows if row.equation]
    kinds = Counter(row.kind for row in steps)
    batched = [is_layout for row in view.rows for _, is_layout in row.batched]
    yield f"{counted(len(steps), 'equation')} became {len(batched):,}."
    once = kinds["same"] + kinds["shared"] + kinds["layout"]
    if once:
        everything = once == len(steps) > 1
        yield _agree(f"{'All ' * everything}{{n}} {{run}} once for the whole batch.", once)
    if shared := kinds["shared"]:
        yield _agree("{n} of them {have} no mapped input and stayed as {they} {were}.", shared)
    if layout := sum(batched):
        yield _agree("{n} more {line} axes up.", layout)
    for kind in ("rewritten", "any example", "all branches", "slowest example", "one by one"):
        if kinds[kind]:
            found = [row for row in steps if row.kind == kind]
            yield f"{_agree(_SAID[kind], kinds[kind])}{_at(view, found)}."
    if kinds[""]:
        yield _agree("{n} {lie} in a function that has a batching rule of its own.", kinds[""])
    kernels = [row for row in steps if _is_kernel(row, view.kernels)]
    if kernels:
        yield _of_kernels(kernels) + f"{_at(view, kernels)}."
    yield from _of_bounds(view, [row for row in steps if row.bounds])
    unknown = [row for row in view.rows if row.kind == "unknown"]
    if unknown:
        yield _of_unknown(unknown) + f"{_at(view, unknown)}; both jaxprs are right all the same."
    elif not kinds["one by one"]:
        yield f"Nothing {'else ' * bool(kernels)}runs one example at a time."


def _is_kernel(row: Row, kernels: Collection[str]) -> bool:
    """Say whether a row is a kernel that got an axis more. It may do without: for one matrix."""
    return row.equation is not None and any(
        eqn.primitive in kernels and _rank(eqn) > _rank(row.equation)
        for part in row.parts
        if part.kind == "same"
        for eqn, _ in part.batched
    )


def _rank(eqn: Equation) -> int:
    """Return how many axes the first operand has."""
    first = eqn.inputs[0] if eqn.inputs else None
    return len(first.type.shape or ()) if isinstance(first, Variable) else 0


def _of_bounds(view: ExplanationView, rows: Sequence[Row]) -> Iterator[str]:
    if rows:
        names = listed([*dict.fromkeys(name for row in rows for name in row.bounds)])
        number = "A loop runs" if len(rows) == 1 else f"{len(rows)} loops run"
        yield f"{number} as often as {names} says{_at(view, rows)}: jax.vmap alone hands on the"
        yield 'number, and may make another loop of it, which traced="mapped" shows.'


def _of_kernels(rows: Sequence[Row]) -> str:
    names = [*dict.fromkeys(row.equation.primitive for row in rows if row.equation)]
    if len(names) == 1:
        return f"{names[0]} is one call of a library, which may take the matrices one by one"
    return f"{listed(names)} are each one call of a library, which may take the matrices one by one"


def _of_unknown(rows: Sequence[Row]) -> str:
    ours = sum(row.equation is not None for row in rows)
    theirs = sum(row.equation is None for row in rows)
    if not ours:
        number = counted(theirs, "batched equation")
        return _agree(f"{number} could not be mapped to what {{they}} came from", theirs)
    number = counted(ours, "equation")
    if not theirs:
        return _agree(f"{number} could not be mapped to what vmap made of {{them}}", ours)
    return f"{number} and {theirs} of the batched ones could not be mapped to each other"


def place(view: ExplanationView, finding: Finding) -> str:
    """Return the line of a finding, with its file if that is another one than the function's."""
    if finding.source is None:
        return ""
    file = view.files.get(finding.source.file, "") if finding.source.file != view.file else ""
    return f"line {finding.source.line}{f' of {file}' if file else ''}"


def folded(group: Group) -> str:
    """Say what stands for the folded rows of a line: how many they are, and what of them matters.

    What did not run once for the batch matters.
    """
    rows = [group.rows[i] for i in sorted(group.folded)]
    number = counted(len(rows), "equation")
    if any(row.own for row in rows):
        number = number.replace(" ", " more ")
    else:
        number += " inside library code"
    kinds = Counter(row.kind for row in rows)
    matters = [_agree(said, kinds[kind]) for kind, said in _SAID.items() if kinds[kind]]
    matters += dict.fromkeys(code for row in rows for code in row.codes)
    return f"{number}: {', '.join(matters)}" if matters else number


def _at(view: ExplanationView, rows: Iterable[Row]) -> str:
    """Return the lines of rows, as they stand at the end of a sentence."""
    lines: dict[str, set[int]] = {}
    for row in rows:
        if row.source:
            name = "" if _is_one_file(view) else view.files.get(row.source.file, "")
            lines.setdefault(name, set()).add(row.source.line)
    places = [
        f"{_numbered(numbers)}{f' of {name}' if name else ''}" for name, numbers in lines.items()
    ]
    return f": {', '.join(places)}" if places else ""


def _is_one_file(view: ExplanationView) -> bool:
    """Say whether all lines are in the file of the function."""
    return all(row.source.file == view.file for row in view.rows if row.source)


def _numbered(numbers: set[int]) -> str:
    first, more = sorted(numbers)[:_FEW_LINES], len(numbers) - _FEW_LINES
    texts = [*map(str, first), *[f"{more} more"] * (more > 0)]
    return f"line{'s' * (len(texts) > 1)} {listed(texts)}"


def _agree(sentence: str, number: int) -> str:
    """Fill a number into a sentence, and the forms of its words that go with it."""
    one = number == 1
    return sentence.format(
        n=number,
        run="runs" if one else "run",
        take="takes" if one else "take",
        have="has" if one else "have",
        lie="lies" if one else "lie",
        line="lines" if one else "line",
        were="was" if one else "were",
        they="it" if one else "they",
        them="it" if one else "them",
    )
