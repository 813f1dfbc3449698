"""Arguments and results: `Block` is one as a picture has it, `LeafResult` one that was compared.

`Sharded` is an argument that lies on several devices.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Block:
    """An argument or a result: one leaf of it.

    Attributes:
        name: what it is called, such as `params['W']`; empty for a result that is one array.
        dtype: its dtype in short, such as `f32`, or what it is if it is no array.
        shape: its shape, the batch axes by their names: `("B", 5)`; None if it is no array.
        per_example_shape: the shape of what one example has of it: `(5,)`.
        mapped: whether each example has its own; if not, all share it. A result that is the same
            for all and that `out_axes` repeats is each one's own.

    Example:
        >>> import jax, jax.numpy as jnp, vmapguide
        >>> X = jax.ShapeDtypeStruct((3, 5), jnp.float32)
        >>> block, = vmapguide.diagram(lambda x: x.sum(), in_axes=1)(X).arguments
        >>> block.name, block.dtype, block.shape, block.per_example_shape, block.mapped
        ('x', 'f32', (3, 'B'), (3,), True)
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...] | None
    per_example_shape: tuple[int, ...] | None
    mapped: bool


@dataclass(frozen=True)
class Sharded:
    """An argument that is sharded: one leaf of it, of which each of several devices has a part.

    Attributes:
        name: what it is called, such as `params['W']`.
        type: its type in short, such as `f32[16,5]`.
        shard_type: the type of what one device has of it, such as `f32[2,5]`.
        devices: how many devices it lies on.

    Example:
        >>> import jax, jax.numpy as jnp, vmapguide
        >>> X = jnp.ones((16, 5))  # On one device: it is not sharded.
        >>> vmapguide.explain(lambda x: x.sum())(X).sharded
        ()
    """

    name: str
    type: str
    shard_type: str
    devices: int


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

    def to_dict(self) -> dict[str, object]:
        """Return the fields as plain data. JSON knows no complex numbers, NaNs and infinities."""
        data = dataclasses.asdict(self)
        for key in ("rtol", "atol", "expected", "actual", "difference"):
            value = data[key]
            is_plain = isinstance(value, (int, float)) and math.isfinite(value)
            data[key] = value if value is None or is_plain else str(value)
        return data
