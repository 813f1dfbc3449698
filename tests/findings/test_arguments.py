"""The rules about arguments: relatives of their cases, and what must not fire."""

from typing import Any

import jax
import jax.numpy as jnp
import pytest
from finding_cases.arguments import PLACES, TABLE, layer, reads, scale
from finding_cases.memory import of
from jax import lax

import vmapguide
from vmapguide import Explanation, Finding


def findings(explanation: Explanation, code: str) -> list[Finding]:
    """Return what a rule found."""
    return [finding for finding in explanation.findings if finding.code == code]


# -- Parameters that are mapped ----------------------------------------------


def test_parameters_that_are_mapped_unnoticed() -> None:
    """The result is another one than that of the layer, and no error tells."""
    W, X = jnp.arange(9.0).reshape(3, 3), jnp.ones((3, 3))  # noqa: N806
    (finding,) = findings(vmapguide.explain(layer)(W, X), "VG601")
    assert finding.severity == "note"
    assert jax.vmap(layer)(W, X).shape == (3,)
    assert jax.vmap(layer, in_axes=(None, 0))(W, X).shape == (3, 3)


def test_parameters_in_a_pytree() -> None:
    """A matrix of which each example gets a row, and a vector of which it gets a number."""

    def mlp(params: Any, x: jax.Array) -> Any:
        for w, b in params:
            x = jnp.tanh(w @ x + b)
        return x

    params = [(of(8, 8), of(8)), (of(8, 8), of(8))]
    (finding,) = findings(vmapguide.explain(mlp)(params[:1], of(8, 8)), "VG601")
    assert "`params`" in finding.message
    assert findings(vmapguide.explain(mlp, in_axes=(None, 0))(params[:1], of(8, 8)), "VG601") == []


def test_an_ensemble() -> None:
    """Parameters with an axis of models are mapped on purpose, and their shapes tell."""

    def model(params: Any, x: jax.Array) -> Any:
        return jnp.tanh(params["W"] @ x + params["b"])

    params = {"W": of(8, 4, 3), "b": of(8, 4)}
    assert findings(vmapguide.explain(model)(params, of(8, 3)), "VG601") == []
    # Even if their number happens to be that of the features.
    params = {"W": of(8, 8, 8), "b": of(8, 8)}
    assert findings(vmapguide.explain(model)(params, of(8, 8)), "VG601") == []


QUIET = {
    "another name": lambda v, x: v @ x,
    "data alone": lambda W: W.sum(),
    "parameters alone": lambda W, A: W @ A,
}


@pytest.mark.parametrize("f", QUIET.values(), ids=QUIET)
def test_what_is_not_known_to_be_parameters(f: Any) -> None:
    """A name, and a name beside which there is data, are needed."""
    types = [of(5, 5)] * f.__code__.co_argcount
    assert findings(vmapguide.explain(f)(*types), "VG601") == []


def test_axes_that_are_spelled_out() -> None:
    """Somebody who writes an entry for each argument has thought of it."""
    assert findings(vmapguide.explain(layer, in_axes=(0, 0))(of(5, 5), of(5, 5)), "VG601") == []


def test_shapes_that_tell() -> None:
    """A row for each example that has another size than the batch looks like data, and may be."""
    assert findings(vmapguide.explain(layer)(of(5, 3), of(5, 3)), "VG601") == []
    assert findings(vmapguide.explain(layer)(of(1, 1), of(1, 1)), "VG601") == []


def test_a_comment_leaves_it_out() -> None:
    """It is at the line that reads the parameters first."""
    (finding,) = findings(vmapguide.explain(layer)(of(5, 5), of(5, 5)), "VG601")
    assert finding.source is not None
    assert finding.source.expression == "W @ x"


# -- Axes that a square hides --------------------------------------------------


def test_a_square_may_be_mapped_over_either_axis() -> None:
    """Both calls run, and what they return differs."""
    X = jnp.arange(9.0).reshape(3, 3)  # noqa: N806
    two = jnp.asarray(2.0)
    (finding,) = findings(vmapguide.explain(scale, in_axes=(1, None))(X, two), "VG602")
    assert (finding.severity, finding.facts["axis"], finding.facts["other"]) == ("note", 1, 0)
    either = [jax.vmap(scale, in_axes=(axis, None))(X, two) for axis in (0, 1)]
    assert either[0].shape == either[1].shape
    assert not jnp.allclose(*either)


