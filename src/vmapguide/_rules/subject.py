"""What a rule reads: `Subject`, a call of `jax.vmap` with what became of each of its equations.

The rest are questions that several rules ask of it.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax.extend.core as jec

from vmapguide._data import Finding, Limits, Rule, Source
from vmapguide._jaxpr import primitives, source_lines
from vmapguide._jaxpr.compat import opened
from vmapguide._jaxpr.source_files import is_library
from vmapguide._jaxpr.walk import nested, walk
from vmapguide._trace.steps import Step


_LOOPS = primitives.with_role("loop")

# A piece of code is named with no more characters than this.
_LONG = 44

# More results than this are counted, and not listed.
_MANY = 3


@dataclass(frozen=True)
class Argument:
    """An argument that is traced: one leaf of it.

    Attributes:
        name: what the user calls it: `params['W']`.
        axis: the axis that is mapped; None if it is not mapped, or not known.
        is_spelled: whether `in_axes` says so for this argument, and not one number for all.
    """

    name: str
    axis: int | None
    is_spelled: bool

    @property
    def root(self) -> str:
        """What the user calls the whole argument: `params`."""
        return re.split(r"\W", self.name, maxsplit=1)[0]


@dataclass(frozen=True, eq=False)
class Subject:
    """A call of `jax.vmap`, as rules read it.

    Attributes:
        per_example: the jaxpr of one example.
        batched: the jaxpr of the batch.
        steps: the per-example equations with what became of them; nested ones follow.
        boundary: the batched equations that `vmap` added for `in_axes` and `out_axes`.
        shapes: the shapes of the variables that have batch axes, with the names of these.
        axis_sizes: the sizes of the batch axes by their names, the outermost first.
        arguments: the arguments, in the order of the arguments of the jaxprs.
        limits: from where on rules speak.
    """

    per_example: jec.ClosedJaxpr
    batched: jec.ClosedJaxpr
    steps: tuple[Step, ...]
    boundary: tuple[jec.JaxprEqn, ...]
    shapes: Mapping[jec.Var, tuple[int | str, ...]]
    axis_sizes: Mapping[str, int]
    arguments: tuple[Argument, ...]
    limits: Limits

    @property
    def letter(self) -> str:
        """The name of the batch axis."""
        return next(iter(self.axis_sizes), "B")

    @property
    def size(self) -> int:
        """The size of the batch; 1 if it is not known."""
        return self.axis_sizes.get(self.letter, 1)

    @property
    def has_several(self) -> bool:
        """Whether the batch has several examples, or it is not known how many."""
        return self.size > 1 or not self.axis_sizes

    def is_mapped(self, atom: Any) -> bool:
        """Say whether a value of the batched program has the batch axis, alone or merged."""
        if isinstance(atom, jec.Literal):
            return False
        shape = self.shapes.get(atom, ())
        return any(isinstance(size, str) and self.letter in size.split("·") for size in shape)

    def is_copy(self, eqn: jec.JaxprEqn) -> bool:
        """Say whether a batched equation makes of what all examples share one for each."""
        return self.is_mapped(eqn.outvars[0]) and not any(map(self.is_mapped, eqn.invars))

    def is_of_library(self, step: Step) -> bool:
        """Say whether a library made an equation that the user's code called, and no user's code.

        Of a function of a library that is explained, the lines that are shown count as the user's.
        """
        if not step.in_user_code:
            return True
        is_shown = step.source is None or is_library(step.source.file)
        return not is_shown and source_lines.in_library(step.equation) is not None

    @functools.cached_property
    def library_loops(self) -> Mapping[int, bool]:
        """The per-example equations, by `id`, that lie in a loop which a library made.

        Each with whether the examples leave that loop, or one around it, by themselves.
        """
        found: dict[int, bool] = {}
        for step in self.steps:
            holder = self.holders.get(id(step.equation))
            if holder is None:
                continue
            waits = found.get(id(holder.equation))
            if holder.equation.primitive.name in _LOOPS and self.is_of_library(holder):
                waits = waits or holder.kind == "slowest example"
            if waits is not None:
                found[id(step.equation)] = waits
        return found

    @functools.cached_property
    def holders(self) -> Mapping[int, Step]:
        """The step that each per-example equation is nested in, by the equation's `id`.

        What several hold has the first of them.
        """
        found: dict[int, Step] = {}
        around: list[Step] = []
        for step in self.steps:
            del around[step.depth :]
            if around:
                found[id(step.equation)] = around[-1]
            around.append(step)
        return found

    def since_users(self, step: Step) -> Iterator[jec.JaxprEqn]:
        """Yield the equations from a step's outwards, to the one that the user's code led to."""
        yield step.equation
        while not step.in_user_code and (holder := self.holders.get(id(step.equation))):
            step = holder
            yield step.equation

    @functools.cached_property
    def names(self) -> Mapping[jec.Var, str]:
        """What the user calls the arguments of the batched program."""
        arguments = (argument.name for argument in self.arguments)
        return dict(zip(opened(self.batched).invars, arguments, strict=False))

    def results_named(self, numbers: Sequence[int]) -> str:
        """Return what a sentence calls results: their leaves are counted, from 1 on."""
        results = len(opened(self.batched).outvars)
        if results == 1:
            return "the result"
        if len(numbers) > _MANY:
            return f"{len(numbers)} of {results} results"
        which = listed([str(number + 1) for number in numbers])
        return f"{'result' if len(numbers) == 1 else 'results'} {which} of {results}"

    @functools.cached_property
    def step_of(self) -> Mapping[int, Step]:
        """The step of each per-example equation, by its `id`."""
        return {id(step.equation): step for step in self.steps}

    def is_filled(self, atom: Any) -> bool:
        """Say whether a shared value is one number again and again, or counts up."""
        if isinstance(atom, jec.Literal):
            return True
        maker = self.makers.get(atom)
        if maker is None or maker.primitive.name == "iota":
            return maker is not None
        return maker.primitive.name == "broadcast_in_dim" and size(maker.invars[0]) == 1

    @functools.cached_property
    def step_behind(self) -> Mapping[int, Step]:
        """The step that each batched equation came from, by the equation's `id`."""
        return {id(eqn): step for step in self.steps for eqn in step.batched}

    @functools.cached_property
    def makers(self) -> Mapping[jec.Var, jec.JaxprEqn]:
        """The equation that makes each value of the batched program, nested ones included."""
        return {
            var: eqn for jaxpr in walk(self.batched) for eqn in jaxpr.eqns for var in eqn.outvars
        }

    def inside(self, eqn: jec.JaxprEqn) -> Iterator[Step]:
        """Yield the steps that are nested in a per-example equation, however deep."""
        for held in nested(eqn):
            for jaxpr in walk(held):
                yield from (self.step_of[id(inner)] for inner in jaxpr.eqns)

    def found(
        self,
        rule: Rule,
        step: Step | None = None,
        *,
        is_severe: bool | None = None,
        factor: float | None = None,
        bytes_: int | None = None,
        deciders: tuple[str, ...] = (),
        **facts: int | str,
    ) -> Finding:
        """Return a finding at the line of a step.

        Args:
            rule: the rule that fires.
            step: the step; None if it is about the call as a whole.
            is_severe: whether it is a warning or a note; by default as the rule says.
            factor: see `Finding`.
            bytes_: see `Finding.bytes`.
            deciders: see `Finding`.
            facts: what fills the gaps of the rule's sentences; `code` is filled in here.
        """
        severity = rule.severity
        if is_severe is not None:
            severity = "warning" if is_severe else "note"
        if step is None:
            return Finding(rule, None, severity, (), factor, bytes_, facts)
        steps, own = (self._numbers[id(step)],), {"code": code(step)}
        filling = own | facts
        return Finding(rule, step.source, severity, steps, factor, bytes_, filling, deciders)

    @functools.cached_property
    def _numbers(self) -> Mapping[int, int]:
        return {id(step): number for number, step in enumerate(self.steps)}


