"""Draw a vmapped function: arrays in, the function of one example, arrays out.

Start with `diagram_html`, `diagram_svg` and `diagram_text`, which take a `Picture`; `array_drawing`
draws an array. A picture is laid out twice: from left to right, and from top to bottom for a narrow
page. The stylesheet shows one of them and has the colours; all they say is also said by a letter, a
bracket or a word.
"""

from __future__ import annotations

import hashlib
import itertools
import re
import statistics
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from vmapguide._data import Block, Type
from vmapguide._show.array_drawing import (
    LINE,
    LONGEST,
    MONO,
    SANS,
    Drawing,
    at,
    axis_style,
    leaf,
    words,
)
from vmapguide._show.markup import Markup, joined, scrolling, tag


# Sizes in pixels: around the picture, between rows, of a function's card, between stacked cards,
# around a card in its frame, of a bend, and above and beside the ends of lines.
_MARGIN, _ROW, _CARD, _STACK, _FRAME, _BEND, _SPACE = 16, 16, 46, 5, 12, 6, 10

# Of a stack of cards so many are drawn.
_CARDS = 3

# Of more leaves than this the rest is one row.
_ROWS = 12

# A wider picture would have to be shrunk on a page until its words are too small.
_WIDEST = 740


@dataclass(frozen=True)
class Picture:
    """Everything that is drawn."""

    name: str
    call: str
    sizes: Mapping[str, int]
    arguments: tuple[Block, ...]
    results: tuple[Block, ...]


def _type(block: Block) -> Type:
    return Type(block.dtype, block.shape)


def _type_of_one(block: Block) -> Type:
    return Type(block.dtype, block.per_example_shape)


# -- Text ----------------------------------------------------------------------


def diagram_text(picture: Picture) -> str:
    """Say in aligned lines what goes in and what comes out."""
    sizes = "  ".join(f"{letter} = {size}" for letter, size in picture.sizes.items())
    head = [part for part in (f"vmap({picture.name})", picture.call, sizes) if part]
    arguments = [
        (b.name, str(_type(b)), str(_type_of_one(b)), _passed(b)) for b in picture.arguments
    ]
    results = [
        (b.name or "result", str(_type_of_one(b)), str(_type(b)), _returned(b))
        for b in picture.results
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
        f"{b.name}, {_type(b)}, "
        + (f"of which each example gets {_type_of_one(b)}" if b.mapped else "shared")
        for b in picture.arguments
    ]
    made = [
        f"{b.name or 'result'}, {_type(b)}, "
        + (
            f"in which each example has {_type_of_one(b)}"
            if b.mapped
            else "the same for all examples"
        )
        for b in picture.results
    ]
    return (
        f"Batch axes: {sizes or 'none'}. Arguments: {'; '.join(parts) or 'none'}. "
        f"{picture.name} is a function of one example. Results: {'; '.join(made) or 'none'}."
    )


# -- Pictures ------------------------------------------------------------------


@dataclass(frozen=True)
class _Layout:
    """A drawn picture and its size."""

    width: float
    height: float
    svg: Markup


def diagram_html(picture: Picture) -> Markup:
    """Draw a picture as an element of a page that has the stylesheet."""
    wide, tall = _across(picture), _down(picture)
    # The stylesheet hides either by the width of the page, unless there is but one.
    drawn = _element(picture, tall, "vg-d-only")
    if wide.width <= _WIDEST:
        drawn = joined([_element(picture, wide, "vg-d-wide"), _element(picture, tall, "vg-d-tall")])
    label = f"diagram of vmap({picture.name})"
    return tag("div", scrolling(drawn, label=label), class_="vg vg-diagram")


def diagram_svg(picture: Picture, stylesheet: str) -> str:
    """Draw a picture as a file that has its own colours, light or dark as its reader's system."""
    style = tag("style", Markup(_own_style(stylesheet)))
    namespace = "http://www.w3.org/2000/svg"
    return str(_element(picture, _across(picture), "vg-diagram", style, xmlns=namespace))


