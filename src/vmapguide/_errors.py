"""What is said when a call is wrong: whose argument, what is the matter, what to do."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any


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
    if problem := misfit(caller, f, name, args, kwargs):
        raise TypeError(f"{caller}: {problem}")


def misfit(caller: str, f: Callable[..., Any], name: str, args: Any, kwargs: Any) -> str | None:
    """Say why `f` cannot be called with these arguments, or return None if it can."""
    try:
        signature = inspect.signature(f)
    except (TypeError, ValueError):
        return None  # Some built-in functions have no signature: let the call decide.
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        given = f"{len(args)} positional" + "".join(f", {key}=" for key in kwargs)
        parameters = ", ".join(
            str(parameter.replace(annotation=parameter.empty))
            for parameter in signature.parameters.values()
        )
        return (
            f"{name}({parameters}) cannot be called with these arguments ({given}): "
            f"{error}. Call {caller}({name}) as you would call {name}: with arrays, "
            f"jax.ShapeDtypeStructs, or pytrees of them."
        )
    return None


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
