"""What `check`, `compare` and `benchmark` mean by "the same numbers"."""

import json
import math
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from vmapguide import LeafResult
from vmapguide._measure.agreement import compare_leaves, compare_trees
from vmapguide._show.agreement import number, summary


EPSILON = 2.0**-23  # Of float32.


def compared(expected: Any, actual: Any, **tolerances: float) -> LeafResult:
    """Compare two leaves without a path."""
    return compare_leaves("", expected, actual, **tolerances)


# Values that are the same, by default.
SAME: dict[str, tuple[Any, Any]] = {
    "equal": (jnp.arange(3.0), jnp.arange(3.0)),
    "NaN": (jnp.array([jnp.nan, 1.0]), jnp.array([jnp.nan, 1.0])),
    "infinity": (jnp.array([jnp.inf, -jnp.inf]), jnp.array([jnp.inf, -jnp.inf])),
    "negative zero": (jnp.float32(0.0), jnp.float32(-0.0)),
    "half of the digits": (jnp.float32(1.0), jnp.float32(1.0 + 0.9 * EPSILON**0.5)),
    "a few units of the largest": (jnp.array([1e6, 0.0]), jnp.array([1e6, 1e6 * 9 * EPSILON])),
    "bfloat16": (jnp.ones(2, jnp.bfloat16), jnp.ones(2, jnp.bfloat16) * 1.01),
    "float16": (jnp.ones(2, jnp.float16), jnp.ones(2, jnp.float16) * 1.01),
    "complex": (jnp.array([1 + 1j]), jnp.array([1 + 1j])),
    "complex, nearly": (jnp.array([1 + 1j]), jnp.array([1 + (1 + 1e-4) * 1j])),
    "complex NaN": (jnp.array([jnp.nan * 1j]), jnp.array([jnp.nan * 1j])),
    "integers": (jnp.arange(3), jnp.arange(3)),
    "booleans": (jnp.array([True, False]), jnp.array([True, False])),
    "keys": (jax.random.key(3), jax.random.key(3)),
    "NumPy and JAX": (np.ones(2, np.float32), jnp.ones(2)),
    "nothing": (jnp.zeros((0, 3)), jnp.zeros((0, 3))),
    "numbers of Python": (1.5, 1.5),
}

# Values that are not, and the largest difference.
DIFFERENT: dict[str, tuple[Any, Any, float]] = {
    "beyond half of the digits": (jnp.float32(1.0), jnp.float32(1.0 + 2.0**-11), 2.0**-11),
    "NaN and a number": (jnp.float32(jnp.nan), jnp.float32(1.0), math.inf),
    "a number and NaN": (jnp.float32(1.0), jnp.float32(jnp.nan), math.inf),
    "a number and infinity": (jnp.float32(1.0), jnp.float32(jnp.inf), math.inf),
    "NaN and infinity": (jnp.float32(jnp.nan), jnp.float32(jnp.inf), math.inf),
    "complex NaN": (jnp.array(1 + 1j), jnp.array(jnp.nan * 1j), math.inf),
    "bfloat16": (jnp.ones(1, jnp.bfloat16), jnp.ones(1, jnp.bfloat16) * 1.5, 0.5),
    # 60,000 is 1,875 * 2**5, a float16; the difference overflows in float16, and not here.
    "float16 that overflows": (jnp.float16(-60000), jnp.float16(60000), 120000.0),
    "beyond a few units of the largest": (
        jnp.array([1e6, 0.0]),
        jnp.array([1e6, 1e6 * 11 * EPSILON]),
        1e6 * 11 * EPSILON,
    ),
    "infinity and a number": (jnp.float32(jnp.inf), jnp.float32(1.0), math.inf),
    "two infinities": (jnp.float32(jnp.inf), jnp.float32(-jnp.inf), math.inf),
    "small beside infinity": (jnp.array([jnp.inf, 1.0]), jnp.array([jnp.inf, 1.5]), 0.5),
    "integers": (jnp.array([5, 7]), jnp.array([5, 4]), 3.0),
    "large integers": (np.int32(2**30), np.int32(2**30 + 1), 1.0),
    "unsigned": (jnp.uint8(0), jnp.uint8(255), 255.0),
    "integers that are the same float": (np.int64(2**53), np.int64(2**53 + 1), 1.0),
    "booleans": (jnp.array(True), jnp.array(False), 1.0),
    # The two words of a key are its seed's upper and lower half.
    "keys": (jax.random.key(3), jax.random.key(5), 2.0),
    "imaginary part": (jnp.array(1 + 1j), jnp.array(1 - 2j), 3.0),
}


