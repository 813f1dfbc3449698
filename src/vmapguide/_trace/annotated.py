"""The source of the functions that took part in a call, with what became of each line.

Start with `annotated`. JAX keeps the Python frames that led to each equation: they say which line
made it, and by which calls.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from vmapguide._data import AnnotatedFunction, AnnotatedLine, Source
from vmapguide._jaxpr import source_lines
from vmapguide._jaxpr.source_files import Home, is_library
from vmapguide._jaxpr.source_functions import Function, function_around
from vmapguide._jaxpr.source_pieces import text_of
from vmapguide._trace.steps import Step


# Of a run of more lines than this that make nothing, those between its ends are quiet.
_LONG_RUN = 6

# A step that a line led to: by which calls of the line's function, and how deep it is nested.
_Calls = tuple[Source, ...]


@dataclass
class _Line:
    """What is known of a line: the steps by the calls that led there, and the calls in it."""

    made: list[int] = field(default_factory=list)
    by_call: dict[_Calls, list[int]] = field(default_factory=dict)
    calls: set[tuple[int, int]] = field(default_factory=set)


def annotated(steps: Sequence[Step], home: Home) -> tuple[AnnotatedFunction, ...]:
    """Return the functions that took part, in the order of their files.

    Args:
        steps: the steps of an explanation.
        home: where the function that is explained is at home. Its file comes first.
    """
    finder = _Finder()
    inherited: list[_Calls] = []
    for number, step in enumerate(steps):
        calls = source_lines.calls_to(step.equation, home)
        if step.depth:
            # The frames of what is nested may end at the function that holds it.
            calls = (*calls, *(call for call in inherited[step.depth - 1] if call not in calls))
        inherited[step.depth :] = [calls]
        finder.add(number, step.depth, calls)
    return tuple(finder.functions(home.file))


class _Finder:
    """Collects which steps the lines of which functions led to."""

    def __init__(self) -> None:
        self.around: dict[Source, Function | None] = {}
        self.participants: dict[Function, None] = {}
        self.lines: dict[tuple[Function, int], _Line] = {}
        self.added: list[tuple[int, _Calls]] = []
        self.depths: dict[int, int] = {}

    def add(self, number: int, depth: int, calls: _Calls) -> None:
        """Note by which calls a step was made."""
        self.added.append((number, calls))
        self.depths[number] = depth
        for piece in calls:
            if (function := self.function_around(piece)) is not None:
                self.participants.setdefault(function)

    def function_around(self, piece: Source) -> Function | None:
        if piece not in self.around:
            self.around[piece] = function_around(piece)
        return self.around[piece]

    def shown(self, piece: Source) -> Function | None:
        """Return the function in which a piece is shown: the outermost around it that took part."""
        found = function = self.function_around(piece)
        while function is not None:
            if function in self.participants:
                found = function
            function = function.outer
        return found

    def functions(self, first: str) -> Iterator[AnnotatedFunction]:
        """Yield the functions, those of one file before the others of their kind."""
        shown = {piece: self.shown(piece) for piece in self.around}
        places: dict[Function, set[Source | None]] = {}
        for number, calls in self.added:
            inside = [(shown[piece], piece) for piece in calls]
            for i, (function, piece) in enumerate(inside):
                if function is None:
                    continue
                line = self.lines.setdefault((function, piece.line), _Line())
                if i == 0:
                    line.made.append(number)
                outer = next(
                    (k for k in range(i, len(inside)) if inside[k][0] is not function), None
                )
                callers = calls[outer:] if outer is not None else ()
                line.by_call.setdefault(callers, []).append(number)
                places.setdefault(function, set()).add(callers[0] if callers else None)
                if i and inside[i - 1][0] not in (None, function):
                    line.calls.add(_callee(piece))
        files = dict.fromkeys([first, *(function.file for function in places)])
        # Those of the user's come first, also where a library's function is explained.
        for file in sorted(files, key=is_library):
            own = [function for function in places if function.file == file]
            for function in sorted(own, key=lambda function: function.start):
                yield self.annotated(function, len(places[function]))

    def annotated(self, function: Function, call_count: int) -> AnnotatedFunction:
        """Return a function with its lines."""
        texts = text_of(function.file).split("\n")[function.start - 1 : function.end]
        whole = textwrap.dedent("\n".join(texts)).split("\n")
        indentation = len(texts[0]) - len(whole[0])
        first, last = function.docstring
        known = [self.lines.get((function, function.start + i)) for i in range(len(whole))]
        heads = [text.lstrip().startswith(("def ", "async def ")) for text in whole]
        quiet = _quiet([line is not None or h for line, h in zip(known, heads, strict=True)])
        lines = []
        for i, (text, line) in enumerate(zip(whole, known, strict=True)):
            number = function.start + i
            is_quiet = first <= number <= last or i in quiet
            if line is None:
                lines.append(AnnotatedLine(number, text, is_quiet=is_quiet))
                continue
            lines.append(
                AnnotatedLine(
                    number,
                    text,
                    made=tuple(line.made),
                    values=tuple(map(self.value, line.by_call.values())),
                    led_to=tuple(sorted({n for steps in line.by_call.values() for n in steps})),
                    calls=tuple(
                        (start - indentation, end - indentation)
                        for start, end in sorted(line.calls)
                    ),
                )
            )
        return AnnotatedFunction(function.name, function.file, call_count, tuple(lines))

    def value(self, steps: Sequence[int]) -> int:
        """Return the step whose result is that of a line: the last one that is nested least."""
        depth = min(self.depths[number] for number in steps)
        return max(number for number in steps if self.depths[number] == depth)


def _callee(piece: Source) -> tuple[int, int]:
    """Return where in a line stands what is called: `norm` of `norm(x)`."""
    name, bracket, _ = piece.expression.partition("(")
    end = piece.column + len(name) if bracket and "\n" not in name else piece.end_column
    return piece.column, end


def _quiet(is_busy: Sequence[bool]) -> set[int]:
    """Return the lines inside of long runs of those that make nothing."""
    found: set[int] = set()
    for run in _runs(is_busy):
        if len(run) > _LONG_RUN:
            found.update(run[1:-1])
    return found


def _runs(is_busy: Iterable[bool]) -> Iterator[list[int]]:
    run: list[int] = []
    for i, busy in enumerate((*is_busy, True)):
        if not busy:
            run.append(i)
        elif run:
            yield run
            run = []
