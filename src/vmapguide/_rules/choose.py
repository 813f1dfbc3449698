"""Choose findings by their codes. Start with `chosen`; `VG1` stands for all that begin with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from vmapguide._data import Finding
from vmapguide._rules.find import RULES


def beginnings(caller: str, argument: str, codes: Any) -> tuple[str, ...]:
    """Return what codes are to begin with, as somebody has passed it.

    Args:
        caller: the function that it was passed to.
        argument: the argument.
        codes: a code, or several; each may be the beginning of one: `VG1`.

    Raises:
        TypeError: if that is something else.
        ValueError: if no code begins so.
    """
    given = (codes,) if isinstance(codes, str) else codes
    if not isinstance(given, Iterable) or not all(isinstance(code, str) for code in (*given,)):
        raise TypeError(
            f'{caller}: {argument} must be codes, such as "VG101" or ("VG1", "VG301"), but is '
            f"{codes!r}."
        )
    given = tuple(given)
    for code in given:
        if not code.startswith("VG") or not any(known.startswith(code) for known in RULES):
            raise ValueError(
                f"{caller}: {argument} names {code!r}, and there is no such code. The codes are "
                f"{', '.join(RULES)}, and VG1 stands for all that begin with it."
            )
    return given


def split(text: str) -> tuple[str, ...]:
    """Return the codes in a text, which commas separate."""
    return tuple(code.strip() for code in text.split(",") if code.strip())


def chosen(
    findings: Iterable[Finding], select: Sequence[str] = (), ignore: Sequence[str] = ()
) -> tuple[Finding, ...]:
    """Return the findings whose code begins as asked for, all if nothing is, less those ignored."""
    return tuple(
        finding
        for finding in findings
        if (not select or finding.code.startswith(tuple(select)))
        and not finding.code.startswith(tuple(ignore))
    )