def in_bytes(atom: Any) -> int:
    """Return how many bytes a value takes; a number written into the program takes none."""
    if isinstance(atom, jec.Literal):
        return 0
    return size(atom) * int(getattr(getattr(atom.aval, "dtype", None), "itemsize", 0))


def is_rbg(atom: Any, *, unsafe: bool = False) -> bool:
    """Say whether a value is random keys of the kind `rbg` or `unsafe_rbg`, or of this one."""
    kind = str(getattr(getattr(atom, "aval", None), "dtype", ""))
    return kind == "key<urbg>" or (kind == "key<rbg>" and not unsafe)


def size(atom: Any) -> int:
    """Return how many numbers a value has."""
    return math.prod(getattr(atom.aval, "shape", ()))


def rank(atom: Any) -> int:
    """Return how many axes a value has."""
    return len(getattr(atom.aval, "shape", ()))


def code(step: Step) -> str:
    """Return the user's code that made a step, shortened to part of a line."""
    return step.equation.primitive.name if step.source is None else shortened(step.source)


def shortened(source: Source) -> str:
    """Return a piece of code, shortened to part of a line."""
    # Sentences have code between backticks.
    first, *rest = source.expression.replace("`", "'").split("\n")
    return first if not rest and len(first) <= _LONG else f"{first[: _LONG - 1].rstrip()}…"


def listed(names: Sequence[str]) -> str:
    """Return names as a sentence lists them."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def inner_jaxpr(eqn: jec.JaxprEqn, parameter: str) -> jec.Jaxpr:
    """Return a jaxpr that a parameter of an equation holds, opened."""
    return opened(eqn.params[parameter])
