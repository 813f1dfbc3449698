"""Which decisions of a program depend on its examples: those of loops and of branches.

A decision that is reduced over the batch, as by `jax.lax.pmax`, has no batch axis, and depends on
the examples all the same. So what it depends on is followed through the program.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax.extend.core as jec

from vmapguide._jaxpr.compat import AnyJaxpr, opened, scan_counts
from vmapguide._jaxpr.walk import Place, nested, walk
from vmapguide._trace.marks import Path


# Of values, whether each depends on the examples.
_Flags = tuple[bool, ...]

# In which case a jaxpr is looked at: which of its arguments depend.
_Case = tuple[int, _Flags]

# Returns which results of a nested jaxpr depend, given which arguments do.
_Follow = Callable[[jec.Jaxpr, _Flags], _Flags]


class Decisions:
    """The `while` and `cond` equations whose predicate depends on a mapped argument."""

    def __init__(self, jaxpr: AnyJaxpr, mapped: Sequence[bool]) -> None:
        """Follow what depends.

        Args:
            jaxpr: a per-example jaxpr.
            mapped: which of its arguments are mapped. What is not known of an equation is taken to
                depend on all of its operands.
        """
        self._numbers = {id(inner): n for n, inner in enumerate(walk(jaxpr))}
        self._results: dict[_Case, _Flags] = {}
        self._decided: set[tuple[_Case, Place]] = set()
        self._called: dict[tuple[_Case, Place], set[_Case]] = {}
        self._start = (id(opened(jaxpr)), tuple(mapped))
        self._jaxpr(opened(jaxpr), tuple(mapped))

    def depends(self, call: Path, place: Place) -> bool:
        """Say whether the examples have a say in an equation, in the call that it lies in."""
        cases = {self._start}
        for holder in call:
            cases = {c for case in cases for c in self._called.get((case, holder), ())}
        return any((case, place) in self._decided for case in cases)

    @property
    def places(self) -> frozenset[Place]:
        """The equations in which the examples have a say, in whatever call they lie."""
        return frozenset(place for _, place in self._decided)

    def _jaxpr(self, jaxpr: jec.Jaxpr, depends: _Flags) -> _Flags:
        """Return which results depend, given which arguments do."""
        case = (id(jaxpr), depends)
        if case not in self._results:
            changing: set[Any] = {v for v, d in zip(jaxpr.invars, depends, strict=True) if d}
            for i, eqn in enumerate(jaxpr.eqns):
                if not eqn.effects and not nested(eqn):
                    if any(_is_in(changing, atom) for atom in eqn.invars):
                        changing.update(eqn.outvars)
                    continue
                operands = tuple(_is_in(changing, atom) for atom in eqn.invars)
                holder = (case, (self._numbers[id(jaxpr)], i))
                results, is_decided = _results(eqn, operands, functools.partial(self._held, holder))
                if is_decided:
                    self._decided.add(holder)
                changing |= {v for v, d in zip(eqn.outvars, results, strict=True) if d}
                if any(operands) and eqn.effects:
                    # What is written into a reference is read from it elsewhere.
                    changing |= {v for v in eqn.invars if _is_reference(v)}
            self._results[case] = tuple(_is_in(changing, atom) for atom in jaxpr.outvars)
        return self._results[case]

    def _held(self, holder: tuple[_Case, Place], jaxpr: jec.Jaxpr, depends: _Flags) -> _Flags:
        """Return which results of a jaxpr depend, which an equation holds."""
        self._called.setdefault(holder, set()).add((id(jaxpr), depends))
        return self._jaxpr(jaxpr, depends)


def _results(eqn: jec.JaxprEqn, operands: _Flags, follow: _Follow) -> tuple[Sequence[bool], bool]:
    """Return which results of an equation depend, and whether the examples have a say in it."""
    inner = nested(eqn)
    match eqn.primitive.name:
        case "while":
            return _while_loop(eqn, operands, follow)
        case "scan":
            return _loop(inner[0], *_parts(operands, *scan_counts(eqn)), follow=follow), False
        case "cond":
            predicate, *rest = operands
            each = [follow(branch, tuple(rest)) for branch in inner]
            return [predicate or any(results) for results in zip(*each, strict=True)], predicate
    if len(inner) == 1 and len(inner[0].invars) == len(operands):
        results = follow(inner[0], operands)
        if len(results) == len(eqn.outvars):
            return results, False
    for jaxpr in inner:
        follow(jaxpr, (any(operands),) * len(jaxpr.invars))
    return [any(operands)] * len(eqn.outvars), False


def _loop(
    body: jec.Jaxpr, fixed: _Flags, carry: _Flags, rest: _Flags = (), *, follow: _Follow
) -> _Flags:
    """Return which results of a body depend, when its carry has gone round often enough."""
    while True:
        results = follow(body, (*fixed, *carry, *rest))
        after = tuple(a or b for a, b in zip(carry, results, strict=False))
        if after == carry:
            return results
        carry = after


def _while_loop(
    eqn: jec.JaxprEqn, operands: _Flags, follow: _Follow
) -> tuple[Sequence[bool], bool]:
    """Follow the carry of a loop, and its predicate."""
    test, body = (opened(eqn.params[key]) for key in ("cond_jaxpr", "body_jaxpr"))
    counts = eqn.params["cond_nconsts"], eqn.params["body_nconsts"]
    of_test, of_body, carry = _parts(operands, *counts)
    results = _loop(body, of_body, carry, follow=follow)
    after = tuple(a or b for a, b in zip(carry, results, strict=True))
    if not any(follow(test, (*of_test, *after))):
        return after, False
    # What comes out depends on how often it went round.
    _loop(body, of_body, (True,) * len(carry), follow=follow)
    return [True] * len(carry), True


def _parts(flags: _Flags, first: int, second: int) -> tuple[_Flags, ...]:
    return flags[:first], flags[first : first + second], flags[first + second :]


def _is_in(changing: set[Any], atom: Any) -> bool:
    return not isinstance(atom, jec.Literal) and atom in changing


def _is_reference(atom: Any) -> bool:
    return hasattr(getattr(atom, "aval", None), "inner_aval")
