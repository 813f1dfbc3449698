"""Which decisions of a program depend on its examples: those of loops and of branches.

A decision that is reduced over the batch, as by `jax.lax.pmax`, has no batch axis, and depends on
the examples all the same. So what it depends on is followed through the program.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.extend.core as jec

from vmapguide._jaxpr.compat import AnyJaxpr, opened, scan_counts
from vmapguide._jaxpr.walk import Place, nested, walk
from vmapguide._trace.marks import Path


# In which case a jaxpr is looked at: which of its arguments depend on the examples.
_Case = tuple[int, tuple[bool, ...]]


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
        self._results: dict[_Case, tuple[bool, ...]] = {}
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

    def _jaxpr(self, jaxpr: jec.Jaxpr, depends: tuple[bool, ...]) -> tuple[bool, ...]:
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
                results = _Equation(self, holder, eqn).results(operands)
                changing |= {v for v, d in zip(eqn.outvars, results, strict=True) if d}
                if any(operands) and eqn.effects:
                    # What is written into a reference is read from it elsewhere.
                    changing |= {v for v in eqn.invars if _is_reference(v)}
            self._results[case] = tuple(_is_in(changing, atom) for atom in jaxpr.outvars)
        return self._results[case]

    def decided(self, holder: tuple[_Case, Place]) -> None:
        """Note that the examples have a say in an equation."""
        self._decided.add(holder)

    def call(
        self, holder: tuple[_Case, Place], jaxpr: jec.Jaxpr, depends: tuple[bool, ...]
    ) -> tuple[bool, ...]:
        """Return which results of a jaxpr depend, which an equation holds."""
        self._called.setdefault(holder, set()).add((id(jaxpr), depends))
        return self._jaxpr(jaxpr, depends)


class _Equation:
    """Follows dependence through an equation."""

    def __init__(
        self, decisions: Decisions, holder: tuple[_Case, Place], eqn: jec.JaxprEqn
    ) -> None:
        self.decisions = decisions
        self.holder = holder
        self.eqn = eqn

    def jaxpr(self, jaxpr: jec.Jaxpr, depends: tuple[bool, ...]) -> tuple[bool, ...]:
        """Return which results of a nested jaxpr depend."""
        return self.decisions.call(self.holder, jaxpr, depends)

    def results(self, operands: tuple[bool, ...]) -> Sequence[bool]:
        """Return which results of the equation depend, given which operands do."""
        match self.eqn.primitive.name:
            case "while":
                return self.while_loop(operands)
            case "scan":
                consts, carry = scan_counts(self.eqn)
                (body,) = nested(self.eqn)
                return self.loop(body, *_parts(operands, consts, carry))
            case "cond":
                return self.cond(operands)
        inner = nested(self.eqn)
        if len(inner) == 1 and len(inner[0].invars) == len(operands):
            results = self.jaxpr(inner[0], operands)
            if len(results) == len(self.eqn.outvars):
                return results
        for jaxpr in inner:
            self.jaxpr(jaxpr, (any(operands),) * len(jaxpr.invars))
        return [any(operands)] * len(self.eqn.outvars)

    def loop(
        self,
        body: jec.Jaxpr,
        fixed: tuple[bool, ...],
        carry: tuple[bool, ...],
        rest: tuple[bool, ...] = (),
    ) -> tuple[bool, ...]:
        """Return which results of a body depend, when its carry has gone round often enough."""
        while True:
            results = self.jaxpr(body, (*fixed, *carry, *rest))
            after = tuple(a or b for a, b in zip(carry, results, strict=False))
            if after == carry:
                return results
            carry = after

    def while_loop(self, operands: tuple[bool, ...]) -> Sequence[bool]:
        """Follow the carry of a loop, and its predicate."""
        params = self.eqn.params
        test, body = (opened(params[key]) for key in ("cond_jaxpr", "body_jaxpr"))
        counts = params["cond_nconsts"], params["body_nconsts"]
        of_test, of_body, carry = _parts(operands, *counts)
        results = self.loop(body, of_body, carry)
        after = tuple(a or b for a, b in zip(carry, results, strict=True))
        if any(self.jaxpr(test, (*of_test, *after))):
            self.decisions.decided(self.holder)
            # What comes out depends on how often it went round.
            self.loop(body, of_body, (True,) * len(carry))
            return [True] * len(carry)
        return after

    def cond(self, operands: tuple[bool, ...]) -> Sequence[bool]:
        """Follow every branch, and the predicate."""
        predicate, *rest = operands
        if predicate:
            self.decisions.decided(self.holder)
        each = [self.jaxpr(branch, tuple(rest)) for branch in nested(self.eqn)]
        return [predicate or any(results) for results in zip(*each, strict=True)]


def _parts(flags: tuple[bool, ...], first: int, second: int) -> tuple[tuple[bool, ...], ...]:
    return flags[:first], flags[first : first + second], flags[first + second :]


def _is_in(changing: set[Any], atom: Any) -> bool:
    return not isinstance(atom, jec.Literal) and atom in changing


def _is_reference(atom: Any) -> bool:
    return hasattr(getattr(atom, "aval", None), "inner_aval")
