"""Marks in a per-example program that are still there when it has been batched: tags and probes.

JAX evaluates each equation of a jaxpr under the equation's own name stack, and batching keeps name
stacks. So a tag, appended to the name stack of an equation, is found on every batched equation that
came from it. A probe is an identity operation with a batching rule of its own, which is told by
`jax.vmap` where the batch axes of its operands are: it stands at the end of every jaxpr that has
equations, takes what these define, and passes on what of it is a result of the jaxpr.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.extend.core as jec
from jax.interpreters import batching

from vmapguide._jaxpr.compat import AnyJaxpr, equation_like, opened, tagged, tags
from vmapguide._jaxpr.walk import Place, nested, rebuild


# The places of the equations that an equation lies in, outermost first, and its own. JAX batches a
# jaxpr that several equations hold anew for each way in which they map it.
Path = tuple[Place, ...]

# An output of a per-example equation: in which call, the equation's place, the output's number.
Output = tuple[Path, Place, int]

# XLA cuts names at "@", and name stacks are split at "/": neither may be in a tag.
_TAG = re.compile(r"vmapguide_(\d+)_(\d+)")

probe = jec.Primitive("vmapguide_probe")
probe.multiple_results = True
probe.def_impl(lambda *values, passed, **_: [*values[:passed]])
probe.def_abstract_eval(lambda *avals, passed, **_: [*avals[:passed]])


def _batch_probe(args: Any, dims: Any, *, outputs: Any, axes: Any, passed: int) -> Any:
    """Pass the first values through and note where the batch axes of all are."""
    del axes
    values = probe.bind(*args, outputs=outputs, axes=tuple(dims), passed=passed)
    return values, dims[:passed]


batching.primitive_batchers[probe] = _batch_probe


def mark(jaxpr: AnyJaxpr) -> AnyJaxpr:
    """Return the jaxpr with a tag on each equation, and a probe at the end of each jaxpr."""
    return rebuild(jaxpr, _mark)


def _mark(number: int, jaxpr: jec.Jaxpr, eqns: list[jec.JaxprEqn]) -> jec.Jaxpr:
    marked = [tagged(eqn, f"vmapguide_{number}_{i}") for i, eqn in enumerate(eqns)]
    values = {
        var: (i, k)
        for i, eqn in enumerate(eqns)
        for k, var in enumerate(eqn.outvars)
        if not isinstance(var, jec.DropVar) and _is_plain(var.aval)
    }
    if not values:
        return jaxpr.replace(eqns=marked)  # type: ignore[no-any-return]
    # One probe of many values costs next to nothing, many probes of one as much as the program.
    # The results come out of it, so that it is not dead code, and nothing else does: what comes out
    # is a value more to trace.
    results = [v for v in jaxpr.outvars if not isinstance(v, jec.Literal) and v in values]
    passed: dict[Any, Any] = {var: jec.Var(var.aval) for var in results or values}
    operands = [*passed, *(var for var in values if var not in passed)]
    last = tagged(eqns[-1], f"vmapguide_{number}_{len(eqns)}")
    params = {
        "outputs": tuple(values[var] for var in operands),
        "axes": (None,) * len(operands),
        "passed": len(passed),
    }
    end = equation_like(last, probe, inputs=operands, outputs=[*passed.values()], params=params)
    outvars = [v if isinstance(v, jec.Literal) else passed.get(v, v) for v in jaxpr.outvars]
    return jaxpr.replace(eqns=[*marked, end], outvars=outvars)  # type: ignore[no-any-return]


def _is_plain(aval: Any) -> bool:
    """Say whether a value can be passed through an operation: a reference cannot."""
    return type(aval) is jax.core.ShapedArray


@dataclass(frozen=True)
class Paths:
    """Where batched equations came from.

    Attributes:
        of: by the `id` of an equation, its path. What `vmap` made at its own boundary has an empty
            one. What a batching rule made without a trace of the equation that it is for lies
            inside one that has its path.
        probes: the probes among the equations.
        others: of calls that are batched alike, and so are one: by the path of the first, those of
            the others.
    """

    of: Mapping[int, Path]
    probes: Sequence[jec.JaxprEqn]
    others: Mapping[Path, frozenset[Path]]


def paths(marked: AnyJaxpr) -> Paths:
    """Return where the equations of a marked jaxpr that has been batched came from."""
    found: dict[int, Path] = {}
    probes: list[jec.JaxprEqn] = []
    others: dict[Path, set[Path]] = {}
    seen: dict[int, Path] = {}
    pending: list[tuple[jec.Jaxpr, Path]] = [(opened(marked), ())]
    while pending:
        jaxpr, outer = pending.pop()
        if id(jaxpr) in seen:
            others.setdefault(seen[id(jaxpr)], set()).add(outer)
            continue
        seen[id(jaxpr)] = outer
        for eqn in jaxpr.eqns:
            own = tuple([(int(number), int(i)) for number, i in tags(eqn, _TAG)])
            # Some nested jaxprs are traced with the name stack of the equation that holds them.
            path = own if own[: len(outer)] == outer else (*outer, *own)
            found[id(eqn)] = path
            if eqn.primitive is probe:
                probes.append(eqn)
            elif inner := nested(eqn):
                pending.extend((held, path) for held in reversed(inner))
    alike = {first: frozenset(rest - {first}) for first, rest in others.items()}
    return Paths(found, probes, alike)


def _probed(paths: Paths) -> Iterator[tuple[Any, int | None, Output]]:
    """Yield what the probes take: the batched value, where its batch axis is, and what it is."""
    for eqn in paths.probes:
        path = paths.of[id(eqn)]
        call, (number, _) = path[:-1], path[-1]
        outputs, axes = eqn.params["outputs"], eqn.params["axes"]
        for value, axis, (i, k) in zip(eqn.invars, axes, outputs, strict=True):
            yield value, axis, (call, (number, i), k)


def probed(paths: Paths) -> Iterator[tuple[jec.Var, Output]]:
    """Yield the batched variables that the probes take, each with the output that it is."""
    for value, _, output in _probed(paths):
        if not isinstance(value, jec.Literal):
            yield value, output


def positions(paths: Paths) -> dict[Output, int | None]:
    """Read the probes: where the batch axis of each output of each equation is, None for nowhere.

    Of a value that is batched in two ways in one call nothing is known.
    """
    found: dict[Output, int | None] = {}
    unclear: set[Output] = set()
    for _, axis, output in _probed(paths):
        if found.setdefault(output, axis) != axis:
            unclear.add(output)
    return {o: axis for o, axis in found.items() if o not in unclear} if unclear else found
