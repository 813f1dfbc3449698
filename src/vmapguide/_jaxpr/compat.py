"""All that vmapguide knows of JAX that JAX does not document, or that its versions do differently.

This is the only file to mend when JAX changes. Each function asks one thing of JAX, and raises an
error if JAX no longer has it. No other file uses the attributes that are used here.
`tests/unit/test_compat.py` asks each function on every version of JAX that is tested.
"""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.extend.core as jec


AnyJaxpr = jec.Jaxpr | jec.ClosedJaxpr


# -- Jaxprs -----------------------------------------------------------------


def opened(jaxpr: AnyJaxpr) -> jec.Jaxpr:
    """Return the jaxpr inside a closed jaxpr, or the jaxpr itself.

    Since JAX 0.11 a closed jaxpr and a jaxpr are one class, and `jaxpr.jaxpr is jaxpr`.
    """
    return jaxpr.jaxpr if hasattr(jaxpr, "jaxpr") else jaxpr


def consts_of(jaxpr: AnyJaxpr) -> Sequence[Any]:
    """Return the values of a jaxpr's constants; an open jaxpr does not know them."""
    return getattr(jaxpr, "consts", ())


def constants(jaxpr: AnyJaxpr) -> Iterator[tuple[jec.Var, Any]]:
    """Yield the variables of a jaxpr that are constants, each with its value."""
    return zip(opened(jaxpr).constvars, consts_of(jaxpr), strict=False)


def with_equations(
    jaxpr: jec.Jaxpr, eqns: Sequence[jec.JaxprEqn], outvars: Sequence[Any]
) -> jec.Jaxpr:
    """Return a jaxpr with other equations and results; its arguments keep their names."""
    info = jaxpr.debug_info
    return jaxpr.replace(eqns=[*eqns], outvars=[*outvars], debug_info=info)  # type: ignore[no-any-return]


def with_inputs(
    jaxpr: jec.Jaxpr,
    constvars: Sequence[jec.Var],
    invars: Sequence[jec.Var],
    eqns: Sequence[jec.JaxprEqn],
) -> jec.Jaxpr:
    """Return an open jaxpr with other constants, arguments and equations."""
    effects, info = jaxpr.effects, jaxpr.debug_info
    return jec.Jaxpr([*constvars], [*invars], jaxpr.outvars, [*eqns], effects, info)


def argument_names(jaxpr: AnyJaxpr) -> Sequence[str]:
    """Return what the function that a jaxpr was traced from calls its arguments, () if unknown."""
    return opened(jaxpr).debug_info.arg_names or ()


def function_of(jaxpr: jec.Jaxpr) -> tuple[str, str]:
    """Return the name and the file of the function that a jaxpr was traced from; "" if unknown."""
    name, _, place = (jaxpr.debug_info.func_src_info or "").partition(" at ")
    return name, place.rpartition(":")[0]


# -- Equations --------------------------------------------------------------


def frames(eqn: jec.JaxprEqn) -> Iterator[tuple[types.CodeType, int]]:
    """Yield the Python frames that led to an equation, the innermost first.

    Each is its code, and the place of the instruction in its bytecode.
    """
    info: Any = eqn.source_info
    traceback = getattr(info, "traceback", None)
    return zip(*traceback.raw_frames(), strict=True) if traceback is not None else iter(())


def origin(eqn: jec.JaxprEqn) -> int:
    """Return a number that an equation has in common with what it was copied from."""
    return id(eqn.source_info)


def tagged(eqn: jec.JaxprEqn, tag: str) -> jec.JaxprEqn:
    """Return an equation with a tag in its name stack, which `jax.vmap` hands on."""
    info: Any = eqn.source_info
    copy: jec.JaxprEqn = eqn.replace(
        source_info=info.replace(name_stack=info.name_stack.extend(tag))
    )
    return copy


def tags(eqn: jec.JaxprEqn, pattern: re.Pattern[str]) -> list[Any]:
    """Return the tags of an equation that match a pattern, the outermost first."""
    return pattern.findall(str(eqn.source_info.name_stack))


def equation_like(
    eqn: jec.JaxprEqn,
    primitive: jec.Primitive,
    *,
    inputs: Sequence[Any],
    outputs: Sequence[jec.Var],
    params: Mapping[str, Any],
) -> jec.JaxprEqn:
    """Return a new equation without effects, from where another one is and in its context."""
    info = eqn.source_info
    return jec.new_jaxpr_eqn([*inputs], [*outputs], primitive, dict(params), set(), info, eqn.ctx)


