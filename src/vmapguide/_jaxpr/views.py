"""A value as a view: a base, and which axis of the base each of its axes is.

A view looks through layout. `x` and `x.T` are views of one base, with its axes in another order.
`moved` returns the view that an equation makes which only moves, adds or drops axes. `computed`
returns what the result of an operation is made of, if the operation does not care in which order
its axes are: elementwise operations, reductions and products have such a rule. For all other
equations both return None. `value_numbering` gives bases their numbers, and has an example.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax.extend.core as jec

from vmapguide._jaxpr import primitives


# These are named tuples because tuples have an order, in which the axes of a base are numbered. Any
# order would do: it only has to be the same one everywhere.


class BaseAxis(NamedTuple):
    """An axis of the base, by its number."""

    number: int


class New(NamedTuple):
    """An axis that broadcasting added: nothing changes along it. Axes of size 1 are always new."""

    size: int
    kind: Literal["new"] = "new"  # So that it is not equal to an axis of the base.


Axis = BaseAxis | New


class View(NamedTuple):
    """A value as the number of its base, and what each of its axes is."""

    base: int
    axes: tuple[Axis, ...]


class Joined(NamedTuple):
    """An axis of a result, made of axes of the operands.

    Attributes:
        of: the axes, each with the number of its operand.
        copy: which one it is of the axes of the result that are made of the same.
    """

    of: tuple[tuple[int, Axis], ...]
    copy: int = 1


@dataclass(frozen=True)
class Computed:
    """The result of an operation whose axes may be in any order.

    Attributes:
        key: what is computed. Results with equal keys are the same but for the order of their axes.
        axes: what each axis of the result is.
    """

    key: Hashable
    axes: tuple[Joined | New, ...]

    def as_view(self, base: int) -> View:
        """Return the result as a view of a base, which has the joined axes in a fixed order."""
        joined = sorted(axis for axis in self.axes if isinstance(axis, Joined))
        numbered = {axis: BaseAxis(number) for number, axis in enumerate(joined)}
        axes = (axis if isinstance(axis, New) else numbered[axis] for axis in self.axes)
        return View(base, tuple(axes))


def whole(base: int, aval: Any) -> View:
    """Return the view of all of a base that has this type."""
    return View(base, _laid_out(map(BaseAxis, range(len(_shape(aval)))), _shape(aval)))


def bag(items: Iterable[Hashable]) -> Hashable:
    """Return what is in a collection, and how often, whatever the order."""
    return frozenset(Counter(items).items())


def _laid_out(axes: Iterable[Axis], shape: Sequence[int]) -> tuple[Axis, ...]:
    """Return the axes of a shape: one of the given after the other, but new ones of size 1."""
    left = iter(axes)
    return tuple(New(1) if size == 1 else next(left) for size in shape)


def _shape(aval: Any) -> tuple[int, ...]:
    return tuple(getattr(aval, "shape", ()))


# -- Operations that only move axes ------------------------------------------


def moved(eqn: jec.JaxprEqn, operands: Sequence[View]) -> View | None:
    """Return the view that an equation makes of its operand; None if it makes a new value."""
    rule = LAYOUT_RULES.get(eqn.primitive.name)
    return rule(eqn, operands[0]) if rule and len(operands) == 1 else None


def _transposed(eqn: jec.JaxprEqn, view: View) -> View:
    return View(view.base, tuple(view.axes[int(d)] for d in eqn.params["permutation"]))


def _broadcast(eqn: jec.JaxprEqn, view: View) -> View:
    source = {int(d): view.axes[i] for i, d in enumerate(eqn.params["broadcast_dimensions"])}
    axes = [source.get(d, New(1)) for d in range(len(_shape(eqn.outvars[0].aval)))]
    return View(view.base, _stretched(axes, _shape(eqn.outvars[0].aval)))


def _stretched(axes: Sequence[Axis], shape: Sequence[int]) -> tuple[Axis, ...]:
    """Return axes of which the new ones are as long as a shape says."""
    return tuple([New(n) if isinstance(a, New) else a for a, n in zip(axes, shape, strict=True)])


def _reshaped(eqn: jec.JaxprEqn, view: View) -> View | None:
    """Axes may move and axes of size 1 may come and go, but none may be merged or split."""
    before, after = _shape(eqn.invars[0].aval), _shape(eqn.outvars[0].aval)
    # A reshape may read its axes in another order; `squeeze` has `dimensions` of another meaning.
    order = eqn.params["dimensions"] if eqn.primitive.name == "reshape" else None
    held = [d for d in order or range(len(before)) if before[d] != 1]
    if [before[d] for d in held] != [size for size in after if size != 1]:
        return None
    return View(view.base, _laid_out((view.axes[d] for d in held), after))


def _copied(eqn: jec.JaxprEqn, view: View) -> View | None:
    """A conversion is a copy if the dtype stays."""
    before, after = (getattr(atom.aval, "dtype", None) for atom in (eqn.invars[0], eqn.outvars[0]))
    return view if before == after else None


LAYOUT_RULES: dict[str, Callable[[jec.JaxprEqn, View], View | None]] = {
    "broadcast_in_dim": _broadcast,
    "convert_element_type": _copied,
    "copy": _copied,
    "copy_p": _copied,
    "reshape": _reshaped,
    "squeeze": _reshaped,
    "transpose": _transposed,
}


# -- Operations that do not care in which order axes are -----------------------

Params = tuple[tuple[str, Hashable], ...]


def computed(eqn: jec.JaxprEqn, operands: Sequence[View], params: Params) -> Computed | None:
    """Return the result of an equation, None if there is no rule for its operation.

    Args:
        eqn: the equation.
        operands: how each of its operands is seen.
        params: the keys of its parameters, each with its name.
    """
    traits = primitives.traits(eqn.primitive.name)
    if traits.elementwise:
        return _elementwise(eqn, operands, params, commutative=traits.commutative)
    if traits.reduction:
        return _reduction(eqn, operands, params)
    return _dot_general(eqn, operands, params) if eqn.primitive.name == "dot_general" else None


def _elementwise(
    eqn: jec.JaxprEqn, operands: Sequence[View], params: Params, *, commutative: bool
) -> Computed:
    """An axis of the result is made of that axis of each operand."""
    shape = _shape(eqn.outvars[0].aval)
    # A number is spread over all axes.
    number = [New(1)] * len(shape)
    spread = [View(view.base, _stretched(view.axes or number, shape)) for view in operands]
    if commutative:
        spread.sort()
    axes: list[Joined | New] = []
    for size, *parts in zip(shape, *(view.axes for view in spread), strict=True):
        is_new = all(isinstance(axis, New) for axis in parts)
        axes.append(New(size) if is_new else Joined(tuple(enumerate(parts))))
    bases = tuple(view.base for view in spread)
    return Computed((eqn.primitive.name, params, bases, _joined(axes)), tuple(axes))


def _reduction(eqn: jec.JaxprEqn, operands: Sequence[View], params: Params) -> Computed:
    """The axes that are left stay what they are."""
    (view,) = operands
    reduced = {int(axis) % len(view.axes) for axis in eqn.params["axes"]}
    gone = bag(view.axes[d] for d in reduced if view.axes[d] != New(1))
    left = [axis for d, axis in enumerate(view.axes) if d not in reduced]
    axes = (axis if isinstance(axis, New) else Joined(((0, axis),)) for axis in left)
    return Computed((eqn.primitive.name, _without(params, "axes"), view.base, gone), tuple(axes))


def _dot_general(eqn: jec.JaxprEqn, operands: Sequence[View], params: Params) -> Computed:
    """An axis of the result is one of the left, one of the right, or one of both."""
    contracted, batch = eqn.params["dimension_numbers"]
    # Which operand comes first in the key, which second.
    order = [0, 1]
    if _is_symmetric(eqn.params["precision"]):
        order.sort(key=operands.__getitem__)

    def joined(*dims: tuple[int, int]) -> Joined:
        return Joined(tuple(sorted((order.index(i), operands[i].axes[d]) for i, d in dims)))

    def pairs(dims: Sequence[Sequence[int]]) -> list[Joined]:
        return [joined((0, int(a)), (1, int(b))) for a, b in zip(*dims, strict=True)]

    free = [
        joined((i, d))
        for i, view in enumerate(operands)
        for d in range(len(view.axes))
        if d not in (*contracted[i], *batch[i])
    ]
    shape = _shape(eqn.outvars[0].aval)
    axes = [
        New(1) if size == 1 else axis
        for axis, size in zip([*pairs(batch), *free], shape, strict=True)
    ]
    key = (
        eqn.primitive.name,
        _without(params, "dimension_numbers"),
        *(operands[i].base for i in order),
        bag(pairs(contracted)),
        _joined(axes),
    )
    return Computed(key, _told_apart(axes))


def _is_symmetric(precision: Any) -> bool:
    """Say whether both operands of a product are treated alike."""
    if isinstance(precision, tuple):
        return bool(precision[0] == precision[1])
    one, other = (getattr(precision, f"{s}_precision_type", None) for s in ("lhs", "rhs"))
    return bool(one == other)


def _joined(axes: Iterable[Joined | New]) -> Hashable:
    """Return the axes that are not new, in no order."""
    return bag([axis for axis in axes if isinstance(axis, Joined)])


def _told_apart(axes: Iterable[Joined | New]) -> tuple[Joined | New, ...]:
    """Number the axes that are made of the same: two new axes of one size are still two axes."""
    seen: Counter[Joined] = Counter()
    told: list[Joined | New] = []
    for axis in axes:
        if isinstance(axis, Joined):
            seen[axis] += 1
            told.append(Joined(axis.of, seen[axis]))
        else:
            told.append(axis)
    return tuple(told)


def _without(params: Params, name: str) -> Params:
    return tuple(param for param in params if param[0] != name)
