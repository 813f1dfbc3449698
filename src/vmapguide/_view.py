"""The view of an explanation: your code, one example, the whole batch; as text and as HTML.

Pure functions of plain data, like `_render`, whose tokens they print.
"""

from __future__ import annotations

import html as escape
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

from vmapguide import _render
from vmapguide._program import Equation, Program, Source, Variable
from vmapguide._render import Token


# Equations stand this far in, and columns of text this far apart.
_INDENT, _GAP = 4, 3

# Of a line of the user's are folded: more equations inside library code than this, and what comes
# after so many equations.
_MANY, _FIRST = 3, 12


@dataclass(frozen=True)
class Row:
    """A step: an equation, what it became (each with whether it is layout), its kind."""

    source: Source | None
    own: bool
    equation: Equation | None
    batched: tuple[tuple[Equation, bool], ...]
    kind: str
    depth: int


@dataclass(frozen=True)
class View:
    """Everything that is shown of an explanation."""

    name: str
    call: str
    sizes: Mapping[str, int]
    one: Program
    whole: Program
    rows: tuple[Row, ...]
    complete: bool


@dataclass(frozen=True)
class Group:
    """The rows of one line of the user's; `folded` has the numbers of those to fold away."""

    source: Source | None
    rows: tuple[Row, ...]
    folded: frozenset[int]

    @property
    def label(self) -> str:
        """What stands for the folded rows."""
        number = _count(len(self.folded), "equation")
        if any(self.rows[i].own for i in self.folded):
            return f"{number.replace(' ', ' more ')}"
        return f"{number} inside library code"


def groups(view: View, *, fold: bool = True) -> Iterator[Group]:
    """Yield runs of rows that came from the same line."""

    def line(row: Row) -> tuple[str, int, int] | None:
        source = row.source
        return (source.file, source.line, source.end_line) if source else None

    for _, run in groupby(view.rows, key=line):
        rows = tuple(run)
        inner = [i for i, row in enumerate(rows) if not row.own]
        folded = set(inner if len(inner) > _MANY else ())
        left = [i for i in range(len(rows)) if i not in folded]
        if len(left) > _FIRST + _MANY:
            folded |= set(left[_FIRST:])
        yield Group(rows[0].source, rows, frozenset(folded if fold else ()))


def signature(program: Program) -> list[Token]:
    """Return the types of a program's arguments and results."""
    tokens: list[Token] = []
    for i, argument in enumerate(program.arguments):
        tokens += [Token(", ")] * bool(i) + _render.type_tokens(argument.type)
    tokens.append(Token(" → "))
    for i, result in enumerate(program.results):
        tokens += [Token(", ")] * bool(i)
        tokens += (
            _render.type_tokens(result.type)
            if isinstance(result, Variable)
            else [Token(result.text, "value")]
        )
    return tokens


def summary(view: View) -> str:
    """Say in a few sentences how many equations became how many, and at what cost."""
    steps = [row for row in view.rows if row.equation]
    if not view.complete:
        return (
            f"{_count(len(steps), 'equation')} on one example. This program could not be mapped "
            f"to what vmap made of it; both jaxprs are right all the same."
        )
    batched = [is_layout for row in view.rows for _, is_layout in row.batched]
    kinds = [row.kind for row in steps]
    parts = [f"{_count(len(steps), 'equation')} became {len(batched)}."]
    shared = kinds.count("shared")
    once = kinds.count("same") + shared + kinds.count("layout")
    layout = sum(batched)
    sentences = (
        (
            once,
            "All {n} run once for the whole batch."
            if once == len(steps) > 1
            else "{n} {run} once for the whole batch.",
        ),
        (shared, "{n} of them {have} no mapped input and stayed as {they} {were}."),
        (layout, "{n} more {line} axes up."),
        (kinds.count("rewritten"), "{n} {were} rewritten."),
        (kinds.count("all branches"), "{n} {run} every branch for every example."),
        (kinds.count("slowest example"), "{n} {run} until the slowest example is done."),
        (kinds.count("one by one"), "{n} {run} one example at a time."),
    )
    parts += [_agree(sentence, number) for number, sentence in sentences if number]
    if not kinds.count("one by one"):
        parts.append("Nothing runs one example at a time.")
    return " ".join(parts)


