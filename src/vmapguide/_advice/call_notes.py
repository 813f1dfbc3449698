"""Notes on how `jax.vmap` is called: sizes, axes, kinds: "If all examples share w, put None …".

Start with `advice`, which returns the note on a message of JAX's. It tries what it proposes, by
`remedies`, and proposes nothing that does not work.
"""

from __future__ import annotations

import dataclasses
import inspect
import operator
import re
from collections.abc import Callable, Collection, Iterator
from typing import Any

import jax
import numpy as np

from vmapguide._advice import remedies
from vmapguide._advice.parse_types import type_hint
from vmapguide._advice.wrong_calls import RUNNING, describe, is_value
from vmapguide._trace.call import Call


def advice(caller: str, call: Call, message: str, *, inside: bool) -> str | None:
    """Say what to do about how `jax.vmap` was called, if what it says is about that.

    Args:
        caller: who made the call: `check` runs the function, and needs values.
        call: the call.
        message: what JAX says.
        inside: whether the function itself raised it: then it is about a `vmap` or another function
            of JAX's that the function calls.
    """
    if problem := _wrong_axis_size(call):
        return problem
    if inside:
        known = (text for pattern, text in INSIDE.items() if re.search(pattern, message))
        if text := next(known, None):
            return text
    if not inside and re.search(_NO_TYPE, message):
        return _not_a_jax_type(call, values=caller in RUNNING)
    for pattern, advise in CAUSES.items():
        match = re.search(pattern, message)
        if match and (not inside or advise in (_unbound, _single_key)):
            return advise if isinstance(advise, str) else advise(call, match)
    return None


def _wrong_axis_size(call: Call) -> str | None:
    """Say what is wrong with `axis_size`, of which JAX says nothing that names it."""
    size = call.vmap.axis_size
    if size is None or (isinstance(size, (int, np.integer)) and size >= 0):
        return None
    return f"axis_size is the number of examples, a whole number, but is {size!r}."


def first_axes(call: Call) -> Any:
    """Return the `in_axes` that maps first axes in the place of others, if it works."""
    axes = call.axes
    if axes is None or not any(axes):
        return None
    in_axes = jax.tree.map(lambda _: 0, call.vmap.in_axes)
    leaves = {
        i: jax.ShapeDtypeStruct(
            (leaf.shape[axis], *np.delete(leaf.shape, axis).tolist()), leaf.dtype
        )
        for i, (leaf, axis) in enumerate(zip(call.leaves, axes, strict=True))
        if axis
    }
    moved = remedies.with_leaves(remedies.changed(call, in_axes=in_axes), leaves)
    return in_axes if remedies.traced(moved) is not None else None


def _inconsistent_sizes(call: Call, match: re.Match[str]) -> str | None:
    sizes = {i: leaf.shape[axis] for i, leaf, axis in _mapped(call)}
    every = {*sizes.values()} | ({call.vmap.axis_size} - {None})
    if len(every) == 1:
        return None  # It is a `vmap` inside the function that was refused.
    shown = [f"{size} ({call.names[i]})" for i, size in sizes.items()]
    if call.vmap.axis_size is not None:
        shown.append(f"{call.vmap.axis_size} (axis_size=)")
    text = f"the mapped axes have the sizes {', '.join(shown)}."
    if key := _single_key(call, match):
        return f"{text} {key}"
    plans = _plans(call, sizes)
    if plans:
        return f"{text} {' '.join(map(_sentence, plans))}"
    return f"{text} They must be one: see which axis of each argument counts the examples."


def _single_key(call: Call, _: re.Match[str]) -> str | None:
    """Say what to do with a random key that is one among many rows, if that is all there is."""
    for i, _leaf, _axis in _mapped(call):
        if text := remedies.split_key(call, i, _common_size(call, [i])):
            return text
    return None


def _plans(call: Call, sizes: dict[int, int]) -> list[remedies.Share]:
    """Return what may be shared so that one size is left, and works: what changes least.

    Each size may be the right one. A size of 1 is not, if there is another.
    """
    arguments = remedies.arguments(call)
    plans: dict[int, list[tuple[int, remedies.Share]]] = {}
    every = {*sizes.values(), call.vmap.axis_size} - {None}
    for size in sorted(every - {1} or every, key=[*sizes.values(), call.vmap.axis_size].index):
        shared = {i for i, other in sizes.items() if other != size}
        axis_size = call.vmap.axis_size if call.vmap.axis_size == size else None
        changes = sum(not shared.isdisjoint(argument.leaves) for argument in arguments)
        changes += axis_size != call.vmap.axis_size
        plan = remedies.share(call, shared, axis_size)
        if plan and remedies.traced(plan.call) is not None:
            plans.setdefault(changes, []).append((min(shared, default=len(sizes)), plan))
    fewest = plans[min(plans)] if plans else []
    return [plan for _, plan in sorted(fewest, key=operator.itemgetter(0))]


