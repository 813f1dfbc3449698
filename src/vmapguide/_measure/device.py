"""The device that JAX runs on, in words."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import jax


def device_text() -> str:
    """Return what JAX runs on: the machine, JAX's version and its backend."""
    first = jax.devices()[0]
    # JAX calls every processor "cpu".
    kind = _processor() if first.platform == "cpu" else first.device_kind
    others = f" with {count} devices" if (count := jax.device_count()) > 1 else ""
    return f"{kind}, JAX {jax.__version__} on its {first.platform} backend{others}"


def _processor() -> str:
    """Return the cores and the model of the processor. Python does not know the model on Linux."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text("utf-8").splitlines() if cpuinfo.exists() else []
    models = (line.partition(": ")[2] for line in lines if line.startswith("model name"))
    model = next(models, platform.processor() or platform.machine())
    return f"{os.cpu_count()} cores of {model}"
