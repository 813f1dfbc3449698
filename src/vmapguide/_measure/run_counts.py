"""How often every equation of a program runs.

The body of a `scan` runs as often as the scan is long; that of a `while` some number of times that
the jaxpr does not say, which gets a name. Of the branches of a `cond` one runs, and which one the
jaxpr does not say either: the dearest is counted, or the cheapest, and the choice gets a name. Each
jaxpr is looked at once, however many equations share it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.extend.core as jec

from vmapguide._jaxpr import primitives
from vmapguide._jaxpr.compat import AnyJaxpr, opened
from vmapguide._jaxpr.walk import nested
from vmapguide._measure import flops
from vmapguide._measure.flops import Amount


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
    amount: Amount | None


@dataclass(frozen=True)
class Choice:
    """A `cond` whose branches differ in what they cost.

    Attributes:
        eqn: the equation.
        outer: the equations that it is nested in, the outermost first.
        times: how often it chooses, by the unknown loops around it.
        branches: what one run of each branch costs, by the branch's number; of a loop of unknown
            length in it one trip.
        counted: the number of the branch that is counted.
    """

    eqn: jec.JaxprEqn
    outer: tuple[jec.JaxprEqn, ...]
    times: dict[Loops, int]
    branches: tuple[Amount, ...]
    counted: int


@dataclass
class Count:
    """A program, counted.

    Attributes:
        entries: the equations that run.
        unknown: for each unknown loop, by its name, its equation, the equations around that, and
            the unknown loops around it.
        choices: the choices, by their names.
        scans: the lengths of the scans, in order.
    """

    entries: list[Entry] = field(default_factory=list)
    unknown: dict[str, tuple[jec.JaxprEqn, tuple[jec.JaxprEqn, ...], Loops]] = field(
        default_factory=dict
    )
    choices: dict[str, Choice] = field(default_factory=dict)
    scans: list[int] = field(default_factory=list)


class _Around(NamedTuple):
    """What is around an equation and not known: loops, and choices that lead to it."""

    loops: Loops = ()
    choices: tuple[str, ...] = ()


class _Held(NamedTuple):
    """A jaxpr that an equation runs: how often, and what about that is not known."""

    jaxpr: jec.Jaxpr
    factor: int = 1
    is_loop: bool = False
    is_choice: bool = False


def count(jaxpr: AnyJaxpr, *, cheapest: bool = False) -> Count:
    """Count how often every equation of a jaxpr runs, and what that costs.

    Args:
        jaxpr: the jaxpr.
        cheapest: whether the cheapest branch of each `cond` is counted, not the dearest.
    """
    counted, weigh = Count(), _Weigh(cheapest=cheapest)
    order = _outer_first(jaxpr)
    often: dict[int, dict[_Around, int]] = {id(order[0]): {_Around(): 1}}
    around: dict[int, tuple[jec.JaxprEqn, ...]] = {id(order[0]): ()}
    for inner in order:
        # A branch that is not counted is in the program and has no entries.
        here = often.get(id(inner), {})
        for eqn in inner.eqns if here else ():
            outer = around[id(inner)]
            amount = _own(eqn)
            for unknown, times in here.items():
                total = None if amount is None else amount.times(times)
                counted.entries.append(Entry(eqn, outer, times, *unknown, total))
            if eqn.primitive.name == "scan":
                counted.scans.append(int(eqn.params["length"]))
            for held in weigh.held(eqn):
                loop = (_loop(eqn, counted, outer, here),) if held.is_loop else ()
                choice = (_choice(eqn, counted, outer, here, weigh),) if held.is_choice else ()
                around.setdefault(id(held.jaxpr), (*outer, eqn))
                target = often.setdefault(id(held.jaxpr), {})
                for (loops, choices), times in here.items():
                    inside = _Around((*loops, *loop), (*choices, *choice))
                    target[inside] = target.get(inside, 0) + times * held.factor
    return counted


def _loop(
    eqn: jec.JaxprEqn,
    counted: Count,
    outer: tuple[jec.JaxprEqn, ...],
    here: dict[_Around, int],
) -> str:
    """Return the name of an unknown loop, a new one for each equation."""
    names = [name for name, (loop, _, _) in counted.unknown.items() if loop is eqn]
    name = names[0] if names else f"n{len(counted.unknown) + 1}"
    counted.unknown[name] = eqn, outer, next(iter(here)).loops
    return name


def _choice(
    eqn: jec.JaxprEqn,
    counted: Count,
    outer: tuple[jec.JaxprEqn, ...],
    here: dict[_Around, int],
    weigh: _Weigh,
) -> str:
    """Return the name of a choice."""
    times: dict[Loops, int] = {}
    for unknown, number in here.items():
        times[unknown.loops] = times.get(unknown.loops, 0) + number
    branches = tuple(map(weigh.amount, map(opened, eqn.params["branches"])))
    name = f"c{len(counted.choices) + 1}"
    counted.choices[name] = Choice(eqn, outer, times, branches, weigh.branch(eqn))
    return name


class _Weigh:
    """Says which branch of a `cond` is counted."""

    def __init__(self, *, cheapest: bool) -> None:
        """Choose the dearest, or the cheapest."""
        self._pick = min if cheapest else max
        self._amounts: dict[int, Amount] = {}

    def held(self, eqn: jec.JaxprEqn) -> Iterator[_Held]:
        """Yield the jaxprs in an equation that run."""
        name, params = eqn.primitive.name, eqn.params
        if not _runs_nested(eqn):
            return
        if name == "scan":
            yield _Held(opened(params["jaxpr"]), int(params["length"]))
        elif name == "while":
            yield _Held(opened(params["cond_jaxpr"]), is_loop=True)
            yield _Held(opened(params["body_jaxpr"]), is_loop=True)
        elif name == "cond":
            branches = [*map(opened, params["branches"])]
            differ = len({_weight(self.amount(branch)) for branch in branches}) > 1
            is_choice = differ and _taken(eqn) is None
            yield _Held(branches[self.branch(eqn)], is_choice=is_choice)
        elif name == "custom_linear_solve":
            solve: Any = params["jaxprs"].solve
            yield _Held(opened(solve))
        else:
            # What each device of a mesh computes, all of them compute.
            factor = getattr(params.get("mesh"), "size", 1) if name == "shard_map" else 1
            for inner in nested(eqn):
                yield _Held(inner, int(factor))

    def branch(self, eqn: jec.JaxprEqn) -> int:
        """Return the number of the branch of a `cond` that is counted."""
        taken = _taken(eqn)
        if taken is not None:
            return taken
        weights = [_weight(self.amount(opened(b))) for b in eqn.params["branches"]]
        return weights.index(self._pick(weights))

    def amount(self, jaxpr: jec.Jaxpr) -> Amount:
        """Return what a jaxpr costs, of each unknown loop one trip."""
        if id(jaxpr) not in self._amounts:
            total = Amount()
            for eqn in jaxpr.eqns:
                total += _own(eqn) or Amount()
                for held in self.held(eqn):
                    total += self.amount(held.jaxpr).times(held.factor)
            self._amounts[id(jaxpr)] = total
        return self._amounts[id(jaxpr)]


def _weight(amount: Amount) -> tuple[int, int]:
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


def _own(eqn: jec.JaxprEqn) -> Amount | None:
    """Return what an equation itself costs: nothing if it only runs what is nested in it."""
    return Amount() if _runs_nested(eqn) else flops.amount(eqn)


def _outer_first(jaxpr: AnyJaxpr) -> list[jec.Jaxpr]:
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

    visit(opened(jaxpr))
    return done[::-1]
