"""Programs that people have, and that were not mapped, or mapped to something else."""

import math
import re
from collections.abc import Callable
from typing import Any

import jax
import jax.extend.core as jec
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.experimental import checkify
from jax.interpreters import batching

import vmapguide
from vmapguide import Explanation, Step


Checked = Callable[..., Explanation]

X = jnp.linspace(0.1, 2.0, 15, dtype=jnp.float32).reshape(5, 3)
TABLE = jnp.arange(12.0, dtype=jnp.float32).reshape(4, 3)


def kinds(explanation: Explanation, name: str) -> list[str]:
    """Return what became of all equations of a primitive."""
    return [s.kind for s in explanation.steps if s.equation.primitive.name == name]


def text(explanation: Explanation) -> str:
    """Return an explanation as it is printed, on one line."""
    return " ".join(str(explanation).split())


def all_known(explanation: Explanation) -> bool:
    """Say whether the place of every batch axis is known."""
    return all(
        variant.batch_axes is not None for step in explanation.steps for variant in step.variants
    )


# -- Constants ----------------------------------------------------------------


def made_first_used_second(x: Any) -> Any:
    """Make two constants, and use the second one first."""
    b = jnp.array([1.0, 2.0])
    matrix = jnp.array([[2.0, 0.0], [0.0, 3.0]])
    return matrix @ b * x[0]


def taken(x: Any) -> Any:
    """Take rows of an array that is captured, at places that are made here."""
    return jnp.take(TABLE, jnp.asarray([0, 2]), axis=0) @ x


def two_of_one_type(x: Any) -> Any:
    """Make two constants that only their values tell apart."""
    first, second = jnp.array([1.0, 2.0, 3.0]), jnp.array([4.0, 5.0, 6.0])
    return second - x * first


def in_a_branch(x: Any) -> Any:
    """Make constants in a branch, in a loop and in a function that is compiled apart."""
    late, early = jnp.array([1.0, 0.0, 2.0]), jnp.array([3.0, 4.0, 5.0])
    y = lax.cond(x[0] > 0, lambda x: early * x, lambda x: x - late, x)
    z = lax.fori_loop(0, 3, lambda _, c: c * jnp.array([1.0, 2.0, 3.0]) + late, y)
    return jax.jit(lambda v: v @ jnp.eye(3) + early)(z)


def of_a_library(x: Any) -> Any:
    """Call functions that make constants of their own."""
    matrix = jnp.array([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0], [6.0, 7.0, 9.0]])
    b, axis = jnp.array([1.0, -1.0, 0.5]), jnp.array([0.0, 0.0, 1.0])
    picked = jnp.where(jnp.array([True, False, True]), matrix, x)
    return jnp.cross(x, axis) + jnp.linalg.solve(matrix, b) + picked


def empty_and_scalar(x: Any) -> Any:
    """Make constants without elements and without axes."""
    nothing, one = jnp.zeros((0, 3)), jnp.asarray(np.float32(2.5))
    return jnp.concatenate([nothing, x[None] * one])


def not_a_number(x: Any) -> Any:
    """Make constants that are not equal to themselves."""
    gaps = jnp.array([math.nan, 1.0, math.nan])
    return jnp.where(jnp.isnan(gaps), x, jnp.array([math.inf, 2.0, 3.0]))


def drawn(x: Any) -> Any:
    """Make keys, which NumPy cannot hold."""
    other, key = jax.random.key(1), jax.random.key(0)
    return x + jax.random.normal(key, (3,)) * jax.random.uniform(other, (3,))


CONSTANTS = [
    made_first_used_second,
    taken,
    two_of_one_type,
    in_a_branch,
    of_a_library,
    empty_and_scalar,
    not_a_number,
    drawn,
]


@pytest.mark.parametrize("f", CONSTANTS, ids=lambda f: f.__name__)
def test_constants_come_in_any_order(checked: Checked, f: Any) -> None:
    """A constant is known by its value, wherever the trace has put it."""
    assert all_known(checked(f, X))
    # A trace of a function that holds it in another place is the same program.
    checked(jax.jit(f), X)