def _own_style(stylesheet: str) -> str:
    """Return the rules of a picture with values for variables, which not every program knows."""
    values = dict(re.findall(r"--([\w-]+): ([^;]+);", stylesheet))
    drawn = "".join(re.findall(r"^\.vg-diagram [^@}]*\}\n", stylesheet, re.MULTILINE))

    def settled(theme: int) -> str:
        """Put in values; of a pair of colours the first is for light and the second for dark."""

        def value(match: re.Match[str]) -> str:
            pair = re.fullmatch(r"light-dark\((.*), (.*)\)", values[match[1]])
            return pair[theme] if pair else values[match[1]]

        return re.sub(r"var\(--([\w-]+)\)", value, drawn)

    return f"{settled(1)}@media (prefers-color-scheme: dark) {{\n{settled(2)}}}\n"


def _element(
    picture: Picture, layout: _Layout, class_: str, *first: Markup, xmlns: str | None = None
) -> Markup:
    """Return a drawn picture as an element, with what it shows in words."""
    title, said = f"vmap({picture.name})  {picture.call}", description(picture)
    # Two diagrams on a page need ids of their own; the same diagram has the same in every build.
    key = "vg" + hashlib.sha256((title + said + layout.svg).encode()).hexdigest()[:10]
    return tag(
        "svg",
        *first,
        tag("title", title, id=f"{key}t"),
        tag("desc", said, id=f"{key}d"),
        layout.svg,
        xmlns=xmlns,
        class_=class_,
        role="img",
        aria_labelledby=f"{key}t {key}d",
        viewBox=f"0 0 {layout.width:.0f} {layout.height:.0f}",
        width=f"{layout.width:.0f}",
        height=f"{layout.height:.0f}",
    )


def _across(picture: Picture) -> _Layout:
    """Lay a picture out from left to right: three columns, their middles on one level."""
    taken, made = _columns(picture)
    reach = [y - column.middle for column in (taken, made) for y in (0.0, *column.lines)]
    box = _box(picture, (min(reach), max(reach)), room=34)
    x_taken = _MARGIN + taken.left
    x_box = x_taken + max(taken.width + taken.room, taken.above + _SPACE)
    x_out = x_box + box.width + _SPACE
    x_made = x_out + made.room + made.left
    middle = _MARGIN + max(taken.middle, made.middle, -box.top)
    y_taken, y_made = middle - taken.middle, middle - made.middle
    card, x_in = (x_box + box.card, middle), x_box + box.card - 18
    ends = [(x_made - row.left - 5, y) for row, y in made.ends(y_made)]
    routes = [
        *(
            ((x_taken + row.edge + 6, y), (x_in, y), (x_in, middle), card)
            for row, y in taken.ends(y_taken)
        ),
        *(((card[0] + box.face, middle), (x_out, middle), (x_out, end[1]), end) for end in ends),
    ]
    parts = [at(x_box, middle, box.svg), _lines(routes)]
    parts += [_head(*tip, "l-8 -4v8z") for tip in ([card] if taken.lines else []) + ends]
    parts += taken.drawn(x_taken, y_taken, x_taken + taken.width + _SPACE)
    parts += made.drawn(x_made, y_made, x_out + _SPACE)
    below = max(taken.height - taken.middle, made.height - made.middle, box.bottom)
    width = x_made + max(made.width, made.above) + _MARGIN
    return _Layout(width, middle + below + _MARGIN, joined(parts))


