"""A letter means one value in both columns of an explanation."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from jax import lax

import vmapguide


X = jnp.arange(1.0, 13.0).reshape(4, 3)
W = jnp.arange(6.0).reshape(2, 3)


@jax.jit
def shared(x: jax.Array) -> jax.Array:
    """Return a function's value, of which JAX holds one program for two ways to map it."""
    return jnp.tanh(x) * 2


def many_helpers(x: jax.Array) -> jax.Array:
    """Return what takes more helpers than there are signs for them."""
    return lax.pad(x, x[0], [(1, 1, 0)])


PROGRAMS: dict[str, Callable[[jax.Array], Any]] = {
    "layer": lambda x: jnp.tanh(W @ x + 1).sum(),
    "layout": lambda x: W.T[:, 0] + jnp.stack([x, x])[1],
    "loop": lambda x: lax.while_loop(lambda c: c.sum() > 1, lambda c: c / 2 + W[0], x),
    "scan": lambda x: lax.scan(lambda c, w: (c + w, c @ w), x, W),
    "branch": lambda x: lax.cond(x[0] > 2, jnp.sin, lambda x: x @ W.T @ W, x),
    "index": lambda x: x[jnp.argmax(x)] + jnp.where(x > 0, x, 0.0),
    "library": lambda x: jax.nn.softmax(x) @ jnp.linalg.inv(jnp.outer(x, x) + jnp.eye(3)),
    "one function, twice": lambda x: shared(x) + shared(W[0]),
    "many helpers": many_helpers,
    "print": lambda x: jax.debug.print("{}", x) or x + 1,
    "gradient": jax.grad(lambda x: jax.nn.gelu(W @ x).sum()),
    "nested": lambda x: jax.vmap(lambda w: w @ x)(W),
    "an argument returned": lambda x: (x, x[::-1]),
}


def programs(data: Any) -> Iterator[Any]:
    """Yield the programs in plain data, nested ones too."""
    if isinstance(data, dict):
        if "equations" in data:
            yield data
        for value in data.values():
            yield from programs(value)
    elif isinstance(data, (list, tuple)):
        for value in data:
            yield from programs(value)


def outputs(equations: Any) -> list[str]:
    """Return the names of what equations define, without those that nobody uses."""
    names = [output["name"] for eqn in equations for output in eqn["outputs"]]
    return [name for name in names if name != "_"]


def plain(name: str) -> str:
    """Return a name without its prime."""
    return name.rstrip("0123456789").rstrip("′″‴")


@pytest.fixture(params=PROGRAMS)
def explained(request: pytest.FixtureRequest) -> Any:
    """Return the explanation of a program as plain data."""
    return vmapguide.explain(PROGRAMS[request.param])(X).to_dict()


def test_a_name_is_defined_once(explained: Any) -> None:
    """In each program, whatever it is nested in, no two variables have one name."""
    for side in ("per_example", "batched"):
        for program in programs(explained[side]):
            arguments = [v["name"] for v in (*program["constants"], *program["arguments"])]
            names = Counter([*arguments, *outputs(program["equations"])])
            names.pop("_", None)
            assert max(names.values(), default=1) == 1, names


def test_one_value_has_one_name(explained: Any) -> None:
    """What a step defines has the same names in both columns, and a helper has them with primes."""
    for step in explained["steps"]:
        ours = outputs([step["equation"]])
        for variant in step["variants"] if ours else ():
            theirs = outputs(variant["batched"])
            values = [name for name in theirs if name == plain(name)]
            assert set(values) <= set(ours)
            assert {plain(name) for name in theirs} <= {*ours}
            if step["kind"] in ("same", "shared", "rewritten") and theirs:
                assert values, (step["kind"], ours, theirs)


