"""The two sides of a check, run: `jax.vmap(f)` of the whole batch, and the Python loop over `f`."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp

from vmapguide import _errors, _jaxpr, _names, _numbers
from vmapguide._numbers import LeafResult
from vmapguide._progress import tracked
from vmapguide._sourcemap import Call, Edited, spread
from vmapguide._vmap_notes import vmap_notes


class Sides:
    """The two sides of a check: `jax.vmap(f)` of the whole batch, and the loop."""

    def __init__(self, call: Call, rtol: float | None, atol: float | None) -> None:
        """Take the call, and look at its arguments."""
        self.call = call
        self.tolerances = rtol, atol
        self.args, self.kwargs = jax.tree.unflatten(call.tree, call.leaves)
        for name, leaf in zip(call.names, call.leaves, strict=True):
            if isinstance(leaf, jax.ShapeDtypeStruct):
                raise TypeError(
                    f"check: {name} is a type without values, {_errors.describe(leaf)}, and check "
                    f"runs the function. Pass an array; explain and cost need types alone."
                )

    @functools.cached_property
    def batch_size(self) -> int:
        """How many examples there are."""
        sizes = [
            jnp.shape(leaf)[axis]
            for leaf, axis in zip(self.call.leaves, self.call.axes or (), strict=False)
            if axis is not None and -len(jnp.shape(leaf)) <= axis < len(jnp.shape(leaf))
        ]
        if self.call.vmap.axis_size is not None:
            sizes.append(self.call.vmap.axis_size)
        # Where there is none, `jax.vmap` says what is wrong when it is called.
        size = sizes[0] if sizes else 1
        if size == 0:
            raise ValueError(
                "check: the batch is empty, so there is no example to check. Pass at least one."
            )
        return size

    def batched(self, f: Callable[..., Any]) -> Any:
        """Return what `jax.vmap(f)` returns for the whole batch."""
        try:
            return self.call.vmap(f)(*self.args, **self.kwargs)
        except Exception as error:
            name = _names.function_name(self.call.f)
            try:
                self.one(f, 0)
                loop = "the loop does not: it ran the first example."
            except Exception:  # noqa: BLE001
                loop = "the loop fails, too."
            if self.call.axes is not None:
                error.add_note(f"check: jax.vmap({name}) raised this; {loop}")
            for note in vmap_notes("check", error, self.call):
                error.add_note(note)
            raise

    def one(self, f: Callable[..., Any], example: int) -> Any:
        """Return what `f` returns for one example."""
        alone = self.call.vmap.axis_name is not None
        leaves = [
            leaf if axis is None else _taken(leaf, axis, example, keep=alone)
            for leaf, axis in zip(self.call.leaves, self.call.axes or (), strict=True)
        ]
        args, kwargs = jax.tree.unflatten(self.call.tree, leaves)
        if not alone:
            return f(*args, **kwargs)
        # A batch of one: only inside `jax.vmap` does the axis have its name. But no batching rule
        # of the user's may have a say in the loop.
        f = Edited(f, _jaxpr.with_plain_calls, kind=jax.Array)
        size = None if self.call.vmap.axis_size is None else 1
        results = dataclasses.replace(self.call.vmap, axis_size=size)(f)(*args, **kwargs)
        structure: Any = jax.tree.structure(results)
        return structure.unflatten(_taken(leaf, axis, 0) for leaf, axis in self._with_axes(results))

    def compare(self, f: Callable[..., Any], examples: tuple[int, ...]) -> tuple[LeafResult, ...]:
        """Compare the loop over `f` with `jax.vmap(f)`."""
        whole = self.batched(f)
        structure: Any = jax.tree.structure(whole)
        loop = []
        for example in tracked(examples, "check: the loop", total=len(examples)):
            try:
                one = self.one(f, example)
            except Exception as error:
                error.add_note(
                    f"check: the loop raised this, for example {example}; jax.vmap did not raise "
                    f"anything. Inside vmap a function sees no values, so what it raises because "
                    f"of one is raised in the loop alone."
                )
                raise
            if jax.tree.structure(one) != structure:
                raise TypeError(
                    f"check: the loop and jax.vmap return results of different structure: for "
                    f"example {example} the loop returns {jax.tree.structure(one)}, jax.vmap "
                    f"{structure}. Return the same structure whatever the values are."
                )
            loop.append(jax.tree.leaves(one))
        paths = [
            jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(whole)
        ]
        return tuple(
            self._leaf(path, expected, [_taken(leaf, axis, example) for example in examples])
            for path, expected, (leaf, axis) in zip(
                paths, zip(*loop, strict=True), self._with_axes(whole), strict=True
            )
        )

    def _with_axes(self, results: Any) -> Iterator[tuple[Any, int | None]]:
        """Yield the leaves of batched results, each with the place of its batch axis."""
        axes = spread(self.call.vmap.out_axes, results)
        yield from zip(jax.tree.leaves(results), axes, strict=True)

    def _leaf(self, path: str, expected: tuple[Any, ...], actual: list[Any]) -> LeafResult:
        """Compare one leaf of all examples. Types are compared first, and tell for one example."""
        for one, other in zip(expected, actual, strict=True):
            first = _numbers.compare_leaves(path, one, other, *self.tolerances)
            if first.expected_type != first.actual_type:
                return first
        stacked = jnp.stack([*map(jnp.asarray, expected)]), jnp.stack(actual)
        return dataclasses.replace(
            _numbers.compare_leaves(path, *stacked, *self.tolerances),
            expected_type=first.expected_type,
            actual_type=first.actual_type,
        )


def _taken(leaf: Any, axis: int | None, example: int, *, keep: bool = False) -> Any:
    """Return one example of a leaf, or the batch of it alone."""
    leaf = jnp.asarray(leaf)
    if axis is None:
        return leaf
    index = slice(example, example + 1) if keep else example
    return leaf[(slice(None),) * range(leaf.ndim)[axis] + (index,)]
