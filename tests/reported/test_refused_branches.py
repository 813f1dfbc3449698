"""What is said where Python branches on a value that differs from example to example."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from batches import V, X
from jax import lax
from jax.experimental import checkify
from refusals import N, Other, Refused, mapped, note

import vmapguide
from vmapguide._advice import vmap_notes


def checked(x: jax.Array) -> Any:
    """Check a value."""
    checkify.check(x >= 0, "negative")
    return x


def asserted(x: jax.Array) -> Any:
    """Check a value by Python."""
    assert x >= 0
    return x


def raising(x: jax.Array) -> Any:
    """Check a value by an exception."""
    if x < 0:
        raise ValueError
    return x


def halved(x: jax.Array) -> Any:
    """Go round while it is large."""
    while x > 1:
        x = x / 2
    return x


def within(x: jax.Array) -> Any:
    """Branch on two comparisons."""
    if x > 0 and x < 2:
        return x
    return -x


def matching(i: jax.Array) -> Any:
    """Branch by a pattern."""
    match i:
        case 0:
            return 1.0
    return 2.0


def largest(x: jax.Array) -> Any:
    """Go through an array."""
    return max(x)


def smallest(x: jax.Array) -> Any:
    """Go through an array."""
    return min(x)


def in_order(x: jax.Array) -> Any:
    """Go through an array."""
    return sorted(x)


def branching(x: jax.Array) -> Any:
    """Branch."""
    return x if x > 0 else -x


def positive(x: jax.Array, **size: Any) -> Any:
    """Pick what is positive."""
    return jnp.compress(x > 0, x, **size)


def highest(x: jax.Array, n: Any) -> Any:
    """Return the largest numbers."""
    return lax.top_k(x, n)


REFUSED = {
    "a function that branches": Refused(
        positive,
        (X,),
        {},
        # Which of the two stops it depends on the version of JAX.
        r"(compress branches on a value|an array has one shape) .*differs .*: pass size=",
        (mapped(functools.partial(positive, size=4), X),),
        (Other([1.0, 2.0].index, (V,), {}, "use jnp.where"),),
    ),
    "a function that branches on a number": Refused(
        highest,
        (X, N),
        {},
        r"top_k branches on .*as a Python value that in_axes does not map",
        (lambda: jax.vmap(highest, (0, None))(X, 2),),
        (Other(bool, (V,), {}, "use jnp.where"),),
    ),
    "if": Refused(
        branching,
        (V,),
        {},
        r"test_refused_branches.py:\d+: Python cannot branch on a value that differs from example "
        r"to example: use jnp.where or jax.lax.cond\.$",
        (
            mapped(lambda x: jnp.where(x > 0, x, -x), V),
            mapped(lambda x: lax.cond(x > 0, lambda: x, lambda: -x), V),
        ),
        (Other(branching, (X,), {}),),
    ),
    "while": Refused(
        halved,
        (V,),
        {},
        r"use jax.lax.while_loop\.$",
        (mapped(lambda x: lax.while_loop(lambda x: x > 1, lambda x: x / 2, x), V),),
    ),
    "assert": Refused(
        asserted,
        (V,),
        {},
        r"use jax.experimental.checkify.check",
        (mapped(checkify.checkify(checked), V),),
    ),
    "raise": Refused(
        raising,
        (V,),
        {},
        r"use jax.experimental.checkify.check",
        (mapped(checkify.checkify(checked), V),),
    ),
    "and": Refused(
        lambda x: x > 0 and x < 2,
        (V,),
        {},
        r"use &, \| and ~ with brackets",
        (mapped(lambda x: (x > 0) & (x < 2), V), mapped(lambda x: ~(x > 0) | (x < 2), V)),
    ),
    "a chain": Refused(
        lambda x: 0 < x < 1,
        (V,),
        {},
        r"as in \(0 < x\) & \(x < 1\)",
        (mapped(lambda x: (0 < x) & (x < 1), V),),  # noqa: SIM300 - as proposed.,
    ),
    "if and": Refused(
        within,
        (V,),
        {},
        r"use jnp.where or jax.lax.cond, and &, \| and ~ with brackets",
        (mapped(lambda x: jnp.where((x > 0) & (x < 2), x, -x), V),),
    ),
    "or, of numbers": Refused(
        lambda x: x or 1.0,
        (V,),
        {},
        r"use jnp.where, and jnp.logical_not",
        (mapped(lambda x: jnp.where(x != 0, x, 1.0), V),),
    ),
    "not, of a number": Refused(
        lambda x: not x,
        (V,),
        {},
        r"jnp.logical_not in the place of not",
        (mapped(jnp.logical_not, V),),
    ),
    "match": Refused(
        matching,
        (N,),
        {},
        r"use jax.lax.switch for whole numbers, and jnp.where",
        (
            mapped(lambda i: lax.switch(i, [lambda: 1.0, lambda: 2.0]), N),
            mapped(lambda i: jnp.where(i == 0, 1.0, 2.0), N),
        ),
    ),
    "in": Refused(
        lambda x: x in (1.0, 2.0),
        (V,),
        {},
        r"use jnp.isin",
        (mapped(lambda x: jnp.isin(x, jnp.array([1.0, 2.0])), V),),
    ),
    "max": Refused(
        lambda x: max(x, 1.0),
        (V,),
        {},
        r"use jnp.maximum",
        (mapped(lambda x: jnp.maximum(x, 1.0), V),),
    ),
    "min": Refused(
        lambda x: min(x, 1.0),
        (V,),
        {},
        r"use jnp.minimum",
        (mapped(lambda x: jnp.minimum(x, 1.0), V),),
    ),
    "max of one": Refused(largest, (X,), {}, r"use jnp.max\.$", (mapped(jnp.max, X),)),
    "min of one": Refused(smallest, (X,), {}, r"use jnp.min\.$", (mapped(jnp.min, X),)),
    "sorted": Refused(in_order, (X,), {}, r"use jnp.sort\.$", (mapped(jnp.sort, X),)),
    "all": Refused(
        lambda x: all(y > 0 for y in x),
        (X,),
        {},
        r"use jnp.all",
        (mapped(lambda x: jnp.all(x > 0), X),),
    ),
    "any": Refused(
        lambda x: any(y > 0 for y in x),
        (X,),
        {},
        r"use jnp.any",
        (mapped(lambda x: jnp.any(x > 0), X),),
    ),
}


@pytest.mark.parametrize("make", [jnp.asarray, np.asarray], ids=["JAX", "NumPy"])
def test_a_shared_value_may_decide(make: Callable[[Any], Any]) -> None:
    """What all examples share can be branched on, and a type that has no value is named."""

    def f(w: Any, x: jax.Array) -> Any:
        return x if w > 0 else -x

    told = note(f, jax.ShapeDtypeStruct((), jnp.float32), V, in_axes=(None, 0))
    assert "w has no value here; pass an array or a number" in told
    vmapguide.explain(f, (None, 0))(make(1.0), V)
    assert "no value" not in note(f, V, V)


def test_every_kind_of_test_is_followed() -> None:
    """Every kind of test of Python's has a case whose remedy is followed."""
    notes = " ".join(refused.note for refused in REFUSED.values()).replace("\\", "")
    for advice in vmap_notes.TESTS.values():
        assert advice.partition(",")[0] in notes


def test_a_notebook_has_lines_and_no_files() -> None:
    """A cell's file is not there: its line is."""
    names: dict[str, Any] = {}
    code = compile("def f(x):\n    return x if x > 0 else -x\n", "ipykernel_1/1234.py", "exec")
    exec(code, names)  # noqa: S102
    assert note(names["f"], V).startswith("explain: line 2: Python cannot branch")