def _agree(sentence: str, number: int) -> str:
    """Fill a number into a sentence, and the forms of its words that go with it."""
    one = number == 1
    return sentence.format(
        n=number,
        run="runs" if one else "run",
        have="has" if one else "have",
        line="lines" if one else "line",
        were="was" if one else "were",
        they="it" if one else "they",
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def made(row: Row) -> Iterator[tuple[Equation | None, str]]:
    """Yield what a row's equation became, each with a note; the kind is noted once."""
    kind = "" if row.kind in ("same", "out_axes") else row.kind
    for equation, is_layout in row.batched:
        yield equation, "layout" if is_layout else kind
        kind = kind if is_layout else ""
    if not row.batched and kind:
        yield None, kind


def underlined(source: Source) -> Iterator[tuple[int, str, int, int]]:
    """Yield the lines of a source: number, text, and where the underlined part starts and ends."""
    rows = source.text.split("\n")
    for i, row in enumerate(rows):
        start = source.column - source.indentation if i == 0 else len(row) - len(row.lstrip())
        end = source.end_column - source.indentation if i == len(rows) - 1 else len(row)
        yield source.line + i, row, start, end


# -- Text -------------------------------------------------------------------


def text(view: View, width: int, *, fold: bool = True) -> str:
    """Print a view as text of at most `width` characters a line, where that is possible."""
    sizes = "  ".join(f"{letter} = {size}" for letter, size in view.sizes.items())
    types = "".join(token.text for token in signature(view.whole))
    head = [part for part in (f"vmap({view.name})  {view.call}", types, sizes) if part]
    on_one_line = "   ".join(head)
    lines = [on_one_line] if len(on_one_line) <= width else head
    parts = [*groups(view, fold=fold)]
    shown = [row for p in parts for i, row in enumerate(p.rows) if i not in p.folded]
    lefts = [len(_left(row)) for row in shown]
    notes = [len(note) for row in shown for _, note in made(row)]
    room = width - _INDENT - 2 * _GAP - max(notes, default=0)
    left = min(max(lefts, default=0), room // 2)
    right = room - left
    for group in parts:
        lines += ["", *_group_text(group, left, right)]
    return "\n".join(line.rstrip() for line in [*lines, "", *_wrapped(summary(view), width)])


def _group_text(group: Group, left: int, right: int) -> Iterator[str]:
    """Yield a user's line and, in two columns, what was made of it."""
    if group.source is None:
        yield "out_axes" if group.rows[0].equation is None else "(no source)"
    else:
        yield from _code(group)
    several = len({row.source for row in group.rows if row.own}) > 1
    previous = None
    for i, row in enumerate(group.rows):
        if i in group.folded:
            continue
        if several and row.source != previous and row.source:
            first, *rest = row.source.expression.split("\n")
            yield f"  > {first}{' …' if rest else ''}"
        previous = row.source
        yield from _columns(row, left, right)
    if group.folded:
        yield f"{'':{_INDENT}}({group.label})"


def _code(group: Group) -> Iterator[str]:
    """Yield the user's lines; if one part of them made all the equations, that is underlined."""
    source = group.source
    assert source is not None  # noqa: S101 - the caller has looked.
    gutter = len(str(source.end_line))
    alone = len({row.source for row in group.rows if row.own}) <= 1
    for number, row, start, end in underlined(source):
        yield f"{number:>{gutter}}  {row}"
        if alone and row[start:end] != row.strip():
            yield f"{'':>{gutter}}  {' ' * start}{'~' * (end - start)}"


def _left(row: Row) -> str:
    return " " * (2 * row.depth) + _plain(row.equation)


def _plain(eqn: Equation | None) -> str:
    return "".join(token.text for token in _render.equation_tokens(eqn)) if eqn else ""


def _columns(row: Row, left: int, right: int) -> Iterator[str]:
    """Yield the lines of a row: two columns and the notes, each broken at its own width."""
    lefts = _wrapped(_left(row), left, hang=2 * row.depth + 2)
    rights = [
        (part, note if i == 0 else "")
        for equation, note in made(row)
        for i, part in enumerate(_wrapped(_plain(equation), right, hang=2) or [""])
    ]
    height = max(len(lefts), len(rights))
    lefts += [""] * (height - len(lefts))
    rights += [("", "")] * (height - len(rights))
    for one, (whole, note) in zip(lefts, rights, strict=True):
        yield f"{'':{_INDENT}}{one:<{left}}{'':{_GAP}}{whole:<{right}}{'':{_GAP}}{note}"


def _wrapped(text: str, width: int, hang: int = 0) -> list[str]:
    """Break a text at its spaces, and within a word only if the word is longer than a line."""
    indent = " " * (len(text) - len(text.lstrip()))
    wrapper = textwrap.TextWrapper(
        width=max(width, hang + 8),
        initial_indent=indent,
        subsequent_indent=" " * hang,
        break_on_hyphens=False,
    )
    return wrapper.wrap(text)


def coloured(text: str) -> str:
    """Return a printed view with a terminal's colours: axes, the user's lines, what is layout."""
    lines = []
    for line in text.split("\n"):
        if re.match(r"\d+  ", line):
            lines.append(f"\x1b[1m{line}\x1b[0m")
        elif line.endswith("layout"):
            lines.append(f"\x1b[2m{line}\x1b[0m")
        else:
            # A capital letter alone among the sizes of a type is a batch axis.
            lines.append(re.sub(r"(?<=[\[,·])[B-H](?=[\],·])", "\x1b[33m\\g<0>\x1b[39m", line))
    return "\n".join(lines)


# -- HTML -------------------------------------------------------------------


def html(view: View) -> str:
    """Print a view as one self-contained HTML element, with its stylesheet and script."""
    name = escape.escape(view.name)
    call = escape.escape(view.call)
    types = _render.tokens_html(signature(view.whole))
    sizes = ", ".join(
        f"{_render.tokens_html([Token(letter, 'axis')])} = {size}"
        for letter, size in view.sizes.items()
    )
    heads = "".join(
        f'<th role="columnheader" scope="col">{title}</th>'
        for title in ("your code", "one example", "the whole batch")
    )
    bodies = "".join(map(_group_html, groups(view)))
    return (
        f'{_render.style_element()}<div class="vg vg-explain">'
        f'<div class="vg-head"><code>vmap({name})</code> <span class="vg-call">{call}</span> '
        f'<span class="vg-signature">{types}</span><span class="vg-sizes">{sizes}</span></div>'
        f'<table role="table" aria-label="What vmap made of {name}">'
        f'<thead role="rowgroup"><tr role="row">{heads}</tr></thead>{bodies}</table>'
        f'<p class="vg-foot">{escape.escape(summary(view))}</p></div>'
        f"{_render.script_element()}"
    )


def _group_html(group: Group) -> str:
    rows = []
    previous = None
    for i, row in enumerate(group.rows):
        code = ""
        if row.source and row.own and row.source != previous:
            code = _code_html(row.source)
            previous = row.source
        elif row.source and i == 0:
            code = _code_html(row.source)
        elif row.equation is None:
            code = '<span class="vg-keyword">out_axes</span>'
        if i == 0 and group.folded:
            code += f'<details class="vg-more"><summary>{group.label}</summary></details>'
        rows.append(_row_html(row, code, hidden=i in group.folded))
    return f'<tbody role="rowgroup">{"".join(rows)}</tbody>'


def _row_html(row: Row, code: str, *, hidden: bool) -> str:
    indent = '<span class="vg-indent"></span>' * row.depth
    one = indent + _equation_html(row.equation) if row.equation else ""
    parts = [_made_html(equation, note) for equation, note in made(row)]
    classes = ' class="vg-inner"' if hidden else ""
    return (
        f'<tr role="row" tabindex="0"{classes}>'
        f'<td role="cell" class="vg-code">{code}</td>'
        f'<td role="cell" class="vg-one">{one}</td>'
        f'<td role="cell" class="vg-whole">{"".join(parts)}</td></tr>'
    )


def _made_html(eqn: Equation | None, note: str) -> str:
    equation = _equation_html(eqn) if eqn else ""
    tag = f'<span class="vg-tag vg-tag-{note.replace(" ", "-")}">{note}</span>' if note else ""
    faded = " vg-faded" if note == "layout" else ""
    return f'<div class="vg-made{faded}"><span>{equation}</span>{tag}</div>'


def _equation_html(eqn: Equation) -> str:
    return _render.tokens_html(_render.equation_tokens(eqn))


def _code_html(source: Source) -> str:
    parts = []
    for number, row, start, end in underlined(source):
        before, part, after = (escape.escape(p) for p in (row[:start], row[start:end], row[end:]))
        parts.append(
            f'<div class="vg-code-line"><span class="vg-number">{number}</span>'
            f"<span>{before}<u>{part}</u>{after}</span></div>"
        )
    return "".join(parts)
