"""Two causes of differences: few digits in matrix products, and rounding. Both shrink with digits.

`compare_results` compares the two sides with tolerances that follow the digits of the device.
`products` and `rounding` explain what is left, by running both sides with more digits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax

from vmapguide._data import LeafResult
from vmapguide._measure import precision
from vmapguide._measure.both_sides import Results, Sides
from vmapguide._measure.causes.evidence import Evidence, Found, Reason, attempt
from vmapguide._measure.causes.suspects import PRECISION, without
from vmapguide._trace.call import Call
from vmapguide._trace.trace import Trace


# With twice the digits, rounding shrinks by many orders of magnitude; nothing else does.
_SHRINKS = 1e-4

# TF32 has three decimal digits, float32 seven. A sum in another order stays as it is.
_SHRINKS_EXACTLY = 0.1

_WIDER = {"float16": "float64", "bfloat16": "float64", "float32": "float64"}
_WIDER |= {"complex64": "complex128"}


def compare_results(
    sides: Sides, trace: Trace | None, results: list[Results], examples: tuple[int, ...]
) -> tuple[LeafResult, ...]:
    """Compare what both sides returned, with the tolerances of what it is computed by.

    On a device that computes matrix products with fewer digits, the tolerances follow these. But a
    leaf that still differs when the products have all of their digits has another reason, and gets
    the tolerances of its dtype.

    Args:
        sides: the two sides.
        trace: what is known of the call; None if the function cannot be traced.
        results: what both sides returned.
        examples: for which examples.
    """
    leaves = sides.leaf_results(results)
    epsilon = precision.of_program(trace.per_example) if trace else 0
    if not epsilon or all(leaf.same for leaf in leaves):
        return leaves
    with_all_digits = without([PRECISION], sides.call.f)
    exact = attempt(lambda: sides.compare(with_all_digits, examples), None)
    if exact is None:
        return leaves
    allowed = sides.leaf_results(results, epsilon)
    return tuple(
        allowed_leaf if exact_leaf.same else leaf
        for leaf, allowed_leaf, exact_leaf in zip(leaves, allowed, exact, strict=True)
    )


def products(evidence: Evidence) -> Found:
    """Find a matrix product of fewer digits than its dtype that makes the difference."""
    steps = evidence.trace.steps if evidence.trace else ()
    product = next((step for step in steps if precision.of_equation(step.equation)), None)
    before = _differences(evidence)
    if product is None or before is None:
        return Found()
    f = evidence.sides.call.f
    traced = _differences_of(evidence.sides, without([], f), evidence)
    exact = _differences_of(evidence.sides, without([PRECISION], f), evidence)
    # A difference that goes away as soon as the loop runs a jaxpr does not come from the digits.
    goes_away = any(
        _shrinks([t], [b], _SHRINKS_EXACTLY) for t, b in zip(traced, before, strict=True)
    )
    if goes_away or not _shrinks(exact, before, _SHRINKS_EXACTLY):
        return Found()
    return Found((PRECISION.reason(product.source),), evidence.unexplained)


def rounding(evidence: Evidence) -> Found:
    """Find out whether the difference all but goes away with twice the digits."""
    before = _differences(evidence)
    if before is None:
        return Found()
    call = evidence.sides.call
    with jax.enable_x64(True):
        args, kwargs = jax.tree.map(_widened, evidence.sides.arguments.whole())
        wide = Sides(Call.of(call.f, call.vmap, args, kwargs), *evidence.sides.tolerances)
        after = _differences_of(wide, call.f, evidence)
    if not _shrinks(after, before, _SHRINKS):
        return Found()
    text = (
        f"It is rounding: with float64 the difference of {max(before):.2g} shrinks to "
        f"{max(a or 0 for a in after):.2g}. vmap adds up the same numbers in another order. "
        f"Allow for it with rtol= or atol=."
    )
    return Found((Reason("rounding", text),), evidence.unexplained)


def _differences(evidence: Evidence) -> list[float] | None:
    """Return how far each unexplained leaf is off where it is worst; None if that is no number.

    The value furthest beyond its tolerance need not be the one that differs most.
    """
    leaves = [evidence.leaves[leaf] for leaf in evidence.unexplained]
    if any(leaf.index is None for leaf in leaves):
        return None  # Of other types than expected.
    differences = [abs(leaf.actual - leaf.expected) for leaf in leaves]
    return differences if all(map(math.isfinite, differences)) else None


def _differences_of(sides: Sides, f: Callable[..., Any], evidence: Evidence) -> list[float | None]:
    """Return the largest difference of each unexplained leaf if both sides run `f`."""
    leaves = sides.compare(f, evidence.worst_examples)
    return [leaves[leaf].difference for leaf in evidence.unexplained]


def _shrinks(after: list[float | None], before: list[float], factor: float) -> bool:
    """Say whether every difference has shrunk to at most this part of what it was."""
    return all(a is not None and a <= factor * b for a, b in zip(after, before, strict=True))


def _widened(leaf: Any) -> Any:
    """Return an array of floats with twice the digits or more, and another leaf as it is."""
    dtype = _WIDER.get(str(getattr(leaf, "dtype", "")))
    return leaf.astype(dtype) if dtype else leaf
