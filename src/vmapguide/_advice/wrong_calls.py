"""Errors for wrong calls, shared by all public functions.

Each names the function and the argument, says what is wrong, and says what to do. The functions
that begin with `check_` raise; `describe` says what an argument is.
"""

from __future__ import annotations

import contextlib
import inspect
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import jax
import jax.extend.core as jec
import jax.numpy as jnp
import numpy as np

from vmapguide._advice.parse_types import type_hint
from vmapguide._advice.waiting import Waiting
from vmapguide._trace.user_names import count_vmaps, leaf_names, side_names, unwrapped


# These run a function with its arguments: types alone do not do.
RUNNING = ("check", "benchmark")
# These have the option static_argnums.
_STATIC = ("listing", "cost")
# Of the arguments of a call that failed, at most.
_SHOWN = 6


def check_function(caller: str, f: Any) -> None:
    """Raise if what was given as a function is not one."""
    if problem := no_function(caller, f):
        raise TypeError(f"{caller}: the first argument must be a function, but {problem}")


def no_function(caller: str, f: Any) -> str | None:
    """Say what is in the place of a function and what to pass; None if it is a function."""
    right = f"{caller}(f)(x)"
    if isinstance(f, Waiting):
        # What `cost` takes beside functions is the explanation itself.
        if (caller, f.caller) == ("cost", "explain"):
            right = f"cost(explain({f.name})(x))"
        return (
            f"is {f.caller}({f.name}), which has not been called yet. Pass what that is about: "
            f"{right}."
        )
    if isinstance(f, jax.stages.Compiled):
        return (
            f"has been compiled for one call, and cannot be traced any more. Pass the function "
            f"that it was made of: {right}."
        )
    if callable(f):
        return None
    kind = type(f)
    text = f"is of type {kind.__name__}."
    if isinstance(f, jec.ClosedJaxpr):
        return f"{text} Make a function of it: {caller}(jax.extend.core.jaxpr_as_fun(jaxpr))(x)."
    if kind.__module__.partition(".")[0] == "vmapguide":
        return f"{text} That is a result; pass the function that it is about: {right}."
    return (
        f"{text} Pass the function itself and call the result with its arguments: {right}, not "
        f"{caller}(f(x))."
    )


def check_values(
    caller: str, names: Sequence[str], leaves: Sequence[Any], *, accepts_types: bool = False
) -> None:
    """Raise if a function cannot be run with these arguments, because one has no value.

    Args:
        caller: who runs the function.
        names: what the user calls the leaves of the arguments.
        leaves: the leaves.
        accepts_types: whether the caller does without running if it gets a type.
    """
    for name, leaf in zip(names, leaves, strict=True):
        if isinstance(leaf, jax.ShapeDtypeStruct) and not accepts_types:
            raise TypeError(
                f"{caller}: {name} is a type without values, {describe(leaf)}, and {caller} runs "
                f"what it is given. Pass an array; explain and cost need types alone."
            )
        if isinstance(leaf, jax.core.Tracer):
            raise TypeError(
                f"{caller}: {name} is being traced, {describe(leaf)}, and {caller} runs what it is "
                f"given: it needs values. Call it outside of jit, vmap and grad."
            )
    # While JAX traces a function, even a constant of jax.numpy is a tracer.
    if isinstance(jnp.zeros(()), jax.core.Tracer):
        raise TypeError(
            f"{caller}: it is called while JAX traces a function, and {caller} runs what it is "
            f"given. Call it outside of jit."
        )


def check_arguments(
    caller: str,
    sides: Mapping[str, Callable[..., Any]],
    args: Any,
    kwargs: Any,
    *,
    accepts_types: bool = False,
) -> None:
    """Raise if functions that stand side by side cannot all be run with these arguments."""
    for name, f in sides.items():
        check_call(caller, f, name, args, kwargs)
    names = leaf_names(next(iter(sides.values())), args, kwargs)
    leaves = jax.tree.leaves((args, kwargs))
    check_values(caller, names, leaves, accepts_types=accepts_types)
    for name, leaf in zip(names, leaves, strict=True):
        if 0 in getattr(leaf, "shape", ()):
            raise ValueError(
                f"{caller}: {name} is empty, {describe(leaf)}, and no functions differ on nothing. "
                f"Pass at least one example."
            )


def number(caller: str, name: str, value: Any, least: float) -> Any:
    """Return an option as a number of Python's, or raise if it is none of at least `least`.

    If `least` is whole, such as 1 and not 1.0, the option must be whole, too.
    """
    kind, convert = (
        ("whole number", operator.index) if isinstance(least, int) else ("number", float)
    )
    problem = f"{caller}: {name} must be a {kind} of at least {least:g}, but is {value!r}."
    try:
        # Python takes True for a number, and float() takes a text.
        result = None if isinstance(value, (bool, str, bytes)) else convert(value)
    except (TypeError, ValueError):
        result = None
    if result is None:
        raise TypeError(problem)
    if not result >= least:  # NaN is not.
        raise ValueError(problem)
    return result


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
            f"{'' if caller in RUNNING else 'jax.ShapeDtypeStructs, '}or pytrees of them."
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
        if not is_value(leaf):
            if hint := type_hint(leaf, values=caller in RUNNING):
                return f"{note} A string does not stand for the type that it names: pass {hint}."
            static = ", or name its position in static_argnums" if caller in _STATIC else ""
            return note + (
                f" JAX cannot trace {path}, which is of type {type(leaf).__name__}: fix it with "
                f"functools.partial{static}."
            )
    return note


