"""What is said when `jax.vmap` refuses a call: the cause, and what to do about it."""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import jax

from vmapguide._errors import describe, misfit
from vmapguide._names import function_name
from vmapguide._sourcemap import Call


@contextlib.contextmanager
def noting(caller: str, call: Call) -> Iterator[None]:
    """Add what is known about the cause to whatever `jax.vmap` raises inside."""
    try:
        yield
    except Exception as error:
        for note in vmap_notes(caller, error, call):
            error.add_note(note)
        raise


def vmap_notes(caller: str, error: Exception, call: Call) -> Iterator[str]:
    """Yield, if the cause of an error of `jax.vmap` is a known one, a sentence on what to do."""
    if isinstance(error, TypeError):
        args, kwargs = jax.tree.unflatten(call.tree, call.leaves)
        if problem := misfit(caller, call.f, function_name(call.f), args, kwargs):
            yield f"{caller}: {problem}"
            return
    for message, advise in _CAUSES.items():
        if re.search(message, str(error)):
            advice = advise if isinstance(advise, str) else advise(call)
            if advice:
                yield f"{caller}: {advice}"
            return


def _inconsistent_sizes(call: Call) -> str | None:
    sizes = [(path, leaf.shape[axis]) for path, leaf, axis in _mapped(call)]
    counts = Counter(size for _, size in sizes)
    if len(counts) == 1 and call.vmap.axis_size in (None, *counts):
        return None  # It is a `vmap` inside the function that was refused.
    # The odd one out is meant; of two, the first, which is where parameters usually stand.
    odd = min(sizes, key=lambda pair: counts[pair[1]], default=("", 0))[0]
    shown = ", ".join(f"{size} ({path})" for path, size in sizes)
    return (
        f"the mapped axes have the sizes {shown}. If all examples share {odd}, put None in its "
        f"place in in_axes."
    )


def _axis_too_far(call: Call) -> str | None:
    for path, leaf, axis in _mapped(call):
        rank = len(getattr(leaf, "shape", ()))
        if not rank:
            return (
                f"{path} is one {describe(leaf)} and not a batch of them. If all examples share "
                f"it, put None in its place in in_axes; a keyword argument, which vmap always "
                f"maps, is shared if functools.partial fixes it."
            )
        if not -rank <= axis < rank:
            return (
                f"in_axes maps axis {axis} of {path}, which is {describe(leaf)}: its axes are 0 "
                f"to {rank - 1}, or -{rank} to -1."
            )
    return None


def _not_a_jax_type(call: Call) -> str | None:
    for path, leaf, _ in _mapped(call):
        if not hasattr(leaf, "dtype"):
            return (
                f"{path} is of type {type(leaf).__name__}, of which there is no batch: put None "
                f"in its place in in_axes, and it is passed through as it is."
            )
    return None


def _mapped(call: Call) -> Iterator[tuple[str, Any, int]]:
    """Yield the name, the value and the axis of every leaf that is to be mapped."""
    for path, leaf, axis in zip(call.names, call.leaves, call.axes or (), strict=False):
        if axis is not None:
            yield path, leaf, axis


# What JAX says, as a pattern, and what to say to it: a sentence, or a function that writes one
# about the call.
_CAUSES: dict[str, str | Callable[[Call], str | None]] = {
    "inconsistent sizes for array axes": _inconsistent_sizes,
    "its rank should be at least": _axis_too_far,
    r"axis -?\d+ is out of bounds for array of dimension": (
        "if this is about out_axes: it counts the axes of the result with the batch axis in it, so "
        "a result that is one number for each example has axis 0 alone."
    ),
    "not a valid JAX type": _not_a_jax_type,
    "vmap in_axes must be an int, None, or a tuple": (
        "in_axes has one entry for each positional argument; write (0,) or ({'a': 0},) even for a "
        "single one. Keyword arguments have none: they are always mapped on axis 0."
    ),
    "must have at least one non-None value in in_axes": (
        "no argument is mapped, so nothing says how many examples there are: pass axis_size=."
    ),
    "must be a tree prefix": (
        "an entry of in_axes has the structure of its argument, down to where a single int or None "
        "stands for all that is below it."
    ),
    "unbound axis name": (
        "a collective in the function names an axis that this vmap does not have: pass that name "
        "as axis_name=."
    ),
    "but output was batched": (
        "out_axes=None is for results that are the same for all examples, and this one is not: "
        "give it a number, or reduce it inside the function."
    ),
    "has mapped output": (
        "out_axes=None is for results that are the same for all examples, and this one is not: "
        "give it a number, or reduce it inside the function."
    ),
    "Attempted boolean conversion of traced array": (
        "Python cannot branch on a value that differs from example to example: use jnp.where or "
        "jax.lax.cond. An unmapped array can be branched on if it has a value and is used as it "
        "is or by NumPy."
    ),
    "The problem arose with the `": (
        "float(), int() and .item() need one value, and in here is a different one for each "
        "example: keep it an array, and convert what vmap returns."
    ),
    "The numpy.ndarray conversion method __array__": (
        "NumPy computes with values, and in here is a different one for each example: use "
        "jax.numpy, and jnp.asarray around a NumPy array that is indexed."
    ),
    "The __index__\\(\\) method was called": (
        "range, a list's index and a shape need one number, and in here is a different one for "
        "each example: use jax.lax.fori_loop, jnp.asarray(items)[i], or a fixed size and a mask."
    ),
    "boolean indices must be concrete": (
        "how many elements a mask picks differs from example to example, and all examples need "
        "one shape: use jnp.where, which keeps the shape."
    ),
}
