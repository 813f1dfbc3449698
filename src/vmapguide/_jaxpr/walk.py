"""Walk through a jaxpr and the jaxprs nested in it, and make changed ones.

Start with `walk`, which yields each of them once, and `rebuild`, which returns a jaxpr with each of
them changed. `inlined` is a `rebuild` that puts the equations of a call in the place of the call.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import jax.extend.core as jec

from vmapguide._jaxpr.compat import AnyJaxpr, opened, with_equations


class _MayHold(dict[type, bool]):
    """Whether a parameter of a type can hold a jaxpr, found once for each type."""

    def __missing__(self, kind: type) -> bool:
        """Find it."""
        self[kind] = issubclass(kind, (jec.Jaxpr, jec.ClosedJaxpr, tuple, list))
        return self[kind]


_MAY_HOLD = _MayHold()

# An equation of a program: the number of its jaxpr in the order of `walk`, its place in it.
Place = tuple[int, int]


def jaxprs_in(value: Any) -> Iterator[jec.Jaxpr | jec.ClosedJaxpr]:
    """Yield the jaxprs that a parameter holds, however deep, closed ones with their constants."""
    if isinstance(value, (jec.Jaxpr, jec.ClosedJaxpr)):
        yield value
    elif isinstance(value, (tuple, list)):
        for entry in value:
            if _MAY_HOLD[type(entry)]:
                yield from jaxprs_in(entry)


def nested(eqn: jec.JaxprEqn) -> list[jec.Jaxpr]:
    """Return the jaxprs in an equation's parameters, opened."""
    # Asked of every equation, again and again: most have parameters that can hold none.
    found: list[jec.Jaxpr] = []
    for value in eqn.params.values():
        if _MAY_HOLD[type(value)]:
            found += map(opened, jaxprs_in(value))
    return found


def count_primitives(jaxpr: jec.Jaxpr | jec.ClosedJaxpr) -> dict[str, int]:
    """Count equations by primitive, those of nested jaxprs included, in order of appearance.

    A nested jaxpr counts as often as an equation holds it. Each is walked once.
    """
    memo: dict[int, Counter[str]] = {}

    def count(jaxpr: jec.Jaxpr) -> Counter[str]:
        if id(jaxpr) not in memo:
            total: Counter[str] = Counter()
            for eqn in jaxpr.eqns:
                total[eqn.primitive.name] += 1
                for inner in nested(eqn):
                    total.update(count(inner))
            memo[id(jaxpr)] = total
        return memo[id(jaxpr)]

    return dict(count(opened(jaxpr)))


def walk(jaxpr: AnyJaxpr) -> Iterator[jec.Jaxpr]:
    """Yield a jaxpr and those nested in it, outer before inner, each once."""
    seen: set[int] = set()
    pending = [opened(jaxpr)]
    while pending:
        inner = pending.pop()
        if id(inner) not in seen:
            seen.add(id(inner))
            yield inner
            pending.extend(reversed([j for eqn in inner.eqns for j in nested(eqn)]))


def rebuild(
    jaxpr: AnyJaxpr, edit: Callable[[int, jec.Jaxpr, list[jec.JaxprEqn]], jec.Jaxpr]
) -> AnyJaxpr:
    """Rebuild a jaxpr and those nested in it, inner before outer, each once.

    Args:
        jaxpr: the jaxpr.
        edit: called with a jaxpr's number in the order of `walk`, the jaxpr, and its equations
            with the jaxprs nested in them already rebuilt; returns the new jaxpr.

    Returns:
        The new jaxpr, closed if it was. What was shared is shared: JAX caches by identity.
    """
    numbers = {id(inner): number for number, inner in enumerate(walk(jaxpr))}
    done: dict[int, Any] = {}

    def visit(outer: AnyJaxpr) -> AnyJaxpr:
        inner = opened(outer)
        if id(inner) not in done:
            eqns = [
                eqn.replace(params={k: _map_jaxprs(visit, v) for k, v in eqn.params.items()})
                if nested(eqn)
                else eqn
                for eqn in inner.eqns
            ]
            done[id(inner)] = edit(numbers[id(inner)], inner, eqns)
        if id(outer) not in done:
            done[id(outer)] = outer.replace(jaxpr=done[id(inner)])  # type: ignore[no-untyped-call]
        return done[id(outer)]  # type: ignore[no-any-return]

    return visit(jaxpr)


