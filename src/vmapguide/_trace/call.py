"""A call of `jax.vmap(f)`: its arguments, which of them are traced, and its jaxpr.

Start with `Call.of`, and with `Call.settled`, which finds out how much of the arguments can be
traced. `Edited` is a function that runs an edited jaxpr of another one, inside of `jax.vmap`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.extend.core as jec
import numpy as np

from vmapguide._trace.user_names import leaf_names


# Which arguments a function does not see the values of.
TracedArguments = Literal["all", "mapped"]


@dataclass(frozen=True)
class Vmap:
    """The arguments of a `jax.vmap` but for the function."""

    in_axes: Any = 0
    out_axes: Any = 0
    axis_name: Any = None
    axis_size: int | None = None
    spmd_axis_name: Any = None

    def __call__(self, f: Callable[..., Any]) -> Callable[..., Any]:
        """Return `jax.vmap(f)` with these arguments."""
        return jax.vmap(f, **vars(self))


@dataclass(frozen=True, eq=False)
class Call:
    """A call of `jax.vmap(f)`: its arguments, flat, and which of them are traced.

    What is not traced reaches the function as it is: strings, functions, and numbers and arrays
    that the function needs to know. `jax.vmap` passes unmapped arguments through in the same way
    when it is not inside another transformation.

    Attributes:
        f: the function of one example.
        vmap: the arguments of the `jax.vmap`.
        leaves: the leaves of the arguments.
        tree: their structure, of `(args, kwargs)`.
        names: what the user calls each leaf.
        axes: the axis that each leaf is mapped over; None if `in_axes` does not fit.
        mapped: whether each leaf is mapped.
        traced: whether each leaf is traced.
        is_eager: whether what is not traced is computed, as outside of other transformations.
    """

    f: Callable[..., Any]
    vmap: Vmap
    leaves: tuple[Any, ...]
    tree: Any
    names: tuple[str, ...]
    axes: tuple[int | None, ...] | None
    mapped: tuple[bool, ...]
    traced: tuple[bool, ...]
    is_eager: bool = False

    @classmethod
    def of(cls, f: Callable[..., Any], vmap: Vmap, args: Any, kwargs: Any) -> Call:
        """Return a call with these arguments, of which all arrays and numbers are traced."""
        leaves, tree = jax.tree.flatten((args, kwargs))
        axes = leaf_axes(vmap.in_axes, args, kwargs)
        entries = leaf_entries(vmap.in_axes, args, kwargs)
        return cls(
            f=f,
            vmap=vmap,
            leaves=tuple(leaves),
            tree=tree,
            names=tuple(leaf_names(f, args, kwargs)),
            axes=axes,
            mapped=tuple(entry is not None for entry in entries or [0] * len(leaves)),
            traced=tuple(_is_array(leaf) or _is_number(leaf) for leaf in leaves),
        )

    @property
    def arguments(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The positional arguments and the keyword arguments."""
        args, kwargs = jax.tree.unflatten(self.tree, self.leaves)
        return args, kwargs

    def batched_jaxpr(
        self, f: Callable[..., Any], *, is_eager: bool | None = None
    ) -> jec.ClosedJaxpr:
        """Return the jaxpr of `jax.vmap(f)` of these arguments."""

        def staged(*traced: Any) -> Any:
            args, kwargs = jax.tree.unflatten(self.tree, filled(self.leaves, self.traced, traced))
            with self.computing(is_eager):
                return self.vmap(f)(*args, **kwargs)

        return jax.make_jaxpr(staged)(*self.traced_leaves)

    def resized(self, axis_size: int, leaves: Sequence[Any]) -> Call:
        """Return the same call with another batch size: other leaves, traced as these are."""
        size = axis_size if self.vmap.axis_size is not None else None
        vmap = dataclasses.replace(self.vmap, axis_size=size)
        return dataclasses.replace(self, leaves=tuple(leaves), vmap=vmap)

    @property
    def traced_names(self) -> tuple[str, ...]:
        """The names of the leaves that are traced, in their order."""
        return tuple(itertools.compress(self.names, self.traced))

    @property
    def traced_leaves(self) -> tuple[Any, ...]:
        """The leaves that are traced, in their order."""
        return tuple(itertools.compress(self.leaves, self.traced))

    @property
    def traced_axes(self) -> tuple[int | None, ...]:
        """The axes that the leaves that are traced are mapped over; None also if not known."""
        axes = self.axes or (None,) * len(self.leaves)
        return tuple(itertools.compress(axes, self.traced))

    def text(self) -> str:
        """Return the arguments of the `jax.vmap` as written: `in_axes=(0, None)`."""
        given = {k: v for k, v in vars(self.vmap).items() if v != getattr(Vmap, k)}
        return ", ".join(f"{k}={v!r}" for k, v in ({"in_axes": self.vmap.in_axes} | given).items())

    def settled(self, traced: TracedArguments = "all") -> tuple[Call, jec.ClosedJaxpr]:
        """Return this call with as many of its arguments traced as `f` allows, and its jaxpr.

        A function may use an unmapped number in `range`, or an unmapped array in `if`.

        Args:
            traced: `all`, or `mapped`: what is not mapped is passed on, as `jax.vmap` does it.

        Raises:
            Exception: what `jax.vmap(f)` raises if it is called with these arguments.
        """
        no_numbers = tuple(
            t and not _is_number(v) for t, v in zip(self.traced, self.leaves, strict=True)
        )
        for attempt in () if traced == "mapped" else (self.traced, no_numbers):
            call = dataclasses.replace(self, traced=attempt)
            try:
                return call, call.batched_jaxpr(call.f)
            except NotImplementedError:
                # No value would help, and the callback that JAX refuses must not be called.
                raise
            except Exception:  # noqa: BLE001, S112
                continue
        # Outside of other transformations, `jax.vmap` computes what depends on no mapped argument.
        # What it raises is what comes through.
        only_mapped = tuple(
            t and (is_mapped or isinstance(leaf, jax.ShapeDtypeStruct))
            for t, leaf, is_mapped in zip(no_numbers, self.leaves, self.mapped, strict=True)
        )
        call = dataclasses.replace(self, traced=only_mapped, is_eager=True)
        return call, call.batched_jaxpr(call.f)

    def computing(self, is_eager: bool | None = None) -> AbstractContextManager[object]:
        """Return in what `f` is to run, so that what is not traced is computed."""
        is_eager = self.is_eager if is_eager is None else is_eager
        return jax.ensure_compile_time_eval() if is_eager else contextlib.nullcontext()