class TestSame:
    """Within the tolerances, values are the same."""

    @pytest.mark.parametrize("case", SAME)
    def test_the_same(self, case: str) -> None:
        """No value counts as different."""
        leaf = compared(*SAME[case])
        assert leaf.same
        assert leaf.count == 0

    @pytest.mark.parametrize("case", DIFFERENT)
    def test_different(self, case: str) -> None:
        """One value differs, and by how much is said."""
        expected, actual, difference = DIFFERENT[case]
        leaf = compared(expected, actual)
        assert not leaf.same
        assert not leaf.identical
        assert leaf.count == 1
        assert leaf.difference == pytest.approx(difference, rel=1e-6)

    def test_identical_is_more_than_the_same(self) -> None:
        """A difference within the tolerance is one all the same."""
        leaf = compared(jnp.float32(1.0), jnp.float32(1.0 + EPSILON))
        assert leaf.same
        assert not leaf.identical
        assert leaf.difference == EPSILON

    def test_where_nothing_differs_there_is_no_worst(self) -> None:
        """And where it does within the tolerance, it is the largest difference."""
        leaf = compared(jnp.ones(3), jnp.ones(3))
        assert (leaf.index, leaf.expected, leaf.actual, leaf.difference) == (None, None, None, 0)
        leaf = compared(jnp.ones(3), jnp.array([1, 1 + 2 * EPSILON, 1 + EPSILON]))
        assert leaf.same
        assert (leaf.index, leaf.expected, leaf.actual) == ((1,), 1.0, 1 + 2 * EPSILON)

    def test_only_what_is_beyond_counts(self) -> None:
        """Of 4 values that differ, 2 do so by more than 0.5."""
        leaf = compared(jnp.zeros(5), jnp.array([0, 0.5, -0.25, 0.75, -2]), rtol=0.0, atol=0.5)
        assert (leaf.count, leaf.size, leaf.index, leaf.difference) == (2, 5, (4,), 2.0)

    def test_the_tolerance_is_that_of_what_was_expected(self) -> None:
        """A tenth of 10 is 1; a tenth of 11 would be more."""
        assert not compared(jnp.float32(10), jnp.float32(11.05), rtol=0.1, atol=0.0).same
        assert compared(jnp.float32(11.05), jnp.float32(10), rtol=0.1, atol=0.0).same

    def test_infinity_allows_for_nothing(self) -> None:
        """Neither beside it nor in its own place."""
        leaf = compared(jnp.array([jnp.inf, 0.0]), jnp.array([-jnp.inf, 1.0]), rtol=1e-3)
        assert leaf.count == 2
        assert math.isfinite(leaf.atol)

    def test_tolerances_that_are_given(self) -> None:
        """They are used instead of those of the dtype, each on its own."""
        pair = jnp.float32(8.0), jnp.float32(9.0)
        assert compared(*pair, rtol=0.125, atol=0.0).same
        assert not compared(*pair, rtol=0.124, atol=0.0).same
        assert compared(*pair, rtol=0.0, atol=1.0).same
        assert not compared(*pair, rtol=0.0, atol=0.99).same

    def test_integers_know_no_tolerance(self) -> None:
        """An index that is off by one is off."""
        assert not compared(jnp.int32(8), jnp.int32(9), rtol=1.0, atol=5.0).same

    def test_default_tolerances(self) -> None:
        """They are those that the documentation states."""
        leaf = compared(jnp.array([2.0, -4.0]), jnp.zeros(2))
        assert leaf.rtol == EPSILON**0.5
        assert leaf.atol == 10 * EPSILON * 4
        half = compared(jnp.ones(1, jnp.float16), jnp.ones(1, jnp.float16))
        assert half.rtol == (2.0**-10) ** 0.5
        assert compared(np.ones(1, ml_dtypes.bfloat16), np.ones(1, ml_dtypes.bfloat16)).same

    def test_the_worst_is_furthest_beyond_its_tolerance(self) -> None:
        """A large value may differ by more than a small one and be less wrong."""
        expected = jnp.array([[1e6, 1.0], [1.0, 1.0]])
        leaf = compared(expected, expected + jnp.array([[1.5, 0.0], [0.0, 1.0]]), rtol=1e-5, atol=0)
        assert leaf.difference == 1.5
        assert (leaf.index, leaf.expected, leaf.actual) == ((1, 1), 1.0, 2.0)
        assert leaf.count == 1

    @pytest.mark.parametrize(
        "other",
        [
            jnp.ones(4),
            jnp.ones((1, 3)),
            jnp.ones(3, jnp.int32),
            jnp.ones(3, jnp.float16),
            jnp.ones(3, bool),
            jax.random.split(jax.random.key(0), 3),
            1.0,
        ],
        ids=lambda value: f"{jnp.asarray(value).dtype}{jnp.shape(value)}",
    )
    def test_types_come_first(self, other: jax.Array) -> None:
        """Where types differ, values are not compared: broadcasting would hide it."""
        leaf = compared(jnp.ones(3), other)
        assert not leaf.same
        assert leaf.difference is None
        assert leaf.index is None
        assert leaf.expected_type == "float32[3]"
        assert leaf.actual_type != "float32[3]"
        assert (leaf.count, leaf.size) == (3, 3)

    def test_keys_of_another_kind_are_another_type(self) -> None:
        """Their words are not compared."""
        leaf = compared(jax.random.key(0), jax.random.key(0, impl="rbg"))
        assert (leaf.expected_type, leaf.actual_type) == ("key<fry>[]", "key<rbg>[]")
        assert not leaf.same