def inlined(jaxpr: AnyJaxpr, body: Callable[[jec.JaxprEqn], AnyJaxpr | None]) -> AnyJaxpr:
    """Put the equations of other jaxprs in the place of equations.

    Args:
        jaxpr: the jaxpr.
        body: returns for an equation the jaxpr that is to stand for it, or None to leave it. One
            with constants is not inlined: an open jaxpr around it could not hold them.
    """

    def edit(_: int, outer: jec.Jaxpr, eqns: list[jec.JaxprEqn]) -> jec.Jaxpr:
        values: dict[Any, Any] = {}
        new: list[jec.JaxprEqn] = []
        for eqn in eqns:
            read = eqn.replace(invars=[_read(values, atom) for atom in eqn.invars])
            inner = body(read)
            if inner is None or opened(inner).constvars:
                new.append(read)
            else:
                new += _with_fresh_names(opened(inner), read, values)
        outvars = [_read(values, atom) for atom in outer.outvars]
        # The arguments are those that they were: so are their names.
        return with_equations(outer, new, outvars)

    return rebuild(jaxpr, edit)


def _with_fresh_names(
    inner: jec.Jaxpr, call: jec.JaxprEqn, values: dict[Any, Any]
) -> Iterator[jec.JaxprEqn]:
    """Yield a jaxpr's equations, and note in `values` what the results of its call are."""
    local: dict[Any, Any] = dict(zip(inner.invars, call.invars, strict=True))
    for eqn in inner.eqns:
        outvars = [v if isinstance(v, jec.DropVar) else jec.Var(v.aval) for v in eqn.outvars]
        invars = [_read(local, atom) for atom in eqn.invars]
        local |= zip(eqn.outvars, outvars, strict=True)
        yield eqn.replace(invars=invars, outvars=outvars)
    results = [_read(local, atom) for atom in inner.outvars]
    values.update(zip(call.outvars, results, strict=True))


def _read(values: dict[Any, Any], atom: Any) -> Any:
    return atom if isinstance(atom, jec.Literal) else values.get(atom, atom)


def plain_call(eqn: jec.JaxprEqn) -> AnyJaxpr | None:
    """Return the function that an equation's own batching rule is for; None if it has none."""
    if eqn.primitive.name != "custom_vmap_call":
        return None
    body: AnyJaxpr = eqn.params["call"]
    return body


def behind(jaxpr: AnyJaxpr, result: int) -> Iterator[jec.JaxprEqn]:
    """Yield the equations, outermost ones, that a result depends on, the last first."""
    wanted = {atom for atom in [opened(jaxpr).outvars[result]] if not isinstance(atom, jec.Literal)}
    for eqn in reversed(opened(jaxpr).eqns):
        if wanted.intersection(eqn.outvars):
            wanted |= {atom for atom in eqn.invars if not isinstance(atom, jec.Literal)}
            yield eqn


def _map_jaxprs(f: Callable[[AnyJaxpr], AnyJaxpr], value: Any) -> Any:
    """Apply a function to the jaxprs that a parameter holds."""
    if isinstance(value, (jec.Jaxpr, jec.ClosedJaxpr)):
        return f(value)
    if not any(True for _ in jaxprs_in(value)):
        return value
    entries = [_map_jaxprs(f, entry) for entry in value]
    return type(value)(*entries) if hasattr(value, "_fields") else type(value)(entries)


def without_addresses(value: Any) -> str:
    """Return a value's text on one line, without the addresses that differ from run to run."""
    return " ".join(re.sub(r" at 0x[0-9a-f]+", "", str(value)).split())
