"""Drawing a vmapped function: blocks for arrays, arrows, and one example's function in between.

Pure functions of plain data, like `_render`. A picture has three columns: the arguments, the
function of one example in as many frames as there are vmaps, and the results. Colours are those of
the stylesheet; everything that they say is also said by a letter, a bracket or a word.
"""

from __future__ import annotations

import hashlib
import html as escape
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest

from vmapguide._program import Type


# Sizes in pixels. A character of the monospaced and of the other font is about so wide.
_CELL, _GAP, _SHEET = 13, 4, 5
_MONO, _SANS, _LINE = 7.9, 7.6, 17
_MARGIN, _ARROW, _BOX = 14, 26, 96
_HEAD, _FOOT = 21, 9

# Of a longer axis the first few cells are drawn and the last one, and dots between them.
_DRAWN, _FIRST = 6, 3

# Of more leaves than this the rest is one row.
_ROWS = 12

# A longer name is cut in the picture; the description has all of it.
_LONGEST = 24


@dataclass(frozen=True)
class Block:
    """A leaf: its name, its type with named axes, and the type of one example's part of it."""

    name: str
    whole: Type
    one: Type
    mapped: bool


@dataclass(frozen=True)
class Picture:
    """Everything that is drawn."""

    name: str
    call: str
    sizes: Mapping[str, int]
    arguments: tuple[Block, ...]
    results: tuple[Block, ...]


@dataclass(frozen=True)
class Drawing:
    """A piece of SVG with its size.

    `middle` is how far down an arrow meets it, `edge` how far to the right one leaves it.
    """

    width: float
    height: float
    middle: float
    edge: float
    svg: str


# -- Text ----------------------------------------------------------------------


def text(picture: Picture) -> str:
    """Say in aligned lines what goes in and what comes out."""
    sizes = "  ".join(f"{letter} = {size}" for letter, size in picture.sizes.items())
    head = [part for part in (f"vmap({picture.name})", picture.call, sizes) if part]
    arguments = [(b.name, str(b.whole), str(b.one), _passed(b)) for b in picture.arguments]
    results = [
        (b.name or "result", str(b.one), str(b.whole), _returned(b)) for b in picture.results
    ]
    every = [*arguments, *results]
    widths = [max((len(row[i]) for row in every), default=0) for i in range(3)]

    def line(row: tuple[str, str, str, str]) -> str:
        name, left, right, word = row
        return f"  {name:<{widths[0]}}  {left:<{widths[1]}}  ->  {right:<{widths[2]}}  {word}"

    body = [*map(line, arguments), f"  {picture.name}, for one example", *map(line, results)]
    return "\n".join(["   ".join(head), "", *body])


def _passed(block: Block) -> str:
    return "one example" if block.mapped else "shared"


def _returned(block: Block) -> str:
    return "stacked" if block.mapped else "the same for all"


def description(picture: Picture) -> str:
    """Say in sentences what the picture shows."""
    sizes = ", ".join(f"{letter} is {size}" for letter, size in picture.sizes.items())
    parts = [
        f"{b.name}, {b.whole}, {f'of which each example gets {b.one}' if b.mapped else 'shared'}"
        for b in picture.arguments
    ]
    made = [
        f"{b.name or 'result'}, {b.whole}, "
        f"{f'in which each example has {b.one}' if b.mapped else 'the same for all examples'}"
        for b in picture.results
    ]
    return (
        f"Batch axes: {sizes or 'none'}. Arguments: {'; '.join(parts) or 'none'}. "
        f"{picture.name} is a function of one example. Results: {'; '.join(made) or 'none'}."
    )


# -- Pictures ------------------------------------------------------------------


def html(picture: Picture) -> str:
    """Draw a picture as an element of a page that has the stylesheet."""
    label = escape.escape(f"diagram of vmap({picture.name})")
    return (
        f'<div class="vg vg-diagram"><div class="vg-scroll" tabindex="0" role="group" '
        f'aria-label="{label}">{_svg(picture)}</div></div>'
    )


def alone(picture: Picture, stylesheet: str) -> str:
    """Draw a picture as a file that has its own stylesheet."""
    svg = _svg(picture, "vg vg-diagram")
    start = svg.index(">") + 1
    opening = svg[:start].replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
    return f"{opening}<style>{stylesheet}</style>{svg[start:]}"


