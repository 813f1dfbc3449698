"""`benchmark`: which of these functions is fastest, honestly.

Here is the call and the value it returns; the clock is read in `_timing`. Ratios come first:
machines are noisy, and a ratio of two functions that were timed in turns is less so than a time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from vmapguide._advice import wrong_calls
from vmapguide._advice.waiting import waiting
from vmapguide._measure import agreement, batches, precision, ratios
from vmapguide._measure.timing import Runner, Timing, time_in_turns
from vmapguide._show.agreement import summary
from vmapguide._show.report import Report, Reported, Row, Table
from vmapguide._trace.names import leaf_names


_NOT_RUN = "–"
_UNSURE = "≈"


@dataclass(frozen=True, repr=False, eq=False)
class Benchmark(Reported):
    """How long functions took: `str()` in a terminal, a table in a notebook.

    Attributes:
        sides: what the functions are called, in the order in which they were given.
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
        >>> result.sides, result.sizes
        (('loop', 'vmap'), (None,))
        >>> result.timings["vmap"][0].median > 0
        True
    """

    sides: tuple[str, ...]
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
        if side not in self.timings:
            raise KeyError(f"benchmark: there is no side {side!r}; there are {self.sides}.")
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
        try:
            import matplotlib.pyplot as plt  # noqa: PLC0415 - an extra.
        except ImportError as error:
            raise ImportError(
                'benchmark: plot needs Matplotlib: pip install ".[plot]" in the checkout.'
            ) from error
        with plt.style.context("vmapguide.assets.figure"):
            ax = plt.subplots()[1] if ax is None else ax
            for name, marker in zip(self.sides, _markers(), strict=False):
                points = [
                    (size, t)
                    for size, t in zip(self.sizes, self.timings[name], strict=True)
                    if t is not None
                ]
                sizes = [size for size, _ in points]
                (line,) = ax.plot(sizes, [t.median for _, t in points], marker=marker, label=name)
                low, high = [t.low for _, t in points], [t.high for _, t in points]
                ax.fill_between(sizes, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
            ax.set(xscale="log", yscale="log", xlabel="batch size", ylabel="seconds for one call")
            ax.set_xticks(self.sizes, [str(size) for size in self.sizes])
            ax.legend()
        return ax

    def to_dict(self) -> dict[str, object]:
        """Return the benchmark as plain data, ready for `json.dumps`.

        Returns:
            A dictionary with the keys `schema` (`"vmapguide.benchmark/1"`), `sides`, `sizes`,
            `device`, `same_program`, and for each side, by its name, `compiled`, which says whether
            it was, and `timings`, a list of the fields of `Timing`, or None, one for each size.
        """
        return {
            "schema": "vmapguide.benchmark/1",
            "sides": list(self.sides),
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
        head: tuple[str, ...] = ("", "times the fastest", "one call", "middle half")
        head += ("compiling",) if any(self._compiled.values()) else ()
        tables = tuple(
            Table(
                head,
                tuple(self._rows(i)),
                frozenset(range(1, len(head))),
                caption="" if size is None else f"batch size {size:,}",
            )
            for i, size in enumerate(self.sizes)
        )
        as_it_is = [name for name in self.sides if not self._compiled[name]]
        state = f"Compiled, but {_listed(as_it_is)}" if as_it_is else "Compiled"
        if len(as_it_is) == len(self.sides):
            state = "As they are"
        notes = [f"{state}, on {self.device}.", *self._about_programs()]
        if any(str(row.cells[1]).startswith(_UNSURE) for table in tables for row in table.rows):
            notes.append(
                f"{_UNSURE}: not told apart from the fastest. The two are one program, or their "
                f"difference is not above 5 % with a confidence of 99 %."
            )
        if any(None in timings for timings in self.timings.values()):
            notes.append(
                f"{_NOT_RUN}: not run. It took more than {self._patience:g} s at a smaller size."
            )
        title = f"benchmark {' · '.join(self.sides)}"
        return Report(title, self._call, tables=tables, notes=tuple(notes))

    def _rows(self, i: int) -> Iterator[Row]:
        """Yield the rows of one size, the fastest first."""
        ran = {name: t for name in self.sides if (t := self.timings[name][i]) is not None}
        order = sorted(ran, key=lambda name: ran[name].median)
        for name in order:
            timing, fastest = ran[name], ran[order[0]]
            unsure = name != order[0] and not self.told_apart(name, order[0], self.sizes[i])
            ratio = f"{_UNSURE + ' ' if unsure else ''}{timing.median / fastest.median:.3g}"
            spread = f"{_seconds(timing.low)} to {_seconds(timing.high)}"
            cells: tuple[str, ...] = (name, ratio, _seconds(timing.median), spread)
            if any(self._compiled.values()):
                cells += ("not" if timing.compiling is None else _seconds(timing.compiling),)
            yield Row(cells)
        width = 5 if any(self._compiled.values()) else 4
        for name in self.sides:
            if name not in ran:
                yield Row((name, *[_NOT_RUN] * (width - 1)), faded=True)

    def _about_programs(self) -> Iterator[str]:
        """Yield which sides are one program: at which sizes, unless it is at all."""
        sizes: dict[tuple[str, ...], list[int | None]] = {}
        for size, groups in zip(self.sizes, self.same_program, strict=True):
            for group in groups:
                sizes.setdefault(group, []).append(size)
        for group, where in sizes.items():
            at = "" if len(where) == len(self.sizes) else f" at batch size {_listed(where)}"
            yield (
                f"{_listed(group)} are one compiled program{at}: what differs between their times "
                f"is noise."
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
        batches.check_arguments(sides, args, kwargs)
        # The first compilation of a process sets things up: no side is to pay for that.
        jax.jit(lambda x: x)(0).block_until_ready()
        timings: dict[str, list[Timing | None]] = {name: [] for name in sides}
        same_program = []
        for size in sizes:
            resized = (
                (args, kwargs) if size is None else batches.resized(args, kwargs, in_axes, size)
            )
            running = {
                name: f for name, f in sides.items() if not _too_slow(timings[name], patience)
            }
            runners = {
                name: Runner("benchmark", name, f, *resized, jit=compiled[name])
                for name, f in running.items()
            }
            _check_results(runners, rtol, atol)
            same_program.append(_groups({name: r.program for name, r in runners.items()}))
            what = "benchmark" if size is None else f"benchmark, batch size {size}"
            timed = time_in_turns(runners, rounds, patience, what, progress=progress)
            for name, list_ in timings.items():
                list_.append(timed.get(name))
        names = leaf_names(next(iter(sides.values())), args, kwargs)
        types = map(wrong_calls.describe, jax.tree.leaves((args, kwargs)))
        return Benchmark(
            sides=tuple(sides),
            sizes=sizes,
            timings={name: tuple(list_) for name, list_ in timings.items()},
            device=device(),
            same_program=tuple(same_program),
            _call=", ".join(map("{}: {}".format, names, types)),
            _compiled=compiled,
            _patience=patience,
        )

    return benchmark_call


def device() -> str:
    """Return what JAX runs on: the machine, JAX's version and its backend."""
    first = jax.devices()[0]
    kind = first.device_kind
    if first.platform == "cpu":
        cpuinfo = Path("/proc/cpuinfo")
        lines = cpuinfo.read_text("utf-8").splitlines() if cpuinfo.exists() else []
        models = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
        model = models[0] if models else platform.processor() or platform.machine()
        kind = f"{os.cpu_count()} cores of {model}"
    return f"{kind}, JAX {jax.__version__} on its {first.platform} backend"


