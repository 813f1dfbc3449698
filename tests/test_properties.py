"""`vmapguide.explain` of random programs.

A program is a list of steps; each takes arrays that are there and adds one. Arrays are small and
there are many examples: in the shape of a batched value the large number is the batch.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import vmapguide
from vmapguide._explain import Explanation
from vmapguide._jaxpr.walk import count_primitives


Checked = Callable[..., Explanation]

SIZES = (2, 3, 5)
# No size is as large, nor a multiple of it.
BATCH = 997

LARGEST = 300

# One of these is drawn for every step, with numbers that choose operands, axes and sizes.
Choose = Callable[[int], int]


def elementwise(x: jax.Array, choose: Choose) -> Any:
    """Apply a function to every element."""
    return (jnp.sin, jnp.tanh, lambda v: v * 2, lambda v: -v, jnp.abs)[choose(5)](x)


def reduction(x: jax.Array, choose: Choose) -> Any:
    """Reduce an axis, or all."""
    reduce = (jnp.sum, jnp.max, jnp.mean)[choose(3)]
    return reduce(x) if choose(2) else reduce(x, axis=choose(x.ndim))


def transpose(x: jax.Array, choose: Choose) -> jax.Array:
    """Move an axis to another place."""
    return jnp.moveaxis(x, choose(x.ndim), choose(x.ndim))


def reshape(x: jax.Array, choose: Choose) -> jax.Array:
    """Flatten the array, or add an axis."""
    return x.reshape(-1) if choose(2) else jnp.expand_dims(x, choose(x.ndim + 1))


def broadcast(x: jax.Array, choose: Choose) -> jax.Array:
    """Repeat the array along a new axis."""
    return jnp.broadcast_to(x, (SIZES[choose(3)], *x.shape))


def slicing(x: jax.Array, choose: Choose) -> Any:
    """Take all but the first of an axis, if there are others."""
    axis = choose(x.ndim)
    return jax.lax.slice_in_dim(x, min(1, x.shape[axis] - 1), None, axis=axis)


def dynamic(x: jax.Array, choose: Choose) -> Any:
    """Take one of an axis, at an index that depends on the values."""
    index = (x.sum() > 0).astype(jnp.int32)
    return jax.lax.dynamic_index_in_dim(x, index, choose(x.ndim))


def sorting(x: jax.Array, choose: Choose) -> Any:
    """Sort along an axis, or add up."""
    return (jnp.sort, jnp.cumsum)[choose(2)](x, axis=choose(x.ndim))


def branch(x: jax.Array, choose: Choose) -> Any:
    """Branch on a value."""
    inner = chosen(choose)
    predicate = x.sum() > 0
    return jax.lax.cond(predicate, lambda v: inner(v) * 1, lambda v: inner(v + 1), x)


def scan(x: jax.Array, choose: Choose) -> Any:
    """Loop over the first axis."""
    inner = chosen(choose)

    def body(carry: jax.Array, v: jax.Array) -> tuple[jax.Array, jax.Array]:
        return carry + v.sum(), inner(v[None]) * carry

    carry, ys = jax.lax.scan(body, jnp.float32(0), x)
    return ys if choose(2) else carry[None] * x


def loop(x: jax.Array, choose: Choose) -> Any:
    """Loop until a value is large, or a number of times."""
    if choose(2):
        return jax.lax.while_loop(lambda v: v.sum() < 10, lambda v: v * 2 + 1, x)
    return jax.lax.fori_loop(0, 3, lambda i, v: v * i, x)


def compiled(x: jax.Array, choose: Choose) -> Any:
    """Call a compiled function, twice."""
    inner = jax.jit(chosen(choose))
    return inner(x) + inner(x + 1)


def constants(x: jax.Array, choose: Choose) -> Any:
    """Make constants in one order, and use them in another."""
    made = [jnp.arange(1.0, 1.0 + x.shape[-1]) * (k + 1) for k in range(3)]
    order = [choose(3) for _ in range(3)]
    for k in order:
        x = x * made[k] if choose(2) else x + made[-1 - k]
    return x


@jax.jit
def helper(x: jax.Array) -> jax.Array:
    """Compute something in a few steps."""
    return jnp.exp(-jnp.abs(x)) * 2 + jnp.tanh(x)


def shared_helper(x: jax.Array, choose: Choose) -> Any:
    """Call one compiled helper with a shared value, with mapped ones, and one inside the other."""
    once = helper(jnp.float32(choose(5)))
    return (helper(helper(x)) if choose(2) else helper(x)) * once + helper(
        jnp.moveaxis(x, 0, -1)
    ).sum()


def rule(x: jax.Array, choose: Choose) -> Any:
    """Call a function with a derivative of its own that closes over values."""
    scale = x.sum() if choose(2) else jnp.float32(choose(5))

    @jax.custom_vjp
    def scaled(v: jax.Array) -> jax.Array:
        return v * scale

    scaled.defvjp(lambda v: (v * scale, None), lambda _, g: (g,))
    return jax.checkpoint(scaled)(x) if choose(2) else scaled(x)


def inner_map(x: jax.Array, choose: Choose) -> Any:
    """Map over an axis of one example."""
    inner = chosen(choose)
    return jax.vmap(lambda v: inner(v + 1), in_axes=choose(x.ndim))(x)


ONE = (elementwise, reduction, transpose, reshape, broadcast, slicing, dynamic, sorting)
ALL = (*ONE, branch, scan, loop, compiled, constants, shared_helper, rule, inner_map)


def chosen(choose: Choose) -> Callable[[jax.Array], jax.Array]:
    """Return a step of one operand to be used inside of another."""
    step = ONE[choose(len(ONE))]
    numbers = [choose(30) for _ in range(4)]

    def apply(x: jax.Array) -> jax.Array:
        # The same numbers each time: a function that is traced twice is the same function.
        return step(x, _chooser(numbers)) if x.ndim else jnp.sin(x)

    return apply


def _chooser(numbers: Sequence[int]) -> Choose:
    rest = iter(numbers)
    return lambda count: next(rest, 0) % count


def combine(x: jax.Array, y: jax.Array, choose: Choose) -> jax.Array:
    """Make one array of two."""
    left, right = x.reshape(-1), y.reshape(-1)
    kind = choose(3)
    if kind == 0:
        return jnp.concatenate([left, right])
    if kind == 1:
        return jnp.dot(left[:2, None], right[None, :2])
    return jnp.dot(left[:1], right[:1]) * y


Plan = Sequence[tuple[int, Sequence[int]]]


def program(plan: Plan) -> Callable[..., tuple[jax.Array, jax.Array]]:
    """Return the function that a plan describes: of arrays, with the last two values as results."""

    def f(*arrays: jax.Array) -> tuple[jax.Array, jax.Array]:
        values = list(arrays)
        for step, numbers in plan:
            choose = _chooser(numbers)
            x = values[-1 - choose(len(values))]
            if step == len(ALL):
                made = combine(x, values[-1 - choose(len(values))], choose)
            else:
                made = ALL[step](x, choose) if x.ndim else jnp.sin(x)
            # Let no array grow: two of them are multiplied, and one is repeated, again and again.
            while made.size > LARGEST:
                made = made.sum(0)
            values.append(made)
        return values[-1], values[-2 if len(values) > 1 else -1]

    return f


@st.composite
def calls(draw: st.DrawFn) -> tuple[Callable[..., Any], list[Any], dict[str, Any]]:
    """Draw a function, its arguments, and the arguments of vmap."""
    numbers = st.lists(st.integers(0, 29), min_size=8, max_size=8)
    f = program(
        draw(st.lists(st.tuples(st.integers(0, len(ALL)), numbers), min_size=1, max_size=6))
    )
    shapes = draw(
        st.lists(st.lists(st.sampled_from(SIZES), max_size=3), min_size=1, max_size=3),
        label="shapes",
    )
    in_axes = [
        draw(st.none() | st.integers(-len(shape) - 1, len(shape)), label="axis") for shape in shapes
    ]
    if in_axes == [None] * len(shapes):
        in_axes[0] = 0
    results = jax.eval_shape(f, *(jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes))
    out_axes = tuple(
        draw(st.integers(-result.ndim - 1, result.ndim), label="out axis") for result in results
    )
    arguments = []
    for shape, axis in zip(shapes, in_axes, strict=True):
        batched = list(shape)
        if axis is not None:
            batched.insert(axis % (len(shape) + 1), BATCH)
        arguments.append(jax.ShapeDtypeStruct(batched, jnp.float32))
    return f, arguments, {"in_axes": tuple(in_axes), "out_axes": out_axes}


def check_axes(explanation: Explanation) -> None:
    """See that named shapes are the real ones, and that positions are where the batch is."""
    assert explanation.sizes == {"B": BATCH}
    data: Any = explanation.to_dict()
    for step, shown in zip(explanation.steps, data["steps"], strict=True):
        for eqn, named in zip(step.batched, shown["batched"], strict=True):
            for var, variable in zip(eqn.outvars, named["outputs"], strict=True):
                shape = variable["type"]["shape"]
                assert tuple(map(real_size, shape)) == shape_of(var)
                assert ("B" in "".join(map(str, shape))) == any(s >= BATCH for s in shape_of(var))
        for variant in step.variants:
            if not variant.batched:
                continue  # It passes on what it was given, or its jaxpr was not used.
            assert variant.batch_axes is not None
            last = variant.batched[-1].outvars
            if len(last) != len(step.equation.outvars):
                continue
            for axis, one, whole in zip(
                variant.batch_axes, step.equation.outvars, last, strict=True
            ):
                expected = list(shape_of(one))
                if axis is not None:
                    expected.insert(axis, BATCH)
                assert tuple(expected) == shape_of(whole)


def shape_of(var: Any) -> tuple[int, ...]:
    """Return a variable's real shape."""
    return tuple(var.aval.shape)


