"""How sure is the ratio of two timings that were taken in turns? Start with `interval`.

Two samples of one round were taken right after each other, and what kept the machine busy then did
so for both. So their ratio is looked at, round by round: a paired comparison, after Kalibera and
Jones, Rigorous Benchmarking in Reasonable Time (2013), who ask how sure a ratio is and not whether
two numbers differ. Interrupted samples are far away from the others. The interval is that of a
trimmed mean (Tukey and McLaughlin, 1963; Yuen, 1974), which a fifth of the samples at each end
cannot move.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence


# So sure is the interval, and this part of the samples is left out at each end.
_CONFIDENCE = 0.99
_TRIMMED = 0.2

# Where code and data happen to lie in memory makes this much of a difference between two runs of
# one program (Mytkowicz et al., Producing Wrong Data Without Doing Anything Obviously Wrong, 2009).
MARGIN = 0.05

# A clock that did not move has moved less than this many seconds.
_INSTANT = 1e-12


def interval(samples: Sequence[float], others: Sequence[float]) -> tuple[float, float]:
    """Return between which bounds the ratio of two timings is, with a confidence of 99 %.

    Args:
        samples: seconds, round by round.
        others: seconds of what it is compared with, of the same rounds.
    """
    logs = sorted(
        math.log(max(one, _INSTANT) / max(other, _INSTANT))
        for one, other in zip(samples, others, strict=True)
    )
    if len(logs) < 2:  # noqa: PLR2004 - one number does not say how far it is off.
        return 0.0, math.inf
    cut = int(_TRIMMED * len(logs))
    kept = logs[cut : len(logs) - cut]
    winsorised = [kept[0]] * cut + kept + [kept[-1]] * cut
    error = statistics.stdev(winsorised) * math.sqrt(len(logs)) / len(kept)
    centre, reach = statistics.fmean(kept), student_quantile(len(kept) - 1) * error
    return math.exp(centre - reach), math.exp(min(centre + reach, 700))


def are_told_apart(bounds: tuple[float, float]) -> bool:
    """Say whether all of an interval is further from 1 than chance puts one program from itself."""
    low, high = bounds
    return low > 1 + MARGIN or high < 1 / (1 + MARGIN)


def student_quantile(degrees: int, confidence: float = _CONFIDENCE) -> float:
    """Return within how many standard errors of zero Student's t is, with some confidence."""
    low, high = 0.0, 1.0
    while student_within(high, degrees) < confidence:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (
            (middle, high) if student_within(middle, degrees) < confidence else (low, middle)
        )
    return high


def student_within(t: float, degrees: int) -> float:
    """Return how likely Student's t is within `t` of zero.

    The finite sums 26.7.3 and 26.7.4 of Abramowitz and Stegun, Handbook of Mathematical Functions.
    """
    angle = math.atan(t / math.sqrt(degrees))
    is_odd = degrees % 2
    term, total = math.cos(angle) if is_odd else 1.0, 0.0
    for k in range(degrees // 2):
        total += term
        n = 2 * k + 1 + is_odd
        term *= n / (n + 1) * math.cos(angle) ** 2
    total *= math.sin(angle)
    return 2 / math.pi * (angle + total) if is_odd else total
