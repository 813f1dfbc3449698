"""The rules about calls: what of a program that has run is said, and what is passed over."""

from typing import Any

import jax
import jax.numpy as jnp
import pytest
from finding_cases.compilation import ROUNDS, X, made_anew, neuron, recorded

import vmapguide
from vmapguide import Finding


def found(program: Any) -> list[Finding]:
    """Return what this family finds."""
    return [finding for finding in recorded(program).findings if finding.code[2] == "7"]


def codes(program: Any) -> list[str]:
    """Return the codes of what this family finds."""
    return [finding.code for finding in found(program)]


# -- VG701 --------------------------------------------------------------------


def test_calls_and_operations_are_counted() -> None:
    """In each call Python runs the function again, and what it computes goes out by itself."""
    traces: list[Any] = []

    def counted(x: jax.Array) -> Any:
        traces.append(x.shape)
        return neuron(x)

    def program() -> None:
        batched = jax.vmap(counted)
        for _ in range(5):
            batched(X)

    program()
    assert len(traces) == 5
    operations = len(jax.make_jaxpr(neuron)(X[0]).jaxpr.eqns)
    (finding,) = found(program)
    assert finding.facts == {"code": "jax.vmap(counted)", "calls": 5, "operations": operations}
    assert finding.severity == "note"
    assert "called 5 times" in finding.message
    assert "jax.jit(jax.vmap(" in finding.remedy


def test_the_operations_of_a_compiled_function_go_out_together() -> None:
    """What `vmap(jit(f))` sends off is one program."""

    def program() -> None:
        batched = jax.vmap(jax.jit(neuron))
        for _ in range(3):
            batched(X)

    assert codes(program) == []


def test_a_loop_is_an_operation() -> None:
    """Outside of `jax.jit` its body is compiled again for each call."""

    def count_down(x: jax.Array) -> Any:
        return jax.lax.fori_loop(0, 3, lambda _, x: jnp.tanh(x), x)

    def program() -> None:
        batched = jax.vmap(count_down)
        for _ in range(2):
            batched(X)

    (finding,) = found(program)
    assert finding.facts["operations"] == 1


def test_other_types_are_other_calls() -> None:
    """A call for a batch of another size is counted by itself."""

    def program() -> None:
        batched = jax.vmap(neuron)
        batched(X)
        batched(X[:2])

    assert codes(program) == []


# -- VG702 --------------------------------------------------------------------


def test_programs_are_counted() -> None:
    """A function that is new in each round is one program more."""
    (finding,) = found(lambda: made_anew(ROUNDS + 3))
    assert finding.facts == {"code": "jax.vmap(neuron)", "programs": ROUNDS + 3}
    assert finding.severity == "warning"
    assert "compiled 11 times" in finding.message


def test_a_few_programs_are_passed_over() -> None:
    """As for other settings, or for a last batch that is smaller."""
    assert codes(lambda: made_anew(ROUNDS - 1)) == []


def test_derivatives_of_layers_are_one_program() -> None:
    """Each layer has a function of its own, and is traced by itself to be computed again."""

    def network(batch: jax.Array) -> Any:
        for _ in range(2 * ROUNDS):
            batch = jax.checkpoint(jax.vmap(lambda x: x + neuron(x)))(batch)
        return batch.sum()

    assert codes(lambda: jax.jit(jax.grad(network))(X)) == []


def test_a_function_that_is_kept() -> None:
    """`jax.jit` knows it again, also where it is made anew."""

    def program() -> None:
        batched = jax.vmap(neuron)
        for _ in range(2 * ROUNDS):
            jax.jit(batched)(X)

    assert codes(program) == []


def test_a_loss_that_is_made_in_each_round() -> None:
    """It is the line that calls `jax.vmap` which is named, and not that of `jax.jit`."""

    def program() -> None:
        for _ in range(ROUNDS):

            def loss(X: jax.Array) -> Any:
                return jax.vmap(neuron)(X).sum()

            jax.jit(jax.grad(loss))(X)

    (finding,) = found(program)
    assert finding.source is not None
    assert finding.source.expression == "jax.vmap(neuron)"


# -- Where they are said ------------------------------------------------------


def commented() -> None:
    """Do both on purpose."""
    batched = jax.vmap(neuron)  # vmapguide: ignore[VG701]
    batched(X)
    batched(X)
    for _ in range(ROUNDS):
        jax.jit(jax.vmap(neuron))(X)  # vmapguide: ignore[VG7]


def test_a_comment_leaves_them_out() -> None:
    """It stands in the line that calls `jax.vmap`."""
    assert codes(commented) == []


def calls_itself(x: jax.Array) -> Any:
    """Say of an inner call what only a run can find."""
    return jax.vmap(jnp.tanh)(x).sum()  # vmapguide: ignore[VG702]


def says_more(x: jax.Array) -> Any:
    """Say so, and of something else what an explanation can find."""
    return jax.vmap(jnp.tanh)(x).sum()  # vmapguide: ignore[VG101, VG702]


@pytest.mark.parametrize(("f", "expected"), [(calls_itself, []), (says_more, ["VG901"])])
def test_such_a_comment_is_not_said_to_do_nothing(f: Any, expected: list[str]) -> None:
    """An explanation cannot know whether it does."""
    assert [finding.code for finding in vmapguide.explain(f)(X).findings] == expected


def test_a_program_that_removes_listeners() -> None:
    """JAX is asked what it compiles only while a program runs, and may be told to be silent."""

    def program() -> None:
        made_anew(2)
        jax.monitoring.clear_event_listeners()

    assert codes(program) == []
    assert codes(made_anew) == ["VG702"]
