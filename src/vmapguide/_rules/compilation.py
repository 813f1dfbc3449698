"""Rules about calls of a program: whether they are compiled, and how often they are traced.

An explanation is of one call. What is said here is known of a program that has run.
"""

from __future__ import annotations

from collections.abc import Iterator

from vmapguide._data import Finding, Rule, Source


NOT_COMPILED = Rule(
    "VG701",
    "not compiled",
    "note",
    "What `{code}` makes was called {calls:,} times outside of jax.jit: each time Python runs the "
    "function again, and each of its {equations:,} operations is sent off by itself.",
    "Put jax.jit around it, once: f = jax.jit(jax.vmap(f, ...)), and call that.",
)
TRACED_AGAIN = Rule(
    "VG702",
    "traced again",
    "warning",
    "What `{code}` makes was traced {calls:,} times for arguments of the same types, each time "
    "with a new function.",
    "Make the function that is compiled once, outside of the loop or of the function that calls "
    "it: jax.jit knows a function by its identity.",
)

RULES = (NOT_COMPILED, TRACED_AGAIN)

# A call outside of `jax.jit` that is not repeated, as where parameters are made, is none to mend.
_REPEATED = 2

# JAX traces some functions more than once, such as the body of a scan, and those of derivatives.
_TRACED_OFTEN = 8


def find_calls(
    source: Source, *, calls: int, eager_calls: int, functions: int, equations: int
) -> Iterator[Finding]:
    """Yield what the calls of a `jax.vmap` in a line cost.

    Args:
        source: the line.
        calls: how often what it made was called with arguments of the same types.
        eager_calls: how often of these outside of `jax.jit`.
        functions: how many functions it was given.
        equations: how many equations one example has.
    """
    code = source.text.replace("`", "'")
    if eager_calls >= _REPEATED:
        facts: dict[str, int | str] = {"code": code, "calls": eager_calls, "equations": equations}
        yield Finding(NOT_COMPILED, source, NOT_COMPILED.severity, (), None, None, facts)
    traced = calls - eager_calls
    if min(traced, functions) >= _TRACED_OFTEN:
        facts = {"code": code, "calls": traced}
        yield Finding(TRACED_AGAIN, source, TRACED_AGAIN.severity, (), None, None, facts)
