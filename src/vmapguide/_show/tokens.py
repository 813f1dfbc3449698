"""Programs in lines of tokens: what is printed, before it is text or HTML.

Start with `layout`, which lays a whole program out, or `equation_tokens`, which returns one
equation on one line. A token says what it is (a variable, a type, …), and so can be coloured.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal as OneOf
from typing import NamedTuple

from vmapguide._data import Equation, Literal, Param, Program, Type, Variable


Kind = OneOf["text", "keyword", "variable", "type", "axis", "primitive", "param", "value"]

# A parameter's text beyond this many characters is shortened.
_LONG = 44

# In a table there is less room: parameters longer than this stand as "…".
_LONG_INLINE = 24

# Indentation of a nested equation.
_STEP = 4


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
_EQUALS, _COLON = Token("="), Token(":", "type")


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


def equation_tokens(eqn: Equation) -> list[Token]:
    """Return an equation as tokens on one line; parameters that take much room are shortened."""
    tokens = [*_spaced(map(_declaration, eqn.outputs))]
    tokens += [_EQUALS, SPACE] if eqn.outputs else []
    tokens.append(Token(eqn.primitive, "primitive"))
    if params := [param for param in eqn.params if not param.default]:
        inside = _Layout(fold=True, shorten=True)
        inline = [*_spaced(map(inside.inline_param, params))][:-1]
        if sum(len(token.text) for token in inline) > _LONG_INLINE:
            full = " ".join(f"{p.name}={p.text or '{…}'}" for p in params)
            inline = [Token("…", full=full)]
        tokens += [Token("["), *inline, Token("]")]
    for atom in eqn.inputs:
        tokens.append(SPACE)
        tokens += _atom(atom)
    return tokens


# There are far fewer types than variables.
@functools.lru_cache(maxsize=256)
def type_tokens(kind: Type) -> tuple[Token, ...]:
    """Return a type as tokens, its named axes apart."""
    if kind.shape is None or all(isinstance(size, int) for size in kind.shape):
        return (Token(str(kind), "type"),)
    before, _, _ = str(kind).partition("[")
    inner: list[Token] = []
    for size in kind.sizes:
        # The product of two axes is both: "B·4" is B and 4. What it is sharded over is no axis.
        for part in re.split(r"(·|@.*)", size):
            is_axis = part[:1].isalpha()
            inner.append(Token(part, "axis" if is_axis else "type"))
        inner.append(Token(",", "type"))
    inner = inner[:-1]
    return (Token(before + "[", "type"), *inner, Token("]" + kind.suffix, "type"))


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
    return [Token(variable.name, "variable"), _COLON, *type_tokens(variable.type)]


def _atom(atom: Variable | Literal) -> list[Token]:
    if isinstance(atom, Literal):
        return [Token(atom.text, "value")]
    return [Token(atom.name, "variable")]


def _spaced(groups: Iterable[list[Token]]) -> Iterator[Token]:
    """Yield the tokens of every group, each group followed by a space."""
    for group in groups:
        yield from group
        yield SPACE