def is_value(leaf: Any) -> bool:
    """Say whether a leaf is an array, a type of one, or a number."""
    return hasattr(leaf, "dtype") or isinstance(leaf, (bool, int, float, complex))


def describe(leaf: Any) -> str:
    """Return the type of a leaf as a user would write it."""
    if hasattr(leaf, "shape") and hasattr(leaf, "dtype"):
        return f"{leaf.dtype}[{','.join(map(str, leaf.shape))}]"
    return type(leaf).__name__


def arguments_text(f: Callable[..., Any], args: Any, kwargs: Any) -> str:
    """Return the arguments of a call with their types, as a report shows them: `x: float32[3]`."""
    leaves = jax.tree.leaves((args, kwargs))
    return ", ".join(map("{}: {}".format, leaf_names(f, args, kwargs), map(describe, leaves)))


@contextlib.contextmanager
def with_notes(notes: Callable[[Exception], Iterable[str]]) -> Iterator[None]:
    """Add notes to an exception raised inside."""
    try:
        yield
    except Exception as error:
        for note in notes(error):
            error.add_note(note)
        raise


def naming(
    caller: str, name: str, f: Callable[..., Any], args: Any, kwargs: Any
) -> AbstractContextManager[None]:
    """Add to an exception raised inside which function it was, and with what it was called."""

    def notes(error: Exception) -> Iterator[str]:
        leaves = jax.tree.leaves((args, kwargs))
        yield trace_note(caller, name, leaf_names(f, args, kwargs), leaves)
        if note := _axis_note(caller, name, error):
            yield note
        if "returned a value of type" in str(error):
            yield (
                f"{caller}: {name} has to return arrays, numbers, or pytrees of these, as every "
                f"function does that JAX traces."
            )

    return with_notes(notes)


def _axis_note(caller: str, name: str, error: Exception) -> str | None:
    """Say how an axis gets the name that a collective asks for, if that was the matter."""
    found = re.search(r"unbound axis name:? (\S+?)\.?(\s|$)", str(error))
    if found is None or not isinstance(error, NameError):
        return None
    axis = found[1]
    if caller in {"cost", "listing"}:
        return (
            f"{caller}: say how large the axis {axis} is: "
            f"{caller}({name}, axis_env=[({axis!r}, 8)])."
        )
    return (
        f"{caller}: the axis {axis} has its name inside of what maps over it alone: pass "
        f"jax.vmap({name}, axis_name={axis!r}), or a function that calls it."
    )


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
        which = f"argument {name}" if isinstance(name, int) else f"{name}="
        if isinstance(f, Waiting):
            raise TypeError(
                f"{caller}: {which} must be a function, but is {f.caller}({f.name}), which has not "
                f"been called yet. Pass what that is about: {caller}(f, g)(x)."
            )
        if not callable(f):
            raise TypeError(
                f"{caller}: {which} must be a function, but is of type {type(f).__name__}. Pass "
                f"the functions themselves and call the result with their arguments: "
                f"{caller}(f, g)(x), not {caller}(f(x), g(x))."
            )
    return dict(zip(side_names(functions, named), every, strict=True))


def confused_sides(sides: Mapping[str, Callable[..., Any]]) -> Iterator[str]:
    """Yield a note for each side that is the first one's function, mapped more or less often."""
    (first, f), *others = sides.items()
    for other, g in others:
        few, many = sorted((first, other), key=lambda name: count_vmaps(sides[name]))
        is_mapped = count_vmaps(sides[few]) < count_vmaps(sides[many])
        if is_mapped and unwrapped(f) is unwrapped(g):
            yield (
                f"{few} takes one example, and {many} a batch of them: given the same arguments, "
                f"they need not compute the same. Map both: jax.vmap({few})."
            )


def no_sides(caller: str, **options: Any) -> None:
    """Raise if an option is a function: a side with a name that it cannot have."""
    for name, value in options.items():
        if callable(value):
            raise TypeError(
                f"{caller}: {name}= is an option of {caller}; give the side another name, as in "
                f"{caller}({name}_side=f, other=g), or pass it without one."
            )


def tolerances(
    caller: str, rtol: float | None, atol: float | None
) -> tuple[float | None, float | None]:
    """Return two tolerances, None for those of the dtype; raise if one is none."""
    rtol, atol = (
        value if value is None else number(caller, name, value, 0.0)
        for name, value in (("rtol", rtol), ("atol", atol))
    )
    return rtol, atol


def flag(caller: str, name: str, value: Any) -> bool:
    """Return an option that is True or False, or raise if it is something else."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{caller}: {name} must be True or False, but is {value!r}.")
    return bool(value)


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
