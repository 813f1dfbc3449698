"""What is said of an operation that `jax.vmap` refuses: callbacks, collectives, Refs, rules."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from batches import V, X
from jax import lax
from jax.experimental import io_callback
from refusals import (
    ONE,
    N,
    Other,
    Refused,
    looped,
    mapped,
    note,
    sequential,
    with_text,
)


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


@jax.custom_batching.custom_vmap
def raising_rule(x: jax.Array) -> Any:
    """Have a rule that fails."""
    return x * 2


@raising_rule.def_vmap
def _raising_rule(size: int, batched: Any, x: jax.Array) -> Any:
    raise RuntimeError(size, batched, x)


def sum_of_own_group(x: jax.Array) -> Any:
    """Sum over a group of one and one of two."""
    groups = jnp.array([0, 1, 1])
    every = lax.all_gather(x, "i")
    return jnp.where(groups == groups[lax.axis_index("i")], every, 0).sum()


def sent_to_the_second(x: jax.Array) -> Any:
    """Send from the first example to the second one, and zeros to the others."""
    sent = lax.ppermute(x, "i", [(0, 1), (1, 2), (2, 0)])
    return jnp.where(lax.axis_index("i") == 1, sent, 0)


REFUSED = {
    "composite": Refused(
        squared_sum,
        (X,),
        {},
        r"test_refused_operations.py:\d+: JAX has no rule for composite .*"
        r"jax.custom_batching.sequential_vmap\(squared_sum\).* write jax.lax.map\(squared_sum, x\)",
        (mapped(sequential(squared_sum), X), looped(squared_sum, X)),
        (Other(with_text(squared_sum), (X,), {}),),
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
        (Other(with_text(experts), EXPERTS, {"in_axes": (1, 1, 1)}),),
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
        (Other(with_text(ordered), (X,), {}, r"ordered=False if it does not matter\.$"),),
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
        (Other(ordered_in_loop, (N,), {}, "has no order"),),
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
        (Other(with_text(in_branch), (1.0, V), {"in_axes": (None, 0)}, r"no result is needed\.$"),),
    ),
    "pure_callback": Refused(
        pure,
        (X,),
        {},
        r'what pure_callback does with a batch: vmap_method="sequential"',
        tuple(
            mapped(functools.partial(pure, method=m), X) for m in ("sequential", "broadcast_all")
        ),
        (Other(functools.partial(pure, method="loop"), (X,), {}),),
    ),
    "ffi_call": Refused(
        foreign,
        (X,),
        {},
        r'what ffi_call does with a batch: vmap_method="sequential"',
        tuple(
            mapped(functools.partial(foreign, method=m), X) for m in ("sequential", "broadcast_all")
        ),
        (Other(functools.partial(foreign, method="loop"), (X,), {}),),
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
        (Other(with_text(window), (X, V), {}),),
    ),
    "groups that are not equal": Refused(
        lambda x: lax.psum(x, "i", axis_index_groups=[[0], [1, 2]]),
        (V,),
        {"axis_name": "i"},
        r"take what jax.lax.all_gather returns, and blank the other groups with jnp.where",
        (mapped(sum_of_own_group, V, axis_name="i"),),
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
        (
            Other(
                lambda x: lax.all_to_all(x, "i", 0, 0, axis_index_groups=[[0, 1], [2, 3]]),
                (jnp.ones((4, 2)),),
                {"axis_name": "i"},
            ),
        ),
    ),
    "a shared Ref": Refused(
        write,
        (ref((4,)), V),
        {"in_axes": (None, 0)},
        r"make the Ref inside the function, or pass one with a batch axis",
        (mapped(write, ref((3, 4)), V), mapped(make_ref, V), mapped(lambda x: x, V)),
        (
            Other(
                write_in_branch,
                (ref((4,)), V),
                {"in_axes": (None, 0)},
                "cannot|neither read nor write",
            ),
        ),
    ),
    "a Ref in a branch": Refused(
        write_in_branch,
        (ref((3, 4)), V),
        {},
        r"read it before, choose the value in the branch, and write it after",
        (mapped(write_after, ref((3, 4)), V),),
        (
            Other(
                lambda ref, x: lax.cond(x > 0, lambda: ref[0], lambda: None), (ref((3, 4)), V), {}
            ),
        ),
    ),
    "no rule": Refused(
        without_rule,
        (X,),
        {},
        r"give it one with its def_vmap, or use jax.custom_batching.sequential_vmap",
        (mapped(right_rule, X), mapped(sequential(lambda x: x * 2), X)),
        (Other(raising_rule, (X,), {}),),
    ),
    "a wrong rule": Refused(
        wrong_rule,
        (X,),
        {},
        r"return y, True for one array",
        (mapped(right_rule, X),),
        (Other(raising_rule, (X,), {}),),
    ),
    "pshuffle": Refused(
        lambda x: lax.pshuffle(x, "i", [0]),
        (V,),
        {"axis_name": "i"},
        r"and pshuffle where it comes from",
        (mapped(lambda x: lax.pshuffle(x, "i", [1, 2, 0]), V, axis_name="i"),),
    ),
    "ppermute to some": Refused(
        lambda x: lax.ppermute(x, "i", [(0, 1)]),
        (V,),
        {"axis_name": "i"},
        r"blank with jnp.where what is to get nothing",
        (mapped(sent_to_the_second, V, axis_name="i"),),
    ),
    "ppermute": Refused(
        lambda x: lax.ppermute(x, "i", [(0, 1)]),
        (V,),
        {"axis_name": "i"},
        r"one pair \(source, destination\) for each",
        (mapped(lambda x: lax.ppermute(x, "i", [(0, 1), (1, 2), (2, 0)]), V, axis_name="i"),),
        (
            Other(
                lambda x: lax.ppermute(x, "i", [(0, 1), (1, 2), (2, 7)]), (V,), {"axis_name": "i"}
            ),
        ),
    ),
}


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


def test_what_is_computed_by_hand_is_what_was_asked_for() -> None:
    """Groups by `all_gather`, and a permutation of some, give what their collectives would."""
    sums = jax.vmap(sum_of_own_group, axis_name="i")(V)
    np.testing.assert_array_equal(sums, [V[0], V[1] + V[2], V[1] + V[2]])
    sent = jax.vmap(sent_to_the_second, axis_name="i")(V + 1)
    np.testing.assert_array_equal(sent, [0, 1, 0])
