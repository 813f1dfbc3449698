"""What a `cond` costs is not known before it runs, and `cost` says so (reported: jumanji#297)."""

import json
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from jax import lax

import vmapguide


X, ON = jnp.ones((100, 8, 8)), jnp.zeros(100, bool)
CUBE = 2 * 8**3


def power(x: jax.Array, on: Any) -> Any:
    """Return a power of a matrix, or the matrix."""
    return lax.cond(on, lambda x: x @ x @ x, lambda x: x, x)


def mapped(x: jax.Array, on: Any) -> Any:
    """Run the examples one after the other."""
    return lax.map(lambda pair: power(*pair), (x, on))


def said(cost: vmapguide.Cost) -> str:
    """Return what a cost prints, in one line."""
    return " ".join(str(cost).split())


def test_vmap_of_a_cond_and_a_loop_over_it_do_not_look_alike() -> None:
    """One runs both branches for every example, the other somewhere from nothing to all."""
    vmapped, looped = (vmapguide.cost(f)(X, ON) for f in (jax.vmap(power), mapped))
    assert not vmapped.choices
    assert vmapped.cheapest.flops == vmapped.flops >= 100 * 2 * CUBE
    assert looped.flops >= 100 * 2 * CUBE > 100 >= looped.cheapest.flops
    (choice,) = looped.choices
    assert (choice.name, choice.times, choice.counted) == ("c1", 100, 1)
    assert [branch.flops for branch in choice.branches] == [0, 2 * CUBE]
    assert f"{looped.cheapest.flops:,} to {looped.flops:,}" in said(looped)
    assert "c1, between 0 and 1, is the share of the 100 times that the cond in line" in said(
        looped
    )
    assert "takes 0, 2,048 FLOPs" in said(looped)
    assert " to " not in said(vmapped).split("vmapguide")[0].split("results")[0].split("jaxpr")[1]


def test_the_line_of_the_branch_has_the_share() -> None:
    """As a line in a while loop has the trips; and no line has a share of what is not known."""
    text = str(vmapguide.cost(mapped)(X, ON))
    assert f"{200 * CUBE:,} · c1" in text
    assert "%" not in text


def test_plain_data() -> None:
    """It is in the dictionary, too."""
    data: Any = vmapguide.cost(mapped)(X, ON).to_dict()
    json.dumps(data, allow_nan=False)
    (choice,) = data["choices"]
    assert (choice["name"], choice["times"], choice["counted"]) == ("c1", 100, 1)
    assert choice["branches"][1]["flops"] == 2 * CUBE
    assert data["cheapest"]["flops"] < data["flops"]
    assert {"c1"} == {name for step in data["steps"] for name in step["choices"]}


def test_a_switch() -> None:
    """The dearest of several, and the cheapest, wherever they stand."""
    branches = [lambda x: x @ x, lambda x: x + 1, lambda x: x @ x @ x]
    cost = vmapguide.cost(lambda i, x: lax.switch(i, branches, x))(0, X[0])
    (choice,) = cost.choices
    assert [branch.flops for branch in choice.branches] == [CUBE, 64, 2 * CUBE]
    assert choice.counted == 2
    assert cost.flops - cost.cheapest.flops == 2 * CUBE - 64


def test_in_a_while_loop() -> None:
    """The totals are without it, and the choice says how often it runs in one trip."""

    def f(x: jax.Array) -> Any:
        def body(x: jax.Array) -> Any:
            return lax.fori_loop(0, 3, lambda _, x: power(x, x.sum() > 0), x)

        return lax.while_loop(lambda x: x.sum() > 1, body, x)

    cost = vmapguide.cost(f)(X[0])
    (choice,) = cost.choices
    assert (choice.inside, choice.times) == (("n1",), 3)
    assert cost.flops == cost.cheapest.flops == 0
    assert "the 3 times that the cond in line" in said(cost)
    assert "in one trip of n1" in said(cost)
    assert "· n1 · c1" in said(cost)


def test_in_a_branch() -> None:
    """A choice in the branch of another one; in the cheapest case it is not even made."""

    def f(x: jax.Array, on: Any) -> Any:
        return lax.cond(on, lambda x: power(x, x.sum() > 0), lambda x: x, x)

    cost = vmapguide.cost(f)(X[0], True)
    outer, inner = cost.choices
    assert outer.branches[1].flops >= 2 * CUBE == inner.branches[1].flops
    assert cost.cheapest.flops < 5 < 2 * CUBE <= cost.flops
    assert [step.choices for step in cost.steps if step.primitive == "dot_general"] == [
        ("c1", "c2"),
        ("c1", "c2"),
    ]


def test_equal_branches_are_no_choice() -> None:
    """Whichever runs, it costs the same."""
    cost = vmapguide.cost(lambda x: lax.cond(x > 0, lambda x: x + 1, lambda x: x - 1, x))(1.0)
    assert not cost.choices
    assert cost.flops - 1 in range(1, 4)  # Beside the comparison, the index of the branch.


@pytest.mark.parametrize("on", [True, False])
def test_a_predicate_that_is_known(on: bool) -> None:
    """The branch that runs is counted, not the dearest."""
    cost = vmapguide.cost(lambda x: lax.cond(on, lambda x: x @ x, lambda x: x, x))(X[0])
    assert cost.flops == (CUBE if on else 0)
    assert not cost.choices


def test_what_depends_on_the_platform() -> None:
    """That branch is counted which runs where JAX runs."""
    backend = jax.default_backend()
    here = {{"gpu": "cuda"}.get(backend, backend): lambda x: x + 1}  # JAX knows no branch for GPUs.
    cost = vmapguide.cost(lambda x: lax.platform_dependent(x, **here, default=lambda x: x @ x))(
        X[0]
    )
    assert cost.flops == 64
    assert not cost.choices


def test_an_explanation_says_which_branch_of_one_example_it_means() -> None:
    """How many times one example the batch costs depends on the branch of the example."""
    cost = vmapguide.cost(vmapguide.explain(power)(X, ON))
    assert not cost.choices
    (choice,) = cost.choices_of_one
    assert choice.source is not None
    assert f"(line {choice.source.line}), and here the dearest is counted" in said(cost)
    shared = vmapguide.cost(vmapguide.explain(power, in_axes=(0, None))(X, True))
    assert [branch.flops for branch in shared.choices[0].branches] == [0, 100 * 2 * CUBE]


def test_no_cond_no_word() -> None:
    """Where nothing is chosen nothing is said."""
    text = said(vmapguide.cost(vmapguide.explain(jnp.sin)(X)))
    assert "cond" not in text
