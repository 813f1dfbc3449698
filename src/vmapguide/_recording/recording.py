"""What a program's calls of `jax.vmap` were: the result of `run`, which shows and saves itself."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vmapguide._data import Finding
from vmapguide._jaxpr.source_files import is_library, shown_paths
from vmapguide._recording.call_sites import Place
from vmapguide._recording.recorder import Record
from vmapguide._rules.compilation import find_calls
from vmapguide._rules.find import RULES
from vmapguide._rules.ignores import is_ignored
from vmapguide._sarif import to_sarif
from vmapguide._show.recording import CallView, recording_html, recording_text
from vmapguide._show.result import Shown


@dataclass(frozen=True, repr=False, eq=False)
class Recording(Shown):
    """The calls of `jax.vmap` that a program made, each with what was found.

    Attributes:
        name: what the program is called.
        records: the calls, those with warnings first, and then the dearest.
    """

    name: str
    records: tuple[Record, ...]

    @classmethod
    def of(cls, name: str, records: Sequence[Record]) -> Recording:
        """Return the recording of a program that has ended."""
        found = [_with_findings_of_calls(record) for record in records]
        return cls(name, tuple(sorted(found, key=_order)))

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was found, each finding once, in the order of the records."""
        unique: dict[object, Finding] = {}
        for record in self.records:
            for finding in record.findings:
                source = finding.source
                place = (source.file, source.line) if source else record.site.place
                unique.setdefault((finding.code, place, finding.message), finding)
        return tuple(unique.values())

    def to_dict(self) -> dict[str, object]:
        """Return the recording as plain data, ready for `json.dumps`.

        Returns:
            A dictionary with the keys `schema` (`"vmapguide.recording/1"`), `name` and `records`. A
            record has `place` and `via` (`file`, `line` and `function`), `maker`, `function`,
            `batch_size`, `equations`, `work`, `share`, `calls`, `eager_calls`, `functions`,
            `programs`, `is_inner`, `findings` (as `Finding.to_dict` has them) and `reason`.
        """
        shares = [*self._shares()]
        return {
            "schema": "vmapguide.recording/1",
            "name": self.name,
            "records": [
                {
                    "place": dataclasses.asdict(record.site.place),
                    "via": record.site.via and dataclasses.asdict(record.site.via),
                    "maker": record.site.maker,
                    "function": record.name,
                    "batch_size": record.size,
                    "equations": record.equations,
                    "work": record.work,
                    "share": share,
                    "calls": record.calls,
                    "eager_calls": record.eager_calls,
                    "functions": record.functions,
                    "programs": record.programs,
                    "is_inner": record.is_inner,
                    "findings": [finding.to_dict() for finding in record.findings],
                    "reason": record.reason,
                }
                for record, share in zip(self.records, shares, strict=True)
            ],
        }

    def to_sarif(self) -> dict[str, object]:
        """Return what was found in the SARIF format, version 2.1.0, ready for `json.dumps`."""
        return to_sarif(self.findings)

    def _writers(self) -> dict[str, Callable[[], str]]:
        return super()._writers() | {".sarif": lambda: f"{json.dumps(self.to_sarif(), indent=2)}\n"}

    def _text(self, width: int, *, fold: bool) -> str:
        del fold
        return recording_text(self._title(), [*self._views()], width)

    def _html(self, *, fold: bool) -> str:
        del fold
        return recording_html(self._title(), [*self._views()])

    def _title(self) -> str:
        return f"jax.vmap in {self.name}"

    def _shares(self) -> Iterator[float | None]:
        """Yield which part of the work each record has; what is inside another one has none."""
        total = sum(record.work for record in self.records if not record.is_inner)
        for record in self.records:
            yield None if record.is_inner or record.reason else record.work / max(total, 1)

    def _views(self) -> Iterator[CallView]:
        for record, share in zip(self.records, self._shares(), strict=True):
            site = record.site
            via = site.maker or (f"{_label(site.via.file)}:{site.via.line}" if site.via else "")
            yield CallView(
                place=_written(site.place),
                via=via,
                name=record.name,
                size=record.size,
                equations=record.equations,
                share=share,
                findings=tuple((_place_of(f, record), f) for f in record.findings),
                reason=record.reason,
                explanation=record.view,
            )


def _order(record: Record) -> tuple[int, int]:
    warnings = sum(finding.severity == "warning" for finding in record.findings)
    return -warnings, -record.work


def _with_findings_of_calls(record: Record) -> Record:
    """Return a record with what is known of its calls, now that the program has ended."""
    source = record.site.source
    if source is None or record.reason:
        return record
    found = find_calls(
        source,
        eager_calls=record.eager_calls,
        functions=record.functions,
        programs=record.programs,
        operations=record.operations,
    )
    kept = (finding for finding in found if not is_ignored(finding, RULES.keys()))
    return dataclasses.replace(record, findings=(*record.findings, *kept))


def _place_of(finding: Finding, record: Record) -> str:
    if finding.source is None:
        return _written(record.site.place)
    return f"{_label(finding.source.file)}:{finding.source.line}"


def _written(place: Place) -> str:
    return f"{_label(place.file)}:{place.line}"


def _label(file: str) -> str:
    """Return how to name a file: the user's from where the program runs, if it is below."""
    shown = shown_paths([file])[file]
    if not shown:
        return "<cell>"
    if is_library(file) or not Path(file).is_absolute():
        return shown
    path = Path(file)
    here = Path.cwd()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else file
