"""Which values of several jaxprs are the same, by construction.

Every value gets a number, and two values get the same number only if the same operation made them
from values of the same numbers (value numbering; Alpern, Wegman and Zadeck, 1988). There are two
numberings. The strict one tells whether equations are the same. The other looks through layout: a
value is seen as a base and the axes of the base in some order, some of them new, so that operations
which differ in nothing but the order and the place of their axes get bases of the same number.
Neither guesses: what has no rule here is the same only if it is the same to the letter.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import hashlib
import types
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Any

import jax
import jax.extend.core as jec
import jax.numpy as jnp
import numpy as np

from vmapguide._jaxpr import primitives
from vmapguide._jaxpr.compat import AnyJaxpr, consts_of, opened
from vmapguide._jaxpr.walk import nested, without_addresses


# What an axis of a value is: an axis of its base, by number, or a new one, by the size that
# broadcasting gave it. Axes of size 1 are always new: they hold nothing.
@dataclass(frozen=True, order=True)
class New:
    """An axis along which nothing changes."""

    size: int


Axis = int | New

# Parameters that say nothing about what is computed, only about the type or place of the result.
_NEUTRAL = frozenset({"weak_type", "sharding", "out_sharding"})

_AXES = frozenset({"axes", "axis", "dimension", "dimensions"})


@dataclass(frozen=True)
class View:
    """A value as a base and what each of its axes is."""

    base: int
    axes: tuple[Axis, ...]


@dataclass(frozen=True)
class Numbers:
    """What is known of one equation: the strict number of each output, and how each is seen.

    `made` is the strict number of the operation itself. `is_layout` says that the equation makes no
    new value, only another view of one.
    """

    made: int
    strict: tuple[int, ...]
    views: tuple[View, ...]
    is_layout: bool


class Numbering:
    """Numbers values; jaxprs that are to be compared share one."""

    def __init__(self) -> None:
        """Start with no numbers."""
        self._numbers: dict[Hashable, int] = {}
        self._digests: dict[int, Hashable] = {}
        self._objects: dict[int, Any] = {}
        self._open: set[int] = set()

    def number(self, *key: Hashable) -> int:
        """Return the number of a key, a new one if the key is new."""
        return self._numbers.setdefault(key, len(self._numbers))

    def read(self, jaxpr: AnyJaxpr) -> tuple[list[Numbers], Hashable]:
        """Number a jaxpr.

        Returns:
            What is known of each equation, in order, and the jaxpr's own key. Two jaxprs are the
            same, up to names, the order of independent equations and the spelling of parameters,
            if their keys are equal.
        """
        inner = opened(jaxpr)
        strict: dict[Any, int] = {}
        views: dict[Any, View] = {}
        consts = consts_of(jaxpr)
        # An open jaxpr does not say what its constants are: they are arguments then.
        arguments = inner.invars if consts else (*inner.constvars, *inner.invars)
        inputs: list[tuple[Any, tuple[str, Hashable]]]
        inputs = [(var, ("argument", i)) for i, var in enumerate(arguments)]
        constants = zip(inner.constvars, consts, strict=False)
        inputs += [(var, ("constant", self._digest(value))) for var, value in constants]
        for var, key in inputs:
            strict[var] = self.number(*key, str(var.aval))
            views[var] = _whole(strict[var], var.aval)
        rows: list[Numbers] = []
        turns, past = 0, 0
        for eqn in inner.eqns:
            # What has an effect is another operation each time, and its results may depend on all
            # effects before it.
            turns += bool(eqn.effects)
            turn = (past if eqn.outvars else turns) if eqn.effects else None
            row = self._equation(eqn, strict, views, turn)
            rows.append(row)
            past = self.number("past", past, row.made) if eqn.effects else past
            strict.update(zip(eqn.outvars, row.strict, strict=True))
            views.update(zip(eqn.outvars, row.views, strict=True))
        results = tuple(self._atom(atom, strict) for atom in inner.outvars)
        counts = _bag(row.made for row in rows)
        return rows, ("jaxpr", len(inner.invars), results, counts)

    def _equation(
        self, eqn: jec.JaxprEqn, strict: dict[Any, int], views: dict[Any, View], turn: int | None
    ) -> Numbers:
        params = self._params(eqn)
        inputs = tuple(self._atom(atom, strict) for atom in eqn.invars)
        made = self.number(eqn.primitive.name, params, inputs, turn)
        outputs = tuple(self.number("output", made, k) for k in range(len(eqn.outvars)))
        seen = tuple(self._view(atom, strict, views) for atom in eqn.invars)
        view = _layout_of(eqn, seen) if len(eqn.outvars) == 1 and not eqn.effects else None
        if view is not None:
            return Numbers(made, outputs, (view,), is_layout=True)
        bases = self._bases(eqn, params, seen, turn)
        return Numbers(made, outputs, bases, is_layout=False)

    def _bases(
        self, eqn: jec.JaxprEqn, params: Hashable, seen: tuple[View, ...], turn: int | None
    ) -> tuple[View, ...]:
        """Return how the results of an operation are seen."""
        rule = _rule(eqn)
        if rule is not None:
            key, labels = rule(eqn, seen, params)
            return (_labelled(self.number("view", key), labels),)
        made = self.number("view", eqn.primitive.name, params, seen, turn)
        return tuple(
            _whole(self.number("output", made, k), var.aval) for k, var in enumerate(eqn.outvars)
        )

    def _atom(self, atom: Any, strict: dict[Any, int]) -> int:
        if isinstance(atom, jec.Literal):
            dtype = getattr(atom.aval, "dtype", None)
            return self.number("literal", str(dtype), str(np.asarray(atom.val)))
        return strict[atom]

    def _view(self, atom: Any, strict: dict[Any, int], views: dict[Any, View]) -> View:
        if isinstance(atom, jec.Literal):
            return _whole(self._atom(atom, strict), atom.aval)
        return views[atom]

    def _digest(self, value: Any) -> Hashable:
        """Return what tells an array's values from others', computed once."""
        if id(value) not in self._digests:
            self._digests[self._identity(value)] = digest(value)
        return self._digests[id(value)]

    def _params(self, eqn: jec.JaxprEqn) -> Hashable:
        rank = len(getattr(eqn.invars[0].aval, "shape", ())) if eqn.invars else 0
        # With a jaxpr, functions are what it was traced from, or rules of other transformations.
        read = self._param if any(True for _ in nested(eqn)) else self._code
        return tuple(
            (name, read(_positive(value, rank) if name in _AXES else value))
            for name, value in sorted(eqn.params.items())
            if name not in _NEUTRAL
        )

    def _code(self, value: Any) -> Hashable:  # noqa: PLR0911 - the same.
        """Return a parameter, functions in it by what they do: a callback is what it calls.

        Every trace may make them anew. They are the same if they have the same code and captured
        the same; an object of which no more is known is the same as itself.
        """
        match value:
            case types.FunctionType():
                return self._function(value)
            case types.CodeType():
                return value.co_code, value.co_names, self._code(value.co_consts)
            case types.MethodType():
                return self._code(value.__func__), self._code(value.__self__)
            case functools.partial():
                return self._code((value.func, value.args, value.keywords))
            case tuple() | list():
                return tuple(map(self._code, value))
            case dict():
                return tuple((str(k), self._code(v)) for k, v in value.items())
            case jax.Array():
                return self._digest(value)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = [getattr(value, field.name) for field in dataclasses.fields(value)]
            return type(value).__name__, self._code(fields)
        known = self._param(value)
        if not isinstance(known, str) or not (" at 0x" in str(value) or _may_hold_more(value)):
            return known
        return known, self._identity(value)

    def _function(self, f: types.FunctionType) -> Hashable:
        if id(f) in self._open:
            return "itself"
        self._open.add(id(f))
        key = (
            self._identity(f.__globals__),
            self._code(f.__code__),
            self._code((f.__defaults__, f.__kwdefaults__)),
            tuple(map(self._captured, f.__closure__ or ())),
        )
        self._open.remove(id(f))
        return key

    def _captured(self, cell: types.CellType) -> Hashable:
        try:
            return self._code(cell.cell_contents)
        except ValueError:
            return None  # The variable is not assigned yet.

    def _identity(self, value: Any) -> int:
        """Return what tells an object from others. It is kept, so that its `id` stays its own."""
        self._objects[id(value)] = value
        return id(value)

    def _param(self, value: Any) -> Hashable:  # noqa: PLR0911 - one case for each kind of value.
        """Return a parameter in one spelling: NumPy's numbers as Python's, functions as text."""
        match value:
            case jec.Jaxpr() | jec.ClosedJaxpr():
                return self.number(self.read(value)[1])
            case np.generic():
                return self._param(value.item())
            case tuple() | list():
                return tuple(map(self._param, value))
            case dict():
                return tuple((k, self._param(v)) for k, v in sorted(value.items()))
            case float():
                return "float", repr(value)  # 0.0 is not -0.0.
            case enum.Enum() | bool() | int() | str() | None:
                return type(value).__name__, value
            case np.ndarray():
                return self._digest(value)
        return without_addresses(value)


def _may_hold_more(value: Any) -> bool:
    """Say whether an object is a user's, whose text need not say all that is in it."""
    library = type(value).__module__.partition(".")[0]
    return hasattr(value, "__dict__") and library not in {"builtins", "jax", "jaxlib", "numpy"}