def _svg(picture: Picture, classes: str = "") -> str:
    """Lay the three columns out, side by side and on one level."""
    left = [_argument(block, picture.sizes) for block in picture.arguments[:_ROWS]]
    left += _and_more(len(picture.arguments))
    right = [_result(block, picture.sizes) for block in picture.results[:_ROWS]]
    right += _and_more(len(picture.results))
    heights = [sum(d.height + _MARGIN for d in column) for column in (left, right)]
    height = max(*heights, _box_height(picture)) + 2 * _MARGIN
    passed = [(_passed(b), str(b.one)) for b in picture.arguments[:_ROWS]]
    returned = [("", str(b.one)) for b in picture.results[:_ROWS]]
    x_box = 2 * _MARGIN + max((d.width for d in left), default=0) + _arrow_width(passed)
    box = _box(picture, height - 2 * _MARGIN)
    x_right = x_box + box.width + _arrow_width(returned) + _MARGIN
    width = x_right + max((d.width for d in right), default=0) + _MARGIN
    body = "".join(
        [
            _at(x_box, _MARGIN, box.svg),
            *_column(left, passed, height, (_MARGIN, None, x_box - 5)),
            *_column(right, returned, height, (x_right, x_box + box.width + 5, x_right - 8)),
        ]
    )
    title = escape.escape(f"vmap({picture.name})  {picture.call}")
    desc = escape.escape(description(picture))
    # Two diagrams on a page need ids of their own; the same diagram has the same in every build.
    key = "vg" + hashlib.sha256((title + desc + body).encode()).hexdigest()[:10]
    return (
        f'<svg{f" class={chr(34)}{classes}{chr(34)}" if classes else ""} role="img" '
        f'aria-labelledby="{key}t {key}d" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}">'
        f'<title id="{key}t">{title}</title><desc id="{key}d">{desc}</desc>{body}</svg>'
    )


def _column(
    drawings: list[Drawing],
    words: list[tuple[str, str]],
    height: float,
    places: tuple[float, float | None, float],
) -> Iterator[str]:
    """Yield a column of drawings, in the middle of the height, each with its arrow.

    `places` are where the drawings stand, where arrows start, and where they end. Those without a
    start begin behind their drawing.
    """
    x, start, end = places
    total = sum(drawing.height + _MARGIN for drawing in drawings)
    y = (height - total + _MARGIN) / 2
    for drawing, said in zip_longest(drawings, words):
        yield _at(x, y, drawing.svg)
        if said:
            begin = x + drawing.edge + 8 if start is None else start
            yield _arrow(begin, end, y + drawing.middle, *said)
        y += drawing.height + _MARGIN


def _arrow_width(words: list[tuple[str, str]]) -> float:
    """Return how wide arrows have to be for what stands at them."""
    widths = [max(len(above) * _SANS, len(below) * _MONO) for above, below in words]
    return _ARROW + max(widths, default=0)


def _argument(block: Block, sizes: Mapping[str, int]) -> Drawing:
    return _labelled(block, block.name, sizes)


def _result(block: Block, sizes: Mapping[str, int]) -> Drawing:
    return _labelled(block, block.name or "result", sizes)


def _and_more(count: int) -> list[Drawing]:
    if count <= _ROWS:
        return []
    return [Drawing(90, _LINE, _LINE / 2, 0, _words(0, 12, f"and {count - _ROWS} more", "note"))]


def _labelled(block: Block, name: str, sizes: Mapping[str, int]) -> Drawing:
    """Draw a leaf: name and type, and the block under them."""
    shown = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
    kind = str(block.whole)
    drawn = _block(block.whole, sizes)
    label = (
        f'<text x="0" y="12" class="vg-d-name">{escape.escape(shown)}'
        f'<tspan class="vg-d-type" dx="8">{_type_spans(kind)}</tspan></text>'
    )
    above = (len(shown) + len(kind)) * _MONO + 8
    width = max(drawn.width, above)
    # The arrow of a low block would run through the words above the block.
    edge = max(drawn.edge, above) if drawn.middle < _LINE else drawn.edge
    down = _LINE + 3
    svg = label + _at(0, down, drawn.svg)
    return Drawing(width, drawn.height + down, down + drawn.middle, edge, svg)


def _type_spans(kind: str) -> str:
    """Return a type with its named axes in their colours."""
    before, bracket, after = kind.partition("[")
    sizes, closing, rest = after.partition("]")
    parts = [
        f'<tspan class="vg-d-{size}">{escape.escape(size)}</tspan>'
        if len(size) == 1 and size.isalpha()
        else escape.escape(size)
        for size in sizes.split(",")
    ]
    return f"{escape.escape(before + bracket)}{','.join(parts)}{closing}{escape.escape(rest)}"


# -- Blocks --------------------------------------------------------------------


