"""What the user calls things: functions, their arguments, and the arrays that they capture.

`transformed_name` names a function with its transformations, `leaf_names` the leaves of arguments,
and `captured_names` the arrays that a function uses and does not take.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import types
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax

from vmapguide._jaxpr.compat import closure, is_jitted
from vmapguide._jaxpr.source_files import Home, is_library, library_of, whose


def unwrapped(f: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function that the user wrote, inside transformations and partials."""
    while inner := getattr(f, "__wrapped__", f.func if isinstance(f, functools.partial) else None):
        f = inner
    return f


def function_name(f: Callable[..., Any]) -> str:
    """Return what the user calls a function."""
    f = unwrapped(f)
    return getattr(f, "__name__", type(f).__name__)


def captured_names(f: Callable[..., Any]) -> dict[int, str]:
    """Return what a function calls the arrays it uses but does not take as arguments.

    Args:
        f: the function; wrappers that say what they wrap are looked through.

    Returns:
        The names of arrays in the globals or closure of the function, or of functions of the
        user's that it calls, such as `W` or `params['W']`, by the array's `id`.
    """
    names: dict[int, str] = {}
    seen: set[int] = set()
    functions = [unwrapped(f)]
    while functions:
        f = functions.pop(0)
        if id(f) in seen or not inspect.isfunction(f):
            continue
        seen.add(id(f))
        for name, value in _captured(f).items():
            try:
                leaves = jax.tree_util.tree_leaves_with_path(value)
            except Exception:  # noqa: BLE001, S112
                continue  # Flattening runs code of the user's, which may fail on its own.
            for path, leaf in leaves:
                names.setdefault(id(leaf), name + jax.tree_util.keystr(path))
            if callable(value) and not is_library(_file(value)):
                functions.append(unwrapped(value))
    return names


def _captured(f: types.FunctionType) -> dict[str, Any]:
    """Return the variables that a function, or a function written inside it, takes from outside.

    `inspect.getclosurevars` leaves out what only an inner function or a generator expression uses.
    """
    captured: dict[str, Any] = {}
    codes = [f.__code__]
    while codes:
        code = codes.pop()
        captured |= {name: f.__globals__[name] for name in code.co_names if name in f.__globals__}
        codes += [const for const in code.co_consts if isinstance(const, types.CodeType)]
    return captured | closure(f)


def _file(f: Callable[..., Any]) -> str:
    """Return the file a function was defined in, or "" if it has none."""
    code = getattr(unwrapped(f), "__code__", None)
    return code.co_filename if code else ""


def home_of(f: Callable[..., Any]) -> Home:
    """Return where a function is at home; of an object that can be called, where its class is."""
    file = _file(f) or _file(type(unwrapped(f)).__call__)
    return Home(file, library_of(file) if is_library(file) else "")


def leaf_names(f: Callable[..., Any], args: Any, kwargs: Any) -> list[str]:
    """Return what the user calls each leaf of the arguments: `x`, `params['W']`."""
    try:
        bound = inspect.signature(f).bind(*args, **kwargs)
    except (TypeError, ValueError):
        roots = [f"args[{i}]" for i in range(len(args))]
    else:
        roots = []
        for name, parameter in bound.signature.parameters.items():
            if name in bound.arguments and parameter.kind is parameter.VAR_POSITIONAL:
                roots += [f"{name}[{i}]" for i in range(len(bound.arguments[name]))]
            elif name in bound.arguments and name not in kwargs:
                roots.append(name)
    positional = [*zip(roots, args, strict=False)]
    named = [(key, kwargs[key]) for key in sorted(kwargs)]
    return [
        root + jax.tree_util.keystr(path)
        for root, value in positional + named
        for path, _ in jax.tree_util.tree_leaves_with_path(value)
    ]


def vmap_variables(f: Callable[..., Any]) -> dict[str, Any] | None:
    """Return the variables of a function that `jax.vmap` made, or None for any other."""
    variables = _variables(_inside(f))
    return variables if {"fun", "in_axes", "out_axes"} <= variables.keys() else None


