"""`vmapguide.explain`, swept over functions that nobody here wrote.

JAX's wheel carries a list of calls that exercises its primitives. Each is mapped over a batch of
three: the batched jaxpr has to be plain vmap's, every equation of it has to be mapped, and what
each equation became has to be what it becomes when it is batched alone.

Normal runs take a sample of every group. `VMAPGUIDE_CORPUS=all` takes all; the totals are printed
as one line of JSON, and written to the file that `VMAPGUIDE_CORPUS_OUT` names.
"""

import json
import os
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.extend.core as jec
import numpy as np
import pytest
from equations import BOUNDARY, bare
from jax._src.internal_test_util import test_harnesses

from vmapguide._jaxpr.trace_matching import equal
from vmapguide._jaxpr.walk import count_primitives, nested, walk
from vmapguide._trace.batch_axes import Axes, find_axes
from vmapguide._trace.call import Call, Vmap
from vmapguide._trace.provenance import SourceMap, source_map


BATCH = 3

# Some harnesses have no arguments: they need to be told the size.
VMAP = Vmap(axis_size=BATCH)

pytestmark = pytest.mark.slow

# Of each group, in a normal run.
SAMPLE = 3


def harnesses() -> Iterator[Any]:
    """Yield the harnesses of this run, in an order that is the same in every run."""
    found = sorted(test_harnesses.all_harnesses, key=lambda harness: harness.fullname)
    random.Random(0).shuffle(found)  # noqa: S311
    taken: Counter[str] = Counter()
    for harness in found:
        taken[harness.group_name] += 1
        if os.environ.get("VMAPGUIDE_CORPUS") == "all" or taken[harness.group_name] <= SAMPLE:
            yield harness


def batch_of(argument: Any) -> Any:
    """Return a batch of an argument: abstract, or the argument repeated if it is a number."""
    if hasattr(argument, "shape") and hasattr(argument, "dtype"):
        # JAX would warn that it takes 64 bits for 32, and a warning is an error here.
        dtype = jax.dtypes.canonicalize_dtype(argument.dtype, allow_extended_dtype=True)
        return jax.ShapeDtypeStruct((BATCH, *argument.shape), dtype)
    return np.stack([np.asarray(argument)] * BATCH)


def holders(jaxpr: Any) -> dict[int, tuple[int, int]]:
    """Return for each nested jaxpr, by number, the place of the first equation that holds it."""
    numbers = {id(inner): number for number, inner in enumerate(walk(jaxpr))}
    found: dict[int, tuple[int, int]] = {}
    for number, inner in enumerate(walk(jaxpr)):
        for i, eqn in enumerate(inner.eqns):
            for held in nested(eqn):
                found.setdefault(numbers[id(held)], (number, i))
    return found


class Unusable(Exception):  # noqa: N818 - it is no error.
    """A harness that plain `jax.vmap` rejects."""


class Sweep:
    """The totals, and what went wrong."""

    def __init__(self) -> None:
        """Start at nothing."""
        self.counts: Counter[str] = Counter()
        self.skipped: Counter[str] = Counter()
        self.unusable: Counter[str] = Counter()
        self.failures: list[str] = []

    def add(self, harness: Any) -> None:
        """Explain one harness and check all that is claimed of it."""
        try:
            args = jax.tree.map(batch_of, list(harness.dyn_args_maker(np.random.RandomState(0))))
            plain = jax.make_jaxpr(VMAP(harness.dyn_fun))(*args)
        except Exception as error:  # noqa: BLE001 - whatever it is that vmap cannot do.
            self.unusable[f"{type(error).__name__}: {str(error).splitlines()[0][:60]}"] += 1
            return
        self.counts["usable"] += 1
        try:
            self._check(harness, plain, args)
        except Exception as error:  # noqa: BLE001 - the sweep goes on.
            self._fail(harness, f"raised {type(error).__name__}: {str(error)[:200]}")

    def _fail(self, harness: Any, what: str) -> None:
        self.counts["failures"] += 1
        self.failures.append(f"{harness.fullname}: {what}")

    def _check(self, harness: Any, plain: jec.ClosedJaxpr, args: list[Any]) -> None:
        call = Call.of(harness.dyn_fun, VMAP, tuple(args), {})
        found = source_map(call)
        if not found.complete or not equal(plain, found.batched):
            self._fail(harness, "the jaxpr is not plain vmap's")
            return
        self.counts["identical"] += 1
        places = {
            (number, i)
            for number, jaxpr in enumerate(walk(found.per_example))
            for i in range(len(jaxpr.eqns))
        }
        outer = bare(found.batched)
        for jaxpr in walk(found.batched):
            for eqn in jaxpr.eqns:
                self.counts["equations"] += 1
                path = found.paths.get(id(eqn))
                if path == () and jaxpr is outer and eqn.primitive.name in BOUNDARY:
                    self.counts["boundary"] += 1
                elif path and path[-1] in places:
                    self.counts["resolved"] += 1
                else:
                    self._fail(harness, f"{eqn.primitive.name} has no source: {path}")
        axes = find_axes(found)
        self.counts["axes complete"] += axes.complete
        if not axes.complete:
            self._fail(harness, "batch axes are not known")
        self._compare(harness, found, axes)

    def _compare(self, harness: Any, found: SourceMap, axes: Axes) -> None:
        """Batch every top-level equation alone and compare it with what is said to be its group."""
        outer = bare(found.per_example)
        parents = holders(found.per_example)
        groups: dict[int, Counter[str]] = {i: Counter() for i in range(len(outer.eqns))}
        for eqn in bare(found.batched).eqns:
            path = found.paths[id(eqn)]
            place = path[-1] if path else None
            while place and (parent := parents.get(place[0])):
                place = parent
            if place:
                groups[place[1]].update(deep(eqn))
        where: dict[Any, int | None] = dict.fromkeys(outer.constvars)
        where |= dict.fromkeys(outer.invars, 0)
        for i, eqn in enumerate(outer.eqns):
            for k, var in enumerate(eqn.outvars):
                where[var] = axes.positions.get(((), (0, i), k))
            try:
                alone = batched_alone(found.per_example, eqn, where)
            except Unusable as reason:
                self.counts["oracle skipped"] += 1
                self.skipped[str(reason)] += 1
                continue
            if alone == groups[i]:
                self.counts["oracle equal"] += 1
            else:
                self.counts["oracle different"] += 1
                self._fail(harness, f"{eqn.primitive.name} became {groups[i]}, and alone {alone}")

    def totals(self) -> dict[str, Any]:
        """Return the numbers."""
        names = (
            "usable",
            "identical",
            "equations",
            "resolved",
            "boundary",
            "axes complete",
            "oracle equal",
            "oracle different",
            "oracle skipped",
            "failures",
        )
        return {
            "jax": jax.__version__,
            "rejected by jax.vmap": sum(self.unusable.values()),
            **{name: self.counts[name] for name in names},
            "reasons for skipping": dict(self.skipped),
        }