def _down(picture: Picture) -> _Layout:
    """Lay a picture out from top to bottom; lines run down at the sides."""
    taken, made = _columns(picture)
    letters = max((len(_frame_label(picture, letter)) for letter in picture.sizes), default=0)
    box = _box(picture, (0, 0), room=letters * SANS + 2 * _SPACE)
    x_taken = _MARGIN + taken.left
    x_in = x_taken + max(taken.width + taken.room, taken.above + _SPACE)
    x_made = _MARGIN + made.room + made.left
    x_end = x_made + max(made.width, made.above)
    width = max(x_in, x_end, _MARGIN + box.width) + _MARGIN
    x_box, x_card = (width - box.width) / 2, (width - box.width + box.face) / 2 + box.card
    y_in = _MARGIN + taken.height + _SPACE
    middle = y_in + 2 * _SPACE - box.top
    y_out = middle + box.bottom + _SPACE
    y_made = y_out + 2 * _SPACE
    card = (x_card, middle - box.high)
    ends = [(x_made - row.left - 5, y) for row, y in made.ends(y_made)]
    start = (x_card, middle + _CARD / 2)
    routes = [
        *(
            ((x_taken + row.edge + 6, y), (x_in, y), (x_in, y_in), (x_card, y_in), card)
            for row, y in taken.ends(_MARGIN)
        ),
        *((start, (x_card, y_out), (_MARGIN, y_out), (_MARGIN, end[1]), end) for end in ends),
    ]
    parts = [at(x_box, middle, box.svg), _lines(routes)]
    parts += [_head(*card, "l-4 -8h8z")] if taken.lines else []
    parts += [_head(*end, "l-8 -4v8z") for end in ends]
    parts += taken.drawn(x_taken, _MARGIN, x_taken + taken.width + _SPACE)
    parts += made.drawn(x_made, y_made, _MARGIN + _SPACE)
    return _Layout(width, y_made + made.height + _MARGIN, joined(parts))


# -- Columns of arrays ---------------------------------------------------------


@dataclass(frozen=True)
class _Column:
    """Arrays one below the other, and what is said at the line of each, above it and below."""

    rows: tuple[Drawing, ...]
    said: tuple[tuple[str, str], ...]

    @property
    def left(self) -> float:
        return max((row.left for row in self.rows), default=0)

    @property
    def width(self) -> float:
        return max((row.width for row in self.rows), default=0)

    @property
    def above(self) -> float:
        return max((row.above for row in self.rows), default=0)

    @property
    def height(self) -> float:
        return sum(row.height for row in self.rows) + _ROW * max(len(self.rows) - 1, 0)

    @property
    def room(self) -> float:
        """How long lines are where the words stand."""
        widths = (max(len(above) * SANS, len(below) * MONO) for above, below in self.said)
        return max(widths, default=-_SPACE) + 3 * _SPACE

    @property
    def tops(self) -> list[float]:
        return [*itertools.accumulate((r.height + _ROW for r in self.rows[:-1]), initial=0.0)]

    @property
    def lines(self) -> list[float]:
        """How far down the line of each array is."""
        pairs = zip(self.tops, self.rows, self.said, strict=False)
        return [top + row.middle for top, row, _ in pairs]

    @property
    def middle(self) -> float:
        """How far down the line of the array in the middle is, or between the two there."""
        return statistics.median(self.lines or [0.0])

    def ends(self, y: float) -> Iterator[tuple[Drawing, float]]:
        """Yield each array that has a line, and where the line is."""
        for row, line in zip(self.rows, self.lines, strict=False):
            yield row, y + line

    def drawn(self, x: float, y: float, x_words: float) -> Iterator[Markup]:
        """Yield the arrays at a place, and the words at their lines at theirs."""
        for top, row in zip(self.tops, self.rows, strict=False):
            yield at(x, y + top, row.svg)
        for line, (above, below) in zip(self.lines, self.said, strict=True):
            yield words(x_words, y + line - 6, above, "vg-d-note")
            style = "vg-d-type" if "[" in below else "vg-d-note"
            if below:
                yield words(x_words, y + line + 15, below, style)


def _columns(picture: Picture) -> tuple[_Column, _Column]:
    """Return the arguments and the results; what is shared is of one type on both sides."""

    def column(blocks: tuple[Block, ...], own: str, shared: tuple[str, str]) -> _Column:
        rows = [leaf(b.name or "result", _type(b), picture.sizes) for b in blocks[:_ROWS]]
        if len(blocks) > _ROWS:
            more = words(0, 12, f"… and {len(blocks) - _ROWS} more", "vg-d-note")
            rows.append(Drawing(0, 0, LINE, 0, 0, 90, more))
        said = [(own, str(_type_of_one(b))) if b.mapped else shared for b in blocks[:_ROWS]]
        return _Column(tuple(rows), tuple(said))

    return (
        column(picture.arguments, "one example", ("shared", "")),
        column(picture.results, "stacked", ("the same", "for all")),
    )