# -- What numbers or counts anew ----------------------------------------------------------


def closes_over(s: Any, y: Any) -> Any:
    """Call a function with a derivative of its own that closes over a traced value."""

    @jax.custom_vjp
    def mul(y: Any) -> Any:
        return s * y

    mul.defvjp(lambda y: (s * y, None), lambda _, g: (s * g,))
    return mul(y)


def closes_over_two(s: Any, y: Any) -> Any:
    """The same for `custom_jvp`, with two values and a constant."""
    table = jnp.array([1.0, 2.0, 3.0])

    @jax.custom_jvp
    def mul(y: Any) -> Any:
        return s * y + table * s.sum()

    @mul.defjvp
    def _jvp(primals: Any, tangents: Any) -> Any:
        return mul(primals[0]), s * tangents[0]

    return mul(y) + lax.cond(s[0] > 0, mul, lambda y: y, y)


def closes_over_in_a_loop(s: Any, y: Any) -> Any:
    """The same inside of a loop, and differentiated: what the rule needs is handed on."""

    @jax.custom_vjp
    def mul(y: Any) -> Any:
        return s * y

    mul.defvjp(lambda y: (s * y, s), lambda s, g: (s * g,))
    return jax.grad(lambda y: lax.fori_loop(0, 3, lambda _, c: mul(c), y).sum())(y)


def remembers(s: Any, y: Any) -> Any:
    """Close over a value in `checkpoint`, and in a batching rule of its own."""

    @jax.custom_batching.custom_vmap
    def scaled(y: Any) -> Any:
        return y * 2

    @scaled.def_vmap
    def _rule(_size: int, batched: Any, y: Any) -> Any:
        return y * 2, batched[0]

    return jax.checkpoint(lambda y: jnp.sin(y) * s)(scaled(y))


@pytest.mark.parametrize(
    "f", [closes_over, closes_over_two, closes_over_in_a_loop, remembers], ids=lambda f: f.__name__
)
@pytest.mark.parametrize("in_axes", [0, (None, 0), (0, None)], ids=str)
def test_rules_may_close_over_values(checked: Checked, f: Any, in_axes: Any) -> None:
    """How many values a function with a rule of its own closes over is no difference."""
    axes = in_axes if isinstance(in_axes, tuple) else (in_axes, in_axes)
    checked(f, *(X[0] if axis is None else X for axis in axes), in_axes=in_axes)


def checks(x: Any) -> Any:
    """Check a value, as `checkify` does it, which counts its errors."""

    def positive(x: Any) -> Any:
        checkify.check(x.sum() > 0, "not positive")
        return jnp.log(x)

    return checkify.checkify(positive)(x)


COUNT = iter(range(1_000_000))


def counts(x: Any) -> Any:
    """Write a number into the program that is another one in every trace."""
    return x * float(next(COUNT)) + jnp.full(3, next(COUNT))


@pytest.mark.parametrize("f", [checks, counts], ids=lambda f: f.__name__)
def test_what_is_numbered_anew_is_no_difference(f: Any) -> None:
    """What differs between two plain traces may differ in the marked one."""
    explanation = vmapguide.explain(f)(X)
    assert explanation.complete
    assert all_known(explanation)


# -- Size ------------------------------------------------------------------------------


def prints(x: Any) -> Any:
    """Print in each example."""
    jax.debug.print("{}", x)
    y = 2 * x
    return y == 0


def prints_in_a_branch(x: Any) -> Any:
    """Print in one of two branches, and go on."""
    y = lax.cond(x > 1, lambda x: jax.debug.print("{}", x) or x, lambda x: -x, x)
    return jnp.exp(y) + x


def calls_python(x: Any) -> Any:
    """Call Python for one example after the other."""
    y = jax.pure_callback(np.sin, x, x, vmap_method="sequential_unrolled")
    return y + x


