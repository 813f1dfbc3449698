"""Rules about memory and layout: copies, intermediates, transposes, wider types.

What is copied for each example is found in `copies`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

import jax.extend.core as jec

from vmapguide._data import Finding, Rule
from vmapguide._jaxpr import primitives
from vmapguide._jaxpr.compat import opened, type_text
from vmapguide._rules.copies import Use, uses_of_copies
from vmapguide._rules.intermediates import large_intermediates
from vmapguide._rules.subject import Subject, code, in_bytes, listed, size
from vmapguide._rules.transposes import (
    is_dear_beside,
    moved_arguments,
    moved_results,
    there_and_back,
)
from vmapguide._rules.widening import widened
from vmapguide._trace.steps import Step


SHARED_COPIED = Rule(
    "VG201",
    "shared operand copied",
    "note",
    "`{code}` makes a copy of {what} for each example, {bytes} in all{purpose}.",
    "{advice}",
)
LARGE_INTERMEDIATE = Rule(
    "VG202",
    "large intermediate",
    "warning",
    "`{code}` makes an intermediate of {bytes} for the batch, {factor} times as much as all "
    "arguments and results together.",
    "Let jax.lax.map take the examples in chunks, with its batch_size, or compute the value in "
    "parts.",
)
PRODUCT_OF_COPIES = Rule(
    "VG203",
    "product of copies",
    "warning",
    "`{code}` multiplies by a copy of {what} for each example, {bytes} in all: {cause}.",
    "Multiply first, and pick between the products with jnp.where: then all examples share one "
    "copy.",
)
TRANSPOSED = Rule(
    "VG204",
    "transposed",
    "note",
    "{whole} transposed, {bytes} in all: in `{code}`, the batch axis is at position {position}.",
    "If the data can have that order, keep it, with {position} in {axes}.",
)
RESULT_COPIED = Rule(
    "VG205",
    "shared result copied",
    "note",
    "{whole} the same for all examples, and copied for each, {bytes} in all.",
    "Return {it} once, with None in {its} in out_axes.",
)
WIDENED = Rule(
    "VG206",
    "wider floats in the batch",
    "note",
    "`{code}` is computed in {wide}, {bytes} for the batch: in a batch, `{number}` is an array of "
    "{wide}, and widens what is {narrow}. A Python number would not.",
    "Cast the number, not the array: `{number}.astype({narrow})`.",
)

RULES = (
    SHARED_COPIED,
    LARGE_INTERMEDIATE,
    PRODUCT_OF_COPIES,
    TRANSPOSED,
    RESULT_COPIED,
    WIDENED,
)

T = TypeVar("T")

_PRODUCTS = primitives.with_role("product")

# What to do about a copy, by what makes it.
_ADVICE = {
    "branch": "Compute before the branch what it needs the copy for, and let jnp.where pick "
    "between the results.",
    "joined": "Multiply the shared part on its own, and add the products.",
    "written": "Return what is to be written, and write it after the vmap; or compute from {what} "
    "and the change what the changed array is needed for.",
    "callback": 'Give the callback vmap_method="expand_dims", and let it broadcast.',
}


def find(subject: Subject) -> Iterator[Finding]:
    """Yield what is copied, held, moved or widened."""
    yield from _copies(subject)
    for large in large_intermediates(subject):
        yield subject.found(LARGE_INTERMEDIATE, large.step, factor=large.factor, bytes_=large.bytes)
    yield from _transposes(subject)
    yield from _copied_results(subject)
    for wide in widened(subject):
        yield subject.found(
            WIDENED,
            wide.step,
            bytes_=wide.bytes,
            number=wide.argument.name,
            wide=wide.to,
            narrow=wide.of,
        )


def _copies(subject: Subject) -> Iterator[Finding]:
    """Yield the copies that are in memory: first those that a product reads, then the others."""
    uses = uses_of_copies(subject)
    products = [use for use in uses if _is_product_of_pick(use)]
    told = {id(use.copy) for use in products}
    for group in _by_line((use.step, use) for use in products):
        first = group[0]
        yield subject.found(
            PRODUCT_OF_COPIES,
            first.step,
            bytes_=_bytes(group),
            what=_called(subject, group),
            cause=_cause(first.copy.step),
        )
    others = [use for use in uses if id(use.copy) not in told and _why(use)]
    for group in _by_line((_place(use), use) for use in others):
        first, what = group[0], _called(subject, group)
        yield subject.found(
            SHARED_COPIED,
            _place(first),
            bytes_=_bytes(group),
            what=what,
            purpose=_purpose(first),
            advice=_ADVICE[_why(first)].format(what=what),
        )


def _is_product_of_pick(use: Use) -> bool:
    """Say whether a product reads a copy since a branch, or a pick, made one."""
    step = use.copy.step
    is_pick = step.kind == "all branches" or step.equation.primitive.name == "select_n"
    return use.equation.primitive.name in _PRODUCTS and is_pick and not use.is_part


def _cause(step: Step) -> str:
    if step.kind == "all branches":
        return f"the branches of `{code(step)}` get copies of all that they read"
    return f"`{code(step)}` picks all of it for each example"


def _why(use: Use) -> str:
    """Say why a copy is made that could be spared; empty if it could not."""
    traits = primitives.traits(use.equation.primitive.name)
    if traits.written is not None and use.operand == 0:
        # It is there to be changed. If much of it is, there has to be one for each example.
        changed = in_bytes(use.equation.invars[traits.written])
        is_much = changed * use.limit > use.copy.bytes
        return "" if is_much or use.is_part else "written"
    if use.is_part:
        return "joined" if traits.role == "product" else ""
    if use.copy.step.kind == "all branches":
        return "branch"
    if use.copy.step is use.step and traits.role == "callback":
        return "callback"
    return ""


def _place(use: Use) -> Step:
    """Return the step that a copy is to be shown at."""
    return use.step if _why(use) == "written" else use.copy.step


def _purpose(use: Use) -> str:
    """Say what a copy is for."""
    if _why(use) == "written":
        eqn = use.step.equation
        written = primitives.traits(eqn.primitive.name).written or 0
        return f", to change {size(eqn.invars[written]):,} of its {size(eqn.invars[0]):,} numbers"
    return "" if use.copy.step is use.step else f", for `{code(use.step)}`"


def _called(subject: Subject, uses: Sequence[Use]) -> str:
    """Return what a sentence calls what is copied."""
    return listed([*dict.fromkeys(_named(subject, use.copy.shared) for use in uses)])


def _named(subject: Subject, shared: Any) -> str:
    """Return what a sentence calls a shared value: an argument's name, or its type."""
    name = subject.names.get(shared)
    return f"a shared `{type_text(shared.aval)}`" if name is None else f"`{name}`"