class Traced(NamedTuple):
    """The jaxpr of a function on one example, and the tree of its results."""

    jaxpr: jec.ClosedJaxpr
    results: Any

    @classmethod
    def of(cls, f: Callable[..., Any], arguments: Sequence[Any]) -> Traced:
        """Trace a function with these arguments."""
        jaxpr, shapes = jax.make_jaxpr(f, return_shape=True)(*arguments)
        return cls(jaxpr, jax.tree.structure(shapes))

    def run(self, arguments: Sequence[Any]) -> Any:
        """Evaluate it, one equation after the other: each is compiled, as it is without a jaxpr."""
        return self.results.unflatten(jec.jaxpr_as_fun(self.jaxpr)(*arguments))


class Edited:
    """A function that computes what another one does, by way of its edited jaxpr.

    Inside `jax.vmap` it is called with one example. It traces the function there, so that
    `in_axes`, axis names and everything else are the business of the real `jax.vmap`.
    """

    def __init__(
        self,
        f: Callable[..., Any],
        edit: Callable[[jec.ClosedJaxpr], Any],
        kind: type = jax.core.Tracer,
        computing: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext,
    ) -> None:
        """Take the function, what to do with its jaxpr, what to trace, and in what to run it."""
        self.f = f
        self.edit = edit
        self.kind = kind
        self.computing = computing
        self.traced: Traced | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Trace the function on one example, edit the jaxpr and evaluate it."""
        leaves, tree = jax.tree.flatten((args, kwargs))
        is_traced = [isinstance(leaf, self.kind) for leaf in leaves]

        def per_example(*tracers: Any) -> Any:
            args, kwargs = jax.tree.unflatten(tree, filled(leaves, is_traced, tracers))
            with self.computing():
                return self.f(*args, **kwargs)

        tracers = [*itertools.compress(leaves, is_traced)]
        self.traced = Traced.of(per_example, tracers)
        return self.traced._replace(jaxpr=self.edit(self.traced.jaxpr)).run(tracers)


def filled(leaves: Sequence[Any], is_other: Sequence[bool], others: Iterable[Any]) -> list[Any]:
    """Return leaves with others in the place of some."""
    rest = iter(others)
    return [next(rest) if is_ else leaf for leaf, is_ in zip(leaves, is_other, strict=True)]


def _is_array(leaf: Any) -> bool:
    return hasattr(leaf, "shape") and hasattr(leaf, "dtype")


def _is_number(leaf: Any) -> bool:
    return isinstance(leaf, (bool, int, float, complex, np.number, np.bool_))


def leaf_axes(in_axes: Any, args: Any, kwargs: Any) -> tuple[int | None, ...] | None:
    """Return the axis each leaf of the arguments is mapped over.

    None if `in_axes` does not fit their structure, or holds what is neither an int nor None.
    """
    entries = leaf_entries(in_axes, args, kwargs)
    if entries is None or not all(axis is None or isinstance(axis, int) for axis in entries):
        return None
    return tuple(entries)


def leaf_entries(in_axes: Any, args: Any, kwargs: Any) -> list[Any] | None:
    """Return the entry of `in_axes` for each leaf of the arguments; None if it does not fit them.

    It may be what only a type that is registered with JAX understands.
    """
    prefix = tuple(in_axes) if isinstance(in_axes, list) else in_axes
    try:
        positional = spread(prefix, args)
    except Exception:  # noqa: BLE001
        return None  # `jax.vmap` will say what is wrong with it.
    return positional + [0] * len(jax.tree.leaves(kwargs))


def spread(axes: Any, values: Any) -> list[Any]:
    """Return the entry of `in_axes` or `out_axes` for each leaf of what they are about."""

    def is_none(value: Any) -> bool:
        return value is None

    every = jax.tree.leaves(jax.tree.broadcast(axes, values, is_leaf=is_none), is_leaf=is_none)
    # None among the values has no leaf, and among the axes says that there is none.
    leaves = jax.tree.leaves(values, is_leaf=is_none)
    return [axis for axis, leaf in zip(every, leaves, strict=True) if leaf is not None]
