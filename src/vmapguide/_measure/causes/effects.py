"""Calls of Python that a function makes while it runs, prints above all, counted on both sides.

Start with `uneven_effects`. It returns a reason for each print or callback that `jax.vmap` runs for
more or for fewer examples than the loop does. That is no difference of results.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.extend.core as jec
import jax.numpy as jnp

from vmapguide._data import Source
from vmapguide._jaxpr import source_lines
from vmapguide._jaxpr.compat import AnyJaxpr
from vmapguide._jaxpr.walk import walk
from vmapguide._measure.causes.evidence import Evidence, Found, Reason, in_line
from vmapguide._measure.causes.stand_ins import stand_in_for, with_stand_ins


# `vmap` runs these once for each example. Other effects it refuses where they could run more often.
_PRINTS = {"debug_print": "jax.debug.print", "debug_callback": "jax.debug.callback"}
_PURE = {"pure_callback": "jax.pure_callback"}


class _Call(NamedTuple):
    """A call of Python: the function of JAX's that makes it, and the user's line."""

    name: str
    source: Source | None


def uneven_effects(evidence: Evidence) -> Found:
    """Find the calls that `jax.vmap` makes for more or for fewer examples than the loop.

    Both sides run once more, and what would print is counted.
    """
    if evidence.trace is None:
        return Found()
    every = [eqn for jaxpr in walk(evidence.trace.per_example) for eqn in jaxpr.eqns]
    calls = dict.fromkeys(_call(eqn) for eqn in every if eqn.primitive.name in _PRINTS | _PURE)
    if not calls:
        return Found()
    sides, examples = evidence.sides, evidence.examples
    vmap, loop = Counter[_Call](), Counter[_Call]()
    sides.batched(_counting(sides.call.f, vmap))
    jax.effects_barrier()
    for _ in sides.loop(_counting(sides.call.f, loop), examples):
        jax.effects_barrier()
    size, ran = sides.arguments.batch_size, len(examples)
    reasons = (_reason(call, vmap[call], loop[call], size, ran) for call in calls)
    return Found(tuple(reason for reason in reasons if reason))


def _reason(call: _Call, vmap: int, loop: int, size: int, ran: int) -> Reason | None:
    """Say how often a call is made, and why; None if it is as often in `vmap` as in the loop.

    Args:
        call: the call.
        vmap: how often `vmap` makes it, for the whole batch.
        loop: how often the loop makes it, for the examples that it runs.
        size: the size of the batch.
        ran: how many examples the loop runs.
    """
    is_even = vmap * ran == loop * size
    if call.name in _PURE.values():
        # Only the function that is called knows for how many examples one call is.
        is_even = vmap == 0 or loop > 0
    if is_even:
        return None
    counts = (
        f"{call.name}{in_line(call.source)} runs {_times(vmap)} in vmap"
        + (f", for {size:,} examples," if ran < size else "")
        + f" and {_times(loop)} in the loop, for {ran:,} example{'' if ran == 1 else 's'}."
    )
    if vmap * ran < loop * size:
        why = "vmap runs it once for all examples if what it is given is the same for all of them."
    else:
        why = (
            "A cond whose predicate is mapped runs all of its branches for every example in vmap, "
            "and a while goes round for every example until the last one is done. Pass the "
            "predicate to what is called, and let that decide: "
            "jax.debug.callback(lambda p, x: p and print(x), p, x)."
        )
    return Reason("effect", f"{counts} {why}", call.source)


def _times(number: int) -> str:
    return {0: "never", 1: "once"}.get(number, f"{number:,} times")


def _call(eqn: jec.JaxprEqn) -> _Call:
    """Return what an equation calls, and from which line: the same in every trace."""
    return _Call((_PRINTS | _PURE)[eqn.primitive.name], source_lines.of_equation(eqn))


def _counting(f: Callable[..., Any], counts: Counter[_Call]) -> Callable[..., Any]:
    """Return a function that counts what it calls, and prints nothing."""

    def stand_in(eqn: jec.JaxprEqn) -> AnyJaxpr | None:
        name = eqn.primitive.name
        if name not in _PRINTS | _PURE:
            return None

        def note(*_: Any) -> None:
            counts[_call(eqn)] += 1

        def call(*operands: Any) -> Any:
            if name in _PRINTS:
                # It is called for each example if what it gets is mapped, as the print is.
                jax.debug.callback(note, *map(_empty, operands))
                return ()
            return eqn.primitive.bind(*operands, **eqn.params | {"callback": noted})

        @functools.wraps(eqn.params.get("callback", note))
        def noted(*operands: Any) -> Any:
            note()
            return eqn.params["callback"](*operands)

        return stand_in_for(eqn, call)

    return with_stand_ins(f, stand_in)


def _empty(operand: Any) -> jax.Array:
    """Return an array without elements in place of an array, so that no values are moved."""
    if jnp.issubdtype(operand.dtype, jax.dtypes.prng_key):
        operand = jax.random.key_data(operand)
    return jnp.ravel(operand)[:0]
