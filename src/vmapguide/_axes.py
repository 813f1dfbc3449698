"""Where the batch axis of every value is.

Two things tell. A dimension that grows with the batch holds the batch axis: so batch once more, at
an abstract size that is a prime and divides no other size, and look for its multiples. And an
identity operation with a batching rule of its own, a probe, is told by `jax.vmap` where the axes of
its operands are: so put one at the end of every jaxpr of the per-example program that has
equations, with what these define for operands. Both are done in one trace, which is then thrown
away; its equations are lined up with those of the real one. Where they do not line up, the probes
are asked once more, at the size that the batch has, and what they do not tell is not known.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.extend.core as jec
from jax.interpreters import batching

from vmapguide import _jaxpr
from vmapguide._jaxpr import AnyJaxpr, Place
from vmapguide._names import vmap_variables
from vmapguide._sourcemap import Call, Edited, SourceMap, leaf_axes


Shape = tuple[int | str, ...]

# An output of a per-example equation: the equation's place, the output's number.
Output = tuple[int, int, int]

LETTERS = "BCDEFGH"

# Sizes start here: larger than what programs usually hold, and small enough to unroll.
_FIRST_SIZE = 1009

_probe = jec.Primitive("vmapguide_probe")
_probe.multiple_results = True
_probe.def_impl(lambda *values, **_: [*values])
_probe.def_abstract_eval(lambda *avals, **_: [*avals])


def _batch_probe(args: Any, dims: Any, *, places: Any, axes: Any) -> Any:
    """Pass values through and note where their batch axes are."""
    del axes
    return _probe.bind(*args, places=places, axes=tuple(dims)), dims


batching.primitive_batchers[_probe] = _batch_probe


@dataclass(frozen=True)
class Axes:
    """Where the batch axes are.

    Attributes:
        sizes: the axes' names and sizes, the outermost `vmap` first: `{"B": 3}`.
        shapes: shapes with named axes, of the values of both jaxprs that are known to have any.
        positions: for each output of each per-example equation, by the equation's place and the
            output's number: the position of the outermost batch axis in the batched value, None
            if it has none. Missing if it is not known.
        complete: whether it is known of every value of the batched jaxpr.
    """

    sizes: Mapping[str, int]
    shapes: Mapping[jec.Var, Shape]
    positions: Mapping[Output, int | None]
    complete: bool


def find_axes(call: Call, found: SourceMap) -> Axes:
    """Find the batch axes of the values of a call that has been mapped."""
    levels = _levels(call)
    sizes = dict(zip(LETTERS, _sizes(call, levels), strict=False))
    shapes: dict[jec.Var, Shape] = {}
    positions: dict[Output, int | None] = {}
    aligned: set[jec.Var] = set()
    if sizes:
        primes = _primes(len(sizes), found.batched)
        resized = call.resized(primes[0], _abstract_leaves(call, levels, primes))
        # Without a name for the axis, and without an axis inside that is resized too, `f` cannot
        # know the size: its trace on one example is the same, and tracing is most of the cost.
        same = call.vmap.axis_name is None and len(primes) == 1
        edited = Edited(call.f, _with_probes, found.traced if same else None)
        # A program that depends on the size of its batch fails here, or comes out different.
        with contextlib.suppress(Exception):
            probed = resized.batched_jaxpr(edited)
            positions = _positions(probed)
            names = [*zip(primes, sizes, strict=True)]
            pairs = [*_jaxpr.aligned(found.batched, probed, skip=_probe)]
            if edited.traced is not None and edited.traced is not found.traced:
                pairs += _jaxpr.aligned(found.per_example, edited.traced.jaxpr)
            for real, other in pairs:
                aligned.add(real)
                shape = _named(_shape(real), _shape(other), names)
                if shape is not None:
                    shapes[real] = shape
    complete = all(
        var in aligned
        for jaxpr in _jaxpr.walk(found.batched)
        for eqn in jaxpr.eqns
        for var in eqn.outvars
    )
    if not complete:
        # The probes also tell at the size that the batch has, if only of what they stand behind.
        with contextlib.suppress(Exception):
            positions = _positions(call.batched_jaxpr(Edited(call.f, _with_probes)))
            shapes |= _shapes_at(positions, found, sizes)
        shapes |= _argument_shapes(call, found, sizes)
    return Axes(sizes, shapes, positions, complete)


def _shape(var: jec.Var) -> tuple[Any, ...]:
    return tuple(getattr(var.aval, "shape", ()))


def _argument_shapes(
    call: Call, found: SourceMap, sizes: Mapping[str, int]
) -> dict[jec.Var, Shape]:
    """Return the shapes of the mapped arguments, named where `in_axes` says."""
    axes = itertools.compress(call.axes or (), call.traced)
    shapes: dict[jec.Var, Shape] = {}
    for var, axis in zip(_jaxpr.opened(found.batched).invars, axes, strict=True):
        if axis is not None and sizes:
            shape: list[Any] = list(_shape(var))
            shape[axis] = next(iter(sizes))
            shapes[var] = tuple(shape)
    return shapes


def _shapes_at(
    positions: Mapping[Output, int | None], found: SourceMap, sizes: Mapping[str, int]
) -> dict[jec.Var, Shape]:
    """Return the shapes of the batched results of equations, named where the probes say."""
    jaxprs = [*_jaxpr.walk(found.per_example)]
    made: dict[Place | None, list[jec.Var]] = {}
    for jaxpr in _jaxpr.walk(found.batched):
        here: dict[Place | None, list[jec.Var]] = {}
        for eqn in jaxpr.eqns:
            here.setdefault((found.origins or {}).get(id(eqn)), []).extend(eqn.outvars)
        made = here | made  # What stands outermost is the result.
    shapes: dict[jec.Var, Shape] = {}
    for (number, i, k), position in positions.items():
        if position is None or not sizes:
            continue
        letter, size = next(iter(sizes.items()))
        shape = list(_shape(jaxprs[number].eqns[i].outvars[k]))
        whole = (*shape[:position], size, *shape[position:])
        for var in reversed(made.get((number, i), [])):
            if _shape(var) == whole:
                shapes[var] = (*shape[:position], letter, *shape[position:])
                break
    return shapes


def _named(real: Any, other: Any, names: list[tuple[int, str]]) -> Shape | None:
    """Return a shape with its batch axes named, or None if none is seen."""
    if len(real) != len(other) or tuple(real) == tuple(other):
        return None
    shape: list[int | str] = []
    for size, grown in zip(real, other, strict=True):
        rest, parts = grown, []
        if size != grown:
            for prime, letter in names:
                while rest and rest % prime == 0:
                    rest //= prime
                    parts.append(letter)
        if parts and rest != 1:
            parts.append(str(rest))
        shape.append("·".join(parts) if parts else size)
    return tuple(shape)


def _with_probes(jaxpr: jec.ClosedJaxpr) -> AnyJaxpr:
    """Return the jaxpr with a probe at its end, of the arrays that its equations define.

    One probe of many values costs next to nothing, many probes of one as much as the program.
    """

    def probe(number: int, jaxpr: jec.Jaxpr, eqns: list[jec.JaxprEqn]) -> jec.Jaxpr:
        values = {
            var: (number, i, k)
            for i, eqn in enumerate(eqns)
            for k, var in enumerate(eqn.outvars)
            if not isinstance(var, jec.DropVar) and _is_plain(var.aval)
        }
        if not values:
            return jaxpr.replace(eqns=eqns)  # type: ignore[no-any-return]
        # The results are what comes out of the probe, so that it is not dead code.
        passed: dict[Any, Any] = {var: jec.Var(var.aval) for var in values}
        last = eqns[-1]
        params = {"places": tuple(values.values()), "axes": (None,) * len(values)}
        end = jec.new_jaxpr_eqn(
            [*values], [*passed.values()], _probe, params, set(), last.source_info, last.ctx
        )
        outvars = [v if isinstance(v, jec.Literal) else passed.get(v, v) for v in jaxpr.outvars]
        return jaxpr.replace(eqns=[*eqns, end], outvars=outvars)  # type: ignore[no-any-return]

    return _jaxpr.rebuild(jaxpr, probe)


def _is_plain(aval: Any) -> bool:
    """Say whether a value can be passed through an operation: a reference cannot."""
    return type(aval) is jax.core.ShapedArray


def _positions(probed: jec.ClosedJaxpr) -> dict[Output, int | None]:
    """Read the probes. Of a value that two calls batch differently nothing is known."""
    found: dict[Output, set[int | None]] = {}
    for jaxpr in _jaxpr.walk(probed):
        for eqn in jaxpr.eqns:
            if eqn.primitive is _probe:
                for place, axis in zip(eqn.params["places"], eqn.params["axes"], strict=True):
                    found.setdefault(place, set()).add(axis)
    return {place: axes.pop() for place, axes in found.items() if len(axes) == 1}


def _levels(call: Call) -> list[list[int | None]]:
    """Return, for `f` and for each `jax.vmap` that `f` itself is, the axis of each leaf.

    A function made by `jax.vmap` keeps the arguments of that call among its variables. Where they
    are not found, only the outermost axis gets a name.
    """
    if call.axes is None:
        return []
    levels = [call.axes]
    args, kwargs = jax.tree.unflatten(call.tree, call.leaves)
    f: Any = call.f
    while (variables := vmap_variables(f)) is not None and len(levels) < len(LETTERS):
        axes = leaf_axes(variables["in_axes"], args, kwargs)
        if axes is None:
            break
        levels.append(axes)
        f = variables["fun"]
    return levels


def _mapped_positions(levels: list[list[int | None]], leaf: int, rank: int) -> list[int | None]:
    """Return for each level which axis of the whole leaf it maps."""
    left = list(range(rank))
    found: list[int | None] = []
    for axes in levels:
        axis = axes[leaf]
        found.append(None if axis is None else left.pop(axis))
    return found


def _sizes(call: Call, levels: list[list[int | None]]) -> list[int]:
    """Return the size of each level's axis."""
    sizes: list[int | None] = [None] * len(levels)
    if levels and call.vmap.axis_size is not None:
        sizes[0] = call.vmap.axis_size
    for index, leaf in enumerate(call.leaves):
        shape = getattr(leaf, "shape", ())
        for level, position in enumerate(_mapped_positions(levels, index, len(shape))):
            if position is not None:
                sizes[level] = shape[position]
    known = [size for size in sizes if size is not None]
    return known if len(known) == len(sizes) else known[:1]


