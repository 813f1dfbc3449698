"""What more than one file of tests asks of an explanation."""

import os
from collections.abc import Iterator

import pytest
from accounts import Checked, check_explanation

from vmapguide._measure.causes import evidence


# Here a fault in what looks for reasons is an error, and not a reason that is missing.
evidence.RAISES_ERRORS = True


@pytest.fixture(scope="session")
def checked() -> Checked:
    """Return a function that explains a call and asserts identity and totality."""
    return check_explanation


@pytest.fixture(scope="module", autouse=True)
def _leaves_the_environment() -> Iterator[None]:
    """Assert that a file of tests leaves the environment as it was, also for its neighbours.

    Which files one process runs differs from run to run, and so would what they start.
    """
    before = dict(os.environ)
    yield
    after = dict(os.environ)
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert changed - {"PYTEST_CURRENT_TEST"} == set()
