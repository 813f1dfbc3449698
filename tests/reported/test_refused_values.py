"""What is said where one value is needed: a size, a slice, an index, a number, an axis."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from batches import V, X
from jax import lax
from refusals import N, Other, Refused, mapped, note

import vmapguide


def write(ref: Any, x: jax.Array) -> None:
    """Write to a reference."""
    ref[0] = x


def ref(shape: tuple[int, ...]) -> Any:
    """Return a reference."""
    return jax.new_ref(jnp.zeros(shape))


def blank(n: jax.Array) -> Any:
    """Return the largest size, blanked."""
    return jnp.where(jnp.arange(3) < n, jnp.ones(3), 0)


@functools.cache
def cached(x: jax.Array) -> Any:
    """Keep what was computed."""
    return x * 2


def largest(x: jax.Array) -> Any:
    """Go through an array."""
    return max(x)


def double(x: jax.Array) -> Any:
    """Return twice the value."""
    return x * 2


def double_inside_none(x: jax.Array) -> Any:
    """Call `jax.vmap` with a wrong `out_axes`."""
    return jax.vmap(double, out_axes=None)(x)


def double_inside_text(x: jax.Array) -> Any:
    """Call `jax.vmap` with a wrong `in_axes`."""
    return jax.vmap(double, in_axes="0")(x)


def total(x: jax.Array) -> Any:
    """Add up what Python goes through."""
    return sum(v * 2 for v in x)


def scaled_total(w: jax.Array, x: jax.Array) -> Any:
    """Add up what all examples share."""
    return sum(w * v for v in x)


def looked_up(x: jax.Array) -> Any:
    """Look up what is no key, and no value that is traced either."""
    key: Any = [1]
    return {1: x}[key]


@functools.partial(jax.jit, static_argnums=1)
def power(x: jax.Array, n: Any) -> Any:
    """Use a static argument."""
    return x**n


@jax.jit
def power_of_traced(x: jax.Array, n: jax.Array) -> Any:
    """Pass what has no value to it."""
    return power(x, n)


def pair(x: jax.Array) -> Any:
    """Take a pair apart."""
    first, second = x
    return first - second


KEPT: list[Any] = []


def keep(x: jax.Array) -> Any:
    """Keep a value that is being traced."""
    KEPT.append(x * 2)
    return x


def use_kept(x: jax.Array) -> Any:
    """Use what another trace has kept."""
    jax.vmap(keep)(V)
    return x + KEPT.pop()


def use_returned(x: jax.Array) -> Any:
    """Use what is returned instead."""
    return x + jax.vmap(double)(V)[0]


def keep_in_scan(x: jax.Array) -> Any:
    """Use what a loop's body has kept, outside of it."""
    kept = []

    def body(carry: jax.Array, v: jax.Array) -> tuple[jax.Array, None]:
        kept.append(v * 2)
        return carry + v, None

    return lax.scan(body, jnp.float32(0), x)[0] + kept[0]


def return_from_scan(x: jax.Array) -> Any:
    """Return it from the body, as one of the outputs."""

    def body(carry: jax.Array, v: jax.Array) -> tuple[jax.Array, jax.Array]:
        return carry + v, v * 2

    carry, twice = lax.scan(body, jnp.float32(0), x)
    return carry + twice[0]


def smooth(x: Any) -> Any:
    """Do what NumPy alone can do."""
    return np.asarray(x) * np.hanning(4)


def smooth_by_callback(x: jax.Array) -> Any:
    """Have it done by a callback."""
    return jax.pure_callback(smooth, x, x, vmap_method="sequential")


