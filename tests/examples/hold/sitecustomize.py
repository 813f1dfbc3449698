"""Hold a process at a point of its work, for a test that ends it there; the program knows nothing.

Python runs this first where the folder is on its path. HOLD_AT is a line, behind which who prints
it waits for ever; or, as `os.rename 4.tmp`, what is about to be done to the path that ends so.
"""

import builtins
import os
import sys
import time
from typing import Any


HOLD_AT = os.environ.get("HOLD_AT", "")
EVENT, _, PATH = HOLD_AT.partition(" ")
printed = builtins.print


def hold() -> None:
    """Say so, and wait."""
    os.write(2, b"held\n")
    while True:
        time.sleep(60)


def print_and_hold(*values: object, **options: Any) -> None:
    """Print, and wait if it was the line."""
    printed(*values, **options)
    if values and values[0] == HOLD_AT:
        hold()


def watch(event: str, arguments: tuple[object, ...]) -> None:
    """Wait if this is what is about to be done."""
    if event == EVENT and str(arguments[0]).endswith(PATH):
        hold()


if HOLD_AT.startswith(("open ", "os.")):
    sys.addaudithook(watch)
elif HOLD_AT:
    builtins.print = print_and_hold
