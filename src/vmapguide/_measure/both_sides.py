"""Run both sides of `check`: `jax.vmap(f)` on the batch, and the loop over the examples, in Python.

Start with `Sides.compare`. The loop is the reference: what it returns is what is expected.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vmapguide._advice.vmap_notes import noting
from vmapguide._data import LeafResult
from vmapguide._jaxpr.walk import plain_call
from vmapguide._measure import agreement
from vmapguide._measure.arguments import Arguments, Example, taken
from vmapguide._measure.causes.stand_ins import with_stand_ins
from vmapguide._measure.compiled_loop import Run, run_loop, trace_program
from vmapguide._measure.progress import tracked
from vmapguide._measure.structure import below_metadata
from vmapguide._trace.call import Call, spread
from vmapguide._trace.user_names import function_name


class Results(NamedTuple):
    """One leaf of the results of both sides, for some of the examples."""

    path: str
    expected: list[jax.Array]
    actual: jax.Array


class Sides:
    """The two sides of a check: `jax.vmap(f)` of the whole batch, and the loop."""

    def __init__(self, call: Call, rtol: float | None, atol: float | None) -> None:
        """Take the call, and look at its arguments."""
        self.call = call
        self.tolerances = rtol, atol
        self.arguments = Arguments(call)

    def batched(self, f: Callable[..., Any]) -> Any:
        """Return what `jax.vmap(f)` returns for the whole batch."""
        args, kwargs = self.arguments.whole()
        with noting("check", self.call):
            try:
                return self.call.vmap(f)(*args, **kwargs)
            except Exception as error:
                if self.call.axes is not None:
                    name = function_name(self.call.f)
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
        run, mapped = self._prepared(f, example)
        return run(mapped)

    def _prepared(self, f: Callable[..., Any], example: int) -> tuple[Run, list[Any]]:
        """Return what runs `f` for an example, and the arguments that are this example's alone."""
        one = self.arguments.example(example)
        return functools.partial(self._run, f, one), one.mapped

    def _run(self, f: Callable[..., Any], one: Example, mapped: Sequence[Any]) -> Any:
        """Return what `f` returns for the arguments of one example."""
        if self.call.vmap.axis_name is None:
            args, kwargs = one.filled(mapped)
            return f(*args, **kwargs)
        # Only inside `jax.vmap` does the axis have its name. But no batching rule of the user's
        # may have a say in the loop.
        plain = with_stand_ins(f, plain_call)

        def inside(*mapped: Any) -> Any:
            args, kwargs = one.filled(mapped)
            return plain(*args, **kwargs)

        vmap = dataclasses.replace(self.call.vmap, in_axes=0, out_axes=0, axis_size=1)
        results = vmap(inside)(*(jnp.expand_dims(leaf, 0) for leaf in mapped))
        return jax.tree.map(lambda leaf: leaf[0], results)

    def loop(self, f: Callable[..., Any], examples: Sequence[int]) -> Iterator[Any]:
        """Yield what `f` returns for one example after the other."""
        return run_loop(functools.partial(self._prepared, f), examples)

    def results(self, f: Callable[..., Any], examples: tuple[int, ...]) -> list[Results]:
        """Run both sides."""
        inside: Any = None

        @functools.wraps(f)
        def noted(*args: Any, **kwargs: Any) -> Any:
            nonlocal inside
            one = f(*args, **kwargs)
            inside = jax.tree.structure(one)
            return one

        whole = self.batched(noted)
        loop = []
        counted: set[int] = set()
        for example, one in zip(examples, self._noted_loop(f, examples), strict=True):
            if (structure := jax.tree.structure(one)) != inside:
                numbers = self._counted(f, example, one, inside)
                if numbers is None:
                    raise TypeError(
                        f"check: the loop and jax.vmap return results of different structure: for "
                        f"example {example} the loop returns {structure}, jax.vmap {inside}. "
                        f"Return the same structure whatever the values are."
                    )
                counted |= numbers
            loop.append([_as_array(leaf, example) for leaf in jax.tree.leaves(one)])
        leaves = jax.tree_util.tree_leaves_with_path(whole)
        axes = spread(self.call.vmap.out_axes, whole)
        results = []
        for number, ((path, leaf), axis) in enumerate(zip(leaves, axes, strict=True)):
            actual = _chosen(leaf, axis, examples)
            expected = list(actual) if number in counted else [one[number] for one in loop]
            results.append(Results(jax.tree_util.keystr(path), expected, actual))
        return results

    def _counted(self, f: Callable[..., Any], example: int, one: Any, inside: Any) -> Any:
        """Return which leaves are numbers that JAX counts, and so are no results.

        `checkify` numbers its errors for every trace, in metadata and in a leaf below.

        Returns:
            The numbers of the leaves; None if the structures of the two sides really differ.
        """
        structure: Any = jax.tree.structure(one)
        below = below_metadata(one, structure, inside)
        again = self.one(f, example)
        if below is None or jax.tree.structure(again) == structure:
            return None
        return {
            number
            for number, (is_below, *pair) in enumerate(
                zip(below, *map(jax.tree.leaves, (one, again)), strict=False)
            )
            if is_below
            and jnp.issubdtype(jnp.result_type(pair[0]), jnp.integer)
            and not agreement.compare_leaves("", *pair).identical
        }

    def _noted_loop(self, f: Callable[..., Any], examples: tuple[int, ...]) -> Iterator[Any]:
        """Run the loop; an error says that it was the loop, for which example, and why."""
        results = self.loop(f, examples)
        for example in tracked(examples, "check: the loop", total=len(examples)):
            try:
                yield next(results)
            except Exception as error:
                error.add_note(
                    f"check: the loop raised this, for example {example}; jax.vmap did not raise "
                    f"anything.{self._why(f, example)}"
                )
                raise

    def _why(self, f: Callable[..., Any], example: int) -> str:
        """Say why only the loop raises an error, as far as it is known."""
        if self.call.vmap.axis_name is not None:
            return (
                " In the loop every example is a batch of one, and a collective that needs all of "
                "them, such as ppermute, cannot be checked against it."
            )
        with contextlib.suppress(Exception):
            if trace_program(*self._prepared(f, example)) is not None:
                return (
                    " Inside vmap a function sees no values, so what it raises because of one is "
                    "raised in the loop alone."
                )
        return ""

    def compare(self, f: Callable[..., Any], examples: tuple[int, ...]) -> tuple[LeafResult, ...]:
        """Compare the loop over `f` with `jax.vmap(f)`."""
        return self.leaf_results(self.results(f, examples))

    def leaf_results(self, results: list[Results], epsilon: float = 0) -> tuple[LeafResult, ...]:
        """Compare what both sides returned. Types are compared first, and tell for one example.

        Args:
            results: the leaves.
            epsilon: that of what they are computed by, if it is coarser than their dtypes.
        """
        return tuple(self._leaf(leaf, epsilon) for leaf in results)

    def _leaf(self, leaf: Results, epsilon: float) -> LeafResult:
        """Compare one leaf: the types of one example first, and then all values together."""
        type_text = agreement.type_text(
            jax.ShapeDtypeStruct(leaf.actual.shape[1:], leaf.actual.dtype)
        )
        for place, one in enumerate(leaf.expected):
            if agreement.type_text(one) != type_text:
                other = leaf.actual[place]
                return agreement.compare_leaves(leaf.path, one, other, *self.tolerances)
        stacked = _stacked(leaf.expected), leaf.actual
        return dataclasses.replace(
            agreement.compare_leaves(leaf.path, *stacked, *self.tolerances, epsilon=epsilon),
            expected_type=type_text,
            actual_type=type_text,
        )


def _as_array(leaf: Any, example: int) -> jax.Array:
    """Return a result of the loop as `jax.vmap` returns it: there NumPy's arrays become JAX's."""
    try:
        return jnp.asarray(leaf)
    except TypeError as error:
        raise TypeError(
            f"check: for example {example} the loop returns a {type(leaf).__name__}, where "
            f"jax.vmap returns an array. Return arrays, numbers or pytrees of them, whatever the "
            f"values are."
        ) from error


def _stacked(leaves: list[Any]) -> Any:
    """Return arrays of one type stacked, by NumPy if it can: it need not compile that."""
    if jnp.issubdtype(leaves[0].dtype, jax.dtypes.extended):
        return jnp.stack(leaves)
    return np.stack([np.asarray(leaf) for leaf in leaves])


def _chosen(leaf: Any, axis: int | None, examples: tuple[int, ...]) -> jax.Array:
    """Return the values that a batched result has for some examples, along axis 0."""
    leaf = jnp.asarray(leaf)
    if axis is None:
        return jnp.broadcast_to(leaf, (len(examples), *leaf.shape))
    return jnp.moveaxis(taken(leaf, axis, jnp.asarray(examples)), axis, 0)
