"""A call of `jax.vmap`, traced and understood. Start here: `trace` returns all that is known.

It traces the call (`call`), finds out which equation came from which (`provenance`) and where the
batch axes are (`batch_axes`), and says in a word what became of each equation (`steps`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax.extend.core as jec

from vmapguide._jaxpr import source_pieces
from vmapguide._trace.batch_axes import find_axes
from vmapguide._trace.call import Call, TracedArguments
from vmapguide._trace.provenance import source_map, without_collector
from vmapguide._trace.shards import sharding_of
from vmapguide._trace.steps import Step, boundary, steps, unknown


@dataclass(frozen=True, eq=False)
class Trace:
    """What is known of a call of `jax.vmap`.

    Attributes:
        per_example: the jaxpr of the function on one example.
        batched: the jaxpr of what `jax.vmap` returns.
        steps: the per-example equations with what became of them, in the order of the program.
        boundary: the batched equations that `vmap` added for `in_axes` and `out_axes`.
        unknown: the batched equations of which it is not known where they came from.
        complete: whether there is none of these.
        axis_sizes: the sizes of the batch axes by their names, the outermost first.
        shapes: the shapes of the variables that have batch axes, with the names of these.
        values: for variables of `batched` the variable of `per_example` that each is the batch of.
        arguments: what the user calls the arguments that were traced.
        argument_axes: which axis of each is mapped; None if it is not mapped, or not known.
        shardings: where each lies; None if that is one device, or not known.
    """

    per_example: jec.ClosedJaxpr
    batched: jec.ClosedJaxpr
    steps: tuple[Step, ...]
    boundary: tuple[jec.JaxprEqn, ...]
    unknown: tuple[jec.JaxprEqn, ...]
    complete: bool
    axis_sizes: Mapping[str, int]
    shapes: Mapping[jec.Var, tuple[int | str, ...]]
    values: Mapping[jec.Var, jec.Var]
    arguments: tuple[str, ...]
    argument_axes: tuple[int | None, ...]
    shardings: tuple[Any, ...]


def trace(call: Call, traced: TracedArguments = "all") -> Trace:
    """Trace a call of `jax.vmap` and find out what it made of the function.

    Args:
        call: the call.
        traced: which arguments are to be traced, see `Call.settled`.

    Raises:
        Exception: what `jax.vmap` raises for this call.
    """
    source_pieces.forget()
    with without_collector():
        found = source_map(call, traced)
        axes = find_axes(found)
        return Trace(
            per_example=found.per_example,
            batched=found.batched,
            steps=tuple(steps(found, axes)),
            boundary=tuple(boundary(found)),
            unknown=tuple(unknown(found)),
            complete=found.complete,
            axis_sizes=axes.sizes,
            shapes=axes.shapes,
            values={
                var: found.per_example_jaxprs[number].eqns[i].outvars[k]
                for var, (_, (number, i), k) in found.values.items()
            },
            arguments=found.call.traced_names,
            argument_axes=found.call.traced_axes,
            shardings=tuple(map(sharding_of, found.call.traced_leaves)),
        )
