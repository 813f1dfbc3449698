"""The Pygments lexer for jaxprs."""

import jax
import jax.numpy as jnp
import pygments.lexers
import pytest
from pygments.lexer import Lexer
from pygments.token import Error, Keyword, Name, Text

import vmapguide


def neuron(x: jax.Array) -> jax.Array:
    """Return the sum of a small layer."""
    return jnp.tanh(jnp.ones((2, 5)) @ x).sum()


X = jnp.ones((3, 5))
TEXTS = {
    "jax": lambda: str(jax.make_jaxpr(jax.vmap(neuron))(X)),
    "listing": lambda: str(vmapguide.listing(jax.vmap(neuron))(X)),
    "nested": lambda: str(jax.make_jaxpr(jnp.linalg.solve)(jnp.eye(3), jnp.ones(3))),
    "keys": lambda: str(jax.make_jaxpr(jax.random.normal)(jax.random.key(0))),
}


@pytest.fixture(name="lexer")
def _lexer() -> Lexer:
    return pygments.lexers.get_lexer_by_name("jaxpr")


def test_the_lexer_is_found_by_its_entry_point(lexer: Lexer) -> None:
    """Installed, it is known to Pygments."""
    assert lexer.name == "Jaxpr"


@pytest.mark.parametrize("name", TEXTS)
def test_a_jaxpr_has_no_unknown_text(lexer: Lexer, name: str) -> None:
    """Every character of a jaxpr is understood, and none is lost."""
    text = TEXTS[name]() + "\n"
    tokens = list(lexer.get_tokens(text))
    assert text.strip() == "".join(value for _, value in tokens).strip()
    assert not [value for kind, value in tokens if kind in (Error, Text)]


@pytest.mark.parametrize("name", TEXTS)
def test_primitives_are_the_functions(lexer: Lexer, name: str) -> None:
    """What stands where a primitive stands is marked as one, and nothing else is."""
    names = {value for kind, value in lexer.get_tokens(TEXTS[name]()) if kind is Name.Function}
    known = {"jax": {"dot_general", "tanh", "reduce_sum", "broadcast_in_dim"}}
    known["listing"] = known["jax"]
    known["keys"] = {"jit", "random_bits", "erf_inv", "shift_right_logical"}
    known["nested"] = {"jit", "lu", "custom_linear_solve", "triangular_solve"}
    assert known[name] <= names
    assert not {"lambda", "let", "in", "axes", "a", "b", "f32"} & names


def test_types_are_types(lexer: Lexer) -> None:
    """A type is one token, dimensions and all."""
    tokens = lexer.get_tokens("{ lambda ; k:key<fry>[] x:f32*[2,5] r:Ref{f32[]}. let in () }")
    types = [value for kind, value in tokens if kind is Keyword.Type]
    assert types == ["key<fry>[]", "f32*[2,5]", "Ref{f32[]}"]
