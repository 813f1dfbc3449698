"""The user's function with other equations in the place of some of its own.

Start with `with_stand_ins`. `check` uses it to run a function without a suspect, to count its
prints, and to leave out batching rules of the user's. `stand_in_for` makes what an equation is
replaced by.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import jax
import jax.extend.core as jec
import jax.numpy as jnp
import numpy as np

from vmapguide._jaxpr.compat import AnyJaxpr
from vmapguide._jaxpr.walk import inlined
from vmapguide._trace.call import Edited


# Returns for an equation the jaxpr that is to stand for it, or None to leave it as it is.
StandIn = Callable[[jec.JaxprEqn], AnyJaxpr | None]


def with_stand_ins(f: Callable[..., Any], stand_in: StandIn) -> Callable[..., Any]:
    """Return a function that computes what another one does, with some equations replaced.

    Unlike `Edited`, it works in the loop, too, and where the function needs to know a value.
    """

    def edit(jaxpr: jec.ClosedJaxpr) -> AnyJaxpr:
        return inlined(jaxpr, stand_in)

    def call(*args: Any, **kwargs: Any) -> Any:
        with contextlib.suppress(Exception):
            return Edited(f, edit, kind=jax.Array)(*args, **kwargs)
        # NumPy computes with a value even while JAX traces, and JAX would record it.
        args, kwargs = jax.tree.map(_with_value, (args, kwargs))
        return Edited(f, edit)(*args, **kwargs)

    return call


def stand_in_for(eqn: jec.JaxprEqn, f: Callable[..., Any]) -> jec.ClosedJaxpr:
    """Return the jaxpr of a function of an equation's operands."""
    avals: list[Any] = [operand.aval for operand in eqn.invars]
    types = [jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in avals]
    return jax.make_jaxpr(f)(*types)


def _with_value(leaf: Any) -> Any:
    """Return a leaf as NumPy's if NumPy can hold it."""
    is_concrete = isinstance(leaf, jax.Array) and not isinstance(leaf, jax.core.Tracer)
    if is_concrete and not jnp.issubdtype(leaf.dtype, jax.dtypes.extended):
        return np.asarray(leaf)
    return leaf