@pytest.mark.parametrize("f", [prints, prints_in_a_branch, calls_python], ids=lambda f: f.__name__)
def test_what_is_unrolled_stays_small(f: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """To find the axes, a program is traced at a size that is no larger than it has to be."""
    sizes: list[int] = []
    make_jaxpr: Any = jax.make_jaxpr

    def counted(*args: Any, **options: Any) -> Any:
        trace = make_jaxpr(*args, **options)

        def traced(*leaves: Any) -> Any:
            jaxpr = trace(*leaves)
            sizes.append(len((jaxpr[0] if isinstance(jaxpr, tuple) else jaxpr).jaxpr.eqns))
            return jaxpr

        return traced

    plain = len(make_jaxpr(jax.vmap(jax.vmap(f)))(X).eqns)
    monkeypatch.setattr(jax, "make_jaxpr", counted)
    explanation = vmapguide.explain(jax.vmap(f))(X)
    assert explanation.complete
    assert max(sizes) <= 10 * plain


@pytest.mark.parametrize("f", [prints, prints_in_a_branch, calls_python], ids=lambda f: f.__name__)
def test_letters_go_on_behind_a_print(f: Any) -> None:
    """What follows something that is unrolled has its batch axis named."""
    explanation = vmapguide.explain(f)(X[:, 0])
    result = explanation.to_dict()["batched"]
    (kind,) = [r["type"] for r in result["results"]]  # type: ignore[index]
    assert kind["shape"] == ("B",)
    assert explanation.steps[-1].batch_axes == (0,)


# -- Calls ------------------------------------------------------------------------------


@jax.jit
def helper(x: Any) -> Any:
    """Compute something in a few steps."""
    return jnp.exp(x) * 2 + jnp.tanh(x)


def soft(x: Any, y: Any) -> Any:
    """Call a function of a library with a shared and with a mapped argument."""
    return jax.nn.softplus(x) * jax.nn.softplus(y)


def twice(x: Any, y: Any) -> Any:
    """Call a helper with a shared and with a mapped argument, one time inside the other."""
    return helper(helper(x) * y)


def in_a_scan(x: Any, y: Any) -> Any:
    """Call a helper in two loops."""
    shared, _ = lax.scan(lambda c, _: (helper(c), None), x, length=2)
    mapped, _ = lax.scan(lambda c, _: (helper(c), None), y, length=2)
    return shared + mapped


def in_branches(x: Any, y: Any) -> Any:
    """Call a helper in a branch and outside of it."""
    return lax.cond(x > 0, helper, lambda v: v, y) + helper(x)


@pytest.mark.parametrize("f", [soft, twice, in_a_scan, in_branches], ids=lambda f: f.__name__)
def test_a_shared_helper_is_judged_in_each_call(checked: Checked, f: Any) -> None:
    """Shared in one call and mapped in the other, it was rewritten in neither."""
    explanation = checked(f, jnp.float32(1.0), X[:, 0], in_axes=(None, 0))
    assert "rewritten" not in {step.kind for step in explanation.steps}
    assert all_known(explanation)
    exponentials = [s for s in explanation.steps if s.equation.primitive.name == "exp"]
    variants = [variant for step in exponentials for variant in step.variants]
    assert {(v.kind, v.batch_axes) for v in variants} == {("shared", (None,)), ("same", (0,))}


def test_a_helper_that_is_mapped_along_two_axes(checked: Checked) -> None:
    """Each call says where its batch axis is, and both together do not."""

    def f(x: Any, y: Any) -> Any:
        return helper(x).sum() + helper(y).sum()

    explanation = checked(f, X, X.T, in_axes=(0, 1))
    (step,) = [s for s in explanation.steps if s.equation.primitive.name == "exp"]
    assert step.kind == "same"
    assert {variant.batch_axes for variant in step.variants} == {(0,), (1,)}
    assert step.batch_axes is None


# -- Predicates that were reduced ------------------------------------------------------------


def until_all_are_done(x: Any) -> Any:
    """Go round until the largest example is done."""

    def go_on(state: Any) -> Any:
        return lax.pmax((state[0] < x).astype(int), "i") > 0

    return lax.while_loop(
        go_on, lambda c: (c[0] + 1, jnp.where(c[0] < x, c[1] * 2, c[1])), (0.0, x)
    )[1]


def any_of(x: Any) -> Any:
    """Reduce a predicate over the batch by a rule of one's own."""

    @jax.custom_batching.custom_vmap
    def unmapped_any(p: Any) -> Any:
        return p

    @unmapped_any.def_vmap
    def _rule(_size: int, _batched: Any, p: Any) -> Any:
        return p.any(), False

    return unmapped_any(x)


def until_by_a_rule(x: Any) -> Any:
    """The same with a rule, as Equinox has it."""
    return lax.while_loop(
        lambda c: any_of(c[0] < x),
        lambda c: (c[0] + 1, jnp.where(c[0] < x, c[1] * 2, c[1])),
        (0.0, x),
    )[1]


def until_inside(x: Any) -> Any:
    """The same in a function that is compiled, in a loop that is not about the examples."""
    return lax.fori_loop(0, 2, lambda _, c: jax.jit(until_all_are_done)(c), x)


def until_the_sum(x: Any) -> Any:
    """Go round as often as a sum over the batch says, with a carry that no example has a say in."""
    total = lax.psum(x, "i")
    return lax.while_loop(lambda n: n < total, lambda n: n + 1, 0.0)


@pytest.mark.parametrize(
    "f",
    [until_all_are_done, until_by_a_rule, until_inside, until_the_sum],
    ids=lambda f: f.__name__,
)
def test_a_loop_that_stops_for_all_at_once(f: Any) -> None:
    """It goes round until the last example is done, though its predicate has no batch axis."""
    explanation = vmapguide.explain(f, axis_name="i")(X[:, 0])
    assert explanation.complete
    loops = [s.kind for s in explanation.steps if s.equation.primitive.name == "while"]
    assert loops == ["slowest example"]


def if_any_wants_it(x: Any) -> Any:
    """Take a branch if any example wants it."""
    return lax.cond(lax.pmax((x > 1).astype(int), "i") > 0, jnp.sin, lambda x: x, x)


def if_a_rule_says(x: Any) -> Any:
    """The same with a rule."""
    return lax.cond(any_of(x > 1), jnp.sin, lambda x: x, x)


def switched(x: Any) -> Any:
    """Choose among three by a number that all examples have a say in."""
    index = lax.psum(jnp.int32(1) * (x > 1), "i") % 3
    return lax.switch(index, [jnp.sin, jnp.cos, jnp.tanh], x)


@pytest.mark.parametrize("f", [if_any_wants_it, if_a_rule_says, switched], ids=lambda f: f.__name__)
def test_a_branch_that_is_taken_for_all_at_once(f: Any) -> None:
    """One branch runs, and the examples decide together which one."""
    explanation = vmapguide.explain(f, axis_name="i")(X[:, 0])
    assert explanation.complete
    assert kinds(explanation, "cond") == ["any example"]


def a_shared_bound(x: Any) -> Any:
    """Go round a shared number of times, and branch on a shared number."""
    n = jnp.int32(3) + TABLE.shape[0]
    y = lax.while_loop(lambda c: c[0] < n, lambda c: (c[0] + 1, c[1] * 2), (0, x))[1]
    return lax.cond(TABLE[0, 0] > 0, jnp.sin, jnp.cos, y)


def a_counter_beside(x: Any) -> Any:
    """Carry the examples along, and decide by a counter alone."""
    return lax.while_loop(lambda c: c[0] < 4, lambda c: (c[0] + 1, c[1] + x), (0, x))[1]


def print_beside(w: Any, x: Any) -> Any:
    """Print a shared value beside a mapped one, and branch on the shared one."""
    jax.debug.print("{w} {x}", w=w, x=x)
    return lax.cond(w > 0, jnp.sin, jnp.cos, x) + lax.cond(w > 0, jnp.sin, jnp.cos, w)


def test_a_print_decides_nothing(checked: Checked) -> None:
    """What is printed beside an example's value depends on no example after it."""
    explanation = checked(print_beside, X[0, 0], X[:, 0], in_axes=(None, 0))
    assert kinds(explanation, "cond") == ["same", "shared"]


@pytest.mark.parametrize("f", [a_shared_bound, a_counter_beside], ids=lambda f: f.__name__)
def test_a_decision_that_no_example_has_a_say_in(checked: Checked, f: Any) -> None:
    """What is decided by shared values runs as it did."""
    explanation = checked(f, X[:, 0], axis_name="i")
    assert set(kinds(explanation, "while")) == {"same"}
    assert set(kinds(explanation, "cond")) <= {"same"}


def doubled_until_large(v: Any) -> Any:
    """Double a number until it is large."""
    return lax.while_loop(lambda v: v < 10, lambda v: v * 2 + 1, v)


def counted_with(n: Any, x: Any) -> Any:
    """Count on from a number, and carry another one along."""
    return lax.while_loop(lambda c: c[0] < 10, lambda c: (c[0] + 1, c[1] + x), (n, x))[1]


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        (lambda w, x: doubled_until_large(w) + x, "shared"),
        (counted_with, "same"),
        (lambda w, x: doubled_until_large(w + x), "slowest example"),
    ],
    ids=["shared", "carried along", "decided"],
)
def test_a_loop_that_a_vmap_inside_decides(checked: Checked, inner: Any, expected: str) -> None:
    """The predicate has an axis of the `vmap` inside, and that alone makes no example the slowest.

    Found by a random program.
    """
    explanation = checked(
        lambda w, x: jax.vmap(lambda v: inner(v, x))(w), X[0], X[:, 0], in_axes=(None, 0)
    )
    assert kinds(explanation, "while") == [expected]