def _sentence(plan: remedies.Share) -> str:
    if not plan.what:
        return f"If the arguments are right, {plan.how}."
    return f"If all examples share {plan.what}, {plan.how}."


def _axis_too_far(call: Call, _: re.Match[str]) -> str | None:
    flat = {i: leaf for i, leaf, _ in _mapped(call) if not getattr(leaf, "shape", ())}
    for i, leaf, axis in _mapped(call):
        rank = len(getattr(leaf, "shape", ()))
        if rank and not -rank <= axis < rank:
            return (
                f"in_axes maps axis {axis} of {call.names[i]}, which is {describe(leaf)}: its axes "
                f"are 0 to {rank - 1}, or -{rank} to -1."
            )
    for i, leaf in flat.items():
        if key := remedies.split_key(call, i, _common_size(call, flat)):
            return key
        text = f"{call.names[i]} is one {describe(leaf)} and not a batch of them."
        if numbers := _list_of_numbers(call, i):
            return f"{text} {numbers}"
        plan = _working_share(call, flat)
        return f"{text} {_sentence(plan) if plan else _A_BATCH}"
    return None


_A_BATCH = "A batch has one axis more, which counts the examples."


def _common_size(call: Call, without: Collection[int]) -> int | None:
    """Return the size that all mapped leaves have, but for some; None if there is no such size."""
    sizes: set[int | None]
    sizes = {leaf.shape[axis] for i, leaf, axis in _mapped(call) if i not in without}
    sizes |= {call.vmap.axis_size} - {None}
    return sizes.pop() if len(sizes) == 1 else None


def _list_of_numbers(call: Call, i: int) -> str | None:
    """Say what to do with a list, each number of which would be an argument of its own."""
    args, kwargs = call.arguments
    (own,) = [a for a in remedies.arguments(call) if i in a.leaves]
    value = args[own.key] if isinstance(own.key, int) else kwargs[own.key]
    if not isinstance(value, (list, tuple)) or not all(isinstance(v, (int, float)) for v in value):
        return None
    array = np.asarray(value)
    if isinstance(own.key, int):
        args = (*args[: own.key], array, *args[own.key + 1 :])
    else:
        kwargs[own.key] = array
    if not _works(Call.of(call.f, call.vmap, args, kwargs)):
        return None
    kind = type(value).__name__
    return f"A {kind} is no array but a pytree of numbers: pass jnp.asarray({own.name})."


def _working_share(call: Call, leaves: Collection[int]) -> remedies.Share | None:
    plan = remedies.share(call, {*leaves}, call.vmap.axis_size)
    return plan if plan and _works(plan.call) else None


_NO_TYPE = "^Argument .* is not a valid JAX type"


def _not_a_jax_type(call: Call, *, values: bool) -> str | None:
    odd = {i: leaf for i, leaf, _ in _mapped(call) if not is_value(leaf)}
    for i, leaf in odd.items():
        text = f"{call.names[i]} is of type {type(leaf).__name__}, of which there is no batch"
        if hint := type_hint(leaf, values=values):
            return f"{text}: a string does not stand for the type that it names; pass {hint}."
        if dataclasses.is_dataclass(leaf):
            return (
                f"{text}: make it a pytree with jax.tree_util.register_dataclass("
                f"{type(leaf).__name__}), whose fields are mapped then."
            )
        plan = _working_share(call, odd)
        return f"{text}. {_sentence(plan)}" if plan else f"{text}: pass arrays and numbers."
    return None


_ENTRIES = (
    "in_axes has one entry for each positional argument; write (0,) or ({'a': 0},) even for a "
    "single one. Keyword arguments have none: they are always mapped on axis 0."
)
_STRUCTURE = (
    "an entry of in_axes has the structure of its argument, down to where a single int or None "
    "stands for all that is below it."
)
_RESULTS = (
    "out_axes has the structure of what the function returns, down to where a single int or None "
    "stands for all that is below it."
)
_NO_SIZE = "no argument is mapped, so nothing says how many examples there are: pass axis_size=."


