"""What a benchmark ran on, and when: what every report of one says of itself."""

from __future__ import annotations

import datetime as dt
import os
import platform
from pathlib import Path

import jax

import vmapguide


def processor() -> str:
    """Return the name of the processor, as well as the system tells."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text("utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return (names or [platform.processor() or platform.machine()])[0]


def surroundings() -> dict[str, str]:
    """Return the versions, the machine and the day."""
    return {
        "measured": dt.datetime.now(dt.UTC).date().isoformat(),
        "machine": f"{processor()}, {os.cpu_count()} cores, {platform.system()}",
        "python": platform.python_version(),
        "jax": jax.__version__,
        "vmapguide": vmapguide.__version__,
    }
