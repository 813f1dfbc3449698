"""A cause of differences: the function mixes the examples of a batch, and the loop has one example.

Start with `batch_statistics`. It follows each result back through the jaxpr to the collectives over
the batch axis (`psum`, `axis_index`, …) that the result is computed from.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import jax.extend.core as jec

from vmapguide._data import Source
from vmapguide._jaxpr.compat import AnyJaxpr, opened, origin
from vmapguide._jaxpr.walk import behind, inlined, nested, walk, without_addresses
from vmapguide._measure.causes.evidence import Evidence, Found, Reason, in_line
from vmapguide._trace.call import Call
from vmapguide._trace.trace import Trace, trace


def batch_statistics(evidence: Evidence) -> Found:
    """Find what mixes the examples in the leaves that differ."""
    vmap = evidence.sides.call.vmap
    if evidence.trace is None or vmap.axis_name is None:
        return Found()
    whole, alone = _inlined(evidence.trace.per_example), _inlined(_traced_alone(evidence))
    reasons: dict[Reason, None] = {}
    explained = []
    for leaf in evidence.unexplained:
        found = _collectives(evidence.trace, whole, leaf, vmap.axis_name)
        if not found and _computation(alone, leaf) != _computation(whole, leaf):
            text = (
                f"The function asks how many examples {vmap.axis_name!r} has, and in the loop it "
                f"is one. That is no error of vmap's."
            )
            found = [Reason("batch statistic", text)]
        if found:
            reasons |= dict.fromkeys(found)
            explained.append(leaf)
    return Found(tuple(reasons), tuple(explained))


def _traced_alone(evidence: Evidence) -> jec.ClosedJaxpr:
    """Return the per-example jaxpr of a batch of one."""
    call = evidence.sides.call
    size = None if call.vmap.axis_size is None else 1
    vmap = dataclasses.replace(call.vmap, axis_size=size)
    return trace(Call.of(call.f, vmap, *evidence.sides.arguments.batch_of_one(0))).per_example


def _collectives(known: Trace, whole: AnyJaxpr, leaf: int, axis_name: Any) -> list[Reason]:
    """Return a reason for each collective over the batch axis that a result is computed from."""
    # Inlining makes equations anew, but they keep where they came from.
    causes = set()
    for eqn in behind(whole, leaf):
        inner = (e for held in nested(eqn) for jaxpr in walk(held) for e in jaxpr.eqns)
        causes |= {origin(e) for e in (eqn, *inner)}
    return [
        _about_collective(step.equation.primitive.name, axis_name, step.source)
        for step in known.steps
        if origin(step.equation) in causes and axis_name in _axis_names(step.equation)
    ]


def _about_collective(primitive: str, axis_name: Any, source: Source | None) -> Reason:
    what = (
        "asks which example it is, and in the loop every example is the first"
        if primitive == "axis_index"
        else "makes the result of one example depend on the others, and the loop sees one example "
        "at a time"
    )
    text = f"{primitive} over {axis_name!r}{in_line(source)} {what}. That is no error of vmap's."
    return Reason("batch statistic", text, source)


def _axis_names(eqn: jec.JaxprEqn) -> tuple[Any, ...]:
    """Return the names of the axes that an equation refers to."""
    named = (eqn.params.get("axes"), eqn.params.get("axis_name"))
    return tuple(itertools.chain(*(n if isinstance(n, (tuple, list)) else (n,) for n in named)))


def _inlined(jaxpr: AnyJaxpr) -> AnyJaxpr:
    """Return a jaxpr without `jit`: what is compiled together is not computed from each other."""
    return inlined(jaxpr, lambda eqn: eqn.params["jaxpr"] if eqn.primitive.name == "jit" else None)


def _computation(jaxpr: AnyJaxpr, leaf: int) -> list[object]:
    """Return the operations that a result is computed by, without the names of variables."""

    def number(atom: Any) -> str:
        return str(atom.val) if isinstance(atom, jec.Literal) else ""

    return [number(opened(jaxpr).outvars[leaf])] + [
        (
            eqn.primitive.name,
            [*map(number, eqn.invars)],
            [str(variable.aval) for variable in eqn.outvars],
            without_addresses(eqn.params),
        )
        for eqn in behind(jaxpr, leaf)
    ]