REFUSED = {
    "a loop over a number": Refused(
        total,
        (V,),
        {},
        r"Python goes through x, .*vmap is that loop, so compute with x itself; call total\(x\)",
        (mapped(lambda x: x * 2, V), lambda: jax.make_jaxpr(total)(V)),
        (
            Other(lambda x: total(x.sum()), (X,), {}),
            Other(lambda x, w: x + total(w), (V, V[1]), {"in_axes": (0, None)}),
            Other(jax.vmap(total), (X,), {}),
        ),
    ),
    "a loop over a number, counted from the end": Refused(
        total,
        (V,),
        {"in_axes": -1},
        r"vmap is that loop, so compute with x itself; call total\(x\)",
        (mapped(lambda x: x * 2, V, in_axes=-1), lambda: jax.make_jaxpr(total)(V)),
    ),
    "a loop over what may be shared": Refused(
        scaled_total,
        (X, V),
        {},
        r"if all examples share x, .*in_axes=\(0, None\)",
        (mapped(scaled_total, X, V, in_axes=(0, None)), mapped(lambda w, x: w * x, X, V)),
    ),
    "a pair": Refused(
        pair,
        (V[:2],),
        {},
        r"one number: call pair\(x\), without vmap",
        (lambda: jax.make_jaxpr(pair)(V[:2]),),
        (Other(pair, (V,), {}),),
    ),
    "a value that is kept": Refused(
        use_kept,
        (V,),
        {},
        r"a function that vmap has traced before, .*keep what vmap returns",
        (mapped(use_returned, V),),
        (Other(lambda x: use_returned(x) + "text", (V,), {}),),
    ),
    "what NumPy alone can do": Refused(
        smooth,
        (X,),
        {},
        r"jax.pure_callback with a vmap_method",
        (mapped(smooth_by_callback, X),),
    ),
    "reshape": Refused(
        lambda x, n: x.reshape(n, -1),
        (X, N),
        {},
        r"reshape has one shape for all examples, .*pass its sizes as Python numbers",
        (lambda: jax.vmap(lambda x, n: x.reshape(n, -1), (0, None))(X, 2),),
        (Other(lambda x: x.reshape(3, 3), (X,), {}),),
    ),
    "setdiff1d": Refused(
        lambda x: jnp.setdiff1d(x, jnp.ones(2)),
        (X,),
        {},
        r"pass size=",
        (mapped(lambda x: jnp.setdiff1d(x, jnp.ones(2), size=4), X),),
        (Other(lambda x: jnp.delete(x, x > 0), (X,), {}),),
    ),
    "union1d": Refused(
        lambda x: jnp.union1d(x, jnp.ones(2)),
        (X,),
        {},
        r"pass size=",
        (mapped(lambda x: jnp.union1d(x, jnp.ones(2), size=6), X),),
    ),
    "a shape": Refused(
        jnp.zeros,
        (N,),
        {},
        r"blank what is too much with jnp.where",
        (mapped(blank, N),),
        (
            Other(lambda x: x + jnp.zeros(2.5), (V,), {}),
            Other(lambda x: x + jnp.zeros(-1), (V,), {}),
        ),
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
        (Other(lambda x: x[:2.5], (X,), {}),),
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
        jnp.nonzero,
        (X,),
        {},
        r"pass size=",
        (mapped(lambda x: jnp.nonzero(x, size=4), X),),
        (
            Other(jnp.trim_zeros, (X,), {}),
            Other(jnp.roots, (X,), {}),
        ),
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
        (Other(jnp.bincount, (X,), {}),),
    ),
    "repeat": Refused(
        jnp.repeat,
        (X, N),
        {},
        r"pass total_repeat_length=",
        (mapped(lambda x, n: jnp.repeat(x, n, total_repeat_length=12), X, N),),
        (Other(lambda x: jnp.repeat(x, jnp.ones(3, int), total_repeat_length=4), (X,), {}),),
    ),
    "a mask": Refused(
        lambda x: x[x > 0].sum(),
        (X,),
        {},
        r"use jnp.where with three arguments",
        (mapped(lambda x: jnp.where(x > 0, x, 0).sum(), X),),
        (Other(lambda x: x + jnp.ones(3)[np.array([True])], (X,), {}),),
    ),
    "the length of a scan": Refused(
        lambda n: lax.scan(lambda c, _: (c * 2, None), 1.0, None, length=n)[0],
        (N,),
        {},
        r"use jax.lax.fori_loop",
        (mapped(lambda n: lax.fori_loop(0, n, lambda _, c: c * 2, 1.0), N),),
        (Other(lambda x: lax.scan(lambda c, v: (c, v), 0.0, x, length=3), (X,), {}),),
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
        (
            Other(lambda x: jax.jit(lambda x, _: x, static_argnums=1)(x, [1, 2]), (X,), {}),
            Other(looked_up, (X,), {}),
        ),
    ),
    "a static argument that jit traces": Refused(
        power_of_traced,
        (X, N),
        {},
        "in here is one that is not known while it is traced: .*pass it as a Python value",
        (lambda: jax.vmap(power, in_axes=(0, None))(X, 2),),
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
        (Other(lambda i: [1.0, 2.0][i], (V,), {}),),
    ),
    "range": Refused(
        lambda n: sum(1.0 for _ in range(n)),
        (N,),
        {},
        r"use jax.lax.fori_loop",
        (mapped(lambda n: lax.fori_loop(0, n, lambda _, c: c + 1.0, 0.0), N),),
    ),
    "float": Refused(
        float,
        (V,),
        {},
        r"keep it an array",
        (mapped(lambda x: x, V),),
        (Other(float, (X,), {}),),
    ),
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
    "NumPy": Refused(
        np.sin,
        (V,),
        {},
        r"use jax.numpy",
        (mapped(jnp.sin, V),),
        (Other(lambda x: x + np.ones(4).reshape(3), (X,), {}),),
    ),
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
        (Other(lambda x: x.wait(), (X,), {}),),
    ),
    "a string as a result": Refused(
        lambda x: {"name": "x", "value": x},
        (V,),
        {},
        r"returns a value of type str, .*return arrays",
        (mapped(lambda x: {"value": x}, V),),
        (Other(lambda x: x, ("text",), {}, "of type str, of which there is no batch"),),
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
        (
            Other(jax.random.key, (N,), {"out_axes": None}, r"give it a number\.$"),
            Other(double, (V,), {"out_axes": "0"}, "Python's own ints"),
        ),
    ),
    "out_axes=None, with a name": Refused(
        lambda x: x * 2,
        (V,),
        {"out_axes": None, "axis_name": "batch"},
        r"jax.lax.pmean\(result, 'batch'\) with axis_name='batch'",
        (mapped(lambda x: lax.pmean(x * 2, "batch"), V, out_axes=None, axis_name="batch"),),
        (
            Other(
                jax.random.key,
                (N,),
                {"out_axes": None, "axis_name": "batch"},
                r"give it a number\.$",
            ),
        ),
    ),
    "out_axes=None of a vmap inside": Refused(
        double_inside_none,
        (X,),
        {},
        r"test_refused_values.py:\d+: a vmap inside the function: out_axes=None",
        (mapped(jax.vmap(double), X),),
    ),
    "a vmap inside with a bad in_axes": Refused(
        double_inside_text,
        (X,),
        {},
        r"test_refused_values.py:\d+: in_axes has one entry for each positional argument; "
        r"write \(0,\)",
        (mapped(jax.vmap(double, in_axes=(0,)), X),),
    ),
}


