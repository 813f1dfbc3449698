"""Trace and compile the functions of `compare`, and say whether XLA makes one program of them.

Start with `build`, which traces, compiles and runs a function, and with `compiled_alike`, which
compares two compiled programs, also where their texts leave out what may differ. Whether two jaxprs
are the same is known to `_jaxpr.alignment`, and whether two results are to `agreement`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.extend.core as jec

from vmapguide._data import LeafResult
from vmapguide._jaxpr.alignment import flat
from vmapguide._jaxpr.compat import AnyJaxpr, consts_of
from vmapguide._jaxpr.parameter_keys import digest
from vmapguide._measure import agreement, precision, xla
from vmapguide._trace.user_names import captured_names


@dataclass(frozen=True, eq=False)
class Program:
    """What JAX and XLA made of a function.

    Attributes:
        f: the function.
        jaxpr: its jaxpr.
        flat: its jaxpr without calls.
        compiled: its compiled program.
        results: what it returned; types if an argument has no value.
        has_run: whether it has run.
    """

    f: Callable[..., Any]
    jaxpr: jec.ClosedJaxpr
    flat: AnyJaxpr
    compiled: xla.Compiled
    results: Any
    has_run: bool

    @functools.cached_property
    def captured(self) -> dict[int, str]:
        """What the function calls the arrays that it captures, by the `id` of the array."""
        return captured_names(self.f)


class Alikeness(NamedTuple):
    """How two compiled programs compare.

    Attributes:
        same: whether they are the same; None if that is not known.
        folded: whether they differ only because XLA has computed with captured arrays.
    """

    same: bool | None
    folded: bool = False


def build(f: Callable[..., Any], args: Any, kwargs: Any) -> Program:
    """Trace and compile a function, and run it if all arguments have values."""
    has_values = not any(
        isinstance(leaf, jax.ShapeDtypeStruct) for leaf in jax.tree.leaves((args, kwargs))
    )
    jaxpr, types = jax.make_jaxpr(f, return_shape=True)(*args, **kwargs)
    compiled = xla.compiled(f, args, kwargs)
    results = compiled.run(*args, **kwargs) if has_values else types
    return Program(f, jaxpr, flat(jaxpr), compiled, results, has_values)


def compare_results(
    first: Program, other: Program, rtol: float | None, atol: float | None
) -> tuple[LeafResult, ...] | None:
    """Compare what two programs returned; None if they have not run."""
    if not other.has_run:
        return None
    epsilon = max(map(precision.of_program, (first.jaxpr, other.jaxpr)))
    return agreement.compare_trees(first.results, other.results, rtol, atol, epsilon=epsilon)


def compiled_alike(
    first: Program, other: Program, leaves: Sequence[Any], *, same_jaxpr: bool
) -> Alikeness:
    """Compare two compiled programs.

    Args:
        first: what the other is compared with.
        other: the other.
        leaves: the arguments.
        same_jaxpr: whether their jaxprs are the same.
    """
    if first.compiled.text != other.compiled.text:
        folded = bool(consts_of(other.flat)) and _alike_without_constants(first, other, leaves)
        return Alikeness(same=False, folded=folded)
    if same_jaxpr or not first.compiled.incomplete:
        return Alikeness(same=True)
    if _alike_without_constants(first, other, leaves):
        return Alikeness(same=True)
    # Two programs that return other results are not the same.
    results = compare_results(first, other, None, None) or ()
    return Alikeness(same=None if all(leaf.identical for leaf in results) else False)


def _alike_without_constants(first: Program, other: Program, leaves: Sequence[Any]) -> bool:
    """Say whether two programs are known to be the same if arrays that they capture are arguments.

    Then XLA cannot compute with the arrays while it compiles, and its texts show which array is
    used where.
    """
    # Equal arrays are one.
    constants = {
        digest(value): value for program in (first, other) for value in consts_of(program.flat)
    }
    one, two = (
        xla.with_constants_as_arguments(program.flat, leaves, constants)
        for program in (first, other)
    )
    return one.text == two.text and not one.incomplete
