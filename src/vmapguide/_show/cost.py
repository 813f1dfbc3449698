"""The report of a cost: what each of the user's lines costs, and the totals beside XLA's.

Start with `cost_report`, which takes a `CostView`. `sentence` says why the two counts differ.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from vmapguide._data import Bytes, Choice, CostStep, Gap, GapCode, Loop, Sharded, Work, XlaCost
from vmapguide._show.report import Report, Row, Table
from vmapguide._show.words import sharded_text


@dataclass(frozen=True)
class CostView:
    """Everything that is shown of a cost.

    `wrappers` are the primitives that only run what is nested in them.
    """

    name: str
    call: str
    sharded: Sequence[Sharded]
    total: Work
    cheapest: Work
    loops: Sequence[Loop]
    uncounted: Mapping[str, int]
    steps: Sequence[CostStep]
    choices: Sequence[Choice]
    choices_of_one: Sequence[Choice]
    xla: XlaCost | None
    gaps: Sequence[Gap]
    wrappers: frozenset[str]


@dataclass(frozen=True)
class _Line:
    """A line of the user's: its label, and what its steps cost.

    `unknown` are the loops and choices around them: all of a line are in the same.
    """

    label: str
    unknown: tuple[str, ...]
    steps: Sequence[CostStep]

    @functools.cached_property
    def total(self) -> Work:
        amounts = (Work(step.flops, step.transcendentals, step.bytes) for step in self.steps)
        return sum(amounts, Work())

    @property
    def work(self) -> int:
        return self.total.flops + self.total.transcendentals


def cost_report(view: CostView) -> Report:
    """Return what a cost is, as a report."""
    return Report(
        title=f"cost {view.name}",
        call=view.call,
        tables=(_lines_table(view), _totals_table(view)),
        notes=(
            *([sharded_text(view.sharded)] if view.sharded else []),
            *_about_choices(view),
            *_about_choices_of_one(view),
            *_about_loops(view),
            *_about_uncounted(view),
            *map(sentence, view.gaps),
        ),
    )


# Why the counts of the jaxpr are not those of XLA. `{}` stands for what a gap is about.
_GAPS: dict[GapCode, str] = {
    "not compiled": "XLA could not compile the function on its own, so there is nothing to compare "
    "with: {}",
    "not said": "XLA does not say how many operations the program has.",
    "scan": "XLA counts the body of a loop once, however often it runs: of scans of length {} "
    "here.",
    "while": "How often a while loop runs is not known ({}); XLA counts one trip.",
    "library": "XLA does not look into the library functions that the program calls.",
    "hidden loop": "The compiled program has a loop that the jaxpr does not show, such as that of "
    "the random number generator on a CPU. XLA counts its body once.",
    "devices": "The program runs on {} devices, and XLA's figures are those of one of them.",
    "fewer": "XLA has merged operations, left some out, or computed them while it compiled.",
    "more": "XLA takes several instructions for what is one operation here, such as a special "
    "function or a cumulative sum, or counts index arithmetic.",
    "fused": "XLA fuses operations, and what they hand to each other does not go through memory.",
}


def sentence(gap: Gap) -> str:
    """Say why a count of the jaxpr is not that of XLA."""
    return _GAPS[gap.code].format(gap.about)


def _lines_table(view: CostView) -> Table:
    batched = any(step.per_example_work is not None for step in view.steps)
    lines = [*_lines(view)]
    total = sum(line.work for line in lines)
    # What a line's share is of a total that is not known is not known either.
    is_known = not view.loops and not view.choices
    most = _most(view, lines)
    head = ["your line", "FLOPs", "exp, …", "share", "bytes"]
    head += ["times one example"] if batched else []
    rows = []
    for line in lines:
        trips = "".join(f" · {name}" for name in line.unknown)
        share = f"{line.work / total:.0%}" if total and is_known else ""
        share += ", most" if line is most else ""
        counts = line.total.flops, line.total.transcendentals
        cells = [line.label, *(f"{n:,}{trips}" for n in counts), share]
        cells += [f"{Bytes(line.total.bytes)}{trips}"]
        cells += [_factor(line)] if batched else []
        rows.append(Row(tuple(cells), faded=line.work == 0))
    return Table(tuple(head), tuple(rows), frozenset(range(1, len(head))))


def _most(view: CostView, lines: Sequence[_Line]) -> _Line | None:
    """Return the line that costs most, if there are several and all that they cost is known."""
    working = [line for line in lines if line.work]
    if len(working) < 2 or view.loops or view.choices or view.uncounted:  # noqa: PLR2004 - two are several.
        return None
    return max(working, key=lambda line: line.work)


def _lines(view: CostView) -> Iterator[_Line]:
    """Yield the user's lines, in the order of the program."""
    found: dict[tuple[object, ...], list[CostStep]] = {}
    for step in view.steps:
        place = (step.source.file, step.source.line) if step.source else (step.primitive,)
        key = (*place, step.loops, step.choices)
        if step.source is None and step.primitive != "out_axes":
            key = ("", step.loops, step.choices)
        found.setdefault(key, []).append(step)
    for steps in found.values():
        source = steps[0].source
        label = "out_axes" if steps[0].primitive == "out_axes" else "(no source)"
        if source is not None:
            first, *rest = source.text.split("\n")
            label = f"{source.line}  {first.strip()}{' …' if rest else ''}"
        # What only runs what is nested in it has no line of its own to show.
        is_empty = steps[0].primitive in view.wrappers
        if is_empty and len(steps) == 1 and not steps[0].bytes:
            continue
        yield _Line(label, (*steps[0].loops, *steps[0].choices), steps)


