"""Follow values of the batched program into what is nested in an equation, and out of it.

`is_apart` says where XLA, which fuses operations, needs them in memory.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.extend.core as jec

from vmapguide._jaxpr import primitives
from vmapguide._jaxpr.compat import scan_counts
from vmapguide._jaxpr.walk import nested
from vmapguide._rules.subject import inner_jaxpr


_LOOPS = primitives.with_role("loop")


def entering(
    eqn: jec.JaxprEqn, *, loosely: bool = False
) -> Iterator[tuple[jec.Jaxpr, Sequence[Any]]]:
    """Yield what is nested in an equation, and what each of its arguments is in every run of it.

    That is an operand of the equation, or None for what differs from trip to trip or is not known.

    Args:
        eqn: the equation.
        loosely: whether to yield for a loop also what it starts with, or reads slice by slice.
    """
    name = eqn.primitive.name
    if name == "while":
        tests, bodies = eqn.params["cond_nconsts"], eqn.params["body_nconsts"]
        yield _filled(inner_jaxpr(eqn, "cond_jaxpr"), eqn.invars[:tests])
        end = None if loosely else tests + bodies
        yield _filled(inner_jaxpr(eqn, "body_jaxpr"), eqn.invars[tests:end])
        return
    for inner in nested(eqn):
        if name == "scan":
            end = None if loosely else scan_counts(eqn)[0]
            yield _filled(inner, eqn.invars[:end])
        elif name == "cond":
            yield _filled(inner, eqn.invars[1:])
        elif primitives.traits(name).body and len(inner.invars) == len(eqn.invars):
            yield inner, eqn.invars
        else:
            yield _filled(inner, ())


def leaving(eqn: jec.JaxprEqn) -> Sequence[Any]:
    """Return what the results of a call are inside of it; nothing if it is no call."""
    return _results(eqn) if primitives.traits(eqn.primitive.name).body else ()


def of_last_trip(eqn: jec.JaxprEqn) -> Sequence[Any]:
    """Return what the results of a loop are made of inside of it; nothing if it is no loop."""
    return _results(eqn) if eqn.primitive.name in _LOOPS else ()


def is_apart(eqn: jec.JaxprEqn, *, reads_copies: bool = False) -> bool:
    """Say whether XLA computes an operation apart from what is around it.

    What it holds in memory was measured: on a CPU (JAX 0.10.2) and on an NVIDIA H200 (0.11.2). Of
    other accelerators, no more is said than of a GPU.

    Args:
        eqn: the operation.
        reads_copies: whether the operand in question is a copy of what all examples share. On a GPU
            XLA fuses such copies into products, and other operands into those with a vector.
    """
    traits = primitives.traits(eqn.primitive.name)
    if not traits.stands_alone:
        return False
    if eqn.primitive.name != "dot_general":
        return not traits.fused_on_gpu or jax.default_backend() == "cpu"
    contracted, batched = eqn.params["dimension_numbers"]
    shapes = [atom.aval.shape for atom in eqn.invars]  # type: ignore[attr-defined]
    if all(shapes[0][axis] == 1 for axis in contracted[0]):
        return False  # Where nothing is added up, it is a multiplication.
    if jax.default_backend() == "cpu":
        return True
    has_vector = len(contracted[0]) + len(batched[0]) in map(len, shapes)
    return not reads_copies and not has_vector


def _results(eqn: jec.JaxprEqn) -> Sequence[Any]:
    held = nested(eqn)
    if not held or len(held[-1].outvars) != len(eqn.outvars):
        return ()
    return held[-1].outvars


def _filled(inner: jec.Jaxpr, operands: Sequence[Any]) -> tuple[jec.Jaxpr, Sequence[Any]]:
    known = operands[: len(inner.invars)]
    rest = itertools.repeat(None, len(inner.invars) - len(known))
    return inner, [*known, *rest]
