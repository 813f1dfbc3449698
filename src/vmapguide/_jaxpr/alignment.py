"""Make the rows of `compare`: two jaxprs side by side, which equation of one is which of the other.

Start with `align`. It takes two jaxprs that `flat` has made free of calls, and returns an
`Alignment`, whose pairs are the rows of a table in the order of the two programs.

An equation is paired with another if both are the same by construction, as `value_numbering` tells,
and in the same order. The equations between two such pairs are paired if they are the same
operations in the same order. No others are paired. If all pairs only move axes, and the jaxprs are
not the same, the alignment is declined: it would be a guess.
"""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher

import jax.extend.core as jec

from vmapguide._data import Pair
from vmapguide._jaxpr import primitives
from vmapguide._jaxpr.compat import AnyJaxpr, consts_of, opened, with_inputs
from vmapguide._jaxpr.value_numbering import Numbered, Numbering
from vmapguide._jaxpr.walk import inlined, jaxprs_in


@dataclass(frozen=True)
class Alignment:
    """Two jaxprs, aligned. `pairs` is None if the alignment was declined."""

    pairs: tuple[Pair[jec.JaxprEqn], ...] | None
    same: bool


@dataclass(frozen=True)
class _Side:
    """A jaxpr as its equations that do work, and those that only move axes around each.

    Attributes:
        work: the equations that do work.
        layout: the others, in lists: those before each equation that does work, and last those
            after all of them.
    """

    work: list[Numbered]
    layout: list[list[Numbered]]

    def between(self, start: int, end: int) -> list[Numbered]:
        """Return all equations from after the work before `start` up to the work at `end`."""
        runs = zip(self.layout[start:end], self.work[start:end], strict=True)
        return [*(e for layout, work in runs for e in (*layout, work)), *self.layout[end]]


def _side(equations: Iterable[Numbered]) -> _Side:
    side = _Side([], [[]])
    for equation in equations:
        if equation.is_layout:
            side.layout[-1].append(equation)
        else:
            side.work.append(equation)
            side.layout.append([])
    return side


def flat(jaxpr: jec.ClosedJaxpr) -> AnyJaxpr:
    """Return a jaxpr with the calls in it inlined; what they captured are constants of its own."""
    return inlined(_with_constants_outside(jaxpr), _body)


def _body(eqn: jec.JaxprEqn) -> AnyJaxpr | None:
    """Return the jaxpr that a call computes, None for any other equation."""
    name = primitives.traits(eqn.primitive.name).body
    inner: AnyJaxpr | None = eqn.params.get(name) if name else None
    return inner


def _with_constants_outside(closed: AnyJaxpr) -> AnyJaxpr:
    """Return a jaxpr whose calls have no constants: they take what is its own constant now.

    The calls are there to be inlined, and their other parameters are as they were.
    """
    jaxpr, consts = opened(closed), [*consts_of(closed)]
    constvars = [*jaxpr.constvars]
    eqns = []
    for eqn in jaxpr.eqns:
        body = _body(eqn)
        outside = body if body is None else _with_constants_outside(body)
        if outside is not None and (values := consts_of(outside)):
            inner = opened(outside)
            own = [jec.Var(var.aval) for var in inner.constvars]
            open_body = with_inputs(inner, [], [*inner.constvars, *inner.invars], inner.eqns)
            name = primitives.traits(eqn.primitive.name).body
            params = {p: open_body if p == name else value for p, value in eqn.params.items()}
            eqns.append(eqn.replace(params=params, invars=[*own, *eqn.invars]))
            constvars += own
            consts += values
        else:
            eqns.append(eqn)
    if len(consts) == len(consts_of(closed)):
        return closed
    return jec.ClosedJaxpr(with_inputs(jaxpr, constvars, jaxpr.invars, eqns), consts)


def align(left: AnyJaxpr, right: AnyJaxpr) -> Alignment:
    """Align two jaxprs that have been made flat.

    The cost is linear in the equations where the two agree, and quadratic in what lies between.
    """
    numbering = Numbering()
    (ours, our_key), (theirs, their_key) = numbering.read(left), numbering.read(right)
    rows = [*_rows(_side(ours), _side(theirs), 0)]
    pairs = [*_with_moves(rows, [*ours, *theirs])]
    same = our_key == their_key
    both = any(pair.left and pair.right and not pair.is_layout for pair in pairs)
    return Alignment(tuple(pairs) if same or both else None, same)


def _rows(left: _Side, right: _Side, depth: int) -> Iterator[Pair[jec.JaxprEqn]]:
    """Yield the rows of two sides."""
    matcher = SequenceMatcher(
        None, [*map(_key, left.work)], [*map(_key, right.work)], autojunk=False
    )
    i = j = 0
    for a, b, length in matcher.get_matching_blocks():  # The last one is empty, and at the end.
        yield from _between(left, right, (i, a), (j, b), depth)
        for k in range(length):
            if k:
                yield from _same_or_alone(left.layout[a + k], right.layout[b + k], depth)
            yield _paired(left.work[a + k], right.work[b + k], depth)
        i, j = a + length, b + length


