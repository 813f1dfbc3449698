"""A device that rounds matrix products to TF32, as NVIDIA's GPUs do, simulated on any other."""

import math
from collections.abc import Callable
from typing import Any

import jax
import pytest
from jax import lax

from vmapguide._measure import precision
from vmapguide._measure.causes.stand_ins import with_stand_ins
from vmapguide._trace.call import Vmap


EPSILON = 2.0**-10  # Of TF32, which has ten bits behind the point and the exponents of float32.


def simulate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what `jax.vmap` makes run with rounded products, and the loop with exact ones."""
    plain = Vmap.__call__

    def rounding(self: Vmap, f: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            leaves = jax.tree.leaves((args, kwargs))
            run = plain(self, f)
            if any(isinstance(leaf, jax.core.Tracer) for leaf in leaves):
                return run(*args, **kwargs)
            return with_stand_ins(run, _rounded)(*args, **kwargs)

        return call

    monkeypatch.setattr(Vmap, "__call__", rounding)
    monkeypatch.setattr(precision, "of_products", _epsilon)


def _epsilon(dtype: str, precision: Any) -> float:
    return EPSILON if dtype == "float32" and not _is_highest(precision) else 0.0


def _is_highest(precision: Any) -> bool:
    return precision is not None and {*precision} == {lax.Precision.HIGHEST}


def _rounded(eqn: Any) -> Any:
    """Return a product of rounded operands, to stand for that of two matrices in float32."""
    if eqn.primitive.name != "dot_general" or _is_highest(eqn.params["precision"]):
        return None
    left, right = (v.aval for v in eqn.invars)
    (contracted, batch) = eqn.params["dimension_numbers"]
    rows, columns = (
        math.prod(n for axis, n in enumerate(v.shape) if axis not in (*c, *b))
        for v, c, b in zip((left, right), contracted, batch, strict=True)
    )
    # A product of a matrix and a vector is computed by other means.
    if left.dtype != "float32" or min(rows, columns) == 1:
        return None

    def product(*operands: jax.Array) -> Any:
        rounded = (lax.reduce_precision(operand, 8, 10) for operand in operands)
        return eqn.primitive.bind(*rounded, **eqn.params)

    types = [jax.ShapeDtypeStruct(v.shape, v.dtype) for v in (left, right)]
    return jax.make_jaxpr(product)(*types)
