"""How often every equation of a program runs. Start with `count`.

The body of a `scan` runs as often as the scan is long. The body of a `while` runs some number of
times that the jaxpr does not say, and that number gets a name: `n1`. One branch of a `cond` runs,
and the jaxpr does not say which one: the dearest is counted, or the cheapest, and the choice gets a
name: `c1`. Each jaxpr is looked at once, however many equations share it.
"""

from __future__ import annotations

import functools
import operator
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import jax
import jax.extend.core as jec

from vmapguide._data import Choice, Work
from vmapguide._jaxpr import primitives, source_lines
from vmapguide._jaxpr.compat import AnyJaxpr, opened
from vmapguide._jaxpr.walk import nested
from vmapguide._measure import flops


# The names of the unknown loops around something, the outermost first.
Loops = tuple[str, ...]

# What JAX calls the platforms of a backend.
_PLATFORMS = {"gpu": {"gpu", "cuda", "rocm"}}


@dataclass(frozen=True)
class Entry:
    """An equation as often as it runs, in one set of unknown loops.

    Attributes:
        eqn: the equation.
        outer: the equations that it is nested in, the outermost first.
        times: how often it runs, for one trip of each loop in `loops`.
        loops: the unknown loops around it.
        choices: the choices that lead to it: those in whose counted branch it is.
        amount: what it costs, all its runs together; None if that is not known.
    """

    eqn: jec.JaxprEqn
    outer: tuple[jec.JaxprEqn, ...]
    times: int
    loops: Loops
    choices: tuple[str, ...]
    amount: Work | None


@dataclass(frozen=True)
class UnknownLoop:
    """A `while`: the jaxpr does not say how often it goes round.

    Attributes:
        eqn: the equation.
        outer: the equations that it is nested in, the outermost first.
        inside: the sets of unknown loops that it runs in, each once. There are several if a
            function is called in a loop and outside of it.
    """

    eqn: jec.JaxprEqn
    outer: tuple[jec.JaxprEqn, ...]
    inside: tuple[Loops, ...]


@dataclass
class Count:
    """A program, counted.

    Attributes:
        entries: the equations that run.
        loops: the unknown loops, by their names.
        choices: the choices by their names, each once for the unknown loops that it is in.
        scans: the lengths of the scans, in order.
    """

    entries: list[Entry] = field(default_factory=list)
    loops: dict[str, UnknownLoop] = field(default_factory=dict)
    choices: dict[str, list[Choice]] = field(default_factory=dict)
    scans: list[int] = field(default_factory=list)


class _Around(NamedTuple):
    """The unknown loops around an equation, and the choices that lead to it."""

    loops: Loops = ()
    choices: tuple[str, ...] = ()


def count(jaxpr: AnyJaxpr, *, cheapest: bool = False) -> Count:
    """Count how often every equation of a jaxpr runs, and what that costs.

    Args:
        jaxpr: the jaxpr.
        cheapest: whether the cheapest branch of each `cond` is counted, not the dearest.
    """
    counted, root = Count(), opened(jaxpr)
    branches = Branches("cheapest" if cheapest else "dearest")
    outers: dict[int, tuple[jec.JaxprEqn, ...]] = {id(root): ()}
    runs: dict[int, Counter[_Around]] = defaultdict(Counter)
    runs[id(root)][_Around()] = 1
    # A branch that is not counted is in the program and does not run.
    for inner in (inner for inner in _outer_first(root) if id(inner) in runs):
        here, outer = runs[id(inner)], outers[id(inner)]
        for eqn in inner.eqns:
            amount = _own(eqn)
            for around, times in here.items():
                total = None if amount is None else amount * times
                counted.entries.append(Entry(eqn, outer, times, *around, total))
            added = _note(counted, eqn, outer, here, branches)
            for held, factor in branches.that_run(eqn):
                outers.setdefault(id(held), (*outer, eqn))
                for (loops, choices), times in here.items():
                    within = _Around(loops + added.loops, choices + added.choices)
                    runs[id(held)][within] += times * factor
    return counted


def _note(
    counted: Count,
    eqn: jec.JaxprEqn,
    outer: tuple[jec.JaxprEqn, ...],
    here: Counter[_Around],
    branches: Branches,
) -> _Around:
    """Note a scan, an unknown loop or a choice. The latter two are named, in order.

    Returns:
        What the equation adds to what is around its jaxprs.
    """
    if eqn.primitive.name == "scan":
        counted.scans.append(int(eqn.params["length"]))
    elif eqn.primitive.name == "while":
        name = f"n{len(counted.loops) + 1}"
        inside = dict.fromkeys(around.loops for around in here)
        counted.loops[name] = UnknownLoop(eqn, outer, tuple(inside))
        return _Around(loops=(name,))
    elif eqn.primitive.name == "cond" and branches.is_choice(eqn):
        name = f"c{len(counted.choices) + 1}"
        times = Counter[Loops]()
        for around, number in here.items():
            times[around.loops] += number
        source = source_lines.of_nested(eqn, outer)
        amounts = tuple(map(branches.amount, map(opened, eqn.params["branches"])))
        counted.choices[name] = [
            Choice(name, source, loops, number, amounts, branches.counted(eqn))
            for loops, number in times.items()
        ]
        return _Around(choices=(name,))
    return _Around()


