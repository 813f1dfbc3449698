"""Name the values of a batched program: `c` for the batch of `c`, `c′` for what helps to make it.

Both programs are read side by side, so a letter has to mean one value in both. `value_names` calls
a batched value what the per-example value is called that it is the batch of, and what only helps to
make it the same with a prime: `c′` is on the way to `c`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

import jax.extend.core as jec

from vmapguide._jaxpr.walk import nested
from vmapguide._trace.steps import Step


_PRIMES = ("′", "″", "‴")


def value_names(
    steps: Sequence[Step],
    values: Mapping[jec.Var, jec.Var],
    per_example: Mapping[jec.Var, str],
) -> dict[jec.Var, str]:
    """Return names for variables of a batched program.

    Args:
        steps: what became of the per-example equations.
        values: for variables of the batched program the per-example ones that they are the batch
            of.
        per_example: what the variables of the per-example program are called.

    Returns:
        The names. A variable that came from no equation of one example has none.
    """
    names = {var: per_example[one] for var, one in values.items() if one in per_example}
    for step in steps:
        first = next((per_example[v] for v in step.equation.outvars if v in per_example), None)
        for variant in step.variants:
            helpers = [v for eqn in variant.batched for v in eqn.outvars if v not in names]
            if first is not None:
                names.update(zip(helpers, _primed(first), strict=False))
            for eqn in variant.batched:
                if eqn.primitive is step.equation.primitive:
                    names.update(_nested_arguments(eqn, step.equation, per_example))
    return names


def _primed(name: str) -> Iterator[str]:
    """Yield names for what helps to make a value, endlessly: `c′`, `c″`, `c‴`, `c′4`."""
    yield from (name + prime for prime in _PRIMES)
    yield from (f"{name}{_PRIMES[0]}{number}" for number in itertools.count(len(_PRIMES) + 1))


def _nested_arguments(
    batched: jec.JaxprEqn, one: jec.JaxprEqn, names: Mapping[jec.Var, str]
) -> Iterator[tuple[jec.Var, str]]:
    """Yield the arguments of what is nested in an equation, named as those in one example.

    JAX keeps their order. Where there are more or fewer of them, nothing is said.
    """
    for ours, theirs in zip(nested(batched), nested(one), strict=False):
        if len(ours.invars) == len(theirs.invars):
            for var, other in zip(ours.invars, theirs.invars, strict=True):
                if other in names:
                    yield var, names[other]
