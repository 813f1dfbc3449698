"""`vmapguide.explain`: the jaxpr is plain vmap's, and all of it is accounted for."""

import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from accounts import Checked
from batches import INDEX, INDICES, MATRICES, NUMBERS, VECTOR, VECTORS
from equations import everything
from jax import lax
from jax.experimental import io_callback
from jax.experimental import pallas as pl
from jax.sharding import AxisType, PartitionSpec

import vmapguide
from vmapguide._jaxpr.trace_matching import equal
from vmapguide._jaxpr.walk import rebuild
from vmapguide._trace import marks


@jax.custom_jvp
def with_jvp(x: jax.Array) -> jax.Array:
    """Return the sine, differentiated by hand."""
    return jnp.sin(x)


with_jvp.defjvp(lambda primals, tangents: (with_jvp(*primals), tangents[0]))


@jax.custom_vjp
def with_vjp(x: jax.Array) -> jax.Array:
    """Return the sine, differentiated by hand."""
    return jnp.sin(x)


with_vjp.defvjp(lambda x: (with_vjp(x), x), lambda x, g: (jnp.cos(x) * g,))


@jax.custom_batching.custom_vmap
def with_vmap(x: jax.Array) -> jax.Array:
    """Return the sine, batched by hand."""
    return jnp.sin(x)


@with_vmap.def_vmap
def _(_size: int, mapped: Any, x: jax.Array) -> Any:
    return jnp.sin(x) * 1.0, mapped[0]


# The sine, one example at a time.
in_sequence: Any = jax.custom_batching.sequential_vmap(lambda x: jnp.sin(x) * 1.0)


def calls_back(method: str) -> Callable[[jax.Array], Any]:
    """Return a function that calls NumPy."""
    return lambda x: jax.pure_callback(np.sin, VECTOR, x, vmap_method=method)


def printing(x: jax.Array) -> jax.Array:
    """Print each example."""
    jax.debug.print("{}", x)
    return x * 2


def sharded(x: jax.Array) -> Any:
    """Compute on a mesh of one device."""
    mesh = jax.make_mesh((1,), ("d",), axis_types=(AxisType.Auto,))
    spec = PartitionSpec("d")
    return jax.shard_map(lambda v: jnp.sin(v) * 2, mesh=mesh, in_specs=spec, out_specs=spec)(x)


def kernel(x: jax.Array) -> Any:
    """Compute in a Pallas kernel."""

    def double(x_ref: Any, o_ref: Any) -> None:
        o_ref[...] = x_ref[...] * 2.0

    return pl.pallas_call(double, out_shape=VECTOR, interpret=True)(x)


def nested(x: jax.Array, i: jax.Array) -> Any:
    """Branch in a loop in a compiled function."""

    def body(carry: jax.Array, v: jax.Array) -> Any:
        return jax.lax.cond(i > 0, lambda c: c + v, lambda c: with_jvp(c) * v, carry), v

    return jax.jit(lambda x: jax.lax.scan(body, jnp.float32(0), x))(x)


def until_ten(x: jax.Array) -> Any:
    """Double until the sum is ten: each example for itself."""
    return jax.lax.while_loop(lambda v: v.sum() < 10, lambda v: v * 2, x)


def count(x: jax.Array, n: jax.Array) -> Any:
    """Double n times."""
    return jax.lax.while_loop(lambda c: c[0] < n, lambda c: (c[0] + 1, c[1] * 2), (0, x))


