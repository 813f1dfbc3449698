"""Other calls to propose in the place of one that `jax.vmap` refused: each is tried first.

Every call that is returned from here has been traced, so what is proposed works. Start with
`share`, which puts None in the place of an axis, and `traced`, which tries a call.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.extend.core as jec
import jax.numpy as jnp

from vmapguide._jaxpr.walk import count_primitives
from vmapguide._trace.call import Call, filled
from vmapguide._trace.user_names import function_name, leaf_names


# An `in_axes` that is longer is not worth reading.
_LONGEST = 60


class Argument(NamedTuple):
    """One argument of a call: its position or keyword, its name, and which leaves are its own."""

    key: int | str
    name: str
    leaves: range


def arguments(call: Call) -> list[Argument]:
    """Return the arguments of a call, in the order of its leaves."""
    args, kwargs = call.arguments
    keys = [*range(len(args)), *sorted(kwargs)]
    names = leaf_names(call.f, [0] * len(args), dict.fromkeys(kwargs, 0))
    counts = [
        len(jax.tree.leaves(value)) for value in (*args, *(kwargs[k] for k in sorted(kwargs)))
    ]
    starts = itertools.accumulate(counts, initial=0)
    return [
        Argument(key, name, range(start, start + count))
        for key, name, start, count in zip(keys, names, starts, counts, strict=False)
    ]


def name_of(call: Call) -> str:
    """Return the name by which advice calls the function: `f` if it has none."""
    name = function_name(call.f)
    return name if name.isidentifier() else "f"


def traced(call: Call) -> jec.ClosedJaxpr | None:
    """Return the jaxpr of a call, or None if `jax.vmap` refuses it.

    What all examples share is computed only if the function needs its values: a callback of the
    user's must not run because a remedy is tried.
    """
    try:
        return call.batched_jaxpr(call.f)
    except Exception as error:  # noqa: BLE001 - whatever it is, the call is no remedy.
        needs_values = "Tracer" in str(error) or isinstance(
            error, jax.errors.NonConcreteBooleanIndexError
        )
        if not needs_values:
            return None
    try:
        return call.settled()[1]
    except Exception:  # noqa: BLE001 - the same.
        return None


def changed(call: Call, **vmap: Any) -> Call:
    """Return the same call with other arguments of `jax.vmap`."""
    args, kwargs = call.arguments
    return Call.of(call.f, dataclasses.replace(call.vmap, **vmap), args, kwargs)


def with_leaves(call: Call, leaves: dict[int, Any]) -> Call:
    """Return the same call with other leaves in the place of some."""
    new = [leaves.get(i, leaf) for i, leaf in enumerate(call.leaves)]
    return Call.of(call.f, call.vmap, *jax.tree.unflatten(call.tree, new))


def by_position(call: Call, parameters: Sequence[str]) -> Call | None:
    """Return the same call with its keyword arguments passed by position, if that can be done."""
    args, kwargs = call.arguments
    rest = [*parameters[len(args) :]]
    if not kwargs or rest[: len(kwargs)] != [k for k in rest if k in kwargs]:
        return None
    return Call.of(call.f, call.vmap, (*args, *(kwargs[k] for k in rest[: len(kwargs)])), {})


class Share(NamedTuple):
    """A call in which all examples share some leaves, and what to write to make it."""

    call: Call
    what: str
    how: str


def share(call: Call, shared: set[int], axis_size: int | None) -> Share | None:
    """Return the call in which all examples share some leaves; None if it cannot be written.

    A keyword argument can be shared as a whole alone: `functools.partial` fixes it.
    """
    axes = list(call.axes or ())
    for i in shared:
        axes[i] = None
    args, kwargs = call.arguments
    in_axes, fixed, names = [], {}, []
    for key, name, leaves in arguments(call):
        own = [i for i in leaves if i in shared]
        whole = len(own) == len(leaves)
        names += [name] if own and whole else [call.names[i] for i in own]
        if isinstance(key, int):
            in_axes.append(_prefix(args[key], [axes[i] for i in leaves]))
        elif own and not whole:
            return None
        elif own:
            fixed[key] = kwargs.pop(key)
    f = functools.partial(call.f, **fixed) if fixed else call.f
    vmap = dataclasses.replace(call.vmap, in_axes=tuple(in_axes), axis_size=axis_size)
    how = []
    if any(isinstance(key, int) and shared & {*leaves} for key, _, leaves in arguments(call)):
        text = repr(vmap.in_axes)
        is_plain = "<" not in text and "object at" not in text and len(text) <= _LONGEST
        how.append(f"put None in its place in in_axes{f': in_axes={text}' if is_plain else ''}")
    if fixed:
        partial = ", ".join(f"{key}={key}" for key in fixed)
        how.append(
            f"fix it, since vmap maps every keyword argument: functools.partial({name_of(call)}, "
            f"{partial})"
        )
    if axis_size != call.vmap.axis_size:
        how.append(f"leave out axis_size={call.vmap.axis_size}")
    return Share(Call.of(f, vmap, args, kwargs), " and ".join(names), ", and ".join(how))


def _prefix(value: Any, axes: list[int | None]) -> Any:
    """Return the entry of `in_axes` for one argument, as short as it can be."""
    if len({*axes}) <= 1:
        return axes[0] if axes else 0
    return jax.tree.unflatten(jax.tree.structure(value), axes)


def split_key(call: Call, i: int, size: int | None) -> str | None:
    """Say how to split the one random key that a leaf is, if `f` works with one for each example.

    Args:
        call: the call.
        i: which leaf.
        size: how many examples there are, or None if nothing else says so.
    """
    leaf, name = call.leaves[i], call.names[i]
    if not hasattr(leaf, "dtype"):
        return None
    is_typed = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    raw = jax.eval_shape(jax.random.PRNGKey, 0)
    one = () if is_typed else raw.shape
    if leaf.shape not in (one, (1, *one)) or (not is_typed and leaf.dtype != raw.dtype):
        return None
    rows = jax.ShapeDtypeStruct((size or 2, *one), leaf.dtype)
    jaxpr = traced(with_leaves(call, {i: rows}))
    # Four bytes in pairs are a key if they are used as one.
    if jaxpr is None or not (is_typed or "random_wrap" in count_primitives(jaxpr)):
        return None
    key = name if leaf.shape == one else f"{name}[0]"
    return (
        f"{name} is one random key: jax.random.split({key}, {size or 'n'}) makes one for each "
        f"example. If all examples shared it, all would draw the same numbers."
    )


def single_numbers(call: Call) -> tuple[str, list[str]] | None:
    """Return which batch of numbers the function goes through as if each were an array.

    Returns:
        What the user calls it, and what to do, each of which works; None if nothing does.
    """
    args, kwargs = call.arguments
    for i, axis in enumerate(call.axes or ()):
        leaf, name = call.leaves[i], call.names[i]
        if axis is None or len(getattr(leaf, "shape", ())) != 1:
            continue
        ways = []
        shape = (*leaf.shape, 1) if axis == 0 else (1, *leaf.shape)
        row = jax.ShapeDtypeStruct(shape, leaf.dtype)
        # It goes through as many as there are, be it one.
        if traced(with_leaves(call, {i: row})) is not None:
            ways.append(f"vmap is that loop, so compute with {name} itself")
        plan = share(call, {i}, call.vmap.axis_size)
        if plan and traced(plan.call) is not None:
            ways.append(f"if all examples share {name}, {plan.how}")
        if len(call.leaves) == 1 and can_be_traced(call.f, *args, **kwargs):
            plain = f"{name_of(call)}({', '.join(a.name for a in arguments(call))})"
            ways.append(f"call {plain}, without vmap, if it is for all of them")
        if ways:
            return name, ways
    return None


def has_a_mean(call: Call, axis_name: Any) -> bool:
    """Say whether the results can be averaged over the batch: random keys cannot."""

    def mean(*args: Any, **kwargs: Any) -> Any:
        return jax.lax.pmean(call.f(*args, **kwargs), axis_name)

    args, kwargs = call.arguments
    vmap = dataclasses.replace(call.vmap, axis_name=axis_name)
    return traced(Call.of(mean, vmap, args, kwargs)) is not None


def sequential(call: Call) -> Iterator[str]:
    """Yield what runs the function one example at a time and works in the place of `jax.vmap`."""
    name = name_of(call)
    args, kwargs = call.arguments
    one = jax.custom_batching.sequential_vmap(call.f)
    if traced(Call.of(one, call.vmap, args, kwargs)) is not None:
        yield (
            f"vmap jax.custom_batching.sequential_vmap({name}), which has no gradient in reverse "
            f"mode"
        )
    if _can_be_mapped_by_a_loop(call):
        yield f"write {_loop(call)} in the place of vmap"


def _loop(call: Call) -> str:
    """Return the `jax.lax.map` that stands for a call of `jax.vmap`, as it is written."""
    name, every = name_of(call), arguments(call)
    axes = call.axes or [0] * len(call.leaves)
    per_argument = {a.name: {axes[i] for i in a.leaves} for a in every}
    mapped = [argument for argument, own in per_argument.items() if own == {0}]
    if any(len(own) > 1 or own - {0, None} for own in per_argument.values()):
        return f"jax.lax.map over first axes, as in jax.lax.map({name}, x),"
    if len(every) == 1 and every[0].key == 0:
        return f"jax.lax.map({name}, {mapped[0]})"
    given = [
        (f"{a.key}=" if isinstance(a.key, str) else "")
        + (f"example[{mapped.index(a.name)}]" if a.name in mapped else a.name)
        for a in every
    ]
    return f"jax.lax.map(lambda example: {name}({', '.join(given)}), ({', '.join(mapped)},))"


def _can_be_mapped_by_a_loop(call: Call) -> bool:
    axes = call.axes or [0] * len(call.leaves)
    is_mapped = [axis is not None for axis in axes]
    mapped_axes = [axis for axis in axes if axis is not None]

    def loop(leaves: list[Any]) -> Any:
        def one(examples: list[Any]) -> Any:
            args, kwargs = jax.tree.unflatten(call.tree, filled(call.leaves, is_mapped, examples))
            return call.f(*args, **kwargs)

        first = [jnp.moveaxis(leaf, a, 0) for leaf, a in zip(leaves, mapped_axes, strict=True)]
        return jax.lax.map(one, first)

    return can_be_traced(loop, [*itertools.compress(call.leaves, is_mapped)])


def can_be_traced(f: Callable[..., Any], *args: Any, **kwargs: Any) -> bool:
    """Say whether a function can be traced with these arguments."""
    try:
        jax.make_jaxpr(f)(*args, **kwargs)
    except Exception:  # noqa: BLE001 - whatever it is, this is no remedy.
        return False
    return True