def _abstract_leaves(call: Call, levels: list[list[int | None]], primes: list[int]) -> list[Any]:
    """Return the leaves with primes for the sizes of their mapped axes, and without values."""
    leaves = []
    for index, leaf in enumerate(call.leaves):
        shape = list(getattr(leaf, "shape", ()))
        positions = _mapped_positions(levels[: len(primes)], index, len(shape))
        for prime, position in zip(primes, positions, strict=True):
            if position is not None:
                shape[position] = prime
        if positions == [None] * len(positions):
            leaves.append(leaf)
        else:
            leaves.append(jax.ShapeDtypeStruct(shape, leaf.dtype))
    return leaves


def _primes(count: int, jaxpr: jec.ClosedJaxpr) -> list[int]:
    """Return primes that divide no size in a jaxpr."""
    taken = {
        size
        for inner in _jaxpr.walk(jaxpr)
        for variables in (inner.constvars, inner.invars, *(eqn.outvars for eqn in inner.eqns))
        for var in variables
        for size in getattr(var.aval, "shape", ())
        if isinstance(size, int)
    }
    primes: list[int] = []
    number = _FIRST_SIZE
    while len(primes) < count:
        if all(number % d for d in range(2, int(number**0.5) + 1)) and not any(
            size and size % number == 0 for size in taken
        ):
            primes.append(number)
        number += 2
    return primes