def digest(value: Any) -> Hashable:
    """Return what tells an array from others: its type, and a hash of its values."""
    if hasattr(value, "dtype") and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        kind, words = str(value.dtype), np.asarray(jax.random.key_data(value))
    else:
        words = np.asarray(value)
        kind = str(words.dtype)
    return kind, words.shape, hashlib.sha256(np.ascontiguousarray(words).tobytes()).hexdigest()


def _positive(value: Any, rank: int) -> Any:
    """Return axes counted from the front."""
    if isinstance(value, (tuple, list)):
        return tuple(_positive(axis, rank) for axis in value)
    return int(value) % rank if isinstance(value, (int, np.integer)) and rank else value


def _whole(base: int, aval: Any) -> View:
    """Return the view of all of a base."""
    shape = tuple(getattr(aval, "shape", ()))
    kept = iter(range(len(shape)))
    return View(base, tuple(New(1) if size == 1 else next(kept) for size in shape))


def _sizes(atom: Any) -> tuple[int, ...]:
    return tuple(getattr(atom.aval, "shape", ()))


# -- Operations that only move axes ------------------------------------------


def _layout_of(eqn: jec.JaxprEqn, seen: tuple[View, ...]) -> View | None:  # noqa: PLR0911
    """Return how the result of an operation is seen if it makes no new value, else None."""
    if not seen:
        return None
    (view, *rest) = seen
    out = _sizes(eqn.outvars[0])
    match eqn.primitive.name:
        case "transpose":
            return View(view.base, tuple(view.axes[int(i)] for i in eqn.params["permutation"]))
        case "broadcast_in_dim" if not rest:
            source = {int(d): i for i, d in enumerate(eqn.params["broadcast_dimensions"])}
            axes = tuple(
                New(size)
                if d not in source or view.axes[source[d]] == New(1)
                else view.axes[source[d]]
                for d, size in enumerate(out)
            )
            return View(view.base, axes)
        case "reshape" | "squeeze" if not rest:
            sizes = _sizes(eqn.invars[0])
            # A reshape may read its axes in another order.
            order = eqn.primitive.name == "reshape" and eqn.params["dimensions"]
            held = [d for d in order or range(len(sizes)) if sizes[d] != 1]
            if [sizes[d] for d in held] != [size for size in out if size != 1]:
                return None
            left = iter([view.axes[d] for d in held])
            return View(view.base, tuple(New(1) if size == 1 else next(left) for size in out))
        case "copy" | "copy_p":
            return view
        case "convert_element_type" if _dtype(eqn.invars[0]) == _dtype(eqn.outvars[0]):
            return view
    return None