def _bytes(uses: Sequence[Use]) -> int:
    return sum({id(use.copy): use.copy.bytes for use in uses}.values())


def _transposes(subject: Subject) -> Iterator[Finding]:
    # What is moved back as well is another rule's.
    back = {moved.number for moved, _ in there_and_back(subject)}
    arguments = [moved for moved in moved_arguments(subject) if moved.number not in back]
    # A result in another order than the usual one is what somebody asked for.
    results = [moved for moved in moved_results(subject) if moved.order == "fixed"]
    results = [moved for moved in results if moved.after == 0]
    everything = [(moved, True) for moved in arguments] + [(moved, False) for moved in results]
    for group in _by_line((moved.step, (moved, is_given)) for moved, is_given in everything):
        given = [moved.number for moved, is_given in group if is_given]
        taken = [moved.number for moved, is_given in group if not is_given]
        names = [f"`{subject.arguments[number].name}`" for number in given]
        names += [subject.results_named(taken)] if taken else []
        (first, is_given), *_ = group
        if is_dear_beside(subject, first.step, sum(moved.size for moved, _ in group)):
            continue
        yield subject.found(
            TRANSPOSED,
            first.step,
            bytes_=sum(moved.bytes for moved, _ in group),
            whole=_subject_of_sentence(names, len(group)),
            position=first.after if is_given else first.before,
            axes=listed(["in_axes"] * bool(given) + ["out_axes"] * bool(taken)),
        )


def _copied_results(subject: Subject) -> Iterator[Finding]:
    jaxpr = opened(subject.batched)
    made = {var: eqn for eqn in subject.boundary for var in eqn.outvars if subject.is_copy(eqn)}
    captured = {*jaxpr.constvars}
    found: list[tuple[Step | None, tuple[Step | None, int, jec.JaxprEqn]]] = []
    for number, result in enumerate(jaxpr.outvars):
        eqn = None if isinstance(result, jec.Literal) else made.get(result)
        if eqn is None or subject.size <= 1 or in_bytes(result) < subject.limits.bytes:
            continue
        (shared,) = eqn.invars
        # What is filled is what each example begins with, and is to become its own. So is what the
        # function has from outside and returns as it is.
        if subject.is_filled(shared) or not isinstance(shared, jec.Var) or shared in captured:
            continue
        step = subject.step_behind.get(id(subject.makers.get(shared)))
        found.append((step, (step, number, eqn)))
    for group in _by_line(found):
        (step, _, eqn), numbers = group[0], [number for _, number, _ in group]
        names = [subject.results_named(numbers)]
        if len(group) == 1 and step is not None:
            names = [f"{names[0]}, which `{code(step)}` leads to,"]
        elif len(group) == 1:
            names = [f"{_named(subject, eqn.invars[0])}, {names[0]},"]
        yield subject.found(
            RESULT_COPIED,
            step,
            bytes_=sum(in_bytes(eqn.outvars[0]) for _, _, eqn in group),
            whole=_subject_of_sentence(names, len(group)),
            it="it" if len(group) == 1 else "them",
            its="its place" if len(group) == 1 else "their places",
        )


def _subject_of_sentence(names: Sequence[str], count: int) -> str:
    text = listed(names)
    return f"{text[0].upper()}{text[1:]} {'is' if count == 1 else 'are'}"


def _by_line(pairs: Iterable[tuple[Step | None, T]]) -> list[list[T]]:
    """Put together what steps of one line are about, so that one sentence can name it all."""
    groups: dict[object, list[T]] = {}
    for step, value in pairs:
        source = step.source if step else None
        place = (source.file, source.line, source.end_line) if source else None
        groups.setdefault(place, []).append(value)
    return [*groups.values()]
