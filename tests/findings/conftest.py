"""What the tests of findings have in common: what a rule says does not depend on where they run."""

import jax
import pytest


@pytest.fixture(autouse=True)
def _on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the rules take the device for a CPU. A test may let them take it for another one."""
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
