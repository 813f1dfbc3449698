"""Jaxprs: walking, rebuilding, comparing and aligning them.

The only room that knows that JAX versions differ in this. Since JAX 0.11 a closed jaxpr and a jaxpr
are one class and `jaxpr.jaxpr is jaxpr`; `opened` is safe on both.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import jax.extend.core as jec
import numpy as np


AnyJaxpr = jec.Jaxpr | jec.ClosedJaxpr

# An equation of a program: the number of its jaxpr in the order of `walk`, its place in it.
Place = tuple[int, int]


def opened(jaxpr: jec.Jaxpr | jec.ClosedJaxpr) -> jec.Jaxpr:
    """Return the jaxpr inside a closed jaxpr, or the jaxpr itself."""
    return jaxpr.jaxpr if hasattr(jaxpr, "jaxpr") else jaxpr


def jaxprs_in(value: Any) -> Iterator[jec.Jaxpr | jec.ClosedJaxpr]:
    """Yield the jaxprs that a parameter holds, closed ones with their constants."""
    for entry in value if isinstance(value, (tuple, list)) else (value,):
        if isinstance(entry, (jec.Jaxpr, jec.ClosedJaxpr)):
            yield entry


def nested(eqn: jec.JaxprEqn) -> Iterator[jec.Jaxpr]:
    """Yield the jaxprs in an equation's parameters, opened."""
    for value in eqn.params.values():
        yield from map(opened, jaxprs_in(value))


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
                if any(True for _ in nested(eqn))
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
        # The arguments and results are those that they were: so are their names.
        info = outer.debug_info
        return outer.replace(eqns=new, outvars=outvars, debug_info=info)  # type: ignore[no-any-return]

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


def with_plain_calls(jaxpr: AnyJaxpr) -> AnyJaxpr:
    """Return a jaxpr without batching rules of its own."""
    return inlined(jaxpr, plain_call)


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
    if isinstance(value, (tuple, list)) and any(True for _ in jaxprs_in(value)):
        entries = [_map_jaxprs(f, entry) for entry in value]
        return type(value)(*entries) if hasattr(value, "_fields") else type(value)(entries)
    return value


def equal(one: AnyJaxpr, other: AnyJaxpr) -> bool:
    """Say whether two jaxprs are equal up to the names of their variables."""
    compared: set[tuple[int, int]] = set()

    def jaxprs(a: jec.Jaxpr, b: jec.Jaxpr) -> bool:
        if (id(a), id(b)) in compared:
            return True
        compared.add((id(a), id(b)))
        names: dict[jec.Var, jec.Var] = {}

        def defined(left: list[jec.Var], right: list[jec.Var]) -> bool:
            names.update(zip(left, right, strict=False))
            return [(v.aval, isinstance(v, jec.DropVar)) for v in left] == [
                (v.aval, isinstance(v, jec.DropVar)) for v in right
            ]

        def used(left: list[Any], right: list[Any]) -> bool:
            return len(left) == len(right) and all(
                _same_literal(u, v)
                if isinstance(u, jec.Literal) or isinstance(v, jec.Literal)
                else names[u] is v
                for u, v in zip(left, right, strict=True)
            )

        return (
            len(a.eqns) == len(b.eqns)
            and defined([*a.constvars, *a.invars], [*b.constvars, *b.invars])
            and all(
                left.primitive is right.primitive
                and used(left.invars, right.invars)
                and params(left.params, right.params)
                and defined(left.outvars, right.outvars)
                for left, right in zip(a.eqns, b.eqns, strict=True)
            )
            and used(a.outvars, b.outvars)
        )

    def params(left: dict[str, Any], right: dict[str, Any]) -> bool:
        return left.keys() == right.keys() and all(
            param(value, right[key]) for key, value in left.items()
        )

    def param(left: Any, right: Any) -> bool:
        ours, theirs = [*jaxprs_in(left)], [*jaxprs_in(right)]
        if ours or theirs:
            return len(ours) == len(theirs) and all(
                jaxprs(opened(a), opened(b)) for a, b in zip(ours, theirs, strict=True)
            )
        return _same_value(left, right)

    return jaxprs(opened(one), opened(other))


def _same_literal(u: Any, v: Any) -> bool:
    return (
        isinstance(u, jec.Literal)
        and isinstance(v, jec.Literal)
        and u.aval == v.aval
        and str(u.val) == str(v.val)
    )


def _same_value(left: Any, right: Any) -> bool:
    """Compare two parameters. Functions made anew by every trace compare by their text."""
    if left is right:
        return True
    if type(left) is not type(right):
        return False
    try:
        if bool(np.all(left == right)):
            return True
    except (TypeError, ValueError):
        pass  # Not comparable: compare the texts.
    return without_addresses(left) == without_addresses(right)


def without_addresses(value: Any) -> str:
    """Return a value's text on one line, without the addresses that differ from run to run."""
    return " ".join(re.sub(r" at 0x[0-9a-f]+", "", str(value)).split())


def aligned(
    one: AnyJaxpr, other: AnyJaxpr, skip: jec.Primitive | None = None
) -> Iterator[tuple[jec.Var, jec.Var]]:
    """Pair the variables of two jaxprs that differ in sizes alone.

    Args:
        one: a jaxpr.
        other: the jaxpr to pair it with.
        skip: a primitive whose equations in `other` are left out of account.

    Yields:
        A variable of `one` and its counterpart. Where two nested jaxprs do not have the same
        primitives in the same order, the variables inside them are not paired.
    """
    seen: set[int] = set()
    pending = [(opened(one), opened(other))]
    while pending:
        a, b = pending.pop()
        theirs = [eqn for eqn in b.eqns if eqn.primitive is not skip]
        if id(a) in seen or [_form(e) for e in a.eqns] != [_form(e) for e in theirs]:
            continue
        seen.add(id(a))
        yield from zip((*a.constvars, *a.invars), (*b.constvars, *b.invars), strict=False)
        for left, right in zip(a.eqns, theirs, strict=True):
            yield from zip(left.outvars, right.outvars, strict=True)
            pending.extend(zip(nested(left), nested(right), strict=True))


def _form(eqn: jec.JaxprEqn) -> tuple[jec.Primitive, int, int]:
    return eqn.primitive, len(eqn.outvars), sum(1 for _ in nested(eqn))
