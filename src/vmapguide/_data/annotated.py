"""Source code with what became of it: `AnnotatedFunction`, line by line."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass


@dataclass(frozen=True)
class AnnotatedLine:
    """A line of a function.

    Attributes:
        number: its number in the file, counted from 1.
        text: what it says, without the indentation that all lines of the function have.
        made: the numbers of the steps that it made, itself or by calling a library.
        values: the numbers of the steps whose results are the line's own, one for each call of the
            function; alike in all calls, it is one.
        led_to: the numbers of the steps that it led to, also by calling code of the user's.
        calls: where in the line code of the user's is called: from which character to which.
        is_quiet: whether it is part of a docstring, or of a long run of lines that make nothing.
    """

    number: int
    text: str
    made: tuple[int, ...] = ()
    values: tuple[int, ...] = ()
    led_to: tuple[int, ...] = ()
    calls: tuple[tuple[int, int], ...] = ()
    is_quiet: bool = False


@dataclass(frozen=True)
class AnnotatedFunction:
    """A function that took part, whole.

    Attributes:
        name: its name, behind that of the class that it is a method of.
        file: the file that it is in.
        call_count: from how many places it is called.
        lines: its lines.
    """

    name: str
    file: str
    call_count: int
    lines: tuple[AnnotatedLine, ...]

    def to_dict(self) -> dict[str, object]:
        """Return the function as plain data, ready for `json.dumps`."""
        return dataclasses.asdict(self)
