"""`vmapguide.explain` of random programs.

A program is a list of steps; each takes arrays that are there and adds one. Arrays are small and
there are many examples: in the shape of a batched value the large number is the batch.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import pytest
from accounts import Checked
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jax import lax
from kind_rules import Dependence, allowed

import vmapguide
from vmapguide import Explanation
from vmapguide._jaxpr.walk import count_primitives


SIZES = (2, 3, 5)
AXIS = "i"


class Choose:
    """Numbers that choose operands, axes and sizes of a step, and which steps may be inside it."""

    def __init__(self, numbers: Sequence[int], inside: Sequence[Any]) -> None:
        self.rest: Iterator[int] = iter(numbers)
        self.inside = inside

    def __call__(self, count: int) -> int:
        return next(self.rest, 0) % count


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


def ignore(*_: Any) -> None:
    """Take what is printed."""


def printed(x: jax.Array, choose: Choose) -> Any:
    """Print the array, a constant, both of them, or nothing."""
    constant = jnp.arange(2.0) * choose(5)
    (
        lambda: jax.debug.print("{x}", x=x),
        lambda: jax.debug.print("{} {x}", constant, x=x),
        lambda: jax.debug.print("{}", constant),
        lambda: jax.debug.print("here"),
        lambda: jax.debug.callback(ignore, constant, x.sum()),
        lambda: jax.debug.callback(lambda *_, **__: None, x, constant=constant),
    )[choose(6)]()
    return x + constant[0] if choose(2) else x * 1


def on_all(predicate: Any, choose: Choose) -> Any:
    """Reduce a predicate over the examples: whether it holds for any, for all, for most of them."""
    number = jnp.asarray(predicate).astype(jnp.int32)
    return (
        lambda: lax.pmax(number, AXIS) > 0,
        lambda: lax.pmin(number, AXIS) > 0,
        lambda: lax.psum(number, AXIS) > 0,
        lambda: 2 * lax.psum(number, AXIS) > lax.axis_size(AXIS),
        lambda: lax.all_gather(predicate, AXIS).any(),
    )[choose(5)]()


def joint_branch(x: jax.Array, choose: Choose) -> Any:
    """Take one branch of two or of three for all examples together."""
    inner = chosen(choose)
    predicate = on_all(x.sum() > 0, choose)
    if choose(2):
        branches = [lambda v: inner(v) * 1, inner, lambda v: inner(v + 1)]
        return lax.switch(predicate.astype(jnp.int32) * 2, branches, x)
    return lax.cond(predicate, lambda v: inner(v) * 1, lambda v: inner(v + 1), x)


def joint_loop(x: jax.Array, choose: Choose) -> Any:
    """Loop until all examples together end it, or as often as one of them says."""
    kind, number, inner = choose(4), choose(5), chosen(choose)
    if kind == 0:
        return lax.while_loop(
            lambda v: on_all(v.sum() < 10, Choose([number], ())), lambda v: v * 2 + 1, x
        )
    if kind == 1:
        once = on_all(x.sum() < 10, choose)
        return lax.while_loop(
            lambda c: once & (c[0] < 3), lambda c: (c[0] + 1, inner(c[1]).sum() + c[1]), (0, x)
        )[1]
    count = lax.pmax(x.sum().astype(jnp.int32), AXIS)
    if kind == 2:
        return lax.fori_loop(0, count, lambda i, v: v * i + inner(v).sum(), x)
    return x + lax.fori_loop(0, count, lambda i, v: v * i, jnp.float32(1))


ONE = (elementwise, reduction, transpose, reshape, broadcast, slicing, dynamic, sorting)
ALL = (*ONE, branch, scan, loop, compiled, constants, shared_helper, rule, inner_map)

WITH_EFFECTS = (*ONE, printed, printed, joint_branch, joint_loop)


class Family(NamedTuple):
    """Which programs are drawn.

    Attributes:
        steps: what a step may be; combining two arrays comes to it.
        inside: what may be inside of a step.
        batch: how many examples there are. No size is as large, nor a multiple of it.
        largest: how many elements an array may have.
        rank: how many axes an argument may have.
    """

    steps: tuple[Any, ...]
    inside: tuple[Any, ...]
    batch: int
    largest: int
    rank: int


PLAIN = Family(ALL, ONE, batch=997, largest=300, rank=3)
# A print is there once for each example, so there are few.
EFFECTS = Family((*ALL, *WITH_EFFECTS[-4:]), WITH_EFFECTS, batch=53, largest=25, rank=2)


def chosen(choose: Choose) -> Callable[[jax.Array], jax.Array]:
    """Return a step of one operand to be used inside of another."""
    step = choose.inside[choose(len(choose.inside))]
    numbers = [choose(30) for _ in range(4)]

    def apply(x: jax.Array) -> jax.Array:
        # The same numbers each time: a function that is traced twice is the same function.
        return step(x, Choose(numbers, ONE)) if x.ndim else jnp.sin(x)

    return apply


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


def program(plan: Plan, family: Family = PLAIN) -> Callable[..., tuple[jax.Array, jax.Array]]:
    """Return the function that a plan describes: of arrays, with the last two values as results."""

    def f(*arrays: jax.Array) -> tuple[jax.Array, jax.Array]:
        values = list(arrays)
        for step, numbers in plan:
            choose = Choose(numbers, family.inside)
            x = values[-1 - choose(len(values))]
            if step == len(family.steps):
                y = values[-1 - choose(len(values))]
                if family is EFFECTS and choose(2):
                    jax.debug.print("{x} {y}", x=x, y=y)
                made = combine(x, y, choose)
            else:
                made = family.steps[step](x, choose) if x.ndim else jnp.sin(x)
            # Let no array grow: two of them are multiplied, and one is repeated, again and again.
            while made.size > family.largest:
                made = made.sum(0)
            values.append(made)
        return values[-1], values[-2 if len(values) > 1 else -1]

    return f


@st.composite
def calls(draw: st.DrawFn, family: Family) -> tuple[Callable[..., Any], list[Any], dict[str, Any]]:
    """Draw a function, its arguments, and the arguments of vmap."""
    numbers = st.lists(st.integers(0, 29), min_size=8, max_size=8)
    steps = st.tuples(st.integers(0, len(family.steps)), numbers)
    f = program(draw(st.lists(steps, min_size=1, max_size=6)), family)
    shapes = draw(
        st.lists(st.lists(st.sampled_from(SIZES), max_size=family.rank), min_size=1, max_size=3),
        label="shapes",
    )
    in_axes = [
        draw(st.none() | st.integers(-len(shape) - 1, len(shape)), label="axis") for shape in shapes
    ]
    if in_axes == [None] * len(shapes):
        in_axes[0] = 0
    # The collectives need the name of an axis: with two examples each result has one axis more.
    results = jax.eval_shape(
        jax.vmap(f, axis_name=AXIS),
        *(jax.ShapeDtypeStruct((2, *shape), jnp.float32) for shape in shapes),
    )
    out_axes = tuple(
        draw(st.integers(-result.ndim, result.ndim - 1), label="out axis") for result in results
    )
    arguments = []
    for shape, axis in zip(shapes, in_axes, strict=True):
        batched = list(shape)
        if axis is not None:
            batched.insert(axis % (len(shape) + 1), family.batch)
        arguments.append(jax.ShapeDtypeStruct(batched, jnp.float32))
    vmap = {"in_axes": tuple(in_axes), "out_axes": out_axes}
    return f, arguments, vmap if family is PLAIN else vmap | {"axis_name": AXIS}


def check_axes(explanation: Explanation, batch: int) -> None:
    """See that named shapes are the real ones, and that positions are where the batch is."""
    assert explanation.axis_sizes == {"B": batch}
    data: Any = explanation.to_dict()
    for step, shown in zip(explanation.steps, data["steps"], strict=True):
        for eqn, named in zip(step.batched, shown["batched"], strict=True):
            for var, variable in zip(eqn.outvars, named["outputs"], strict=True):
                shape = variable["type"]["shape"]
                assert tuple(real_size(size, batch) for size in shape) == shape_of(var)
                assert ("B" in "".join(map(str, shape))) == any(s >= batch for s in shape_of(var))
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
                    expected.insert(axis, batch)
                assert tuple(expected) == shape_of(whole)


def shape_of(var: Any) -> tuple[int, ...]:
    """Return a variable's real shape."""
    return tuple(var.aval.shape)


