"""Compare results: are two pytrees the same within the tolerances that are set here? If not, where?

Start with `compare_trees`, which returns a `LeafResult` for each leaf. `check`, `compare` and
`benchmark` all use it, so that "the same numbers" means one thing.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vmapguide._advice.wrong_calls import describe
from vmapguide._data import LeafResult
from vmapguide._jaxpr.same_values import as_numpy


Array = np.ndarray[Any, Any]

# Half of a dtype's digits: what Julia's `isapprox` allows, too.
_RTOL_POWER = 0.5

# Sums that cancel leave errors of a few units in the last place of what was summed. The largest
# value of the result stands for that.
_ATOL_UNITS = 10


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
        epsilon: how exactly the values were computed, if that is coarser than the epsilon of the
            dtype: `precision` knows it of matrix products.

    Returns:
        Where and by how much they differ.
    """
    ours, theirs = (as_numpy(_as_array(value)) for value in (expected, actual))
    exact = not jnp.issubdtype(ours.dtype, jnp.inexact)
    eps = 0.0 if exact else float(jnp.finfo(ours.dtype).eps)  # type: ignore[no-untyped-call]
    epsilon = eps and max(eps, epsilon)
    magnitudes = np.abs(_wide(ours))
    finite = magnitudes[np.isfinite(magnitudes)]
    rtol = epsilon**_RTOL_POWER if rtol is None else rtol
    atol = _ATOL_UNITS * epsilon * float(finite.max(initial=0)) if atol is None else atol
    result = LeafResult(
        path=path,
        expected_type=type_text(expected),
        actual_type=type_text(actual),
        rtol=rtol,
        atol=atol,
        same=False,
        identical=False,
        count=int(ours.size),
        size=int(ours.size),
        difference=None,
        index=None,
        expected=None,
        actual=None,
    )
    if result.actual_type != result.expected_type:
        return result
    difference = _difference(ours, theirs, exact=exact)
    allowed = 0.0 if exact else atol + rtol * np.where(np.isfinite(magnitudes), magnitudes, 0)
    beyond = difference > allowed
    identical = not difference.any()
    # The worst is the one furthest beyond the tolerance, or without any the largest difference.
    excess = np.where(beyond, difference - allowed, -1) if beyond.any() else difference
    worst = np.unravel_index(int(np.argmax(excess)), excess.shape) if not identical else None
    index = None if worst is None else tuple(int(i) for i in worst)
    return dataclasses.replace(
        result,
        same=not beyond.any(),
        identical=identical,
        count=int(beyond.sum()),
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


def type_text(value: Any) -> str:
    """Return the type of an array or a number as text: `float32[3]`."""
    return describe(_as_array(value))


def _as_array(value: Any) -> Any:
    """Return an array or a type as it is, and a number as the array that JAX makes of it."""
    return value if hasattr(value, "dtype") else jnp.asarray(value)