# A function, its in_axes, its arguments.
PROGRAMS: dict[str, tuple[Callable[..., Any], Any, tuple[Any, ...]]] = {
    "cond": (lambda x, i: jax.lax.cond(i > 0, jnp.sin, jnp.cos, x), 0, (VECTORS, INDICES)),
    "cond shared": (
        lambda x, i: jax.lax.cond(i > 0, jnp.sin, jnp.cos, x),
        (0, None),
        (VECTORS, INDEX),
    ),
    "switch": (
        lambda i, x: jax.lax.switch(i, [jnp.sin, jnp.cos, jnp.tanh], x),
        0,
        (INDICES, VECTORS),
    ),
    "while": (until_ten, 0, (VECTORS,)),
    "while shared": (count, (0, None), (VECTORS, INDEX)),
    "scan": (lambda x: jax.lax.scan(lambda c, v: (c + v, c * v), 0.0, x), 0, (VECTORS,)),
    "fori": (lambda x: jax.lax.fori_loop(0, 3, lambda i, v: v * i, x), 0, (VECTORS,)),
    "jit": (lambda x: jax.jit(lambda v: jnp.sin(v) + 1)(x) * 2, 0, (VECTORS,)),
    "custom_jvp": (lambda x: with_jvp(x) + 1, 0, (VECTORS,)),
    "custom_jvp, its rule": (jax.grad(lambda x: with_jvp(x).sum()), 0, (VECTORS,)),
    "custom_vjp": (lambda x: with_vjp(x) + 1, 0, (VECTORS,)),
    "custom_vjp, its rule": (jax.grad(lambda x: with_vjp(x).sum()), 0, (VECTORS,)),
    "custom_vmap": (lambda x: with_vmap(x) + 1, 0, (VECTORS,)),
    "sequential_vmap": (lambda x: in_sequence(x) + 1, 0, (VECTORS,)),
    "checkpoint": (jax.grad(jax.checkpoint(lambda x: jnp.sin(x).sum())), 0, (VECTORS,)),
    "linear solve": (lambda a, b: jnp.linalg.solve(a, b), 0, (MATRICES, VECTORS)),  # noqa: PLW0108
    **{
        f"pure_callback {method}": (calls_back(method), 0, (VECTORS,))
        for method in ("sequential", "sequential_unrolled", "expand_dims", "broadcast_all")
    },
    "io_callback": (lambda x: io_callback(lambda v: v, VECTOR, x), 0, (VECTORS,)),
    "debug.print": (printing, 0, (VECTORS,)),
    "shard_map": (sharded, 0, (VECTORS,)),
    "pallas": (kernel, 0, (VECTORS,)),
    "nested": (nested, 0, (VECTORS, INDICES)),
    "convolution": (lambda x, k: jnp.convolve(x, k), 0, (VECTORS, VECTORS)),  # noqa: PLW0108
    "gradient of a loop": (
        jax.grad(lambda x: jax.lax.scan(lambda c, v: (c * v, c), 1.0, x)[0]),
        0,
        (VECTORS,),
    ),
    "nothing": (lambda x: x, 0, (VECTORS,)),
    "a constant": (lambda _: 1.0, 0, (VECTORS,)),
}

# What batching makes of each is elsewhere than in the equation itself: it has to be nested.
NESTED = {
    name
    for name in PROGRAMS
    if not re.match("pure_callback|io_|debug|nothing|a constant|custom_jvp, its", name)
}


