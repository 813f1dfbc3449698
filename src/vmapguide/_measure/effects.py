"""What a function calls while it runs, prints above all: how often on either side of a check."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.extend.core as jec
import jax.numpy as jnp

from vmapguide._data import Source
from vmapguide._jaxpr import source_lines
from vmapguide._jaxpr.compat import AnyJaxpr
from vmapguide._jaxpr.walk import inlined, walk
from vmapguide._measure.both_sides import Sides, edited


# `vmap` runs these once for each example. Other effects it refuses where they could run more often.
_PRINTS = {"debug_print": "jax.debug.print", "debug_callback": "jax.debug.callback"}
_PURE = {"pure_callback": "jax.pure_callback"}


class Effect(NamedTuple):
    """A call that is made from a line, and how often.

    Attributes:
        name: what is called.
        source: the line.
        vmap: how often `jax.vmap` makes it, for the whole batch.
        loop: how often the loop makes it, for the examples that it runs.
    """

    name: str
    source: Source | None
    vmap: int
    loop: int


def different(sides: Sides, jaxpr: AnyJaxpr, examples: tuple[int, ...]) -> Iterator[Effect]:
    """Yield the calls that `jax.vmap` makes for more or for fewer examples than the loop.

    Both sides run once more, and what would print is counted.

    Args:
        sides: the two sides.
        jaxpr: the program of one example.
        examples: those that the loop runs.
    """
    every = [eqn for inner in walk(jaxpr) for eqn in inner.eqns]
    called = dict.fromkeys(_call(eqn) for eqn in every if eqn.primitive.name in _PRINTS | _PURE)
    if not called:
        return
    vmap, loop = Counter[Any](), Counter[Any]()
    sides.batched(_counting(sides.call.f, vmap))
    jax.effects_barrier()
    for _ in sides.loop(_counting(sides.call.f, loop), examples):
        jax.effects_barrier()
    for name, source in called:
        many, few = vmap[name, source], loop[name, source]
        if name in _PURE.values():
            # How many examples one call is for, the function that is called knows.
            is_other = many > 0 and few == 0
        else:
            is_other = many * len(examples) != few * sides.arguments.batch_size
        if is_other:
            yield Effect(name, source, many, few)


def _call(eqn: jec.JaxprEqn) -> tuple[str, Source | None]:
    """Return what an equation calls, and from which line: the same in every trace."""
    return (_PRINTS | _PURE)[eqn.primitive.name], source_lines.of_equation(eqn)


def _counting(f: Callable[..., Any], counts: Counter[Any]) -> Callable[..., Any]:
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

        avals: list[Any] = [operand.aval for operand in eqn.invars]
        types = [jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in avals]
        return jax.make_jaxpr(call)(*types)

    return edited(f, lambda jaxpr: inlined(jaxpr, stand_in))


def _empty(operand: Any) -> jax.Array:
    """Return nothing of an array, so that nothing of it is moved."""
    if jnp.issubdtype(operand.dtype, jax.dtypes.prng_key):
        operand = jax.random.key_data(operand)
    return jnp.ravel(operand)[:0]