@jax.jit
def count(n: Any) -> Any:
    """Count to a number."""
    return lax.while_loop(lambda c: c < n, lambda c: c + 1, jnp.int32(0))


@jax.jit
def choose(p: Any, x: Any) -> Any:
    """Take one of two branches."""
    return lax.cond(p, lambda x: x, lambda x: -x, x)


@jax.jit
def until(p: Any, n: Any) -> Any:
    """Go round three times, if at all."""
    return lax.while_loop(lambda c: (c[0] < 3) & p, lambda c: (c[0] + 1, c[1] + n), (0, n))[1]


@pytest.mark.parametrize(
    ("f", "name", "expected"),
    [
        (lambda s, n: count(s) + count(n), "while", ["shared", "slowest example"]),
        (
            lambda s, n: choose(s > 0, s) + choose(lax.pmax(n, "i") > 0, n),
            "cond",
            ["any example", "shared"],
        ),
        # Both calls are batched alike, and so are one.
        (
            lambda s, n: until(s > 0, n) + until(lax.pmax(n, "i") > 0, n),
            "while",
            ["slowest example"],
        ),
        (
            lambda s, n: count(count(s)) + n + count(count(n)),
            "while",
            ["shared", "slowest example"],
        ),
    ],
    ids=["loop", "branch", "batched alike", "one inside the other"],
)
def test_a_decision_is_that_of_its_call(
    checked: Checked, f: Any, name: str, expected: list[str]
) -> None:
    """A helper that is called twice is decided by the examples in one call alone."""
    explanation = checked(f, jnp.int32(3), jnp.arange(4), in_axes=(None, 0), axis_name="i")
    found = {
        variant.kind
        for step in explanation.steps
        if step.equation.primitive.name == name
        for variant in step.variants
    }
    assert sorted(found) == expected