def _groups(programs: Mapping[str, str | None]) -> tuple[tuple[str, ...], ...]:
    """Return the groups of sides that have the same program."""
    groups: dict[str, tuple[str, ...]] = {}
    for name, program in programs.items():
        if program is not None:
            groups[program] = (*groups.get(program, ()), name)
    return tuple(group for group in groups.values() if len(group) > 1)


def _listed(names: Iterable[Any]) -> str:
    *others, last = map(str, names)
    return f"{', '.join(others)} and {last}" if others else last


def _check_results(runners: Mapping[str, Runner], rtol: float | None, atol: float | None) -> None:
    """Raise if sides do not compute the same: the first one is what the others must agree with."""
    results = {name: runner.result for name, runner in runners.items()}
    wrong_calls.check_structures("benchmark", results)
    for name, actual in [*results.items()][1:]:
        first, expected = next(iter(results.items()))
        leaves = agreement.compare_trees(expected, actual, rtol, atol)
        if not all(leaf.same for leaf in leaves):
            # On some devices a product of matrices has fewer digits than the loop over its rows.
            epsilon = max(_epsilon(runners[first]), _epsilon(runners[name]))
            leaves = agreement.compare_trees(expected, actual, rtol, atol, epsilon=epsilon)
        if not all(leaf.same for leaf in leaves):
            raise ValueError(
                f"benchmark: {first} and {name} do not compute the same: "
                f"{summary(leaves)}. Mend one of them, or allow for the difference with "
                f"rtol= or atol=."
            )


def _epsilon(runner: Runner) -> float:
    """Return how exactly the device computes the products of a side, 0 if that is not known."""
    args, kwargs = runner.original
    # What runs as it is need not be something that JAX can trace.
    with contextlib.suppress(Exception):
        return precision.of_program(jax.make_jaxpr(runner.given)(*args, **kwargs))
    return 0.0


def _too_slow(timings: Sequence[Timing | None], patience: float) -> bool:
    """Say whether a side has lost the right to be run at larger sizes."""
    if not timings:
        return False
    last = timings[-1]
    return last is None or max(last.median, last.compiling or 0) > patience


def _markers() -> Iterator[str]:
    while True:
        yield from "os^Dvx"


def _seconds(seconds: float) -> str:
    for unit, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= unit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds / 1e-9:.3g} ns"
