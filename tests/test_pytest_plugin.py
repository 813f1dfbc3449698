"""`pytest --vmapguide`: the tests run as ever, and what `jax.vmap` was called for is told of."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from processes import written


PROGRAM = """
    import jax
    import jax.numpy as jnp
    from jax import lax, vmap


    def branching(x):
        return lax.cond(x.sum() > 0, lambda x: jnp.exp(x) @ x, jnp.sum, x)


    def halved(x):
        return lax.while_loop(lambda x: (x > 1).any(), lambda x: x / 2, x)


    jitted = jax.jit(vmap(branching))
"""

TESTS = """
    import jax
    import jax.numpy as jnp
    import pytest
    from program import branching, halved, jitted

    X = jnp.zeros((3, 500))


    def test_clean():
        assert jax.vmap(jnp.sin)(X).shape == (3, 500)


    def test_branching():
        for _ in range(2):
            assert jax.vmap(branching)(X)[0] == 0


    def test_jitted():
        assert jitted(X)[0] == 0


    def test_halved():
        assert jax.vmap(halved)(X)[0, 0] == 0


    def test_fails():
        assert jax.vmap(halved)(X)[0, 0] == 1


    def test_raises():
        jax.vmap(branching)(X)
        raise KeyError("its own")


    def test_skips():
        jax.vmap(branching)(X)
        pytest.skip("its own")
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder with tests in it."""
    written(tmp_path, program=PROGRAM, test_program=TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
    monkeypatch.chdir(tmp_path)


def ran(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pytest with the plugin, which an environment may know under its own name, too."""
    plugin = ["-p", "no:vmapguide", "-p", "vmapguide.pytest_plugin", "-p", "no:cacheprovider"]
    result = subprocess.run(
        [sys.executable, "-m", "pytest", *plugin, "-q", "-W", "error", *arguments],
        check=False,
        capture_output=True,
        text=True,
    )
    assert "INTERNALERROR" not in result.stdout + result.stderr
    return result


def summary(*arguments: str) -> list[str]:
    """Return the lines of the section that the plugin adds."""
    printed: str = ran(*arguments).stdout
    _, _, section = printed.partition(" vmapguide =")
    lines = section.splitlines()[1:]
    end = next(i for i, line in enumerate(lines) if re.match(r"=|\d+ (passed|failed)", line))
    return lines[:end]


class TestSummary:
    """What stands in the section."""

    def test_all(self) -> None:
        """Each finding has a line, and those about calls of a program have none."""
        *found, last = summary("--vmapguide")
        assert last == "2 findings, in 7 places that called jax.vmap"
        assert [line.partition(": ")[0] for line in found] == [
            "VG102 program.py:12",
            "VG101 program.py:8",
        ]

    def test_some(self) -> None:
        """Codes may be given, also those about calls of a program."""
        found, last = summary("--vmapguide=VG102", "-k", "halved or clean")
        assert found.startswith("VG102 ")
        assert last == "1 finding, in 2 places that called jax.vmap"
        assert summary("--vmapguide=VG2, VG3") == [
            "nothing found, in 7 places that called jax.vmap"
        ]
        found, last = summary("--vmapguide=VG7", "-k", "branching")
        assert found.startswith("VG701 ")
        assert last == "1 finding, in 1 place that called jax.vmap"

    def test_of_other_processes(self) -> None:
        """Nothing is known of them, and it says what to do."""
        assert summary("--vmapguide", "-n", "2") == [
            "the tests ran in other processes, of which nothing is listed: ask for -n 0"
        ]


class TestFailures:
    """`--vmapguide-fail-on`."""

    @pytest.mark.parametrize("processes", ["0", "2"])
    def test_tests_fail(self, processes: str) -> None:
        """A test with such a finding fails; one that fails, raises or skips does so as ever."""
        result = ran("--vmapguide-fail-on", "VG101", "-rA", "-n", processes, "--tb=short")
        found = {
            name: outcome
            for outcome, name in re.findall(r"^([A-Z]+) \S*::(\w+)", result.stdout, re.MULTILINE)
        }
        assert found == {
            "test_clean": "PASSED",
            "test_branching": "FAILED",
            "test_jitted": "FAILED",
            "test_halved": "PASSED",
            "test_fails": "FAILED",
            "test_raises": "FAILED",
        }
        assert "KeyError: 'its own'" in result.stdout
        assert re.search(r"^SKIPPED .*its own", result.stdout, re.MULTILINE)
        first = r"^vmapguide found:\nVG101 program\.py:8: .* If all examples"
        assert re.search(first, result.stdout, re.MULTILINE)
        assert result.returncode == 1

    def test_nothing_else_fails(self) -> None:
        """Other codes fail no test, and neither does the list alone."""
        for options in (["--vmapguide-fail-on", "VG5"], ["--vmapguide"]):
            result = ran(*options, "-k", "clean or branching or halved or jitted")
            assert result.returncode == 0, result.stdout

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--vmapguide=VG999"], "pytest: --vmapguide names 'VG999', and there is no such code"),
            (["--vmapguide", "test_program.py"], "names 'test_program.py'"),
            (["--vmapguide", "test_program.py"], "Write --vmapguide=VG1, and a file or a folder"),
            (["--vmapguide-fail-on", "101"], "pytest: --vmapguide-fail-on names '101'"),
            (["--vmapguide-fail-on", "VG1,VG701"], "names 'VG701': that is known when all tests"),
        ],
    )
    def test_unknown_codes(self, options: list[str], message: str) -> None:
        """They are refused before any test runs, with what to do."""
        result = ran(*options)
        assert result.returncode == pytest.ExitCode.USAGE_ERROR
        assert message in result.stderr


class TestWithout:
    """Without an option, the plugin is not there."""

    def test_nothing_is_imported(self) -> None:
        """Neither JAX nor another module of vmapguide is loaded, and `jax.vmap` is JAX's."""
        Path("test_program.py").write_text(
            "import sys\n"
            "def test_modules():\n"
            "    found = {n for n in sys.modules if n.split('.')[0] in ('jax', 'vmapguide')}\n"
            "    assert found == {'vmapguide', 'vmapguide.pytest_plugin'}\n"
        )
        result = ran()
        assert result.returncode == 0, result.stdout
        assert "= vmapguide =" not in result.stdout

    def test_nothing_is_around_a_test(self) -> None:
        """The plugin gives pytest nothing to call but what adds the options and looks at them."""
        Path("conftest.py").write_text(
            "def pytest_sessionstart(session):\n"
            "    manager = session.config.pluginmanager\n"
            "    ours = [p for p in manager.get_plugins() if 'vmapguide' in repr(p)]\n"
            "    hooks = {h.name for p in ours for h in manager.get_hookcallers(p)}\n"
            "    print('hooks', sorted(hooks))\n"
        )
        hooks = "hooks ['pytest_addoption', 'pytest_configure']\n"
        assert hooks in ran().stdout
        assert hooks not in ran("--vmapguide").stdout

    def test_tests_find_what_jax_has(self) -> None:
        """With an option, `jax.vmap` is replaced where tests and their `conftest.py` have it."""
        Path("conftest.py").write_text("from jax import vmap\n")
        Path("test_program.py").write_text(
            "import jax, conftest\n"
            "def test_vmap():\n"
            "    assert conftest.vmap is jax.vmap\n"
            "    assert jax.vmap(abs)(jax.numpy.ones(2)).shape == (2,)\n"
        )
        result = ran("--vmapguide")
        assert result.returncode == 0, result.stdout
        assert "nothing found, in 1 place that called jax.vmap" in result.stdout
