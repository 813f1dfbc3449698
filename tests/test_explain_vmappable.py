"""`vmapguide.explain` of types that `jax.vmap` maps in a way of their own: `register_vmappable`."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from accounts import Checked
from jax.experimental import sparse
from jax.interpreters import batching

import vmapguide
from vmapguide import Explanation


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Named:
    """An array whose axes have names."""

    names: tuple[str, ...] = dataclasses.field(metadata={"static": True})
    data: Any


@dataclass(frozen=True)
class Over:
    """Which axis to map: the one with this name."""

    name: str


def _one(get: Callable[..., Any], _: Any, whole: Named, over: Over | None) -> Named:
    if over is None:
        return whole
    i = whole.names.index(over.name)
    return Named((*whole.names[:i], *whole.names[i + 1 :]), get(whole.data, i))


def _all(put: Callable[..., Any], size: int, one: Named, over: Over) -> Named:
    return Named((over.name, *one.names), put(size, one.data, 0))


batching.register_vmappable(Named, Over, int, _one, _all, None)

X = Named(("i", "j"), jnp.arange(6.0).reshape(2, 3))


def double(x: Named) -> Named:
    """Double an array, in two steps."""
    return Named(x.names, jnp.sin(x.data) * 2)


def kinds(explanation: Explanation) -> list[tuple[str, str, Any]]:
    """Return what is said of each step."""
    return [
        (step.equation.primitive.name, step.kind, step.batch_axes) for step in explanation.steps
    ]


def test_a_type_with_a_specification_of_its_own(checked: Checked) -> None:
    """Which axis is mapped is said by the type: it is what the operations say."""
    over = {"in_axes": Over("j"), "out_axes": Over("j"), "axis_size": 3}
    explanation = checked(double, X, **over)
    assert kinds(explanation) == [("sin", "same", (1,)), ("mul", "same", (1,))]
    assert [eqn.primitive.name for eqn in explanation.boundary] == ["transpose"]


def test_beside_an_array(checked: Checked) -> None:
    """Other arguments are mapped as ever, or shared."""

    def f(x: Named, y: Any, w: Any) -> Any:
        return x.data * y, jnp.cos(w) + y

    over = (Over("i"), 0, None)
    explanation = checked(f, X, jnp.ones(2), jnp.ones(()), in_axes=over)
    assert [kind for _, kind, _ in kinds(explanation)] == ["same", "shared", "same"]


def test_in_a_container(checked: Checked) -> None:
    """A value of such a type may lie in another one."""
    explanation = checked(
        lambda d: double(d["x"]).data.sum() * d["y"],
        {"x": X, "y": jnp.ones(3)},
        in_axes=({"x": Over("j"), "y": 0},),
    )
    assert [kind for _, kind, _ in kinds(explanation)] == ["same"] * 4


def test_a_loop_over_such_a_type(checked: Checked) -> None:
    """What decides a loop is known where it is not known which array is mapped."""

    def f(x: Named, n: Any) -> Any:
        return jax.lax.while_loop(lambda c: c.sum() < n, lambda c: c + 1, x.data)

    mapped = checked(f, X, jnp.float32(9), in_axes=(Over("i"), None), axis_size=2)
    assert mapped.steps[0].kind == "slowest example"
    shared = checked(
        lambda x, n: jax.lax.while_loop(lambda c: c < n, lambda c: c + 1, n - 3) * x.data,
        *(X, jnp.float32(9)),
        in_axes=(Over("i"), None),
        axis_size=2,
    )
    assert [kind for name, kind, _ in kinds(shared) if name == "while"] == ["shared"]


def test_such_a_type_that_is_shared(checked: Checked) -> None:
    """What is made of it alone is shared."""
    explanation = checked(lambda x, y: jnp.sin(x.data).sum() + y, X, jnp.ones(4), in_axes=(None, 0))
    assert [kind for _, kind, _ in kinds(explanation)] == ["shared", "shared", "same"]


@pytest.mark.parametrize("in_axes", [(0, 0), (0, None), (None, 0)])
def test_a_sparse_matrix(checked: Checked, in_axes: Any) -> None:
    """JAX's own such type: a batch of sparse matrices."""
    dense = jnp.stack([jnp.eye(3), 2 * jnp.eye(3)])
    batch = sparse.BCOO.fromdense(dense, n_batch=1)
    matrix = batch if in_axes[0] == 0 else sparse.BCOO.fromdense(dense[0])
    vector = jnp.ones((2, 3)) if in_axes[1] == 0 else jnp.ones(3)
    explanation = checked(lambda A, x: A @ x, matrix, vector, in_axes=in_axes)
    assert kinds(explanation) == [("bcoo_dot_general", "same", (0,))]


def test_a_sparse_result(checked: Checked) -> None:
    """Such a type may also be what comes out."""
    explanation = checked(
        lambda x: sparse.BCOO.fromdense(x, nse=3) * 2.0, jnp.stack([jnp.eye(3)] * 4)
    )
    assert {kind for _, kind, _ in kinds(explanation)} <= {"same", "shared", "rewritten"}


def test_a_vmapped_vmap(checked: Checked) -> None:
    """Two levels, each over an axis of its own."""
    over: Any = Over("j")
    inner = jax.vmap(double, in_axes=over, out_axes=over, axis_size=3)
    explanation = checked(inner, X, in_axes=Over("i"), out_axes=Over("i"), axis_size=2)
    assert [kind for _, kind, _ in kinds(explanation)] == ["same", "same"]


def test_the_views_show_it() -> None:
    """Text, HTML and data can be made of such an explanation."""
    explanation = vmapguide.explain(double, Over("j"), Over("j"), axis_size=3)(X)
    assert "sin" in str(explanation)
    assert "sin" in explanation._repr_html_()
    assert explanation.to_dict()["complete"] is True
