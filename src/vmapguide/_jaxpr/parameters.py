"""The parameters of an equation as a reader sees them: in order, as text, and which are defaults.

Start with `params_in_order`, which returns an equation's parameters. `text_of` returns one as text,
and `is_default` says whether a listing may leave it out: it is empty, or what JAX's public function
passes by default, or the type of the result says it already.
"""

from __future__ import annotations

import enum
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.extend.core as jec
import numpy as np

from vmapguide._jaxpr import primitives
from vmapguide._jaxpr.compat import function_of, is_own_function, opened, params_of
from vmapguide._jaxpr.walk import jaxprs_in, nested, without_addresses


# These say which axes an equation works on. They are shown even where they equal a default.
_ALWAYS_SHOWN = {"axis", "axes", "dimension", "dimension_numbers"}

# The type of the result says these already.
_REPEATS_OUTPUT = {"shape", "new_sizes", "dtype", "index_dtype", "preferred_element_type"}

# These hold a function that has a name.
CALLS = primitives.with_role("call")

# What Python itself prints as it is to be read.
_PLAIN = frozenset({bool, int, float, complex, type(None)})


def params_in_order(eqn: jec.JaxprEqn) -> Mapping[str, Any]:
    """Return an equation's parameters: its name first, and last what holds jaxprs."""
    params = params_of(eqn)
    if eqn.primitive.name in CALLS and "name" not in params:
        # custom_jvp_call and custom_vjp_call leave it to their jaxpr to know the name.
        params["name"] = function_of(nested(eqn)[0])[0]
    if len(params) < 2:  # noqa: PLR2004 - there is nothing to sort.
        return params
    programs = {name for name, value in params.items() if [*jaxprs_in(value)]}
    return dict(sorted(params.items(), key=lambda p: (p[0] != "name", p[0] in programs)))


def is_default(name: str, value: Any, eqn: jec.JaxprEqn) -> bool:
    """Say whether a parameter is empty, or what JAX's public function would have passed."""
    if name in _ALWAYS_SHOWN:
        return False
    if name.startswith("num_") and value == 0:
        return True
    if name in _REPEATS_OUTPUT and eqn.outvars:
        aval: Any = eqn.outvars[0].aval
        if value == aval.shape or text_of(value) == text_of(aval.dtype):
            return True
    if _all(_is_empty, value):
        return True
    defaults = _public_default(eqn.primitive.name, name), _jit_defaults().get(name)
    return any(_all(functools.partial(_same, default), value) for default in defaults)


def _all(test: Callable[[Any], bool], value: Any) -> bool:
    """Apply a test to a value or, where it has one entry for each operand, to every entry."""
    return all(map(test, value)) if isinstance(value, (tuple, list)) else test(value)


def _same(default: Any, value: Any) -> bool:
    return type(value) is type(default) and bool(np.all(value == default))


def _is_empty(value: Any) -> bool:
    if value is None or value is False:
        return True
    # JAX's own functions are rules of other transformations, not part of this program.
    if is_own_function(value):
        return True
    return isinstance(value, (str, tuple, list, dict, frozenset)) and not value


@functools.cache
def _public_default(primitive: str, name: str) -> Any:
    """Return the default of the `jax.lax` function a primitive is named after, or None."""
    try:
        parameters = inspect.signature(getattr(jax.lax, primitive)).parameters
    except (AttributeError, TypeError, ValueError):
        return None
    default = parameters[name].default if name in parameters else None
    return None if default is inspect.Parameter.empty else default


@functools.cache
def _jit_defaults() -> Mapping[str, Any]:
    """Return the parameters of a `jit` without options, but for its name and jaxpr."""
    (eqn,) = opened(jax.make_jaxpr(jax.jit(lambda x: x + 1))(0.0)).eqns
    return {
        name: value[0] if isinstance(value, tuple) and value else value
        for name, value in eqn.params.items()
        if name not in ("name", "jaxpr")
    }


def text_of(value: Any) -> str:  # noqa: C901, PLR0911 - one case for each kind of value.
    """Return a parameter as text: NumPy scalars as numbers, dtypes and functions by name."""
    if type(value) in _PLAIN:
        return str(value)  # As are most of them.
    match value:
        case np.generic() | np.ndarray(ndim=0):
            return text_of(value.item())
        case enum.Enum():
            return str(value)
        case type() if issubclass(value, np.generic):
            return np.dtype(value).name
        case tuple() if hasattr(value, "_fields"):
            fields = zip(value._fields, value, strict=True)
            return f"{type(value).__name__}({', '.join(f'{k}={text_of(v)}' for k, v in fields)})"
        case tuple():
            return f"({', '.join(map(text_of, value))}{',' if len(value) == 1 else ''})"
        case list():
            return f"[{', '.join(map(text_of, value))}]"
        case dict():
            return "{" + ", ".join(f"{text_of(k)}: {text_of(v)}" for k, v in value.items()) + "}"
        case np.dtype():
            return value.name
        case jax.sharding.NamedSharding():
            return str(value.spec)  # The mesh is the program's, and long.
    name = getattr(value, "__name__", None)
    if callable(value) and isinstance(name, str):
        return name
    return without_addresses(value)
