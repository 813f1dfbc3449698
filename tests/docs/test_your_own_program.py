"""What the page on programs of one's own proposes for a repository works as it is written there.

The page itself runs `vmapguide run`. Here its files are written out, and what stands in its hook,
in its workflow and in the listing for pytest is run on them, but for what needs a network.
"""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from places import DOCS


PAGE = (DOCS / "guide" / "your-own-program.md").read_text("utf-8")

FILES = dict(re.findall(r"^%%writefile (\S+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
LISTINGS = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
HOOKS, WORKFLOW = map(yaml.safe_load, LISTINGS)
CONSOLE = re.findall(r"^\$ (python .*)$", PAGE, re.MULTILINE)


@pytest.fixture(name="project")
def _project(tmp_path: Path) -> Path:
    """Return a folder with the files of the page."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


def run(command: str, folder: Path) -> Any:
    """Run a command of Python's in a folder."""
    python, *words = shlex.split(command)
    assert python == "python"
    return subprocess.run(
        [sys.executable, *words], cwd=folder, check=False, capture_output=True, text=True
    )


def test_the_files_of_the_page() -> None:
    """They are a program, the mended one, and a test."""
    assert list(FILES) == ["train.py", "mended.py", "test_mended.py"]


def test_the_hook(project: Path) -> None:
    """It fails for the program, at the file that it watches, and not once that is mended."""
    (repository,) = HOOKS["repos"]
    (hook,) = repository["hooks"]
    assert repository["repo"] == "local"
    assert re.search(hook["files"], "train.py")
    assert not hook["pass_filenames"]
    found = run(hook["entry"], project)
    assert found.returncode == 1, found.stderr
    assert "VG102" in found.stdout
    mended = run(hook["entry"].replace("train.py:", "mended.py:"), project)
    assert mended.returncode == 0, mended.stdout
    assert "findings: nothing found" in mended.stdout


def test_the_workflow(project: Path) -> None:
    """It writes the file that it uploads, with what the page lists, and may upload it."""
    assert WORKFLOW["permissions"]["security-events"] == "write"
    *setup, command, upload = WORKFLOW["jobs"]["findings"]["steps"]
    assert all("uses" in step or step["run"].startswith("pip install") for step in setup)
    ran = run(command["run"], project)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("error after 10 steps: ")
    (report,) = json.loads((project / upload["with"]["sarif_file"]).read_text("utf-8"))["runs"]
    codes = [result["ruleId"] for result in report["results"]]
    assert sorted(codes) == ["VG101", "VG102", "VG203", "VG302", "VG501", "VG702"]
    places = [result["locations"][0]["physicalLocation"] for result in report["results"]]
    assert {place["artifactLocation"]["uri"] for place in places} == {"train.py"}


def test_the_listing_for_pytest(project: Path) -> None:
    """The tests of the page pass, and a test that calls what is not mended fails."""
    (command,) = [line for line in CONSOLE if "pytest" in line]
    passed = run(command, project)
    assert passed.returncode == 0, passed.stdout + passed.stderr
    assert "3 passed" in passed.stdout
    assert "nothing found" in passed.stdout
    old = FILES["test_mended.py"].replace("from mended import fade,", "from train import fade,")
    (project / "test_mended.py").write_text(old.replace(" prepare", " repair as prepare"), "utf-8")
    failed = run(f"{command} -k keeps_the_beginning", project)
    assert failed.returncode == 1, failed.stdout
    assert re.search(r"VG102 .*train\.py:\d+", failed.stdout)