def _dtype(atom: Any) -> Any:
    return getattr(atom.aval, "dtype", None)


# -- Operations that do not care in which order axes are -----------------------

# A label says what an axis of a result is, in terms of the axes of the operands.
Label = Hashable
Rule = Callable[[jec.JaxprEqn, tuple[View, ...], Hashable], tuple[Hashable, list[Any]]]


def _labelled(base: int, labels: list[Any]) -> View:
    """Return the view of a result by the labels of its axes; the base's are in sorted order."""
    order = {
        label: i for i, label in enumerate(sorted((x for x in labels if not _is_new(x)), key=repr))
    }
    return View(base, tuple(label if _is_new(label) else order[label] for label in labels))


def _is_new(label: Any) -> bool:
    return isinstance(label, New)


def _rule(eqn: jec.JaxprEqn) -> Rule | None:
    traits = primitives.traits(eqn.primitive.name)
    if traits.elementwise:
        return _elementwise
    if traits.reduction:
        return _reduction
    return _dot_general if eqn.primitive.name == "dot_general" else None


def _elementwise(
    eqn: jec.JaxprEqn, seen: tuple[View, ...], params: Hashable
) -> tuple[Hashable, list[Any]]:
    """An axis of the result is what it is in each operand."""
    out = _sizes(eqn.outvars[0])
    # A number, or an axis of size 1, is spread over the others.
    spread = [
        View(
            view.base,
            tuple(
                New(size) if not view.axes or _is_new(view.axes[d]) else view.axes[d]
                for d, size in enumerate(out)
            ),
        )
        for view in seen
    ]
    if primitives.traits(eqn.primitive.name).commutative:
        spread.sort(key=repr)
    labels: list[Any] = []
    for d, size in enumerate(out):
        entry = tuple(view.axes[d] for view in spread)
        labels.append(New(size) if all(map(_is_new, entry)) else entry)
    bases = tuple(view.base for view in spread)
    held = frozenset(label for label in labels if not _is_new(label))
    return (eqn.primitive.name, params, bases, held), labels


