"""Which per-example equation every batched equation came from.

The method:

1. Trace `f` on one example, and mark every equation of its jaxpr (`marks`).
2. Let `jax.vmap` batch the marked jaxpr. Every batched equation then carries the tag of the
   equation it came from, or lies inside one that does, or was made by `vmap` at its own boundary.
3. Trace `jax.vmap(f)` as it is. Where the two are equal (`trace_matching.match`), the tags of the
   one are read as the sources of the other. This is checked every time and never assumed; what is
   not equal is known of neither.

The marked program is batched at another size (`sizes`), so that one trace tells all three: where
an equation came from, where the batch axes are, and which of the dimensions they are in the jaxpr.
Only where it is another program at another size is it batched once more at its own.
"""

from __future__ import annotations

import contextlib
import functools
import gc
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax.extend.core as jec

from vmapguide._jaxpr.compat import AnyJaxpr
from vmapguide._jaxpr.trace_matching import Match, Spot, match
from vmapguide._jaxpr.walk import Place, nested, walk
from vmapguide._trace import marks
from vmapguide._trace.call import Call, Edited, Traced, TracedArguments
from vmapguide._trace.marks import Output, Path
from vmapguide._trace.sizes import Resized, aligned, resized


@dataclass(frozen=True)
class SourceMap:
    """The jaxprs of `f` and of `jax.vmap(f)`, and how they hang together.

    Attributes:
        call: the call, of which as many arguments are traced as the function allows.
        traced: the jaxpr of `f` on one example, and the tree of its results.
        batched: the jaxpr of `jax.vmap(f)`: of plain vmap, even if the marks disturbed the trace.
        lost: the places of equations of `per_example` of which it is not known what they became.
        complete: whether it is known of all.
        paths: for every equation of `batched`, nested ones included, by its `id`: the places of
            the equations of `per_example` that it came from, empty for the boundary. Missing if
            it is not known.
        others: see `Paths`.
        positions: where the batch axis of each output of each equation of `per_example` is.
        values: for variables of `batched` the output that each is the batch of.
        variables: variables of both jaxprs, paired with those of the same call at other sizes.
        resized: that call.
    """

    call: Call
    traced: Traced
    batched: jec.ClosedJaxpr
    lost: frozenset[Place]
    complete: bool = False
    paths: Mapping[int, Path] = field(default_factory=dict)
    others: Mapping[Path, frozenset[Path]] = field(default_factory=dict)
    positions: Mapping[Output, int | None] = field(default_factory=dict)
    values: Mapping[jec.Var, Output] = field(default_factory=dict)
    variables: Mapping[jec.Var, jec.Var] = field(default_factory=dict)
    resized: Resized | None = None

    @property
    def per_example(self) -> jec.ClosedJaxpr:
        """The jaxpr of `f` on one example."""
        return self.traced.jaxpr

    @functools.cached_property
    def per_example_jaxprs(self) -> tuple[jec.Jaxpr, ...]:
        """That jaxpr and those nested in it, in the order of `_jaxpr.walk`."""
        return (*walk(self.per_example),)

    @functools.cached_property
    def batched_jaxprs(self) -> tuple[jec.Jaxpr, ...]:
        """The batched jaxpr and those nested in it, in the order of `_jaxpr.walk`."""
        return (*walk(self.batched),)


def source_map(call: Call, traced: TracedArguments = "all") -> SourceMap:
    """Trace a call of `jax.vmap(f)` and map it to `f`.

    Args:
        call: the call.
        traced: which arguments are to be traced, see `Call.settled`.

    Raises:
        Exception: what `jax.vmap(f)` raises if it is called with these arguments.
    """
    with without_collector():
        return _Mapper(*call.settled(traced)).map()


