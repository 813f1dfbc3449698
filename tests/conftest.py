"""What more than one file of tests asks of an explanation."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.extend.core as jec
import pytest

import vmapguide
from vmapguide._explain import Explanation
from vmapguide._jaxpr.compat import opened
from vmapguide._jaxpr.equality import equal
from vmapguide._jaxpr.walk import nested, without_addresses
from vmapguide._measure import evidence


# Here a fault in what looks for reasons is an error, and not a reason that is missing.
evidence.RAISES_ERRORS = True


def all_equations(jaxpr: Any) -> Iterator[jec.JaxprEqn]:
    """Yield the equations of a jaxpr and of those nested in it, as JAX finds them, each once."""
    seen: set[int] = set()
    pending = [getattr(jaxpr, "jaxpr", jaxpr)]
    while pending:
        jaxpr = pending.pop()
        if id(jaxpr) in seen:
            continue
        seen.add(id(jaxpr))
        for eqn in jaxpr.eqns:
            yield eqn
            pending += jec.jaxprs_in_params(eqn.params)


# What vmap does at its boundary: it moves a batch axis, or repeats what is unmapped.
BOUNDARY = {"broadcast_in_dim", "transpose"}

# Of what all examples share, these over the examples are that itself: nothing is left of them.
IDENTITIES = {"pmax", "pmin"}


def assert_total(explanation: Explanation) -> None:
    """Every equation of one example is one step, every batched one is in one place.

    And the place is a likely one: only axes are moved at the boundary, which lies outside of all
    equations, and what is nested in an equation that stayed what it was stayed there, too.
    """
    assert explanation.complete
    assert not explanation.unknown
    outermost = {id(eqn) for eqn in opened(explanation.batched).eqns}
    assert all(id(eqn) in outermost for eqn in explanation.boundary)
    assert {eqn.primitive.name for eqn in explanation.boundary} <= BOUNDARY
    made = {id(step.equation): step.batched for step in explanation.steps}
    for step in explanation.steps:
        for batched in step.batched:
            if batched.primitive is step.equation.primitive and step.kind in ("same", "shared"):
                within = {id(eqn) for j in nested(batched) for eqn in all_equations(j)}
                for eqn in (e for j in nested(step.equation) for e in j.eqns):
                    is_nothing = eqn.primitive.name in IDENTITIES and not made[id(eqn)]
                    assert is_nothing or within & set(map(id, made[id(eqn)])), eqn.primitive
    steps = Counter(id(step.equation) for step in explanation.steps)
    assert steps == Counter(id(eqn) for eqn in all_equations(explanation.per_example))
    claimed = Counter(id(eqn) for step in explanation.steps for eqn in step.batched)
    claimed.update(id(eqn) for eqn in explanation.boundary)
    assert claimed == Counter(id(eqn) for eqn in all_equations(explanation.batched))


def check_explanation(f: Callable[..., Any], *args: Any, **vmap: Any) -> Explanation:
    """Explain a call, and see that the batched jaxpr is plain vmap's and is wholly accounted for.

    That two jaxprs are the same is asked twice: of vmapguide, and of what JAX prints.
    """
    explanation = vmapguide.explain(f, **vmap)(*args)
    plain = jax.make_jaxpr(jax.vmap(f, **vmap))(*args)
    assert equal(explanation.batched, plain)
    shown = (without_addresses(jaxpr) for jaxpr in (explanation.batched, plain))
    assert len(set(shown)) == 1
    assert_total(explanation)
    return explanation


@pytest.fixture(scope="session")
def checked() -> Callable[..., Explanation]:
    """Return a function that explains a call and asserts identity and totality."""
    return check_explanation
