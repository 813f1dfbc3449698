"""The guide, built once for all tests."""

import subprocess
import sys
from pathlib import Path

import pytest


DOCS = Path(__file__).parent.parent.parent / "docs"


@pytest.fixture(scope="session", name="site")
def _site() -> Path:
    """Build the guide with this Python and this JAX, beside the reader's own build."""
    out = DOCS / "_build" / f"tested-{sys.version_info[0]}.{sys.version_info[1]}" / "html"
    options = ["-n", "-W", "-T", "--keep-going", "-j", "auto", "-q"]
    command = [sys.executable, "-m", "sphinx", *options, str(DOCS), str(out)]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return out
