"""Which share of a batched program's cost each line of the source has. Start with `shares`.

A line has all that it leads to, in every call of its function. A function that JAX has compiled as
one program is a step at the first line that calls it; what it costs is counted with each call.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

import jax.extend.core as jec

from vmapguide._data import AnnotatedFunction, Work
from vmapguide._jaxpr.compat import AnyJaxpr, opened
from vmapguide._jaxpr.walk import nested, walk
from vmapguide._measure import run_counts
from vmapguide._trace.steps import Step


def total_work(batched: AnyJaxpr) -> int:
    """Return FLOPs and functions such as `exp` of a program, of each unknown loop one trip."""
    return _operations(run_counts.Branches("dearest").amount(opened(batched)))


def shares(
    batched: AnyJaxpr, steps: Sequence[Step], functions: Sequence[AnnotatedFunction]
) -> tuple[tuple[float | None, ...], ...]:
    """Return the share of each line of each function; None for one that leads to nothing."""
    program = _Program(batched)
    total = max(total_work(batched), 1)

    def share(numbers: Sequence[int]) -> float | None:
        eqns = [eqn for number in numbers for eqn in steps[number].batched]
        return program.work(eqns) / total if numbers else None

    return tuple(tuple(share(line.led_to) for line in f.lines) for f in functions)


class _Program:
    """Sums up what equations of a program cost, those that hold others with these."""

    def __init__(self, jaxpr: AnyJaxpr) -> None:
        self.branches = run_counts.Branches("dearest")
        self.times = Counter[int]()
        for entry in run_counts.count(jaxpr).entries:
            self.times[id(entry.eqn)] += entry.times
        self.home: dict[int, int] = {}
        self.holders: dict[int, list[jec.JaxprEqn]] = {}
        for inner in walk(jaxpr):
            for eqn in inner.eqns:
                self.home[id(eqn)] = id(inner)
                for held in nested(eqn):
                    self.holders.setdefault(id(held), []).append(eqn)

    def work(self, eqns: Sequence[jec.JaxprEqn]) -> int:
        """Return what equations cost, each as often as it runs; what others hold is in these."""
        among = {id(eqn) for eqn in eqns}
        known: dict[int, bool] = {}
        return sum(
            self.inclusive(eqn) * self.times[id(eqn)]
            for eqn in {id(eqn): eqn for eqn in eqns}.values()
            if not self.is_held(self.home[id(eqn)], among, known)
        )

    def inclusive(self, eqn: jec.JaxprEqn) -> int:
        """Return what one run of an equation costs, with what it holds."""
        return _operations(self.branches.amount_of(eqn))

    def is_held(self, jaxpr: int, among: Collection[int], known: dict[int, bool]) -> bool:
        """Say whether a jaxpr is in one of some equations, however deep."""
        if jaxpr not in known:
            known[jaxpr] = any(
                id(holder) in among or self.is_held(self.home[id(holder)], among, known)
                for holder in self.holders.get(jaxpr, ())
            )
        return known[jaxpr]


def _operations(work: Work) -> int:
    return work.flops + work.transcendentals
