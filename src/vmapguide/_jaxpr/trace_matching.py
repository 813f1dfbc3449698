"""Match two traces of one program, equation by equation: is it what plain `jax.vmap` makes?

Start with `match`, which returns a `Match`: what fits together, and what does not; or with `equal`,
which only says whether all of it fits.

Two traces of one program are the same up to the names of variables, the order and place of their
constants, and what every trace numbers anew. They have their equations in the same order. So
equations are paired by their places, and where there are more on one side, as `diff` pairs lines.
What differs is listed, and what fits is matched all the same.

That is another notion of equality than that of `value_numbering`. There, two people wrote two
programs: calls may be inlined, independent equations change places and axes move, and what counts
is whether two values are the same. Here, each equation has to be found again, calls and all; in
return, sizes and constants may differ as the caller says. `same_values` decides about these.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax.extend.core as jec

from vmapguide._jaxpr.compat import AnyJaxpr, constants, opened
from vmapguide._jaxpr.same_values import Same, SameSize
from vmapguide._jaxpr.walk import jaxprs_in, walk


# A place where two jaxprs differ: an equation of the first, by `id`, and which operand or
# parameter of it; or a jaxpr nested in it, and which result.
Spot = tuple[int, int | str]

# Evaluated anew, a function with a rule of its own closes over less than it did: what it closed
# over are its operands now. So this parameter says nothing that the operands do not.
_FOLLOWS = {("custom_jvp_call", "num_consts"), ("custom_vjp_call", "num_consts")}


@dataclass
class Match:
    """What fits together of two jaxprs, and what does not.

    Attributes:
        equations: by the `id` of an equation of the first jaxpr, the equation of the second.
        variables: the same of variables.
        left: the equations of the first jaxpr that fit to none, outermost ones.
        right: those of the second.
        spots: operands, parameters and results that differ where all else stands in its place.
        exact: whether all of both fits, down to the arguments and results.
    """

    equations: dict[int, jec.JaxprEqn] = field(default_factory=dict)
    variables: dict[jec.Var, jec.Var] = field(default_factory=dict)
    left: list[jec.JaxprEqn] = field(default_factory=list)
    right: list[jec.JaxprEqn] = field(default_factory=list)
    spots: set[Spot] = field(default_factory=set)
    exact: bool = True


def match(
    one: AnyJaxpr,
    other: AnyJaxpr,
    *,
    skip: jec.Primitive | None = None,
    same_size: SameSize | None = None,
    tolerated: frozenset[Spot] = frozenset(),
) -> Match:
    """Match two traces of one program.

    Args:
        one: a jaxpr.
        other: the jaxpr to match it with.
        skip: a primitive of `other` that passes its first operands through: it is looked through.
        same_size: for two programs that differ in sizes: which sizes correspond.
        tolerated: spots of `one` that may differ.

    Returns:
        What fits and what does not. A jaxpr that is nested in several equations is matched with
        each of its counterparts, and the first one counts.
    """
    matcher = _Matcher(skip, Same(same_size), tolerated)
    matcher.jaxprs(one, other)
    return matcher.found


def equal(one: AnyJaxpr, other: AnyJaxpr) -> bool:
    """Say whether two jaxprs are equal up to the names of variables and the order of constants."""
    return match(one, other).exact


@dataclass
class _Names:
    """Which variable of one jaxpr stands for which of another, which of these are taken.

    `passed` has the variables of the other that a skipped equation only passes on.
    """

    of: dict[Any, Any] = field(default_factory=dict)
    taken: set[Any] = field(default_factory=set)
    passed: dict[Any, Any] = field(default_factory=dict)


class _Matcher:
    """A match while it is made."""

    def __init__(self, skip: jec.Primitive | None, same: Same, tolerated: frozenset[Spot]) -> None:
        self.skip = skip
        self.same = same
        self.tolerated = tolerated
        self.found = Match()
        self.seen: set[tuple[int, int]] = set()
        self.values: dict[jec.Var, Any] = {}  # Of constants, of both jaxprs.

    def jaxprs(self, one: AnyJaxpr, other: AnyJaxpr) -> None:
        """Match two jaxprs, and what is nested in them."""
        a, b = opened(one), opened(other)
        if (id(a), id(b)) in self.seen:
            return
        self.seen.add((id(a), id(b)))
        if a is b:
            self.itself(a)
            return
        self.values.update(constants(one))
        self.values.update(constants(other))
        names = _Names()
        theirs = self.without_skipped(b, names)
        # What is not matched is listed, and is reason enough.
        fits = self.defined(names, a.invars, b.invars)
        for left, right in self.pairs(a.eqns, theirs):
            if left is None or right is None:
                fits = False
                self.found.left += [left] if left is not None else []
                self.found.right += [right] if right is not None else []
            elif self.equation(names, left, right):
                self.found.equations.setdefault(id(left), right)
            else:
                fits = False
                self.found.left.append(left)
                self.found.right.append(right)
        fits &= len(a.outvars) == len(b.outvars)
        for i, (u, v) in enumerate(zip(a.outvars, b.outvars, strict=False)):
            fits &= self.used(names, u, v) or self.differs(a, i)
        self.found.exact &= fits
        for u, v in names.of.items():
            self.found.variables.setdefault(u, v)

    def without_skipped(self, jaxpr: jec.Jaxpr, names: _Names) -> Sequence[jec.JaxprEqn]:
        """Return the equations that count, and note what the others pass on."""
        if self.skip is None:
            return jaxpr.eqns
        for eqn in jaxpr.eqns:
            if eqn.primitive is self.skip:
                names.passed.update(zip(eqn.outvars, eqn.invars, strict=False))
        return [eqn for eqn in jaxpr.eqns if eqn.primitive is not self.skip]

    def itself(self, jaxpr: AnyJaxpr) -> None:
        """Match a jaxpr that JAX remembers from trace to trace with itself."""
        for inner in walk(jaxpr):
            for eqn in inner.eqns:
                self.found.equations.setdefault(id(eqn), eqn)
            made = (var for eqn in inner.eqns for var in eqn.outvars)
            for var in (*inner.invars, *made):
                self.found.variables.setdefault(var, var)

    def pairs(
        self, left: Sequence[jec.JaxprEqn], right: Sequence[jec.JaxprEqn]
    ) -> Iterator[tuple[jec.JaxprEqn | None, jec.JaxprEqn | None]]:
        """Pair equations: by their order, or if that does not do, as `diff` pairs lines."""
        if len(left) == len(right) and all(
            a.primitive is b.primitive for a, b in zip(left, right, strict=True)
        ):
            yield from zip(left, right, strict=True)
            return
        sized = self.same.size is None
        ours, theirs = ([_form(eqn, sized=sized) for eqn in eqns] for eqns in (left, right))
        matcher = difflib.SequenceMatcher(None, ours, theirs, autojunk=False)
        for tag, i, j, k, n in matcher.get_opcodes():
            if tag == "equal":
                yield from zip(left[i:j], right[k:n], strict=True)
            else:
                yield from ((eqn, None) for eqn in left[i:j])
                yield from ((None, eqn) for eqn in right[k:n])

    def equation(self, names: _Names, left: jec.JaxprEqn, right: jec.JaxprEqn) -> bool:
        """Match two equations and what is nested in them; say whether they fit."""
        fits = left.primitive is right.primitive and len(left.invars) == len(right.invars)
        if fits:
            for i, (u, v) in enumerate(zip(left.invars, right.invars, strict=True)):
                fits &= self.used(names, u, v) or self.differs(left, i)
        fits &= self.params(left, right)
        return self.defined(names, left.outvars, right.outvars) and fits

    def differs(self, left: jec.JaxprEqn | jec.Jaxpr, what: int | str) -> bool:
        """Note a spot where two equations or jaxprs differ; say whether that is tolerated."""
        self.found.spots.add((id(left), what))
        return (id(left), what) in self.tolerated

    def defined(self, names: _Names, left: list[Any], right: list[Any]) -> bool:
        """Note which variable stands for which; say whether their types are the same."""
        fits = len(left) == len(right)
        for u, v in zip(left, right, strict=False):
            is_dropped = isinstance(u, jec.DropVar)
            if not is_dropped:
                names.of[u] = v
                names.taken.add(v)
            fits &= is_dropped == isinstance(v, jec.DropVar) and self.same.type(u.aval, v.aval)
        return fits

    def used(self, names: _Names, u: Any, v: Any) -> bool:
        """Say whether two operands are the same."""
        if not isinstance(v, jec.Literal):
            v = names.passed.get(v, v)
            if not isinstance(u, jec.Literal) and names.of.get(u) is v:
                return True
        ours = u.val if isinstance(u, jec.Literal) else self.values.get(u, self)
        theirs = v.val if isinstance(v, jec.Literal) else self.values.get(v, self)
        if ours is not self or theirs is not self:
            if ours is self or theirs is self or not self.same.type(u.aval, v.aval):
                return False
            return self.same.constant(ours, theirs)
        # Both come from equations that fit to nothing: that has been said there.
        return u not in names.of and v not in names.taken

    def params(self, left: jec.JaxprEqn, right: jec.JaxprEqn) -> bool:
        """Match the parameters of two equations; say whether they are the same."""
        if left.params.keys() != right.params.keys():
            return self.differs(left, "")
        fits = True
        for key, value in left.params.items():
            other = right.params[key]
            if value is other:
                for jaxpr in jaxprs_in(value):
                    self.itself(jaxpr)
                continue
            if self.same.numbers(value, other):
                continue
            ours, theirs = [*jaxprs_in(value)], [*jaxprs_in(other)]
            if len(ours) != len(theirs):
                fits &= self.differs(left, key)
            elif ours:
                # What does not fit in there is listed there.
                for a, b in zip(ours, theirs, strict=True):
                    self.jaxprs(a, b)
            elif (
                not self.same.parameter(value, other) and (left.primitive.name, key) not in _FOLLOWS
            ):
                fits &= self.differs(left, key)
        return fits


def _form(eqn: jec.JaxprEqn, *, sized: bool) -> tuple[Any, ...]:
    """Return what two equations have in common that may stand in one place."""
    avals: list[Any] = [var.aval for var in eqn.outvars]
    types = [str(aval) if sized else getattr(aval, "ndim", None) for aval in avals]
    return eqn.primitive, len(eqn.invars), tuple(types)
