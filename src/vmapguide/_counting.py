"""How often every equation of a program runs.

The body of a `scan` runs as often as the scan is long; that of a `while` some number of times that
the jaxpr does not say, which gets a name; of the branches of a `cond` the most expensive one runs.
Each jaxpr is looked at once, however many equations share it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import jax.extend.core as jec

from vmapguide import _flops, _jaxpr
from vmapguide._flops import Amount
from vmapguide._jaxpr import AnyJaxpr


# Operations that apply a function to every element: `_flops` counts it with the operation.
_ELEMENT_FUNCTIONS = frozenset({"reduce", "reduce_window", "scatter"})

# The names of the unknown loops around something, the outermost first.
Loops = tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """An equation as often as it runs, in one set of unknown loops.

    Attributes:
        eqn: the equation.
        outer: the equations that it is nested in, the outermost first.
        times: how often it runs, for one trip of each loop in `loops`.
        loops: the unknown loops around it.
        amount: what it costs, all its runs together; None if that is not known.
    """

    eqn: jec.JaxprEqn
    outer: tuple[jec.JaxprEqn, ...]
    times: int
    loops: Loops
    amount: Amount | None


@dataclass
class Count:
    """A program, counted.

    Attributes:
        entries: the equations that run.
        unknown: for each unknown loop, by its name, its equation, the equations around that, and
            the unknown loops around it.
        scans: the lengths of the scans, in order.
    """

    entries: list[Entry] = field(default_factory=list)
    unknown: dict[str, tuple[jec.JaxprEqn, tuple[jec.JaxprEqn, ...], Loops]] = field(
        default_factory=dict
    )
    scans: list[int] = field(default_factory=list)


def count(jaxpr: AnyJaxpr) -> Count:
    """Count how often every equation of a jaxpr runs, and what that costs."""
    counted = Count()
    order = _outer_first(jaxpr)
    often: dict[int, dict[Loops, int]] = {id(order[0]): {(): 1}}
    around: dict[int, tuple[jec.JaxprEqn, ...]] = {id(order[0]): ()}
    costs: dict[int, int] = {}
    for inner in order:
        # A branch that is not taken is in the program and never runs.
        here = often.get(id(inner), {})
        for eqn in inner.eqns if here else ():
            outer = around[id(inner)]
            amount = _own(eqn)
            for loops, times in here.items():
                total = None if amount is None else amount.times(times)
                counted.entries.append(Entry(eqn, outer, times, loops, total))
            if eqn.primitive.name == "scan":
                counted.scans.append(int(eqn.params["length"]))
            for nested, factor, name in _runs(eqn, counted, outer, here, costs):
                around.setdefault(id(nested), (*outer, eqn))
                target = often.setdefault(id(nested), {})
                for loops, times in here.items():
                    inside = (*loops, name) if name else loops
                    target[inside] = target.get(inside, 0) + times * factor
    return counted


def _runs(
    eqn: jec.JaxprEqn,
    counted: Count,
    outer: tuple[jec.JaxprEqn, ...],
    here: dict[Loops, int],
    costs: dict[int, int],
) -> Iterator[tuple[jec.Jaxpr, int, str]]:
    """Yield the jaxprs that an equation runs: how often, and in which new unknown loop."""
    for nested, factor, is_unknown in _held(eqn, costs):
        name = ""
        if is_unknown:
            names = [n for n, (loop, _, _) in counted.unknown.items() if loop is eqn]
            name = names[0] if names else f"n{len(counted.unknown) + 1}"
            counted.unknown[name] = eqn, outer, next(iter(here))
        yield nested, factor, name


def _held(eqn: jec.JaxprEqn, costs: dict[int, int]) -> Iterator[tuple[jec.Jaxpr, int, bool]]:
    """Yield the jaxprs in an equation that run, how often, and whether times an unknown number."""
    name, params = eqn.primitive.name, eqn.params
    if name in _ELEMENT_FUNCTIONS or name.startswith(("scatter", "pallas", "select_and")):
        return
    if name == "scan":
        yield _jaxpr.opened(params["jaxpr"]), int(params["length"]), False
    elif name == "while":
        yield _jaxpr.opened(params["cond_jaxpr"]), 1, True
        yield _jaxpr.opened(params["body_jaxpr"]), 1, True
    elif name == "cond":
        branches = map(_jaxpr.opened, params["branches"])
        yield max(branches, key=lambda branch: _weight(branch, costs)), 1, False
    elif name == "custom_linear_solve":
        solve: Any = params["jaxprs"].solve
        yield _jaxpr.opened(solve), 1, False
    else:
        # What each device of a mesh computes, all of them compute.
        factor = getattr(params.get("mesh"), "size", 1) if name == "shard_map" else 1
        for nested in _jaxpr.nested(eqn):
            yield nested, int(factor), False


def _own(eqn: jec.JaxprEqn) -> Amount | None:
    """Return what an equation itself costs: nothing if it only runs what is nested in it."""
    has_own = eqn.primitive.name in _ELEMENT_FUNCTIONS
    if not has_own and any(True for _ in _held(eqn, {})):
        return Amount()
    return _flops.amount(eqn)


def _weight(jaxpr: jec.Jaxpr, costs: dict[int, int]) -> int:
    """Return what a branch costs, one trip of each unknown loop counted: the sum of all counts."""
    if id(jaxpr) not in costs:
        total = 0
        for eqn in jaxpr.eqns:
            amount = _own(eqn) or Amount()
            total += amount.flops + amount.transcendentals
            total += sum(factor * _weight(inner, costs) for inner, factor, _ in _held(eqn, costs))
        costs[id(jaxpr)] = total
    return costs[id(jaxpr)]


def _outer_first(jaxpr: AnyJaxpr) -> list[jec.Jaxpr]:
    """Return a jaxpr and those nested in it, each once, behind all that hold it."""
    done: list[jec.Jaxpr] = []
    seen: set[int] = set()

    def visit(inner: jec.Jaxpr) -> None:
        seen.add(id(inner))
        held = [nested for eqn in inner.eqns for nested in _jaxpr.nested(eqn)]
        for nested in reversed(held):
            if id(nested) not in seen:
                visit(nested)
        done.append(inner)

    visit(_jaxpr.opened(jaxpr))
    return done[::-1]
