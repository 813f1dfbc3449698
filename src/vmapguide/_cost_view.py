"""The view of a cost: what each of the user's lines costs, and the totals beside XLA's.

Pure functions of plain data, like `_report`, which prints what is made here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vmapguide import _report
from vmapguide._report import Row, Table


if TYPE_CHECKING:
    from vmapguide.cost import CostStep, Loop, XlaCost

# Counts that differ by less than this part are called the same.
_CLOSE = 0.02


@dataclass(frozen=True)
class View:
    """Everything that is shown of a cost; `scans` are the lengths of its scans."""

    name: str
    call: str
    flops: int
    transcendentals: int
    bytes: int
    loops: Sequence[Loop]
    uncounted: Mapping[str, int]
    steps: Sequence[CostStep]
    sizes: Mapping[str, int]
    xla: XlaCost | None
    xla_error: str | None
    scans: Sequence[int]


@dataclass(frozen=True)
class _Line:
    """A line of the user's: its label, and what its steps cost in one set of unknown loops."""

    label: str
    loops: tuple[str, ...]
    steps: Sequence[CostStep]

    @property
    def flops(self) -> int:
        return sum(step.flops for step in self.steps)

    @property
    def transcendentals(self) -> int:
        return sum(step.transcendentals for step in self.steps)

    @property
    def work(self) -> int:
        return self.flops + self.transcendentals


def report(view: View) -> _report.Report:
    """Return what a cost is, as a report."""
    return _report.Report(
        title=f"cost {view.name}",
        call=view.call,
        tables=(_lines_table(view), _totals_table(view)),
        notes=(*_about_loops(view), *_about_uncounted(view), *differences(view)),
    )


def differences(view: View) -> Iterator[str]:
    """Yield why the counts of the jaxpr are not those of XLA."""
    xla = view.xla
    if xla is None:
        yield (
            f"XLA could not compile the function on its own, so there is nothing to compare with: "
            f"{view.xla_error}"
        )
        return
    if xla.flops is None:
        yield "XLA does not say how many operations the program has."
        return
    ours, theirs = view.flops + view.transcendentals, xla.flops + (xla.transcendentals or 0)
    repeated = [length for length in view.scans if length > 1]
    if repeated and theirs < ours:
        lengths = ", ".join(map(str, sorted(set(repeated))))
        yield (
            f"XLA counts the body of a loop once, however often it runs: of scans of length "
            f"{lengths} here."
        )
    if view.loops:
        names = ", ".join(dict.fromkeys(loop.name for loop in view.loops))
        yield f"How often a while loop runs is not known ({names}); XLA counts one trip."
    if xla.library_calls and theirs < ours:
        yield "XLA does not look into the library functions that the program calls."
    if xla.loops and theirs < ours and not repeated and not view.loops:
        yield (
            "The compiled program has a loop that the jaxpr does not show, such as that of the "
            "random number generator on a CPU. XLA counts its body once."
        )
    unexplained = not (repeated or view.loops or xla.library_calls or xla.loops)
    if theirs < (1 - _CLOSE) * ours and unexplained:
        yield "XLA has merged operations, left some out, or computed them while it compiled."
    if theirs > (1 + _CLOSE) * ours and not view.loops:
        yield (
            "XLA takes several instructions for what is one operation here, such as a special "
            "function or a cumulative sum, or counts index arithmetic."
        )
    if xla.bytes is not None and xla.fuses and xla.bytes < view.bytes and unexplained:
        yield "XLA fuses operations, and what they hand to each other does not go through memory."


