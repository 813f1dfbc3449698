"""`vmapguide.findings`, and `Explanation.raise_if`: findings with limits and codes of one's own."""

import pickle
from typing import Any

import jax.numpy as jnp
import pytest
from jax import lax, random

import vmapguide
from vmapguide import Explanation


X = jnp.array([[1.0, -2.0, 3.0], [0.5, 0.5, -4.0]])
KEY = random.key(0)


def several(x: Any) -> Any:
    """Raise a note and two warnings."""
    x = lax.cond(x[0] > 0, jnp.sin, jnp.cos, x)
    x = lax.while_loop(lambda x: x.sum() < 9, lambda x: x + 1, x)
    return x + random.normal(KEY, x.shape)


@pytest.fixture(scope="module")
def explanation() -> Explanation:
    """Return an explanation with findings."""
    return vmapguide.explain(several)(X)


def codes(explanation: Explanation, **options: Any) -> list[str]:
    """Return the codes of the findings."""
    return [finding.code for finding in vmapguide.findings(explanation, **options)]


class TestCodes:
    """Which findings are returned."""

    def test_all(self, explanation: Explanation) -> None:
        """By default it is what the explanation says."""
        assert vmapguide.findings(explanation) == explanation.findings
        assert sorted(codes(explanation)) == ["VG101", "VG102", "VG501"]

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ({"select": "VG1"}, ["VG102", "VG101"]),
            ({"select": ("VG101", "VG5")}, ["VG501", "VG101"]),
            ({"select": ["VG3"]}, []),
            ({"select": "VG"}, ["VG102", "VG501", "VG101"]),
            ({"ignore": "VG1"}, ["VG501"]),
            ({"ignore": {"VG101": 1, "VG501": 2}.keys()}, ["VG102"]),
            ({"select": "VG1", "ignore": "VG102"}, ["VG101"]),
        ],
        ids=str,
    )
    def test_some(
        self, explanation: Explanation, options: dict[str, Any], expected: list[str]
    ) -> None:
        """Codes are chosen by what they begin with, and stay in their order."""
        assert codes(explanation, **options) == expected


class TestLimits:
    """From where on something is found."""

    def test_a_factor(self, explanation: Explanation) -> None:
        """What is a note with one factor is a warning with another."""
        (note,) = vmapguide.findings(explanation, select="VG101")
        (warning,) = vmapguide.findings(explanation, select="VG101", min_factor=1, min_bytes=0)
        assert (note.severity, warning.severity) == ("note", "warning")

    def test_bytes(self) -> None:
        """A small copy is found by who asks for small ones."""

        def f(w: Any, x: Any) -> Any:
            return 2 * w, x

        explanation = vmapguide.explain(f, in_axes=(None, 0))(jnp.ones(3), jnp.ones(2))
        assert codes(explanation) == []
        assert codes(explanation, min_bytes=0) == codes(explanation, min_bytes=24) == ["VG205"]
        assert codes(explanation, min_bytes=25) == []


class TestWrongCalls:
    """What is said of a call that cannot be."""

    @pytest.mark.parametrize("argument", ["select", "ignore"])
    def test_an_unknown_code(self, explanation: Explanation, argument: str) -> None:
        """The argument is named, and which codes there are."""
        for code in ("VG999", "V", "", "vg101", "cond"):
            message = (
                rf"^findings: {argument} names '{code}', and there is no such code\. .* VG101, "
            )
            with pytest.raises(ValueError, match=message):
                vmapguide.findings(explanation, **{argument: ("VG1", code)})  # type: ignore[arg-type]

    @pytest.mark.parametrize("codes", [5, None, [101], b"VG101"])
    def test_no_code(self, explanation: Explanation, codes: Any) -> None:
        """It is said what codes look like."""
        with pytest.raises(TypeError, match=r'^findings: select must be codes, such as "VG101" or'):
            vmapguide.findings(explanation, select=codes)

    @pytest.mark.parametrize("name", ["min_bytes", "min_factor"])
    def test_a_limit(self, explanation: Explanation, name: str) -> None:
        """A limit is a number, and not negative."""
        with pytest.raises(ValueError, match=rf"^findings: {name} must be a .* but is -1\.$"):
            vmapguide.findings(explanation, **{name: -1})  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=rf"^findings: {name} must be a .* but is '1 MiB'\.$"):
            vmapguide.findings(explanation, **{name: "1 MiB"})  # type: ignore[arg-type]

    def test_no_explanation(self) -> None:
        """It is said what to pass."""
        right = r"Pass what explain returns: findings\(explain\(f\)\(x\)\)\.$"
        listing = vmapguide.listing(several)(X[0])
        wrong: dict[str, Any] = {"a function": several, "int": 3, "Listing": listing}
        for what, value in wrong.items():
            with pytest.raises(TypeError, match=rf"^findings: the first .* is {what}.*{right}"):
                vmapguide.findings(value)
        waiting: Any = vmapguide.explain(several)
        with pytest.raises(TypeError, match=r"is explain\(several\), which has not been"):
            vmapguide.findings(waiting)


class TestPickled:
    """An explanation that comes from another process."""

    def test_it_keeps_its_findings(self, explanation: Explanation) -> None:
        """They are the same, and are chosen by their codes."""
        kept: Explanation = pickle.loads(pickle.dumps(explanation))  # noqa: S301
        assert kept.findings == explanation.findings
        assert codes(kept, select="VG5") == ["VG501"]
        with pytest.raises(AssertionError, match="VG501"):
            kept.raise_if()

    def test_it_has_no_others(self, explanation: Explanation) -> None:
        """Other limits need the program, which is not there any more."""
        kept = pickle.loads(pickle.dumps(explanation))  # noqa: S301
        with pytest.raises(ValueError, match=r"^findings: .* pickled .* explain the call anew\.$"):
            vmapguide.findings(kept, min_bytes=1)


class TestRaiseIf:
    """A test in one line."""

    def test_any_warning(self, explanation: Explanation) -> None:
        """Without codes every warning raises, and no note."""
        with pytest.raises(AssertionError) as error:
            explanation.raise_if()
        text = str(error.value)
        assert text.startswith("vmap(several)\n")
        assert ("VG102" in text, "VG501" in text, "VG101" in text) == (True, True, False)

        def notes(x: Any) -> Any:
            return lax.cond(x[0] > 0, jnp.sin, jnp.cos, x)

        vmapguide.explain(notes)(X).raise_if()

    def test_codes(self, explanation: Explanation) -> None:
        """With codes, what begins so raises, notes too, with the line and what to do."""
        explanation.raise_if("VG103", "VG502")
        with pytest.raises(AssertionError) as error:
            explanation.raise_if("VG103", "VG101")
        (finding,) = vmapguide.findings(explanation, select="VG101")
        assert finding.source is not None
        text = " ".join(str(error.value).split())
        assert f"VG101 line {finding.source.line}: {finding.message} → {finding.remedy}" in text
        assert "VG102" not in text

    def test_an_unknown_code(self, explanation: Explanation) -> None:
        """A code that is misspelt is no test that passes."""
        with pytest.raises(ValueError, match=r"^raise_if: codes names 'VG99', and there is"):
            explanation.raise_if("VG1", "VG99")
        codes: Any = ("VG1", "VG5")
        with pytest.raises(TypeError, match=r"^raise_if: codes must be codes"):
            explanation.raise_if(codes)
