"""The function that `explain(f)` and its like return: it waits for arguments, and says so.

`waiting` decorates what a public function returns.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar


P = ParamSpec("P")
R = TypeVar("R")


class Waiting(Generic[P, R]):
    """A function that vmapguide made and that has not been called: `explain(f)`.

    To everyone who asks it is `f`, as with `functools.wraps`, but not to who prints it.
    """

    def __init__(
        self, caller: str, f: Callable[..., Any] | None, name: str, call: Callable[P, R]
    ) -> None:
        """Take who made it, of which function, what the user calls that, and what it does."""
        functools.update_wrapper(self, f or call)
        self.caller = caller
        self.name = name
        self.call = call

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Do it."""
        return self.call(*args, **kwargs)

    def __repr__(self) -> str:
        """Say what this is and that it wants to be called."""
        made = f"{self.caller}({self.name})"
        return f"<{made}, waiting for the arguments: {made}(x)>"


def waiting(
    caller: str, f: Callable[..., Any] | None, name: str
) -> Callable[[Callable[P, R]], Waiting[P, R]]:
    """Decorate what a public function returns: `@waiting("explain", f, "f")`."""
    return functools.partial(Waiting, caller, f, name)
