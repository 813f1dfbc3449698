"""Each rule fires where it should, not at what looks alike, and not once its advice is taken."""

import pytest
from finding_cases import (
    Case,
    arguments,
    compilation,
    control_flow,
    ignores,
    indexing,
    memory,
    one_by_one,
    randomness,
)
from places import DOCS

from vmapguide._rules.find import RULES


CASES = [
    *control_flow.CASES,
    *memory.CASES,
    *indexing.CASES,
    *one_by_one.CASES,
    *randomness.CASES,
    *arguments.CASES,
    *compilation.CASES,
    *ignores.CASES,
]

each = pytest.mark.parametrize("case", CASES, ids=[case.code for case in CASES])


@each
def test_it_fires_at_the_line(case: Case) -> None:
    """The program raises it once, at the line that is to blame."""
    (finding,) = [f for f in case.firing().findings if f.code == case.code]
    assert finding.source is not None
    assert case.line in finding.source.text
    assert "`" in finding.message or case.code[2] in "567"
    assert finding.remedy


@each
def test_what_looks_alike_is_clean(case: Case) -> None:
    """A program that looks alike does not raise it."""
    assert case.code not in {finding.code for finding in case.twin().findings}


@each
def test_the_remedy_works(case: Case) -> None:
    """The program that is mended as the rule proposes does not raise it."""
    assert case.code not in {finding.code for finding in case.fix().findings}


def test_every_rule_has_a_case_and_a_page() -> None:
    """Nothing is said that is not tried and explained."""
    assert {case.code for case in CASES} == RULES.keys()
    assert {path.stem for path in (DOCS / "findings").glob("VG*.md")} == RULES.keys()
