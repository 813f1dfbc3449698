"""Which per-example equation every batched equation came from.

The method:

1. Trace `f` on one example. JAX evaluates each equation of a jaxpr under the equation's own name
   stack, and batching keeps name stacks. So append a tag to the name stack of every equation,
   those of nested jaxprs included.
2. Let `jax.vmap` batch the tagged jaxpr. Every batched equation then carries the tag of the
   equation it came from, or lies inside one that does, or was made by `vmap` at its own boundary.
3. Trace `jax.vmap(f)` as it is. If the two are equal up to names, the tags of the one are read as
   the sources of the other. This is checked every time and never assumed.
"""

from __future__ import annotations

import copy
import dataclasses
import itertools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.extend.core as jec
import jax.numpy as jnp
import numpy as np

from vmapguide import _jaxpr
from vmapguide._jaxpr import AnyJaxpr, Place
from vmapguide._names import leaf_names


# XLA cuts names at "@", and name stacks are split at "/": neither may be in a tag.
_TAG = re.compile(r"vmapguide_(\d+)_(\d+)")


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


class Call:
    """A call of `jax.vmap(f)`: its arguments, flat, and which of them are traced.

    What is not traced reaches the function as it is: strings, functions, and numbers and arrays
    that the function needs to know. `jax.vmap` passes unmapped arguments through in the same way
    when it is not inside another transformation.
    """

    def __init__(self, f: Callable[..., Any], vmap: Vmap, args: Any, kwargs: Any) -> None:
        """Flatten the arguments; at first all arrays and numbers are traced."""
        self.f = f
        self.vmap = vmap
        self.leaves, self.tree = jax.tree.flatten((args, kwargs))
        self.names = leaf_names(f, args, kwargs)
        self.axes = leaf_axes(vmap.in_axes, args, kwargs)
        self.traced = [_is_array(leaf) or _is_number(leaf) for leaf in self.leaves]

    def batched_jaxpr(self, f: Callable[..., Any]) -> jec.ClosedJaxpr:
        """Return the jaxpr of `jax.vmap(f)` of these arguments."""
        leaves = self.leaves

        def staged(*traced: Any) -> Any:
            args, kwargs = jax.tree.unflatten(self.tree, _filled(leaves, self.traced, traced))
            return self.vmap(f)(*args, **kwargs)

        return jax.make_jaxpr(staged)(*itertools.compress(leaves, self.traced))

    def resized(self, axis_size: int, leaves: list[Any]) -> Call:
        """Return the same call with another batch size: other leaves, traced as these are."""
        call = copy.copy(self)
        call.leaves = leaves
        if self.vmap.axis_size is not None:
            call.vmap = dataclasses.replace(self.vmap, axis_size=axis_size)
        return call

    @property
    def traced_names(self) -> list[str]:
        """The names of the leaves that are traced, in their order."""
        return [*itertools.compress(self.names, self.traced)]

    def text(self) -> str:
        """Return the arguments of the `jax.vmap` as written: `in_axes=(0, None)`."""
        given = {k: v for k, v in vars(self.vmap).items() if v != getattr(Vmap, k)}
        return ", ".join(f"{k}={v!r}" for k, v in ({"in_axes": self.vmap.in_axes} | given).items())

    def settle(self) -> jec.ClosedJaxpr:
        """Return the jaxpr of `jax.vmap(f)`, tracing as many of the arguments as `f` allows.

        A function may use an unmapped number in `range`, or an unmapped array in `if`.

        Raises:
            Exception: what `jax.vmap(f)` raises if it is called with these arguments.
        """
        axes = self.axes or [0] * len(self.leaves)
        no_numbers = [
            t and not _is_number(v) for t, v in zip(self.traced, self.leaves, strict=True)
        ]
        only_mapped = [
            t and (axis is not None or isinstance(leaf, jax.ShapeDtypeStruct))
            for t, leaf, axis in zip(no_numbers, self.leaves, axes, strict=True)
        ]
        attempts = [self.traced]
        attempts += [a for a in (no_numbers, only_mapped) if a not in attempts]
        for attempt in attempts[:-1]:
            self.traced = attempt
            try:
                return self.batched_jaxpr(self.f)
            except Exception:  # noqa: BLE001, S112
                continue
        self.traced = attempts[-1]
        if self.traced == only_mapped:
            # An operation of JAX on a concrete array would be recorded; one of NumPy is done.
            self.leaves = [
                np.asarray(leaf) if _is_array(leaf) and not traced and _has_values(leaf) else leaf
                for leaf, traced in zip(self.leaves, self.traced, strict=True)
            ]
        return self.batched_jaxpr(self.f)


class Traced(NamedTuple):
    """The jaxpr of a function on one example, and the tree of its results."""

    jaxpr: jec.ClosedJaxpr
    results: Any


