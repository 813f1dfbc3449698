"""A cause of differences: operations that can be taken out of a program, one by one, on trial.

Start with `taken_out`. A suspect is to blame if both sides are equal without it. `SUSPECTS` are
functions with their own batching rule, random number generators that treat a batch otherwise than
single keys, and matrix products of few digits.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.extend.core as jec
import jax.numpy as jnp

from vmapguide._data import Source
from vmapguide._jaxpr.compat import AnyJaxpr
from vmapguide._jaxpr.walk import plain_call
from vmapguide._measure import precision
from vmapguide._measure.causes.evidence import Evidence, Found, Reason, ReasonCode, in_line
from vmapguide._measure.causes.stand_ins import StandIn, with_stand_ins


_UNSAFE_SPLIT = ("random_split", "key<urbg>")


@dataclass(frozen=True)
class Suspect:
    """An operation that may make the difference.

    Attributes:
        code: the reason that it is.
        text: what to say if it is to blame; `{at}` stands for the user's line.
        stand_in: returns a jaxpr to put in the place of an equation, None for other equations.
    """

    code: ReasonCode
    text: str
    stand_in: StandIn

    def reason(self, source: Source | None) -> Reason:
        """Return the reason, for an equation that comes from this line."""
        return Reason(self.code, self.text.format(at=in_line(source)), source)


def taken_out(evidence: Evidence) -> Found:
    """Find the fewest suspects without which both sides are equal."""
    if evidence.trace is None:
        return Found()
    f = evidence.sides.call.f
    # A difference as small as rounding goes away with anything.
    far = evidence.differing(f, evidence.unexplained)
    # A suspect is taken out of a jaxpr. If the difference goes away as soon as the loop runs a
    # jaxpr, too, that says nothing against what was taken out of it.
    if not far or evidence.differing(without([], f), far) != far:
        return Found()
    sources = {
        suspect: step.source
        for suspect in SUSPECTS
        for step in reversed(evidence.trace.steps)
        if suspect.stand_in(step.equation)
    }
    for count in range(1, len(sources) + 1):
        for blamed in itertools.combinations(sources, count):
            if not evidence.differing(without(blamed, f), far):
                return Found(tuple(suspect.reason(sources[suspect]) for suspect in blamed), far)
    return Found()


def without(suspects: Sequence[Suspect], f: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function with stand-ins for the suspects in it."""

    def stand_in(eqn: jec.JaxprEqn) -> AnyJaxpr | None:
        return next((body for s in suspects if (body := s.stand_in(eqn)) is not None), None)

    return with_stand_ins(f, stand_in)


def _same_draws(eqn: jec.JaxprEqn) -> AnyJaxpr | None:
    """Return a program that always draws the same, for a generator that knows no batches."""
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
        _same_draws,
    ),
    PRECISION,
)
