"""Which random keys a function uses twice. Start with `used_again`.

Every key gets a number, and so do the words that one is made of: what is made in the same way from
the same values has the same number (as in `_jaxpr/value_numbering.py`, of which keys need little).
Two draws with one number are two uses of one key, unless both are in one place of the user's code:
JAX's own functions draw twice with a key where one of the draws counts, and a derivative may draw
again what was drawn before.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Any, NamedTuple

import jax.extend.core as jec
import numpy as np

from vmapguide._jaxpr import primitives
from vmapguide._jaxpr.compat import opened, scan_counts
from vmapguide._jaxpr.source_files import is_library
from vmapguide._jaxpr.walk import nested
from vmapguide._rules.subject import Subject
from vmapguide._trace.steps import Step


# A function that is called often is looked at as often, but of a program not more than so many
# times its equations.
_TIMES = 10

Uses = dict[int, Step]
# The keys that were used before a jaxpr: those before and in each of the jaxprs that it lies in.
Before = tuple[Uses, ...]


class Again(NamedTuple):
    """A step that uses a key, and the first one that did."""

    step: Step
    before: Step


def used_again(subject: Subject) -> Iterator[Again]:
    """Yield the uses of keys that have been used before, each place of the code once."""
    reader = _Reader(subject)
    whole = opened(subject.per_example)
    reader.run(whole, [reader.new() for _ in whole.invars], None, ())
    yield from reader.found.values()


class _Reader:
    """Reads a per-example program in the order in which it runs."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.numbers: dict[Hashable, int] = {}
        self.count = 0
        self.found: dict[Hashable, Again] = {}
        self.draws: dict[int, bool] = {}
        self.left = _TIMES * len(subject.steps) + 1000

    def new(self) -> int:
        """Return the number of a value that is like no other."""
        self.count += 1
        return self.count

    def number(self, *made: Hashable) -> int:
        """Return the number of a value that is made in a way."""
        try:
            if made not in self.numbers:
                self.numbers[made] = self.new()
            return self.numbers[made]
        except TypeError:  # A parameter cannot be hashed.
            return self.new()

    def run(
        self, jaxpr: jec.Jaxpr, operands: Sequence[int], site: Step | None, before: Before
    ) -> tuple[list[int], Uses]:
        """Read a jaxpr.

        Args:
            jaxpr: the jaxpr.
            operands: the numbers of its arguments.
            site: the step of the user's code that it is called in.
            before: which keys were used before, and where.

        Returns:
            The numbers of its results, and which keys it uses.
        """
        values: dict[Any, int] = dict(zip(jaxpr.invars, operands, strict=True))
        uses: Uses = {}
        self.left -= len(jaxpr.eqns)
        if self.left < 0:
            return [self.new() for _ in jaxpr.outvars], uses
        live = _live(jaxpr)
        for eqn in jaxpr.eqns:
            step = self.subject.step_of[id(eqn)]
            here = step if step.in_user_code or site is None else site
            traits = primitives.traits(eqn.primitive.name)
            if traits.keeps_key:
                values.update(zip(eqn.outvars, self.kept(eqn, values, traits), strict=True))
            elif traits.consumes_key:
                if id(eqn) in live:
                    self.use(self.read(values, eqn.invars[0]), here, before, uses)
                made = eqn.primitive.name, self.read(values, eqn.invars[0]), _params(eqn)
                values.update((var, self.number(*made, k)) for k, var in enumerate(eqn.outvars))
            elif eqn.primitive.name == "random_fold_in":
                key, data = (self.read(values, atom) for atom in eqn.invars)
                values[eqn.outvars[0]] = self.number("fold in", key, data)
            elif id(eqn) in live and self.has_draws(eqn):
                inputs = [self.read(values, atom) for atom in eqn.invars]
                results = self.hold(eqn, inputs, here, _Seen(before, uses))
                values.update(zip(eqn.outvars, results, strict=True))
        return [self.read(values, atom) for atom in jaxpr.outvars], uses

    def read(self, values: dict[Any, int], atom: Any) -> int:
        """Return the number of an operand."""
        if isinstance(atom, jec.Literal):
            value = np.asarray(atom.val)
            return self.number("literal", str(value.dtype), value.tobytes())
        return values.setdefault(atom, self.new())

    def kept(
        self, eqn: jec.JaxprEqn, values: dict[Any, int], traits: primitives.Traits
    ) -> Iterator[int]:
        """Yield the numbers of what an operation returns that returns what it was given."""
        inputs = [self.read(values, atom) for atom in eqn.invars]
        for k in range(len(eqn.outvars)):
            if traits.keeps_key == "whole":
                yield inputs[k]
            else:
                yield self.number(eqn.primitive.name, _params(eqn), *inputs, k)

    def use(self, key: int, site: Step, before: Before, uses: Uses) -> None:
        """Note that a key is used, and whether it was before."""
        first = next((earlier[key] for earlier in (*before, uses) if key in earlier), None)
        if first is None:
            uses[key] = site
        elif (place := _place(site)) is not None and place != (_place(first) or place):
            self.found.setdefault(place, Again(site, first))

    def has_draws(self, eqn: jec.JaxprEqn) -> bool:
        """Say whether something nested in an equation uses keys."""
        return any(map(self.is_drawing, nested(eqn)))

    def is_drawing(self, jaxpr: jec.Jaxpr) -> bool:
        """Say whether a jaxpr uses keys, it or what is nested in it."""
        if id(jaxpr) not in self.draws:
            self.draws[id(jaxpr)] = any(
                primitives.traits(eqn.primitive.name).consumes_key or self.has_draws(eqn)
                for eqn in jaxpr.eqns
            )
        return self.draws[id(jaxpr)]

    def hold(self, eqn: jec.JaxprEqn, inputs: list[int], site: Step, seen: _Seen) -> list[int]:
        """Read what an equation holds, and return the numbers of its results."""
        name = eqn.primitive.name
        body = primitives.traits(name).body
        if body:
            inner = opened(eqn.params[body])
            if (len(inner.invars), len(inner.outvars)) == (len(inputs), len(eqn.outvars)):
                results, uses = self.run(inner, inputs, site, seen.all())
                seen.add(uses)
                return results
        if name == "scan":
            inner, (consts, _) = opened(eqn.params["jaxpr"]), scan_counts(eqn)
            self.loop(inner, inputs[:consts], site, seen)
        elif name == "while":
            inner, skipped = opened(eqn.params["body_jaxpr"]), eqn.params["cond_nconsts"]
            fixed = inputs[skipped : skipped + eqn.params["body_nconsts"]]
            self.loop(inner, fixed, site, seen)
        elif name == "cond":
            # One branch runs: what one of them uses, another may use as well.
            branches = [
                self.run(opened(branch), inputs[1:], site, seen.all())
                for branch in eqn.params["branches"]
            ]
            for _, uses in branches:
                seen.add(uses)
        return [self.new() for _ in eqn.outvars]

    def loop(self, body: jec.Jaxpr, fixed: list[int], site: Step, seen: _Seen) -> None:
        """Read one trip of a loop. What it carries is new in each."""
        others = [self.new() for _ in body.invars[len(fixed) :]]
        _, uses = self.run(body, [*fixed, *others], site, seen.all())
        seen.add(uses)


class _Seen(NamedTuple):
    """Which keys were used before a jaxpr, and which are in it so far."""

    before: Before
    uses: Uses

    def all(self) -> Before:
        """Return both."""
        return *self.before, self.uses

    def add(self, uses: Uses) -> None:
        """Add what was used; whoever was first stays."""
        for key, site in uses.items():
            self.uses.setdefault(key, site)


def _live(jaxpr: jec.Jaxpr) -> set[int]:
    """Return the equations, by `id`, whose results are used, or which have an effect."""
    wanted = {atom for atom in jaxpr.outvars if not isinstance(atom, jec.Literal)}
    live: set[int] = set()
    for eqn in reversed(jaxpr.eqns):
        if eqn.effects or not wanted.isdisjoint(eqn.outvars):
            live.add(id(eqn))
            wanted.update(atom for atom in eqn.invars if not isinstance(atom, jec.Literal))
    return live


def _params(eqn: jec.JaxprEqn) -> Hashable:
    return tuple(eqn.params.items())


def _place(step: Step) -> Hashable | None:
    """Return the place in the user's code, None if it is not known, or a library's."""
    source = step.source
    if source is None or is_library(source.file):
        return None
    return source.file, source.line, source.column, source.end_line, source.end_column
