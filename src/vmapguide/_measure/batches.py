"""The options `sweep=` and `jit=` of `benchmark`, checked, and the batches of the sizes of a sweep.

`checked_sizes` and `checked_jit` raise if the options are wrong. `resized` makes a batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from vmapguide._advice import wrong_calls
from vmapguide._measure.arguments import taken
from vmapguide._trace.call import leaf_axes
from vmapguide._trace.shards import sharding_of


def checked_sizes(sweep: Any) -> tuple[int | None, ...]:
    """Return batch sizes in their order, each once; None if there is no sweep."""
    if sweep is None:
        return (None,)
    if isinstance(sweep, (str, bytes)) or not isinstance(sweep, Iterable):
        raise TypeError(
            f"benchmark: sweep= must be batch sizes, as in sweep=(1, 8, 64), but is {sweep!r}."
        )
    sizes = tuple(
        wrong_calls.number("benchmark", "a batch size of sweep=", size, 1) for size in sweep
    )
    if not sizes:
        raise ValueError(
            "benchmark: sweep= names no batch size: pass some, as in sweep=(1, 8, 64)."
        )
    return tuple(sorted(set(sizes)))


def checked_jit(jit: Any, sides: Mapping[str, Any]) -> dict[str, bool]:
    """Return for each side whether it is compiled."""
    if not isinstance(jit, Mapping):
        return dict.fromkeys(sides, wrong_calls.flag("benchmark", "jit", jit))
    for name in jit:
        if name not in sides:
            raise ValueError(
                f"benchmark: jit= names {name!r}, and there is no such side; there are "
                f"{', '.join(sides)}. Name sides as they are called: benchmark(vmap=f, "
                f'as_it_is=f, jit={{"as_it_is": False}}).'
            )
    return {name: wrong_calls.flag("benchmark", "jit", jit.get(name, True)) for name in sides}


def resized(args: Any, kwargs: Any, in_axes: Any, size: int) -> tuple[Any, Any]:
    """Return the arguments with as many examples, taken in turn and from the start again."""
    axes = leaf_axes(in_axes, args, kwargs)
    leaves, tree = jax.tree.flatten((args, kwargs))
    if axes is None:
        raise ValueError(
            f"benchmark: in_axes={in_axes!r} does not fit the arguments: it has one entry for each "
            f"positional argument, as for jax.vmap."
        )
    leaves_of_size = []
    for leaf, axis in zip(leaves, axes, strict=True):
        if axis is None:
            leaves_of_size.append(leaf)
            continue
        array = jnp.asarray(leaf)
        if not -array.ndim <= axis < array.ndim:
            raise ValueError(
                f"benchmark: in_axes says that axis {axis} of an argument counts examples, but it "
                f"is {wrong_calls.describe(array)}. Put None in its place for what all examples "
                f"share."
            )
        some = taken(array, axis, jnp.arange(size) % array.shape[axis])
        leaves_of_size.append(_sharded_alike(some, leaf))
    args, kwargs = jax.tree.unflatten(tree, leaves_of_size)
    return args, kwargs


def _sharded_alike(batch: Any, leaf: Any) -> Any:
    """Return a batch of another size on the devices that the argument lies on, and as it does."""
    sharding = sharding_of(leaf)
    if sharding is None:
        return batch
    try:
        return jax.device_put(batch, sharding)
    except ValueError as error:
        raise ValueError(
            f"benchmark: a batch of the type {wrong_calls.describe(batch)} cannot be sharded over "
            f"{sharding.num_devices} devices as the argument is. Name other sizes in sweep=."
        ) from error