def real_size(size: int | str, batch: int) -> int:
    """Return what a named size stands for."""
    factors = [batch if part == "B" else int(part) for part in str(size).split("·")]
    return functools.reduce(lambda a, b: a * b, factors)


def check_kinds(explanation: Explanation, mapped: Sequence[bool]) -> None:
    """See that every step is called what the tests' own rules call it."""
    dependence = Dependence()
    dependence.follow(explanation.per_example, mapped)
    for step in explanation.steps:
        for variant in step.variants:
            assert variant.kind in allowed(step.equation, variant.batched, dependence), (
                step.equation
            )


Drawn = tuple[Callable[..., Any], list[Any], dict[str, Any]]

varied = settings(
    max_examples=250,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)


@varied
@pytest.mark.slow
@given(call=calls(PLAIN))
def test_random_programs(checked: Checked, call: Drawn) -> None:
    """The jaxpr is plain vmap's, all of it is mapped, and the batch is where it is said to be."""
    f, args, vmap = call
    explanation = checked(f, *args, **vmap)
    check_axes(explanation, PLAIN.batch)
    check_kinds(explanation, [axis is not None for axis in vmap["in_axes"]])


@varied
@pytest.mark.slow
@given(call=calls(EFFECTS))
def test_random_programs_that_print_and_decide_together(checked: Checked, call: Drawn) -> None:
    """Prints and decisions that all examples take together are mapped, too."""
    f, args, vmap = call
    explanation = checked(f, *args, **vmap)
    check_axes(explanation, EFFECTS.batch)
    check_kinds(explanation, [axis is not None for axis in vmap["in_axes"]])


@pytest.mark.parametrize("family", [PLAIN, EFFECTS], ids=["plain", "effects"])
def test_the_programs_are_varied(family: Family) -> None:
    """Every kind of step occurs, alone and inside of another."""
    numbers = [[i, *range(i, i + 8)] for i in range(4)]
    x = jax.ShapeDtypeStruct((family.batch, 2, 3), jnp.float32)
    found: set[str] = set()
    kinds: set[str] = set()
    for step in range(len(family.steps) + 1):
        for choices in numbers:
            f = program([(step, choices)], family)
            explanation = vmapguide.explain(f, axis_name=AXIS)(x)
            found |= set(count_primitives(explanation.per_example))
            kinds |= {one.kind for one in explanation.steps}
    assert {"cond", "while", "scan", "jit", "dot_general", "concatenate", "sort"} <= found
    assert {"custom_vjp_call", "exp"} <= found
    assert {"cumsum", "reduce_sum", "transpose", "reshape", "slice", "dynamic_slice"} <= found
    if family is EFFECTS:
        assert {"debug_callback", "debug_print", "pmax"} <= found
        assert {"any example", "slowest example", "one by one"} <= kinds
