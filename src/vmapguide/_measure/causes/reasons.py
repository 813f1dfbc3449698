"""Say why `jax.vmap` and the loop differ: each known cause is tried out, not guessed. Start here.

Start with `find`, which tries the causes in `CAUSES` in their order, the most certain first. To add
a cause, write a function that takes an `Evidence` and returns a `Found`, and put it into the tuple.
"""

from __future__ import annotations

import contextlib
import functools

import jax

from vmapguide._jaxpr import primitives
from vmapguide._measure import agreement
from vmapguide._measure.both_sides import Results, Sides
from vmapguide._measure.causes.batch_statistics import batch_statistics
from vmapguide._measure.causes.effects import uneven_effects
from vmapguide._measure.causes.evidence import Evidence, Found, Reason, attempt, in_line
from vmapguide._measure.causes.rounding import compare_results, products, rounding
from vmapguide._measure.causes.suspects import taken_out
from vmapguide._trace.call import Call
from vmapguide._trace.trace import Trace, trace


_RANDOM = primitives.with_role("random")


def gather(sides: Sides, results: list[Results], examples: tuple[int, ...]) -> Evidence:
    """Compare the results of both sides, and return these with what is known of the call.

    Args:
        sides: the two sides.
        results: what both sides returned.
        examples: for which examples.
    """
    known = _traced(sides)
    leaves = compare_results(sides, known, results, examples)
    wrong = tuple(number for number, leaf in enumerate(leaves) if not leaf.same)
    return Evidence(sides, known, leaves, examples, unexplained=wrong)


def find(evidence: Evidence) -> tuple[Reason, ...]:
    """Return why the two sides differ, and what is worth a notice even if they do not."""
    reasons: dict[Reason, None] = {}
    for cause in NOTICES + CAUSES:
        if cause in NOTICES or evidence.unexplained:
            found = attempt(functools.partial(cause, evidence), Found())
            reasons |= dict.fromkeys(found.reasons)
            evidence = evidence.explained(found.leaves)
    return tuple(reasons)


def _traced(sides: Sides) -> Trace | None:
    """Return what is known of a call; None if the function needs the values of its arguments."""
    with contextlib.suppress(Exception):
        return trace(Call.of(sides.call.f, sides.call.vmap, *sides.arguments.whole()))
    return None


def shared_keys(evidence: Evidence) -> Found:
    """Find random draws that are the same for all examples."""
    if evidence.trace is None or evidence.sides.arguments.batch_size == 1:
        return Found()
    sources = dict.fromkeys(
        step.source
        for step in evidence.trace.steps
        if step.equation.primitive.name in _RANDOM and step.kind == "shared"
    )
    reasons = (
        Reason(
            "shared key",
            f"All examples draw the same random numbers{in_line(source)}: their key is not mapped. "
            f"If each is to have its own, split the key and map over the keys.",
            source,
        )
        for source in sources
    )
    return Found(tuple(reasons))


def side_effect(evidence: Evidence) -> Found:
    """Find out whether the function returns something else when it is called again."""
    sides = evidence.sides
    for example in evidence.worst_examples:
        one, other = (jax.tree.leaves(sides.one(sides.call.f, example)) for _ in range(2))
        if not all(
            agreement.compare_leaves("", one[leaf], other[leaf]).identical
            for leaf in evidence.unexplained
        ):
            text = (
                f"The function returned something else when it was called again with example "
                f"{example}: it depends on more than its arguments, such as a counter, a list or "
                f"NumPy's random numbers. jax.vmap runs its Python once, the loop once for each "
                f"example. Pass in what it depends on, and return what it changes."
            )
            return Found((Reason("side effect", text),), evidence.unexplained)
    return Found()


# These explain no difference, and are looked for even if there is none.
NOTICES = (shared_keys, uneven_effects)

# These are tried while there is a leaf that differs and is not explained.
CAUSES = (side_effect, batch_statistics, taken_out, products, rounding)

# The codes of what `NOTICES` find.
NOTICE_CODES = frozenset({"shared key", "effect"})