def real_size(size: int | str) -> int:
    """Return what a named size stands for."""
    factors = [BATCH if part == "B" else int(part) for part in str(size).split("·")]
    return functools.reduce(lambda a, b: a * b, factors)


@settings(
    max_examples=250,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@pytest.mark.slow
@given(call=calls())
def test_random_programs(
    checked: Checked, call: tuple[Callable[..., Any], list[Any], dict[str, Any]]
) -> None:
    """The jaxpr is plain vmap's, all of it is mapped, and the batch is where it is said to be."""
    f, args, vmap = call
    check_axes(checked(f, *args, **vmap))


def test_the_programs_are_varied() -> None:
    """Every kind of step occurs, alone and inside of another."""
    numbers = [[i, *range(i, i + 8)] for i in range(4)]
    x = jax.ShapeDtypeStruct((BATCH, 2, 3), jnp.float32)
    found: set[str] = set()
    for step in range(len(ALL) + 1):
        for choices in numbers:
            explanation = vmapguide.explain(program([(step, choices)]))(x)
            found |= set(count_primitives(explanation.per_example))
    assert {"cond", "while", "scan", "jit", "dot_general", "concatenate", "sort"} <= found
    assert {"custom_vjp_call", "exp"} <= found
    assert {"cumsum", "reduce_sum", "transpose", "reshape", "slice", "dynamic_slice"} <= found
