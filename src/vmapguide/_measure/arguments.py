"""The arguments of a check: the whole batch for `jax.vmap`, one example for the loop, in copies.

Start with `Arguments`. A function may donate its arguments, which deletes them, or write into an
array of NumPy's; because both sides get copies, the caller's own arguments stay as they are.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from vmapguide._advice import wrong_calls
from vmapguide._jaxpr.compat import sharding_of_type
from vmapguide._trace.call import Call, filled


class Arguments:
    """The arguments of a call of `jax.vmap`, for the whole batch or for one example."""

    def __init__(self, call: Call) -> None:
        """Take the call, and look at its arguments."""
        self.call = call
        self._copies: dict[int, Any] = {}
        wrong_calls.check_values("check", call.names, call.leaves)

    @functools.cached_property
    def batch_size(self) -> int:
        """How many examples there are."""
        call = self._with_leading_axes
        try:
            (size,) = call.batched_jaxpr(lambda *_, **__: 0).out_avals
        except Exception:  # noqa: BLE001
            return 1  # `jax.vmap` says what is wrong when it is called.
        if not size.shape[0]:
            raise ValueError(
                "check: the batch is empty, so there is no example to check. Pass at least one."
            )
        return int(size.shape[0])

    @property
    def _with_leading_axes(self) -> Call:
        """The call, but for where the batch axes of its results are."""
        return dataclasses.replace(self.call, vmap=dataclasses.replace(self.call.vmap, out_axes=0))

    def whole(self) -> tuple[Any, Any]:
        """Return the arguments of the whole batch, copied."""
        args, kwargs = jax.tree.unflatten(self.call.tree, map(copied, self.call.leaves))
        return args, kwargs

    def example(self, example: int) -> Example:
        """Return the arguments of one example; what is not mapped is one copy for all of them."""
        tree, leaves, axes = self._inside
        for place, leaf in enumerate(leaves):
            spare = self._copies.get(place)
            is_gone = isinstance(spare, jax.Array) and spare.is_deleted()
            if axes[place] is None and (place not in self._copies or is_gone):
                self._copies[place] = copied(leaf)
        one = [
            self._copies[place] if axis is None else taken(leaf, axis, example)
            for place, (leaf, axis) in enumerate(zip(leaves, axes, strict=True))
        ]
        return Example(one, [axis is not None for axis in axes], tree)

    def batch_of_one(self, example: int) -> tuple[Any, Any]:
        """Return the arguments of one example, with the batch axis."""
        leaves = [
            copied(leaf) if axis is None else taken(leaf, axis, slice(example, example + 1))
            for leaf, axis in zip(self.call.leaves, self.call.axes or (), strict=True)
        ]
        args, kwargs = jax.tree.unflatten(self.call.tree, leaves)
        return args, kwargs

    def _check_leaves(self) -> None:
        """Raise if there is no telling what one example of an argument is."""
        call = self.call
        for name, leaf, axis in zip(call.names, call.leaves, call.axes or (), strict=True):
            if axis is None or isinstance(leaf, (jax.Array, np.ndarray)):
                continue
            try:
                jnp.asarray(leaf)
            except (TypeError, ValueError) as error:
                kind = type(leaf).__name__
                raise TypeError(
                    f"check: {name} is of type {kind}, of which only jax.vmap knows what one "
                    f"example is. Register {kind} as a pytree, too, and the loop can take one."
                ) from error

    @functools.cached_property
    def _inside(self) -> tuple[Any, list[Any], list[int | None]]:
        """Return the tree of one example, the leaves it is taken from, and their batch axes.

        A class that has rules of its own for what one example of it is, as BCOO of
        `jax.experimental.sparse`, is not what its leaves say: `jax.vmap` takes it apart.
        """
        call = self._with_leading_axes
        tree: Any = call.tree

        def note(*args: Any, **kwargs: Any) -> tuple[()]:
            nonlocal tree
            tree = jax.tree.structure((args, kwargs))
            return ()

        self._check_leaves()
        call.batched_jaxpr(note)
        if tree == call.tree:
            return tree, [*call.leaves], [*(call.axes or ())]
        rest: list[Any] = []

        def mapped(*args: Any, **kwargs: Any) -> list[Any]:
            leaves = jax.tree.leaves((args, kwargs))
            rest.extend(None if isinstance(leaf, jax.core.Tracer) else leaf for leaf in leaves)
            return [leaf for leaf in leaves if isinstance(leaf, jax.core.Tracer)]

        args, kwargs = call.arguments
        batches = iter(jax.vmap(mapped, call.vmap.in_axes)(*args, **kwargs))
        leaves = [next(batches) if leaf is None else leaf for leaf in rest]
        return tree, leaves, [0 if leaf is None else None for leaf in rest]


class Example(NamedTuple):
    """The arguments of one example: leaves, which of them are this example's alone, their tree."""

    leaves: list[Any]
    is_mapped: list[bool]
    tree: Any

    @property
    def mapped(self) -> list[Any]:
        """The leaves that are this example's alone."""
        return [*itertools.compress(self.leaves, self.is_mapped)]

    def filled(self, mapped: Iterable[Any]) -> tuple[Any, Any]:
        """Return the arguments with others in the place of those that are this example's alone."""
        leaves = filled(self.leaves, self.is_mapped, mapped)
        args, kwargs = jax.tree.unflatten(self.tree, leaves)
        return args, kwargs


def copied(leaf: Any) -> Any:
    """Return a copy of an array, or what else a leaf is."""
    if isinstance(leaf, jax.Array) and not isinstance(leaf, jax.core.Tracer):
        return jnp.array(leaf, copy=True)
    return leaf.copy() if isinstance(leaf, np.ndarray) else leaf


def taken(leaf: Any, axis: int, examples: int | slice | jax.Array) -> Any:
    """Return one example of a leaf, or a batch of some, in memory of its own."""
    array = jnp.asarray(leaf)
    axis = range(array.ndim)[axis]
    index = (slice(None),) * axis + (examples,)
    if (sharding := sharding_of_type(array)) is None:
        some = array[index]
    else:
        # Of an axis that the type says is sharded, JAX takes nothing unless it is told where to,
        # and of random keys not even then.
        places = [*sharding.spec, *[None] * array.ndim][: array.ndim]
        places[axis : axis + 1] = [] if isinstance(examples, int) else [None]
        out = NamedSharding(sharding.mesh, PartitionSpec(*places))
        whole = jax.device_put(array, NamedSharding(sharding.mesh, PartitionSpec()))
        some = jax.device_put(whole[index], out)
    return copied(some) if some is array else some
