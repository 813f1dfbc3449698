"""What is said when `jax.vmap` refuses a function: the cause, the line, and a remedy that works.

Every row has a call that is refused, what the note says, and the call that the note proposes. The
rows after it are relatives for which that proposal would be wrong.
"""

import functools
import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.experimental import checkify, io_callback

import vmapguide
from vmapguide._advice import vmap_notes


X = jnp.arange(12.0).reshape(3, 4)
V = jnp.arange(3.0)
N = jnp.arange(1, 4)
ONE = jax.ShapeDtypeStruct((), jnp.float32)


def note(f: Callable[..., Any], *args: Any, **vmap: Any) -> str:
    """Return the note on a call that both `jax.vmap` and `explain` refuse, in the same words."""
    with pytest.raises(Exception) as plain:  # noqa: PT011 - whatever it is, ours is the same.
        # What is no array cannot go through `jax.make_jaxpr`, and what is a type alone must.
        (jax.vmap if any(isinstance(a, str) for a in args) else _traced)(f, **vmap)(*args)
    with pytest.raises(plain.type) as ours:
        vmapguide.explain(f, **vmap)(*args)
    assert _first_line(ours.value) == _first_line(plain.value)
    notes = [n for n in getattr(ours.value, "__notes__", ()) if n.startswith("explain: ")]
    assert len(notes) <= 1
    return "".join(notes)


def _traced(f: Callable[..., Any], **vmap: Any) -> Callable[..., Any]:
    return jax.make_jaxpr(jax.vmap(f, **vmap))


def _first_line(error: BaseException) -> str:
    return re.sub(r"\w*Tracer.*|0x\w+", "", str(error).partition("\n")[0])


@functools.partial(lax.composite, name="guide.square")
def square(x: jax.Array) -> Any:
    """Return the square, by an operation of its own."""
    return x * x


def squared_sum(x: jax.Array) -> Any:
    """Use the operation."""
    return square(x).sum()


def scaled_sum(w: Any, x: jax.Array) -> Any:
    """Use it on one of two arguments."""
    return square(x).sum() * w


def experts(x: jax.Array, w: jax.Array, sizes: jax.Array) -> Any:
    """Multiply groups of rows by a matrix each."""
    return lax.ragged_dot(x, w, sizes)


EXPERTS = (jnp.ones((5, 3, 2)), jnp.ones((2, 3, 2, 4)), jnp.array([[2, 3]] * 3).T)


def ordered(x: jax.Array, *, is_ordered: bool = True) -> Any:
    """Call Python in order."""
    return io_callback(np.sin, jax.ShapeDtypeStruct((4,), x.dtype), x, ordered=is_ordered)


def ordered_in_loop(n: jax.Array, *, is_ordered: bool = True) -> Any:
    """Call Python in a loop."""

    def body(i: jax.Array) -> jax.Array:
        io_callback(lambda _: None, None, i, ordered=is_ordered)
        return i + 1

    return lax.while_loop(lambda i: i < n, body, jnp.int32(0))


unordered_in_loop = functools.partial(ordered_in_loop, is_ordered=False)


def debug_in_loop(n: jax.Array) -> Any:
    """Call Python in a loop, and need no result."""

    def body(i: jax.Array) -> jax.Array:
        jax.debug.callback(lambda _: None, i)
        return i + 1

    return lax.while_loop(lambda i: i < n, body, jnp.int32(0))


def shared_predicate(n: jax.Array) -> Any:
    """Go on for all until the last example is done."""

    def body(i: jax.Array) -> jax.Array:
        io_callback(lambda _: None, None, i)
        return i + 1

    def goes_on(i: jax.Array) -> Any:
        return lax.pmax((i < n).astype(int), "batch") > 0

    return lax.while_loop(goes_on, body, jnp.int32(0))


def in_branch(p: jax.Array, x: jax.Array) -> Any:
    """Call Python in one branch."""
    return lax.cond(p > 0, lambda x: io_callback(lambda x: x, ONE, x), lambda x: x, x)


def before_branch(p: jax.Array, x: jax.Array) -> Any:
    """Call it before."""
    called = io_callback(lambda x: x, ONE, x)
    return lax.cond(p > 0, lambda x, _: x, lambda _, x: x, called, x)


def debug_in_branch(p: jax.Array, x: jax.Array) -> Any:
    """Call Python in one branch, and need no result."""

    def call(x: jax.Array) -> jax.Array:
        jax.debug.callback(lambda _: None, x)
        return x

    return lax.cond(p > 0, call, lambda x: x, x)


