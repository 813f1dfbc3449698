"""Read what the user typed: the place of a function, its arguments, and axes.

Start with `load` and `arguments`. What cannot be used is a `UsageError`, whose message says what is
wrong and what to do; what the user's own code raises is a `FunctionError`.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import importlib.util
import math
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp

from vmapguide._advice.parse_types import dtype_named
from vmapguide._advice.user_frame import user_frame


# What Python raises about a text that it cannot read as a value.
_UNREADABLE = (SyntaxError, TypeError, ValueError, MemoryError, RecursionError)


class UsageError(Exception):
    """What the user gave cannot be used; the message says why and what to do."""


class FunctionError(Exception):
    """The user's function, or JAX on its behalf, raised."""


def load(place: str) -> Callable[..., Any]:
    """Return the function at `file.py:function` or `package.module:function`.

    Raises:
        UsageError: if there is no such file, module or function.
    """
    where, colon, name = place.rpartition(":")
    if not colon or not where or not name:
        raise UsageError(
            f"{place!r} does not name a function: write path/to/file.py:function or "
            f"package.module:function"
        )
    value: Any = _module(where)
    for i, part in enumerate(name.split(".")):
        if not hasattr(value, part):
            names = getattr(value, "__dict__", {}).items()
            functions = [n for n, v in names if callable(v) and n[0] != "_"]
            close = difflib.get_close_matches(part, functions) or functions[:5]
            hint = f"; did you mean {' or '.join(close)}?" if close else ""
            owner = ".".join(name.split(".")[:i]) or where
            raise UsageError(f"{owner} has no function {part!r}{hint}")
        value = getattr(value, part)
    if not callable(value):
        raise UsageError(f"{name} in {where} is of type {type(value).__name__}, not a function")
    return value  # type: ignore[no-any-return]


def _module(where: str) -> ModuleType:
    try:
        if not where.endswith(".py"):
            _check_module(where)
            sys.path.insert(0, str(Path.cwd()))
            return importlib.import_module(where)
        path = Path(where)
        if not path.is_file():
            raise UsageError(f"there is no file {where}")  # noqa: TRY301 - nor can it go elsewhere.
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None  # noqa: S101 - a file that ends in .py has a loader.
        assert spec.loader is not None  # noqa: S101
        sys.path.insert(0, str(path.parent.resolve()))
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
    except UsageError:
        raise
    except ModuleNotFoundError as error:
        if not where.endswith(".py") and where.startswith(error.name or "?"):
            raise UsageError(f"there is no module {error.name} to be imported from here") from None
        raise FunctionError(told(error)) from None
    except Exception as error:  # noqa: BLE001
        raise FunctionError(f"importing {where} failed. {told(error)}") from None
    return module


def _check_module(where: str) -> None:
    """Raise if what does not end in .py is not the name of a module, either."""
    if Path(where).is_file():
        raise UsageError(f"{where} is not a Python file: its name has to end in .py")
    if "/" in where or os.sep in where:
        raise UsageError(
            f"{where} is not the name of a module: write path/to/file.py:function, or "
            f"package.module:function with dots"
        )


def arguments(texts: Sequence[str]) -> tuple[list[Any], dict[str, Any]]:
    """Parse the arguments: those with a name before "=" are keyword arguments."""
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for text in texts:
        named = re.match(r"([A-Za-z_]\w*)=(?!=)", text)
        if named:
            kwargs[named[1]] = argument(text[named.end() :])
        else:
            args.append(argument(text))
    return args, kwargs


def argument(text: str) -> Any:
    """Return the value that an argument describes: `f32[3,5]` is an abstract array.

    Raises:
        UsageError: if it does not parse.
    """
    try:
        # A type is Python's notation for indexing, but for an empty index.
        tree = ast.parse(re.sub(r"(\w)\[\s*\]", r"\1[()]", text.strip()), mode="eval")
        return _value(tree.body)
    except _UNREADABLE as error:
        known = isinstance(error, (TypeError, ValueError))
        reason = error.args[0] if known else "it does not parse"
        raise UsageError(
            f"cannot read the argument {text!r}: {reason}. Write a type such as f32[3,5] or "
            f"i32[], a number, or a list, tuple or dictionary of these"
        ) from None


def _value(node: ast.AST) -> Any:
    match node:
        case ast.Subscript(value=ast.Name(id=name), slice=index):
            sizes = index.elts if isinstance(index, ast.Tuple) else [index]
            shape = [size.value for size in sizes if isinstance(size, ast.Constant)]
            if len(shape) < len(sizes) or not all(isinstance(size, int) for size in shape):
                raise ValueError(f"{ast.unparse(index)} is not a shape")
            return jax.ShapeDtypeStruct(shape, dtype_named(name))
        case ast.Dict(keys=keys, values=values):
            return {ast.literal_eval(k): _value(v) for k, v in zip(keys, values, strict=True) if k}
        case ast.List(elts=entries):
            return [_value(entry) for entry in entries]
        case ast.Tuple(elts=entries):
            return tuple(_value(entry) for entry in entries)
        case ast.Name(id=name):
            raise ValueError(f"{name} stands alone; a scalar of that type is {name}[]")
        case ast.Constant() | ast.UnaryOp():
            return ast.literal_eval(node)
    raise ValueError(f"{ast.unparse(node)} is neither a type nor a value")


def filled(arguments: Any, seed: int) -> Any:
    """Return the arguments with numbers in the place of types: random ones, of whole numbers small.

    Whole numbers are 0 to 2, so that most may also be indices.
    """
    leaves, tree = jax.tree.flatten(arguments)
    keys = jax.random.split(jax.random.key(seed), max(len(leaves), 1))
    return jax.tree.unflatten(tree, [*map(_filled, leaves, keys)])


def _filled(leaf: Any, key: jax.Array) -> Any:
    if not isinstance(leaf, jax.ShapeDtypeStruct):
        return leaf
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        number = math.prod(leaf.shape)
        return jax.random.split(key, max(number, 1))[:number].reshape(leaf.shape)
    # Where JAX has no numbers of 64 bits, a type of 64 stands for one of 32, as for `explain`.
    dtype = jax.dtypes.canonicalize_dtype(leaf.dtype)
    if jnp.issubdtype(dtype, jnp.inexact):
        return jax.random.normal(key, leaf.shape, dtype)
    if jnp.issubdtype(dtype, jnp.bool_):
        return jax.random.bernoulli(key, shape=leaf.shape)
    return jax.random.randint(key, leaf.shape, 0, 3).astype(dtype)


def axes(option: str, text: str) -> Any:
    try:
        return ast.literal_eval(text.strip())
    except _UNREADABLE:
        raise UsageError(
            f"cannot read {option} {text!r}: write it as in Python, such as 0, None, (0, None) or "
            f"({{'w': 0, 'b': None}},)"
        ) from None


def told(error: Exception) -> str:
    """Return an error's type, message, notes, and the user's line that raised it."""
    told = f"{type(error).__name__}: {error}"
    if frame := user_frame(error):
        told = f"{frame.filename}:{frame.lineno}: {told}"
    jaxs = "For simplicity, JAX has removed its internal frames"
    notes = [note for note in getattr(error, "__notes__", []) if jaxs not in note]
    return "\n".join([told, *notes])
