"""Whether an explanation accounts for all of what `jax.vmap` made."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import jax
from equations import BOUNDARY, bare, everything, inner

import vmapguide
from vmapguide import Explanation
from vmapguide._jaxpr.trace_matching import equal
from vmapguide._jaxpr.walk import without_addresses


Checked = Callable[..., Explanation]

# Of what all examples share, these over the examples are that itself: nothing is left of them.
IDENTITIES = {"pmax", "pmin"}


def assert_total(explanation: Explanation) -> None:
    """Every equation of one example is one step, every batched one is in one place.

    And the place is a likely one: only axes are moved at the boundary, which lies outside of all
    equations, and what is nested in an equation that stayed what it was stayed there, too.
    """
    assert explanation.complete
    assert not explanation.unknown
    outermost = {id(eqn) for eqn in bare(explanation.batched).eqns}
    assert all(id(eqn) in outermost for eqn in explanation.boundary)
    assert {eqn.primitive.name for eqn in explanation.boundary} <= BOUNDARY
    made = {id(step.equation): step.batched for step in explanation.steps}
    for step in explanation.steps:
        for batched in step.batched:
            if batched.primitive is step.equation.primitive and step.kind in ("same", "shared"):
                within = {id(eqn) for jaxpr in inner(batched) for eqn in everything(jaxpr)}
                for eqn in (eqn for jaxpr in inner(step.equation) for eqn in jaxpr.eqns):
                    is_nothing = eqn.primitive.name in IDENTITIES and not made[id(eqn)]
                    assert is_nothing or within & set(map(id, made[id(eqn)])), eqn.primitive
    steps = Counter(id(step.equation) for step in explanation.steps)
    assert steps == Counter(id(eqn) for eqn in everything(explanation.per_example))
    claimed = Counter(id(eqn) for step in explanation.steps for eqn in step.batched)
    claimed.update(id(eqn) for eqn in explanation.boundary)
    assert claimed == Counter(id(eqn) for eqn in everything(explanation.batched))


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
