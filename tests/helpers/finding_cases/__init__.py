"""For each rule a program that raises it, one that looks alike and does not, and a mended one.

Each family of rules has its cases in a module here; `tests/findings/test_rules.py` runs them all.
"""

from collections.abc import Callable
from dataclasses import dataclass

from vmapguide import Explanation


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
    firing: Callable[[], Explanation]
    line: str
    twin: Callable[[], Explanation]
    fix: Callable[[], Explanation]