def pure(x: jax.Array, method: Any = None) -> Any:
    """Call a pure function of Python's."""
    return jax.pure_callback(np.sin, jax.ShapeDtypeStruct((4,), x.dtype), x, vmap_method=method)


def foreign(x: jax.Array, method: Any = None) -> Any:
    """Call a foreign function."""
    return jax.ffi.ffi_call("nothing", jax.ShapeDtypeStruct((4,), x.dtype), vmap_method=method)(x)


def window(x: jax.Array, start: jax.Array) -> Any:
    """Reduce windows from an initial value."""
    return lax.reduce_window(x, start, lambda a, b: jnp.maximum(a, b) + 0, (2,), (1,), "VALID")


def grouped(x: jax.Array) -> Any:
    """Sum over groups of examples."""
    return lax.psum(x, "i", axis_index_groups=[[0, 1], [2, 3]])


def write(ref: Any, x: jax.Array) -> None:
    """Write to a reference."""
    ref[0] = x


def write_in_branch(ref: Any, x: jax.Array) -> None:
    """Write in one branch."""
    lax.cond(x > 0, lambda: write(ref, x), lambda: None)


def write_after(ref: Any, x: jax.Array) -> None:
    """Choose in the branch, and write after it."""
    before = ref[0]
    write(ref, lax.cond(x > 0, lambda: x, lambda: before))


def make_ref(x: jax.Array) -> Any:
    """Make the reference for each example."""
    ref = jax.new_ref(jnp.zeros(4))
    write(ref, x)
    return ref[...]


def ref(shape: tuple[int, ...]) -> Any:
    """Return a reference."""
    return jax.new_ref(jnp.zeros(shape))


@jax.custom_batching.custom_vmap
def without_rule(x: jax.Array) -> Any:
    """Have a rule, they say."""
    return x * 2


@jax.custom_batching.custom_vmap
def wrong_rule(x: jax.Array) -> Any:
    """Have a rule that says too much."""
    return x * 2


@wrong_rule.def_vmap
def _wrong_rule(size: int, batched: Any, x: jax.Array) -> Any:  # noqa: ARG001
    return x * 2, [True, True]


@jax.custom_batching.custom_vmap
def right_rule(x: jax.Array) -> Any:
    """Have a rule."""
    return x * 2


@right_rule.def_vmap
def _right_rule(size: int, batched: Any, x: jax.Array) -> Any:  # noqa: ARG001
    return x * 2, True


def blank(n: jax.Array) -> Any:
    """Return the largest size, blanked."""
    return jnp.where(jnp.arange(3) < n, jnp.ones(3), 0)


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


@functools.cache
def cached(x: jax.Array) -> Any:
    """Keep what was computed."""
    return x * 2


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


def double(x: jax.Array) -> Any:
    """Return twice the value."""
    return x * 2


def double_inside_none(x: jax.Array) -> Any:
    """Call `jax.vmap` with a wrong `out_axes`."""
    return jax.vmap(double, out_axes=None)(x)


def double_inside_text(x: jax.Array) -> Any:
    """Call `jax.vmap` with a wrong `in_axes`."""
    return jax.vmap(double, in_axes="0")(x)


class Refused(NamedTuple):
    """A call that is refused, what the note says of it, and calls that the note proposes."""

    f: Callable[..., Any]
    args: tuple[Any, ...]
    vmap: dict[str, Any]
    note: str
    remedies: tuple[Callable[[], Any], ...]


def mapped(f: Callable[..., Any], *args: Any, **vmap: Any) -> Callable[[], Any]:
    """Return a call of `jax.vmap(f)`."""
    return lambda: jax.make_jaxpr(jax.vmap(f, **vmap))(*args)


def looped(f: Callable[..., Any], xs: Any) -> Callable[[], Any]:
    """Return a call of `jax.lax.map`."""
    return lambda: jax.make_jaxpr(functools.partial(lax.map, f))(xs)


sequential: Any = jax.custom_batching.sequential_vmap

