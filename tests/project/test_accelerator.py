"""The measurement of an accelerator: what it records, what becomes of a table, the kept records."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from places import DOCS, ROOT


RECORDS = sorted((DOCS / "project" / "accelerators").glob("*.json"))

NUMBER = {"type": ["number", "boolean", "string"]}
TABLE = {
    "type": "object",
    "required": ["status", "rows"],
    "additionalProperties": False,
    "properties": {
        "status": {"enum": ["measured", "not finished", "failed", "not measured"]},
        "why": {"type": "string", "minLength": 1},
        "rows": {
            "type": "array",
            "items": {
                "type": "object",
                "minProperties": 2,
                "propertyNames": {"pattern": "^[A-Za-z][A-Za-z0-9_]*$"},
                "additionalProperties": {
                    "anyOf": [NUMBER, {"type": "array", "items": {"type": "string"}}]
                },
            },
        },
    },
    "if": {"properties": {"status": {"const": "measured"}}},
    "then": {"properties": {"rows": {"minItems": 1}}},
    "else": {"required": ["why"]},
}
TEXT = {"type": "string", "minLength": 1}
SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "schema": {"const": "vmapguide.accelerator/1"},
        "measured": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\d$"},
        "platform": {"enum": ["cpu", "gpu", "tpu"]},
        "sizes": {"enum": ["full", "small"]},
        "cores": {"type": ["integer", "null"]},
        **dict.fromkeys(("device", "how", "jax", "python", "vmapguide"), TEXT),
        "tables": {"type": "object", "minProperties": 1, "additionalProperties": TABLE},
    },
}
SCHEMA["required"] = sorted(SCHEMA["properties"])  # type: ignore[call-overload]

# Appended to the tables: one that stops after a row, one that fails, one that ends its process.
FAULTS = """

@table("does not end", "i", "us")
def stuck(_):
    import time

    yield {"i": 1, "us": 1.23456}
    while True:
        time.sleep(1)


@table("fails", "i", "us")
def broken(_):
    yield {"i": 1, "us": 2.0}
    raise RuntimeError("RESOURCE_EXHAUSTED: no room in /srv/somebody")


@table("ends its process", "i", "us")
def ended(_):
    import os

    os._exit(3)
    yield {}
"""


def record(script: Path, path: Path, *options: str) -> Any:
    """Run the script in a process of its own and return the record that it has written."""
    command = [sys.executable, str(script), "--json", str(path), *options]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    found = json.loads(path.read_text("utf-8"))
    jsonschema.validate(found, SCHEMA)
    return found


@pytest.mark.slow
def test_a_table(tmp_path: Path) -> None:
    """It has the columns that it names, and the record of a CPU goes to no folder of others."""
    options = ("--small", "--only", "pallas", "numerics", "--folder", str(tmp_path / "none"))
    found = record(ROOT / "benchmarks" / "accelerator.py", tmp_path / "a.json", *options)
    assert {name: table["status"] for name, table in found["tables"].items()} == {
        "pallas": "measured",
        "numerics": "measured",
    }
    (row,) = found["tables"]["pallas"]["rows"]
    assert row["right"] is True
    precisions = [row["precision"] for row in found["tables"]["numerics"]["rows"]]
    assert precisions == ["default", "tensorfloat32", "high", "highest"]
    assert found["platform"] != "cpu" or not (tmp_path / "none").exists()


@pytest.mark.slow
def test_a_table_that_is_not_whole(tmp_path: Path) -> None:
    """It ends with its time, keeps its rows, tells no path, and the next tables are measured."""
    shutil.copytree(ROOT / "benchmarks", tmp_path / "benchmarks")
    with (tmp_path / "benchmarks" / "accelerator_tables.py").open("a", encoding="utf-8") as tables:
        tables.write(FAULTS)
    script = tmp_path / "benchmarks" / "accelerator.py"
    only = ("--only", "stuck", "broken", "ended", "pallas")
    tables = record(script, tmp_path / "a.json", "--small", "--limit", "30", *only)["tables"]
    assert tables["stuck"] == {
        "status": "not finished",
        "why": "it did not finish in 30 seconds",
        "rows": [{"i": 1, "us": 1.235}],
    }
    assert tables["broken"] == {
        "status": "failed",
        "why": "RuntimeError, RESOURCE_EXHAUSTED",
        "rows": [{"i": 1, "us": 2.0}],
    }
    assert tables["ended"] == {"status": "failed", "why": "its process ended with 3", "rows": []}
    assert tables["pallas"]["status"] == "measured"


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_a_kept_record(path: Path) -> None:
    """It has its form, is named after its day, is of an accelerator, and names no place."""
    text = path.read_text("utf-8")
    found = json.loads(text)
    jsonschema.validate(found, SCHEMA)
    assert path.name.startswith(f"{found['measured']}-")
    assert found["platform"] != "cpu"
    assert found["sizes"] == "full"
    assert list(found) == sorted(found)
    assert list(found["tables"]) == sorted(found["tables"])
    assert not re.search(r"(?<![\w ])/\w|\bdriver\b|@", text)


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_its_numbers_are_short(path: Path) -> None:
    """No number has more digits than were measured, and no column is one that the script lacks."""
    source = (ROOT / "benchmarks" / "accelerator_tables.py").read_text("utf-8")
    for name, table in json.loads(path.read_text("utf-8"))["tables"].items():
        assert f"def {name}(" in source
        for row in table["rows"]:
            for column, value in row.items():
                assert f'"{column}"' in source, (name, column)
                if isinstance(value, float):
                    assert value == float(f"{value:.4g}"), (name, column)


def test_there_is_a_record() -> None:
    """The page about accelerators needs one."""
    assert RECORDS
