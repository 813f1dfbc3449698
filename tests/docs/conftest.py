"""The guide, built once for all tests."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock
from places import DOCS


# With this Python and this JAX, beside the reader's own build. The variable names another place, in
# which the guide may have been built already: what is up to date is not built again.
BESIDE = DOCS / "_build" / f"tested-{sys.version_info[0]}.{sys.version_info[1]}"
BUILD = Path(os.environ.get("VMAPGUIDE_BUILD", BESIDE)).resolve()


@pytest.fixture(scope="session", name="build")
def _build(testrun_uid: str) -> Callable[..., Path]:
    """Return a function that builds the guide with a builder; what pages printed is shared.

    Of the processes that run the tests one builds, and the others wait and take what it has built.
    """

    def build(builder: str, *more: str, name: str = "") -> Path:
        out = BUILD / (name or builder)
        built_by = out.with_name(f"{out.name}.built-by")
        BUILD.mkdir(parents=True, exist_ok=True)
        with FileLock(BUILD / "lock"):
            if not built_by.exists() or built_by.read_text() != testrun_uid:
                sphinx_build(builder, out, *more)
                built_by.write_text(testrun_uid)
        return out

    return build


def sphinx_build(builder: str, out: Path, *more: str) -> None:
    """Build the guide as noxfile.py does it."""
    processes = str((os.cpu_count() or 1) + 1)
    options = ["-n", "-W", "-T", "--keep-going", "-j", processes, "-q", *more]
    options += ["-d", str(out.with_name(f"doctrees-{out.name}"))]
    command = [sys.executable, "-m", "sphinx", *options, "-b", builder, str(DOCS), str(out)]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.fixture(scope="session", name="site")
def _site(build: Callable[..., Path]) -> Path:
    """Build the site."""
    return build("html")
