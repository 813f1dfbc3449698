"""What is said when a call is wrong: whose argument, what is the matter, what to do."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from vmapguide._sourcemap import Call


# Of the arguments of a call that failed, at most.
_SHOWN = 6


def check_function(caller: str, f: Any) -> None:
    """Raise if what was given as a function is not one."""
    if not callable(f):
        raise TypeError(
            f"{caller}: the first argument must be a function, but is of type "
            f"{type(f).__name__}. Pass the function itself and call the result with its "
            f"arguments: {caller}(f)(x), not {caller}(f(x))."
        )


def check_call(caller: str, f: Callable[..., Any], name: str, args: Any, kwargs: Any) -> None:
    """Raise if `f` cannot be called like this, before JAX says so in words about itself."""
    try:
        signature = inspect.signature(f)
    except (TypeError, ValueError):
        return  # Some built-in functions have no signature: let the call decide.
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        given = f"{len(args)} positional" + "".join(f", {key}=" for key in kwargs)
        parameters = ", ".join(
            str(parameter.replace(annotation=parameter.empty))
            for parameter in signature.parameters.values()
        )
        raise TypeError(
            f"{caller}: {name}({parameters}) cannot be called with these arguments ({given}): "
            f"{error}. Call {caller}({name}) as you would call {name}: with arrays, "
            f"jax.ShapeDtypeStructs, or pytrees of them."
        ) from None


def trace_note(caller: str, name: str, names: list[str], leaves: list[Any]) -> str:
    """Say what was being traced, and which argument JAX cannot trace if there is one."""
    shown = ", ".join(
        f"{path}: {describe(leaf)}" for path, leaf in [*zip(names, leaves, strict=True)][:_SHOWN]
    )
    more = f" and {len(leaves) - _SHOWN} more" if len(leaves) > _SHOWN else ""
    note = f"{caller}: {name} raised this while it was traced with ({shown}{more})."
    for path, leaf in zip(names, leaves, strict=True):
        if not hasattr(leaf, "dtype") and not isinstance(leaf, (bool, int, float, complex)):
            return note + (
                f" JAX cannot trace {path}, which is of type {type(leaf).__name__}: fix it with "
                f"functools.partial, or name its position in static_argnums."
            )
    return note


def describe(leaf: Any) -> str:
    """Return the type of a leaf as a user would write it."""
    if hasattr(leaf, "shape") and hasattr(leaf, "dtype"):
        return f"{leaf.dtype}[{','.join(map(str, leaf.shape))}]"
    return type(leaf).__name__


def vmap_notes(error: Exception, call: Call) -> Iterator[str]:
    """Yield, if the cause of an error of `jax.vmap` is a known one, a sentence on what to do."""
    for message, advise in _CAUSES.items():
        if message in str(error):
            advice = advise if isinstance(advise, str) else advise(call)
            if advice:
                yield f"explain: {advice}"
            return


def _inconsistent_sizes(call: Call) -> str:
    sizes = [(path, leaf.shape[axis]) for path, leaf, axis in _mapped(call)]
    counts = Counter(size for _, size in sizes)
    # The odd one out is meant; of two, the first, which is where parameters usually stand.
    odd = min(sizes, key=lambda pair: counts[pair[1]], default=("", 0))[0]
    shown = ", ".join(f"{size} ({path})" for path, size in sizes)
    return (
        f"the mapped axes have the sizes {shown}. If all examples share {odd}, put None in its "
        f"place in in_axes."
    )


def _not_a_batch(call: Call) -> str | None:
    for path, leaf, _ in _mapped(call):
        if not getattr(leaf, "shape", ()):
            return (
                f"{path} is one {describe(leaf)} and not a batch of them. If all examples share "
                f"it, put None in its place in in_axes; a keyword argument, which vmap always "
                f"maps, is shared if functools.partial fixes it."
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


# What JAX says, and what to say to it: a sentence, or a function that writes one about the call.
_CAUSES: dict[str, str | Callable[[Call], str | None]] = {
    "inconsistent sizes for array axes": _inconsistent_sizes,
    "its rank should be at least 1": _not_a_batch,
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
}
