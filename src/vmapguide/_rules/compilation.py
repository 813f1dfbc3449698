"""Rules about calls of a program: whether they are compiled, and how often they are traced.

An explanation is of one call. What is said here is known of a program that has run.
"""

from __future__ import annotations

from collections.abc import Iterator

from vmapguide._data import Finding, Rule, Source
from vmapguide._rules.subject import shortened


NOT_COMPILED = Rule(
    "VG701",
    "not compiled",
    "note",
    "What `{code}` makes was called {calls:,} times outside of jax.jit: each time Python runs the "
    "function again, and sends off its operations one by one, {operations:,} in all.",
    "Put jax.jit around it, once: f = jax.jit(jax.vmap(f, ...)), and call that.",
)
TRACED_AGAIN = Rule(
    "VG702",
    "traced again",
    "warning",
    "What `{code}` makes was traced and compiled {programs:,} times for arguments of the same "
    "types, each time with a new function.",
    "Make the function that is compiled once, outside of the loop or of the function that calls "
    "it: jax.jit knows a function by its identity.",
)

RULES = (NOT_COMPILED, TRACED_AGAIN)

# A call outside of `jax.jit` that is not repeated, as where parameters are made, is none to mend.
_REPEATED = 2

# A program may well be compiled a few times, as with other settings or for the last batch.
_COMPILED_OFTEN = 8


def find_calls(
    source: Source, *, eager_calls: int, operations: int, functions: int, programs: int
) -> Iterator[Finding]:
    """Yield what the calls of a `jax.vmap` in a line cost, for arguments of the same types.

    Args:
        source: the line.
        eager_calls: how often what it made was called outside of `jax.jit`.
        operations: how many operations such a call sends off; 0 if it is one compiled function.
        functions: how many functions it was given.
        programs: for how many compiled programs it was traced.
    """
    code = shortened(source)
    if eager_calls >= _REPEATED and operations:
        facts: dict[str, int | str] = {
            "code": code,
            "calls": eager_calls,
            "operations": operations,
        }
        yield Finding(NOT_COMPILED, source, NOT_COMPILED.severity, (), None, None, facts)
    if min(programs, functions) >= _COMPILED_OFTEN:
        facts = {"code": code, "programs": programs}
        yield Finding(TRACED_AGAIN, source, TRACED_AGAIN.severity, (), None, None, facts)
