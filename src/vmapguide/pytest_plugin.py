"""A plugin for pytest: `pytest --vmapguide` explains every `jax.vmap` that the tests call.

Nothing of vmapguide or of JAX is imported unless it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest


if TYPE_CHECKING:
    from vmapguide._recording.recorder import Recorder


_RECORDER: pytest.StashKey[Recorder] = pytest.StashKey()


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
    if not _is_asked(config):
        return
    from vmapguide._recording.recorder import Recorder  # noqa: PLC0415 - not unless asked for.
    from vmapguide._rules.choose import beginnings  # noqa: PLC0415

    for option in ("--vmapguide", "--vmapguide-fail-on"):
        try:
            beginnings("pytest", option, _codes(config, option))
        except ValueError as error:
            raise pytest.UsageError(str(error)) from None
    recorder = config.stash[_RECORDER] = Recorder()
    recorder.__enter__()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Put `jax.vmap` back."""
    if (recorder := config.stash.get(_RECORDER, None)) is not None:
        recorder.__exit__(None, None, None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Fail a test in which a finding is made that must not be there."""
    recorder = item.config.stash.get(_RECORDER, None)
    codes = _codes(item.config, "--vmapguide-fail-on")
    if recorder is not None:
        recorder.touched.clear()
    yield
    if recorder is None or not codes:
        return
    found = [
        finding
        for key, record in recorder.records.items()
        if key in recorder.touched
        for finding in record.findings
        if finding.code.startswith(codes)
    ]
    if found:
        lines = (f"{f.code} {_place(f)}: {f.message} {f.remedy}" for f in found)
        pytest.fail("\n".join(["vmapguide found:", *lines]), pytrace=False)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """List what was found."""
    recorder = config.stash.get(_RECORDER, None)
    if recorder is None:
        return
    from vmapguide._recording.recording import Recording  # noqa: PLC0415 - not unless asked for.

    recording = Recording.of("the tests", [*recorder.records.values()])
    codes = _codes(config, "--vmapguide") or ("VG",)
    found = [finding for finding in recording.findings if finding.code.startswith(codes)]
    terminalreporter.section("vmapguide")
    for finding in found:
        terminalreporter.write_line(f"{finding.code} {_place(finding)}: {finding.message}")
    if not recording.records and config.getoption("numprocesses", None):
        terminalreporter.write_line("no test ran in this process: ask for -n 0")
        return
    places = len({record.site.place for record in recording.records})
    terminalreporter.write_line(
        f"{len(found)} findings, in {places} places that call jax.vmap"
        if found
        else f"nothing found, in {places} places that call jax.vmap"
    )


def _is_asked(config: pytest.Config) -> bool:
    return config.getoption("--vmapguide") is not None or bool(
        config.getoption("--vmapguide-fail-on")
    )


def _codes(config: pytest.Config, option: str) -> tuple[str, ...]:
    text = config.getoption(option) or ""
    return tuple(code.strip() for code in text.split(",") if code.strip())


def _place(finding: Any) -> str:
    source = finding.source
    return f"{source.file}:{source.line}" if source else "no line"
