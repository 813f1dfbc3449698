"""Time functions: call them in turns, with samples long enough for the clock.

Make a `Runner` of each function, which compiles it and runs it once, and pass the runners to
`time_in_turns`, which returns a `Timing` for each.
"""

from __future__ import annotations

import functools
import math
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import jax
import jax.numpy as jnp

from vmapguide._advice import wrong_calls
from vmapguide._measure import xla
from vmapguide._measure.progress import tracked


# A sample takes at least this many seconds, by as many calls as that takes, but no more than this.
_SAMPLE = 1e-3
_MOST_CALLS = 10_000

# Before samples are taken, so many calls show how long a call takes; fewer if the calls take longer
# than this many seconds in all.
_TRIALS = 10
_TRYING = 0.1

# Quartiles need at least three samples.
_FEWEST = 3


@dataclass(frozen=True)
class Timing:
    """How long one call of a function took.

    Attributes:
        median: seconds, the median of the samples.
        lower_quartile: seconds, a quarter of the samples took less.
        upper_quartile: seconds, a quarter of the samples took more.
        compiling: seconds that tracing and compiling took; None if it was not compiled.
        calls: how many calls make a sample.
        samples: how many samples were taken.
        seconds: the samples, round by round: seconds of one call, the average of a sample.

    Example:
        >>> import jax.numpy as jnp, vmapguide
        >>> result = vmapguide.benchmark(jnp.sin, jnp.sin, rounds=3)(jnp.ones(5))
        >>> timing, = result.timings["sin"]
        >>> timing.lower_quartile <= timing.median <= timing.upper_quartile, timing.samples
        (True, 3)
    """

    median: float
    lower_quartile: float
    upper_quartile: float
    compiling: float | None
    calls: int
    samples: int
    seconds: tuple[float, ...]


class Runner:
    """A function with its arguments, compiled if it is to be, run once, and ready to be timed."""

    def __init__(
        self, caller: str, name: str, f: Callable[..., Any], args: Any, kwargs: Any, *, jit: bool
    ) -> None:
        """Compile the function, call it once, and find out how many calls make a sample."""
        self.compiling: float | None = None
        self.program: str | None = None
        self.given, self.original = f, (args, kwargs)
        # A function may donate its arguments, and the user's own must survive that.
        self.args, self.kwargs = _copied((args, kwargs))
        self._naming = functools.partial(wrong_calls.naming, caller, name, f, args, kwargs)
        with self._naming():
            if jit:
                start = perf_counter()
                f = jax.jit(f).lower(*args, **kwargs).compile()
                self.compiling = perf_counter() - start
                self.program = xla.whole_text(f)
            self.f = f
            self.result = jax.block_until_ready(self.f(*self.args, **self.kwargs))
        self.donates = any(
            isinstance(leaf, jax.Array) and leaf.is_deleted()
            for leaf in jax.tree.leaves((self.args, self.kwargs))
        )
        self.calls = 1
        # The first call may have set things up, and any call may be interrupted. An interrupted one
        # would mean fewer calls in a sample, in which starting a sample weighs more: two sides that
        # are one program would differ. Every trial is as long a sample as the quickest one before
        # it allows: on a busy machine each single call may be interrupted, but not all of many.
        self.seconds, spent = math.inf, 0.0
        for _ in range(_TRIALS):
            took = self.sample()
            spent += took * self.calls
            self.seconds = min(self.seconds, took)
            if not self.donates:
                self.calls = min(max(1, round(_SAMPLE / max(self.seconds, 1e-9))), _MOST_CALLS)
            if spent >= _TRYING:
                break

    def sample(self) -> float:
        """Return how many seconds one call took, on the average of a sample."""
        if self.donates:
            self.args, self.kwargs = _copied(self.original)
        with self._naming():
            start = perf_counter()
            for _ in range(self.calls):
                result = self.f(*self.args, **self.kwargs)
            jax.block_until_ready(result)
            return (perf_counter() - start) / self.calls


def time_in_turns(
    runners: Mapping[str, Runner],
    rounds: int,
    patience: float,
    what: str,
    *,
    progress: bool | None,
) -> dict[str, Timing]:
    """Time functions in turns, every round beginning with another one.

    Args:
        runners: the functions.
        rounds: how many samples to take of each.
        patience: how many seconds all samples of all functions may take together; three of each
            are taken however long that is.
        what: what to call it where progress is shown.
        progress: whether to show progress, see `tracked`.
    """
    samples: dict[str, list[float]] = {name: [] for name in runners}
    names = [*runners]
    if not names:
        return {}
    one_round = sum(runner.seconds * runner.calls for runner in runners.values())
    rounds = min(rounds, max(_FEWEST, int(patience / max(one_round, 1e-9))))
    for number in tracked(range(rounds), what, rounds, progress=progress):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            samples[name].append(runners[name].sample())
    return {name: _timing(runners[name], samples[name]) for name in names}


def _timing(runner: Runner, samples: list[float]) -> Timing:
    low, high = samples[0], samples[0]
    if len(samples) > 1:
        low, _, high = statistics.quantiles(samples, n=4, method="inclusive")
    return Timing(
        median=statistics.median(samples),
        lower_quartile=low,
        upper_quartile=high,
        compiling=runner.compiling,
        calls=runner.calls,
        samples=len(samples),
        seconds=tuple(samples),
    )


def _copied(arguments: Any) -> Any:
    """Return arguments with copies of their arrays, which are there already."""
    copies = jax.tree.map(
        lambda leaf: jnp.array(leaf) if isinstance(leaf, jax.Array) else leaf, arguments
    )
    return jax.block_until_ready(copies)
