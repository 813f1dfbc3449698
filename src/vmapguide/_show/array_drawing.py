"""Draw one array: its name, and a grid of cells with its axes labelled.

Start with `leaf`. `diagram` puts what is drawn here side by side. A long axis is its first
cells, dots and its last cell; axes before the last two are sheets, one behind the other. The axes
that are mapped keep their places: rows for the last but one, columns for the last.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from vmapguide._data import Type
from vmapguide._show.markup import Markup, joined, tag


# Sizes in pixels. A character of the monospaced and of the other font is about so wide.
MONO, SANS, LINE = 7.9, 7.2, 17
_CELL, _GAP, _SHEET, _DOTS = 14, 4, 5, 18

# A longer name is cut in the picture. A name and a type that are longer together than the other
# stand one above the other.
LONGEST, _ONE_LINE = 24, 22

# Of a longer axis the first few cells are drawn and the last one, and dots between them.
_DRAWN, _FIRST = 6, 3

# Of one axis of sheets so many are drawn at most, of several so many of each, and so many in all.
_SHEETS, _OF_EACH, _OF_ALL = 4, 2, 6


@dataclass(frozen=True)
class Drawing:
    """A piece of SVG, with its corner at the origin.

    What the axes are called hangs to the left of it. `middle` is how far down an arrow meets it,
    `edge` how far to the right one leaves it, `above` how wide is what stands higher than that.
    """

    left: float
    width: float
    height: float
    middle: float
    edge: float
    above: float
    svg: Markup


@dataclass(frozen=True)
class _Axis:
    """An axis: its size, its letter if it is mapped, where its cells are, and the dots."""

    size: int
    letter: str
    cells: tuple[float, ...]
    length: float
    dots: float | None

    @property
    def label(self) -> str:
        return f"{self.letter} = {self.size:,}" if self.letter else f"{self.size:,}"

    @property
    def strips(self) -> list[tuple[float, float]]:
        """Where what belongs together along this axis starts, and how long it is."""
        return [(cell, _CELL) for cell in self.cells] if self.letter else [(0, self.length)]


def leaf(name: str, kind: Type, sizes: Mapping[str, int]) -> Drawing:
    """Draw a leaf: its name and type, and the array under them."""
    # What tells leaves of a tree apart is the end of their paths.
    shown = name if len(name) <= LONGEST else f"…{name[1 - LONGEST :]}"
    length = len(str(kind))
    broken = len(shown) + length > _ONE_LINE
    place = {"x": 0, "dy": LINE - 1} if broken else {"dx": 8}
    spans = tag("tspan", *_type_spans(kind), class_="vg-d-type", **place)
    label = tag("text", shown, spans, x=0, y=12, class_="vg-d-name")
    # Lower than the words at its line, whose place is beside the array and not beside this.
    down = LINE * (1 + broken) + 10
    above = (max(len(shown), length) if broken else len(shown) + length + 1) * MONO
    if kind.shape is None:
        return Drawing(0, above, LINE * (1 + broken), LINE / 2, above, above, label)
    drawn = _block(kind, sizes)
    return Drawing(
        left=drawn.left,
        width=drawn.width,
        height=drawn.height + down,
        middle=drawn.middle + down,
        edge=drawn.edge,
        above=max(drawn.above, above),
        svg=joined([label, at(0, down, drawn.svg)]),
    )


def _block(kind: Type, sizes: Mapping[str, int]) -> Drawing:
    """Draw an array: its last axis to the right, the one before it down, the others behind."""
    shape = [*(kind.shape or ())]
    columns = rows = _Axis(1, "", (0,), _CELL, None)
    # A vector of examples stands upright, as the rows of a matrix do.
    if len(shape) > 1 or (shape and isinstance(shape[0], int)):
        columns = _axis(shape.pop(), sizes)
    if shape:
        rows = _axis(shape.pop(), sizes)
    behind = [_axis(size, sizes) for size in shape]
    return _labelled(columns, rows, behind, len(kind.shape or ()))


def words(x: float, y: float, said: str, style: str, anchor: str | None = None) -> Markup:
    """Return a text at a place."""
    return tag("text", said, x=x, y=y, class_=style, text_anchor=anchor)


def at(x: float, y: float, svg: Markup) -> Markup:
    """Return a piece of SVG moved to a place."""
    return tag("g", svg, transform=f"translate({x:g} {y:g})") if svg else svg


def axis_style(letter: str) -> str:
    """Return the classes of what an axis is called."""
    return f"vg-d-note vg-d-{letter}" if letter else "vg-d-note"


def _type_spans(kind: Type) -> Iterator[str]:
    """Yield the pieces of a type, its named axes in their colours."""
    if kind.shape is None:
        yield str(kind)
        return
    before, _, _ = str(kind).partition("[")
    yield f"{before}["
    for i, size in enumerate(kind.shape):
        yield "," * bool(i)
        yield tag("tspan", size, class_=axis_style(size)) if isinstance(size, str) else str(size)
    yield f"]{kind.suffix}"


def _axis(size: int | str, sizes: Mapping[str, int]) -> _Axis:
    letter = size if isinstance(size, str) else ""
    number = sizes.get(size, 0) if isinstance(size, str) else size
    step = _CELL + (_GAP if letter else 0)
    if number <= _DRAWN:
        cells = tuple(i * step for i in range(number))
        return _Axis(number, letter, cells, max(cells, default=0) + _CELL, None)
    last = (_FIRST - 1) * step + _CELL + _DOTS
    first = tuple(i * step for i in range(_FIRST))
    return _Axis(number, letter, (*first, last), last + _CELL, last - _DOTS / 2)


def _labelled(columns: _Axis, rows: _Axis, behind: list[_Axis], rank: int) -> Drawing:
    """Draw the sheets and what the axes are called."""
    sheets = [*_sheets(behind)]
    depth = max((shift for shift, _ in sheets), default=0)
    y = depth + (LINE + 2 if behind else 0)
    parts = [at(0, y, joined(_drawn(columns, rows, sheets)))]
    left, width, height, above = 0.0, columns.length + depth, y + rows.length, 0.0
    if behind:
        parts.append(_label_behind(behind, depth, y))
        above = depth + sum(len(axis.label) + 3 for axis in behind) * SANS
    if rank > 1 or rows.letter:
        parts.append(_label_rows(rows, y))
        left = len(rows.label) * SANS + 12
    if rank > 1 or (rank and not rows.letter):
        parts.append(_label_columns(columns, height))
        width = max(width, len(columns.label) * SANS)
        height += LINE + (3 if columns.letter else 0)
    middle = y + rows.length / 2
    edge = columns.length + depth
    return Drawing(left, width, height, middle, edge, above, joined(parts))


def _label_rows(axis: _Axis, y: float) -> Markup:
    """Write what the rows are called to their left; mapped ones have a bracket."""
    bracket = f"M-4 {y:g}h-4v{axis.length:g}h4" if axis.letter else ""
    x = -12 if axis.letter else -7
    label = words(x, y + axis.length / 2 + 4, axis.label, axis_style(axis.letter), "end")
    return joined([_bracket(axis, bracket), label])


def _label_columns(axis: _Axis, y: float) -> Markup:
    """Write what the columns are called below them; mapped ones have a bracket."""
    bracket = f"M0 {y + 4:g}v4h{axis.length:g}v-4" if axis.letter else ""
    y += 20 if axis.letter else 15
    # A label wider than its axis would hang over the names of the rows.
    is_wider = len(axis.label) * SANS > axis.length
    x, anchor = (0, None) if is_wider else (axis.length / 2, "middle")
    label = words(x, y, axis.label, axis_style(axis.letter), anchor)
    return joined([_bracket(axis, bracket), label])


def _label_behind(axes: list[_Axis], depth: float, y: float) -> Markup:
    """Write what the sheets are called above them: they are as many as all the axes together."""
    mapped = next((axis for axis in axes if axis.letter), axes[0])
    bracket = f"M-1 {y - 1:g}l-3 -3l{depth:g} -{depth:g}l3 3" if mapped.letter and depth else ""
    names = [tag("tspan", axis.label, class_=axis_style(axis.letter)) for axis in axes]
    times = [" × "] * (len(names) - 1) + [""]
    pieces = itertools.chain(*zip(names, times, strict=True))
    label = tag("text", *pieces, x=depth + 4, y=y - depth - 6, class_="vg-d-note")
    return joined([_bracket(mapped, bracket), label])


def _bracket(axis: _Axis, line: str) -> Markup:
    return tag("path", class_=f"vg-d-bracket vg-d-{axis.letter}", d=line) if line else Markup()


# -- Sheets and their cells ----------------------------------------------------


# Of each mapped axis, by its letter: whether something belongs to the first example.
_First = Mapping[str, bool]


def _sheets(behind: list[_Axis]) -> Iterator[tuple[float, _First]]:
    """Yield how far behind each sheet lies, and what it belongs to; the front one first."""
    most = _OF_EACH if len(behind) > 1 else _SHEETS
    counts = [range(min(max(axis.size, 1), most)) for axis in behind]
    shift, before = 0.0, (0,) * len(behind)
    for index in itertools.islice(itertools.product(*counts), _OF_ALL):
        turned = any(a.letter and i != j for a, i, j in zip(behind, index, before, strict=True))
        shift += _SHEET * (index != before) + 2 * turned
        before = index
        yield shift, {a.letter: i == 0 for a, i in zip(behind, index, strict=True) if a.letter}


def _drawn(columns: _Axis, rows: _Axis, sheets: list[tuple[float, _First]]) -> Iterator[Markup]:
    """Yield the sheets from the last to the front one, which alone has its cells drawn."""
    for shift, first in reversed(sheets[1:]):
        strips = itertools.product(enumerate(rows.strips), enumerate(columns.strips))
        yield from _paths(
            (_style({**first, **_at_first(rows, j), **_at_first(columns, i)}), rectangle)
            for (j, (y, high)), (i, (x, wide)) in strips
            for rectangle in [f"M{x + shift:g} {y - shift:g}h{wide:g}v{high:g}h-{wide:g}z"]
        )
    if len(sheets) > 1:
        # Between the cells of the front sheet the others must not show.
        yield tag("path", class_="vg-d-under", d=f"M0 0h{columns.length:g}v{rows.length:g}H0z")
    _, first = sheets[0]
    yield from _cells(columns, rows, first)


def _cells(columns: _Axis, rows: _Axis, first: _First) -> Iterator[Markup]:
    """Yield the cells of the front sheet; dots where some are left out."""
    yield from _paths(
        (
            _style({**first, **_at_first(rows, j), **_at_first(columns, i)}),
            f"M{x:g} {y:g}h{_CELL}v{_CELL}h-{_CELL}z",
        )
        for j, y in enumerate(rows.cells)
        for i, x in enumerate(columns.cells)
    )
    if not rows.cells or not columns.cells:
        yield tag("path", class_="vg-d-none", d=f"M0 0h{columns.length:g}v{rows.length:g}H0z")
    if columns.dots is not None:
        y = _halfway(rows)
        yield _dots([(columns.dots + shift, y) for shift in (-4, 0, 4)])
    if rows.dots is not None:
        x = _halfway(columns)
        yield _dots([(x, rows.dots + shift) for shift in (-4, 0, 4)])


def _halfway(axis: _Axis) -> float:
    """Return the middle of the cells, of a long axis that of the first few."""
    return (axis.length if axis.dots is None else axis.cells[_FIRST - 1] + _CELL) / 2


def _dots(places: Iterable[tuple[float, float]]) -> Markup:
    return tag("g", *(tag("circle", cx=x, cy=y, r=1.2) for x, y in places), class_="vg-d-dots")


def _at_first(axis: _Axis, i: int) -> _First:
    return {axis.letter: i == 0} if axis.letter else {}


def _style(first: _First) -> str:
    """Return the classes of a cell: each `vmap`, from the outermost, takes its first example.

    What no `vmap` takes is an outline, what some take is tinted in the colour of the last of
    them, and what all take is filled: it is one example's.
    """
    letters = sorted(first)
    taken = [*itertools.takewhile(first.__getitem__, letters)]
    if not letters:
        return "vg-d-cell"
    if not taken:
        return f"vg-d-cell vg-d-{letters[0]}"
    kind = "vg-d-first" if taken == letters else "vg-d-part"
    return f"vg-d-cell vg-d-{taken[-1]} {kind}"


def _paths(cells: Iterable[tuple[str, str]]) -> Iterator[Markup]:
    """Yield one path for each style; the filled ones last, so that their outlines are on top."""
    paths: dict[str, list[str]] = {}
    for style, cell in cells:
        paths.setdefault(style, []).append(cell)
    for style in sorted(paths, key=lambda style: ("first" in style, "part" in style)):
        yield tag("path", class_=style, d="".join(paths[style]))
