"""How exactly the device computes matrix products. Start with `of_program`.

GPUs and TPUs round the operands of a product, NVIDIA's to TF32, TPUs to bfloat16, unless they are
told not to. A matrix-vector product of theirs may be exact all the same, and so `jax.vmap`, which
makes matrix products of these, may differ from the loop by far more than by rounding.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import jax
import jax.extend.core as jec
import jax.numpy as jnp
import numpy as np
from jax import lax

from vmapguide._jaxpr import primitives
from vmapguide._jaxpr.compat import AnyJaxpr
from vmapguide._jaxpr.walk import walk
from vmapguide._measure.causes.stand_ins import stand_in_for


# The operations whose digits their parameter `precision` decides.
_PRODUCTS = primitives.with_role("product")

# Dtypes of fewer bits are what a device computes with.
_WIDE = 32

# Large enough for a device to use its units for matrices.
_SIZE = 256


def of_program(jaxpr: AnyJaxpr) -> float:
    """Return the epsilon of the least exact matrix product of a program.

    Returns:
        Twice the largest relative error that an operand of it gets; 0 if no product has fewer
        digits than its dtype.
    """
    every = (of_equation(eqn) for inner in walk(jaxpr) for eqn in inner.eqns)
    return max(every, default=0.0)


def of_equation(eqn: jec.JaxprEqn) -> float:
    """Return the epsilon of an equation that is a matrix product of fewer digits than its dtype."""
    if eqn.primitive.name not in _PRODUCTS:
        return 0.0
    operand: Any = eqn.invars[0].aval
    if not jnp.issubdtype(operand.dtype, jnp.inexact):
        return 0.0
    if jnp.finfo(operand.dtype).bits < _WIDE:  # type: ignore[no-untyped-call]
        return 0.0
    return of_products(str(operand.dtype), eqn.params.get("precision"))


@functools.cache
def of_products(dtype: str, precision: Any) -> float:
    """Return the epsilon to which the device rounds the operands of a product, 0 if it does not.

    The device is not asked what it would do: it does it. The product of a matrix and the identity
    is the matrix as the device has rounded it.
    """
    draws = np.random.default_rng(0).uniform(1, 2, (_SIZE, _SIZE))
    matrix = jnp.asarray(draws, dtype)
    product = jax.jit(functools.partial(lax.dot, precision=precision))
    rounded = product(matrix, jnp.eye(_SIZE, dtype=dtype))
    error = float(jnp.abs(rounded - matrix).max())
    # The largest of so many errors is half of a power of two, all but a little.
    return 2.0 ** math.ceil(math.log2(2 * error)) if error else 0.0


def exactly(eqn: jec.JaxprEqn) -> AnyJaxpr | None:
    """Return a matrix product with all of its digits, to stand for one that has fewer."""
    if not of_equation(eqn):
        return None
    params = eqn.params | {"precision": (lax.Precision.HIGHEST, lax.Precision.HIGHEST)}
    return stand_in_for(eqn, lambda *operands: eqn.primitive.bind(*operands, **params))
