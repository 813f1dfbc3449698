"""Why `jax.vmap` and the loop differ: each known cause is tried out, not guessed.

A function that returns something else when it is called again has a side effect. A custom batching
rule, or a random number generator that knows no batches, is to blame if the difference goes away
when it is taken out of the program. Rounding is to blame if the difference all but goes away with
twice the digits. What mixes the examples can be read off the program.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.extend.core as jec
import jax.numpy as jnp

from vmapguide import _jaxpr, _numbers
from vmapguide._jaxpr import AnyJaxpr
from vmapguide._loop import Sides, edited
from vmapguide._numbers import LeafResult
from vmapguide._program import Source
from vmapguide._sourcemap import Call
from vmapguide.explain import Explanation, explain


# With twice the digits, rounding shrinks by many orders of magnitude; nothing else does.
_SHRINKS = 1e-4

_RANDOM = frozenset({"random_bits", "rng_bit_generator"})
_UNSAFE_SPLIT = ("random_split", "key<urbg>")
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
            one number after the other. `rounding`: the same sums in another order. `shared key`:
            no difference, but all examples draw the same random numbers.
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


def find(
    sides: Sides, leaves: tuple[LeafResult, ...], examples: tuple[int, ...]
) -> Iterator[Reason]:
    """Find out why the two sides of a check differ, or agree where they had better not.

    Args:
        sides: the two sides.
        leaves: how their results compare.
        examples: the examples that were compared.
    """
    call = sides.call
    explanation = None
    # What can be run cannot always be explained: a function may use the values of its arguments.
    with contextlib.suppress(Exception):
        explanation = explain(call.f, **vars(call.vmap))(*sides.args, **sides.kwargs)
    if explanation and sides.batch_size > 1:
        yield from _shared_keys(explanation)
    wrong = [i for i, leaf in enumerate(leaves) if not leaf.same]
    if not wrong:
        return
    # To look into a difference must not end in an error of its own.
    with contextlib.suppress(Exception):
        for worst in _worst(leaves, wrong, examples):
            if _is_impure(sides, worst):
                yield Reason(
                    "side effect",
                    f"The function returned something else when it was called again with example "
                    f"{worst}: it depends on more than its arguments, such as a counter, a list or "
                    f"NumPy's random numbers. jax.vmap runs its Python once, the loop once for "
                    f"each example. Pass in what it depends on, and return what it changes.",
                )
                return
    if explanation and call.vmap.axis_name is not None:
        with contextlib.suppress(Exception):
            mixed = _batch_statistics(sides, explanation, wrong)
            yield from dict.fromkeys(itertools.chain(*mixed.values()))
            wrong = [i for i in wrong if not mixed[i]]
    worst_ones = _worst(leaves, wrong, examples)
    if explanation:
        with contextlib.suppress(Exception):
            # A difference as small as rounding is goes away with anything.
            far = _different(sides, call.f, wrong, worst_ones)
            blamed = [*_taken_out(sides, explanation, far, worst_ones)]
            yield from blamed
            wrong = [i for i in wrong if not blamed or i not in far]
    with contextlib.suppress(Exception):
        yield from _rounding(sides, leaves, wrong, worst_ones)


def _worst(
    leaves: tuple[LeafResult, ...], wrong: list[int], examples: tuple[int, ...]
) -> tuple[int, ...]:
    """Return the example in which each of the wrong leaves is worst, each once."""
    return tuple(dict.fromkeys(examples[(leaves[i].index or (0,))[0]] for i in wrong))


def _shared_keys(explanation: Explanation) -> Iterator[Reason]:
    seen = set()
    for step in explanation.steps:
        if step.equation.primitive.name in _RANDOM and step.kind == "shared":
            if step.source not in seen:
                yield Reason(
                    "shared key",
                    f"All examples draw the same random numbers{_at(step.source)}: their key is "
                    f"not mapped. If each is to have its own, split the key and map over the keys.",
                    step.source,
                )
            seen.add(step.source)


def _is_impure(sides: Sides, example: int) -> bool:
    first, again = sides.one(sides.call.f, example), sides.one(sides.call.f, example)
    return not all(leaf.identical for leaf in _numbers.compare_trees(first, again))


def _batch_statistics(
    sides: Sides, explanation: Explanation, wrong: list[int]
) -> dict[int, list[Reason]]:
    """Return what mixes the examples, for each wrong leaf that depends on it."""
    axis_name = sides.call.vmap.axis_name
    vmap, args, kwargs = sides.batch_of_one(0)
    alone = _inlined(explain(sides.call.f, **vars(vmap))(*args, **kwargs).per_example)
    whole = _inlined(explanation.per_example)
    found = {}
    for leaf in wrong:
        # Inlining makes equations anew, but they keep where they came from.
        behind = {
            id(eqn.source_info)
            for outer in _jaxpr.behind(whole, leaf)
            for eqn in (
                outer,
                *(e for j in _jaxpr.nested(outer) for k in _jaxpr.walk(j) for e in k.eqns),
            )
        }
        found[leaf] = [
            _collective(step.equation.primitive.name, axis_name, step.source)
            for step in explanation.steps
            if id(step.equation.source_info) in behind and axis_name in _axes_of(step.equation)
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
    return _jaxpr.inlined(
        jaxpr, lambda eqn: eqn.params["jaxpr"] if eqn.primitive.name == "jit" else None
    )


def _form(jaxpr: AnyJaxpr, result: int) -> list[object]:
    """Return what a result is computed by, but for the names of variables."""

    def number(atom: Any) -> str:
        return str(atom.val) if isinstance(atom, jec.Literal) else ""

    return [number(_jaxpr.opened(jaxpr).outvars[result])] + [
        (
            eqn.primitive.name,
            [*map(number, eqn.invars)],
            [str(variable.aval) for variable in eqn.outvars],
            _jaxpr.without_addresses(eqn.params),
        )
        for eqn in _jaxpr.behind(jaxpr, result)
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
    sides: Sides, explanation: Explanation, wrong: list[int], examples: tuple[int, ...]
) -> Iterator[Reason]:
    """Yield what the difference goes away without, each with the first line that it stands in."""
    suspects = {
        suspect: step.source
        for suspect in _SUSPECTS
        for step in reversed(explanation.steps)
        if suspect.stand_in(step.equation)
    }
    tries = [[suspect] for suspect in suspects]
    tries += [[*suspects]] if len(suspects) > 1 else []
    for blamed in tries if wrong else []:
        if not _different(sides, _without(blamed, sides.call.f), wrong, examples):
            for suspect in blamed:
                source = suspects[suspect]
                yield Reason(suspect.code, suspect.text.format(at=_at(source)), source)
            return


@dataclass(frozen=True)
class _Suspect:
    """A cause that can be taken out: `stand_in` returns what to put in an equation's place."""

    code: str
    text: str
    stand_in: Callable[[jec.JaxprEqn], AnyJaxpr | None]


