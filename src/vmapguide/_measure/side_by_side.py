"""Functions that are timed side by side: do they compute the same, and are some the same program?

`first_disagreement` compares what the functions returned, `same_programs` what XLA made of them.
`timing` calls the functions and reads the clock.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence

import jax

from vmapguide._data import LeafResult
from vmapguide._measure import agreement, precision
from vmapguide._measure.timing import Runner, Timing


def first_disagreement(
    runners: Mapping[str, Runner], rtol: float | None, atol: float | None
) -> tuple[str, tuple[LeafResult, ...]] | None:
    """Return which function does not agree with the first, and how they compare; None if all do."""
    runner, *_ = runners.values()
    for name, other in [*runners.items()][1:]:
        leaves = agreement.compare_trees(runner.result, other.result, rtol, atol)
        if not all(leaf.same for leaf in leaves):
            # On some devices a product of matrices has fewer digits than the loop over its rows.
            epsilon = max(_epsilon(runner), _epsilon(other))
            leaves = agreement.compare_trees(
                runner.result, other.result, rtol, atol, epsilon=epsilon
            )
        if not all(leaf.same for leaf in leaves):
            return name, leaves
    return None


def _epsilon(runner: Runner) -> float:
    """Return how exactly the device computes a function's products, 0 if that is not known."""
    args, kwargs = runner.original
    # A function that is not compiled need not be one that JAX can trace.
    with contextlib.suppress(Exception):
        return precision.of_program(jax.make_jaxpr(runner.given)(*args, **kwargs))
    return 0.0


def same_programs(runners: Mapping[str, Runner]) -> tuple[tuple[str, ...], ...]:
    """Return the groups of functions that have the same compiled program."""
    groups: dict[str, tuple[str, ...]] = {}
    for name, runner in runners.items():
        if runner.program is not None:
            groups[runner.program] = (*groups.get(runner.program, ()), name)
    return tuple(group for group in groups.values() if len(group) > 1)


def is_too_slow(timings: Sequence[Timing | None], patience: float) -> bool:
    """Say whether a function took too long, at the size before, to be run at a larger one."""
    if not timings:
        return False
    last = timings[-1]
    return last is None or max(last.median, last.compiling or 0) > patience