@pytest.mark.parametrize(
    ("shape", "axis", "found"),
    [
        ((4, 4), 1, ["VG602"]),
        ((4, 4), -1, ["VG602"]),
        ((4, 4), -2, []),  # The first one, as by default.
        ((4, 4), 0, []),
        ((4, 3), 0, []),
        ((3, 4), 1, []),
        ((3, 4, 4), 2, ["VG602"]),
        ((4, 3, 4), 2, ["VG602"]),
        ((3, 4, 3), 1, []),
        ((1, 1), 1, []),
    ],
)
def test_which_squares(shape: tuple[int, ...], axis: int, found: list[str]) -> None:
    """It is about an axis that was chosen, and about another one of that size."""
    explanation = vmapguide.explain(scale, in_axes=(axis, None))(of(*shape), of())
    assert [f.code for f in explanation.findings if f.code == "VG602"] == found


def test_another_argument_tells() -> None:
    """A number for all arguments would be refused for the one that is no square."""
    explain = vmapguide.explain(lambda x, y: x.sum() + y.sum(), in_axes=1)
    assert findings(explain(of(5, 5), of(3, 5)), "VG602") == []
    assert findings(explain(of(5, 5), of(5, 5)), "VG602") != []
    spelled = vmapguide.explain(lambda x, y: x.sum() + y.sum(), in_axes=(1, 1))
    assert len(findings(spelled(of(5, 5), of(3, 5)), "VG602")) == 1


def test_an_axis_that_a_library_has_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its user has not chosen it, and cannot change it. A function of JAX's has no such lines."""
    explanation = vmapguide.explain(scale, in_axes=(1, None))(of(5, 5), of())
    monkeypatch.setattr("vmapguide._rules.arguments.is_library", lambda _: True)
    assert findings(explanation, "VG602") == []
    norm = vmapguide.explain(jnp.linalg.norm, in_axes=1)(of(5, 5))
    assert len(findings(norm, "VG602")) == 1


def test_leaves_of_one_argument_are_one_finding() -> None:
    """The first of them is named."""
    tree = {"a": of(5, 5), "b": of(5, 5)}
    explain = vmapguide.explain(lambda t: t["a"].sum() + t["b"].sum(), in_axes=({"a": 1, "b": 1},))
    (finding,) = findings(explain(tree), "VG602")
    assert "`t['a']`" in finding.message


# -- There and back ----------------------------------------------------------


def test_there_and_back_is_one_finding() -> None:
    """What is moved both ways is not said to be moved one way as well."""
    explanation = vmapguide.explain(reads, in_axes=(1, 0), out_axes=1)(TABLE, PLACES)
    (finding,) = [f for f in explanation.findings if f.code in ("VG204", "VG603")]
    assert finding.code == "VG603"
    assert finding.bytes == (1000 * 500 + 500 * 200) * 4
    assert "`table`" in finding.message


def test_there_alone_is_another_rules() -> None:
    """An argument that is moved to the front, and stays there, needs another place in `in_axes`."""
    explanation = vmapguide.explain(reads, in_axes=(1, 0))(TABLE, PLACES)
    assert [f.code for f in explanation.findings if f.code[2] in "26"] == ["VG204"]


def test_axes_that_stay_where_they_are() -> None:
    """Operations on elements, products and reductions need no axis first."""
    big = of(64, 2048)
    for f in (jnp.sin, lambda x: x - x.mean(), jnp.cumsum):
        explanation = vmapguide.explain(f, in_axes=1, out_axes=1)(big)
        assert findings(explanation, "VG603") == []


def test_small_arrays_may_be_moved() -> None:
    """What is below the limit is passed over."""
    small = of(10, 50), of(50, 20, dtype=jnp.int32)
    explanation = vmapguide.explain(reads, in_axes=(1, 0), out_axes=1)(*small)
    assert findings(explanation, "VG603") == []


def test_an_inner_vmap_moves_its_own_axes() -> None:
    """What the function itself transposes is its own affair."""

    def f(x: jax.Array) -> Any:
        return jax.vmap(lax.sort, in_axes=1, out_axes=1)(x.T).T

    assert findings(vmapguide.explain(f)(of(32, 64, 64)), "VG603") == []
