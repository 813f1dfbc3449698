"""Find what cost or surprised in a call of `jax.vmap`. Start with `find`.

It asks the rules, one file a family, puts together what they find in one line, and leaves out what
a comment in the line asks to be left out.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterable, Iterator, Sequence

from vmapguide._data import Finding, Rule
from vmapguide._rules import (
    arguments,
    compilation,
    control_flow,
    ignores,
    indexing,
    memory,
    one_by_one,
    randomness,
)
from vmapguide._rules.subject import Subject


FAMILIES = (control_flow, memory, indexing, one_by_one, randomness, arguments)

# Every rule by its code. Those about compilation are asked of programs that have run.
RULES: dict[str, Rule] = {
    rule.code: rule for family in (*FAMILIES, compilation, ignores) for rule in family.RULES
}


def find(subject: Subject) -> tuple[Finding, ...]:
    """Return what rules found, warnings first, in the order of the program."""
    findings = [*_merged(found for family in FAMILIES for found in family.find(subject))]
    elsewhere = {rule.code for rule in compilation.RULES}
    kept = ignores.kept(subject, findings, RULES.keys(), elsewhere)
    return tuple(sorted(kept, key=_place))


def _merged(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Yield what a rule found in a line as one finding."""
    groups: dict[object, list[Finding]] = {}
    for finding in findings:
        source = finding.source
        place = (source.file, source.line, source.end_line) if source else finding.facts.get("code")
        groups.setdefault((finding.code, place), []).append(finding)
    yield from map(_together, groups.values())


def _together(findings: Sequence[Finding]) -> Finding:
    """Return the worst of several findings of a rule in a line, with what they come to together."""
    worst = max(findings, key=lambda f: (f.severity == "warning", f.factor or 0, f.bytes or 0))
    known = [f.bytes for f in findings if f.bytes is not None]
    return dataclasses.replace(
        worst,
        steps=tuple(sorted({number for f in findings for number in f.steps})),
        bytes=sum(known) if known else None,
    )


def _place(finding: Finding) -> tuple[bool, int, str]:
    """Return by what findings are sorted: warnings first, and then as the program runs."""
    return finding.severity != "warning", min(finding.steps, default=sys.maxsize), finding.code