def _key(equation: Numbered) -> tuple[object, ...]:
    """Return what two equations have in common that are the same but for their axes."""
    if not equation.results:
        return (equation.made,)
    sizes = tuple(map(_sizes, equation.eqn.outvars))
    return (*(value.view.base for value in equation.results), sizes, equation.eqn.primitive.name)


def _sizes(var: jec.Var) -> tuple[int, ...]:
    """Return the sizes of a value's axes, in no order; axes of size 1 hold nothing."""
    return tuple(sorted(size for size in getattr(var.aval, "shape", ()) if size != 1))


def _between(
    left: _Side, right: _Side, ours: tuple[int, int], theirs: tuple[int, int], depth: int
) -> Iterator[Pair[jec.JaxprEqn]]:
    """Yield the rows of what lies between two pairs: from one place in `work` to another."""
    one, other = left.work[slice(*ours)], right.work[slice(*theirs)]
    if not one or [*map(_name, one)] != [*map(_name, other)]:
        yield from _same_or_alone(left.between(*ours), right.between(*theirs), depth)
        return
    for i, j in zip(range(*ours), range(*theirs), strict=True):
        yield from _alone(left.layout[i], right.layout[j], depth)
        eqn, counterpart = left.work[i].eqn, right.work[j].eqn
        yield Pair(eqn, counterpart, "differs", is_layout=False, depth=depth)
        yield from _inside(eqn, counterpart, depth + 1)
    yield from _alone(left.layout[ours[1]], right.layout[theirs[1]], depth)


def _name(equation: Numbered) -> str:
    return equation.eqn.primitive.name


def _inside(left: jec.JaxprEqn, right: jec.JaxprEqn, depth: int) -> Iterator[Pair[jec.JaxprEqn]]:
    """Yield the rows of what is nested in two equations, if there are as many jaxprs in both."""
    # Closed ones, so that it is known what their constants are.
    ours, theirs = (
        [jaxpr for value in eqn.params.values() for jaxpr in jaxprs_in(value)]
        for eqn in (left, right)
    )
    if len(ours) != len(theirs):
        return
    for pair in zip(ours, theirs, strict=True):
        numbering = Numbering()
        one, other = (_side(numbering.read(jaxpr)[0]) for jaxpr in pair)
        yield from _rows(one, other, depth)


def _same_or_alone(
    left: list[Numbered], right: list[Numbered], depth: int
) -> Iterator[Pair[jec.JaxprEqn]]:
    """Yield the rows of equations that are on one side only, unless they are the same."""
    ours, theirs = ([e.made for e in side] for side in (left, right))
    for tag, i, j, k, n in SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes():
        if tag == "equal":
            yield from map(functools.partial(_paired, depth=depth), left[i:j], right[k:n])
        else:
            yield from _alone(left[i:j], right[k:n], depth)


def _paired(left: Numbered, right: Numbered, depth: int) -> Pair[jec.JaxprEqn]:
    same = left.made == right.made
    return Pair(left.eqn, right.eqn, "same" if same else "layout", left.is_layout, depth)


def _alone(left: list[Numbered], right: list[Numbered], depth: int) -> Iterator[Pair[jec.JaxprEqn]]:
    for e in left:
        yield Pair(e.eqn, None, "left", e.is_layout, depth)
    for e in right:
        yield Pair(None, e.eqn, "right", e.is_layout, depth)


def _with_moves(
    pairs: list[Pair[jec.JaxprEqn]], equations: list[Numbered]
) -> Iterator[Pair[jec.JaxprEqn]]:
    """Yield the rows, with equations found that are on both sides, but not in the same place."""
    keys = {id(e.eqn): (e.made, _key(e)) for e in equations}

    def key(pair: Pair[jec.JaxprEqn]) -> Hashable:
        """Return what an outermost equation that is alone has in common with its counterpart."""
        is_alone = pair.relation in ("left", "right") and not pair.depth
        return keys[id(pair.left or pair.right)] if is_alone else None

    ours = Counter(key(pair) for pair in pairs if pair.relation == "left" and key(pair))
    theirs = Counter(key(pair) for pair in pairs if pair.relation == "right" and key(pair))
    # How many of each are still to be found, on each side.
    left = {"left": ours & theirs, "right": ours & theirs}
    for pair in pairs:
        if key(pair) and left[pair.relation][key(pair)] > 0:
            left[pair.relation][key(pair)] -= 1
            yield dataclasses.replace(pair, relation="moved")
        else:
            yield pair
