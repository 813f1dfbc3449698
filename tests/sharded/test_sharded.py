"""Arguments that are sharded over eight devices: what is said of them, and what is compared.

tests/test_sharded.py runs this file in a process of its own, which has eight devices.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import vmapguide


P = PartitionSpec
W = jnp.arange(10.0).reshape(2, 5) / 10
X = jnp.arange(80.0).reshape(16, 5) / 80

KINDS = {"auto": AxisType.Auto, "explicit": AxisType.Explicit}


def layer(W: Any, x: Any) -> Any:
    """Return one number for an example."""
    return jnp.tanh(W @ x).sum()


def mesh_of(kind: str, *shape: int) -> jax.sharding.Mesh:
    """Return a mesh with the axes `d`, `e`, ... of a type."""
    names = ("d", "e")[: len(shape)]
    return jax.make_mesh(shape, names, axis_types=(KINDS[kind],) * len(shape))


def placed(array: Any, kind: str, *places: str | None) -> Any:
    """Return an array that is sharded along some axes over all eight devices."""
    return jax.device_put(array, NamedSharding(mesh_of(kind, 8), P(*places)))


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Whether the axes of the mesh are in the types of arrays."""
    return str(request.param)


def test_there_are_eight() -> None:
    """Else nothing here is sharded."""
    assert jax.device_count() == 8


def test_explain(kind: str) -> None:
    """The jaxpr is that of `jax.vmap`; the head says what one device has of which argument."""
    axes = (None, 0)
    batch = placed(X, kind, "d")
    explanation = vmapguide.explain(layer, in_axes=axes)(W, batch)
    assert str(explanation.batched) == str(jax.make_jaxpr(jax.vmap(layer, in_axes=axes))(W, batch))
    assert explanation.axis_sizes == {"B": 16}
    assert explanation.complete
    (leaf,) = explanation.sharded
    assert (leaf.name, leaf.type, leaf.shard_type) == ("x", "f32[16,5]", "f32[2,5]")
    text = str(explanation)
    assert "Sharded: x, f32[2,5] of f32[16,5] on each of 8 devices." in text
    assert leaf.shard_type in explanation.as_html()
    assert ("f32[B@d,5] → f32[B@d]" if kind == "explicit" else "f32[B,5] → f32[B]") in text
    assert explanation.to_dict()["sharded"] == [vars(leaf)]


def test_what_is_replicated_is_not_sharded(kind: str) -> None:
    """An array that every device has whole, and one on a single device."""
    explanation = vmapguide.explain(layer, in_axes=(None, 0))(placed(W, kind), X)
    assert explanation.sharded == ()
    assert "Sharded" not in str(explanation)


def test_many_leaves(kind: str) -> None:
    """Of more than three the others are counted."""
    batch = {name: placed(X, kind, "d") for name in "abcde"}
    explanation = vmapguide.explain(lambda batch: batch["a"])(batch)
    assert [leaf.name for leaf in explanation.sharded] == [f"batch[{name!r}]" for name in "abcde"]
    assert "; 2 more." in " ".join(str(explanation).split())


def test_a_nest_of_two_axes(kind: str) -> None:
    """Each level's axis is sharded over its own axis of the mesh."""
    mesh = mesh_of(kind, 4, 2)
    array = jax.device_put(jnp.ones((8, 6, 3)), NamedSharding(mesh, P("d", "e")))
    explanation = vmapguide.explain(jax.vmap(jnp.sum))(array)
    assert explanation.axis_sizes == {"B": 8, "C": 6}
    assert explanation.complete
    assert explanation.sharded[0].shard_type == "f32[2,3,3]"
    shown = "f32[B@d,C@e,3]" if kind == "explicit" else "f32[B,C,3]"
    assert shown in str(explanation)


@pytest.mark.parametrize("spmd_axis_name", [None, "d"])
def test_shard_map_inside(kind: str, spmd_axis_name: str | None) -> None:
    """Where the batch axis is sharded inside, a device has its part of the batch."""
    mesh = mesh_of(kind, 8)

    def mapped(x: Any) -> Any:
        specs: Any = {"in_specs": (P(), P()), "out_specs": P()}
        return jax.shard_map(lambda w, x: w @ x, mesh=mesh, **specs)(W, x)

    explain = vmapguide.explain(mapped, spmd_axis_name=spmd_axis_name)
    explanation = explain(placed(X, kind, "d"))
    (product,) = [s for s in explanation.steps if s.equation.primitive.name == "dot_general"]
    assert product.kind != "shared"
    assert explanation.complete
    assert "16" not in str(explanation).replace("B = 16", "").replace("f32[16,5]", "")
    if kind == "auto" and spmd_axis_name == "d":
        assert "f32[2,B/8]" in str(explanation)
        assert str(product.batched[-1].outvars[0].aval).startswith("float32[2,2]")  # 2 of 16.


