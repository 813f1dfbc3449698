"""The two printers: what the HTML of a listing holds, and that it escapes what users name."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from hostile_names import HOSTILE, assert_is_text
from markup_tree import Tree

import vmapguide
from vmapguide._data import Equation, Literal, Param, Program, Type, Variable
from vmapguide._show.explanation_text import coloured
from vmapguide._show.listing import listing_html, listing_text
from vmapguide._show.tokens import layout


F32 = Type("f32", (2,))


def test_html_says_what_the_text_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """The two printers print one layout: unfolded, they hold the same words."""
    monkeypatch.setenv("COLUMNS", "10000")
    listing = vmapguide.listing(jnp.linalg.solve, fold=False, shorten=False)(
        jnp.eye(3), jnp.ones(3)
    )
    assert str(listing).split() == Tree(listing._repr_html_()).text.split()


def test_copied_html_keeps_lines_and_indentation() -> None:
    """The text of the HTML view is the listing, line by line."""
    listing = vmapguide.listing(jax.vmap(lambda x: x.sum()))(jnp.ones((3, 5)))
    assert str(listing) == Tree(listing._repr_html_()).text.rstrip("\n")


def test_folded_calls_open_without_a_script() -> None:
    """A folded call is a `<details>` that holds what the call does."""
    listing = vmapguide.listing(lambda x: jnp.where(x > 0, x, 0.0))(jnp.ones(3))
    tree = Tree(listing._repr_html_())
    assert "select_n" not in str(listing)
    assert "select_n" in tree.text
    assert (tree.counts["details"], tree.counts["summary"]) == (1, 1)
    assert "script" not in tree.counts


def test_shortened_parameters_keep_their_full_text() -> None:
    """A long parameter is a `<details>` too."""
    listing = vmapguide.listing(lambda x: x[jnp.array([1])])(jnp.ones(3))
    assert "start_index_map" not in str(listing)
    assert "start_index_map=(0,)" in Tree(listing._repr_html_()).text


@pytest.mark.parametrize("evil", HOSTILE)
def test_everything_named_by_a_user_is_escaped(evil: str) -> None:
    """Function names, parameter texts and variable names cannot break out of the page."""
    program = Program(
        name=evil,
        constants=(),
        arguments=(Variable(evil, F32),),
        equations=(
            Equation(
                primitive=evil,
                params=(Param(evil, evil), Param("long", evil * 12)),
                inputs=(Literal(evil), Variable(evil, F32)),
                outputs=(Variable(evil, Type(evil, ("B", evil))),),
            ),
        ),
        results=(Variable(evil, F32),),
    )
    source = listing_html(layout(program), label=evil)
    assert_is_text(evil, source)
    tree = Tree(source)
    assert {"style", "div", "span", "details", "summary"} == tree.counts.keys()
    assert evil in tree.text
    assert any(evil in label for label in tree.values("aria-label"))


@pytest.mark.parametrize("evil", HOSTILE)
def test_names_from_python_are_escaped(evil: str) -> None:
    """The name of a function that is called reaches the page as text, in the call's parameters."""

    def called(x: jax.Array) -> jax.Array:
        return x + 1

    called.__name__ = evil
    assert_is_text(evil, vmapguide.listing(jax.jit(called))(jnp.ones(2)).as_html())


def test_named_axes_are_marked() -> None:
    """An axis with a name has its own kind of token; the rest of the type has not."""
    program = Program("f", (), (Variable("x", Type("f32", (2, "B"))),), (), ())
    lines = layout(program)
    assert listing_text(lines, 80) == "{ lambda ; x:f32[2,B]. let\n  in () }"
    assert re.findall(r'class="vg-axis vg-axis-B">(\w+)<', listing_html(lines, "f")) == ["B"]


def test_a_shared_program_is_named_the_second_time() -> None:
    """What has been written out above is not written again."""
    inner = Program("inner", (), (Variable("y", F32),), (), ())
    call = Equation("jit", (Param("jaxpr", programs=(inner,)),), (), ())
    outer = Program("outer", (), (), (call, call), ())
    text = listing_text(layout(outer), 80)
    assert text.count("lambda ; y") == 1
    assert text.count("{ as above: inner }") == 1


def test_a_line_of_many_equations_is_folded() -> None:
    """After a dozen equations of one line the rest opens on demand, and none is lost."""

    def f(x: jax.Array) -> Any:
        return sum(jnp.sin(x * i) for i in range(20))

    explanation = vmapguide.explain(f)(jnp.ones((3, 4)))
    made = len(explanation.steps)
    source = explanation.as_html(view="equations")
    assert source.count('class="vg-inner"') == made - 12
    assert f"{made - 12} more equations" in source
    assert f"{made - 12} more equations" in explanation.as_text(view="equations")
    assert Tree(source).text.count(" = sin ") == 2 * 20


def test_lines_of_code_are_bold_and_numbers_in_equations_are_not() -> None:
    """On a terminal a line of code stands out, whether or not its number fills the margin."""
    text = "9   x = f(\n10  y)\n 9  z\n    a:f32[B] = while[…] b c\n      0   d:f32[B] = e"
    bold = [line for line in coloured(text).split("\n") if line.startswith("\x1b[1m")]
    assert [re.sub(r"\x1b\[\d+m", "", line) for line in bold] == ["9   x = f(", "10  y)", " 9  z"]