def _wrong_in_axes(call: Call, match: re.Match[str]) -> str:
    name = match[1]
    given = getattr(call.vmap, name)
    plain = _plain_axes(given)
    if repr(plain) != repr(given) and _works(remedies.changed(call, **{name: plain})):
        return f"the entries of {name} are Python's own ints and None: write {name}={plain!r}."
    if name == "out_axes":
        return _RESULTS
    parameters = _parameters(call)
    args, kwargs = call.arguments
    if isinstance(given, dict) and {*given} == {*parameters[: len(args)]}:
        by_order = tuple(given[parameter] for parameter in parameters[: len(args)])
        if _works(remedies.changed(call, in_axes=by_order)):
            return (
                f"in_axes has one entry for each positional argument, in their order and not by "
                f"name: write in_axes={by_order!r}."
            )
    moved = remedies.by_position(call, parameters)
    if moved and isinstance(given, (tuple, list)) and len(given) > len(args) and _works(moved):
        return (
            f"in_axes has one entry for each positional argument, and keyword arguments have none: "
            f"pass {' and '.join(kwargs)} by position."
        )
    return _ENTRIES


def _plain_axes(axes: Any) -> Any:
    """Return axes with Python's ints in the place of what is meant for one."""

    def plain(axis: Any) -> Any:
        if isinstance(axis, (bool, np.bool_)):
            return axis  # It may mean whether to map, and not which axis.
        if isinstance(axis, str) and re.fullmatch(r"-?\d+", axis):
            return int(axis)
        if isinstance(axis, float) and axis.is_integer():
            return int(axis)
        try:
            return operator.index(axis)
        except TypeError:
            return axis

    return jax.tree.map(plain, axes)


def _parameters(call: Call) -> list[str]:
    """Return the names of the parameters of the function that can be given by position."""
    try:
        parameters = inspect.signature(call.f).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]


def _works(call: Call) -> bool:
    return remedies.traced(call) is not None


def _nothing_mapped(call: Call, _: re.Match[str]) -> str | None:
    if not _works(remedies.changed(call, axis_size=2)):
        return None
    return _NO_SIZE


def _no_arguments(call: Call, match: re.Match[str]) -> str | None:
    args, kwargs = call.arguments
    if (args or kwargs) and not _works(remedies.changed(call, axis_size=2)):
        return "no argument holds an array: None and empty lists have no axis to map."
    return _nothing_mapped(call, match)


def _result_axis(call: Call, match: re.Match[str]) -> str | None:
    if jax.tree.leaves(call.vmap.out_axes) == [0] or not _works(remedies.changed(call, out_axes=0)):
        return None
    rank = int(match[1])
    some = f"0 to {rank - 1}, or -{rank} to -1" if rank > 1 else "0, or -1"
    return (
        f"out_axes={call.vmap.out_axes!r} counts the axes of the result with the batch axis in it, "
        f"and one result has no more than {some}."
    )


def _unbound(call: Call, match: re.Match[str]) -> str | None:
    name = match[1]
    if not _works(remedies.changed(call, axis_name=name)):
        return None
    return (
        f"a collective in the function names an axis that this vmap does not have: pass "
        f"axis_name={name!r}."
    )


def _mapped(call: Call) -> Iterator[tuple[int, Any, int]]:
    """Yield the number, the value and the axis of every leaf that is to be mapped."""
    for i, (leaf, axis) in enumerate(zip(call.leaves, call.axes or (), strict=False)):
        if axis is not None:
            yield i, leaf, axis


# What JAX says, as a pattern, and what to do about the call, or a function that says it.
CAUSES: dict[str, str | Callable[[Call, re.Match[str]], str | None]] = {
    "inconsistent sizes for array axes": _inconsistent_sizes,
    "its rank should be at least": _axis_too_far,
    r"axis -?\d+ is out of bounds for array of dimension (\d+)": _result_axis,
    "vmap (in_axes|out_axes) must be an int, None, or": _wrong_in_axes,
    "must have at least one non-None value in in_axes": _nothing_mapped,
    "must be passed at least one argument": _no_arguments,
    "vmap in_axes specification must be a tree prefix": _STRUCTURE,
    "vmap out_axes specification must be a tree prefix": _RESULTS,
    r"unbound axis name: (\w+)": _unbound,
    "invalid PRNG key data": _single_key,
}

# The same of a `vmap` that the function calls, whose arguments are not known here.
INSIDE = {
    "vmap in_axes must be an int, None, or": _ENTRIES,
    "vmap out_axes must be an int, None, or": _RESULTS,
    "vmap in_axes specification must be a tree prefix": _STRUCTURE,
    "vmap out_axes specification must be a tree prefix": _RESULTS,
    "must have at least one non-None value in in_axes": _NO_SIZE,
}
