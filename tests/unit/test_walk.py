"""Walks through jaxprs, and jaxprs made from others."""

from collections.abc import Callable
from typing import Any

import jax
import jax.extend.core as jec
import jax.numpy as jnp
from jax import lax

from vmapguide._jaxpr.compat import AnyJaxpr, opened, with_equations
from vmapguide._jaxpr.trace_matching import equal
from vmapguide._jaxpr.walk import behind, count_primitives, inlined, rebuild, walk


X = jnp.arange(3.0)
helper = jax.jit(lambda x: jnp.sin(x) + 1)


def twice(x: Any) -> Any:
    """Call a function twice, whose jaxpr JAX holds once."""
    return helper(x) * helper(x)


def jaxpr_of(f: Callable[..., Any]) -> Any:
    """Return the jaxpr of a function of a vector."""
    return jax.make_jaxpr(f)(X)


def body(eqn: jec.JaxprEqn) -> AnyJaxpr | None:
    """Return the jaxpr of a jitted call."""
    inner: AnyJaxpr | None = eqn.params["jaxpr"] if eqn.primitive.name == "jit" else None
    return inner


def test_walk_yields_each_jaxpr_once() -> None:
    """The outer one comes first."""
    jaxprs = [*walk(jaxpr_of(twice))]
    assert [len(jaxpr.eqns) for jaxpr in jaxprs] == [3, 2]


def test_counts_are_as_often_as_an_equation_holds_a_jaxpr() -> None:
    """In order of appearance."""
    counts = count_primitives(jaxpr_of(twice))
    assert list(counts.items()) == [("jit", 2), ("sin", 2), ("add", 2), ("mul", 1)]


class TestRebuild:
    """A jaxpr rebuilt."""

    def test_without_a_change_it_is_equal(self) -> None:
        """What was shared is shared still, and each is edited once, the inner one first."""
        jaxpr, numbers = jaxpr_of(twice), []

        def edit(number: int, inner: jec.Jaxpr, eqns: list[jec.JaxprEqn]) -> jec.Jaxpr:
            numbers.append(number)
            return with_equations(inner, eqns, inner.outvars)

        made = rebuild(jaxpr, edit)
        assert equal(made, jaxpr)
        assert numbers == [1, 0]
        assert len([*walk(made)]) == 2

    def test_an_edit_reaches_what_is_nested(self) -> None:
        """In branches, too, which are a tuple of jaxprs."""
        jaxpr = jaxpr_of(lambda x: lax.cond(x[0] > 0, jnp.sin, lambda y: jnp.sin(y) * 2, x))

        def edit(_: int, inner: jec.Jaxpr, eqns: list[jec.JaxprEqn]) -> jec.Jaxpr:
            changed = [
                eqn.replace(primitive=lax.neg_p, params={}) if eqn.primitive is lax.sin_p else eqn
                for eqn in eqns
            ]
            return with_equations(inner, changed, inner.outvars)

        counts = count_primitives(rebuild(jaxpr, edit))
        assert counts["neg"] == 2
        assert "sin" not in counts


def test_inlined_calls_compute_the_same() -> None:
    """Their equations are in their place, with variables of their own."""
    made = inlined(jaxpr_of(lambda x: jax.jit(twice)(x) + x), body)
    assert count_primitives(made) == {"sin": 2, "add": 3, "mul": 1}
    variables = [var for eqn in opened(made).eqns for var in eqn.outvars]
    assert len(variables) == len(set(variables))
    (result,) = jax.core.eval_jaxpr(opened(made), [], X)
    assert jnp.allclose(result, twice(X) + X)


def test_behind_a_result_is_what_it_depends_on() -> None:
    """The last equation comes first, and those of other results are left out."""
    jaxpr = jaxpr_of(lambda x: (jnp.sin(x) * 2, jnp.cos(x), 1.0))
    names = [[eqn.primitive.name for eqn in behind(jaxpr, result)] for result in range(3)]
    assert names == [["mul", "sin"], ["cos"], []]
