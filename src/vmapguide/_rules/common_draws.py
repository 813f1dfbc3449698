"""Which random draws of a batched program are the same for all examples, and where they are used.

Start with `follow`. A draw is common if its key is: it has no batch axis, or it is a copy of one
that has none. What is made of common draws alone is common, too. It counts once it meets values of
each example's own: as noise that is added, as a mask, as an index, as a decision. A product does
not count: what is multiplied into all examples is a matrix of parameters, drawn inside of the
function, and neither do other draws that meet such a product, which are its bias.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax.extend.core as jec

from vmapguide._jaxpr import primitives, source_lines
from vmapguide._jaxpr.compat import opened, scan_counts
from vmapguide._rules.subject import Subject, is_rbg
from vmapguide._trace.steps import Step


_RANDOM = primitives.with_role("random")
_PRODUCTS = primitives.with_role("product")

# A function that is called in many ways is looked at for each of them, but of a program not more
# than so many times its equations.
_TIMES = 20

# A carry is followed through a loop until it settles, which it does in a few trips.
_TRIPS = 6


class _Value(NamedTuple):
    """What is known of a value of the batched program.

    `is_common`: whether it is the same for all examples. `draws`: the common draws in it, as bits.
    `is_parameters`: whether draws are no news in it: they are parameters, or a library's own.
    `is_passed`: whether it is made of an argument that `in_axes` says is not mapped.
    """

    is_common: bool
    draws: int = 0
    is_parameters: bool = False
    is_passed: bool = False


_OWN = _Value(is_common=False)
_COMMON = _Value(is_common=True)


@dataclass
class Draws:
    """What was found.

    Attributes:
        common: the steps whose draws are the same for all examples, and meet what is their own,
            each with whether `in_axes` says so of the key.
        together: the steps that draw with keys of the rbg kind, one for each example.
    """

    common: list[tuple[Step, bool]] = field(default_factory=list)
    together: list[Step] = field(default_factory=list)


def follow(subject: Subject) -> Draws:
    """Follow all random draws of the batched program."""
    flow = _Flow(subject)
    whole = opened(subject.batched)
    arguments = [flow.outer(var)._replace(is_passed=True) for var in whole.invars]
    results = flow.run(whole, arguments, None)
    if all(result.is_common for result in results):
        # All that the function returns is the same for all examples, and `out_axes` copies it.
        for atom, result in zip(whole.outvars, results, strict=True):
            if subject.is_mapped(atom):
                flow.met |= result.draws
    found = [
        (step, id(step) not in flow.not_passed)
        for bit, step in enumerate(flow.sites)
        if flow.met >> bit & 1
    ]
    return Draws(found, [*flow.together.values()])


class _Flow:
    """Follows values through the batched program."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.sites: list[Step] = []
        self.bits: dict[int, int] = {}
        self.met = 0
        self.not_passed: set[int] = set()
        self.together: dict[int, Step] = {}
        self.step_of = {id(eqn): step for step in subject.steps for eqn in step.batched}
        self.left = _TIMES * (len(self.step_of) + len(subject.boundary)) + 1000
        self.known: dict[Any, list[_Value]] = {}

    def outer(self, var: Any) -> _Value:
        """Return what is known of a value from its type alone."""
        return _OWN if self.subject.is_mapped(var) else _COMMON

    def run(self, jaxpr: jec.Jaxpr, operands: Sequence[_Value], site: Step | None) -> list[_Value]:
        """Return what is known of the results of a jaxpr.

        Args:
            jaxpr: the jaxpr.
            operands: what is known of its arguments.
            site: the step of the user's code that it is called in.
        """
        case = id(jaxpr), tuple(operands), id(site)
        if case in self.known:
            return self.known[case]
        self.left -= len(jaxpr.eqns)
        if self.left < 0:
            return [*map(self.outer, jaxpr.outvars)]
        values: dict[Any, _Value] = dict(zip(jaxpr.invars, operands, strict=True))
        same: dict[Any, Any] = {}
        for eqn in jaxpr.eqns:
            inputs = [self.read(values, atom) for atom in eqn.invars]
            step = self.step_of.get(id(eqn))
            here = step if step is not None and (step.in_user_code or site is None) else site
            outputs = self.equation(eqn, inputs, here, same)
            values.update(zip(eqn.outvars, outputs, strict=True))
        results = [self.read(values, atom) for atom in jaxpr.outvars]
        self.known[case] = results
        return results

    def read(self, values: dict[Any, _Value], atom: Any) -> _Value:
        """Return what is known of an operand."""
        return _COMMON if isinstance(atom, jec.Literal) else values.get(atom) or self.outer(atom)

    def equation(
        self, eqn: jec.JaxprEqn, inputs: list[_Value], site: Step | None, same: dict[Any, Any]
    ) -> Sequence[_Value]:
        """Return what is known of the results of an equation."""
        name = eqn.primitive.name
        traits = primitives.traits(name)
        if traits.body:
            body = opened(eqn.params[traits.body])
            if (len(body.invars), len(body.outvars)) == (len(inputs), len(eqn.outvars)):
                return self.run(body, inputs, site)
        match name:
            case "scan":
                return self.scan(eqn, inputs, site)
            case "while":
                return self.while_loop(eqn, inputs, site)
            case "cond":
                return self.cond(eqn, inputs, site)
            case "select_n":
                cases = {same.get(atom, atom) for atom in eqn.invars[1:] if _is_variable(atom)}
                if len(cases) == 1 and all(map(_is_variable, eqn.invars[1:])):
                    return [inputs[1]]
        if traits.keeps_key == "whole" and len(eqn.invars) == 1 and _is_variable(eqn.invars[0]):
            same[eqn.outvars[0]] = same.get(eqn.invars[0], eqn.invars[0])
        if traits.consumes_key and self.is_together(eqn) and site is not None:
            self.together.setdefault(id(site), site)
        return [self.result(eqn, inputs, site)] * len(eqn.outvars)

    def is_together(self, eqn: jec.JaxprEqn) -> bool:
        """Say whether an equation draws for all examples together, with the first one's key."""
        if eqn.primitive.name == "rng_bit_generator":
            return any(map(self.subject.is_mapped, eqn.outvars))  # The first key is all it gets.
        if not self.subject.is_mapped(eqn.invars[0]):
            return False
        if eqn.primitive.name == "random_bits":
            return is_rbg(eqn.invars[0])
        # Of new keys, only the unsafe kind draws them like numbers; a gamma variate needs such.
        return is_rbg(eqn.invars[0], unsafe=True)

    def result(self, eqn: jec.JaxprEqn, inputs: list[_Value], site: Step | None) -> _Value:
        """Return what is known of what an equation without a program in it makes."""
        name = eqn.primitive.name
        is_mapped = any(map(self.subject.is_mapped, eqn.outvars))
        is_common = all(value.is_common for value in inputs) and bool(inputs or not is_mapped)
        draws, is_parameters, is_passed = 0, False, False
        for value in inputs:
            draws |= value.draws
            is_parameters |= value.is_parameters
            is_passed |= value.is_passed
        if name == "random_seed" and source_lines.is_library_key(eqn):
            is_parameters = True
        if name in _RANDOM and inputs[0].is_common and not self.is_together(eqn):
            drawn = 0
            if not is_parameters and site is not None and not self.is_in_grid(eqn):
                drawn = self.bit(site, is_passed=inputs[0].is_passed)
            if not is_common:
                self.met |= drawn
                return _OWN
            return _Value(is_common, draws | drawn, is_parameters, is_passed)
        if is_common and (not is_mapped or not self.is_together_with_first(eqn)):
            return _Value(is_common, draws, is_parameters, is_passed)
        if draws:
            is_parameters |= self.meet(eqn, inputs, draws)
        return _Value(is_common=False, is_parameters=is_parameters)

    def is_in_grid(self, eqn: jec.JaxprEqn) -> bool:
        """Say whether a key is mapped along another axis: each example has the same set of keys."""
        key: Any = eqn.invars[0]
        shape = self.subject.shapes.get(key, ())
        return any(isinstance(size, str) and self.subject.letter not in size for size in shape)

    def is_together_with_first(self, eqn: jec.JaxprEqn) -> bool:
        """Say whether an equation makes other draws for each example, even of one key."""
        return primitives.traits(eqn.primitive.name).consumes_key and self.is_together(eqn)

    def meet(self, eqn: jec.JaxprEqn, inputs: list[_Value], draws: int) -> bool:
        """Note the draws that meet what is each example's own; say whether they are parameters."""
        name = eqn.primitive.name
        traits = primitives.traits(name)
        is_parameters = any(value.is_parameters for value in inputs if not value.is_common)
        if name in _PRODUCTS:
            return True
        if traits.reads_part or traits.written is not None:
            if inputs[0].draws:
                return True  # A table of parameters: each example reads at its own place.
            self.met |= 0 if is_parameters else draws
        elif traits.elementwise or traits.joins:
            self.met |= 0 if is_parameters else draws
        return is_parameters

    def bit(self, site: Step, *, is_passed: bool) -> int:
        """Return the bit of the draws of a step."""
        if not is_passed:
            self.not_passed.add(id(site))
        if id(site) not in self.bits:
            self.bits[id(site)] = 1 << len(self.sites)
            self.sites.append(site)
        return self.bits[id(site)]

    def scan(self, eqn: jec.JaxprEqn, inputs: list[_Value], site: Step | None) -> Sequence[_Value]:
        """Follow a loop over an axis."""
        consts, carry = scan_counts(eqn)
        body = opened(eqn.params["jaxpr"])
        return self.loop(body, inputs[:consts], inputs[consts:], carry, site)

    def loop(
        self,
        body: jec.Jaxpr,
        fixed: list[_Value],
        rest: list[_Value],
        carry: int,
        site: Step | None,
    ) -> list[_Value]:
        """Follow a carry round a loop until it settles, and return what the last trip returns."""
        carried, rest = rest[:carry], rest[carry:]
        for _ in range(_TRIPS):
            results = self.run(body, [*fixed, *carried, *rest], site)
            after = [*map(_joined, carried, results)]
            if after == carried:
                return [*carried, *results[carry:]]
            carried = after
        return [_OWN] * len(results)

    def while_loop(
        self, eqn: jec.JaxprEqn, inputs: list[_Value], site: Step | None
    ) -> Sequence[_Value]:
        """Follow a loop with a predicate."""
        test, body = (opened(eqn.params[key]) for key in ("cond_jaxpr", "body_jaxpr"))
        of_test, of_body = eqn.params["cond_nconsts"], eqn.params["body_nconsts"]
        fixed, carried = inputs[of_test : of_test + of_body], inputs[of_test + of_body :]
        results = self.loop(body, fixed, carried, len(carried), site)
        (decides,) = self.run(test, [*inputs[:of_test], *results], site)
        if decides.is_common:
            return results
        # Each example stops when it is done: no two need to come out with the same.
        return [_Value(is_common=False, is_parameters=value.is_parameters) for value in results]

    def cond(self, eqn: jec.JaxprEqn, inputs: list[_Value], site: Step | None) -> Sequence[_Value]:
        """Follow every branch; a decision that is drawn is one for all examples."""
        decides, *operands = inputs
        branches = [self.run(opened(b), operands, site) for b in eqn.params["branches"]]
        results = [_together(values) for values in zip(*branches, strict=True)]
        if decides.draws and decides.is_common:
            own = [value for value in (*operands, *results) if not value.is_common]
            if own and not any(value.is_parameters for value in own):
                self.met |= decides.draws
            joined = (_joined(result, _Value(True, decides.draws)) for result in results)
            return [*joined]
        return results


def _together(values: Sequence[_Value]) -> _Value:
    first, *others = values
    for other in others:
        first = _joined(first, other)
    return first


def _joined(one: _Value, other: _Value) -> _Value:
    """Return what is known of a value that is one of two."""
    is_common = one.is_common and other.is_common
    return _Value(
        is_common,
        one.draws | other.draws if is_common else 0,
        one.is_parameters or other.is_parameters,
        one.is_passed and other.is_passed,
    )


def _is_variable(atom: Any) -> bool:
    return not isinstance(atom, jec.Literal)
