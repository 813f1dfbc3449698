"""The verdicts about findings, which people have written by hand, and the report made with them."""

import json
import tomllib
from typing import Any

from places import DOCS, ROOT

from vmapguide._rules.find import RULES


VERDICTS = tomllib.loads((ROOT / "benchmarks" / "precision-verdicts.toml").read_text("utf-8"))
REPORT: dict[str, Any] = json.loads((DOCS / "project" / "findings.json").read_text("utf-8"))


def test_a_verdict_has_a_reason() -> None:
    """It is one of three words, about a rule that there is, and says why."""
    for name, verdict in VERDICTS.items():
        assert verdict["verdict"] in ("right", "quiet", "wrong"), name
        assert verdict["why"], name
        assert name.split(" ")[0] in RULES, name


def test_the_report_has_these_verdicts() -> None:
    """What is sampled was judged, and counted as it was judged."""
    counted = dict.fromkeys(("right", "quiet", "wrong"), 0)
    for each in REPORT["sample"]:
        assert VERDICTS[each["id"]] == {key: each[key] for key in ("verdict", "why")}
        counted[each["verdict"]] += 1
    rules = REPORT["rules"].values()
    assert counted == {key: sum(rule[key] for rule in rules) for key in counted}


def test_the_sample_is_right() -> None:
    """Of each rule, 95 of 100 findings are."""
    for code, rule in REPORT["rules"].items():
        judged = rule["right"] + rule["quiet"] + rule["wrong"]
        assert 100 * rule["right"] >= 95 * judged, code
