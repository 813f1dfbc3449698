"""Results go through pickle: what they show is kept, and of jaxprs the text."""

import copy
import json
import pickle
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from jax import lax

import vmapguide


X = jnp.arange(1.0, 16.0).reshape(3, 5)


def program(x: jax.Array) -> Any:
    """Use a library, a loop that each example decides, and a branch."""
    x = lax.while_loop(lambda x: x.sum() > 1, lambda x: x / 2, x)
    return lax.cond(x.sum() > 0, jnp.sin, jnp.cos, jax.nn.softmax(x)).sum()


def through_pickle(value: Any) -> Any:
    """Return what comes of a value that is pickled, twice."""
    for _ in range(2):
        value = pickle.loads(pickle.dumps(value))  # noqa: S301 - its own.
    return value


def test_an_explanation() -> None:
    """All that it shows and says, and the steps with their kinds."""
    explanation = vmapguide.explain(program)(X)
    again = through_pickle(explanation)
    assert str(again) == str(explanation)
    assert again._repr_html_() == explanation._repr_html_()
    assert again.as_text(80, library=True) == explanation.as_text(80, library=True)
    assert json.dumps(again.to_dict()) == json.dumps(explanation.to_dict())
    assert (again.kinds, again.summary) == (explanation.kinds, explanation.summary)
    (step,) = again.find(primitive="while")
    assert (step.kind, again.batch_size, again.complete) == ("slowest example", 3, True)


def test_a_listing() -> None:
    """Its text, and how often each primitive occurs."""
    listing = vmapguide.listing(program)(X[0])
    again = through_pickle(listing)
    assert str(again) == str(listing)
    assert again.primitives == listing.primitives
    assert again.to_dict() == listing.to_dict()


def test_a_comparison() -> None:
    """Its answers, and the programs side by side."""
    comparison = vmapguide.compare(jax.vmap(program), by_hand=lambda X: jnp.sin(X).sum(1))(X)
    again = through_pickle(comparison)
    assert str(again) == str(comparison)
    assert again._repr_html_() == comparison._repr_html_()
    assert again.to_dict() == comparison.to_dict()
    assert again.same_program is comparison.same_program is False


@pytest.mark.parametrize(
    "get", [lambda e: e.batched, lambda e: e.steps[0].equation], ids=["jaxpr", "equation"]
)
def test_a_jaxpr_is_its_text(get: Any) -> None:
    """Who asks for more is told why there is no more, and what to do."""
    explanation = vmapguide.explain(program)(X)
    text = get(through_pickle(explanation))
    assert str(text) == str(get(explanation))
    with pytest.raises(AttributeError, match=r"invars: JAX cannot pickle .* Make the result anew"):
        _ = text.invars


def test_a_copy_is_the_result_itself() -> None:
    """Nothing in a result can be changed, so a deep copy keeps the jaxprs."""
    explanation = vmapguide.explain(program)(X)
    assert copy.deepcopy(explanation) is explanation
    assert copy.deepcopy([explanation])[0].batched is explanation.batched
