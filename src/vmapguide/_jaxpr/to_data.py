"""Make plain data of a jaxpr: variables get their letters a, b, c, and types their dtypes in short.

Start with `read`. It returns a `Reading`, which has the program and the data of each equation. The
names of variables are chosen here. `parameters` makes text of what else an equation holds.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
import string
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import jax.extend.core as jec
import numpy as np

from vmapguide._data import Equation, Literal, Param, Program, Type, Variable
from vmapguide._jaxpr.compat import (
    AnyJaxpr,
    argument_names,
    constants,
    function_of,
    opened,
    type_text,
)
from vmapguide._jaxpr.parameters import CALLS, is_default, params_in_order, text_of
from vmapguide._jaxpr.source_files import is_library
from vmapguide._jaxpr.walk import jaxprs_in, nested


# An argument's own name is used in the listing if it is short and reads as one word.
_READABLE_NAME = re.compile(r"[\w.\[\]'\"]{1,24}")

# A dimension of a type as JAX prints it: `16`, `16@d` or `16@(x,y)`.
_SIZE = re.compile(r"([^,@]+)((?:@(?:\([^)]*\)|[^,]+))?)(?:,|$)")


def read(
    jaxpr: AnyJaxpr,
    captured: Mapping[int, str] | None = None,
    arguments: Sequence[str | None] | None = None,
    shapes: Mapping[jec.Var, tuple[int | str, ...]] | None = None,
    *,
    names: Mapping[jec.Var, str] | None = None,
    reserved: Iterable[str] = (),
) -> Reading:
    """Read a jaxpr into plain data.

    Args:
        jaxpr: the jaxpr.
        captured: what the user calls each captured array, by the array's `id`.
        arguments: the arguments' names; by default those of the traced function's parameters.
        shapes: shapes to show for some variables instead of their own, with named axes.
        names: what to call some variables.
        reserved: letters that stand for something else beside this program.

    Returns:
        The program. Arguments, and constants in `captured`, keep their names; all else is lettered
        a, b, c, ... in order of definition, the letters of names in use left out. A jaxpr that
        several equations share is read once, so they hold the same `Program` object.
    """
    if arguments is None:
        arguments = argument_names(jaxpr)
    return Reading(
        jaxpr, captured or {}, arguments, shapes or {}, names=names or {}, reserved=reserved
    )


class Reading:
    """A jaxpr that has been read, nested ones included.

    Attributes:
        program: the jaxpr as plain data.
        equations: the plain data of every equation, by the equation's `id`.
        names: what the variables are called.
    """

    def __init__(
        self,
        jaxpr: AnyJaxpr,
        captured: Mapping[int, str],
        arguments: Sequence[str | None],
        shapes: Mapping[jec.Var, tuple[int | str, ...]],
        *,
        names: Mapping[jec.Var, str],
        reserved: Iterable[str],
    ) -> None:
        """Read a jaxpr; see `read`."""
        self.equations: dict[int, Equation] = {}
        self._shapes = shapes
        self.names: dict[jec.Var, str] = dict(names)
        self._variables: dict[jec.Var, Variable] = {}
        self._types: dict[tuple[Any, Any], Type] = {}
        self._programs: dict[int, Program] = {}
        # One name is one array, wherever it is used.
        taken: set[str] = set()
        for var, name in zip(opened(jaxpr).invars, arguments, strict=False):
            if name and _READABLE_NAME.fullmatch(name) and name not in taken:
                self.names[var] = name
                taken.add(name)
        self._captured: dict[int, str] = {}
        for key, name in captured.items():
            if name not in taken and _READABLE_NAME.fullmatch(name):
                self._captured[key] = name
                taken.add(name)
        taken |= {*names.values(), *reserved}
        self._fresh = (name for name in _letters() if name not in taken)
        self.program = self._program(jaxpr)

    def _program(self, closed: AnyJaxpr) -> Program:
        jaxpr = opened(closed)
        if id(jaxpr) not in self._programs:
            for var, value in constants(closed):
                if id(value) in self._captured:
                    self.names[var] = self._captured[id(value)]
            # All variables of a level are lettered before those of the levels below it, so that
            # folding a call away leaves no gap in the letters.
            constvars = tuple(map(self._variable, jaxpr.constvars))
            arguments = tuple(map(self._variable, jaxpr.invars))
            for eqn in jaxpr.eqns:
                for var in eqn.outvars:
                    self._variable(var)
            self._programs[id(jaxpr)] = Program(
                name=function_of(jaxpr)[0],
                constants=constvars,
                arguments=arguments,
                equations=tuple(map(self._equation, jaxpr.eqns)),
                results=tuple(map(self._atom, jaxpr.outvars)),
            )
        return self._programs[id(jaxpr)]

    def _equation(self, eqn: jec.JaxprEqn) -> Equation:
        inputs = tuple(map(self._atom, eqn.invars))
        outputs = tuple(map(self._variable, eqn.outvars))
        equation = Equation(
            primitive=eqn.primitive.name,
            params=tuple(
                self._param(name, value, eqn) for name, value in params_in_order(eqn).items()
            ),
            inputs=inputs,
            outputs=outputs,
            library=eqn.primitive.name in CALLS and all(map(_wholly_library, nested(eqn))),
        )
        self.equations[id(eqn)] = equation
        return equation

    def _param(self, name: str, value: Any, eqn: jec.JaxprEqn) -> Param:
        programs = tuple(map(self._program, jaxprs_in(value)))
        if programs:
            return Param(name, programs=programs)
        return Param(name, text=text_of(value), default=is_default(name, value, eqn))

    def _variable(self, var: jec.Var) -> Variable:
        if isinstance(var, jec.DropVar):
            return Variable("_", self._type(var))
        if var not in self._variables:
            if var not in self.names:
                self.names[var] = next(self._fresh)
            self._variables[var] = Variable(self.names[var], self._type(var))
        return self._variables[var]

    def _type(self, var: jec.Var) -> Type:
        # There are far fewer types than variables.
        key = var.aval, self._shapes.get(var)
        if key not in self._types:
            kind = type_of(var.aval)
            if key[1] is not None and kind.shape is not None:
                kind = dataclasses.replace(kind, shape=key[1])
            self._types[key] = kind
        return self._types[key]

    def _atom(self, atom: jec.Var | jec.Literal) -> Variable | Literal:
        if not isinstance(atom, jec.Literal):
            return self._variable(atom)
        kind = type_of(atom.aval)
        # An operation's operands have one dtype, so that of a literal is worth saying only
        # where it is not the one that its spelling suggests.
        usual = kind.shape == () and kind.dtype in {"f32", "i32", "bool"}
        suffix = "" if usual else f":{kind}"
        # As a number of its own type: 0.1, and not the double next to the f32 that it is.
        aval: Any = atom.aval
        value = np.asarray(atom.val, aval.dtype)[()]
        return Literal(str(value) + suffix)


def _letters() -> Iterator[str]:
    """Yield a, b, ..., z, ba, bb, ...: the names JAX's own printer uses."""
    for number in itertools.count():
        name, rest = "", number
        while rest or not name:
            rest, digit = divmod(rest, 26)
            name = string.ascii_lowercase[digit] + name
        yield name


def _wholly_library(jaxpr: jec.Jaxpr, memo: dict[int, bool] | None = None) -> bool:
    """Say whether a jaxpr and all nested in it were traced from installed code."""
    memo = {} if memo is None else memo
    if id(jaxpr) not in memo:
        memo[id(jaxpr)] = is_library(function_of(jaxpr)[1]) and all(
            _wholly_library(inner, memo) for eqn in jaxpr.eqns for inner in nested(eqn)
        )
    return memo[id(jaxpr)]


def type_of(aval: Any) -> Type:
    """Return the type of a value as plain data."""
    text = type_text(aval)
    parts = re.fullmatch(r"([^\[]+)\[([^\]]*)\](\{.*\})?", text)
    shape = getattr(aval, "shape", None)
    if parts is None or shape is None:
        return Type(text, None)
    # Each size, and behind an @ the axis or axes of a mesh that it is sharded over.
    sizes = _SIZE.findall(parts[2])
    if [size for size, _ in sizes] != [*map(str, shape)]:
        return Type(text, None)
    places = tuple(place for _, place in sizes)
    weak = bool(getattr(aval, "weak_type", False))
    return Type(parts[1], tuple(shape), weak, parts[3] or "", places if any(places) else ())
