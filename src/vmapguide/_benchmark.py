"""The public function `benchmark`: which of these functions is fastest?

Start with `benchmark`, which returns a `Benchmark`. `_measure.timing` calls the functions in turns
and reads the clock, `_measure.ratios` says how sure the ratio of two timings is, and
`_show.benchmark` makes a report. The report shows ratios first: a busy machine makes both times
longer, and the ratio of two functions that were called in turns hardly changes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax

from vmapguide._advice import wrong_calls
from vmapguide._advice.waiting import waiting
from vmapguide._measure import batches, ratios, side_by_side
from vmapguide._measure.device import device_text
from vmapguide._measure.timing import Runner, Timing, time_in_turns
from vmapguide._show.agreement import summary
from vmapguide._show.benchmark import BenchmarkView, TimedSide, benchmark_report, plot_timings
from vmapguide._show.report import Report, Reported


@dataclass(frozen=True, repr=False, eq=False)
class Benchmark(Reported):
    """How long functions took: `str()` in a terminal, a table in a notebook.

    Attributes:
        names: what the functions are called, in the order in which they were given.
        sizes: the batch sizes of the sweep; `(None,)` if there was none.
        timings: for each side its timing at each size; None where it was too slow to be run.
        device: what it ran on.
        same_program: for each size, the groups of sides whose compiled programs are the same: what
            differs between their times is noise. A side is in none if its program holds what XLA
            does not print, such as a large constant, or if it was not compiled.

    Example:
        >>> import jax, jax.numpy as jnp, vmapguide
        >>> result = vmapguide.benchmark(
        ...     loop=lambda X: jnp.stack([jnp.tanh(x).sum() for x in X]),
        ...     vmap=jax.vmap(lambda x: jnp.tanh(x).sum()),
        ...     rounds=3,
        ... )(jnp.ones((8, 5)))
        >>> result.names, result.sizes
        (('loop', 'vmap'), (None,))
        >>> result.timings["vmap"][0].median > 0
        True
    """

    names: tuple[str, ...]
    sizes: tuple[int | None, ...]
    timings: Mapping[str, tuple[Timing | None, ...]]
    device: str
    same_program: tuple[tuple[tuple[str, ...], ...], ...]
    _call: str
    _compiled: Mapping[str, bool]
    _patience: float

    def ratio(self, side: str, to: str, size: int | None = None) -> float:
        """Return how many times as long one side took as another, in the median.

        Args:
            side: the name of a side.
            to: the name of the side to compare it with.
            size: the batch size; of a sweep the last if it is None.

        Raises:
            KeyError: if there is no such side.
            ValueError: if there is no such size, or a side was not run at it.

        Example:
            >>> import jax.numpy as jnp, vmapguide
            >>> result = vmapguide.benchmark(jnp.sin, jnp.sin, rounds=3)(jnp.ones(5))
            >>> result.ratio("sin", to="sin")
            1.0
        """
        return self._timing(side, size).median / self._timing(to, size).median

    def interval(self, side: str, to: str, size: int | None = None) -> tuple[float, float]:
        """Return between which bounds that ratio is, with a confidence of 99 %.

        The samples of one round were taken right after each other, and are compared with each other
        alone. The bounds are those of the trimmed mean of the logarithms of these ratios (Tukey and
        McLaughlin, 1963).

        Args:
            side: the name of a side.
            to: the name of the side to compare it with.
            size: the batch size; of a sweep the last if it is None.

        Raises:
            KeyError: if there is no such side.
            ValueError: if there is no such size, or a side was not run at it.

        Example:
            >>> import jax.numpy as jnp, vmapguide
            >>> result = vmapguide.benchmark(jnp.sin, jnp.sin, rounds=3)(jnp.ones(5))
            >>> low, high = result.interval("sin", to="sin 2")
            >>> low < high
            True
        """
        return ratios.interval(*(self._timing(name, size).seconds for name in (side, to)))

    def told_apart(self, side: str, to: str, size: int | None = None) -> bool:
        """Say whether this run can tell which of two sides is faster.

        It cannot if the two are one compiled program, or if `interval` comes within 5 % of 1: that
        much of a difference there is between two runs of one program.

        Args:
            side: the name of a side.
            to: the name of the side to compare it with.
            size: the batch size; of a sweep the last if it is None.

        Raises:
            KeyError: if there is no such side.
            ValueError: if there is no such size, or a side was not run at it.

        Example:
            >>> import jax.numpy as jnp, vmapguide
            >>> result = vmapguide.benchmark(jnp.sin, jnp.sin, rounds=3)(jnp.ones(5))
            >>> result.told_apart("sin", to="sin 2")
            False
        """
        bounds = self.interval(side, to, size)
        groups = self.same_program[-1 if size is None else self.sizes.index(size)]
        is_one = any({side, to} <= {*group} for group in groups)
        return not is_one and ratios.are_told_apart(bounds)

    def _timing(self, side: str, size: int | None) -> Timing:
        """Return the timing of a side at a size, or raise if there is none."""
        if side not in self.timings:
            raise KeyError(f"benchmark: there is no side {side!r}; there are {self.names}.")
        if size is not None and size not in self.sizes:
            raise ValueError(f"benchmark: there is no size {size}; there are {self.sizes}.")
        timing = self.timings[side][-1 if size is None else self.sizes.index(size)]
        if timing is None:
            raise ValueError(f"benchmark: {side} was too slow to be run at this size.")
        return timing

    def plot(self, ax: Any = None) -> Any:
        """Draw seconds for one call against batch size, both logarithmic.

        Args:
            ax: Matplotlib axes to draw on; new ones if None.

        Returns:
            The axes. The band around a line is the middle half of its samples.

        Raises:
            ValueError: if there was no sweep.
            ImportError: if Matplotlib is not installed.

        Example:
            >>> import jax.numpy as jnp, vmapguide
            >>> run = vmapguide.benchmark(jnp.sin, jnp.sin, sweep=(1, 8), rounds=3)
            >>> result = run(jnp.ones(5))
            >>> result.plot().get_xscale()
            'log'
        """
        if self.sizes == (None,):
            raise ValueError("benchmark: there is one size alone: pass sweep=(1, 8, 64) to plot.")
        return plot_timings(self._as_view(), ax)

    def to_dict(self) -> dict[str, object]:
        """Return the benchmark as plain data, ready for `json.dumps`.

        Returns:
            A dictionary with the keys `schema` (`"vmapguide.benchmark/1"`), `names`, `sizes`,
            `device`, `same_program`, and for each side, by its name, `compiled`, which says whether
            it was, and `timings`, a list of the fields of `Timing`, or None, one for each size.
        """
        return {
            "schema": "vmapguide.benchmark/1",
            "names": list(self.names),
            "sizes": list(self.sizes),
            "device": self.device,
            "same_program": [[*map(list, groups)] for groups in self.same_program],
            "compiled": dict(self._compiled),
            "timings": {
                name: [timing and dataclasses.asdict(timing) for timing in timings]
                for name, timings in self.timings.items()
            },
        }

    def _as_report(self) -> Report:
        return benchmark_report(self._as_view())

    def _as_view(self) -> BenchmarkView:
        return BenchmarkView(
            names=self.names,
            call=self._call,
            device=self.device,
            patience=self._patience,
            compiled=self._compiled,
            sizes={size: tuple(self._timed(i)) for i, size in enumerate(self.sizes)},
            same_program=self.same_program,
        )

    def _timed(self, number: int) -> Iterator[TimedSide]:
        """Yield the sides that ran at one size, the fastest first."""
        ran = {name: t for name in self.names if (t := self.timings[name][number]) is not None}
        order = sorted(ran, key=lambda name: ran[name].median)
        for name in order:
            timing = ran[name]
            yield TimedSide(
                name,
                timing.median,
                (timing.lower_quartile, timing.upper_quartile),
                timing.compiling,
                is_told_apart=name == order[0]
                or self.told_apart(name, order[0], self.sizes[number]),
            )


def benchmark(
    *functions: Callable[..., Any],
    sweep: Sequence[int] | None = None,
    in_axes: Any = 0,
    jit: bool | Mapping[str, bool] = True,
    rounds: int = 15,
    patience: float = 10.0,
    rtol: float | None = None,
    atol: float | None = None,
    progress: bool | None = None,
    **named: Callable[..., Any],
) -> Callable[..., Benchmark]:
    """Make a function that times functions side by side.

    Each is compiled and warmed up; then all are called in turns, round after round, each round
    beginning with another one, so that a busy moment of the machine hits all of them. A sample is
    as many calls as take about a millisecond, going by the quickest of a few, and waits
    until the results are there. Arguments are passed and not captured, so that XLA computes
    nothing of them while it compiles.

    Args:
        functions: the functions to time; they are called by the names they have.
        sweep: batch sizes to time them at. The examples of the arguments are repeated, or left
            out, to make batches of these sizes.
        in_axes: where the batch is in the arguments, as for `jax.vmap`; a sweep needs it.
        jit: whether to compile the functions. If not, they are called as they are. A dictionary
            says it side by side, and what it does not name is compiled: `jax.vmap` does not
            compile, and `benchmark(compiled=g, as_it_is=g, jit={"as_it_is": False})` of
            `g = jax.vmap(f)` shows what that costs.
        rounds: how many samples are taken of each, or fewer, but three, if that takes longer than
            `patience`.
        patience: seconds. What takes longer, to compile or to call, is not run at larger sizes.
        rtol: the relative tolerance within which results must agree; by default that of each
            dtype, see `LeafResult`.
        atol: the absolute tolerance.
        progress: whether to show progress; None for in a terminal, and in a notebook with widgets.
        named: more functions, to be called by these names: `benchmark(loop=f, vmap=jax.vmap(g))`.
            The names of the options above cannot be used for them.

    Returns:
        A function of arguments for all of them, which returns a `Benchmark`.

    Raises:
        TypeError: if there are fewer than two functions, something is not a function, the
            arguments do not fit one of them or have no values, results differ in structure, or an
            option is of the wrong type.
        ValueError: if results differ by more than the tolerances: what does not compute the same
            cannot be compared. Also if a size or another option is no number that it can be, or
            `jit` names a side that is not there.
        Exception: whatever one of the functions raises, with a note that says which.

    Example:
        >>> import jax, jax.numpy as jnp, vmapguide
        >>> def by_hand(X):
        ...     return X / X.sum()
        >>> vmapguide.benchmark(by_hand, jax.vmap(lambda x: x / x.sum()))(jnp.ones((3, 5)))
        Traceback (most recent call last):
            ...
        ValueError: benchmark: by_hand and vmap(<lambda>) do not compute the same: 15 of 15 values
        differ, the most at element (0, 0): 0.2 and not 0.06666667. Mend one of them, or allow for
        the difference with rtol= or atol=.
    """
    options = {"rounds": rounds, "patience": patience, "rtol": rtol, "atol": atol}
    wrong_calls.no_sides(
        "benchmark", sweep=sweep, in_axes=in_axes, jit=jit, progress=progress, **options
    )
    sides = wrong_calls.named_sides("benchmark", functions, named)
    sizes = batches.checked_sizes(sweep)
    compiled = batches.checked_jit(jit, sides)
    rounds = wrong_calls.number("benchmark", "rounds", rounds, 1)
    patience = wrong_calls.number("benchmark", "patience", patience, 0.0)
    rtol, atol = wrong_calls.tolerances("benchmark", rtol, atol)
    progress = progress if progress is None else wrong_calls.flag("benchmark", "progress", progress)

    @waiting("benchmark", None, ", ".join(sides))
    def benchmark_call(*args: Any, **kwargs: Any) -> Benchmark:
        wrong_calls.check_arguments("benchmark", sides, args, kwargs)
        # The first compilation of a process sets things up: no side is to pay for that.
        jax.jit(lambda x: x)(0).block_until_ready()
        timings: dict[str, list[Timing | None]] = {name: [] for name in sides}
        same_program = []
        for size in sizes:
            batch = (args, kwargs) if size is None else batches.resized(args, kwargs, in_axes, size)
            runners = {
                name: Runner("benchmark", name, f, *batch, jit=compiled[name])
                for name, f in sides.items()
                if not side_by_side.is_too_slow(timings[name], patience)
            }
            _check_results(runners, rtol, atol)
            same_program.append(side_by_side.same_programs(runners))
            what = "benchmark" if size is None else f"benchmark, batch size {size}"
            timed = time_in_turns(runners, rounds, patience, what, progress=progress)
            for name in sides:
                timings[name].append(timed.get(name))
        return Benchmark(
            names=tuple(sides),
            sizes=sizes,
            timings={name: tuple(of_side) for name, of_side in timings.items()},
            device=device_text(),
            same_program=tuple(same_program),
            _call=wrong_calls.arguments_text(next(iter(sides.values())), args, kwargs),
            _compiled=compiled,
            _patience=patience,
        )

    return benchmark_call


def _check_results(runners: Mapping[str, Runner], rtol: float | None, atol: float | None) -> None:
    """Raise if sides do not compute the same: the others must agree with the first one."""
    results = {name: runner.result for name, runner in runners.items()}
    wrong_calls.check_structures("benchmark", results)
    if runners and (found := side_by_side.first_disagreement(runners, rtol, atol)):
        other, leaves = found
        raise ValueError(
            f"benchmark: {next(iter(runners))} and {other} do not compute the same: "
            f"{summary(leaves)}. Mend one of them, or allow for the difference with rtol= or "
            f"atol=."
        )
