"""Reading jaxprs, swept over functions that nobody here wrote.

JAX's wheel carries a list of calls that exercises its primitives. One call of each group is listed,
printed and lexed: nothing may raise, no equation may be lost, no name may be used twice.
"""

import json
import re
from typing import Any

import jax
import numpy as np
import pytest
from jax._src.internal_test_util import test_harnesses

import vmapguide
from vmapguide.lexer import JaxprLexer


def one_of_each_group() -> dict[str, Any]:
    """Return one harness a group, by group."""
    return {harness.group_name: harness for harness in test_harnesses.all_harnesses}


HARNESSES = one_of_each_group()


def count_equations(program: dict[str, Any]) -> int:
    """Count the equations of a program read from a jaxpr, nested ones included."""
    return sum(
        1 + sum(count_equations(inner) for p in eqn["params"] for inner in p["programs"])
        for eqn in program["equations"]
    )


@pytest.mark.parametrize("group", HARNESSES)
def test_listing_of_jaxs_own_test_calls(group: str) -> None:
    """A listing of any primitive is complete, printable, lexable and serialisable."""
    harness = HARNESSES[group]
    arguments = harness.dyn_args_maker(np.random.RandomState(0))
    listing = vmapguide.listing(harness.dyn_fun, fold=False)(*arguments)
    data: Any = listing.to_dict()["program"]
    assert sum(listing.primitives.values()) == count_equations(data)
    names = re.findall(r"([a-z]+):[a-z]\w*\*?\[", "".join(str(listing).split("=")))
    assert names or not listing.jaxpr.eqns
    assert "\x1b" not in str(listing)
    assert "0x" not in str(listing)
    json.dumps(data)
    assert listing._repr_html_().count("<div") == listing._repr_html_().count("</div")
    lexed = "".join(value for _, value in JaxprLexer(stripnl=False).get_tokens(str(listing)))
    assert str(listing) + "\n" == lexed


def test_the_sweep_is_wide() -> None:
    """If JAX moves its list, this says so rather than test nothing."""
    assert len(HARNESSES) > 120


def test_every_variable_is_defined_once() -> None:
    """In one jaxpr, a name stands for one variable."""

    def f(a: jax.Array, b: jax.Array) -> Any:
        return jax.lax.scan(lambda c, d: (c * a, d + b), a, jax.numpy.ones(3))

    text = str(vmapguide.listing(f)(1.0, 2.0))
    definitions = re.findall(r"(\w+):", text)
    assert len(definitions) == len(set(definitions))
