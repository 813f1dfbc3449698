"""Choose the line of code that an equation was made by: the innermost of the user's. Start here.

Start with `of_equation`, which returns the user's code, and `in_library`, which returns the code of
the library that the user called. JAX keeps the Python frames that led to each equation.
`source_files` says whose the file of a frame is, and `source_pieces` which part of the file it was
in. Where there are no frames, there is no line.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import types
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from vmapguide._data import Source
from vmapguide._jaxpr.compat import frames
from vmapguide._jaxpr.source_files import Home, library_of, whose
from vmapguide._jaxpr.source_pieces import piece_of
from vmapguide._jaxpr.walk import walk


# Where the functions are that make keys.
_RANDOM = jax.random.key.__code__.co_filename


def of_equation(eqn: Any, at: Home | None = None) -> Source | None:
    """Return the piece of code that made an equation, or None if it is not known.

    Args:
        eqn: the equation.
        at: where the function that is explained is at home.

    Returns:
        The innermost piece of the user's code. If there is none, and the function is a library's,
        the innermost piece of that library.
    """
    library = at.library if at else ""
    inner: tuple[types.CodeType, int] | None = None
    for code, instruction in frames(eqn):
        owner = whose(code.co_filename)
        if owner == "library":
            if library and inner is None and code.co_filename.startswith(library):
                inner = code, instruction
        elif owner == "user":
            return piece_of(code, instruction)
        elif owner == "ours":
            break
    return piece_of(*inner) if inner else None


def calls_to(eqn: Any, at: Home | None = None) -> tuple[Source, ...]:
    """Return the pieces of code that led to an equation, each called by the one behind it.

    Args:
        eqn: the equation.
        at: where the function that is explained is at home; if it is a library's, its pieces count.
    """
    library = at.library if at else ""
    found: dict[Source, None] = {}
    for code, instruction in frames(eqn):
        owner = whose(code.co_filename)
        if owner == "ours":
            break
        is_home = owner == "library" and library and code.co_filename.startswith(library)
        if owner == "user" or is_home:
            piece = piece_of(code, instruction)
            if piece is not None:
                found.setdefault(piece)
    return tuple(found)


def of_nested(eqn: Any, outer: Sequence[Any]) -> Source | None:
    """Return the user's code that made an equation, or that called the library code around it.

    Args:
        eqn: the equation.
        outer: the equations that it is nested in, the outermost first.
    """
    every = map(of_equation, (eqn, *reversed(outer)))
    return next((source for source in every if source is not None), None)


def in_library(eqn: Any) -> Source | None:
    """Return the piece of library code that made an equation; None if there is nothing to see.

    It is in the library that the user's code called: in its package, or, of JAX, in the file of
    the function that was called. What lies below every operation is left out.
    """
    found: list[tuple[types.CodeType, int]] = []
    for code, instruction in frames(eqn):
        owner = whose(code.co_filename)
        if owner in ("ours", "user"):
            break
        if owner == "library" and code.co_filename not in _below_all():
            found.append((code, instruction))
    if not found:
        return None
    called = library_of(found[-1][0].co_filename)
    return next(piece_of(*f) for f in found if f[0].co_filename.startswith(called))


def is_library_key(eqn: Any) -> bool:
    """Say whether a library made a random key of its own, rather than the user's code."""
    return _file_called(eqn) not in ("", _RANDOM)


def is_linear_algebra(eqns: Sequence[Any]) -> bool:
    """Say whether the user's code called a function of JAX's for matrices.

    A function that is for something else may call one of these itself.

    Args:
        eqns: an equation that was made by it, and those that it is nested in, the outermost last.
    """
    files = (_file_called(eqn, _below_all()) for eqn in reversed(eqns))
    return next(filter(None, files), "") in _linear_algebra()


@functools.cache
def _linear_algebra() -> frozenset[str]:
    """Return the files of JAX's functions for matrices."""
    modules = (importlib.import_module(f"jax.{name}.linalg") for name in ("numpy", "scipy", "lax"))
    functions = (module.cholesky for module in modules)
    return frozenset(inspect.unwrap(f).__code__.co_filename for f in functions)


def _file_called(eqn: Any, besides: frozenset[str] = frozenset()) -> str:
    """Return the file of the library's function that the user's code called; "" if it is none.

    Args:
        eqn: an equation that was made by it.
        besides: files that do not count.
    """
    called = ""
    for code, _ in frames(eqn):
        owner = whose(code.co_filename)
        if owner in ("ours", "user"):
            break
        if owner == "library" and code.co_filename not in besides:
            called = code.co_filename
    return called


@functools.cache
def _below_all() -> frozenset[str]:
    """Return the files of JAX that lie below operators and transformations, found by using them."""

    def f(x: Any, i: Any) -> Any:
        y = jax.lax.cond(i > 0, jnp.sin, jnp.cos, jax.jit(lambda x: x * 2 + x)(x)[i])
        y = jax.lax.while_loop(lambda y: y < 1, lambda y: y * y - y, y)
        y = jax.lax.scan(lambda y, z: (y + z, z / y), y, x[1:])[0]
        negated = jax.custom_jvp(lambda y: -y)
        negated.defjvps(lambda t, _, __: -t)
        y = jax.grad(jax.checkpoint(lambda y: jnp.exp(negated(y))))(y)
        return jax.vmap(lambda z: z - y)(x.at[i].set(0.0))

    found: set[str] = set()
    for jaxpr in walk(jax.make_jaxpr(f)(jnp.ones(3), 1)):
        for eqn in jaxpr.eqns:
            codes = [code for code, _ in frames(eqn)]
            end = codes.index(f.__code__) if f.__code__ in codes else len(codes)
            found |= {code.co_filename for code in codes[:end]}
    return frozenset(found)
