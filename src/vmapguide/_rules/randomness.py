"""Rules about random numbers: which keys draw them, and for whom."""

from __future__ import annotations

from collections.abc import Iterator

from vmapguide._data import Finding, Rule
from vmapguide._jaxpr import primitives
from vmapguide._rules.common_draws import follow
from vmapguide._rules.key_uses import used_again
from vmapguide._rules.subject import Subject, code


ONE_KEY = Rule(
    "VG501",
    "one key for all examples",
    "warning",
    "`{code}` draws with one key for the whole batch: all {size} examples get the same random "
    "numbers.",
    "Split the key outside, jax.random.split(key, {size}), and map over the keys; or give the "
    "batch axis a name and fold in the number of the example: jax.random.fold_in(key, "
    'jax.lax.axis_index("batch")).',
)
FIRST_KEY = Rule(
    "VG502",
    "only the first key is used",
    "warning",
    "`{code}` draws with a generator that knows no batches: vmap draws for all examples with the "
    "first key, and the numbers are not those that a loop over the keys draws.",
    "If each example must get what its own key gives, make the keys with "
    'jax.random.key(seed, impl="threefry2x32"), the default, or draw in jax.lax.map.',
)
USED_AGAIN = Rule(
    "VG503",
    "key used again",
    "warning",
    "`{code}` uses a key that `{other}`{place} has used already: what the two give depends on each "
    "other.",
    "Use a key once: split it first, a, b = jax.random.split(key), and give each of the two calls "
    "a key of its own.",
)

RULES = (ONE_KEY, FIRST_KEY, USED_AGAIN)


def find(subject: Subject) -> Iterator[Finding]:
    """Yield what is surprising about random numbers."""
    if not any(primitives.traits(s.equation.primitive.name).consumes_key for s in subject.steps):
        return
    # A batch of one has nothing in common with anyone, and its first key is its only one.
    if subject.size > 1 and subject.shapes:
        draws = follow(subject)
        for step, is_said in draws.common:
            # Who passes a key with None has said that it is shared.
            yield subject.found(ONE_KEY, step, is_severe=not is_said, size=subject.size)
        for step in draws.together:
            yield subject.found(FIRST_KEY, step)
    for step, before in used_again(subject):
        lines = [found.source and found.source.line for found in (step, before)]
        place = f" in line {lines[1]}" if lines[1] and lines[0] != lines[1] else ""
        yield subject.found(USED_AGAIN, step, other=code(before), place=place)
