"""Arguments on several devices: tests/sharded, run in a process that has eight."""

import os
import subprocess
import sys

from places import ROOT


def test_with_eight_devices() -> None:
    """JAX reads how many devices a CPU stands for when it starts: other tests have one."""
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": "8", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "tests/sharded"]
    result = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