@dataclass(frozen=True)
class _Axis:
    """An axis of a block: its length, its letter if it is mapped, and where its cells are."""

    size: int
    letter: str
    cells: tuple[float, ...]
    length: float
    dots: float | None


def _axis(size: int | str, sizes: Mapping[str, int]) -> _Axis:
    letter = size if isinstance(size, str) else ""
    number = sizes.get(size, 0) if isinstance(size, str) else size
    step = _CELL + (_GAP if letter else 0)
    if number <= _DRAWN:
        cells = tuple(i * step for i in range(number))
        return _Axis(number, letter, cells, max(number * step - (step - _CELL), 0), None)
    dots = _FIRST * step + 5.0
    last = dots + 12
    return _Axis(number, letter, (*(i * step for i in range(_FIRST)), last), last + _CELL, dots)


def _block(kind: Type, sizes: Mapping[str, int]) -> Drawing:
    """Draw an array: its last axis to the right, the one before it down, the others behind."""
    if kind.shape is None:
        return Drawing(0, 0, 0, 0, "")
    shape = [*kind.shape]
    mapped = [i for i, size in enumerate(shape) if isinstance(size, str)]
    # A vector of examples stands upright, as the rows of a matrix do.
    columns = rows = sheets = _Axis(1, "", (0.0,), _CELL, None)
    left = [*range(len(shape))]
    if len(shape) > 1 or (shape and not mapped):
        columns = _axis(shape[left.pop()], sizes)
    if left:
        rows = _axis(shape[left.pop()], sizes)
    others = ""
    if left:
        behind = next((i for i in left if i in mapped), left[0])
        left.remove(behind)
        sheets = _axis(shape[behind], sizes)
        others = " and ".join(str(shape[i]) for i in left)
    return _grid(columns, rows, sheets, others, rank=len(shape))


def _grid(columns: _Axis, rows: _Axis, sheets: _Axis, others: str, *, rank: int) -> Drawing:
    """Draw the front sheet with its cells, the sheets behind it, and what the axes are called."""
    labels_left = _label(rows) if rank > 1 or rows.letter else ""
    x = len(labels_left) * _SANS + (12 if labels_left else 0)
    depth = min(max(sheets.size, 1), 4) - 1
    y = depth * _SHEET + (_LINE if rank > 2 else 0)  # noqa: PLR2004 - there is a third axis.
    parts = []
    for k in range(depth, 0, -1):
        style = f"vg-d-edge vg-d-{sheets.letter}" if sheets.letter else "vg-d-edge"
        parts.append(
            f'<rect x="{x + k * _SHEET:g}" y="{y - k * _SHEET:g}" width="{columns.length:g}" '
            f'height="{rows.length:g}" class="{style}"/>'
        )
    parts += _cells(columns, rows, sheets, x, y)
    if labels_left:
        parts.append(_bracket(rows, x - 5, y, labels_left, upright=True))
    bottom = y + rows.length
    if rank > 1 or (rank and not rows.letter):
        parts.append(_bracket(columns, x, bottom + 5, _label(columns), upright=False))
        bottom += _LINE + 3
    if rank > 2:  # noqa: PLR2004
        behind = _label(sheets) + (f", and {others}" if others else "")
        style = f"vg-d-note vg-d-{sheets.letter}" if sheets.letter else "vg-d-note"
        parts.append(_words(x + depth * _SHEET, y - depth * _SHEET - 5, behind, style))
        x_label = x + depth * _SHEET + len(behind) * _SANS
    else:
        x_label = 0
    width = max(x + columns.length + depth * _SHEET, x_label, x + len(_label(columns)) * _SANS)
    edge = x + columns.length + depth * _SHEET
    return Drawing(width, bottom, y + rows.length / 2, edge, "".join(parts))


def _cells(columns: _Axis, rows: _Axis, sheets: _Axis, x: float, y: float) -> Iterable[str]:
    """Yield the cells as one path for each colour: the first example's are filled."""
    paths: dict[str, list[str]] = {}
    for j, down in enumerate(rows.cells):
        for i, right in enumerate(columns.cells):
            first = [
                axis.letter
                for axis, k in ((sheets, 0), (rows, j), (columns, i))
                if axis.letter and k == 0
            ]
            letters = [axis.letter for axis in (sheets, rows, columns) if axis.letter]
            style = "vg-d-cell"
            if letters:
                style += f" vg-d-{min(letters)}"
            # What belongs to the first example of every batch is one example's.
            if letters and len(first) == len(letters):
                style += " vg-d-first"
            cell = f"M{x + right:g} {y + down:g}h{_CELL}v{_CELL}h-{_CELL}z"
            paths.setdefault(style, []).append(cell)
    for style, cells in paths.items():
        yield f'<path class="{style}" d="{"".join(cells)}"/>'
    if columns.dots is not None:
        yield _words(x + columns.dots - 2, y + rows.length / 2 + 4, "⋯", "vg-d-note")
    if rows.dots is not None:
        yield _words(x + columns.length / 2 - 4, y + rows.dots + 9, "⋮", "vg-d-note")