# -- Rules of one's own ---------------------------------------------------------------------


def sine_sum(x: Any) -> Any:
    """Compute something."""
    return jnp.sin(x).sum()


one_after_the_other: Any = jax.custom_batching.sequential_vmap(sine_sum)


@jax.custom_batching.custom_vmap
def replaced(x: Any) -> Any:
    """Compute something that a rule computes otherwise."""
    return jnp.sin(x).sum()


@replaced.def_vmap
def _replaced_rule(_size: int, _batched: Any, x: Any) -> Any:
    return jnp.sin(x).sum(axis=1), True


def inner_steps(explanation: Explanation) -> list[Step]:
    """Return the steps inside the function with a rule."""
    return [step for step in explanation.steps if step.depth > 0]


def test_what_runs_inside_a_sequential_rule(checked: Checked) -> None:
    """It runs one by one there."""
    explanation = checked(lambda x: one_after_the_other(x) + 1, X)
    assert {step.kind for step in inner_steps(explanation)} == {"one by one"}
    assert not any(step.batched for step in inner_steps(explanation))


@pytest.mark.parametrize(
    "f",
    [
        lambda x: replaced(x) + 1,
        lambda x: jax.jit(replaced)(x) + 1,
        lambda x: lax.cond(x[0] > 0, replaced, jnp.sum, x),
    ],
    ids=["called", "in a jit", "in a branch"],
)
def test_what_a_rule_has_replaced(checked: Checked, f: Any) -> None:
    """It was not rewritten into nothing: it has no kind."""
    explanation = checked(f, X)
    (call,) = [s for s in explanation.steps if s.equation.primitive.name == "custom_vmap_call"]
    inside = [step for step in explanation.steps if step.depth > call.depth]
    assert inside
    assert "rewritten" not in {step.kind for step in inside if not step.batched}