def scan_counts(eqn: jec.JaxprEqn) -> tuple[int, int]:
    """Return how many of the operands of a `scan` are constants, and how many are its carry."""
    if "ft_in" in eqn.params:
        # JAX 0.11 says with trees what it said with counts.
        consts, carry, _ = eqn.params["ft_in"].unpack()
        return len(consts.vals), len(carry.vals)
    return eqn.params["num_consts"], eqn.params["num_carry"]


def params_of(eqn: jec.JaxprEqn) -> dict[str, Any]:
    """Return an equation's parameters, spelled alike on every version of JAX."""
    params = dict(eqn.params)
    if eqn.primitive.name == "scan" and "ft_in" in params:
        del params["ft_in"], params["ft_out"]
        params |= zip(("num_consts", "num_carry"), scan_counts(eqn), strict=True)
    return params


def type_text(aval: Any) -> str:
    """Return a type as JAX prints it in a jaxpr: `f32[3,5]`."""
    text: str = aval.str_short(short_dtypes=True)
    return text


def sharding_of_type(leaf: Any) -> Any:
    """Return the sharding of an array if its type says it, as with explicit axes of a mesh."""
    sharding = getattr(leaf, "sharding", None)
    types = getattr(getattr(sharding, "mesh", None), "axis_types", ())
    return sharding if jax.sharding.AxisType.Explicit in types else None


# -- Functions --------------------------------------------------------------


def is_jitted(f: Callable[..., Any]) -> bool:
    """Say whether a function is what `jax.jit` returns."""
    return type(f).__name__ == "PjitFunction"


def is_batching(code: types.CodeType) -> bool:
    """Say whether it is JAX's code that asks the batching rule of a primitive."""
    return code.co_name == "process_primitive" and code.co_filename.endswith("batching.py")


def is_own_function(value: Any) -> bool:
    """Say whether a parameter is a function of JAX's own, such as a rule for derivatives."""
    if not callable(value) and type(value).__name__ != "WrappedFun":
        return False
    return (getattr(value, "__module__", None) or "").startswith("jax.")


def closure(f: Callable[..., Any]) -> dict[str, Any]:
    """Return the variables that a function has from where it was made.

    The functions that transformations of JAX return keep in them what was transformed, and how.
    """
    code = getattr(f, "__code__", None)
    found = {}
    for name, cell in zip(getattr(code, "co_freevars", ()), f.__closure__ or (), strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:
            continue  # The variable is not assigned yet.
    return found


# Functions of JAX that call `jax.vmap` for the user, each with what it calls the user's function.
# `hessian` and `jacobian` are made of two of them. What else in JAX calls `jax.vmap`, such as a
# batching rule, is JAX's own affair.
_MAKERS = {
    "apply_along_axis": "func1d",
    "fromfunction": "function",
    "jacfwd": "fun",
    "jacrev": "fun",
    "map": "f",
    "vectorize": "pyfunc",
}


def maker(frame: types.FrameType) -> str:
    """Return the function of JAX that calls `jax.vmap` in a frame for the user; "" if none does."""
    name, *_ = frame.f_code.co_qualname.split(".")
    return name if name in _MAKERS else ""


def function_of_maker(frame: types.FrameType) -> Callable[..., Any] | None:
    """Return the user's function that is vmapped in such a frame, None if that is unknown."""
    return frame.f_locals.get(_MAKERS[maker(frame)])


# -- Transformations --------------------------------------------------------


class _StagedError(Exception):
    """An operation was recorded, and not carried out."""


def _types_of_nothing() -> Any:
    raise _StagedError


# An operation without arguments and results. To be recorded it needs the types of its results:
# that is where it gets away, and leaves nothing behind.
_nothing = jec.Primitive("vmapguide_nothing")
_nothing.multiple_results = True
_nothing.def_impl(list)
_nothing.def_abstract_eval(_types_of_nothing)


def is_staged() -> bool:
    """Say whether operations are recorded here, as under `jax.jit`, and not carried out."""
    try:
        _nothing.bind()
    except _StagedError:
        return True
    return False
