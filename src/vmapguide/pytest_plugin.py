"""A plugin for pytest: `pytest --vmapguide` explains every `jax.vmap` that the tests call.

Nothing of vmapguide or of JAX is imported unless it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


_OPTIONS = ("--vmapguide", "--vmapguide-fail-on")

# Findings about how often a program makes a call, and whether it compiles it. Tests are no such
# program: they call what they test once and again, and seldom compile it.
_OF_PROGRAMS = "VG7"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("vmapguide", "explain what jax.vmap makes of functions")
    group.addoption(
        "--vmapguide",
        nargs="?",
        const="VG",
        default=None,
        metavar="CODES",
        help="explain every jax.vmap that tests call, and list findings: all, or VG101,VG3",
    )
    group.addoption(
        "--vmapguide-fail-on",
        default="",
        metavar="CODES",
        help="fail a test that calls a jax.vmap with such a finding: VG101,VG3",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Replace `jax.vmap`, if that is asked for, before tests are imported."""
    if _is_asked(config):
        config.pluginmanager.register(_Recorded(config), "vmapguide-recorded")


class _Recorded:
    """What the plugin does if it is asked for."""

    def __init__(self, config: pytest.Config) -> None:
        """Replace `jax.vmap`.

        Raises:
            pytest.UsageError: an option names a code that does not exist.
        """
        from vmapguide._recording.recorder import Recorder  # noqa: PLC0415 - not unless asked for.
        from vmapguide._rules.choose import beginnings  # noqa: PLC0415

        self.codes, self.failing = (_codes(config, option) for option in _OPTIONS)
        for option in _OPTIONS:
            try:
                beginnings("pytest", option, _codes(config, option))
            except ValueError as error:
                told = f"{error} Write {option}=VG1, and a file or a folder before it."
                raise pytest.UsageError(told) from None
        for code in self.failing:
            if code.startswith(_OF_PROGRAMS):
                raise pytest.UsageError(
                    f"pytest: --vmapguide-fail-on names {code!r}: that is known when all tests "
                    f"have ended, and can fail none of them. --vmapguide={code} lists it."
                )
        self.recorder = Recorder().__enter__()

    def pytest_unconfigure(self) -> None:
        """Put `jax.vmap` back."""
        self.recorder.__exit__(None, None, None)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        """Fail a test in which a finding is made that must not be there."""
        self.recorder.touched.clear()
        yield
        found = [
            finding
            for key, record in self.recorder.records.items()
            if key in self.recorder.touched
            for finding in record.findings
            if self.failing and finding.code.startswith(self.failing)
        ]
        if found:
            lines = (f"{f.code} {_place(item.config, f)}: {f.message} {f.remedy}" for f in found)
            pytest.fail("\n".join(["vmapguide found:", *lines]), pytrace=False)

    def pytest_terminal_summary(self, terminalreporter: Any, config: pytest.Config) -> None:
        """List what was found."""
        from vmapguide._recording.recording import Recording  # noqa: PLC0415

        terminalreporter.section("vmapguide")
        if config.pluginmanager.hasplugin("dsession"):
            told = "the tests ran in other processes, of which nothing is listed: ask for -n 0"
            terminalreporter.write_line(told)
            return
        recording = Recording.of("the tests", [*self.recorder.records.values()])
        found = [finding for finding in recording.findings if _is_wanted(finding.code, self.codes)]
        for finding in found:
            where = _place(config, finding)
            terminalreporter.write_line(f"{finding.code} {where}: {finding.message}")
        places = {record.site.place for record in recording.records}
        number = f"{len(found)} finding{'s' * (len(found) != 1)}" if found else "nothing found"
        where = f"{len(places)} place{'s' * (len(places) != 1)} that called jax.vmap"
        terminalreporter.write_line(f"{number}, in {where}")


def _is_asked(config: pytest.Config) -> bool:
    return config.getoption("--vmapguide") is not None or bool(
        config.getoption("--vmapguide-fail-on")
    )


def _is_wanted(code: str, codes: tuple[str, ...]) -> bool:
    """Say whether to list a finding: one about the calls of a program only if it is asked for."""
    if code.startswith(_OF_PROGRAMS):
        codes = tuple(asked for asked in codes if asked.startswith(_OF_PROGRAMS))
        return bool(codes) and code.startswith(codes)
    return code.startswith(codes or "VG")


def _codes(config: pytest.Config, option: str) -> tuple[str, ...]:
    text = config.getoption(option) or ""
    return tuple(code.strip() for code in text.split(",") if code.strip())


def _place(config: pytest.Config, finding: Any) -> str:
    """Return the line of a finding, its file from where pytest was called if it is below."""
    if (source := finding.source) is None:
        return "no line"
    file, here = Path(source.file), config.invocation_params.dir
    return f"{file.relative_to(here) if file.is_relative_to(here) else file}:{source.line}"
