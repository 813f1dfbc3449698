"""The two sides of a check, run: `jax.vmap(f)` of the whole batch, and the Python loop over `f`."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vmapguide import _errors, _jaxpr, _names, _numbers
from vmapguide._jaxpr import AnyJaxpr
from vmapguide._numbers import LeafResult
from vmapguide._progress import tracked
from vmapguide._sourcemap import Call, Edited, Vmap, spread
from vmapguide._vmap_notes import noting


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
            if isinstance(leaf, jax.core.Tracer):
                raise TypeError(
                    f"check: {name} is being traced, {_errors.describe(leaf)}, and check runs the "
                    f"function: it needs values. Call it outside of jit, vmap and grad."
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
        # Where there is none, or there are two, `jax.vmap` says what is wrong when it is called.
        size = sizes[0] if sizes else 1
        if sizes and not any(sizes):
            raise ValueError(
                "check: the batch is empty, so there is no example to check. Pass at least one."
            )
        return size

    def batched(self, f: Callable[..., Any]) -> Any:
        """Return what `jax.vmap(f)` returns for the whole batch."""
        with noting("check", self.call):
            try:
                return self.call.vmap(f)(*self.args, **self.kwargs)
            except Exception as error:
                if self.call.axes is not None:
                    name = _names.function_name(self.call.f)
                    error.add_note(f"check: jax.vmap({name}) raised this; {self._about_loop(f)}.")
                raise

    def _about_loop(self, f: Callable[..., Any]) -> str:
        """Say whether the loop fails as well, by its first example."""
        try:
            self.one(f, 0)
        except Exception:  # noqa: BLE001 - one error is enough.
            return "the loop fails, too"
        return "the loop does not: it ran the first example"

    def one(self, f: Callable[..., Any], example: int) -> Any:
        """Return what `f` returns for one example."""
        if self.call.vmap.axis_name is None:
            args, kwargs = self._arguments(example, keep=False)
            return f(*args, **kwargs)
        # Only inside `jax.vmap` does the axis have its name. But no batching rule of the user's
        # may have a say in the loop.
        vmap, args, kwargs = self.batch_of_one(example)
        results = vmap(edited(f, _jaxpr.with_plain_calls))(*args, **kwargs)
        structure: Any = jax.tree.structure(results)
        return structure.unflatten(_taken(leaf, axis, 0) for leaf, axis in self._with_axes(results))

    def batch_of_one(self, example: int) -> tuple[Vmap, Any, Any]:
        """Return the `jax.vmap` and the arguments of one example that is a batch of its own."""
        size = None if self.call.vmap.axis_size is None else 1
        vmap = dataclasses.replace(self.call.vmap, axis_size=size)
        return vmap, *self._arguments(example, keep=True)

    def _arguments(self, example: int, *, keep: bool) -> Any:
        """Return the arguments of one example, with or without the batch axis."""
        leaves = [
            leaf if axis is None else _taken(leaf, axis, example, keep=keep)
            for leaf, axis in zip(self.call.leaves, self.call.axes or (), strict=True)
        ]
        return jax.tree.unflatten(self.call.tree, leaves)

    def compare(self, f: Callable[..., Any], examples: tuple[int, ...]) -> tuple[LeafResult, ...]:
        """Compare the loop over `f` with `jax.vmap(f)`."""
        whole = self.batched(f)
        structure: Any = jax.tree.structure(whole)
        loop = []
        for example in tracked(examples, "check: the loop", total=len(examples)):
            try:
                one = self.one(f, example)
            except Exception as error:
                why = (
                    "Inside vmap a function sees no values, so what it raises because of one is "
                    "raised in the loop alone."
                    if self.call.vmap.axis_name is None
                    else "In the loop every example is a batch of one, and a collective that needs "
                    "all of them, such as ppermute, cannot be checked against it."
                )
                error.add_note(
                    f"check: the loop raised this, for example {example}; jax.vmap did not raise "
                    f"anything. {why}"
                )
                raise
            if jax.tree.structure(one) != structure:
                raise TypeError(
                    f"check: the loop and jax.vmap return results of different structure: for "
                    f"example {example} the loop returns {jax.tree.structure(one)}, jax.vmap "
                    f"{structure}. Return the same structure whatever the values are."
                )
            loop.append([_as_array(leaf, example) for leaf in jax.tree.leaves(one)])
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
        stacked = jnp.stack(expected), jnp.stack(actual)
        return dataclasses.replace(
            _numbers.compare_leaves(path, *stacked, *self.tolerances),
            expected_type=first.expected_type,
            actual_type=first.actual_type,
        )


def edited(f: Callable[..., Any], edit: Callable[[Any], AnyJaxpr]) -> Callable[..., Any]:
    """Return a function that computes what another one does, by way of its edited jaxpr.

    Unlike `Edited`, it works in the loop, too, and where the function needs to know a value.
    """

    def call(*args: Any, **kwargs: Any) -> Any:
        with contextlib.suppress(Exception):
            return Edited(f, edit, kind=jax.Array)(*args, **kwargs)
        # NumPy computes with a value even while JAX traces, and JAX would record it.
        args, kwargs = jax.tree.map(_with_value, (args, kwargs))
        return Edited(f, edit)(*args, **kwargs)

    return call


def _with_value(leaf: Any) -> Any:
    """Return a leaf as NumPy's if that can hold it."""
    is_concrete = isinstance(leaf, jax.Array) and not isinstance(leaf, jax.core.Tracer)
    if is_concrete and not jnp.issubdtype(leaf.dtype, jax.dtypes.extended):
        return np.asarray(leaf)
    return leaf


def _as_array(leaf: Any, example: int) -> jax.Array:
    """Return a result of the loop as what `jax.vmap` makes of it: NumPy's, too, is JAX's there."""
    try:
        return jnp.asarray(leaf)
    except TypeError as error:
        raise TypeError(
            f"check: for example {example} the loop returns a {type(leaf).__name__}, where "
            f"jax.vmap returns an array. Return arrays, numbers or pytrees of them, whatever the "
            f"values are."
        ) from error


def _taken(leaf: Any, axis: int | None, example: int, *, keep: bool = False) -> Any:
    """Return one example of a leaf, or the batch of it alone."""
    leaf = jnp.asarray(leaf)
    if axis is None:
        return leaf
    index = slice(example, example + 1) if keep else example
    return leaf[(slice(None),) * range(leaf.ndim)[axis] + (index,)]