def _factor(line: _Line) -> str:
    """Say how many times as much the batch costs as one example does."""
    one = sum(step.per_example_work or 0 for step in line.steps)
    return f"{line.work / one:.4g}" if one else ""


def _totals_table(view: CostView) -> Table:
    xla = view.xla

    def row(name: str, ours: str, theirs: int | None, *, is_bytes: bool = True) -> Row:
        shown = "–" if theirs is None else str(Bytes(theirs)) if is_bytes else f"{theirs:,}"
        return Row((name, ours, shown))

    def number(field: str, shown: Callable[[int], str] = "{:,}".format) -> str:
        """Show a total: a range if it depends on which branches run."""
        ends = sorted({getattr(work, field) for work in (view.total, view.cheapest)})
        return " to ".join(map(shown, ends))

    exp = number("transcendentals")
    moved = number("bytes", lambda size: str(Bytes(size)))
    rows = [
        row("FLOPs", number("flops"), getattr(xla, "flops", None), is_bytes=False),
        row("exp, …", exp, getattr(xla, "transcendentals", None), is_bytes=False),
        row("bytes read and written", moved, getattr(xla, "bytes", None)),
        row("temporary memory, at most", "", getattr(xla, "temporary", None)),
        row("arguments", "", getattr(xla, "arguments", None)),
        row("results", "", getattr(xla, "results", None)),
    ]
    devices = xla.devices if xla is not None else 1
    theirs = "XLA" if devices == 1 else f"XLA, one of {devices:,} devices"
    return Table(("", "the jaxpr", theirs), tuple(rows), frozenset({1, 2}))


def _about_choices(view: CostView) -> Iterator[str]:
    for choice in view.choices:
        where = f" in line {choice.source.line}" if choice.source else ""
        inside = f" in one trip of {' and '.join(choice.inside)}" if choice.inside else ""
        yield (
            f"{choice.name}, between 0 and 1, is the share of the {choice.times:,} "
            f"time{'s' * (choice.times != 1)} that the cond{where} runs{inside} in which it takes "
            f"its dearest branch, number {choice.counted}; the jaxpr does not say it. One run of "
            f"its branches takes {_listed(choice)}."
        )
    if view.choices:
        yield (
            "The totals are given from where every cond takes its cheapest branch to where every "
            "one takes its dearest. With a mapped predicate, vmap runs all branches, always."
        )


def _about_choices_of_one(view: CostView) -> Iterator[str]:
    if view.choices_of_one:
        lines = dict.fromkeys(c.source.line for c in view.choices_of_one if c.source)
        where = f" (line {', '.join(map(str, lines))})" if lines else ""
        yield (
            f"One example runs one branch of a cond{where}, and here the dearest is counted. For "
            f"an example that takes a cheaper one, the last column would be larger."
        )


def _listed(choice: Choice) -> str:
    """Say what the branches of a choice cost, by number; their bytes if no work differs."""
    work = [branch.flops + branch.transcendentals for branch in choice.branches]
    if len({*work}) > 1:
        return f"{', '.join(f'{n:,}' for n in work)} FLOPs and functions such as exp"
    return f"{', '.join(str(Bytes(branch.bytes)) for branch in choice.branches)} read and written"


def _about_loops(view: CostView) -> Iterator[str]:
    for loop in view.loops:
        where = f" in line {loop.source.line}" if loop.source else ""
        inside = f", inside {' and '.join(loop.inside)}" if loop.inside else ""
        yield (
            f"{loop.name} is how often the while loop{where} runs{inside}; the totals are without "
            f"it. In one trip are {loop.flops:,} FLOPs and {loop.transcendentals:,} functions such "
            f"as exp."
        )


def _about_uncounted(view: CostView) -> Iterator[str]:
    if view.uncounted:
        names = ", ".join(f"{name} ({number:,})" for name, number in view.uncounted.items())
        yield f"Not counted, since nothing is known of what they cost: {names}."