REFUSED = {
    "composite": Refused(
        squared_sum,
        (X,),
        {},
        r"test_refusals.py:\d+: JAX has no rule for composite .*"
        r"jax.custom_batching.sequential_vmap\(squared_sum\).* write jax.lax.map\(squared_sum, x\)",
        (mapped(sequential(squared_sum), X), looped(squared_sum, X)),
    ),
    "composite, one shared": Refused(
        scaled_sum,
        (2.0, X),
        {"in_axes": (None, 0)},
        r"jax.lax.map\(lambda example: scaled_sum\(w, example\[0\]\), \(x,\)\)",
        (looped(lambda example: scaled_sum(2.0, example[0]), (X,)),),
    ),
    "ragged_dot": Refused(
        experts,
        EXPERTS,
        {"in_axes": (1, 1, 1)},
        r"move it there with jnp.moveaxis before vmap, and write in_axes=\(0, 0, 0\)",
        (mapped(experts, *(jnp.moveaxis(a, 1, 0) for a in EXPERTS)),),
    ),
    "ragged_dot, one shared": Refused(
        experts,
        (jnp.ones((3, 5, 2)), jnp.ones((2, 2, 4)), jnp.array([2, 3])),
        {"in_axes": (0, None, None)},
        r"jax.lax.map\(lambda example: experts\(example\[0\], w, sizes\), \(x,\)\)",
        (
            looped(
                lambda e: experts(e[0], jnp.ones((2, 2, 4)), jnp.array([2, 3])),
                (jnp.ones((3, 5, 2)),),
            ),
        ),
    ),
    "ordered": Refused(
        ordered,
        (X,),
        {},
        r"write ordered=False .*jax.lax.map\(ordered, x\)",
        (
            mapped(functools.partial(ordered, is_ordered=False), X),
            mapped(sequential(ordered), X),
            looped(ordered, X),
        ),
    ),
    "ordered in a loop": Refused(
        ordered_in_loop,
        (N,),
        {},
        r"has no order .*jax.lax.map\(ordered_in_loop, n\)",
        (mapped(sequential(ordered_in_loop), N), looped(ordered_in_loop, N)),
    ),
    "unordered in a loop": Refused(
        unordered_in_loop,
        (N,),
        {},
        r"use jax.debug.callback .* or end the loop for all at once, by reducing its predicate "
        r"with jax.lax.pmax .*jax.lax.map",
        (
            mapped(debug_in_loop, N),
            mapped(shared_predicate, N, axis_name="batch"),
            mapped(sequential(unordered_in_loop), N),
            looped(unordered_in_loop, N),
        ),
    ),
    "in a branch": Refused(
        in_branch,
        (1.0, V),
        {"in_axes": (None, 0)},
        r"call it outside, or use jax.debug.callback .*jax.lax.map",
        (
            mapped(before_branch, 1.0, V, in_axes=(None, 0)),
            mapped(debug_in_branch, 1.0, V, in_axes=(None, 0)),
            mapped(sequential(in_branch), 1.0, V, in_axes=(None, 0)),
            looped(lambda example: in_branch(jnp.float32(1), example[0]), (V,)),
        ),
    ),
    "pure_callback": Refused(
        pure,
        (X,),
        {},
        r'what pure_callback does with a batch: vmap_method="sequential"',
        tuple(
            mapped(functools.partial(pure, method=m), X) for m in ("sequential", "broadcast_all")
        ),
    ),
    "ffi_call": Refused(
        foreign,
        (X,),
        {},
        r'what ffi_call does with a batch: vmap_method="sequential"',
        tuple(
            mapped(functools.partial(foreign, method=m), X) for m in ("sequential", "broadcast_all")
        ),
    ),
    "reduce_window": Refused(
        window,
        (X, V),
        {},
        r"initial value .*window\(example\[0\], example\[1\]\), \(x, start,\)\)",
        (
            mapped(sequential(window), X, V),
            looped(lambda example: window(example[0], example[1]), (X, V)),
        ),
    ),
    "groups": Refused(
        grouped,
        (jnp.ones((4, 2)),),
        {"axis_name": "i"},
        r"give each group a row, and map twice",
        (
            mapped(
                jax.vmap(lambda x: lax.psum(x, "i"), axis_name="i"),
                jnp.ones((4, 2)).reshape(2, 2, 2),
            ),
        ),
    ),
    "a shared Ref": Refused(
        write,
        (ref((4,)), V),
        {"in_axes": (None, 0)},
        r"make the Ref inside the function, or pass one with a batch axis",
        (mapped(write, ref((3, 4)), V), mapped(make_ref, V)),
    ),
    "a Ref in a branch": Refused(
        write_in_branch,
        (ref((3, 4)), V),
        {},
        r"read it before, choose the value in the branch, and write it after",
        (mapped(write_after, ref((3, 4)), V),),
    ),
    "no rule": Refused(
        without_rule,
        (X,),
        {},
        r"give it one with its def_vmap, or use jax.custom_batching.sequential_vmap",
        (mapped(right_rule, X), mapped(sequential(lambda x: x * 2), X)),
    ),
    "a wrong rule": Refused(
        wrong_rule, (X,), {}, r"return y, True for one array", (mapped(right_rule, X),)
    ),
    "ppermute": Refused(
        lambda x: lax.ppermute(x, "i", [(0, 1)]),
        (V,),
        {"axis_name": "i"},
        r"one pair \(source, destination\) for each",
        (mapped(lambda x: lax.ppermute(x, "i", [(0, 1), (1, 2), (2, 0)]), V, axis_name="i"),),
    ),
    "if": Refused(
        branching,
        (V,),
        {},
        r"test_refusals.py:\d+: Python cannot branch on a value that differs from example to "
        r"example: use jnp.where or jax.lax.cond\.$",
        (
            mapped(lambda x: jnp.where(x > 0, x, -x), V),
            mapped(lambda x: lax.cond(x > 0, lambda: x, lambda: -x), V),
        ),
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
    "a shape": Refused(
        jnp.zeros, (N,), {}, r"blank what is too much with jnp.where", (mapped(blank, N),)
    ),
    "arange": Refused(
        jnp.arange, (N,), {}, r"blank what is too much with jnp.where", (mapped(blank, N),)
    ),
    "a slice": Refused(
        lambda x, i: x[i : i + 2],
        (X, N),
        {},
        r"If this one has, use jax.lax.dynamic_slice_in_dim\(x, start, length\); if not, use "
        r"jnp.where",
        (
            mapped(lambda x, i: lax.dynamic_slice_in_dim(x, i, 2), X, N),
            mapped(
                lambda x, i, j: jnp.where((jnp.arange(4) >= i) & (jnp.arange(4) < j), x, 0),
                X,
                N,
                N,
            ),
        ),
    ),
    "the beginning": Refused(
        lambda x, n: x[:n].sum(),
        (X, N),
        {},
        r"this one has not: use jnp.where",
        (mapped(lambda x, n: jnp.where(jnp.arange(4) < n, x, 0).sum(), X, N),),
    ),
    "the rest": Refused(
        lambda x, n: x[n:].sum(),
        (X, N),
        {},
        r"this one has not: use jnp.where",
        (mapped(lambda x, n: jnp.where(jnp.arange(4) >= n, x, 0).sum(), X, N),),
    ),
    "nonzero": Refused(
        jnp.nonzero, (X,), {}, r"pass size=", (mapped(lambda x: jnp.nonzero(x, size=4), X),)
    ),
    "unique": Refused(
        jnp.unique, (X,), {}, r"pass size=", (mapped(lambda x: jnp.unique(x, size=4), X),)
    ),
    "bincount": Refused(
        jnp.bincount,
        (jnp.ones((3, 4), int),),
        {},
        r"pass length=",
        (mapped(lambda x: jnp.bincount(x, length=2), jnp.ones((3, 4), int)),),
    ),
    "repeat": Refused(
        jnp.repeat,
        (X, N),
        {},
        r"pass total_repeat_length=",
        (mapped(lambda x, n: jnp.repeat(x, n, total_repeat_length=12), X, N),),
    ),
    "a mask": Refused(
        lambda x: x[x > 0].sum(),
        (X,),
        {},
        r"use jnp.where with three arguments",
        (mapped(lambda x: jnp.where(x > 0, x, 0).sum(), X),),
    ),
    "the length of a scan": Refused(
        lambda n: lax.scan(lambda c, _: (c * 2, None), 1.0, None, length=n)[0],
        (N,),
        {},
        r"use jax.lax.fori_loop",
        (mapped(lambda n: lax.fori_loop(0, n, lambda _, c: c * 2, 1.0), N),),
    ),
    "a static argument": Refused(
        jax.jit(lambda x, n: x.reshape(n, -1), static_argnums=1),
        (X, N),
        {},
        r"pass it as a Python value that in_axes does not map",
        (
            lambda: jax.vmap(
                jax.jit(lambda x, n: x.reshape(n, -1), static_argnums=1), in_axes=(0, None)
            )(X, 2),
        ),
    ),
    "a key of a dictionary": Refused(
        lambda i: {1: 10.0, 2: 20.0, 3: 30.0}[i],
        (N,),
        {},
        r"jnp.asarray\(items\)\[i\], choose with jax.lax.switch",
        (
            mapped(lambda i: jnp.asarray([0.0, 10.0, 20.0, 30.0])[i], N),
            mapped(lambda i: lax.switch(i, [lambda: 0.0, lambda: 10.0, lambda: 20.0]), N),
        ),
    ),
    "a member of a set": Refused(
        lambda i: i in {1, 2},
        (N,),
        {},
        r"members of sets .* ask jnp.isin",
        (mapped(lambda i: jnp.isin(i, jnp.array([1, 2])), N),),
    ),
    "an argument that is kept": Refused(
        cached, (V,), {}, r"or leave out the cache", (mapped(cached.__wrapped__, V),)
    ),
    "an axis": Refused(
        lambda x, axis: x.sum(axis),
        (X, N),
        {},
        r"pass it as a Python value that in_axes does not map",
        (lambda: jax.vmap(lambda x, axis: x.sum(axis), (0, None))(X, 0),),
    ),
    "an index": Refused(
        lambda i: [1.0, 2.0, 3.0, 4.0][i],
        (N,),
        {},
        r"jnp.asarray\(items\)\[i\]",
        (mapped(lambda i: jnp.asarray([1.0, 2.0, 3.0, 4.0])[i], N),),
    ),
    "range": Refused(
        lambda n: sum(1.0 for _ in range(n)),
        (N,),
        {},
        r"use jax.lax.fori_loop",
        (mapped(lambda n: lax.fori_loop(0, n, lambda _, c: c + 1.0, 0.0), N),),
    ),
    "float": Refused(float, (V,), {}, r"keep it an array", (mapped(lambda x: x, V),)),
    "item": Refused(
        lambda x: x.item() * 2, (V,), {}, r"keep it an array", (mapped(lambda x: x * 2, V),)
    ),
    "math": Refused(
        math.sin,
        (V,),
        {},
        r"compute with jax.numpy",
        (mapped(jnp.sin, V),),
    ),
    "NumPy": Refused(np.sin, (V,), {}, r"use jax.numpy", (mapped(jnp.sin, V),)),
    "an array of NumPy's that is indexed": Refused(
        lambda i: np.arange(4)[i],
        (N,),
        {},
        r"jnp.asarray around a NumPy array that is indexed",
        (mapped(lambda i: jnp.asarray(np.arange(4))[i], N),),
    ),
    "waiting for the device": Refused(
        lambda x: (x * 2).block_until_ready(),
        (V,),
        {},
        r"call that method on what vmap returns",
        (lambda: jax.vmap(lambda x: x * 2)(V).block_until_ready(),),
    ),
    "a string as a result": Refused(
        lambda x: {"name": "x", "value": x},
        (V,),
        {},
        r"returns a value of type str, .*return arrays",
        (mapped(lambda x: {"value": x}, V),),
    ),
    "out_axes=None": Refused(
        lambda x: x * 2,
        (V,),
        {"out_axes": None},
        r"give it a number, or reduce it .*jax.lax.pmean\(result, 'i'\) with axis_name='i'",
        (
            mapped(lambda x: x * 2, V),
            mapped(lambda x: lax.pmean(x * 2, "i"), V, out_axes=None, axis_name="i"),
        ),
    ),
    "out_axes=None, with a name": Refused(
        lambda x: x * 2,
        (V,),
        {"out_axes": None, "axis_name": "batch"},
        r"jax.lax.pmean\(result, 'batch'\) with axis_name='batch'",
        (mapped(lambda x: lax.pmean(x * 2, "batch"), V, out_axes=None, axis_name="batch"),),
    ),
    "out_axes=None of a vmap inside": Refused(
        double_inside_none,
        (X,),
        {},
        r"test_refusals.py:\d+: a vmap inside the function: out_axes=None",
        (mapped(jax.vmap(double), X),),
    ),
    "a vmap inside with a bad in_axes": Refused(
        double_inside_text,
        (X,),
        {},
        r"test_refusals.py:\d+: in_axes has one entry for each positional argument; write \(0,\)",
        (mapped(jax.vmap(double, in_axes=(0,)), X),),
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_the_note(case: str) -> None:
    """JAX's message comes first and unchanged; the note says why it is and what to do."""
    refused = REFUSED[case]
    assert re.search(refused.note, note(refused.f, *refused.args, **refused.vmap))


@pytest.mark.parametrize("case", REFUSED)
def test_the_remedy(case: str) -> None:
    """What the note proposes works."""
    for remedy in REFUSED[case].remedies:
        remedy()


def test_the_sequential_remedies_compute_the_same() -> None:
    """One example at a time, a function returns what a batching rule of its own would return."""
    expected = (X * X).sum(1)
    for actual in (jax.vmap(sequential(squared_sum))(X), lax.map(squared_sum, X)):
        np.testing.assert_array_equal(actual, expected)


def test_no_loop_where_an_axis_has_a_name() -> None:
    """`jax.lax.map` has no axis that a collective could name: it is not proposed."""

    def f(x: jax.Array) -> Any:
        return lax.pmean(square(x), "i")

    assert "lax.map" not in note(f, X, axis_name="i")


def test_no_sequential_vmap_where_an_argument_is_no_array() -> None:
    """`sequential_vmap` takes arrays alone: with a string beside them it is not proposed."""

    def f(mode: str, x: jax.Array) -> Any:
        return square(x) if mode == "square" else x

    told = note(f, "square", X, in_axes=(None, 0))
    assert "sequential_vmap" not in told
    assert "jax.lax.map(lambda example: f(mode, example[0]), (x,))" in told
    jax.make_jaxpr(lambda xs: lax.map(lambda example: f("square", example[0]), (xs,)))(X)


def test_no_remedy_where_there_is_none() -> None:
    """A function that fails in other ways, too, gets no proposal that would fail."""

    def f(x: jax.Array) -> Any:
        square(x)
        return "text"

    assert note(f, X) == ""


def test_a_value_that_jit_traces_does_not_differ_from_example_to_example() -> None:
    """Inside `jit` what is shared has no value, either: the note does not say that it differs."""

    @jax.jit
    def inner(n: Any) -> Any:
        return jnp.zeros(n)

    told = note(lambda x, n: x + inner(n).sum(), X, jnp.int32(3), in_axes=(0, None))
    assert "this size is not known while it is traced" in told
    assert "differs" not in told


@pytest.mark.parametrize("make", [jnp.asarray, np.asarray], ids=["JAX", "NumPy"])
def test_a_shared_value_may_decide(make: Callable[[Any], Any]) -> None:
    """What all examples share can be branched on, and a type that has no value is named."""

    def f(w: Any, x: jax.Array) -> Any:
        return x if w > 0 else -x

    told = note(f, jax.ShapeDtypeStruct((), jnp.float32), V, in_axes=(None, 0))
    assert "w has no value here; pass an array or a number" in told
    vmapguide.explain(f, (None, 0))(make(1.0), V)
    assert "no value" not in note(f, V, V)


def test_a_shared_value_may_be_a_size() -> None:
    """The same of a size and of an index."""

    def f(n: Any, x: jax.Array) -> Any:
        return x.sum() + jnp.zeros(n).sum() + sum(range(n))

    told = note(f, jax.ShapeDtypeStruct((), jnp.int32), X, in_axes=(None, 0))
    assert "n has no value here; pass an array or a number" in told
    vmapguide.explain(f, (None, 0))(3, X)


def test_every_note_is_followed() -> None:
    """No note is without a row here: what JAX says of the rows meets every pattern."""
    said = []
    for refused in REFUSED.values():
        with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever it is.
            _traced(refused.f, **refused.vmap)(*refused.args)
        said.append(str(caught.value))
    for pattern in vmap_notes.CAUSES:
        assert any(re.search(pattern, text) for text in said), pattern


def test_every_kind_of_test_is_followed() -> None:
    """Nor is a kind of test of Python's."""
    notes = " ".join(refused.note for refused in REFUSED.values())
    for advice in vmap_notes.TESTS.values():
        words = re.escape(advice.partition(",")[0])
        assert words in notes or advice.partition(",")[0] in notes, advice


def test_a_notebook_has_lines_and_no_files() -> None:
    """A cell's file is not there: its line is."""
    names: dict[str, Any] = {}
    code = compile("def f(x):\n    return x if x > 0 else -x\n", "ipykernel_1/1234.py", "exec")
    exec(code, names)  # noqa: S102
    assert note(names["f"], V).startswith("explain: line 2: Python cannot branch")