def _reduction(
    eqn: jec.JaxprEqn, seen: tuple[View, ...], params: Hashable
) -> tuple[Hashable, list[Any]]:
    """The axes that are left keep what they are."""
    (view,) = seen
    reduced = {int(axis) % len(view.axes) for axis in eqn.params["axes"]}
    gone = [view.axes[d] for d in sorted(reduced)]
    labels = [axis for d, axis in enumerate(view.axes) if d not in reduced]
    rest = tuple(p for p in _pairs(params) if p[0] != "axes")
    key = (eqn.primitive.name, rest, view.base, _bag(axis for axis in gone if axis != New(1)))
    return key, labels


def _dot_general(
    eqn: jec.JaxprEqn, seen: tuple[View, ...], params: Hashable
) -> tuple[Hashable, list[Any]]:
    """An axis of the result is one of the left, one of the right, or one of both."""
    (contract, batch) = eqn.params["dimension_numbers"]
    sides = [(view, tuple(contract[i]), tuple(batch[i])) for i, view in enumerate(seen)]
    first, second = 0, 1
    if _is_symmetric(eqn.params["precision"]):
        first, second = sorted((0, 1), key=lambda i: repr(sides[i][0]))
    (one, one_contract, one_batch), (two, two_contract, two_batch) = sides[first], sides[second]
    pairs = zip(one_contract, two_contract, strict=True)
    summed = _bag((one.axes[a], two.axes[b]) for a, b in pairs)
    paired = [("both", one.axes[a], two.axes[b]) for a, b in zip(one_batch, two_batch, strict=True)]
    free = {
        first: [("one", x) for d, x in enumerate(one.axes) if d not in (*one_contract, *one_batch)],
        second: [
            ("two", x) for d, x in enumerate(two.axes) if d not in (*two_contract, *two_batch)
        ],
    }
    # The result has its axes in this order, whichever operand stands first here.
    labels: list[Any] = [*paired, *free[0], *free[1]]
    labels = [
        New(1) if n == 1 else label for label, n in zip(labels, _sizes(eqn.outvars[0]), strict=True)
    ]
    rest = tuple(p for p in _pairs(params) if p[0] != "dimension_numbers")
    held = _bag(label for label in labels if not _is_new(label))
    key = ("dot_general", rest, one.base, two.base, summed, held)
    return key, _told_apart(labels)


def _is_symmetric(precision: Any) -> bool:
    """Say whether both operands of a product are treated alike."""
    if isinstance(precision, tuple):
        return bool(precision[0] == precision[1])
    one, other = (getattr(precision, f"{s}_precision_type", None) for s in ("lhs", "rhs"))
    return bool(one == other)


def _told_apart(labels: list[Any]) -> list[Any]:
    """Number labels that are alike: two new axes of one size are still two axes."""
    seen: Counter[Any] = Counter()
    told = []
    for label in labels:
        seen[label] += 1
        told.append(label if _is_new(label) else (*label, seen[label]))
    return told


def _pairs(params: Any) -> Iterable[tuple[str, Hashable]]:
    return params  # type: ignore[no-any-return]


def _bag(items: Iterable[Any]) -> Hashable:
    """Return what is in a collection, whatever its order."""
    return frozenset(Counter(items).items())