class Edited:
    """A function that computes what another one does, by way of its edited jaxpr.

    Inside `jax.vmap` it is called with one example. It traces the function there, so that
    `in_axes`, axis names and everything else are the business of the real `jax.vmap`.
    """

    def __init__(
        self,
        f: Callable[..., Any],
        edit: Callable[[jec.ClosedJaxpr], Any],
        traced: Traced | None = None,
        kind: type = jax.core.Tracer,
    ) -> None:
        """Take the function, what to do with its jaxpr, its trace if it is known, what to trace."""
        self.f = f
        self.edit = edit
        self.traced = traced
        self.kind = kind

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Trace the function on one example, edit the jaxpr and evaluate it."""
        leaves, tree = jax.tree.flatten((args, kwargs))
        is_traced = [isinstance(leaf, self.kind) for leaf in leaves]

        def per_example(*tracers: Any) -> Any:
            args, kwargs = jax.tree.unflatten(tree, _filled(leaves, is_traced, tracers))
            return self.f(*args, **kwargs)

        tracers = [*itertools.compress(leaves, is_traced)]
        if self.traced is None:
            jaxpr, shapes = jax.make_jaxpr(per_example, return_shape=True)(*tracers)
            self.traced = Traced(jaxpr, jax.tree.structure(shapes))
        results = jec.jaxpr_as_fun(self.edit(self.traced.jaxpr))(*tracers)
        return jax.tree.unflatten(self.traced.results, results)


@dataclass(frozen=True)
class SourceMap:
    """The jaxprs of `f` and of `jax.vmap(f)`, and how they hang together.

    Attributes:
        traced: the jaxpr of `f` on one example, and the tree of its results.
        batched: the jaxpr of `jax.vmap(f)`: of plain vmap, even if the tags disturbed the trace.
        origins: for every equation of `batched`, nested ones included, by its `id`: the place of
            the equation of `per_example` that it came from; None for the boundary. None in the
            place of the whole if the tags disturbed the trace.
    """

    traced: Traced
    batched: jec.ClosedJaxpr
    origins: Mapping[int, Place | None] | None

    @property
    def per_example(self) -> jec.ClosedJaxpr:
        """The jaxpr of `f` on one example."""
        return self.traced.jaxpr


def source_map(call: Call) -> SourceMap:
    """Trace a call of `jax.vmap(f)` and map it to `f`.

    Raises:
        Exception: what `jax.vmap(f)` raises if it is called with these arguments.
    """
    batched = call.settle()
    edited = Edited(call.f, _tag)
    tagged = call.batched_jaxpr(edited)
    origins = _origins(batched, tagged) if _jaxpr.equal(batched, tagged) else None
    assert edited.traced is not None  # noqa: S101 - `jax.vmap` has called it.
    return SourceMap(edited.traced, batched, origins)


def _tag(jaxpr: jec.ClosedJaxpr) -> AnyJaxpr:
    """Return the jaxpr with its equations' places written into their name stacks."""

    def tag(number: int, jaxpr: jec.Jaxpr, eqns: list[jec.JaxprEqn]) -> jec.Jaxpr:
        tagged = []
        for i, eqn in enumerate(eqns):
            stack = eqn.source_info.name_stack.extend(f"vmapguide_{number}_{i}")
            tagged.append(eqn.replace(source_info=eqn.source_info.replace(name_stack=stack)))
        return jaxpr.replace(eqns=tagged)  # type: ignore[no-any-return]

    return _jaxpr.rebuild(jaxpr, tag)


def _origins(batched: jec.ClosedJaxpr, tagged: jec.ClosedJaxpr) -> dict[int, Place | None]:
    """Read the tags of a jaxpr as the origins of the equations of its equal."""
    origins: dict[int, Place | None] = {}
    seen: set[int] = set()
    pending: list[tuple[jec.Jaxpr, jec.Jaxpr, Place | None]] = [
        (_jaxpr.opened(batched), _jaxpr.opened(tagged), None)
    ]
    while pending:
        ours, theirs, enclosing = pending.pop()
        if id(ours) in seen:
            continue
        seen.add(id(ours))
        for eqn, tagged_eqn in zip(ours.eqns, theirs.eqns, strict=True):
            tags = _TAG.findall(str(tagged_eqn.source_info.name_stack))
            # What a batching rule traced on its own has no tag but lies inside an equation.
            origin = (int(tags[-1][0]), int(tags[-1][1])) if tags else enclosing
            origins[id(eqn)] = origin
            inner = zip(_jaxpr.nested(eqn), _jaxpr.nested(tagged_eqn), strict=True)
            pending.extend((a, b, origin) for a, b in inner)
    return origins


def _filled(leaves: list[Any], is_traced: list[bool], traced: tuple[Any, ...]) -> list[Any]:
    """Return leaves with what stands for them in the place of those that are traced."""
    rest = iter(traced)
    return [next(rest) if t else leaf for leaf, t in zip(leaves, is_traced, strict=True)]


def _is_array(leaf: Any) -> bool:
    return hasattr(leaf, "shape") and hasattr(leaf, "dtype")


def _has_values(leaf: Any) -> bool:
    """Say whether NumPy can hold an array: it cannot hold typed keys, nor what is abstract."""
    return not isinstance(leaf, jax.ShapeDtypeStruct) and not jnp.issubdtype(
        leaf.dtype, jax.dtypes.extended
    )


def _is_number(leaf: Any) -> bool:
    return isinstance(leaf, (bool, int, float, complex, np.number, np.bool_))


def leaf_axes(in_axes: Any, args: Any, kwargs: Any) -> list[int | None] | None:
    """Return the axis each leaf of the arguments is mapped over.

    None if `in_axes` does not fit their structure, or holds what is neither an int nor None.
    """
    prefix = tuple(in_axes) if isinstance(in_axes, list) else in_axes
    try:
        positional = spread(prefix, args)
    except Exception:  # noqa: BLE001
        return None  # `jax.vmap` will say what is wrong with it.
    if not all(axis is None or isinstance(axis, int) for axis in positional):
        return None
    return positional + [0] * len(jax.tree.leaves(kwargs))


def spread(axes: Any, values: Any) -> list[int | None]:
    """Return the entry of `in_axes` or `out_axes` for each leaf of what they are about."""

    def is_none(value: Any) -> bool:
        return value is None

    every = jax.tree.leaves(jax.tree.broadcast(axes, values, is_leaf=is_none), is_leaf=is_none)
    # None among the values has no leaf, and among the axes says that there is none.
    leaves = jax.tree.leaves(values, is_leaf=is_none)
    return [axis for axis, leaf in zip(every, leaves, strict=True) if leaf is not None]