def test_a_rule_that_is_not_asked(checked: Checked) -> None:
    """Without a mapped argument the function stays, and what is in it."""
    explanation = checked(lambda w, x: replaced(w) * x, X[0], X[:, 0], in_axes=(None, 0))
    assert {step.kind for step in inner_steps(explanation)} == {"shared"}


one, whole, keep = (jec.Primitive(f"vmapguide_test_{name}") for name in ("one", "whole", "keep"))
one.def_abstract_eval(lambda x, **_: jax.core.ShapedArray(x.shape, x.dtype))
whole.def_abstract_eval(lambda x, **_: jax.core.ShapedArray(x.shape, x.dtype))
keep.def_abstract_eval(lambda x: jax.core.ShapedArray(x.shape, x.dtype))


def _deep(args: Any, dims: Any, *, programs: Any) -> Any:
    """Hand the programs on, deeper than they were."""
    held = (("first", (programs[0],)), ("rest", (("of", programs[1:]),)))
    return whole.bind(*args, held=held), dims[0]


batching.primitive_batchers[one] = _deep
batching.primitive_batchers[keep] = lambda args, dims: (keep.bind(*args), dims[0])


def test_programs_deep_in_a_parameter() -> None:
    """However deep a rule puts the programs that it hands on, they are found."""
    programs = [jax.make_jaxpr(f)(1.0) for f in (jnp.sin, jnp.cos, lambda x: x * 2)]
    explanation = vmapguide.explain(lambda x: one.bind(x, programs=(*programs,)) + 1)(jnp.ones(3))
    assert explanation.complete
    names = {step.equation.primitive.name: step.kind for step in explanation.steps}
    assert names == {
        "vmapguide_test_one": "rewritten",
        "sin": "shared",
        "cos": "shared",
        "mul": "shared",
        "add": "same",
    }


def test_a_rule_that_runs_though_nothing_is_mapped() -> None:
    """What has no mapped input runs once, whatever its rule puts beside it."""

    def always(_axis: Any, args: Any, dims: Any) -> Any:
        return keep.bind(jnp.array(args[0])), dims[0]

    rules = batching.fancy_primitive_batchers
    del batching.primitive_batchers[keep]
    rules[keep] = always
    try:
        explanation = vmapguide.explain(lambda s, x: keep.bind(s) * keep.bind(x), (None, 0))(
            X[0], X
        )
    finally:
        del rules[keep]
    first, second, _ = [s for s in explanation.steps if s.depth == 0]
    assert (first.kind, second.kind) == ("shared", "same")


