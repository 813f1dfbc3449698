"""The recorder sees every `jax.vmap`, and its rules see what is wrong with an explanation."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from jax import lax

import vmapguide
from vmapguide import Explanation


BATCH = jnp.arange(3.0)


def each_takes_its_own(x: Any) -> Any:
    """Branch on a mapped value."""
    return lax.cond(x > 1, jnp.sin, jnp.cos, x)


def until_the_last(x: Any) -> Any:
    """Count up to a mapped value."""
    return lax.while_loop(lambda c: c < x, lambda c: c + 1, 0 * x)


def until_all_are_done(x: Any) -> Any:
    """Count up to the largest of all examples."""
    return lax.while_loop(lambda c: c < lax.pmax(x, "i"), lambda c: c + 1, 0 * x)


def if_any(x: Any) -> Any:
    """Branch on a value that was reduced over the examples."""
    return lax.cond(lax.pmax(x, "i") > 1, jnp.sin, jnp.cos, x)


def as_they_come(x: Any) -> Any:
    """Call Python, one example after the other."""
    jax.debug.print("{}", x)
    return x * 2 + jnp.cos(jnp.float32(3))


FUNCTIONS = [each_takes_its_own, until_the_last, until_all_are_done, if_any, as_they_come]


def judged(recorder: Any, explanation: Explanation, f: Callable[..., Any]) -> list[str]:
    """Return what the recorder says is wrong with an explanation."""
    recorder.is_open = False
    plain = jax.make_jaxpr(jax.vmap(f, axis_name="i"))(BATCH)
    recorder.judge("here", explanation, plain, [True])
    faults: list[str] = recorder.faults
    return faults


@pytest.mark.parametrize("f", FUNCTIONS)
def test_a_right_explanation(recorder: Any, f: Callable[..., Any]) -> None:
    """Nothing is wrong with it."""
    recorder.is_open = False
    assert judged(recorder, vmapguide.explain(f, axis_name="i")(BATCH), f) == []


@pytest.mark.parametrize("f", FUNCTIONS)
def test_another_kind(recorder: Any, f: Callable[..., Any]) -> None:
    """Every single kind that is another one is seen."""
    recorder.is_open = False
    right = vmapguide.explain(f, axis_name="i")(BATCH)
    for i, step in enumerate(right.steps):
        recorder.faults.clear()
        kind: Any = "layout" if step.kind != "layout" else "same"
        variants = tuple(dataclasses.replace(v, kind=kind) for v in step.variants)
        steps = list(right.steps)
        steps[i] = dataclasses.replace(step, kind=kind, variants=variants)
        found = judged(recorder, dataclasses.replace(right, steps=tuple(steps)), f)
        assert len(found) == len(variants), step.equation.primitive


def test_what_is_missing(recorder: Any) -> None:
    """A step that is left out, an axis that is not known and another jaxpr are seen."""
    recorder.is_open = False
    right = vmapguide.explain(jnp.sin, axis_name="i")(BATCH)
    (step,) = right.steps
    (variant,) = step.variants
    nowhere = dataclasses.replace(step, variants=(dataclasses.replace(variant, batch_axes=None),))
    assert "in no step" in judged(recorder, dataclasses.replace(right, steps=()), jnp.sin)[0]
    assert "no axis" in judged(recorder, dataclasses.replace(right, steps=(nowhere,)), jnp.sin)[1]
    assert "not plain vmap's" in judged(recorder, right, jnp.cos)[2]
    assert (
        "not complete" in judged(recorder, dataclasses.replace(right, complete=False), jnp.sin)[3]
    )


def test_calls_inside_of_transformations(recorder: Any) -> None:
    """A vmap in a vmap, in a gradient and in a compiled function is recorded, by its types."""

    def inner(x: Any) -> Any:
        return jax.vmap(jnp.sin)(x).sum()

    jax.jit(jax.grad(lambda x: jax.vmap(inner)(x).sum()))(jnp.ones((3, 4)))
    assert recorder.totals()["explained"] == 2
    assert recorder.faults == []


def test_what_is_called_again_and_what_cannot_be_traced(recorder: Any) -> None:
    """Neither is left out: both are counted, the latter with JAX's reason."""

    @jax.vmap
    def once(x: Any) -> Any:
        return x + 1

    seen = []

    @jax.vmap
    def never_again(x: Any) -> Any:
        seen.append(x)
        if len(seen) > 1:
            raise RuntimeError("not again")
        return x

    once(BATCH)
    once(BATCH)
    never_again(BATCH)
    totals = recorder.totals()
    assert (totals["calls"], totals["explained"], totals["repeated"]) == (3, 1, 1)
    assert sum(totals["reasons"].values()) == totals["not traceable"] == 1
    assert recorder.reasons == {"RuntimeError: not again": 1}
