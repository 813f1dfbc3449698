"""Rules about what takes the examples one after the other, or might as well."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import jax
import jax.extend.core as jec

from vmapguide._data import Finding, Rule
from vmapguide._jaxpr import primitives, source_lines
from vmapguide._jaxpr.compat import scan_counts
from vmapguide._rules.subject import Subject, in_bytes, inner_jaxpr, rank
from vmapguide._trace.steps import Step


SEQUENTIAL = Rule(
    "VG401",
    "sequential",
    "warning",
    "`{code}` takes the {size:,} examples one after the other, in a loop{what}.",
    "Write what it computes with operations that take the whole batch.",
)
UNROLLED = Rule(
    "VG402",
    "unrolled",
    "warning",
    "`{code}` becomes {count:,} equations, one for each example, and calls Python {count:,} times. "
    "So the program grows with the batch.",
    "Call it once: outside of the mapped function with the whole batch, or with a value that is "
    "reduced over the batch, as by jax.lax.pmax.",
)
SMALL_MATRICES = Rule(
    "VG403",
    "library call for small matrices",
    "note",
    "`{code}` calls LAPACK for each of {count:,} matrices of {rows}x{rows}. With matrices so "
    "small, the calls take longer than the arithmetic in them.",
    "Write out the formula for {rows}x{rows} matrices: it is elementwise arithmetic, which takes "
    "many examples at once.",
)
GROUPED = Rule(
    "VG404",
    "grouped convolution",
    "warning",
    "`{code}` has a kernel for each example, so it becomes one convolution in {groups:,} groups. "
    "With so few input channels in each ({channels}), that is slow.",
    "If all examples can share the kernel, pass it with None in in_axes. If they cannot, let "
    "jax.lax.map take the examples one by one.",
)

RULES = (SEQUENTIAL, UNROLLED, SMALL_MATRICES, GROUPED)

# -- Rules that say it in other words --

_ASKED_TO = dataclasses.replace(
    SEQUENTIAL,
    remedy="Let the function take the whole batch, with vmap_method='expand_dims' or "
    "'broadcast_all', or compute it with jax.numpy.",
)
_EFFECT = dataclasses.replace(
    SEQUENTIAL,
    remedy="Return the value, and call Python once with the whole batch, outside of the mapped "
    "function.",
)
_OWN_RULE = dataclasses.replace(
    SEQUENTIAL,
    remedy="Give it a rule for the whole batch, with jax.custom_batching.custom_vmap and def_vmap.",
)

_ONE_CHANNEL = dataclasses.replace(
    GROUPED,
    remedy="If all examples can share the kernel, pass it with None in in_axes. If they cannot, "
    "add up shifted products, one for each of the kernel's {places} places.",
)

_PRINTS = primitives.with_role("print")
_CALLBACKS = primitives.with_role("callback")
_KERNELS = primitives.with_role("kernel")

# With a kernel for each example and so few input channels, a convolution was measured to be slower
# on a CPU (JAX 0.10.2) than `lax.map` of it, 1 to 6 times with 2 to 4 channels, or than shifted
# products, 1.5 to 30 times with one. With 8 and more it may be the other way round. On a GPU (an
# NVIDIA H200, JAX 0.11.2) `lax.map` was 0.9 to 73 times slower, and shifted products 0.4 to 1.5.
_FEW_CHANNELS = 4


def find(subject: Subject) -> Iterator[Finding]:
    """Yield what takes the examples one after the other."""
    if subject.size <= 1:
        return
    for step in subject.steps:
        name = step.equation.primitive.name
        if step.kind == "one by one":
            yield from _one_by_one(subject, step)
        elif name in _KERNELS:
            yield from _small_matrices(subject, step)
        elif name == "conv_general_dilated":
            yield from _grouped(subject, step)


def _one_by_one(subject: Subject, step: Step) -> Iterator[Finding]:
    name = step.equation.primitive.name
    calls = [
        sum(eqn.primitive.name == name for eqn in variant.batched) for variant in step.variants
    ]
    count = max(calls, default=0)
    if (name in _PRINTS or name in _CALLBACKS) and count > 1:
        is_severe = count >= subject.limits.factor
        yield subject.found(UNROLLED, step, is_severe=is_severe, count=count)
    elif any(_is_over_examples(subject, eqn) for eqn in step.batched):
        is_python = name in _CALLBACKS
        yield subject.found(
            _sequential(step.equation),
            step,
            is_severe=subject.size >= subject.limits.factor,
            size=subject.size,
            what=", and calls Python for each" if is_python else "",
        )


def _sequential(eqn: jec.JaxprEqn) -> Rule:
    """Return the rule with the remedy for what is taken one by one."""
    if eqn.params.get("vmap_method"):
        return _ASKED_TO
    if eqn.primitive.name == "custom_vmap_call":
        return _OWN_RULE
    return _EFFECT if eqn.primitive.name in _CALLBACKS else SEQUENTIAL


def _is_over_examples(subject: Subject, eqn: jec.JaxprEqn) -> bool:
    """Say whether a batched equation is a loop of which each trip takes an example.

    A batching rule may have a loop in it that takes all examples in each trip.
    """
    if eqn.primitive.name != "scan" or eqn.params["length"] != subject.size:
        return False
    first = sum(scan_counts(eqn))
    body = inner_jaxpr(eqn, "jaxpr")
    return any(
        subject.is_mapped(whole) and not subject.is_mapped(part)
        for whole, part in zip(eqn.invars[first:], body.invars[first:], strict=True)
    )


def _small_matrices(subject: Subject, step: Step) -> Iterator[Finding]:
    """Yield whether a kernel is called for matrices that are so small that a formula is faster.

    Larger ones give a kernel enough to do: there a batch costs what its matrices cost, and no more.
    """
    formula = primitives.traits(step.equation.primitive.name).formula
    # On a GPU these are kernels for batches.
    if not formula or jax.default_backend() != "cpu":
        return
    matrix = step.equation.invars[0]
    rows, columns = matrix.aval.shape[-2:]  # type: ignore[attr-defined]
    if rows != columns or not 0 < rows <= formula:
        return
    # What a library does in each trip of its loop is not the user's to write out.
    if subject.is_of_library(step) and id(step.equation) in subject.library_loops:
        return
    # A single number is a matrix of a function for any size, such as a density of one variable.
    if rows == 1 and not source_lines.is_linear_algebra([*subject.since_users(step)]):
        return
    counts = [
        math.prod(eqn.invars[0].aval.shape[:-2])  # type: ignore[attr-defined]
        for eqn in step.batched
        if eqn.primitive is step.equation.primitive
        and subject.is_mapped(eqn.invars[0])
        and rank(eqn.invars[0]) > rank(matrix)
    ]
    if max(counts, default=0) >= subject.limits.factor**2:
        yield subject.found(SMALL_MATRICES, step, count=max(counts), rows=rows)


def _grouped(subject: Subject, step: Step) -> Iterator[Finding]:
    """Yield whether a convolution got a kernel, with few channels, for each example."""
    if jax.default_backend() != "cpu":
        return
    one = step.equation
    image, kernel = one.invars
    (result,) = one.outvars
    numbers = one.params["dimension_numbers"]
    sizes, results = kernel.aval.shape, result.aval.shape  # type: ignore[attr-defined]
    _, channels, *spatial = (sizes[axis] for axis in numbers.rhs_spec)
    _, _, *positions = (results[axis] for axis in numbers.out_spec)
    places = math.prod(spatial)
    # That of a gradient with regard to a kernel has a kernel as large as the image.
    if channels > _FEW_CHANNELS or places > math.prod(positions):
        return
    if set(one.params["lhs_dilation"]) != {1}:
        return  # Not measured.
    moved = subject.size * sum(map(in_bytes, (image, kernel, result)))
    if moved < subject.limits.bytes:
        return
    for eqn in step.batched:
        if eqn.primitive is one.primitive and _groups(eqn) > _groups(one):
            rule = _ONE_CHANNEL if channels == 1 else GROUPED
            groups = _groups(eqn)
            yield subject.found(rule, step, groups=groups, channels=channels, places=places)
            return


def _groups(eqn: jec.JaxprEqn) -> int:
    groups: int = eqn.params["feature_group_count"] * eqn.params["batch_group_count"]
    return groups
