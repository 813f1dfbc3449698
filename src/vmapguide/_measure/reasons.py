"""Why `jax.vmap` and the loop differ: each known cause is tried out, not guessed.

A function that returns something else when it is called again has a side effect. A custom batching
rule, or a random number generator that knows no batches, is to blame if the difference goes away
when it is taken out of the program. Rounding is to blame if the difference all but goes away with
twice the digits, and the precision of matrix products if it goes away with all of theirs. What
mixes the examples can be read off the program.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.extend.core as jec

from vmapguide._data import LeafResult, Source
from vmapguide._jaxpr import primitives
from vmapguide._jaxpr.compat import AnyJaxpr, opened, origin
from vmapguide._jaxpr.walk import behind, inlined, nested, walk, without_addresses
from vmapguide._measure import agreement, effects, precision
from vmapguide._measure.both_sides import Results, Sides
from vmapguide._measure.effects import Effect
from vmapguide._measure.suspects import PRECISION, SUSPECTS, without
from vmapguide._trace.call import Call
from vmapguide._trace.steps import Step
from vmapguide._trace.trace import Trace, trace


# With twice the digits, rounding shrinks by many orders of magnitude; nothing else does.
_SHRINKS = 1e-4

# TF32 has three decimal digits, float32 seven. What is in another order stays as it is.
_SHRINKS_EXACTLY = 0.1

# What is told of without a difference, and so is no cause of one.
NO_CAUSES = frozenset({"effect", "shared key"})

_RANDOM = primitives.with_role("random")
_WIDER = {"float16": "float64", "bfloat16": "float64", "float32": "float64"}
_WIDER |= {"complex64": "complex128"}


@dataclass(frozen=True)
class Reason:
    """Why `jax.vmap` and the Python loop differ.

    Attributes:
        code: the cause. `side effect`: the function returns something else when it is called
            again. `batch statistic`: a collective mixes the examples, or asks for the place of
            one. `custom_vmap rule`: the function's own batching rule gives something else than the
            function. `rbg key`: the generator of the key draws a batch of numbers differently from
            one number after the other. `precision of products`: the device computes a matrix
            product with fewer digits than the loop's matrix-vector product. `rounding`: the same
            sums in another order. `shared key`: no difference, but all examples draw the same
            random numbers. `effect`: no difference, but a print or a callback runs for more or for
            fewer examples.
        text: what was found, and what to do about it.
        source: the line of the user's that it is about; None if it is not known, or about all.

    Example:
        >>> import jax, jax.numpy as jnp, vmapguide
        >>> def noisy(key, x):
        ...     return x + jax.random.normal(key, x.shape)
        >>> check = vmapguide.check(noisy, in_axes=(None, 0))(jax.random.key(0), jnp.ones((3, 2)))
        >>> reason, = check.reasons
        >>> check.same, reason.code
        (True, 'shared key')
    """

    code: str
    text: str
    source: Source | None = None

    def to_dict(self) -> dict[str, object]:
        """Return the fields as plain data."""
        source = self.source and self.source.to_dict()
        return {"code": self.code, "text": self.text, "source": source}


def traced(sides: Sides) -> Trace | None:
    """Return what is known of a call, or None where nothing is.

    What can be run cannot always be traced: a function may use the values of its arguments.
    """
    with contextlib.suppress(Exception):
        args, kwargs = sides.arguments.whole()
        return trace(Call.of(sides.call.f, sides.call.vmap, args, kwargs))
    return None


def compared(
    sides: Sides,
    known: Trace | None,
    results: list[Results],
    examples: tuple[int, ...],
) -> tuple[LeafResult, ...]:
    """Compare what both sides returned, with the tolerances of what it is computed by.

    On a device that computes matrix products with fewer digits, the tolerances follow these. But
    what still differs when the products have all of their digits is something else, and is allowed
    what it is allowed elsewhere.

    Args:
        sides: the two sides.
        known: what is known of the call, if it can be traced.
        results: what both sides returned.
        examples: for which examples.
    """
    leaves = sides.judged(results)
    epsilon = precision.of_program(known.per_example) if known else 0
    if epsilon and not all(leaf.same for leaf in leaves):
        with contextlib.suppress(Exception):
            exact = sides.compare(without([PRECISION], sides.call.f), examples)
            allowed = sides.judged(results, epsilon)
            choice = zip(leaves, allowed, exact, strict=True)
            return tuple(other if alike.same else leaf for leaf, other, alike in choice)
    return leaves


def find(
    sides: Sides,
    known: Trace | None,
    leaves: tuple[LeafResult, ...],
    examples: tuple[int, ...],
) -> Iterator[Reason]:
    """Find out why the two sides of a check differ, or agree where they had better not.

    Args:
        sides: the two sides.
        known: what is known of the call, if it can be traced.
        leaves: how their results compare.
        examples: the examples that were compared.
    """
    call = sides.call
    if known and sides.arguments.batch_size > 1:
        yield from _shared_keys(known)
    if known:
        with contextlib.suppress(Exception):
            for effect in effects.different(sides, known.per_example, examples):
                yield _about_effect(effect, sides.arguments.batch_size, len(examples))
    wrong = [i for i, leaf in enumerate(leaves) if not leaf.same]
    if not wrong:
        return
    # To look into a difference must not end in an error of its own.
    with contextlib.suppress(Exception):
        for worst in _worst(leaves, wrong, examples):
            if _is_impure(sides, worst, wrong):
                yield Reason(
                    "side effect",
                    f"The function returned something else when it was called again with example "
                    f"{worst}: it depends on more than its arguments, such as a counter, a list or "
                    f"NumPy's random numbers. jax.vmap runs its Python once, the loop once for "
                    f"each example. Pass in what it depends on, and return what it changes.",
                )
                return
    if known and call.vmap.axis_name is not None:
        with contextlib.suppress(Exception):
            mixed = _batch_statistics(sides, known, wrong)
            yield from dict.fromkeys(itertools.chain(*mixed.values()))
            wrong = [i for i in wrong if not mixed[i]]
    worst_ones = _worst(leaves, wrong, examples)
    if known:
        with contextlib.suppress(Exception):
            # A difference as small as rounding is goes away with anything.
            far = _different(sides, call.f, wrong, worst_ones)
            blamed = [*_taken_out(sides, known, far, worst_ones)]
            yield from blamed
            wrong = [i for i in wrong if not blamed or i not in far]
    with contextlib.suppress(Exception):
        products = (
            step for step in (known.steps if known else ()) if precision.of_equation(step.equation)
        )
        yield from _rounding(sides, leaves, wrong, worst_ones, next(products, None))


def _worst(
    leaves: tuple[LeafResult, ...], wrong: list[int], examples: tuple[int, ...]
) -> tuple[int, ...]:
    """Return the example in which each of the wrong leaves is worst, each once."""
    return tuple(dict.fromkeys(examples[(leaves[i].index or (0,))[0]] for i in wrong))


def _shared_keys(known: Trace) -> Iterator[Reason]:
    seen = set()
    for step in known.steps:
        if step.equation.primitive.name in _RANDOM and step.kind == "shared":
            if step.source not in seen:
                yield Reason(
                    "shared key",
                    f"All examples draw the same random numbers{_at(step.source)}: their key is "
                    f"not mapped. If each is to have its own, split the key and map over the keys.",
                    step.source,
                )
            seen.add(step.source)


def _about_effect(effect: Effect, size: int, ran: int) -> Reason:
    counts = (
        f"{effect.name}{_at(effect.source)} runs {_times(effect.vmap)} in vmap"
        + (f", for {size:,} examples," if ran < size else "")
        + f" and {_times(effect.loop)} in the loop, for {ran:,} example{'' if ran == 1 else 's'}."
    )
    if effect.vmap * ran < effect.loop * size:
        why = "vmap runs it once for all examples if what it is given is the same for all of them."
    else:
        why = (
            "A cond whose predicate is mapped runs all of its branches for every example in vmap, "
            "and a while goes round for every example until the last one is done. Pass the "
            "predicate to what is called, and let that decide: "
            "jax.debug.callback(lambda p, x: p and print(x), p, x)."
        )
    return Reason("effect", f"{counts} {why}", effect.source)


def _times(number: int) -> str:
    return {0: "never", 1: "once"}.get(number, f"{number:,} times")


def _is_impure(sides: Sides, example: int, wrong: list[int]) -> bool:
    calls = (jax.tree.leaves(sides.one(sides.call.f, example)) for _ in range(2))
    pairs = [*zip(*calls, strict=True)]
    return not all(agreement.compare_leaves("", *pairs[i]).identical for i in wrong)


def _batch_statistics(sides: Sides, known: Trace, wrong: list[int]) -> dict[int, list[Reason]]:
    """Return what mixes the examples, for each wrong leaf that depends on it."""
    axis_name = sides.call.vmap.axis_name
    args, kwargs = sides.arguments.batch_of_one(0)
    size = None if sides.call.vmap.axis_size is None else 1
    vmap = dataclasses.replace(sides.call.vmap, axis_size=size)
    alone = _inlined(trace(Call.of(sides.call.f, vmap, args, kwargs)).per_example)
    whole = _inlined(known.per_example)
    found = {}
    for leaf in wrong:
        # Inlining makes equations anew, but they keep where they came from.
        causes = {
            origin(eqn)
            for outer in behind(whole, leaf)
            for eqn in (
                outer,
                *(e for j in nested(outer) for k in walk(j) for e in k.eqns),
            )
        }
        found[leaf] = [
            _collective(step.equation.primitive.name, axis_name, step.source)
            for step in known.steps
            if origin(step.equation) in causes and axis_name in _axes_of(step.equation)
        ]
        if not found[leaf] and _form(alone, leaf) != _form(whole, leaf):
            text = (
                f"The function asks how many examples {axis_name!r} has, and in the loop it is "
                f"one. That is no error of vmap's."
            )
            found[leaf] = [Reason("batch statistic", text)]
    return found


def _collective(name: str, axis_name: Any, source: Source | None) -> Reason:
    what = (
        "asks which example it is, and in the loop every example is the first"
        if name == "axis_index"
        else "makes the result of one example depend on the others, and the loop sees one example "
        "at a time"
    )
    text = f"{name} over {axis_name!r}{_at(source)} {what}. That is no error of vmap's."
    return Reason("batch statistic", text, source)


def _inlined(jaxpr: AnyJaxpr) -> AnyJaxpr:
    """Return a jaxpr without `jit`: what is compiled together is not computed from each other."""
    return inlined(jaxpr, lambda eqn: eqn.params["jaxpr"] if eqn.primitive.name == "jit" else None)


def _form(jaxpr: AnyJaxpr, result: int) -> list[object]:
    """Return what a result is computed by, but for the names of variables."""

    def number(atom: Any) -> str:
        return str(atom.val) if isinstance(atom, jec.Literal) else ""

    return [number(opened(jaxpr).outvars[result])] + [
        (
            eqn.primitive.name,
            [*map(number, eqn.invars)],
            [str(variable.aval) for variable in eqn.outvars],
            without_addresses(eqn.params),
        )
        for eqn in behind(jaxpr, result)
    ]


def _axes_of(eqn: jec.JaxprEqn) -> tuple[Any, ...]:
    """Return the names of axes that an equation refers to."""
    named = (eqn.params.get("axes"), eqn.params.get("axis_name"))
    return tuple(itertools.chain(*(n if isinstance(n, (tuple, list)) else (n,) for n in named)))


def _different(
    sides: Sides, f: Callable[..., Any], wrong: list[int], examples: tuple[int, ...]
) -> list[int]:
    """Return which leaves differ by more than the default tolerances."""
    if not wrong:
        return []
    leaves = Sides(sides.call, None, None).compare(f, examples)
    return [i for i in wrong if not leaves[i].same]


def _taken_out(
    sides: Sides, known: Trace, wrong: list[int], examples: tuple[int, ...]
) -> Iterator[Reason]:
    """Yield what the difference goes away without, each with the first line that it stands in."""
    # A suspect is taken out of a jaxpr. What goes away as soon as the loop runs a jaxpr, too, says
    # nothing against what was taken out of it.
    if _different(sides, without([], sides.call.f), wrong, examples) != wrong:
        return
    suspects = {
        suspect: step.source
        for suspect in SUSPECTS
        for step in reversed(known.steps)
        if suspect.stand_in(step.equation)
    }
    counts = range(1, len(suspects) + 1) if wrong else ()
    tries = itertools.chain(*(itertools.combinations(suspects, count) for count in counts))
    for blamed in tries:
        if not _different(sides, without(blamed, sides.call.f), wrong, examples):
            for suspect in blamed:
                source = suspects[suspect]
                yield Reason(suspect.code, suspect.text.format(at=_at(source)), source)
            return


def _rounding(
    sides: Sides,
    leaves: tuple[LeafResult, ...],
    wrong: list[int],
    examples: tuple[int, ...],
    product: Step | None,
) -> Iterator[Reason]:
    """Yield the reason for what is small and shrinks with more digits.

    Args:
        sides: the two sides.
        leaves: how their results compare.
        wrong: the leaves to look into.
        examples: those in which they are worst.
        product: a matrix product that the device computes with fewer digits, if there is one.
    """
    # What is furthest beyond its tolerance need not be what differs most.
    before = [abs(leaves[i].actual - leaves[i].expected) for i in wrong]
    if not before or not all(map(math.isfinite, before)):
        return
    if product is not None:
        traced, exact = (
            [leaves[i].difference for i in wrong]
            for leaves in (
                sides.compare(without(suspects, sides.call.f), examples)
                for suspects in ([], [PRECISION])
            )
        )
        # As in `_taken_out`: it must be the digits that help, and not that the loop is traced.
        if _have_shrunk(exact, before, _SHRINKS_EXACTLY) and not any(
            _have_shrunk([t], [b], _SHRINKS_EXACTLY) for t, b in zip(traced, before, strict=True)
        ):
            at = _at(product.source)
            yield Reason(PRECISION.code, PRECISION.text.format(at=at), product.source)
            return
    with jax.enable_x64(True):
        args, kwargs = jax.tree.map(_widened, sides.arguments.whole())
        call = Call.of(sides.call.f, sides.call.vmap, args, kwargs)
        wide = Sides(call, *sides.tolerances).compare(call.f, examples)
    after = [wide[i].difference for i in wrong]
    if _have_shrunk(after, before, _SHRINKS):
        yield Reason(
            "rounding",
            f"It is rounding: with float64 the difference of {max(before):.2g} shrinks to "
            f"{max(a or 0 for a in after):.2g}. vmap adds up the same numbers in another order. "
            f"Allow for it with rtol= or atol=.",
        )


def _have_shrunk(after: list[float | None], before: list[float], factor: float) -> bool:
    return all(a is not None and a <= factor * b for a, b in zip(after, before, strict=True))


def _widened(leaf: Any) -> Any:
    dtype = _WIDER.get(str(getattr(leaf, "dtype", "")))
    return leaf.astype(dtype) if dtype else leaf


def _at(source: Source | None) -> str:
    """Return where a line of the user's is, to stand in a sentence."""
    if source is None:
        return ""
    return f" in line {source.line} ({' '.join(source.expression.split())})"
