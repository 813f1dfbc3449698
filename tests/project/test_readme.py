"""The README's first output is real: its file, run by its command, prints its text."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from places import ROOT


README = (ROOT / "README.md").read_text("utf-8")


def test_the_command_line_prints_what_the_readme_shows(tmp_path: Path) -> None:
    """The block that shows a command shows what the command prints."""
    program = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[0]
    shown = re.findall(r"```console\n(.*?)```", README, re.DOTALL)[0]
    command, _, expected = shown.partition("\n")
    (tmp_path / "neuron.py").write_text(program)
    words = shlex.split(command.removeprefix("$ "))
    assert words[:3] == ["python", "-m", "vmapguide"]
    printed = subprocess.run(
        [sys.executable, *words[1:]],
        cwd=tmp_path,
        env={**os.environ, "COLUMNS": "96"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert printed == expected
