"""Findings of an explanation, or of a program that has run, as a SARIF document."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from vmapguide._data import Finding
from vmapguide._jaxpr import source_files
from vmapguide._rules.find import RULES
from vmapguide._show.sarif import sarif


def to_sarif(findings: Sequence[Finding]) -> dict[str, object]:
    """Return findings in the SARIF format, version 2.1.0, ready for `json.dumps`."""
    files = {finding.source.file for finding in findings if finding.source}
    uris = {file: source_files.uri(file) for file in files}
    # The version stands in what imports this.
    version = importlib.import_module("vmapguide").__version__
    return sarif(findings, RULES.values(), version, uris)
