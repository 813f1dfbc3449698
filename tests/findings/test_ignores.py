"""Comments that leave findings out: where they may stand, what they say, and which do nothing."""

import linecache
import re
import textwrap
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import pytest

import vmapguide
from vmapguide import Explanation, Finding
from vmapguide._cli.inputs import load


X = jnp.array([[1.0, -2.0, 3.0], [0.5, 0.5, -4.0]])

ONE_LINE = """
from jax import lax
import jax.numpy as jnp


def f(x):
    return lax.cond(x[0] > 0, jnp.sin, jnp.cos, x){}
"""


def explained(text: str, file: Path) -> Explanation:
    """Explain a function `f` of a file that says this."""
    file.write_text(text, "utf-8", newline="")
    return vmapguide.explain(load(f"{file}:f"))(X)


def codes(explanation: Explanation) -> list[str]:
    """Return the codes of what is found."""
    return [finding.code for finding in explanation.findings]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return where a module may be."""
    return tmp_path / f"model_{tmp_path.name}.py"


class TestWhatItSays:
    """The words of the comment."""

    @pytest.mark.parametrize(
        "comment",
        [
            "# vmapguide: ignore[VG101]",
            "# vmapguide: ignore[VG1]",
            "# vmapguide: ignore[VG]",
            "# vmapguide: ignore[VG501, VG101]",
            "#vmapguide:ignore [ VG101 ,]",
            "# noqa: E501  # vmapguide: ignore[VG101]",
            "# Both are cheap. # vmapguide: ignore[VG101] since it is so.",
        ],
    )
    def test_it_leaves_out(self, comment: str, file: Path) -> None:
        """It names codes, or what they begin with, and may follow other comments."""
        assert codes(explained(ONE_LINE.format(""), file)) == ["VG101"]
        linecache.clearcache()
        assert codes(explained(ONE_LINE.format(f"  {comment}"), file)) == []

    @pytest.mark.parametrize(
        ("comment", "right"),
        [
            ("# vmapguide: ignore VG101", "VG101"),
            ("# vmapguide: ignore(VG101)", "VG101"),
            ("# vmapguide: ignore", "VG101"),
            ("# vmapguide: ignore[]", "VG101"),
            ("# vmapguide: ignore[vg101]", "VG101"),
            ("# vmapguide ignore[VG101]", "VG101"),
            ("# VMAPGUIDE: ignore[VG101]", None),
            ("# vmapguide: Ignore[VG101, VG5]", "VG101, VG5"),
            ("# vmapguide: ignored: VG101", "VG101"),
            ("# vmapguide: ignore[VG109]", "VG10[1-6]"),
            ("# vmapguide: ignore[all]", "VG"),
        ],
    )
    def test_it_is_wrong(self, comment: str, right: str | None, file: Path) -> None:
        """What is not read is said, with what to write; the finding stays."""
        found = explained(ONE_LINE.format(f"  {comment}"), file).findings
        assert found[0].code == "VG101"
        if right is None:
            assert len(found) == 1
            return
        (wrong,) = found[1:]
        assert (wrong.code, wrong.severity) == ("VG901", "note")
        assert wrong.source is not None
        assert wrong.source.expression == comment
        assert f"`{comment}`" in wrong.message
        assert re.search(rf"^Write # vmapguide: ignore\[{right}", wrong.remedy)

    @pytest.mark.parametrize("comment", ["# vmapguide shows this", "# see vmapguide: it is so"])
    def test_it_is_about_something_else(self, comment: str, file: Path) -> None:
        """Whoever writes of vmapguide asks for nothing."""
        assert codes(explained(ONE_LINE.format(f"  {comment}"), file)) == ["VG101"]

    def test_one_of_two_codes_is_none(self, file: Path) -> None:
        """The code that there is does what it says, and the other one is told of."""
        found = explained(ONE_LINE.format("  # vmapguide: ignore[VG101, VG199]"), file).findings
        (wrong,) = found
        assert (wrong.code, "VG199" in wrong.message) == ("VG901", True)


class TestWhereItStands:
    """The place of the comment."""

    @pytest.mark.parametrize(
        "body",
        [
            """
            return lax.cond(  # vmapguide: ignore[VG101]
                x[0] > 0, jnp.sin, jnp.cos, x
            )
            """,
            """
            return lax.cond(
                x[0] > 0,
                # vmapguide: ignore[VG101]
                jnp.sin,
                jnp.cos,
                x,
            )
            """,
            """
            return lax.cond(
                x[0] > 0, jnp.sin, jnp.cos, x
            )  # vmapguide: ignore[VG101]
            """,
            """
            y = (
                x
                + lax.cond(x[0] > 0, jnp.sin, jnp.cos, x)
                + jnp.tanh(
                    x
                )
            )  # vmapguide: ignore[VG101]
            return y
            """,
            """
            y = x + \\
                lax.cond(x[0] > 0, jnp.sin, jnp.cos, x) + \\
                x  # vmapguide: ignore[VG101]
            return y
            """,
            """
            s = '''
            a # in a text
            '''; y = lax.cond(x[0] > 0, jnp.sin, jnp.cos, x)  # vmapguide: ignore[VG101]
            return y
            """,
            """
            if len(lax.cond(x[0] > 0, jnp.sin, jnp.cos, x)):  # vmapguide: ignore[VG101]
                return x
            """,
            """
            é, s = "→", lambda x: lax.cond(x[0] > 0, jnp.sin, jnp.cos, x)  # vmapguide: ignore[VG1]
            return s(x)
            """,
            """
            @jax.checkpoint
            def inner(x):
                return lax.cond(x[0] > 0, jnp.sin, jnp.cos, x)  # vmapguide: ignore[VG101]
            return inner(x)
            """,
        ],
    )
    @pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
    def test_it_is_near(self, body: str, end: str, file: Path) -> None:
        """It is in a line of the code of the finding, or in the last one of the statement."""
        head = "import jax\nimport jax.numpy as jnp\nfrom jax import lax\n\ndef f(x):\n"
        text = head + textwrap.indent(textwrap.dedent(body), "    ")
        assert codes(explained(text.replace("\n", end), file)) == []

    @pytest.mark.parametrize(
        "body",
        [
            """
            # vmapguide: ignore[VG101]
            return lax.cond(x[0] > 0, jnp.sin, jnp.cos, x)
            """,
            """
            y = x + 1  # vmapguide: ignore[VG101]
            return lax.cond(x[0] > 0, jnp.sin, jnp.cos, y)
            """,
            """
            return (
                x  # vmapguide: ignore[VG101]
                + lax.cond(x[0] > 0, jnp.sin, jnp.cos, x)
            )
            """,
            """
            return lax.cond(x[0] > 0, jnp.sin, jnp.cos, x)  # vmapguide: ignore[VG5]
            """,
        ],
    )
    def test_it_is_elsewhere(self, body: str, file: Path) -> None:
        """In another line, or of another code, it does nothing, and that is found."""
        head = "import jax\nimport jax.numpy as jnp\nfrom jax import lax\n\ndef f(x):\n"
        found = explained(head + textwrap.indent(textwrap.dedent(body), "    "), file).findings
        assert [finding.code for finding in found] == ["VG101", "VG901"]
        _, nothing = found
        assert nothing.source is not None
        assert nothing.source.expression.startswith("# vmapguide: ignore[VG")
        assert nothing.source.text in body
        assert nothing.source.function == "f"
        assert nothing.steps == ()

    def test_in_a_text(self, file: Path) -> None:
        """A text is no comment, whatever it says."""
        text = ONE_LINE.format(' + len("# vmapguide: ignore[VG101]")')
        assert codes(explained(text, file)) == ["VG101"]

    @pytest.mark.parametrize("name", ["<ipython-input-7-0123456789ab>", "/ipykernel_7/5.py"])
    def test_in_a_notebook(self, name: str) -> None:
        """A cell is a file that is not on the disk."""
        for comment, expected in (("", ["VG101"]), ("  # vmapguide: ignore[VG101]", [])):
            text = ONE_LINE.format(comment)
            linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
            cell: dict[str, Any] = {}
            exec(compile(text, name, "exec"), cell)  # noqa: S102
            assert codes(vmapguide.explain(cell["f"])(X)) == expected
        del linecache.cache[name]


class TestWhatDoesNothing:
    """Which comments are looked at."""

    def test_a_function_that_took_no_part(self, file: Path) -> None:
        """What other functions need is for their explanations to say."""
        other = "\n\ndef g(x):\n    return x  # vmapguide: ignore[VG101]\n"
        assert codes(explained(ONE_LINE.format("") + other, file)) == ["VG101"]
        around = "\n\ndef make():\n    z = 0  # vmapguide: ignore[VG101]\n    def f(x):\n"
        text = f"{around}        return x + z\n    return f\n\nf = make()\n"
        linecache.clearcache()
        assert codes(explained(text, file)) == []

    def test_a_statement_with_a_lambda(self, file: Path) -> None:
        """Of a lambda its statement takes part, and not all that is around it."""
        text = """
            import jax.numpy as jnp

            def make():
                z = 0  # vmapguide: ignore[VG101]
                return [
                    lambda x: jnp.sin(x),
                ]{}

            f, = make()
            """
        text = textwrap.dedent(text)
        assert codes(explained(text.format(""), file)) == []
        linecache.clearcache()
        assert codes(explained(text.format("  # vmapguide: ignore[VG101]"), file)) == ["VG901"]

    def test_it_can_be_left_out_itself(self, file: Path) -> None:
        """A comment that is needed for another call says so."""
        comment = "  # vmapguide: ignore[VG501, VG901]"
        assert codes(explained(ONE_LINE.format(comment), file)) == ["VG101"]

    def test_a_code_with_backticks(self, file: Path) -> None:
        """What a sentence has between backticks has none in it."""
        comment = "  # `x` is what it is # vmapguide: ignore[VG5]"
        _, nothing = explained(ONE_LINE.format(comment), file).findings
        assert nothing.message.startswith("`# 'x' is what it is # vmapguide: ignore[VG5]` ")


class TestFiles:
    """Files that change, or cannot be read."""

    def test_it_is_edited(self, file: Path) -> None:
        """A comment that is written between two calls counts in the second."""
        file.write_text(ONE_LINE.format(""))
        f = load(f"{file}:f")
        explain = vmapguide.explain(f)
        first = explain(X)
        assert codes(first) == ["VG101"]
        file.write_text(ONE_LINE.format("  # vmapguide: ignore[VG101]"))
        assert codes(explain(X)) == []
        file.write_text(ONE_LINE.format(""))
        assert codes(explain(X)) == ["VG101"]
        assert codes(first) == ["VG101"]

    def test_it_is_edited_elsewhere(self, file: Path) -> None:
        """Comments of a file that says something else by now are not those of the code."""
        before = explained(ONE_LINE.format(""), file)
        file.write_text(
            "\n" * 5 + '"a"' + "\n\n# x\n" + ONE_LINE.format("  # vmapguide: ignore[VG1]")
        )
        vmapguide.explain(jnp.sin)(X)
        assert codes(before) == ["VG101"]

    @pytest.mark.parametrize(
        "text", ["def f(:  # vmapguide: ignore[VG101]", "'''\n# vmapguide: (["]
    )
    def test_it_is_no_python(self, text: str, file: Path) -> None:
        """A file that does not parse asks for nothing."""
        file.write_text(ONE_LINE.format(""))
        f = load(f"{file}:f")
        file.write_text(text)
        found: tuple[Finding, ...] = vmapguide.explain(f)(X).findings
        assert [finding.code for finding in found] == ["VG101"]
        assert found[0].source is None

    def test_it_is_away(self, file: Path) -> None:
        """A file that is not there any more asks for nothing."""
        file.write_text(ONE_LINE.format("  # vmapguide: ignore[VG101]"))
        f = load(f"{file}:f")
        file.unlink()
        assert codes(vmapguide.explain(f)(X)) == ["VG101"]