class TestWhole:
    """What is shown is what `jax.vmap` makes, and every equation of it has a place."""

    @pytest.mark.parametrize("program", PROGRAMS)
    def test_the_jaxpr_is_plain_vmaps_and_all_of_it_is_mapped(
        self, program: str, checked: Checked
    ) -> None:
        """Identity and totality, for everything that can hold a jaxpr."""
        f, in_axes, args = PROGRAMS[program]
        explanation = checked(f, *args, in_axes=in_axes)
        if program in NESTED:
            assert max(step.depth for step in explanation.steps) > 0

    @pytest.mark.parametrize("out_axes", [1, -1])
    def test_out_axes_belong_to_the_boundary(self, out_axes: int, checked: Checked) -> None:
        """A result that is moved to where `out_axes` says is moved by vmap, not by the user."""
        explanation = checked(lambda x: x * 2, VECTORS, out_axes=out_axes)
        assert [eqn.primitive.name for eqn in explanation.boundary] == ["transpose"]

    def test_each_loop_keeps_what_lies_inside_it(self, checked: Checked) -> None:
        """Two loops with equal bodies do not share what became of them."""

        def f(x: jax.Array) -> Any:
            first = jax.lax.map(lambda v: v * 2, x)
            return jax.lax.map(lambda v: v * 2, first)

        explanation = checked(f, VECTORS)
        outer, inner = (
            [step for step in explanation.steps if step.equation.primitive.name == name]
            for name in ("scan", "mul")
        )
        for loop, body in zip(outer, inner, strict=True):
            (scan,) = (eqn for eqn in loop.batched if eqn.primitive.name == "scan")
            (mul,) = body.batched
            assert any(eqn is mul for eqn in scan.params["jaxpr"].eqns)

    def test_what_a_rule_makes_in_a_loop_of_its_own_belongs_to_the_equation(self) -> None:
        """The body of a loop that vmap itself wrote has no equation of its own to come from."""
        (step, *rest) = vmapguide.explain(calls_back("sequential"))(VECTORS).steps
        assert [eqn.primitive.name for eqn in step.batched] == ["scan", "pure_callback"]
        assert not rest

    def test_shared_jaxprs_are_walked_once(self, checked: Checked) -> None:
        """Twelve levels of calls that are each made twice are 37 equations, not 4096."""

        def double(f: Any) -> Any:
            return jax.jit(lambda x: f(x) + f(x))

        f: Any = jnp.sin
        for _ in range(12):
            f = double(f)
        explanation = checked(f, NUMBERS)
        primitives = [step.equation.primitive.name for step in explanation.steps]
        counts = {name: primitives.count(name) for name in primitives}
        assert counts == {"jit": 1 + 2 * 11, "sin": 2, "add": 12}

    def test_steps_come_in_the_order_of_the_program(self) -> None:
        """What is nested in an equation follows it, one deeper."""
        f, in_axes, args = PROGRAMS["nested"]
        steps = vmapguide.explain(f, in_axes)(*args).steps
        names = [(step.depth, step.equation.primitive.name) for step in steps]
        assert [name for depth, name in names if depth == 0] == ["jit"]
        assert names.index((1, "scan")) < names.index((2, "cond")) < names.index((3, "mul"))

    def test_a_function_that_vmap_was_applied_to(self, checked: Checked) -> None:
        """The function may be one that `jax.vmap` or `jax.grad` made."""
        checked(jax.vmap(lambda x: jnp.sin(x).sum()), VECTORS)
        checked(jax.vmap(jax.grad(lambda x: jnp.sin(x) * x)), VECTORS)

    def test_nothing_is_lost_if_the_trace_is_disturbed(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where a program cannot be marked the jaxprs are shown, and nothing is claimed."""

        def fail(_jaxpr: Any) -> Any:
            raise NotImplementedError

        f, in_axes, args = PROGRAMS["nested"]
        monkeypatch.setattr(marks, "mark", fail)
        explanation = vmapguide.explain(f, in_axes)(*args)
        assert not explanation.complete
        assert equal(explanation.batched, jax.make_jaxpr(jax.vmap(f, in_axes))(*args))
        assert equal(explanation.per_example, jax.make_jaxpr(f)(VECTOR, INDEX))
        assert explanation.steps
        assert {step.kind for step in explanation.steps} == {"unknown"}
        assert not any(step.batched for step in explanation.steps)
        assert not explanation.boundary
        assert {*map(id, explanation.unknown)} == {*map(id, everything(explanation.batched))}
        assert explanation.to_dict()["complete"] is False
        table = explanation._repr_html_().partition("<table")[2].partition("<script")[0]
        for view in (str(explanation), table):
            assert "could not be mapped" in " ".join(view.split())
            assert "rewritten" not in view
            assert "one example at a time" not in view

    def test_one_misfit_costs_itself_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What comes out otherwise in the marked trace is unknown, and all else is mapped."""
        mark = marks.mark

        def disturb(jaxpr: Any) -> Any:
            def edit(_: int, inner: Any, eqns: list[Any]) -> Any:
                other = [
                    eqn.replace(primitive=lax.cos_p) if eqn.primitive is lax.sin_p else eqn
                    for eqn in eqns
                ]
                return inner.replace(eqns=other)

            return mark(rebuild(jaxpr, edit))

        def f(x: Any) -> Any:
            y = jnp.exp(x)
            z = jnp.sin(y)
            return lax.cond(z[0] > 0, jnp.tanh, jnp.sin, z) + y

        monkeypatch.setattr(marks, "mark", disturb)
        explanation = vmapguide.explain(f)(VECTORS)
        assert not explanation.complete
        kinds = [(step.equation.primitive.name, step.kind) for step in explanation.steps]
        assert {name for name, kind in kinds if kind == "unknown"} == {"sin"}
        assert [eqn.primitive.name for eqn in explanation.unknown] == ["sin", "sin"]
        assert dict(kinds)["exp"] == "same"
        assert dict(kinds)["cond"] == "all branches"
        assert dict(kinds)["tanh"] == "same"
        claimed = [eqn for step in explanation.steps for eqn in step.batched]
        every = [*claimed, *explanation.unknown, *explanation.boundary]
        assert sorted(map(id, every)) == sorted(map(id, everything(explanation.batched)))

    @pytest.mark.parametrize("program", PROGRAMS)
    def test_a_trace_equals_the_next_one(self, program: str) -> None:
        """What is traced anew has other variables, functions and addresses, and is the same."""
        f, in_axes, args = PROGRAMS[program]
        a, b = (jax.make_jaxpr(jax.vmap(f, in_axes))(*args) for _ in range(2))
        assert a is not b
        assert equal(a, b)