def deep(eqn: jec.JaxprEqn) -> Counter[str]:
    """Count the primitives of an equation and of the jaxprs in it."""
    found = Counter([eqn.primitive.name])
    for inner in nested(eqn):
        found.update(count_primitives(inner))
    return found


def batched_alone(
    program: jec.ClosedJaxpr, eqn: jec.JaxprEqn, where: dict[Any, int | None]
) -> Counter[str]:
    """Batch one equation by itself and count what it becomes.

    Its inputs are batched where those of the program are, and its results are left where they
    are said to be in the program: were they elsewhere, there would be another transpose.

    Raises:
        Unusable: if the equation cannot stand by itself.
    """
    inputs = list(dict.fromkeys(v for v in eqn.invars if not isinstance(v, jec.Literal)))
    outputs = [v for v in eqn.outvars if not isinstance(v, jec.DropVar)]
    avals: list[Any] = [v.aval for v in inputs]
    if any(type(aval) is not jax.core.ShapedArray for aval in avals):
        raise Unusable("an input is no array")
    jaxpr = bare(program).replace(
        constvars=[], invars=inputs, outvars=outputs, eqns=[eqn], effects=eqn.effects
    )
    alone = jec.jaxpr_as_fun(program.replace(jaxpr=jaxpr, consts=[]))
    batches = []
    for var, aval in zip(inputs, avals, strict=True):
        shape, axis = list(aval.shape), where[var]
        if axis is not None:
            shape.insert(axis, BATCH)
        batches.append(jax.ShapeDtypeStruct(shape, aval.dtype, weak_type=aval.weak_type))
    vmapped = jax.vmap(
        alone,
        in_axes=tuple(where[v] for v in inputs),
        out_axes=[where[v] for v in outputs],
        axis_size=BATCH,
    )
    return Counter(count_primitives(jax.make_jaxpr(vmapped)(*batches)))


@pytest.fixture(scope="module")
def sweep() -> Sweep:
    """Sweep over the harnesses of this run, once."""
    found = Sweep()
    for harness in harnesses():
        found.add(harness)
    line = json.dumps(found.totals())
    print(line)  # noqa: T201
    if out := os.environ.get("VMAPGUIDE_CORPUS_OUT"):
        Path(out).write_text(f"{line}\n", encoding="utf-8")
    return found


def test_jaxs_own_test_calls(sweep: Sweep) -> None:
    """The jaxpr is plain vmap's, all of it is mapped, and each group is what the equation becomes.

    That an equation becomes the same when it is batched alone is asked of `jax.vmap` itself.
    """
    assert not sweep.failures, "\n".join([f"{len(sweep.failures)}:", *sweep.failures[:20]])
    totals = sweep.totals()
    assert totals["identical"] == totals["axes complete"] == totals["usable"]
    assert totals["resolved"] + totals["boundary"] == totals["equations"]


def test_the_sweep_is_wide(sweep: Sweep) -> None:
    """If JAX moves its list, or vmap rejects much of it, this says so rather than test little."""
    totals = sweep.totals()
    taken = totals["usable"] + totals["rejected by jax.vmap"]
    assert taken > (5400 if os.environ.get("VMAPGUIDE_CORPUS") == "all" else 300)
    assert totals["rejected by jax.vmap"] < taken / 100, sweep.unusable
    assert totals["oracle skipped"] < totals["oracle equal"] / 100
    assert totals["boundary"] < totals["resolved"] / 10