def count_vmaps(f: Callable[..., Any]) -> int:
    """Return how many times a function is vmapped, whatever else was done to it."""
    found = 0
    while True:
        if (variables := vmap_variables(f)) is not None:
            found += 1
            f = variables["fun"]
        elif isinstance(f, functools.partial):
            f = f.func
        elif (inner := getattr(f, "__wrapped__", None)) is not None:
            f = inner
        else:
            return found


def _inside(f: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function without those around it that JAX has for its tracebacks.

    A function of the user's may also keep a `fun`, and call it with something else than its own
    arguments: only JAX's wrappers pass on what they are given. So do ours, which record calls.
    """
    while (inner := _passed_on(f)) is not None:
        f = inner
    return f


def _passed_on(f: Callable[..., Any]) -> Callable[..., Any] | None:
    """Return the function that a wrapper passes everything on to, None if it is no wrapper."""
    variables = _variables(f)
    if set(variables) == {"fun"}:
        return variables["fun"]  # type: ignore[no-any-return]
    if type(f).__module__ == "vmapguide._vmap":
        return f._mapped  # type: ignore[attr-defined,no-any-return]  # noqa: SLF001
    code = getattr(f, "__code__", None)
    is_ours = code is not None and whose(code.co_filename) == "ours"
    return closure(f).get("recorded") if is_ours else None


def _variables(f: Callable[..., Any]) -> dict[str, Any]:
    """Return the variables that a function of a library's has from where it was made."""
    code = getattr(f, "__code__", None)
    if code is None or not is_library(code.co_filename):
        return {}
    return closure(f)


def side_names(functions: Sequence[Callable[..., Any]], named: Iterable[str]) -> list[str]:
    """Return what to call functions that stand side by side: each by another name."""
    # A name that was given stays as it is.
    names: list[str] = []
    taken = {*named}
    for name in map(transformed_name, functions):
        numbered = (f"{name} {number}" for number in itertools.count(2))
        free = next(n for n in itertools.chain([name], numbered) if n not in taken)
        names.append(free)
        taken.add(free)
    return [*names, *named]


# Functions of JAX that make one function of another.
_TRANSFORMATIONS = frozenset(
    {"checkpoint", "grad", "jacfwd", "jacrev", "jit", "pmap", "value_and_grad", "vectorize", "vmap"}
)

# JAX has done this to functions of its own: `jnp.cos` is compiled, but the user has not done that.
_OF_LIBRARIES = frozenset({"checkpoint", "jit", "vectorize"})


def transformed_name(f: Callable[..., Any], *, jit: bool = True) -> str:
    """Return what a function is called with the transformations around it: `jit(vmap(f))`.

    `functools.partial`, which only fixes arguments, is looked through.

    Args:
        f: the function.
        jit: whether to name `jax.jit`, too. It changes nothing of what a function computes.
    """
    if isinstance(f, functools.partial):
        return transformed_name(f.func, jit=jit)
    name, inner = _transformation(f)
    if name is None:
        return function_name(f)
    if name in _OF_LIBRARIES and is_library(_file(f)):
        return transformed_name(inner, jit=jit)
    if name == "jacfwd" and _transformation(inner)[0] == "jacrev":
        name, inner = "hessian", _transformation(inner)[1]
    inside = transformed_name(inner, jit=jit)
    return inside if name == "jit" and not jit else f"{name}({inside})"


def _transformation(f: Callable[..., Any]) -> tuple[str | None, Any]:
    """Return the name of the transformation that made a function, None if none did, and of what.

    A function of Python's knows the name of the one that it was made in: `grad.<locals>.grad_f`.
    """
    if (variables := vmap_variables(f)) is not None:
        return "vmap", variables["fun"]
    inner = getattr(f, "__wrapped__", None)
    if is_jitted(f):
        return "jit", inner
    code = getattr(_inside(f), "__code__", None)
    if inner is None or code is None or not is_library(code.co_filename):
        return None, inner
    maker, *local = code.co_qualname.split(".<locals>")
    return (maker if local and maker in _TRANSFORMATIONS else None), inner
