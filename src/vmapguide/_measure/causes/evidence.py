"""What a cause is given, and what it returns: `Evidence`, `Found` and `Reason`.

A cause is a function that takes an `Evidence` and returns a `Found`: the reasons that it has found,
and the leaves of the results whose difference these explain. `reasons` has the list of causes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, TypeVar

from vmapguide._data import LeafResult, Source
from vmapguide._measure.both_sides import Sides
from vmapguide._trace.trace import Trace


T = TypeVar("T")

ReasonCode = Literal[
    "side effect",
    "batch statistic",
    "custom_vmap rule",
    "rbg key",
    "precision of products",
    "rounding",
    "shared key",
    "effect",
]

# Looking for a reason runs the user's function again, and changed: it may fail where it did not
# before. A check must not fail for that. A fault in a cause would then pass unnoticed, and so the
# tests set this (`tests/conftest.py`).
RAISES_ERRORS = False


@dataclass(frozen=True)
class Reason:
    """Why `jax.vmap` and the Python loop differ.

    Attributes:
        code: the cause. `side effect`: the function returns something else when it is called
            again. `batch statistic`: a collective mixes the examples, or asks for the place of
            one. `custom_vmap rule`: the function's own batching rule gives something else than the
            function. `rbg key`: the generator of the key draws a batch of numbers differently from
            one number after the other. `precision of products`: the device computes a matrix
            product with fewer digits than the loop's matrix-vector product. `rounding`: the same
            sums in another order. `shared key`: no difference, but all examples draw the same
            random numbers. `effect`: no difference, but a print or a callback runs for more or for
            fewer examples.
        text: what was found, and what to do about it.
        source: the line of the user's that it is about; None if it is not known, or about all.

    Example:
        >>> import jax, jax.numpy as jnp, vmapguide
        >>> def noisy(key, x):
        ...     return x + jax.random.normal(key, x.shape)
        >>> check = vmapguide.check(noisy, in_axes=(None, 0))(jax.random.key(0), jnp.ones((3, 2)))
        >>> reason, = check.reasons
        >>> check.same, reason.code
        (True, 'shared key')
    """

    code: ReasonCode
    text: str
    source: Source | None = None

    def to_dict(self) -> dict[str, object]:
        """Return the fields as plain data."""
        source = self.source and self.source.to_dict()
        return {"code": self.code, "text": self.text, "source": source}


class Found(NamedTuple):
    """What a cause has found: reasons, and the numbers of the leaves that they explain."""

    reasons: tuple[Reason, ...] = ()
    leaves: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a cause may look at.

    Attributes:
        sides: the two sides, which a cause may run again.
        trace: what is known of the call; None if the function cannot be traced.
        leaves: how the leaves of the results compare.
        examples: the examples that were compared.
        unexplained: the numbers of the leaves that differ and that no cause explains yet.
    """

    sides: Sides
    trace: Trace | None
    leaves: tuple[LeafResult, ...]
    examples: tuple[int, ...]
    unexplained: tuple[int, ...]

    @property
    def worst_examples(self) -> tuple[int, ...]:
        """The examples in which the unexplained leaves differ most, each once."""
        indices = (self.leaves[leaf].index or (0,) for leaf in self.unexplained)
        return tuple(dict.fromkeys(self.examples[index[0]] for index in indices))

    def differing(self, f: Callable[..., object], leaves: Iterable[int]) -> tuple[int, ...]:
        """Return those leaves that differ in `f` by more than the default tolerances.

        Args:
            f: the function of the user's, changed. It runs on both sides, in the loop for the
                examples that differ most.
            leaves: the numbers of the leaves to look at.
        """
        results = Sides(self.sides.call, None, None).compare(f, self.worst_examples)
        return tuple(leaf for leaf in leaves if not results[leaf].same)

    def explained(self, leaves: Iterable[int]) -> Evidence:
        """Return the evidence that is left if these leaves are explained."""
        left = (leaf for leaf in self.unexplained if leaf not in leaves)
        return replace(self, unexplained=tuple(left))


def attempt(look: Callable[[], T], otherwise: T) -> T:
    """Return what a function returns, or something else if it fails, see `RAISES_ERRORS`."""
    try:
        return look()
    except Exception:
        if RAISES_ERRORS:
            raise
        return otherwise


def in_line(source: Source | None) -> str:
    """Return the place of the user's code as a part of a sentence; "" if it is not known."""
    if source is None:
        return ""
    return f" in line {source.line} ({' '.join(source.expression.split())})"