class BranchWork(NamedTuple):
    """What one run of a `cond` costs; of a loop of unknown length one trip.

    Attributes:
        all: all branches together, and of those nested in them all as well.
        cheapest: the branch that costs least, and of those nested in it the cheapest.
        dearest: the branch that costs most, and of those nested in it the dearest.
    """

    all: Work
    cheapest: Work
    dearest: Work


def branch_work(eqns: Iterable[jec.JaxprEqn]) -> Iterator[BranchWork]:
    """Yield for each of these `cond` what its branches cost: all, the cheapest, the dearest."""
    every, least, most = Branches("all"), Branches("cheapest"), Branches("dearest")
    for eqn in eqns:
        branches = [*map(opened, eqn.params["branches"])]
        all_ = functools.reduce(operator.add, map(every.amount, branches))
        cheapest = min(map(least.amount, branches), key=_weight)
        yield BranchWork(all_, cheapest, max(map(most.amount, branches), key=_weight))


class Branches:
    """Says which branch of a `cond` is counted, and so what runs in a program."""

    def __init__(self, counted: Literal["dearest", "cheapest", "all"]) -> None:
        """Choose one, or that all of them run."""
        self._pick = min if counted == "cheapest" else max
        self._all = counted == "all"
        self._amounts: dict[int, Work] = {}

    def that_run(self, eqn: jec.JaxprEqn) -> Iterator[tuple[jec.Jaxpr, int]]:
        """Yield the jaxprs in an equation that run, and how often, for one trip of a `while`."""
        name, params = eqn.primitive.name, eqn.params
        if not _runs_nested(eqn):
            return
        if name == "scan":
            yield opened(params["jaxpr"]), int(params["length"])
        elif name == "while":
            yield opened(params["cond_jaxpr"]), 1
            yield opened(params["body_jaxpr"]), 1
        elif name == "cond" and self._all and _taken(eqn) is None:
            yield from ((opened(branch), 1) for branch in params["branches"])
        elif name == "cond":
            yield opened(params["branches"][self.counted(eqn)]), 1
        elif name == "custom_linear_solve":
            solve: Any = params["jaxprs"].solve
            yield opened(solve), 1
        else:
            # What each device of a mesh computes, all of them compute.
            factor = getattr(params.get("mesh"), "size", 1) if name == "shard_map" else 1
            for inner in nested(eqn):
                yield inner, int(factor)

    def counted(self, eqn: jec.JaxprEqn) -> int:
        """Return the number of the branch of a `cond` that is counted."""
        taken = _taken(eqn)
        if taken is not None:
            return taken
        weights = self._weights(eqn)
        return weights.index(self._pick(weights))

    def is_choice(self, eqn: jec.JaxprEqn) -> bool:
        """Say whether it is not known which branch of a `cond` runs, and it matters."""
        return _taken(eqn) is None and len({*self._weights(eqn)}) > 1

    def _weights(self, eqn: jec.JaxprEqn) -> list[tuple[int, int]]:
        """Return by what the branches of a `cond` are compared."""
        return [_weight(self.amount(opened(branch))) for branch in eqn.params["branches"]]

    def amount(self, jaxpr: jec.Jaxpr) -> Work:
        """Return what a jaxpr costs, of each unknown loop one trip."""
        if id(jaxpr) not in self._amounts:
            self._amounts[id(jaxpr)] = sum(map(self.amount_of, jaxpr.eqns), Work())
        return self._amounts[id(jaxpr)]

    def amount_of(self, eqn: jec.JaxprEqn) -> Work:
        """Return what one run of an equation costs, with what it holds."""
        total = _own(eqn) or Work()
        for inner, times in self.that_run(eqn):
            total += self.amount(inner) * times
        return total


def _weight(amount: Work) -> tuple[int, int]:
    """Return by what branches are compared: work first, then memory."""
    return amount.flops + amount.transcendentals, amount.bytes


def _taken(eqn: jec.JaxprEqn) -> int | None:
    """Return which branch of a `cond` runs, None if the jaxpr does not say it."""
    last = len(eqn.params["branches"]) - 1
    index = eqn.invars[0]
    if isinstance(index, jec.Literal):
        return min(max(int(index.val), 0), last)
    backend = jax.default_backend()
    names = _PLATFORMS.get(backend, {backend})
    for number, platforms in enumerate(eqn.params.get("branches_platforms") or ()):
        # The last branch is for all platforms that no other one names.
        if platforms is None or names & {*platforms}:
            return number
    return None


def _runs_nested(eqn: jec.JaxprEqn) -> bool:
    """Say whether an equation runs what is nested in it, and is not itself counted with that."""
    applies = primitives.traits(eqn.primitive.name).applies
    return not applies and any(True for _ in nested(eqn))


def _own(eqn: jec.JaxprEqn) -> Work | None:
    """Return what an equation itself costs: nothing if it only runs what is nested in it."""
    return Work() if _runs_nested(eqn) else flops.amount(eqn)


def _outer_first(jaxpr: jec.Jaxpr) -> list[jec.Jaxpr]:
    """Return a jaxpr and those nested in it, each once, behind all that hold it."""
    done: list[jec.Jaxpr] = []
    seen: set[int] = set()

    def visit(inner: jec.Jaxpr) -> None:
        seen.add(id(inner))
        held = [body for eqn in inner.eqns for body in nested(eqn)]
        for body in reversed(held):
            if id(body) not in seen:
                visit(body)
        done.append(inner)

    visit(jaxpr)
    return done[::-1]