def _label(axis: _Axis) -> str:
    size = f"{axis.size:,}"
    return f"{axis.letter} = {size}" if axis.letter else size


def _bracket(axis: _Axis, x: float, y: float, label: str, *, upright: bool) -> str:
    """Draw what an axis is called; a mapped one has a bracket along it."""
    style = f"vg-d-note vg-d-{axis.letter}" if axis.letter else "vg-d-note"
    if upright:
        line = f"M{x:g} {y:g}h-4v{axis.length:g}h4"
        words = _words(x - 8, y + axis.length / 2 + 4, label, style, anchor="end")
    else:
        line = f"M{x:g} {y - 2:g}v4h{axis.length:g}v-4"
        words = _words(x, y + 14, label, style)
    bracket = f'<path class="vg-d-bracket vg-d-{axis.letter}" d="{line}"/>' if axis.letter else ""
    return bracket + words


# -- The function, arrows, words -----------------------------------------------


def _box_height(picture: Picture) -> float:
    outer = max(len(picture.sizes) - 1, 0)
    return (_HEAD + _FOOT) * outer + _HEAD + 68


def _box(picture: Picture, height: float) -> Drawing:
    """Draw one example's function, in a stack of cards, in a frame for each vmap around it."""
    shown = picture.name if len(picture.name) <= _LONGEST else f"{picture.name[:_LONGEST]}…"
    letters = [*picture.sizes]
    labels = [f"vmap {letter} = {picture.sizes[letter]:,}" for letter in letters]
    inner = max([_BOX, len(shown) * _MONO + 24, *(len(label) * _SANS + 16 for label in labels)])
    width = inner + 2 * 10 * len(letters)
    parts = []
    for level, (letter, label) in enumerate(zip(letters, labels, strict=True)):
        x, y = 10 * level, _HEAD * level
        high = height - y - _FOOT * level
        parts.append(
            f'<rect x="{x}" y="{y}" width="{width - 2 * x:g}" height="{high:g}" rx="6" '
            f'class="vg-d-frame vg-d-{letter}"/>'
            + _words(x + 9, y + 15, label, f"vg-d-note vg-d-{letter}")
        )
    outer = max(len(letters) - 1, 0)
    # In the middle of the innermost frame, below its label, with room for the cards behind.
    x, middle = 10 * len(letters), (_HEAD * (outer + 1) + height - _FOOT * outer) / 2
    top = middle - 16
    for k in (2, 1):
        style = f"vg-d-card vg-d-{letters[-1]}" if letters else "vg-d-card"
        parts.append(
            f'<rect x="{x + 4 * k}" y="{top - 4 * k:g}" width="{inner - 12:g}" height="40" rx="4" '
            f'class="{style}"/>'
        )
    parts.append(
        f'<rect x="{x}" y="{top:g}" width="{inner - 12:g}" height="40" rx="4" class="vg-d-f"/>'
        + _words(x + (inner - 12) / 2, top + 17, shown, "vg-d-name", anchor="middle")
        + _words(x + (inner - 12) / 2, top + 32, "one example", "vg-d-note", anchor="middle")
    )
    return Drawing(width, height, middle, width, "".join(parts))


def _arrow(start: float, end: float, y: float, above: str, below: str) -> str:
    """Draw an arrow with words above it and a type below."""
    return (
        f'<path class="vg-d-arrow" d="M{start:g} {y:g}H{end - 6:g}"/>'
        f'<path class="vg-d-head" d="M{end:g} {y:g}l-8 -4v8z"/>'
        f"{_words(start + 4, y - 5, above, 'vg-d-note')}"
        f"{_words(start + 4, y + 15, below, 'vg-d-type')}"
    )


def _words(x: float, y: float, words: str, style: str, anchor: str = "") -> str:
    where = f' text-anchor="{anchor}"' if anchor else ""
    return f'<text x="{x:g}" y="{y:g}" class="{style}"{where}>{escape.escape(words)}</text>'


def _at(x: float, y: float, svg: str) -> str:
    return f'<g transform="translate({x:g} {y:g})">{svg}</g>' if svg else ""
