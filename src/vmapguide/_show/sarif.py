"""Findings as SARIF 2.1.0, which code hosts and editors read. Start with `sarif`.

The standard is https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html. A document holds
one run of one tool: the rules that there are, and a result for each finding. Columns are counted in
code units of UTF-16, from 1, and the end is behind the last one.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from vmapguide._data import Finding, Rule, Source


_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)


def sarif(
    findings: Sequence[Finding], rules: Iterable[Rule], version: str, uris: Mapping[str, str]
) -> dict[str, object]:
    """Return a SARIF document, ready for `json.dumps`.

    Args:
        findings: what was found.
        rules: the rules that there are.
        version: the version of vmapguide.
        uris: where the files of the findings are, by their paths; "" or none for a cell.
    """
    known = {rule.code: rule for rule in (*rules, *(finding.rule for finding in findings))}
    places = {code: place for place, code in enumerate(known)}
    seen: Counter[str] = Counter()
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "vmapguide",
                        "version": version,
                        "rules": [*map(_rule, known.values())],
                    }
                },
                "columnKind": "utf16CodeUnits",
                "results": [_result(f, places[f.code], uris, seen) for f in findings],
            }
        ],
    }


def _rule(rule: Rule) -> dict[str, object]:
    return {
        "id": rule.code,
        "name": "".join(word.capitalize() for word in re.findall(r"\w+", rule.name)),
        "shortDescription": {"text": _text(f"{rule.name[:1].upper()}{rule.name[1:]}.")},
        "fullDescription": {"text": _text(_general(rule.sentence))},
        "help": {"text": _text(_general(rule.remedy))},
        "defaultConfiguration": {"level": rule.severity},
    }


def _general(sentence: str) -> str:
    """Return a sentence with dots for its gaps."""
    return re.sub(r"\{\w+(:[^}]*)?\}", "…", sentence).replace("{{", "{").replace("}}", "}")


def _result(
    finding: Finding, place: int, uris: Mapping[str, str], seen: Counter[str]
) -> dict[str, object]:
    """Return a finding as a result; `seen` counts those that are alike."""
    mark = _fingerprint(finding)
    seen[mark] += 1
    result: dict[str, object] = {
        "ruleId": finding.code,
        "ruleIndex": place,
        "level": finding.severity,
        "message": {"text": _text(f"{finding.message} {finding.remedy}")},
        "partialFingerprints": {"vmapguide/v1": f"{mark}:{seen[mark]}"},
    }
    if finding.source is not None:
        result["locations"] = [_location(finding.source, uris.get(finding.source.file, ""))]
    return result


def _location(source: Source, uri: str) -> dict[str, object]:
    name = {"name": _text(source.function), "kind": "function"}
    location: dict[str, object] = {"logicalLocations": [name]}
    if uri:
        location["physicalLocation"] = {"artifactLocation": {"uri": uri}, "region": _region(source)}
    return location


def _region(source: Source) -> dict[str, object]:
    lines = source.text.split("\n")
    return {
        "startLine": source.line,
        "startColumn": _column(source, lines[0], source.column),
        "endLine": source.end_line,
        "endColumn": _column(source, lines[-1], source.end_column),
    }


def _column(source: Source, line: str, column: int) -> int:
    """Return the column of a character of a line, whose indentation has been taken off."""
    before = line[: max(column - source.indentation, 0)]
    return (
        min(column, source.indentation) + len(before.encode("utf-16-le", "surrogatepass")) // 2 + 1
    )


def _fingerprint(finding: Finding) -> str:
    """Return what stays of a finding when lines move: its code, and the piece of code."""
    source = finding.source
    facts = sorted((name, str(fact)) for name, fact in finding.facts.items())
    parts = (source.function, *source.expression.split()) if source else facts
    text = repr((finding.code, parts)).encode("utf-8", "surrogatepass")
    return hashlib.sha256(text).hexdigest()[:32]


def _text(text: str) -> str:
    """Return a text that can be written as UTF-8, in which nothing is taken for a link."""
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return whole.replace("](", "] (")
