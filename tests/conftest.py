"""What more than one file of tests asks of an explanation."""

import pytest
from accounts import Checked, check_explanation

from vmapguide._measure.causes import evidence


# Here a fault in what looks for reasons is an error, and not a reason that is missing.
evidence.RAISES_ERRORS = True


@pytest.fixture(scope="session")
def checked() -> Checked:
    """Return a function that explains a call and asserts identity and totality."""
    return check_explanation
