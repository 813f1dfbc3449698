"""The steps of an explanation as plain data: `Contents` makes rows for views, and dictionaries."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import jax.extend.core as jec

from vmapguide._data import Equation, Finding, Source
from vmapguide._jaxpr import source_lines
from vmapguide._jaxpr.source_files import Home
from vmapguide._show.explanation import Part, Row
from vmapguide._trace.steps import Step, Variant, is_layout


@dataclass(frozen=True)
class Contents:
    """What an explanation has to show.

    Attributes:
        steps: the per-example equations with what became of them.
        boundary: the batched equations that `vmap` added for `in_axes` and `out_axes`.
        unknown: the batched equations of which it is not known where they came from.
        findings: what cost or surprised.
        one: the per-example equations as plain data, by their `id`.
        whole: the batched equations as plain data, by their `id`.
        home: where the function is at home.
    """

    steps: tuple[Step, ...]
    boundary: tuple[jec.JaxprEqn, ...]
    unknown: tuple[jec.JaxprEqn, ...]
    findings: tuple[Finding, ...]
    one: Mapping[int, Equation]
    whole: Mapping[int, Equation]
    home: Home

    def to_dict(self) -> dict[str, object]:
        """Return steps, boundary and what is unknown, ready for `json.dumps`."""
        return {
            "steps": [
                {
                    "equation": dataclasses.asdict(self.one[id(step.equation)]),
                    **self._became(step),
                    "variants": [*map(self._became, step.variants)],
                    "source": step.source and step.source.to_dict(),
                    "in_user_code": step.in_user_code,
                    "depth": step.depth,
                    "bounds": list(step.bounds),
                }
                for step in self.steps
            ],
            "boundary": [*map(self._batched, self.boundary)],
            "unknown": [*map(self._batched, self.unknown)],
        }

    def _became(self, step: Step | Variant) -> dict[str, object]:
        return {
            "batched": [*map(self._batched, step.batched)],
            "kind": step.kind,
            "batch_axes": step.batch_axes and list(step.batch_axes),
        }

    def _batched(self, eqn: jec.JaxprEqn) -> object:
        return dataclasses.asdict(self.whole[id(eqn)])

    def rows(self, *, library: bool) -> Iterator[Row]:
        """Yield the rows of a view, one for each step; `library`: with the lines of libraries."""
        # The library code that is shown for the equations that a step is nested in.
        outer: list[Source | None] = []
        codes: dict[int, list[str]] = {}
        for finding in self.findings:
            for number in finding.steps:
                codes.setdefault(number, []).append(finding.code)
        for number, step in enumerate(self.steps):
            inner = source_lines.in_library(step.equation) if library else None
            outer[step.depth :] = [inner or (outer[step.depth - 1] if step.depth else None)]
            shown = None if step.in_user_code and inner is None else outer[step.depth]
            yield Row(
                source=shown or step.source,
                own=step.in_user_code or inner is not None,
                equation=self.one[id(step.equation)],
                parts=tuple(map(functools.partial(self._part, step), step.variants)),
                kind=step.kind,
                depth=step.depth,
                called_from=step.source if shown else None,
                bounds=step.bounds,
                codes=tuple(codes.get(number, ())),
            )
        for eqn in self.unknown:
            part = Part(((self.whole[id(eqn)], False),), "unknown")
            source = source_lines.of_equation(eqn, self.home)
            yield Row(source, True, None, (part,), "unknown", 0)
        if self.boundary:
            made = tuple((self.whole[id(eqn)], True) for eqn in self.boundary)
            yield Row(None, True, None, (Part(made, "out_axes"),), "out_axes", 0)

    def _part(self, step: Step, variant: Variant) -> Part:
        return Part(
            batched=tuple(
                (self.whole[id(eqn)], is_layout(step.equation, eqn)) for eqn in variant.batched
            ),
            kind=variant.kind,
            axes=variant.batch_axes,
        )