# -- JAX's own errors, and what `jax.vmap` takes -------------------------------------------------


def branches_on_an_example(w: Any, x: Any) -> Any:
    """Use a method of JAX's arrays, and make a mistake after it."""
    w = w.at[0].set(1.0)
    return w.sum() * x if x > 0 else x


def assigns(w: Any, x: Any) -> Any:
    """Make another mistake: JAX's arrays do not change."""
    w[0] = 1.0
    return w.sum() * x


def wrong_shapes(w: Any, x: Any) -> Any:
    """Make a mistake that JAX finds."""
    return w.astype(jnp.float32).at[0].get() + jnp.dot(w, jnp.ones(7)) * x


@pytest.mark.parametrize(
    "f", [branches_on_an_example, assigns, wrong_shapes], ids=lambda f: f.__name__
)
@pytest.mark.parametrize("explained", [vmapguide.explain, vmapguide.diagram])
def test_the_error_is_that_of_vmap(f: Any, explained: Any) -> None:
    """The mistake of the function comes through, and not one that it makes with other arguments."""
    args = jnp.ones(3), jnp.ones(4)
    with pytest.raises(Exception) as plain:  # noqa: PT011 - whatever it is.
        jax.vmap(f, (None, 0))(*args)
    with pytest.raises(type(plain.value)) as raised:
        explained(f, (None, 0))(*args)
    first = str(plain.value).splitlines()[0]
    assert str(raised.value).splitlines()[0] == first


def repeats(n: int, w: Any, x: Any) -> Any:
    """Use a number as one, and an array's values."""
    w = w.at[0].set(2.0)
    return sum(x for _ in range(n)) if w.sum() > 0 else x


def branches_on_a_capture(_n: int, w: Any, x: Any) -> Any:
    """Branch on an array that is not even an argument."""
    return x * w.mean() if TABLE.sum() > 0 else x


def keeps_its_types(_n: int, w: Any, x: Any) -> Any:
    """Branch on a half-precision array, and go on computing with it."""
    y = w.astype(jnp.float16)
    return y.sum() * x.astype(jnp.float16) if bool(y.any()) else x.astype(jnp.float16)


@pytest.mark.parametrize(
    "f", [repeats, branches_on_a_capture, keeps_its_types], ids=lambda f: f.__name__
)
def test_what_vmap_accepts_is_explained(f: Any) -> None:
    """A function that looks at what is not mapped is traced as `jax.vmap` runs it."""
    args = 3, jnp.ones(3), X[:, 0]
    explanation = vmapguide.explain(f, (None, None, 0))(*args)
    assert explanation.complete
    results = jax.vmap(f, (None, None, 0))(*args)
    assert explanation.batched.out_avals[0].dtype == results.dtype


def test_a_shared_loop_bound_is_a_number_to_vmap() -> None:
    """As JAX traces it the loop is a `while`; as `jax.vmap` calls the function it is a `scan`."""

    def f(n: Any, x: Any) -> Any:
        return lax.fori_loop(0, n, lambda _, c: c * 2, x)

    traced = vmapguide.explain(f, (None, 0))(3, X)
    passed = vmapguide.explain(f, (None, 0), traced="mapped")(3, X)
    assert kinds(traced, "while") == ["same"]
    assert kinds(passed, "scan") == ["same"]
    assert [step.bounds for step in traced.steps if step.equation.primitive.name == "while"] == [
        ("n",)
    ]
    assert not any(step.bounds for step in passed.steps)
    assert re.search(r"A loop runs as often as n says: line \d+: jax.vmap alone", text(traced))
    assert "jax.vmap alone" not in text(passed)
    assert traced.complete
    assert passed.complete
    with pytest.raises(ValueError, match=r"explain: traced must be 'all' or 'mapped'"):
        vmapguide.explain(f, (None, 0), traced="none")  # type: ignore[arg-type]
