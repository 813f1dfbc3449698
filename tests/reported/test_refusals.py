"""What is said when `jax.vmap` refuses a function: the cause, the line, and a remedy that works.

Every row of the tables in `test_refused_*.py` has a call that is refused, what the note says, the
calls that the note proposes, and relatives for which that proposal would be wrong.
"""

import functools
import re
import runpy
from pathlib import Path

import pytest
from refusals import Refused, traced

from vmapguide._advice import vmap_notes


TABLES = {
    path.stem: runpy.run_path(str(path))["REFUSED"]
    for path in sorted(Path(__file__).parent.glob("test_refused_*.py"))
}


ROWS = [row for table in TABLES.values() for row in table.values()]


@functools.cache
def said() -> list[tuple[Refused, str]]:
    """Return every row with what JAX says of it."""
    every = []
    for refused in ROWS:
        with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever it is.
            traced(refused.f, **refused.vmap)(*refused.args)
        every.append((refused, str(caught.value)))
    return every


@pytest.mark.parametrize("pattern", vmap_notes.CAUSES)
def test_every_note_is_followed(pattern: str) -> None:
    """No note is without a row that provokes it, and one that says where it is not given."""
    rows = [row for row, text in said() if re.search(pattern, text)]
    assert any(row.remedies for row in rows)
    assert any(row.others for row in rows)