def _without_draws(eqn: jec.JaxprEqn) -> AnyJaxpr | None:
    """Return a program that draws the same always, for a generator that knows no batches."""
    key: Any = eqn.invars[0].aval if eqn.invars else None
    name, kind = eqn.primitive.name, str(getattr(key, "dtype", ""))
    # Of new keys, only the unsafe kind draws them like numbers.
    if (name, "rbg" in kind) != ("random_bits", True) and (name, kind) != _UNSAFE_SPLIT:
        return None
    drawn: Any = eqn.outvars[0].aval

    def same(key: jax.Array) -> jax.Array:
        if name == "random_split":
            return jnp.broadcast_to(key, drawn.shape)
        third = jnp.iinfo(drawn.dtype).max // 3  # type: ignore[no-untyped-call]
        return jnp.full(drawn.shape, third, drawn.dtype)

    return jax.make_jaxpr(same)(jax.ShapeDtypeStruct(key.shape, key.dtype))


_SUSPECTS = (
    _Suspect(
        "custom_vmap rule",
        "The batching rule of a jax.custom_batching.custom_vmap function{at} gives something else "
        "than the function does: with the function in its place vmap equals the loop. Mend the "
        "rule.",
        _jaxpr.plain_call,
    ),
    _Suspect(
        "rbg key",
        "The key is of the rbg kind{at}, which draws the random numbers of a batch together and "
        "not as it would for each key alone: with the same bits on both sides vmap equals the "
        "loop. JAX says so of rbg keys; threefry keys, the default, do not do this.",
        _without_draws,
    ),
)


def _without(suspects: list[_Suspect], f: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function with stand-ins for what is suspected."""

    def stand_in(eqn: jec.JaxprEqn) -> AnyJaxpr | None:
        return next((body for s in suspects if (body := s.stand_in(eqn)) is not None), None)

    return edited(f, lambda jaxpr: _jaxpr.inlined(jaxpr, stand_in))


def _rounding(
    sides: Sides, leaves: tuple[LeafResult, ...], wrong: list[int], examples: tuple[int, ...]
) -> Iterator[Reason]:
    # What is furthest beyond its tolerance need not be what differs most.
    before = [abs(leaves[i].actual - leaves[i].expected) for i in wrong]
    if not before or not all(map(math.isfinite, before)):
        return
    with jax.enable_x64(True):
        args, kwargs = jax.tree.map(_widened, (sides.args, sides.kwargs))
        call = Call(sides.call.f, sides.call.vmap, args, kwargs)
        wide = Sides(call, *sides.tolerances).compare(call.f, examples)
    after = [wide[i].difference for i in wrong]
    if all(a is not None and a <= _SHRINKS * b for a, b in zip(after, before, strict=True)):
        yield Reason(
            "rounding",
            f"It is rounding: with float64 the difference of {max(before):.2g} shrinks to "
            f"{max(a or 0 for a in after):.2g}. vmap adds up the same numbers in another order. "
            f"Allow for it with rtol= or atol=.",
        )


def _widened(leaf: Any) -> Any:
    dtype = _WIDER.get(str(getattr(leaf, "dtype", "")))
    return leaf.astype(dtype) if dtype else leaf


def _at(source: Source | None) -> str:
    """Return where a line of the user's is, to stand in a sentence."""
    if source is None:
        return ""
    return f" in line {source.line} ({' '.join(source.expression.split())})"
