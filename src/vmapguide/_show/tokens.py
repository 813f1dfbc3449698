"""Printing programs: one layout in lines of tokens, and two printers of it, text and HTML.

Pure functions of plain data: nothing here traces, computes or knows JAX. Text that a user may have
chosen (names, keys, values) is escaped where it becomes HTML.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import resources
from typing import Literal as OneOf
from typing import NamedTuple

from vmapguide._data import Equation, Literal, Param, Program, Type, Variable


Kind = OneOf["text", "keyword", "variable", "type", "axis", "primitive", "param", "value"]

# A parameter's text beyond this many characters is shortened.
_LONG = 44

# In a table there is less room: parameters longer than this stand as "…".
_LONG_INLINE = 24

# Indentation of a nested equation, and of the rest of a line that had to be broken.
_STEP, _HANG = 4, 6


class Token(NamedTuple):
    """A piece of a line. `full` holds the whole of a text that was shortened."""

    text: str
    kind: Kind = "text"
    full: str = ""


@dataclass(frozen=True)
class Line:
    """A line, indented by `indent` spaces; `folded` are lines that it stands for."""

    indent: int
    tokens: tuple[Token, ...]
    folded: tuple[Line, ...] = ()


SPACE = Token(" ")


def layout(program: Program, *, fold: bool = True, shorten: bool = True) -> list[Line]:
    """Lay a program out in lines.

    Args:
        program: the program.
        fold: stand a call into a library for what it contains, in one line.
        shorten: leave out parameters at their default, and shorten long ones.

    Returns:
        The lines, in JAX's own notation. A program that several equations share is written out
        where it stands first and then named.
    """
    return _Layout(fold=fold, shorten=shorten).program(program, 0)


def listing_text(lines: Iterable[Line], width: int) -> str:
    """Print lines as plain text, broken at spaces to at most `width` characters if they can be."""
    return "\n".join(piece for line in lines for piece in _broken(line, width))


def listing_html(lines: Iterable[Line], label: str) -> str:
    """Print lines as one self-contained HTML element, with its stylesheet.

    Folded lines and shortened texts are `<details>`, so that they open without a script.
    """
    body = "".join(map(_line_html, lines))
    return (
        f'{style_element()}<div class="vg"><div class="vg-listing" role="group" '
        f'aria-label="{html.escape(label)}">{body}</div></div>'
    )


def equation_tokens(eqn: Equation) -> list[Token]:
    """Return an equation as tokens on one line; parameters that take much room are shortened."""
    inside = _Layout(fold=True, shorten=True)
    params = [param for param in eqn.params if not param.default]
    inline = [*_spaced(map(inside.inline_param, params))][:-1]
    if sum(len(token.text) for token in inline) > _LONG_INLINE:
        full = " ".join(f"{p.name}={p.text or '{…}'}" for p in params)
        inline = [Token("…", full=full)]
    brackets = [Token("["), *inline, Token("]")] if inline else []
    left = [*_spaced(map(_declaration, eqn.outputs))]
    left += [Token("="), SPACE] if eqn.outputs else []
    right = [token for atom in eqn.inputs for token in (SPACE, *_atom(atom))]
    return [*left, Token(eqn.primitive, "primitive"), *brackets, *right]


def type_tokens(kind: Type) -> list[Token]:
    """Return a type as tokens, its named axes apart."""
    return _type(kind)


def tokens_html(tokens: Iterable[Token]) -> str:
    """Print tokens as HTML."""
    return "".join(map(_token_html, tokens))


def stylesheet() -> str:
    """Return the stylesheet of everything this module prints as HTML."""
    return resources.files("vmapguide").joinpath("assets/vmapguide.css").read_text("utf-8")


def script() -> str:
    """Return the script that links a variable to its definition and uses under the pointer."""
    return resources.files("vmapguide").joinpath("assets/vmapguide.js").read_text("utf-8")


def style_element() -> str:
    """Return the stylesheet as the element that opens every HTML view.

    `vmapguide.sphinx` removes it from a site's pages, which share one file instead.
    """
    return f"<style>{stylesheet()}</style>"


def script_element() -> str:
    """Return the script as the element that closes an explanation; removed like the stylesheet."""
    return f"<script>{script()}</script>"


class _Layout:
    def __init__(self, *, fold: bool, shorten: bool) -> None:
        self._fold = fold
        self._shorten = shorten
        self._written: dict[int, str] = {}

    def program(self, program: Program, indent: int) -> list[Line]:
        head = [Token("{"), SPACE, Token("lambda", "keyword"), SPACE]
        constants = [*_spaced(map(_declaration, program.constants))]
        head += [*constants[:-1], Token(";"), SPACE]
        head += [*_spaced(map(_declaration, program.arguments))]
        head[-1:] = [Token("."), SPACE] if program.arguments else [SPACE]
        head += [Token("let", "keyword")]
        results = [*_spaced([*_atom(atom), Token(",")] for atom in program.results)]
        # A tuple of one keeps its comma.
        results = results[:-1] if len(program.results) == 1 else results[:-2]
        tail = [Token("in", "keyword"), SPACE, Token("("), *results, Token(")"), SPACE, Token("}")]
        return [
            Line(indent, tuple(head)),
            *(line for eqn in program.equations for line in self.equation(eqn, indent + _STEP)),
            Line(indent + _STEP // 2, tuple(tail)),
        ]

    def equation(self, eqn: Equation, indent: int) -> list[Line]:
        left = [*_spaced(map(_declaration, eqn.outputs))]
        left += [Token("="), SPACE] if eqn.outputs else []
        left += [Token(eqn.primitive, "primitive")]
        right = [token for atom in eqn.inputs for token in (SPACE, *_atom(atom))]
        params = [p for p in eqn.params if not (self._shorten and p.default)]
        nested = any(param.programs for param in params)
        if not nested or (self._fold and eqn.library):
            inline = [*_spaced(map(self.inline_param, params))][:-1]
            brackets = [Token("["), *inline, Token("]")] if inline else []
            inside = _Layout(fold=False, shorten=self._shorten)
            folded = inside._param_lines(params, indent + _STEP) if nested else []
            return [Line(indent, (*left, *brackets, *right), tuple(folded))]
        return [
            Line(indent, (*left, Token("["))),
            *self._param_lines(params, indent + _STEP // 2),
            Line(indent, (Token("]"), *right)),
        ]

    def _param_lines(self, params: Iterable[Param], indent: int) -> list[Line]:
        lines: list[Line] = []
        for param in params:
            if not param.programs:
                lines.append(Line(indent, tuple(self.inline_param(param))))
                continue
            name = (Token(param.name, "param"), Token("="))
            alone = len(param.programs) == 1
            blocks = [self._block(p, indent if alone else indent + 2) for p in param.programs]
            if alone:
                first, *rest = blocks[0]
                lines += [Line(indent, name + first.tokens, first.folded), *rest]
            else:
                lines += [Line(indent, (*name, Token("("))), *(ln for b in blocks for ln in b)]
                lines += [Line(indent, (Token(")"),))]
        return lines

    def _block(self, program: Program, indent: int) -> list[Line]:
        """Write a nested program out, or name it if it has been written before."""
        if id(program) in self._written:
            again = Token(f"{{ as above: {program.name} }}")
            return [Line(indent, (again,))]
        lines = self.program(program, indent)
        self._written[id(program)] = program.name
        return lines

    def inline_param(self, param: Param) -> list[Token]:
        value = Token("{…}") if param.programs else self._value(param.text)
        return [Token(param.name, "param"), Token("="), value]

    def _value(self, value: str) -> Token:
        if not self._shorten or len(value) <= _LONG:
            return Token(value, "value")
        constructor = re.match(r"\w*[(\[{]", value)
        opening = constructor.group() if constructor and len(constructor.group()) > 1 else ""
        short = f"{opening}…{value[-1]}" if opening else f"{value[: _LONG - 1]}…"
        return Token(short, "value", full=value)


def _declaration(variable: Variable) -> list[Token]:
    return [Token(variable.name, "variable"), Token(":", "type"), *_type(variable.type)]


def _type(kind: Type) -> list[Token]:
    if kind.shape is None or all(isinstance(size, int) for size in kind.shape):
        return [Token(str(kind), "type")]
    before, _, _ = str(kind).partition("[")
    inner: list[Token] = []
    for size in kind.shape:
        # The product of two axes is both: "B·4" is B and 4.
        for part in re.split(r"(·)", str(size)):
            is_axis = part[:1].isalpha()
            inner.append(Token(part, "axis" if is_axis else "type"))
        inner.append(Token(",", "type"))
    inner = inner[:-1]
    return [Token(before + "[", "type"), *inner, Token("]" + kind.suffix, "type")]


def _atom(atom: Variable | Literal) -> list[Token]:
    if isinstance(atom, Literal):
        return [Token(atom.text, "value")]
    return [Token(atom.name, "variable")]


def _spaced(groups: Iterable[list[Token]]) -> Iterator[Token]:
    """Yield the tokens of every group, each group followed by a space."""
    for group in groups:
        yield from group
        yield SPACE


def _broken(line: Line, width: int) -> Iterator[str]:
    """Yield a line in pieces of at most `width` characters, broken at its spaces.

    A value is kept together, unless it does not fit on a line of its own.
    """
    room = width - line.indent - _HANG
    words = [
        part for w in _words(line.tokens) for part in ([w] if len(w) <= room else w.split(" "))
    ]
    first, *words = words
    current = " " * line.indent + first
    for word in words:
        if len(current) + 1 + len(word) > width:
            yield current
            current = " " * (line.indent + _HANG) + word
        else:
            current += " " + word
    yield current


def _words(tokens: Iterable[Token]) -> list[str]:
    """Join tokens into words. Only the token `SPACE` parts them: a value may hold spaces."""
    words = [""]
    for token in tokens:
        if token is SPACE:
            words.append("")
        else:
            words[-1] += token.text
    return words


def _line_html(line: Line) -> str:
    tokens = " " * line.indent + "".join(map(_token_html, line.tokens))
    if not line.folded:
        return f'<div class="vg-line">{tokens}\n</div>'
    folded = "".join(map(_line_html, line.folded))
    return f'<details><summary class="vg-line">{tokens}\n</summary>{folded}</details>'


def _token_html(token: Token) -> str:
    shown = html.escape(token.text)
    if token.full:
        full = html.escape(token.full)
        return f'<details class="vg-long"><summary>{shown}</summary>{full}</details>'
    if token.kind == "text":
        return shown
    if token.kind == "variable":
        return f'<span class="vg-variable" data-vg="{shown}">{shown}</span>'
    # Each batch axis has its letter and, with it, its hue.
    kind = f"axis vg-axis-{shown}" if token.kind == "axis" else token.kind
    return f'<span class="vg-{kind}">{shown}</span>'
