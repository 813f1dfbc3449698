"""What a benchmark's report holds: which rows and columns, and the plot. `report` lays them out.

`benchmark_report` returns the report, `plot_timings` draws. Both are functions of plain data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

from vmapguide._show.report import Report, Row, Table
from vmapguide._show.words import listed


_NOT_RUN = "–"
_UNSURE = "≈"


@dataclass(frozen=True)
class TimedSide:
    """A side at one batch size, which has run.

    Attributes:
        name: what it is called.
        median: seconds of one call.
        quartiles: seconds, the lower and the upper quartile.
        compiling: seconds; None if it was not compiled.
        is_told_apart: whether it is known that it is slower than the fastest, or it is that.
    """

    name: str
    median: float
    quartiles: tuple[float, float]
    compiling: float | None
    is_told_apart: bool


@dataclass(frozen=True)
class BenchmarkView:
    """Everything that is shown of a benchmark.

    Attributes:
        names: what the sides are called.
        call: the arguments.
        device: what it ran on.
        patience: seconds; what took longer is not run at larger sizes.
        compiled: for each side whether it was compiled.
        sizes: for each batch size, or None, the sides that ran, the fastest first.
        same_program: for each batch size the groups of sides that are one program.
    """

    names: Sequence[str]
    call: str
    device: str
    patience: float
    compiled: Mapping[str, bool]
    sizes: Mapping[int | None, Sequence[TimedSide]]
    same_program: Sequence[Sequence[tuple[str, ...]]]


def benchmark_report(view: BenchmarkView) -> Report:
    """Return what a benchmark found, as a report."""
    return Report(
        title=f"benchmark {' · '.join(view.names)}",
        call=view.call,
        tables=tuple(_table(view, size, sides) for size, sides in view.sizes.items()),
        notes=tuple(_notes(view)),
    )


def _table(view: BenchmarkView, size: int | None, sides: Sequence[TimedSide]) -> Table:
    head = ["", "times the fastest", "one call", "middle half"]
    head += ["compiling"] * any(view.compiled.values())
    rows = [Row(tuple(_cells(side, sides[0]))[: len(head)]) for side in sides]
    ran = {side.name for side in sides}
    rows += [
        Row((name, *[_NOT_RUN] * (len(head) - 1)), faded=True)
        for name in view.names
        if name not in ran
    ]
    caption = "" if size is None else f"batch size {size:,}"
    return Table(tuple(head), tuple(rows), frozenset(range(1, len(head))), caption=caption)


def _cells(side: TimedSide, fastest: TimedSide) -> Iterator[str]:
    yield side.name
    yield f"{'' if side.is_told_apart else f'{_UNSURE} '}{side.median / fastest.median:.3g}"
    yield _seconds(side.median)
    yield " to ".join(map(_seconds, side.quartiles))
    yield "not" if side.compiling is None else _seconds(side.compiling)


def _notes(view: BenchmarkView) -> Iterator[str]:
    as_it_is = [name for name in view.names if not view.compiled[name]]
    state = f"Compiled, but {listed(as_it_is)}" if as_it_is else "Compiled"
    if len(as_it_is) == len(view.names):
        state = "As they are"
    yield f"{state}, on {view.device}."
    yield from _about_programs(view)
    if not all(side.is_told_apart for sides in view.sizes.values() for side in sides):
        yield (
            f"{_UNSURE}: not told apart from the fastest. The two are one program, or their "
            f"difference is not above 5 % with a confidence of 99 %."
        )
    if any(len(sides) < len(view.names) for sides in view.sizes.values()):
        yield f"{_NOT_RUN}: not run. It took more than {view.patience:g} s at a smaller size."


def _about_programs(view: BenchmarkView) -> Iterator[str]:
    """Yield which sides are one program, and at which sizes unless it is at all of them."""
    sizes: dict[tuple[str, ...], list[int | None]] = {}
    for size, groups in zip(view.sizes, view.same_program, strict=True):
        for group in groups:
            sizes.setdefault(group, []).append(size)
    for group, where in sizes.items():
        at = "" if len(where) == len(view.sizes) else f" at batch size {listed(where)}"
        yield (
            f"{listed(group)} are one compiled program{at}: what differs between their times "
            f"is noise."
        )


def _seconds(seconds: float) -> str:
    for unit, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= unit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds / 1e-9:.3g} ns"


def plot_timings(view: BenchmarkView, ax: Any) -> Any:
    """Draw seconds for one call against batch size on Matplotlib axes, new ones if None."""
    try:
        import matplotlib.pyplot as plt  # noqa: PLC0415 - an extra.
    except ImportError as error:
        raise ImportError(
            'benchmark: plot needs Matplotlib: pip install ".[plot]" in the checkout.'
        ) from error
    with plt.style.context("vmapguide.assets.figure"):
        ax = plt.subplots()[1] if ax is None else ax
        for name, marker in zip(view.names, cycle("os^Dvx"), strict=False):
            points = [
                (n, side) for n, sides in view.sizes.items() for side in sides if side.name == name
            ]
            sizes = [size for size, _ in points]
            (line,) = ax.plot(sizes, [side.median for _, side in points], marker=marker, label=name)
            low, high = ([side.quartiles[i] for _, side in points] for i in (0, 1))
            ax.fill_between(sizes, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
        ax.set(xscale="log", yscale="log", xlabel="batch size", ylabel="seconds for one call")
        ax.set_xticks([*view.sizes], [str(size) for size in view.sizes])
        ax.legend()
    return ax