@contextlib.contextmanager
def without_collector() -> Iterator[None]:
    """Keep the garbage collector from walking, again and again, over a program that stays."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class _Stopped(Exception):  # noqa: N818 - it is no error.
    """A function was traced on one example, and that is all that was wanted."""


@dataclass
class _Marked:
    """A marked program, batched, and what was traced of `f` for it."""

    traced: Traced
    batched: AnyJaxpr
    found: Match


class _Mapper:
    """A source map while it is made."""

    def __init__(self, call: Call, batched: jec.ClosedJaxpr) -> None:
        self.call = call
        self.batched = batched
        self.resized = resized(call, batched)
        self.tolerated: frozenset[Spot] | None = None

    def map(self) -> SourceMap:
        """Map the batched program, as far as it can be mapped."""
        sized = None
        if self.resized is not None:
            # A program that depends on the size of its batch fails here, or comes out different.
            with contextlib.suppress(Exception):
                sized = self.marked(self.resized.call)
        if sized is not None and sized.found.exact and self.resized is not None:
            if self.resized.is_hidden:
                return self.read(sized, sized.traced, sized.found.variables)
            with contextlib.suppress(Exception):
                traced = self.per_example()
                same = match(traced.jaxpr, sized.traced.jaxpr, same_size=self.resized.same)
                if same.exact:
                    variables = {**sized.found.variables, **same.variables}
                    return self.read(sized, traced, variables)
        try:
            marked = self.marked(self.call)
        except Exception:  # noqa: BLE001 - plain vmap can do without marks.
            return self.unmapped(self.per_example())
        return self.read(marked, marked.traced, self.by_size(marked, sized))

    def marked(self, call: Call) -> _Marked:
        """Trace and mark `f`, batch it as in a call, and match it with the program as it is."""
        marked = self.marked_once(call, is_eager=False)
        if call.is_eager and not marked.found.exact:
            # Whether a batching rule computes with what is known depends on who calls it.
            other = self.marked_once(call, is_eager=True)
            marked = min(marked, other, key=lambda made: len(made.found.left))
        return marked

    def marked_once(self, call: Call, *, is_eager: bool) -> _Marked:
        """Do that, and in batching compute what is known, or do not."""
        edited = Edited(call.f, marks.mark, computing=call.computing)
        batched = call.batched_jaxpr(edited, is_eager=is_eager)
        assert edited.traced is not None  # noqa: S101 - `jax.vmap` has called it.
        same_size = self.resized.same if self.resized and call is self.resized.call else None

        def matched() -> Match:
            return match(
                self.batched,
                batched,
                skip=marks.probe,
                same_size=same_size,
                tolerated=self.tolerated or frozenset(),
            )

        found = matched()
        if not found.exact and found.spots and self.tolerated is None:
            # Some things are numbered anew by every trace.
            again = self.call.batched_jaxpr(self.call.f)
            self.tolerated = frozenset(match(self.batched, again).spots)
            found = matched() if self.tolerated else found
        return _Marked(edited.traced, batched, found)

    def per_example(self) -> Traced:
        """Trace `f` on one example, inside `jax.vmap` and at the size that the batch has."""

        def stop(_: Any) -> Any:
            raise _Stopped

        edited = Edited(self.call.f, stop, computing=self.call.computing)
        with contextlib.suppress(_Stopped):
            self.call.batched_jaxpr(edited)
        assert edited.traced is not None  # noqa: S101 - `jax.vmap` has called it.
        return edited.traced

    def by_size(self, marked: _Marked, sized: _Marked | None) -> dict[jec.Var, jec.Var]:
        """Pair the variables of the program with those at another size, equation by equation."""
        if sized is None:
            return {}
        ours = _read_paths(marked)
        pairs = aligned(
            self.batched, ours, sized.batched, marks.paths(sized.batched).of, marks.probe
        )
        found = {**sized.found.variables, **dict(pairs)}
        if self.resized is not None and not self.resized.is_hidden:
            same = match(marked.traced.jaxpr, sized.traced.jaxpr, same_size=self.resized.same)
            # Of a program that is another one with another size inside, too, places say nothing.
            found = {**dict(pairs), **sized.found.variables, **same.variables}
        return found

    def read(
        self, marked: _Marked, traced: Traced, variables: Mapping[jec.Var, jec.Var]
    ) -> SourceMap:
        """Read the marks."""
        theirs = marks.paths(marked.batched)
        return SourceMap(
            call=self.call,
            traced=traced,
            batched=self.batched,
            paths=_read_paths(marked, theirs.of),
            others=theirs.others,
            lost=frozenset(_lost(marked.found, theirs.of)),
            complete=marked.found.exact,
            positions=marks.positions(theirs),
            values=_values(marked.found, theirs),
            variables=variables,
            resized=self.resized,
        )

    def unmapped(self, traced: Traced) -> SourceMap:
        """Return the jaxprs, of which nothing else is known."""
        numbered = enumerate(walk(traced.jaxpr))
        lost = frozenset((n, i) for n, jaxpr in numbered for i in range(len(jaxpr.eqns)))
        return SourceMap(self.call, traced, self.batched, lost)


def _values(found: Match, theirs: marks.Paths) -> dict[jec.Var, Output]:
    """Return the variables of the plain program that the probes of the marked one take."""
    ours = {other: var for var, other in found.variables.items()}
    values: dict[jec.Var, Output] = {}
    for other, output in marks.probed(theirs):
        var = ours.get(other)
        # What an equation became that changes nothing is the value before it, and has its name.
        if var is not None and (var not in values or output[1:] < values[var][1:]):
            values[var] = output
    return values


def _read_paths(marked: _Marked, theirs: Mapping[int, Path] | None = None) -> dict[int, Path]:
    """Return where the equations of the plain program came from."""
    theirs = marks.paths(marked.batched).of if theirs is None else theirs
    return {ours: theirs[id(eqn)] for ours, eqn in marked.found.equations.items()}


def _lost(found: Match, theirs: Mapping[int, Path]) -> Iterator[Place]:
    """Yield the places of equations that became, among others, what could not be matched."""
    matched = set(map(id, found.equations.values()))
    for outer in found.right:
        inner = [j for jaxpr in nested(outer) for j in walk(jaxpr)]
        for eqn in (outer, *(eqn for jaxpr in inner for eqn in jaxpr.eqns)):
            if id(eqn) not in matched and (path := theirs.get(id(eqn), ())):
                yield path[-1]
