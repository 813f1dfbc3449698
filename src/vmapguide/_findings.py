"""The public function `findings`: what cost or surprised, with limits and codes of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vmapguide._advice import wrong_calls
from vmapguide._advice.waiting import Waiting
from vmapguide._data import Finding, Limits
from vmapguide._explanation import Explanation
from vmapguide._rules.choose import beginnings, chosen


_DEFAULT = Limits()


def findings(
    explanation: Explanation,
    *,
    min_bytes: int = _DEFAULT.bytes,
    min_factor: float = _DEFAULT.factor,
    select: str | Sequence[str] = (),
    ignore: str | Sequence[str] = (),
) -> tuple[Finding, ...]:
    """Return what cost or surprised in a call that has been explained.

    That is `Explanation.findings` with other limits, or some of them.

    Args:
        explanation: what `explain(f)(...)` has returned.
        min_bytes: copies of fewer bytes than this, all examples together, are passed over.
        min_factor: what is fewer times as much as this is passed over.
        select: the codes to return; all by default. `VG1` stands for all that begin with it.
        ignore: the codes not to return.

    Returns:
        The findings, warnings first, in the order of the program.

    Raises:
        TypeError: if the first argument is no explanation, or another is of a type that it cannot
            be.
        ValueError: if a limit is negative, there is no such code, or an explanation that has been
            pickled is asked for other limits.

    Example:
        >>> import jax, jax.numpy as jnp, vmapguide
        >>> def f(x):
        ...     return jax.lax.cond(x > 0, jnp.sin, jnp.cos, x)
        >>> explanation = vmapguide.explain(f)(jnp.ones(3))
        >>> [finding.code for finding in vmapguide.findings(explanation, select="VG1")]
        ['VG101']
        >>> vmapguide.findings(explanation, ignore=("VG101", "VG5"))
        ()
    """
    _check_explanation(explanation)
    limits = Limits(
        wrong_calls.number("findings", "min_bytes", min_bytes, 0),
        wrong_calls.number("findings", "min_factor", min_factor, 0.0),
    )
    wanted, unwanted = (
        beginnings("findings", name, codes)
        for name, codes in (("select", select), ("ignore", ignore))
    )
    return chosen(explanation.found(limits), wanted, unwanted)


def _check_explanation(explanation: Any) -> None:
    """Raise if what was given as an explanation is none."""
    if isinstance(explanation, Explanation):
        return
    right = "findings(explain(f)(x))"
    if isinstance(explanation, Waiting) and explanation.caller == "explain":
        name = explanation.name
        raise TypeError(
            f"findings: the first argument must be an explanation, but is explain({name}), which "
            f"has not been called yet. Pass what it returns: findings(explain({name})(x))."
        )
    what = "a function" if callable(explanation) else type(explanation).__name__
    raise TypeError(
        f"findings: the first argument must be an explanation, but is {what}. Pass what explain "
        f"returns: {right}."
    )
