"""Two jaxprs side by side: which equations of the one are which of the other.

An equation is paired with another if both are the same by construction, as `_numbering` tells, in
the order of the program. What lies between two such pairs is paired if it is the same operations in
the same order. Nothing else is paired, and if nothing is but what only moves axes, the alignment of
two jaxprs that are not the same is declined.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import jax.extend.core as jec

from vmapguide._jaxpr import primitives
from vmapguide._jaxpr.compat import AnyJaxpr, consts_of, opened, with_inputs
from vmapguide._jaxpr.value_numbering import Numbering, Numbers
from vmapguide._jaxpr.walk import inlined, jaxprs_in


@dataclass(frozen=True)
class Pair:
    """A row of the alignment: an equation of the left, of the right, or one of each.

    Attributes:
        left: the equation on the left, None if there is none.
        right: the equation on the right, None if there is none.
        relation: `same`; `layout`: the same but for where the axes are; `differs`: the same
            operation on other values or with other parameters; `left` or `right`: on one side only;
            `moved`: on one side here, and on the other elsewhere in the program.
        is_layout: whether the equation only moves, adds or drops axes, or copies.
        depth: in how many equations it is nested.
    """

    left: jec.JaxprEqn | None
    right: jec.JaxprEqn | None
    relation: str
    is_layout: bool
    depth: int = 0


@dataclass(frozen=True)
class Alignment:
    """Two jaxprs, aligned. `pairs` is None if the alignment was declined."""

    pairs: tuple[Pair, ...] | None
    same: bool


@dataclass(frozen=True)
class _Equation:
    eqn: jec.JaxprEqn
    numbers: Numbers


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
    sides = _equations(left, ours), _equations(right, theirs)
    pairs = [*_with_moves([*_pairs(*sides, 0)], sides)]
    same = our_key == their_key
    both = any(pair.left and pair.right and not pair.is_layout for pair in pairs)
    return Alignment(tuple(pairs) if same or both else None, same)


def _equations(jaxpr: AnyJaxpr, numbers: list[Numbers]) -> list[_Equation]:
    return [*map(_Equation, opened(jaxpr).eqns, numbers)]


def _pairs(left: list[_Equation], right: list[_Equation], depth: int) -> Iterator[Pair]:
    """Yield the rows of two lists of equations."""
    work = [[i for i, e in enumerate(side) if not e.numbers.is_layout] for side in (left, right)]
    keys = [
        [_key(side[i]) for i in indices] for side, indices in zip((left, right), work, strict=True)
    ]
    blocks = SequenceMatcher(None, keys[0], keys[1], autojunk=False).get_matching_blocks()
    before = [0, 0]
    for start, other, length in blocks:
        ends = _end(left, work[0], start), _end(right, work[1], other)
        if length:
            ends = work[0][start], work[1][other]
        yield from _between(left[before[0] : ends[0]], right[before[1] : ends[1]], depth)
        before = [*ends]
        for k in range(length):
            i, j = work[0][start + k], work[1][other + k]
            yield from _layout(left[before[0] : i], right[before[1] : j], depth)
            yield _paired(left[i], right[j], depth)
            before = [i + 1, j + 1]
    yield from _layout(left[before[0] :], right[before[1] :], depth)


def _with_moves(
    pairs: list[Pair], sides: tuple[list[_Equation], list[_Equation]]
) -> Iterator[Pair]:
    """Yield the rows, with equations found that are on both sides, but not in the same place."""
    keys = {id(e.eqn): (e.numbers.made, _key(e)) for side in sides for e in side}
    alone = {
        relation: Counter(
            keys[id(pair.left or pair.right)]
            for pair in pairs
            if pair.relation == relation and not pair.depth
        )
        for relation in ("left", "right")
    }
    both = alone["left"] & alone["right"]
    left = {relation: both.copy() for relation in alone}
    for pair in pairs:
        key = keys.get(id(pair.left or pair.right))
        if key and pair.relation in left and not pair.depth and left[pair.relation][key] > 0:
            left[pair.relation][key] -= 1
            yield dataclasses.replace(pair, relation="moved")
        else:
            yield pair


def _end(side: list[_Equation], work: list[int], position: int) -> int:
    return work[position] if position < len(work) else len(side)


def _key(equation: _Equation) -> tuple[object, ...]:
    """Return what two equations have in common that are the same but for their axes."""
    if not equation.eqn.outvars:
        return (equation.numbers.made,)
    sizes = tuple(map(_sizes, equation.eqn.outvars))
    return (*(view.base for view in equation.numbers.views), sizes, equation.eqn.primitive.name)


def _sizes(var: jec.Var) -> tuple[int, ...]:
    """Return the sizes of a value's axes, in no order; axes of size 1 hold nothing."""
    return tuple(sorted(size for size in getattr(var.aval, "shape", ()) if size != 1))


def _paired(left: _Equation, right: _Equation, depth: int) -> Pair:
    same = left.numbers.made == right.numbers.made
    relation = "same" if same else "layout"
    return Pair(left.eqn, right.eqn, relation, left.numbers.is_layout, depth)


def _between(left: list[_Equation], right: list[_Equation], depth: int) -> Iterator[Pair]:
    """Yield the rows of what lies between two pairs."""
    names = [_names(side) for side in (left, right)]
    if names[0] != names[1] or not names[0]:
        yield from _layout(left, right, depth)
        return
    rest = iter(right)
    for equation in left:
        if equation.numbers.is_layout:
            yield Pair(equation.eqn, None, "left", is_layout=True, depth=depth)
            continue
        for other in rest:
            if not other.numbers.is_layout:
                break
            yield Pair(None, other.eqn, "right", is_layout=True, depth=depth)
        yield Pair(equation.eqn, other.eqn, "differs", is_layout=False, depth=depth)
        yield from _inside(equation.eqn, other.eqn, depth + 1)
    yield from (Pair(None, e.eqn, "right", is_layout=True, depth=depth) for e in rest)


def _names(side: Sequence[_Equation]) -> list[str]:
    return [e.eqn.primitive.name for e in side if not e.numbers.is_layout]


def _inside(left: jec.JaxprEqn, right: jec.JaxprEqn, depth: int) -> Iterator[Pair]:
    """Yield the rows of what is nested in two equations, if there are as many jaxprs in both."""
    # Closed ones, so that it is known what their constants are.
    ours, theirs = (
        [jaxpr for value in eqn.params.values() for jaxpr in jaxprs_in(value)]
        for eqn in (left, right)
    )
    if len(ours) != len(theirs):
        return
    for one, other in zip(ours, theirs, strict=True):
        numbering = Numbering()
        sides = [_equations(jaxpr, numbering.read(jaxpr)[0]) for jaxpr in (one, other)]
        yield from _pairs(sides[0], sides[1], depth)


def _layout(left: list[_Equation], right: list[_Equation], depth: int) -> Iterator[Pair]:
    """Yield rows of equations that have no counterpart but for those that move the same axes."""
    numbers = [[e.numbers.made for e in side] for side in (left, right)]
    for tag, a, b, c, d in SequenceMatcher(
        None, numbers[0], numbers[1], autojunk=False
    ).get_opcodes():
        if tag == "equal":
            for one, other in zip(left[a:b], right[c:d], strict=True):
                yield _paired(one, other, depth)
            continue
        for e in left[a:b]:
            yield Pair(e.eqn, None, "left", e.numbers.is_layout, depth)
        for e in right[c:d]:
            yield Pair(None, e.eqn, "right", e.numbers.is_layout, depth)
