"""Where the batch axis of every value is.

Two things tell: a dimension that grows with the batch (`sizes`), and the probes (`marks`). Where
the program is another one at another size, the probes alone tell, and what they do not tell is not
known.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import jax.extend.core as jec

from vmapguide._jaxpr.compat import opened
from vmapguide._trace.marks import Output, Path
from vmapguide._trace.provenance import SourceMap
from vmapguide._trace.sizes import Shape


@dataclass(frozen=True)
class Axes:
    """Where the batch axes are.

    Attributes:
        sizes: the axes' names and sizes, the outermost `vmap` first: `{"B": 3}`.
        shapes: shapes with named axes, of the values of both jaxprs that are known to have any.
        positions: for each output of each per-example equation, in each call that it lies in: the
            position of the outermost batch axis in the batched value, None if it has none. Missing
            if it is not known.
        complete: whether it is known of every value of the batched jaxpr.
    """

    sizes: Mapping[str, int]
    shapes: Mapping[jec.Var, Shape]
    positions: Mapping[Output, int | None]
    complete: bool


def find_axes(found: SourceMap) -> Axes:
    """Find the batch axes of the values of a call that has been mapped."""
    if found.resized is None:
        return Axes({}, {}, found.positions, complete=False)
    sizes, named = found.resized.sizes, functools.cache(found.resized.named)
    pairs = ((var, _shape(var), _shape(other)) for var, other in found.variables.items())
    # Most values have no batch axis, or that of many others: few pairs of shapes are looked at.
    shapes = {var: s for var, one, grown in pairs if one != grown and (s := named(one, grown))}
    complete = all(
        var in found.variables or isinstance(var, jec.DropVar)
        for jaxpr in found.batched_jaxprs
        for eqn in jaxpr.eqns
        for var in eqn.outvars
    )
    if not complete:
        shapes = {**_shapes_at(found, sizes), **_argument_shapes(found, sizes), **shapes}
    return Axes(sizes, shapes, found.positions, complete)


def _argument_shapes(found: SourceMap, sizes: Mapping[str, int]) -> dict[jec.Var, Shape]:
    """Return the shapes of the mapped arguments, named where `in_axes` says."""
    axes = itertools.compress(found.call.axes or (), found.call.traced)
    shapes: dict[jec.Var, Shape] = {}
    for var, axis in zip(opened(found.batched).invars, axes, strict=True):
        if axis is not None:
            shape: list[int | str] = list(_shape(var))
            shape[axis] = next(iter(sizes))
            shapes[var] = tuple(shape)
    return shapes


def _shapes_at(found: SourceMap, sizes: Mapping[str, int]) -> dict[jec.Var, Shape]:
    """Return the shapes of the batched results of equations, named where the probes say."""
    jaxprs = found.per_example_jaxprs
    made: dict[Path, list[jec.Var]] = {}
    for jaxpr in found.batched_jaxprs:
        here: dict[Path, list[jec.Var]] = {}
        for eqn in jaxpr.eqns:
            here.setdefault(found.paths.get(id(eqn), ()), []).extend(eqn.outvars)
        made = here | made  # What stands outermost is the result.
    letter, size = next(iter(sizes.items()))
    shapes: dict[jec.Var, Shape] = {}
    for (call, (number, i), k), position in found.positions.items():
        if position is None:
            continue
        shape = list(_shape(jaxprs[number].eqns[i].outvars[k]))
        whole = (*shape[:position], size, *shape[position:])
        for var in reversed(made.get((*call, (number, i)), [])):
            if _shape(var) == whole:
                shapes[var] = (*shape[:position], letter, *shape[position:])
                break
    return shapes


def _shape(var: jec.Var) -> tuple[int, ...]:
    return tuple(getattr(var.aval, "shape", ()))
