"""The reference names every command, every option, and every way to call pytest with findings."""

import re
from typing import Any

import pytest
from places import DOCS

from vmapguide import pytest_plugin
from vmapguide._cli.main import COMMANDS, main


PAGE = (DOCS / "reference" / "vmapguide.md").read_text("utf-8")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_there(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What `--help` lists stands in the reference, between backticks."""
    with pytest.raises(SystemExit):
        main([command, "--help"])
    usage, *_ = capsys.readouterr().out.partition("\n\n")
    options = {*re.findall(r"(?<![\w-])--?[a-z][\w-]*", usage)} - {"-h"}
    assert options
    missing = [o for o in options if not re.search(rf"`{o}[` ]", PAGE)]
    assert missing == []


def test_every_command_is_there() -> None:
    """Each has a row in a table."""
    assert COMMANDS.keys() <= {*re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)}


def test_every_option_of_pytest_is_there() -> None:
    """The plugin adds none that is not in the reference."""
    added: list[str] = []

    class Parser:
        def getgroup(self, *_: str) -> "Parser":
            return self

        def addoption(self, name: str, **_: object) -> None:
            added.append(name)

    parser: Any = Parser()
    pytest_plugin.pytest_addoption(parser)
    assert added
    assert [option for option in added if not re.search(rf"`{option}[` ]", PAGE)] == []
