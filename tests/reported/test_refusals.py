"""What is said when `jax.vmap` refuses a function: the cause, the line, and a remedy that works.

Every row of the tables in `test_refused_*.py` has a call that is refused, what the note says, the
calls that the note proposes, and relatives for which that proposal would be wrong.
"""

import functools
import re
import runpy
from pathlib import Path

import pytest
from refusals import Refused, check_others, note, traced

from vmapguide._advice import vmap_notes


TABLES = {
    path.stem: runpy.run_path(str(path))["REFUSED"]
    for path in sorted(Path(__file__).parent.glob("test_refused_*.py"))
}


# Each row by its name; no two tables have one of the same name.
ROWS: dict[str, Refused] = {name: row for table in TABLES.values() for name, row in table.items()}


def test_every_row_has_a_name_of_its_own() -> None:
    """No row hides another one."""
    assert len(ROWS) == sum(map(len, TABLES.values()))


@pytest.mark.parametrize("name", ROWS)
def test_the_note(name: str) -> None:
    """JAX's message comes first and unchanged; the note says why it is and what to do."""
    refused = ROWS[name]
    assert re.search(refused.note, note(refused.f, *refused.args, **refused.vmap))


@pytest.mark.parametrize("name", ROWS)
def test_the_remedy(name: str) -> None:
    """What the note proposes works."""
    for remedy in ROWS[name].remedies:
        remedy()


@pytest.mark.parametrize("name", ROWS)
def test_others(name: str) -> None:
    """Where it would be wrong, the note is not given."""
    check_others(ROWS[name])


@functools.cache
def said() -> list[tuple[Refused, str]]:
    """Return every row with what JAX says of it."""
    every = []
    for refused in ROWS.values():
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