class TestTrees:
    """Leaves have paths."""

    def test_paths(self) -> None:
        """They are those of JAX."""
        one: dict[str, Any] = {"a": [jnp.ones(2), 1.0], "b": None}
        other: dict[str, Any] = {"a": [jnp.ones(2), 2.0], "b": None}
        leaves = compare_trees(one, other)
        assert [(leaf.path, leaf.same) for leaf in leaves] == [
            ("['a'][0]", True),
            ("['a'][1]", False),
        ]

    def test_tolerances_are_for_all_leaves(self) -> None:
        """They are passed on."""
        one, other = {"a": jnp.ones(1), "b": jnp.ones(1)}, {"a": jnp.ones(1), "b": jnp.ones(1) + 1}
        assert [leaf.same for leaf in compare_trees(one, other, atol=1.0)] == [True, True]
        assert [leaf.rtol for leaf in compare_trees(one, other, rtol=0.25)] == [0.25, 0.25]

    def test_one_array_has_no_path(self) -> None:
        """It is the whole result."""
        (leaf,) = compare_trees(jnp.ones(2), jnp.ones(2))
        assert leaf.path == ""


class TestSummary:
    """A sentence about how results compare."""

    def test_equal(self) -> None:
        """Nothing differs."""
        assert summary((compared(1.0, 1.0),)) == "every value is equal"

    def test_close(self) -> None:
        """By how much, if it is within the tolerance."""
        leaf = compared(jnp.float32(1), jnp.float32(1 + EPSILON))
        assert summary((leaf,)) == "the largest difference is 1.2e-07"

    def test_different(self) -> None:
        """Leaf, count, place and values; the first index may have a name."""
        leaf = compare_leaves("['a']", jnp.zeros((2, 3)), jnp.zeros((2, 3)).at[1, 2].set(0.5))
        rest = "1 of 6 values differ, the most at"
        assert summary((leaf,)) == f"['a']: {rest} element (1, 2): 0.5 and not 0"
        assert summary((leaf,), "example") == f"['a']: {rest} example 1, element 2: 0.5 and not 0"

    def test_a_number(self) -> None:
        """It has no place."""
        text = summary((compared(jnp.float32(1), jnp.float32(2)),), "example")
        assert text == "1 of 1 values differ, the most: 2 and not 1"

    def test_several(self) -> None:
        """One clause for each leaf that differs; those that do not are left out."""
        one = {"a": jnp.zeros(2), "b": jnp.zeros(2), "c": jnp.zeros(2)}
        other = {"a": jnp.zeros(2) + 1, "b": jnp.zeros(2), "c": jnp.zeros(3)}
        assert summary(compare_trees(one, other)) == (
            "['a']: 2 of 2 values differ, the most at element 0: 1 and not 0; "
            "['c']: float32[3] and not float32[2]"
        )

    def test_numbers(self) -> None:
        """Integers have all their digits, others seven, and thousands have commas."""
        one = jnp.zeros(1234, jnp.int32)
        text = summary((compared(one, one + 123456789),))
        assert text.startswith("1,234 of 1,234 values differ")
        assert text.endswith("element 0: 123456789 and not 0")
        assert [number(value) for value in (1 / 3, 1e-9, math.nan, True, 2**40)] == [
            "0.3333333",
            "1e-09",
            "nan",
            "True",
            "1099511627776",
        ]
        assert number(1 / 3 + 1j) == "0.3333333+1j"

    def test_types(self) -> None:
        """What there is, and what was expected."""
        text = summary((compared(jnp.ones(2), jnp.ones(3)),))
        assert text == "float32[3] and not float32[2]"


@pytest.mark.parametrize(
    "pair",
    [(jnp.nan, 1.0), (1.0, jnp.inf), (1 + 1j, 2.0 + 1j), (1, 2), (True, False)],
    ids=str,
)
def test_plain_data(pair: tuple[Any, Any]) -> None:
    """JSON knows neither NaN nor complex numbers; they are text."""
    assert json.loads(json.dumps(compared(*pair).to_dict(), allow_nan=False))["same"] is False


def test_plain_data_keeps_the_fields() -> None:
    """Numbers stay numbers; a tolerance without an end is text, too."""
    data = compared(jnp.zeros(2), jnp.array([0.0, 0.5]), atol=math.inf, rtol=0.25).to_dict()
    assert json.loads(json.dumps(data, allow_nan=False)) == {
        "path": "",
        "expected_type": "float32[2]",
        "actual_type": "float32[2]",
        "rtol": 0.25,
        "atol": "inf",
        "same": True,
        "identical": False,
        "count": 0,
        "size": 2,
        "difference": 0.5,
        "index": [1],
        "expected": 0.0,
        "actual": 0.5,
    }
