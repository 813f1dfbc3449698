"""How sure a ratio of timings is: the arithmetic, and how often it errs."""

import math

import numpy as np
import pytest
from jax.scipy.special import betainc

from vmapguide._measure import ratios


RUNS = 400


# Of printed tables: how many standard errors hold 99 %.
QUANTILES = {1: 63.657, 2: 9.925, 3: 5.841, 4: 4.604, 7: 3.499, 8: 3.355, 21: 2.831, 30: 2.750}


@pytest.mark.parametrize("degrees", QUANTILES)
def test_student(degrees: int) -> None:
    """The probabilities are those of the incomplete beta function, the quantile is the table's."""
    for t in (0.0, 0.5, 2.0, 30.0):
        outside = betainc(degrees / 2, 0.5, degrees / (degrees + t**2))
        assert ratios.student_within(t, degrees) == pytest.approx(1 - float(outside), abs=1e-5)
    assert ratios.student_quantile(degrees) == pytest.approx(QUANTILES[degrees], abs=6e-4)


def test_equal_ratios() -> None:
    """Where every round says the same there is no doubt."""
    assert ratios.interval([2.0, 4.0, 8.0], [1.0, 2.0, 4.0]) == pytest.approx((2.0, 2.0))


def test_few_rounds() -> None:
    """Of three nothing is trimmed: the interval is Student's."""
    logs = [0.1, 0.2, 0.4]
    mean, error = np.mean(logs), np.std(logs, ddof=1) / math.sqrt(3)
    expected = [math.exp(mean + sign * QUANTILES[2] * error) for sign in (-1, 1)]
    found = ratios.interval([math.exp(log) for log in logs], [1.0] * 3)
    assert found == pytest.approx(expected, rel=1e-4)


def test_one_round() -> None:
    """Nothing is known."""
    assert not ratios.are_told_apart(ratios.interval([99.0], [1.0]))


def test_an_interrupted_sample_does_not_matter() -> None:
    """A fifth of the rounds may be off by any factor."""
    quiet = [1.0, 1.01, 1.02, 0.99, 0.98, 1.0, 1.01, 0.99, 1.0, 1.0]
    disturbed = [*quiet[:-2], 1e3, 1e6]
    low, high = ratios.interval(disturbed, [1.0] * 10)
    assert 0.9 < low < 1 < high < 1.2


def test_a_clock_that_does_not_move() -> None:
    """No time is no reason to fail."""
    assert ratios.interval([0.0, 0.0], [0.0, 0.0]) == (1.0, 1.0)
    assert ratios.are_told_apart(ratios.interval([1.0, 1.0], [0.0, 0.0]))


def simulated(random: np.random.Generator, rounds: int) -> list[float]:
    """Return samples on a machine that others use: noise, and now and then an interruption."""
    samples = 1e-3 * random.lognormal(0, 0.1, rounds)
    samples += (random.random(rounds) < 0.15) * random.exponential(4e-3, rounds)
    return [float(sample) for sample in samples]


@pytest.mark.parametrize("rounds", [3, 5, 15, 40])
def test_equal_functions_are_hardly_ever_told_apart(rounds: int) -> None:
    """In at most 5 of 100 runs, however few or many rounds there are."""
    random = np.random.default_rng(rounds)
    apart = sum(
        ratios.are_told_apart(ratios.interval(simulated(random, rounds), simulated(random, rounds)))
        for _ in range(RUNS)
    )
    assert apart <= 0.05 * RUNS


@pytest.mark.parametrize(("rounds", "factor"), [(3, 25.0), (15, 1.5), (40, 1.25)])
def test_other_functions_are_mostly_told_apart(rounds: int, factor: float) -> None:
    """The mark is not there always."""
    random = np.random.default_rng(rounds)
    apart = sum(
        ratios.are_told_apart(
            ratios.interval(
                [factor * sample for sample in simulated(random, rounds)],
                simulated(random, rounds),
            )
        )
        for _ in range(RUNS)
    )
    assert apart > 0.5 * RUNS


def test_less_than_the_margin_is_never_told() -> None:
    """However sure it is: one program differs from itself by that much."""
    assert not ratios.are_told_apart((1.03, 1.04))
    assert not ratios.are_told_apart((0.5, 0.96))
    assert ratios.are_told_apart((1.06, 1.07))
    assert ratios.are_told_apart((0.5, 0.9))
