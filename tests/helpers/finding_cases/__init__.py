"""For each rule a program that raises it, one that looks alike and does not, and a mended one.

Each family of rules has its cases in a module here; `tests/findings/test_rules.py` runs them all.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from vmapguide import Finding


class Explained(Protocol):
    """What has findings: the explanation of a call, or the recording of a program that has run."""

    @property
    def findings(self) -> tuple[Finding, ...]: ...


@dataclass(frozen=True)
class Case:
    """What raises a rule, and what does not.

    Attributes:
        code: the rule.
        firing: explains a program that raises it.
        line: a piece of the line at which it is raised.
        twin: explains a program that looks alike and is clean.
        fix: explains the first program, mended as the rule proposes.
    """

    code: str
    firing: Callable[[], Explained]
    line: str
    twin: Callable[[], Explained]
    fix: Callable[[], Explained]
