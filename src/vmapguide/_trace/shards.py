"""Which arguments are sharded over several devices, and what one device has of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import jax

from vmapguide._data import Sharded
from vmapguide._jaxpr import to_data


def sharding_of(leaf: Any) -> Any:
    """Return where an argument lies if that is several devices, else None.

    What is traced by a transformation around the call has no devices, unless its type says so.
    """
    sharding = getattr(leaf, "sharding", None)
    is_several = isinstance(sharding, jax.sharding.Sharding) and sharding.num_devices > 1
    return sharding if is_several else None


def sharded_leaves(names: Iterable[str], leaves: Iterable[Any]) -> tuple[Sharded, ...]:
    """Return those leaves of arguments of which no device has all."""
    return tuple(_sharded(names, leaves))


def _sharded(names: Iterable[str], leaves: Iterable[Any]) -> Iterator[Sharded]:
    for name, leaf in zip(names, leaves, strict=True):
        sharding = sharding_of(leaf)
        if sharding is None or sharding.is_fully_replicated:
            continue
        yield Sharded(
            name,
            type=_type_text(leaf.shape, leaf.dtype),
            shard_type=_type_text(sharding.shard_shape(leaf.shape), leaf.dtype),
            devices=sharding.num_devices,
        )


def _type_text(shape: tuple[int, ...], dtype: Any) -> str:
    return str(to_data.type_of(jax.typeof(jax.ShapeDtypeStruct(shape, dtype))))