def test_a_value_that_jit_traces_does_not_differ_from_example_to_example() -> None:
    """Inside `jit` what is shared has no value, either: the note does not say that it differs."""

    @jax.jit
    def inner(n: Any) -> Any:
        return jnp.zeros(n)

    told = note(lambda x, n: x + inner(n).sum(), X, jnp.int32(3), in_axes=(0, None))
    assert "this size is not known while it is traced" in told
    assert "differs" not in told


def test_a_shared_value_may_be_a_size() -> None:
    """A size and an index that lack a value may be given as numbers."""

    def f(n: Any, x: jax.Array) -> Any:
        return x.sum() + jnp.zeros(n).sum() + sum(range(n))

    told = note(f, jax.ShapeDtypeStruct((), jnp.int32), X, in_axes=(None, 0))
    assert "n has no value here; pass an array or a number" in told
    vmapguide.explain(f, (None, 0))(3, X)


def test_a_value_that_is_kept_in_a_loop() -> None:
    """What `jax.make_jaxpr` lets through is refused where it runs, and another note is given."""
    with pytest.raises(jax.errors.UnexpectedTracerError) as caught:
        vmapguide.check(keep_in_scan)(X)
    (told,) = (n for n in caught.value.__notes__ if n.startswith("check: test_refused"))
    assert "by a function that is traced apart" in told
    assert "by scan as one of its outputs" in told
    np.testing.assert_array_equal(jax.vmap(return_from_scan)(X), X.sum(1) + X[:, 0] * 2)
    vmapguide.check(return_from_scan)(X)
