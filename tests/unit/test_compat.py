"""What the package asks of JAX that JAX does not document, asked of the JAX that is here."""

import re
from typing import Any

import jax
import jax.extend.core as jec
import jax.numpy as jnp
import pytest
from batches import VECTOR, VECTORS
from jax import lax

from vmapguide._jaxpr import compat


KEPT = jnp.arange(4.0)


def program(x: jax.Array) -> Any:
    """Use a constant, twice."""
    return jnp.sin(x * KEPT) + KEPT


@pytest.fixture(name="closed")
def _closed() -> jec.ClosedJaxpr:
    """Trace the program."""
    return jax.make_jaxpr(program)(VECTOR)


def ran(jaxpr: jec.Jaxpr, *values: Any) -> Any:
    """Return the results of an open jaxpr without constants of its own."""
    return jax.jit(lambda *args: jax.core.eval_jaxpr(jaxpr, [], *args))(*values)


class TestJaxprs:
    """A jaxpr, open or closed."""

    def test_opened(self, closed: jec.ClosedJaxpr) -> None:
        """Of a closed jaxpr it is the one inside, and of an open one itself."""
        inside = compat.opened(closed)
        assert compat.opened(inside) is inside
        assert inside.eqns == closed.eqns

    def test_constants(self, closed: jec.ClosedJaxpr) -> None:
        """A constant has a variable and a value; an open jaxpr knows no values."""
        ((variable, value),) = compat.constants(closed)
        assert variable in compat.opened(closed).constvars
        assert value is KEPT
        assert [*compat.consts_of(closed)] == [KEPT]

    def test_with_equations(self, closed: jec.ClosedJaxpr) -> None:
        """A jaxpr with fewer equations is a jaxpr whose arguments have the names they had."""
        jaxpr = compat.opened(closed)
        less = compat.with_equations(jaxpr, jaxpr.eqns[:1], jaxpr.eqns[0].outvars)
        assert [eqn.primitive.name for eqn in less.eqns] == ["mul"]
        assert compat.argument_names(less) == compat.argument_names(jaxpr)

    def test_with_inputs(self, closed: jec.ClosedJaxpr) -> None:
        """A constant that becomes an argument can be given."""
        jaxpr = compat.opened(closed)
        whole = compat.with_inputs(jaxpr, [], [*jaxpr.constvars, *jaxpr.invars], jaxpr.eqns)
        assert (len(whole.constvars), len(whole.invars)) == (0, 2)
        (result,) = ran(whole, KEPT, KEPT)
        assert jnp.array_equal(result, program(KEPT))

    def test_argument_names(self, closed: jec.ClosedJaxpr) -> None:
        """Arguments are called what the function calls them, leaves by their path."""
        assert [*compat.argument_names(closed)] == ["x"]
        tree = jax.make_jaxpr(lambda p: p["a"])({"a": VECTOR})
        assert [*compat.argument_names(tree)] == ["p['a']"]

    def test_function_of(self, closed: jec.ClosedJaxpr) -> None:
        """A jaxpr knows the name and the file of its function."""
        assert compat.function_of(compat.opened(closed)) == ("program", __file__)