# -- The function and lines ----------------------------------------------------


_Point = tuple[float, float]


@dataclass(frozen=True)
class _Box:
    """One example's function in its frames, drawn with the middle of its card at height 0.

    `top` and `bottom` are those of the outermost frame, `card` is where the card begins, `face`
    how wide it is and `high` how far it reaches up, with the cards behind it.
    """

    width: float
    top: float
    bottom: float
    card: float
    face: float
    high: float
    svg: Markup


def _box(picture: Picture, reach: tuple[float, float], room: float) -> _Box:
    """Draw one example's function on a card, with cards behind it, in a frame for each `vmap`.

    `reach` is from where to where lines enter the frames, `room` what they need to get together.
    """
    shown = picture.name if len(picture.name) <= LONGEST else f"{picture.name[:LONGEST]}…"
    wide = max(len(shown) * MONO + 24, 11 * SANS + 20)
    left, right, top, bottom = 0.0, wide, -_CARD / 2, _CARD / 2
    parts = [
        _rectangle(left, top, right, bottom, "vg-d-f"),
        words(wide / 2, -3, shown, "vg-d-name", "middle"),
        words(wide / 2, 14, "one example", "vg-d-note", "middle"),
    ]
    # Behind the card of the function are those of the innermost `vmap`.
    face, high = (edge + _behind([*picture.sizes.values()][-1:]) for edge in (wide, -top))
    for letter, size in reversed([*picture.sizes.items()]):
        stack = _behind([size])
        behind = [
            _rectangle(left + k, top - k, right + k, bottom - k, f"vg-d-card vg-d-{letter}")
            for k in range(stack, 0, -_STACK)
        ]
        label = _frame_label(picture, letter)
        left, room = left - room, _FRAME
        right = max(right + stack + _FRAME, left + len(label) * SANS + 2 * _SPACE)
        top, bottom = min(top - stack, reach[0] - 8) - 22, max(bottom, reach[1] + 8) + _FRAME
        frame = _rectangle(left, top, right, bottom, f"vg-d-frame vg-d-{letter}")
        name = words(left + _SPACE, top + 16, label, axis_style(letter))
        parts = [frame, name, *behind, *parts]
    return _Box(right - left, top, bottom, -left, face, high, at(-left, 0, joined(parts)))


def _behind(sizes: list[int]) -> int:
    """Return how far the cards behind a card reach: as many as there are more examples, or two."""
    return sum(_STACK * (min(max(size, 1), _CARDS) - 1) for size in sizes)


def _frame_label(picture: Picture, letter: str) -> str:
    return f"vmap {letter} = {picture.sizes[letter]:,}"


def _rectangle(left: float, top: float, right: float, bottom: float, style: str) -> Markup:
    sizes = {"x": left, "y": top, "width": right - left, "height": bottom - top}
    return tag("rect", **sizes, rx=5, class_=style)


def _lines(routes: Iterable[tuple[_Point, ...]]) -> Markup:
    """Draw lines along points: one path, so that where they run together they are one line."""
    return tag("path", class_="vg-d-line", d="".join(itertools.starmap(_route, routes)))


def _route(*points: _Point) -> str:
    """Return a path along points, upright and level by turns, with round bends."""
    path = "M{:g} {:g}".format(*points[0])
    for (x0, y0), (x, y), (x1, y1) in zip(points, points[1:], points[2:], strict=False):
        before, after = abs(x - x0) + abs(y - y0), abs(x1 - x) + abs(y1 - y)
        if bend := min(_BEND, before / 2, after / 2):
            enter, leave = bend / before, bend / after
            path += f"L{x - (x - x0) * enter:g} {y - (y - y0) * enter:g}"
            path += f"Q{x:g} {y:g} {x + (x1 - x) * leave:g} {y + (y1 - y) * leave:g}"
    return path + "L{:g} {:g}".format(*points[-1])


def _head(x: float, y: float, sides: str) -> Markup:
    """Draw the head of an arrow whose tip is at a place."""
    return tag("path", class_="vg-d-head", d=f"M{x:g} {y:g}{sides}")
