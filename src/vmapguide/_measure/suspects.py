"""What may make `jax.vmap` differ from the loop, and can be taken out of a program on trial."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.extend.core as jec
import jax.numpy as jnp

from vmapguide._jaxpr.compat import AnyJaxpr
from vmapguide._jaxpr.walk import inlined, plain_call
from vmapguide._measure import precision
from vmapguide._measure.both_sides import edited


_UNSAFE_SPLIT = ("random_split", "key<urbg>")


@dataclass(frozen=True)
class Suspect:
    """A cause that can be taken out: `stand_in` returns what to put in an equation's place."""

    code: str
    text: str
    stand_in: Callable[[jec.JaxprEqn], AnyJaxpr | None]


def _without_draws(eqn: jec.JaxprEqn) -> AnyJaxpr | None:
    """Return a program that draws the same always, for a generator that knows no batches."""
    key: Any = eqn.invars[0].aval if eqn.invars else None
    name, kind = eqn.primitive.name, str(getattr(key, "dtype", ""))
    # Of new keys, only the unsafe kind draws them like numbers.
    if (name, "rbg" in kind) != ("random_bits", True) and (name, kind) != _UNSAFE_SPLIT:
        return None
    drawn: Any = eqn.outvars[0].aval

    def same(key: jax.Array) -> jax.Array:
        if name == "random_split":
            return jnp.broadcast_to(key, drawn.shape)
        third = jnp.iinfo(drawn.dtype).max // 3  # type: ignore[no-untyped-call]
        return jnp.full(drawn.shape, third, drawn.dtype)

    return jax.make_jaxpr(same)(jax.ShapeDtypeStruct(key.shape, key.dtype))


PRECISION = Suspect(
    "precision of products",
    "It is the precision of matrix products: this device computes them{at} with fewer digits than "
    "float32 has, and the loop's matrix-vector products with all of them. With all digits on both "
    'sides vmap equals the loop. Call both under jax.default_matmul_precision("highest"), or give '
    'the product precision="highest"; or allow for it with rtol= or atol=.',
    precision.exactly,
)

SUSPECTS = (
    Suspect(
        "custom_vmap rule",
        "The batching rule of a jax.custom_batching.custom_vmap function{at} gives something else "
        "than the function does: with the function in its place vmap equals the loop. Mend the "
        "rule.",
        plain_call,
    ),
    Suspect(
        "rbg key",
        "The key is of the rbg kind{at}, which draws the random numbers of a batch together and "
        "not as it would for each key alone: with the same bits on both sides vmap equals the "
        "loop. JAX says so of rbg keys; threefry keys, the default, do not do this.",
        _without_draws,
    ),
    PRECISION,
)


def without(suspects: Sequence[Suspect], f: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function with stand-ins for what is suspected."""

    def stand_in(eqn: jec.JaxprEqn) -> AnyJaxpr | None:
        return next((body for s in suspects if (body := s.stand_in(eqn)) is not None), None)

    return edited(f, lambda jaxpr: inlined(jaxpr, stand_in))
