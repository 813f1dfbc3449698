"""What is said when a call is wrong: whose argument, what is the matter, what to do."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax

from vmapguide._names import leaf_names, side_names


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
    """Raise if `f` does not take these arguments, before JAX says so in words about itself."""
    if problem := misfit(caller, f, name, args, kwargs):
        raise TypeError(f"{caller}: {problem}")


def misfit(caller: str, f: Callable[..., Any], name: str, args: Any, kwargs: Any) -> str | None:
    """Say why the signature of `f` does not take these arguments, or return None if it does.

    Some built-in functions have no signature: then the call decides.
    """
    try:
        signature = inspect.signature(f)
    except (TypeError, ValueError):
        return None
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
    """Say what was being traced, and which argument is neither an array nor a number, if one is."""
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


@contextlib.contextmanager
def naming(caller: str, name: str, f: Callable[..., Any], args: Any, kwargs: Any) -> Iterator[None]:
    """Add to an exception raised inside which function it was, and with what it was called."""
    try:
        yield
    except Exception as error:
        leaves = jax.tree.leaves((args, kwargs))
        error.add_note(trace_note(caller, name, leaf_names(f, args, kwargs), leaves))
        raise


def named_sides(
    caller: str, functions: Sequence[Callable[..., Any]], named: Mapping[str, Callable[..., Any]]
) -> dict[str, Callable[..., Any]]:
    """Return the functions that are to stand side by side, by name; raise if they cannot."""
    every = (*functions, *named.values())
    if len(every) < 2:  # noqa: PLR2004 - it takes two.
        raise TypeError(
            f"{caller}: pass two or more functions, {len(every)} {'is' if every else 'are'} not "
            f"enough: {caller}(by_hand, jax.vmap(f)) or {caller}(loop=f, vmap=g)."
        )
    for name, f in zip((*range(len(functions)), *named), every, strict=True):
        if not callable(f):
            which = f"argument {name}" if isinstance(name, int) else f"{name}="
            raise TypeError(
                f"{caller}: {which} must be a function, but is of type {type(f).__name__}. Pass "
                f"the functions themselves and call the result with their arguments: "
                f"{caller}(f, g)(x), not {caller}(f(x), g(x))."
            )
    return dict(zip(side_names(functions, named), every, strict=True))


def check_structures(caller: str, results: Mapping[str, Any]) -> None:
    """Raise if functions return different structures: their leaves could not be compared."""
    first, *others = results or [""]
    for name in others:
        structures: Any = [jax.tree.structure(results[side]) for side in (first, name)]
        if structures[0] != structures[1]:
            raise TypeError(
                f"{caller}: {first} and {name} return results of different structure: {first} "
                f"returns {structures[0]}, {name} {structures[1]}. Make them return the same "
                f"structure, or compare a part of it."
            )
