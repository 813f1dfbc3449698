"""Say numbers and lists in words: `counted(2, "equation")`, `listed(["a", "b"])`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from vmapguide._data import Sharded


# Of more arguments than this the others are counted.
_FEW = 3


def counted(number: int, noun: str) -> str:
    """Return a number of things: `1 equation`, `2 equations`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listed(texts: Iterable[object]) -> str:
    """Return texts as a sentence lists them: `a, b and c`."""
    *first, last = map(str, texts)
    return f"{', '.join(first)} and {last}" if first else last


def sharded_text(leaves: Sequence[Sharded]) -> str:
    """Say which arguments are sharded, and what of each lies on one device."""
    said = [
        f"{leaf.name}, {leaf.shard_type} of {leaf.type} on each of {leaf.devices} devices"
        for leaf in leaves[:_FEW]
    ]
    said += [f"{len(leaves) - _FEW} more"] if len(leaves) > _FEW else []
    return f"Sharded: {'; '.join(said)}."


def printable(text: str) -> str:
    """Return a text without characters that a terminal would obey, as a name may have them."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", lambda found: f"\\x{ord(found[0]):02x}", text)
