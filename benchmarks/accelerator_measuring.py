"""How a table of `accelerator.py` is made, and how a time and the memory in it are measured."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax


Row = dict[str, Any]

# Of the samples of one time: so many at least, so many at most, and seconds if they are slow.
LEAST, MOST, SECONDS = 3, 200, 0.15


@dataclass(frozen=True)
class Table:
    """What a table shows, its columns, and the function that measures it: all of it, or less."""

    says: str
    columns: tuple[str, ...]
    rows: Callable[[bool], Iterator[Row]]


TABLES: dict[str, Table] = {}


def table(says: str, *columns: str) -> Callable[[Callable[[bool], Iterator[Row]]], None]:
    """Put a function among the tables, by its name."""

    def put(rows: Callable[[bool], Iterator[Row]]) -> None:
        TABLES[rows.__name__] = Table(says, columns, rows)

    return put


# -- Measuring --------------------------------------------------------------


def us(f: Callable[..., Any], *args: Any, jit: bool = True) -> float:
    """Return the microseconds of a call until its result is there."""
    call = jax.jit(f) if jit else f
    jax.block_until_ready(call(*args))
    samples: list[float] = []
    while len(samples) < LEAST or (len(samples) < MOST and sum(samples) < SECONDS):
        start = time.perf_counter()
        jax.block_until_ready(call(*args))
        samples.append(time.perf_counter() - start)
    return 1e6 * statistics.median(samples)


def memory(f: Callable[..., Any], *args: Any) -> Row:
    """Return the megabytes that the compiled program needs for itself, and for its results."""
    found: Any = jax.jit(f).lower(*args).compile().memory_analysis()
    return {
        "temporary_MB": found.temp_size_in_bytes / 1e6,
        "results_MB": found.output_size_in_bytes / 1e6,
    }


def normal(*shape: int, seed: int = 0) -> jax.Array:
    """Return normal numbers."""
    return jax.random.normal(jax.random.key(seed), shape)