def test_what_is_read_has_the_name_that_it_was_given(explained: Any) -> None:
    """An operation that stays what it is reads values by the same names, or helpers of its own."""
    for step in explained["steps"]:
        own = {*outputs([step["equation"]])}
        for variant in step["variants"]:
            # Branches that are all run take masked operands, which are no arguments of theirs.
            if step["kind"] != "same" or step["depth"] or len(variant["batched"]) != 1:
                continue
            (batched,) = variant["batched"]
            if len(batched["inputs"]) == len(step["equation"]["inputs"]):
                for one, whole in zip(step["equation"]["inputs"], batched["inputs"], strict=True):
                    if "name" in one and "name" in whole:
                        assert plain(whole["name"]) in {one["name"], *own}


def test_a_letter_of_one_example_is_nothing_else_in_the_batch() -> None:
    """Also inside of what an operation was rewritten to, and where a value was masked away."""

    def f(x: jax.Array) -> Any:
        y = lax.cond(x.sum() > 0, jnp.tanh, jnp.sin, x)
        return 2 * lax.ppermute(y, "i", [(0, 1), (1, 2), (2, 3), (3, 0)])

    data: Any = vmapguide.explain(f, axis_name="i")(X).to_dict()
    letters = {
        variable["name"]
        for program in programs(data["per_example"])
        for variable in (
            *program["arguments"],
            *(o for e in program["equations"] for o in e["outputs"]),
        )
    }
    (moved,) = (s for s in data["steps"] if s["equation"]["primitive"] == "ppermute")
    inside = [program for eqn in moved["batched"] for program in programs(eqn["params"])]
    assert inside
    for program in inside:
        names = [variable["name"] for variable in program["arguments"]]
        assert not letters & {*names, *outputs(program["equations"])}


def test_two_names_for_one_value() -> None:
    """What is batched into nothing is the value before it, which keeps its name."""

    def f(w: jax.Array, x: jax.Array) -> Any:
        return x * lax.pmax(jnp.sin(w), "i")

    data: Any = vmapguide.explain(f, (None, 0), axis_name="i")(X[0], X).to_dict()
    sine, largest, product = data["steps"]
    assert largest["batched"] == []
    assert outputs(sine["batched"]) == outputs([sine["equation"]])
    read = [v["name"] for eqn in product["batched"] for v in eqn["inputs"]]
    assert outputs([sine["equation"]])[0] in read


@pytest.mark.parametrize("name", ["loop", "scan"])
def test_what_a_body_takes_has_one_name(name: str) -> None:
    """So have the arguments of what is nested in an operation that stays what it is."""
    data: Any = vmapguide.explain(PROGRAMS[name])(X).to_dict()
    (step,) = (s for s in data["steps"] if s["equation"]["primitive"] in ("while", "scan"))
    ours, theirs = (
        [[v["name"] for v in p["arguments"]] for p in programs(equation["params"])]
        for equation in (step["equation"], step["batched"][-1])
    )
    assert ours
    assert all(ours)
    assert theirs == ours


def test_more_helpers_than_signs() -> None:
    """They are numbered."""
    (step,) = vmapguide.explain(many_helpers)(X).find(primitive="pad")
    data: Any = vmapguide.explain(many_helpers)(X).to_dict()
    (padded,) = (s for s in data["steps"] if s["equation"]["primitive"] == "pad")
    (name,) = outputs([padded["equation"]])
    made = outputs(padded["batched"])
    assert len(made) == len(step.batched) > 4
    assert made == [*(f"{name}{p}" for p in ("′", "″", "‴")), f"{name}′4", name]


def test_shown_in_both_columns() -> None:
    """So the text has one letter for both."""
    lines = str(vmapguide.explain(lambda x: jnp.sin(x) * 2)(X)).split("\n")
    assert any("a:f32[3] = sin x" in line and "a:f32[B,3] = sin x" in line for line in lines)
    assert any(
        "b:f32[3] = mul a 2.0" in line and "b:f32[B,3] = mul a 2.0" in line for line in lines
    )
