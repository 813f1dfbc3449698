"""Find arguments and results that are transposed since their batch axes are elsewhere.

`moved_arguments` and `moved_results` look at the outermost equations of the batched program alone:
arguments and results are there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import jax.extend.core as jec

from vmapguide._jaxpr import primitives
from vmapguide._jaxpr.compat import opened
from vmapguide._measure.run_counts import count
from vmapguide._rules.subject import Subject, in_bytes, inner_jaxpr, size
from vmapguide._trace.steps import Step


_PRODUCTS = primitives.with_role("product")

# About how many additions take the time of a function such as `exp`, and how many multiplications
# and additions of a product that of one addition. Loops that do more than `limits.factor` for each
# number that is transposed were measured (on a CPU, JAX 0.10.2) to take as long without transposes,
# up to a tenth: a GRU, or a walk that draws its steps. Those that do less took 1.1 to 3.5 times as
# long with them.
_FUNCTION, _PRODUCT = 8, 32


# What gives a result the order of its axes, up to a chain of operations on elements: `fixed`, an
# argument, or a loop that stacks it; `product`, which XLA can make with its axes in any order; or
# something else.
Order = Literal["", "fixed", "product"]


class Moved(NamedTuple):
    """An argument or a result that is transposed.

    Attributes:
        number: which argument or result it is, counted from 0.
        step: the step that needs it so, or leaves it so.
        before: where the batch axis was.
        after: where it is then.
        bytes: how large it is.
        size: how many numbers it has.
        order: what a result has the order of its axes from, see `Order`.
    """

    number: int
    step: Step
    before: int
    after: int
    bytes: int
    size: int
    order: Order = ""


def moved_arguments(subject: Subject) -> Iterator[Moved]:
    """Yield the arguments of which nothing is read but what one transpose makes of them.

    A product takes its operands as they are, and so does XLA what is transposed for one.
    """
    jaxpr = opened(subject.batched)
    large = {
        var: number
        for number, var in enumerate(jaxpr.invars)
        if in_bytes(var) >= subject.limits.bytes and subject.is_mapped(var)
    }
    if not large or len(subject.arguments) != len(jaxpr.invars):
        return
    readers: dict[Any, list[jec.JaxprEqn]] = {}
    for eqn in jaxpr.eqns:
        for atom in eqn.invars:
            if not isinstance(atom, jec.Literal):
                readers.setdefault(atom, []).append(eqn)
    returned = {atom for atom in jaxpr.outvars if not isinstance(atom, jec.Literal)}
    for var, number in large.items():
        eqns = readers.get(var, [])
        step = subject.step_behind.get(id(eqns[0])) if eqns else None
        if var in returned or step is None or step.kind == "unknown":
            continue
        moves = {_move(subject, eqn) for eqn in eqns}
        then = [reader for eqn in eqns for reader in readers.get(eqn.outvars[0], [])]
        if len(moves) == 1 and (move := moves.pop()) and not any(map(_is_product, then)):
            yield Moved(number, step, *move, in_bytes(var), size(var))


def moved_results(subject: Subject) -> Iterator[Moved]:
    """Yield the results that `vmap` transposes for `out_axes`."""
    jaxpr = opened(subject.batched)
    numbers = {
        atom: number
        for number, atom in enumerate(jaxpr.outvars)
        if not isinstance(atom, jec.Literal)
    }
    orders = _Orders(subject)
    for eqn in subject.boundary:
        result = eqn.outvars[0]
        if in_bytes(result) < subject.limits.bytes or result not in numbers:
            continue
        if move := _move(subject, eqn):
            (atom,) = eqn.invars
            maker = None if isinstance(atom, jec.Literal) else subject.makers.get(atom)
            step = subject.step_behind.get(id(maker))
            # An argument that is returned as it is comes from no step: that is what was asked for.
            if step is not None:
                held = in_bytes(result), size(result)
                yield Moved(numbers[result], step, *move, *held, orders.of(atom))


def there_and_back(subject: Subject) -> list[tuple[Moved, Moved]]:
    """Return the arguments whose batch axes are moved to the front, with results moved back."""
    arguments = [moved for moved in moved_arguments(subject) if moved.after == 0]
    if not arguments:
        return []
    results = [
        moved for moved in moved_results(subject) if moved.before == 0 and moved.order != "product"
    ]
    return [*zip(arguments, results, strict=False)]


def is_dear_beside(subject: Subject, step: Step, numbers: int) -> bool:
    """Say whether a loop computes so much that it is no matter how its data are ordered.

    Args:
        subject: the call.
        step: the step that needs numbers in another order, or leaves them so.
        numbers: how many there are.
    """
    if step.equation.primitive.name != "scan":
        return False
    work = 0.0
    for entry in count(inner_jaxpr(step.equation, "jaxpr")).entries:
        if entry.amount is not None:
            is_product = entry.eqn.primitive.name in _PRODUCTS
            work += entry.amount.flops / (_PRODUCT if is_product else 1)
            work += entry.amount.transcendentals * _FUNCTION
    trips = int(step.equation.params["length"]) * subject.size
    return work * trips >= subject.limits.factor * numbers


def _move(subject: Subject, eqn: jec.JaxprEqn) -> tuple[int, int] | None:
    """Return from where to where an equation moves the batch axis, if that is all it does."""
    if eqn.primitive.name != "transpose":
        return None
    before = _position(subject, eqn.invars[0])
    permutation = [int(axis) for axis in eqn.params["permutation"]]
    if before is None:
        return None
    others = [axis for axis in permutation if axis != before]
    after = permutation.index(before)
    return (before, after) if others == sorted(others) and before != after else None


def _position(subject: Subject, atom: Any) -> int | None:
    """Return where the batch axis of a value is, None if it has none or another one is in it."""
    shape = subject.shapes.get(atom, ()) if not isinstance(atom, jec.Literal) else ()
    return shape.index(subject.letter) if subject.letter in shape else None


def _is_product(eqn: jec.JaxprEqn) -> bool:
    return eqn.primitive.name in _PRODUCTS


class _Orders:
    """What gives results the order of their axes."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.arguments = {*opened(subject.batched).invars}
        self.known: dict[Any, Order] = {}

    def of(self, atom: Any) -> Order:
        """Return what gives a value its order."""
        chain = []
        while atom not in self.known:
            chain.append(atom)
            eqn = self.subject.makers.get(atom)
            traits = primitives.traits(eqn.primitive.name if eqn else "")
            mapped = [*filter(self.subject.is_mapped, eqn.invars if eqn else ())]
            if traits.elementwise and mapped:
                atom = mapped[0]
                continue
            self.known[atom] = self.end(atom, traits.role)
        self.known.update(dict.fromkeys(chain, self.known[atom]))
        return self.known[atom]

    def end(self, atom: Any, role: str) -> Order:
        """Return what gives its order to a value that no operation on elements made."""
        if role == "product":
            return "product"
        return "fixed" if atom in self.arguments or role == "loop" else ""
