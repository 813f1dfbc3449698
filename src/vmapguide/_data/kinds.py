"""What can become of an equation: the kinds of steps."""

from typing import Literal, get_args


# Of an equation that lies in several calls it is what comes last here of what became of it in any.
Kind = Literal[
    "",
    "shared",
    "layout",
    "same",
    "rewritten",
    "any example",
    "all branches",
    "slowest example",
    "one by one",
    "unknown",
]

# How much a kind matters: of a line it is the largest that is shown.
WEIGHTS: dict[str, int] = {kind: place for place, kind in enumerate(get_args(Kind))}