def _lines_table(view: View) -> Table:
    batched = any(step.one is not None for step in view.steps)
    lines = [*_lines(view)]
    total = sum(line.work for line in lines)
    most = _most(view, lines)
    head = ["your line", "FLOPs", "exp, …", "share", "bytes"]
    head += ["times one example"] if batched else []
    rows = []
    for line in lines:
        trips = "".join(f" · {name}" for name in line.loops)
        share = f"{line.work / total:.0%}" if total and not line.loops else ""
        share += ", most" if line is most else ""
        moved = sum(step.bytes for step in line.steps)
        cells = [line.label, *(f"{n:,}{trips}" for n in (line.flops, line.transcendentals)), share]
        cells += [f"{_bytes(moved)}{trips}"]
        cells += [_factor(line)] if batched else []
        rows.append(Row(tuple(cells), faded=line.work == 0))
    return Table(tuple(head), tuple(rows), frozenset(range(1, len(head))))


def _most(view: View, lines: Sequence[_Line]) -> _Line | None:
    """Return the line that costs most, if there are several and all that they cost is known."""
    working = [line for line in lines if line.work]
    if len(working) < 2 or view.loops or view.uncounted:  # noqa: PLR2004 - two are several.
        return None
    return max(working, key=lambda line: line.work)


def _lines(view: View) -> Iterator[_Line]:
    """Yield the user's lines, in the order of the program."""
    found: dict[tuple[object, ...], list[CostStep]] = {}
    for step in view.steps:
        place = (step.source.file, step.source.line) if step.source else (step.primitive,)
        key = (*place, step.loops)
        if step.source is None and step.primitive != "out_axes":
            key = ("", step.loops)
        found.setdefault(key, []).append(step)
    for steps in found.values():
        source = steps[0].source
        label = "out_axes" if steps[0].primitive == "out_axes" else "(no source)"
        if source is not None:
            first, *rest = source.text.split("\n")
            label = f"{source.line}  {first.strip()}{' …' if rest else ''}"
        if steps[0].primitive in _EMPTY and len(steps) == 1 and not steps[0].bytes:
            continue
        yield _Line(label, steps[0].loops, steps)


# Equations that only run what is nested in them have no line of their own to show.
_EMPTY = frozenset({"jit", "while", "scan", "cond"})


def _factor(line: _Line) -> str:
    """Say how many times as much the batch costs as one example does."""
    one = sum(step.one or 0 for step in line.steps)
    return f"{line.work / one:.4g}" if one else ""


def _totals_table(view: View) -> Table:
    xla = view.xla

    def row(name: str, ours: str, theirs: int | None, *, is_bytes: bool = True) -> Row:
        shown = "–" if theirs is None else _bytes(theirs) if is_bytes else f"{theirs:,}"  # noqa: RUF001
        return Row((name, ours, shown))

    exp = f"{view.transcendentals:,}"
    rows = [
        row("FLOPs", f"{view.flops:,}", getattr(xla, "flops", None), is_bytes=False),
        row("exp, …", exp, getattr(xla, "transcendentals", None), is_bytes=False),
        row("bytes read and written", _bytes(view.bytes), getattr(xla, "bytes", None)),
        row("temporary memory, at most", "", getattr(xla, "temporary", None)),
        row("arguments", "", getattr(xla, "arguments", None)),
        row("results", "", getattr(xla, "results", None)),
    ]
    return Table(("", "the jaxpr", "XLA"), tuple(rows), frozenset({1, 2}))


def _about_loops(view: View) -> Iterator[str]:
    for loop in view.loops:
        where = f" in line {loop.source.line}" if loop.source else ""
        inside = f", inside {' and '.join(loop.inside)}" if loop.inside else ""
        yield (
            f"{loop.name} is how often the while loop{where} runs{inside}; the totals are without "
            f"it. In one trip are {loop.flops:,} FLOPs and {loop.transcendentals:,} functions such "
            f"as exp."
        )


def _about_uncounted(view: View) -> Iterator[str]:
    if view.uncounted:
        names = ", ".join(f"{name} ({number:,})" for name, number in view.uncounted.items())
        yield f"Not counted, since nothing is known of what they cost: {names}."


def _bytes(number: int) -> str:
    for unit, name in ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if number >= unit:
            return f"{number / unit:.3g} {name}"
    return f"{number} B"
