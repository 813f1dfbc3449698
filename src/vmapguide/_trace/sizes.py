"""The batch at other sizes: what grows with it holds the batch axis.

A program is batched at an abstract size that is a prime and divides no size in it, and a dimension
that is a multiple of the prime holds the axis. The primes are small, since what vmap unrolls is
unrolled at that size, too. Of an axis that is sharded, the size is as many times the prime as there
are shards: else it could not be sharded.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.extend.core as jec

from vmapguide._jaxpr.compat import AnyJaxpr, opened, sharding_of_type
from vmapguide._jaxpr.walk import nested, walk
from vmapguide._trace.call import Call, leaf_axes
from vmapguide._trace.marks import Path
from vmapguide._trace.user_names import vmap_variables


Shape = tuple[int | str, ...]

LETTERS = "BCDEFGH"


@dataclass(frozen=True)
class Resized:
    """A call at other sizes.

    Attributes:
        call: the call.
        sizes: the names and sizes of the axes, the outermost `vmap` first: `{"B": 3}`.
        primes: the primes that stand for them.
        shards: over how many devices each axis is sharded, by its type or by `spmd_axis_name`: it
            is of as many times its prime, and in a `shard_map` of the prime alone.
    """

    call: Call
    sizes: Mapping[str, int]
    primes: tuple[int, ...]
    shards: tuple[int, ...]

    @property
    def is_hidden(self) -> bool:
        """Whether `f` cannot know the size: its trace on one example is then the same."""
        return self.call.vmap.axis_name is None and len(self.primes) == 1

    def same(self, real: int, other: int) -> bool:
        """Say whether a number is another one with the primes in the place of the sizes."""
        if real == other:
            return True
        for prime, shards, size in zip(self.primes, self.shards, self.sizes.values(), strict=True):
            while other and other % prime == 0:
                other = other // prime * size // shards
                if real == other:
                    return True
        return False

    def named(self, one: tuple[Any, ...], grown: tuple[Any, ...]) -> Shape | None:
        """Return a shape with its batch axes named, given it at the other sizes, too.

        None if no axis is seen.
        """
        if len(one) != len(grown) or one == grown or not all(map(self.same, one, grown)):
            return None
        return tuple(itertools.starmap(self._name, zip(one, grown, strict=True)))

    def _name(self, size: int, grown: int) -> int | str:
        rest, parts = grown, []
        if size != grown:
            for prime, shards, letter in zip(self.primes, self.shards, self.sizes, strict=True):
                while rest and rest % prime == 0:
                    is_whole = rest % (prime * shards) == 0
                    rest //= prime * shards if is_whole else prime
                    parts.append(letter if is_whole else f"{letter}/{shards}")
        if parts and rest != 1:
            parts.append(str(rest))
        return "·".join(parts) if parts else size


def resized(call: Call, batched: AnyJaxpr) -> Resized | None:
    """Return a call at sizes that divide none in its batched jaxpr; None if it has no size."""
    levels = _levels(call)
    sizes = dict(zip(LETTERS, _sizes(call, levels), strict=False))
    if not sizes:
        return None
    primes = _primes(len(sizes), batched)
    shards = _shards(call, levels[: len(primes)], batched)
    stand_ins = [prime * count for prime, count in zip(primes, shards, strict=True)]
    leaves = _abstract_leaves(call, levels, stand_ins)
    return Resized(call.resized(stand_ins[0], leaves), sizes, tuple(primes), tuple(shards))


def _shards(call: Call, levels: list[tuple[int | None, ...]], batched: AnyJaxpr) -> list[int]:
    """Return over how many devices the axis of each level is sharded, as far as types know it."""
    shards = [_spmd_shards(call.vmap.spmd_axis_name, batched), *[1] * (len(levels) - 1)]
    for index, leaf in enumerate(call.leaves):
        sharding = sharding_of_type(leaf)
        positions = _mapped_positions(levels, index, len(leaf.shape)) if sharding else ()
        for level, position in enumerate(positions):
            if position is not None:
                part = sharding.shard_shape(leaf.shape)[position]
                shards[level] = max(shards[level], leaf.shape[position] // part)
    return shards


def _spmd_shards(names: Any, batched: AnyJaxpr) -> int:
    """Return over how many devices a `shard_map` shards the axis that `spmd_axis_name` names."""
    if names is None:
        return 1
    meshes: Iterator[Any] = (
        eqn.params.get("mesh") for jaxpr in walk(batched) for eqn in jaxpr.eqns
    )
    shapes = (mesh.shape for mesh in meshes if hasattr(mesh, "shape"))
    every = names if isinstance(names, tuple) else (names,)
    return max((math.prod(shape.get(name, 1) for name in every) for shape in shapes), default=1)


def _levels(call: Call) -> list[tuple[int | None, ...]]:
    """Return, for `f` and for each `jax.vmap` that `f` itself is, the axis of each leaf.

    A function made by `jax.vmap` keeps the arguments of that call among its variables. Where they
    are not found, only the outermost axis gets a name.
    """
    if call.axes is None:
        return []
    levels = [call.axes]
    args, kwargs = call.arguments
    f: Any = call.f
    while (variables := vmap_variables(f)) is not None and len(levels) < len(LETTERS):
        axes = leaf_axes(variables["in_axes"], args, kwargs)
        if axes is None:
            break
        levels.append(axes)
        f = variables["fun"]
    return levels


def _mapped_positions(
    levels: list[tuple[int | None, ...]], leaf: int, rank: int
) -> list[int | None]:
    """Return for each level which axis of the whole leaf it maps."""
    left = list(range(rank))
    found: list[int | None] = []
    for axes in levels:
        axis = axes[leaf]
        found.append(None if axis is None else left.pop(axis))
    return found


def _sizes(call: Call, levels: list[tuple[int | None, ...]]) -> list[int]:
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


def _abstract_leaves(
    call: Call, levels: list[tuple[int | None, ...]], sizes: list[int]
) -> list[Any]:
    """Return the leaves with other sizes of their mapped axes, and without values."""
    leaves = []
    for index, leaf in enumerate(call.leaves):
        shape = list(getattr(leaf, "shape", ()))
        positions = _mapped_positions(levels[: len(sizes)], index, len(shape))
        for size, position in zip(sizes, positions, strict=True):
            if position is not None:
                shape[position] = size
        if positions == [None] * len(positions):
            leaves.append(leaf)
        else:
            weak = getattr(leaf, "weak_type", False)
            kept = {"weak_type": weak, "sharding": sharding_of_type(leaf)}
            leaves.append(jax.ShapeDtypeStruct(shape, leaf.dtype, **kept))
    return leaves


def _primes(count: int, jaxpr: AnyJaxpr) -> list[int]:
    """Return the smallest primes that divide no size in a jaxpr."""
    # There are far fewer types than variables.
    types: set[Any] = set()
    for inner in walk(jaxpr):
        for variables in (inner.constvars, inner.invars, *(eqn.outvars for eqn in inner.eqns)):
            types.update([var.aval for var in variables])
    sizes = {size for aval in types for size in getattr(aval, "shape", ())}
    taken = [size for size in sizes if isinstance(size, int) and size]
    primes: list[int] = []
    number = 2
    while len(primes) < count:
        if all(number % d for d in range(2, int(number**0.5) + 1)) and not any(
            size % number == 0 for size in taken
        ):
            primes.append(number)
        number += 1
    return primes


def aligned(
    one: AnyJaxpr,
    ours: Mapping[int, Path],
    other: AnyJaxpr,
    theirs: Mapping[int, Path],
    skip: jec.Primitive,
) -> Iterator[tuple[jec.Var, jec.Var]]:
    """Pair the variables of two batched jaxprs of one program, by where their equations came from.

    Args:
        one: a jaxpr.
        ours: where its equations came from.
        other: the jaxpr to pair it with.
        theirs: where the equations of that one came from.
        skip: a primitive whose equations in `other` are left out of account.

    Yields:
        A variable of `one` and its counterpart. What came from one equation and is not the same
        operations in both, such as one for each example, is not paired.
    """
    seen: set[int] = set()
    pending = [(opened(one), opened(other))]
    while pending:
        a, b = pending.pop()
        if id(a) in seen:
            continue
        seen.add(id(a))
        # Constants come in any order, and have no batch axis.
        if len(a.invars) == len(b.invars):
            yield from zip(a.invars, b.invars, strict=True)
        lefts, rights = _by_path(a, ours), _by_path(b, theirs, skip)
        for path, left in lefts.items():
            right = rights.get(path, [])
            if [_form(eqn) for eqn in left] != [_form(eqn) for eqn in right]:
                continue
            for eqn, counterpart in zip(left, right, strict=True):
                yield from zip(eqn.outvars, counterpart.outvars, strict=True)
                inner = zip(nested(eqn), nested(counterpart), strict=True)
                pending.extend(inner)


def _by_path(
    jaxpr: jec.Jaxpr, paths: Mapping[int, Path], skip: jec.Primitive | None = None
) -> dict[Path, list[jec.JaxprEqn]]:
    found: dict[Path, list[jec.JaxprEqn]] = {}
    for eqn in jaxpr.eqns:
        if eqn.primitive is not skip and id(eqn) in paths:
            found.setdefault(paths[id(eqn)], []).append(eqn)
    return found


def _form(eqn: jec.JaxprEqn) -> tuple[jec.Primitive, int, int]:
    return eqn.primitive, len(eqn.outvars), sum(1 for _ in nested(eqn))
