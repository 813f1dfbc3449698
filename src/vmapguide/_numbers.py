"""Comparing results: are two pytrees of numbers the same, and if not, where and by how much.

What `check`, `compare` and `benchmark` mean by "the same numbers" is decided here and nowhere else.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


Array = np.ndarray[Any, Any]

# Half of a dtype's digits: what Julia's `isapprox` allows, too.
_RTOL_POWER = 0.5

# Sums that cancel leave errors of a few units in the last place of what was summed. The largest
# value of the result stands for that.
_ATOL_UNITS = 10


@dataclass(frozen=True)
class LeafResult:
    """How one leaf of a result compares with the leaf that was expected.

    Two values are the same if both are NaN, if they are equal, or if they are finite and
    `abs(actual - expected) <= atol + rtol * abs(expected)`. Integers, booleans and keys must be
    equal. The difference of two values of which one is NaN or infinite is infinite.

    Attributes:
        path: where the leaf is in the result, as in `['loss']`; empty if the result is one array.
        expected_type: dtype and shape that were expected, as in `float32[3]`.
        actual_type: dtype and shape that there are. If they are others, no values are compared.
        rtol: the relative tolerance; the square root of epsilon by default.
        atol: the absolute tolerance; by default 10 times epsilon times the largest finite
            magnitude of what was expected. Epsilon is that of the dtype, or that of the matrix
            products which the result comes from, where the device computes these with fewer digits.
        same: whether types are equal and all values the same.
        identical: whether all values are equal, NaNs included: no difference at all.
        count: how many values are not the same.
        size: how many values there are.
        difference: the largest absolute difference; None if types differ.
        index: where the worst value is, the one that is furthest beyond the tolerance; None if
            there is none.
        expected: the value that was expected there.
        actual: the value that is there.

    Example:
        >>> import jax.numpy as jnp, vmapguide
        >>> X = jnp.array([[1.0, 3.0], [2.0, 2.0]])
        >>> comparison = vmapguide.compare(
        ...     wrong=lambda X: X / X.sum(),
        ...     right=lambda X: X / X.sum(axis=1, keepdims=True),
        ... )(X)
        >>> _, right = comparison.sides
        >>> leaf, = right.leaves
        >>> leaf.same, leaf.count, leaf.index, leaf.expected, leaf.actual
        (False, 4, (0, 1), 0.375, 0.75)
    """

    path: str
    expected_type: str
    actual_type: str
    rtol: float
    atol: float
    same: bool
    identical: bool
    count: int
    size: int
    difference: float | None
    index: tuple[int, ...] | None
    expected: Any
    actual: Any


def compare_leaves(
    path: str,
    expected: Any,
    actual: Any,
    rtol: float | None = None,
    atol: float | None = None,
    *,
    epsilon: float = 0,
) -> LeafResult:
    """Compare two arrays.

    Args:
        path: what the leaf is called in the result.
        expected: an array, a number, or keys.
        actual: the array to compare with it.
        rtol: relative tolerance, None for that of the dtype.
        atol: absolute tolerance, None for that of the dtype and the values.
        epsilon: that of what the values are computed by, if it is coarser than that of the dtype,
            as `_precision` knows it of matrix products.

    Returns:
        Where and by how much they differ.
    """
    ours, theirs = _values(expected), _values(actual)
    exact = not jnp.issubdtype(ours.dtype, jnp.inexact)
    eps = 0.0 if exact else float(jnp.finfo(ours.dtype).eps)  # type: ignore[no-untyped-call]
    epsilon = eps and max(eps, epsilon)
    magnitudes = np.abs(_wide(ours))
    finite = magnitudes[np.isfinite(magnitudes)]
    rtol = epsilon**_RTOL_POWER if rtol is None else rtol
    atol = _ATOL_UNITS * epsilon * float(finite.max(initial=0)) if atol is None else atol
    types = type_text(expected), type_text(actual)
    if types[0] != types[1]:
        size = int(ours.size)
        return LeafResult(
            path, *types, rtol, atol, False, False, size, size, None, None, None, None
        )
    difference = _difference(ours, theirs, exact=exact)
    allowed = 0.0 if exact else atol + rtol * np.where(np.isfinite(magnitudes), magnitudes, 0)
    beyond = difference > allowed
    identical = not difference.any()
    # The worst is the one furthest beyond the tolerance, or without any the largest difference.
    excess = np.where(beyond, difference - allowed, -1) if beyond.any() else difference
    worst = np.unravel_index(int(np.argmax(excess)), excess.shape) if not identical else None
    index = None if worst is None else tuple(int(i) for i in worst)
    return LeafResult(
        path,
        *types,
        rtol,
        atol,
        same=not beyond.any(),
        identical=identical,
        count=int(beyond.sum()),
        size=int(ours.size),
        difference=float(difference.max(initial=0)),
        index=index,
        expected=None if index is None else ours[index].item(),
        actual=None if index is None else theirs[index].item(),
    )


def _difference(ours: Array, theirs: Array, *, exact: bool) -> Array:
    """Return absolute differences: 0 for equal NaNs, infinite where only one is NaN or infinite."""
    equal = np.asarray(ours == theirs)
    if not exact:
        equal |= np.isnan(_wide(ours)) & np.isnan(_wide(theirs))
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.abs(_wide(theirs) - _wide(ours))
    # Large integers that differ may be the same float.
    apart = np.maximum(apart, 1) if exact else np.nan_to_num(apart, nan=np.inf, posinf=np.inf)
    return np.where(equal, 0.0, apart)


def _wide(values: Array) -> Array:
    """Return numbers as the widest floats there are on every machine."""
    complex_ = jnp.issubdtype(values.dtype, jnp.complexfloating)
    return values.astype(np.complex128 if complex_ else np.float64)


def compare_trees(
    expected: Any,
    actual: Any,
    rtol: float | None = None,
    atol: float | None = None,
    *,
    epsilon: float = 0,
) -> tuple[LeafResult, ...]:
    """Compare two pytrees of the same structure, leaf by leaf, as `compare_leaves` does."""
    pairs = zip(jax.tree_util.tree_leaves_with_path(expected), jax.tree.leaves(actual), strict=True)
    return tuple(
        compare_leaves(jax.tree_util.keystr(path), one, other, rtol, atol, epsilon=epsilon)
        for (path, one), other in pairs
    )


def to_dict(leaf: LeafResult) -> dict[str, object]:
    """Return a comparison as plain data. JSON knows no complex numbers, NaNs and infinities."""
    data = dataclasses.asdict(leaf)
    for key in ("rtol", "atol", "expected", "actual", "difference"):
        value = data[key]
        is_plain = isinstance(value, (int, float)) and math.isfinite(value)
        data[key] = value if value is None or is_plain else str(value)
    return data


def summary(leaves: tuple[LeafResult, ...], where: str = "") -> str:
    """Say how results compare in one sentence.

    Args:
        leaves: the compared leaves.
        where: what the first index of an element counts, if it is not a plain index.
    """
    wrong = [leaf for leaf in leaves if not leaf.same]
    if not wrong:
        if all(leaf.identical for leaf in leaves):
            return "every value is equal"
        return f"the largest difference is {max(leaf.difference or 0 for leaf in leaves):.2g}"
    return "; ".join(describe(leaf, where) for leaf in wrong)


def describe(leaf: LeafResult, where: str = "") -> str:
    """Say how one leaf differs: its type, or how many of its values and which the most."""
    name = f"{leaf.path}: " if leaf.path else ""
    if leaf.actual_type != leaf.expected_type or leaf.index is None:
        return f"{name}{leaf.actual_type} and not {leaf.expected_type}"
    example, rest = (leaf.index[:1], leaf.index[1:]) if where else ((), leaf.index)
    place = [f"{where} {index}" for index in example]
    place += [f"element {rest[0] if len(rest) == 1 else rest}"] * bool(rest)
    at = f" at {', '.join(place)}" if place else ""
    return (
        f"{name}{leaf.count:,} of {leaf.size:,} values differ, the most{at}: "
        f"{number(leaf.actual)} and not {number(leaf.expected)}"
    )


def number(value: Any) -> str:
    """Return a number as text: all digits of an integer, up to seven of another number."""
    return str(value) if isinstance(value, (bool, int)) else f"{value:.7g}"


def type_text(value: Any) -> str:
    """Return the type of an array or a number as text: `float32[3]`."""
    value = value if hasattr(value, "dtype") else jnp.asarray(value)
    return f"{value.dtype}[{','.join(map(str, value.shape))}]"


def _values(value: Any) -> Array:
    """Return the numbers of an array, or the words of keys."""
    if hasattr(value, "dtype") and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        value = jax.random.key_data(value)
    return np.asarray(value if hasattr(value, "dtype") else jnp.asarray(value))