def test_cost(kind: str) -> None:
    """XLA speaks of one device, and the report says so; the jaxpr's counts are of all."""
    batch = placed(X, kind, "d")
    mapped = jax.vmap(layer, in_axes=(None, 0))
    whole = vmapguide.cost(mapped)(W, X)
    for cost in (
        vmapguide.cost(mapped)(W, batch),
        vmapguide.cost(vmapguide.explain(layer, in_axes=(None, 0))(W, batch)),
    ):
        assert cost.flops == whole.flops == 16 * (2 * 2 * 5 + 1)
        assert whole.xla
        assert cost.xla
        assert (whole.xla.devices, cost.xla.devices) == (1, 8)
        assert cost.xla.flops == whole.flops // 8
        assert cost.xla.results == 4 * 16 // 8
        assert any("8 devices" in sentence for sentence in cost.differences)
        assert "XLA, one of 8 devices" in str(cost)
        assert "merged" not in str(cost)
        assert cost.to_dict()["sharded"] == [vars(leaf) for leaf in cost.sharded] != []


@pytest.mark.parametrize(("in_axes", "out_axes"), [(0, 1), (-1, 0)])
@pytest.mark.parametrize("places", [("d",), (None, "d"), ()])
def test_check(kind: str, in_axes: int, out_axes: int, places: tuple[str | None, ...]) -> None:
    """Whichever axis is sharded and whichever is mapped."""
    batch = placed(jnp.arange(128.0).reshape(16, 8), kind, *places)
    check = vmapguide.check(lambda x: x * 2, in_axes=in_axes, out_axes=out_axes)(batch)
    assert check.same
    assert check.batch_size == (16, 8)[in_axes]
    assert [leaf.devices for leaf in check.sharded] == [8] * bool(places)
    assert ("Sharded: x" in str(check)) == bool(places)
    assert check.to_dict()["sharded"] == [vars(leaf) for leaf in check.sharded]


def test_check_of_a_named_axis(kind: str) -> None:
    """A function that sees the batch differs from the loop, and the reason is found."""
    batch = placed(X, kind, "d")
    check = vmapguide.check(lambda x: x - jax.lax.pmean(x, "i"), axis_name="i")(batch)
    assert not check.same
    assert [reason.code for reason in check.reasons] == ["batch statistic"]


def test_a_sample_is_drawn(kind: str) -> None:
    """Of a large batch some examples are taken from all devices."""
    batch = placed(jnp.arange(256.0).reshape(128, 2), kind, "d")
    check = vmapguide.check(lambda x: x.sum(), examples=5)(batch)
    assert check.same
    assert len(check.examples) == 5


def test_random_keys(kind: str) -> None:
    """They are sharded like other arrays, and a loop takes one after the other."""
    keys = placed(jax.random.split(jax.random.key(0), 16), kind, "d")
    (leaf,) = vmapguide.explain(jax.random.normal)(keys).sharded
    assert (leaf.type, leaf.shard_type) == ("key<fry>[16]", "key<fry>[2]")
    check = vmapguide.check(jax.random.normal, examples=3)(keys)
    assert check.same


def test_diagram(kind: str) -> None:
    """The argument is mapped, and one example has its part."""
    (block,) = vmapguide.diagram(lambda x: x * 2)(placed(X, kind, "d")).arguments
    assert block.mapped
    assert (block.shape, block.per_example_shape) == (("B", 5), (5,))


def test_compare_and_benchmark(kind: str) -> None:
    """Both run where the arguments lie; the batches of a sweep lie there, too."""
    sides: Any = {"vmap": jax.vmap(jnp.sin), "whole": jnp.sin}
    batch = placed(X, kind, "d")
    comparison = vmapguide.compare(**sides)(batch)
    assert all(leaf.same for side in comparison.sides for leaf in side.leaves or ())
    benchmark = vmapguide.benchmark(**sides, sweep=(8, 24), rounds=2)(batch)
    assert "with 8 devices" in benchmark.device
    with pytest.raises(ValueError, match=r"float32\[9,5\] cannot be sharded over 8 devices"):
        vmapguide.benchmark(**sides, sweep=(9,), rounds=2)(batch)


def test_numbers(kind: str) -> None:
    """`vmapguide.vmap` computes what NumPy does."""
    result = vmapguide.vmap(layer, in_axes=(None, 0))(W, placed(X, kind, "d"))
    expected = np.tanh(np.asarray(X) @ np.asarray(W).T).sum(axis=1)
    np.testing.assert_allclose(np.asarray(result), expected, rtol=1e-5)


def test_a_constraint_shows_its_spec() -> None:
    """What `spmd_axis_name` changes is the spec; the mesh would hide it."""
    mesh = mesh_of("auto", 4, 2)

    def constrained(x: Any) -> Any:
        return jax.lax.with_sharding_constraint(W @ x, NamedSharding(mesh, P("e")))

    text = str(vmapguide.explain(constrained, spmd_axis_name="d")(X))
    # Of W @ X.T, as it is in the batch.
    assert "sharding=P('e','d')" in "".join(text.split())


def test_resharding_is_no_arithmetic() -> None:
    """It is known, and has no FLOPs."""
    whole = NamedSharding(mesh_of("explicit", 8), P())
    cost = vmapguide.cost(lambda x: jax.sharding.reshard(x, whole))(placed(X, "explicit", "d"))
    assert not cost.uncounted
    assert cost.flops == 0