class TestEquations:
    """An equation: where it is from, and what it does."""

    def test_frames(self, closed: jec.ClosedJaxpr) -> None:
        """Frames are code with a place in it; the user's is among them, outside of JAX's."""
        found = [code for code, _ in compat.frames(closed.eqns[0])]
        assert program.__code__ in found
        places = [place for code, place in compat.frames(closed.eqns[0]) if code in found]
        assert all(isinstance(place, int) for place in places)

    def test_an_equation_keeps_its_origin(self, closed: jec.ClosedJaxpr) -> None:
        """What it was copied to has the same one, another equation has another."""
        one, other, *_ = closed.eqns
        assert compat.origin(one.replace(params=dict(one.params))) == compat.origin(one)
        assert compat.origin(one) != compat.origin(other)

    def test_tags_go_through_vmap(self, closed: jec.ClosedJaxpr) -> None:
        """An equation that was tagged becomes equations with that tag, and others have none."""
        jaxpr = compat.opened(closed)
        marked = [compat.tagged(jaxpr.eqns[0], "tag:7"), *jaxpr.eqns[1:]]
        tagged = compat.with_equations(jaxpr, marked, jaxpr.outvars)
        values = compat.consts_of(closed)
        batched = jax.make_jaxpr(jax.vmap(lambda x: jax.core.eval_jaxpr(tagged, [*values], x)))(
            VECTORS
        )
        pattern = re.compile(r"tag:(\d)")
        found = {eqn.primitive.name: compat.tags(eqn, pattern) for eqn in batched.eqns}
        assert found["mul"] == ["7"]
        assert found["sin"] == []

    def test_equation_like(self) -> None:
        """A new equation runs, and is from where the other one is."""
        jaxpr = compat.opened(jax.make_jaxpr(jnp.sin)(VECTOR))
        (sine,) = jaxpr.eqns
        negative = jax.make_jaxpr(lambda x: -x)(VECTOR).eqns[0]
        made = compat.equation_like(
            sine,
            negative.primitive,
            inputs=sine.invars,
            outputs=sine.outvars,
            params=negative.params,
        )
        assert compat.origin(made) == compat.origin(sine)
        (result,) = ran(compat.with_equations(jaxpr, [made], jaxpr.outvars), KEPT)
        assert jnp.array_equal(result, -KEPT)

    def test_scan(self) -> None:
        """A scan says in counts what of its operands is fixed and what is carried."""

        def steps(x: jax.Array, y: jax.Array) -> Any:
            return lax.scan(lambda c, v: ((c[0] + v * y, c[1] + 1), v), (0.0 * y, y), x)

        (eqn,) = (
            eqn for eqn in jax.make_jaxpr(steps)(KEPT, KEPT[0]).eqns if eqn.primitive.name == "scan"
        )
        assert compat.scan_counts(eqn) == (1, 2)
        params = compat.params_of(eqn)
        assert (params["num_consts"], params["num_carry"], params["length"]) == (1, 2, 4)
        assert not {"ft_in", "ft_out"} & params.keys()

    def test_type_text(self, closed: jec.ClosedJaxpr) -> None:
        """A type is printed as in a jaxpr, keys too."""
        assert compat.type_text(compat.opened(closed).invars[0].aval) == "f32[4]"
        key = jax.make_jaxpr(lambda k: k)(jax.random.key(0))
        assert compat.type_text(compat.opened(key).invars[0].aval) == "key<fry>[]"


class TestFunctions:
    """A function, and what JAX has made of one."""

    def test_is_jitted(self) -> None:
        """What `jax.jit` returns is told from other functions."""
        assert compat.is_jitted(jax.jit(program))
        assert not compat.is_jitted(program)
        assert not compat.is_jitted(jax.vmap(program))

    def test_is_own_function(self) -> None:
        """A rule of JAX's is told from a function of the user's, and from what is none."""
        (eqn,) = jax.make_jaxpr(jax.nn.relu)(VECTOR).eqns
        rules = [value for value in eqn.params.values() if compat.is_own_function(value)]
        assert rules
        assert not compat.is_own_function(program)
        assert not compat.is_own_function("jax.numpy")

    @pytest.mark.parametrize("transform", [jax.vmap, jax.grad, jax.jit, jax.checkpoint])
    def test_closure(self, transform: Any) -> None:
        """What a transformation returns keeps in it the function that was transformed."""
        made = transform(program)
        found = compat.closure(made) if hasattr(made, "__closure__") else {}
        wrapped = getattr(made, "__wrapped__", None)
        assert program in [*found.values(), wrapped]

    def test_closure_of_a_function(self) -> None:
        """A variable that is not assigned yet is not there."""
        there = 1

        def f() -> Any:
            return there, later

        assert compat.closure(f) == {"there": 1}
        later = 2
        assert compat.closure(f) == {"there": 1, "later": 2}
