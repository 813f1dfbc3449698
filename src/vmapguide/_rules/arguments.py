"""Rules about arguments: what a square hides, and axes that are moved there and back.

A parameter is known by its name alone, and `jax.vmap` has good reasons to map parameters: those of
an ensemble. So that rule speaks only where `in_axes` is one number for all arguments and nothing in
the shapes tells examples from features. That of an axis speaks only of one that somebody has
chosen: most arrays are mapped over their first axis, also if they are square.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import jax.extend.core as jec

from vmapguide._data import Finding, Rule
from vmapguide._jaxpr.compat import opened
from vmapguide._jaxpr.source_files import is_library
from vmapguide._rules.subject import Argument, Subject, rank
from vmapguide._rules.transposes import there_and_back
from vmapguide._trace.steps import Step


PARAMETERS_MAPPED = Rule(
    "VG601",
    "parameters are mapped",
    "note",
    "`{name}` is named like parameters that all examples share, but is mapped: each example gets "
    "one slice of it. All its axes have the batch size, {size}, so that no error tells if that is "
    "wrong.",
    "If all examples share it, put None in its place in in_axes. If each has its own, write "
    "in_axes with an entry for each argument.",
)
AXIS_HIDDEN = Rule(
    "VG602",
    "axis that a square hides",
    "note",
    "`{name}` is mapped over axis {axis}, and has the batch size, {size}, along axis {other} as "
    "well. So no error tells if in_axes means the wrong one of them.",
    "Call it once with an array of which the two sizes differ, and count the results: there are as "
    "many as the axis is long that in_axes means. Or it is refused.",
)
THERE_AND_BACK = Rule(
    "VG603",
    "transposed there and back",
    "note",
    "`{name}` is transposed on the way in, since `{code}` needs the batch axis first, and {result} "
    "is transposed back, {bytes} in all.",
    "Keep the batch axis first: pass `{name}` so, with 0 in in_axes and in out_axes.",
)

RULES = (PARAMETERS_MAPPED, AXIS_HIDDEN, THERE_AND_BACK)

# What people call one matrix, which is no matrix any more if it is mapped, and what they call all
# parameters of a model together.
_MATRIX = re.compile(r"[AW](\d*|_\w+)")
_MODEL = frozenset({"params", "parameters", "weights", "theta", "model"})


def find(subject: Subject) -> Iterator[Finding]:
    """Yield what is odd about arguments."""
    yield from _mapped_parameters(subject)
    yield from _hidden_axes(subject)
    for argument, result in there_and_back(subject):
        yield subject.found(
            THERE_AND_BACK,
            argument.step,
            bytes_=argument.bytes + result.bytes,
            name=subject.arguments[argument.number].name,
            result=subject.results_named([result.number]),
        )


def _mapped_parameters(subject: Subject) -> Iterator[Finding]:
    """Yield the arguments that look like parameters, and like nothing else."""
    variables = opened(subject.batched).invars
    if subject.size <= 1 or len(variables) != len(subject.arguments):
        return
    leaves: dict[str, list[Any]] = {}
    for var, argument in zip(variables, subject.arguments, strict=True):
        if argument.is_spelled or argument.axis is None:
            return
        leaves.setdefault(argument.root, []).append(var)
    named = {root for root in leaves if _MATRIX.fullmatch(root) or root in _MODEL}
    if named == leaves.keys():
        return
    for root in sorted(named, key=[*leaves].index):
        if _tells_nothing(subject, root, leaves[root]):
            step = _first_reader(subject, root)
            yield subject.found(PARAMETERS_MAPPED, step, name=root, size=subject.size)


def _tells_nothing(subject: Subject, root: str, leaves: Sequence[Any]) -> bool:
    """Say whether all axes of some parameters have the batch size, and one of them is a matrix.

    One matrix has to be named like one. Of several parameters, those that are vectors would be
    numbers for each example, which no layer has beside rows of a matrix.
    """
    if any(size != subject.size for var in leaves for size in var.aval.shape):
        return False
    ranks = {rank(var) for var in leaves}
    return ranks == {2} and len(leaves) == 1 if _MATRIX.fullmatch(root) else {1, 2} <= ranks


def _hidden_axes(subject: Subject) -> Iterator[Finding]:
    """Yield the arguments that could be mapped over another axis than the one that was chosen.

    Of a number for all arguments, one whose sizes differ tells for all of them.
    """
    variables = opened(subject.batched).invars
    if subject.size <= 1 or len(variables) != len(subject.arguments):
        return
    hidden: dict[str, tuple[Argument, int, int]] = {}
    for var, argument in zip(variables, subject.arguments, strict=True):
        shape = var.aval.shape  # type: ignore[attr-defined]
        if argument.axis is None or not shape:  # A type may be batched in its own way.
            continue
        axis = argument.axis % len(shape)
        others = [n for n, size in enumerate(shape) if size == subject.size and n != axis]
        if axis and others:
            hidden.setdefault(argument.root, (argument, axis, others[0]))
        elif not argument.is_spelled:
            return
    for root, (argument, axis, other) in hidden.items():
        step = _first_reader(subject, root)
        if step is not None and step.source is not None and is_library(step.source.file):
            continue  # The axis that a library has chosen is its own affair.
        yield subject.found(
            AXIS_HIDDEN, step, name=argument.name, axis=axis, other=other, size=subject.size
        )


def _first_reader(subject: Subject, root: str) -> Step | None:
    """Return the first step that reads an argument."""
    jaxpr = opened(subject.per_example)
    wanted = {
        var
        for var, argument in zip(jaxpr.invars, subject.arguments, strict=True)
        if argument.root == root
    }
    for eqn in jaxpr.eqns:
        if any(not isinstance(atom, jec.Literal) and atom in wanted for atom in eqn.invars):
            return subject.step_of[id(eqn)]
    return None
