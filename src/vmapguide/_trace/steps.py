"""Make the steps of an explanation and say the kind of each: `same`, `shared`, `one by one`, ….

Which batched equation came from which is known (`provenance`), and where the batch axes are
(`batch_axes`). `steps` says in a word what that means: the kind of each step.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import jax.extend.core as jec
import jax.numpy as jnp

from vmapguide._data import WEIGHTS, Kind, Source
from vmapguide._jaxpr import primitives, source_lines
from vmapguide._jaxpr.compat import opened
from vmapguide._jaxpr.walk import Place, count_primitives, nested
from vmapguide._trace.batch_axes import Axes
from vmapguide._trace.dependence import Decisions
from vmapguide._trace.marks import Path
from vmapguide._trace.provenance import SourceMap
from vmapguide._trace.user_names import home_of


# Operations that only move or add axes. One of these beside the operation itself is there so that
# operands line up.
LAYOUT = primitives.with_role("layout")

# Operations that call Python: `vmap` runs those that print once for each example, unrolled, and
# the others too if they ask for it.
_PRINTS = primitives.with_role("print")
_CALLBACKS = primitives.with_role("callback")

_LOOPS = primitives.with_role("loop")

# What an equation became that became nothing: no equations, in a call that has no name.
_NOTHING: Mapping[Path, Sequence[jec.JaxprEqn]] = {(): ()}

# Operations that have a predicate.
_DECIDING = frozenset({"while", "cond"})


@dataclass(frozen=True, eq=False)
class Variant:
    """What became of an equation in one of the calls that it lies in.

    JAX holds the program of a function that is called twice once, and batches it anew for each way
    in which the calls map it.

    Attributes:
        batched: the batched equations that came from it there, in the order in which they run.
        kind: what became of it there, see `Step.kind`.
        batch_axes: where the batch axes of its outputs are there, see `Step.batch_axes`.
    """

    batched: tuple[jec.JaxprEqn, ...]
    kind: Kind
    batch_axes: tuple[int | None, ...] | None


@dataclass(frozen=True, eq=False)
class Step:
    """A per-example equation with the batched equations it became.

    Attributes:
        equation: the per-example equation.
        batched: the batched equations that came from it, in the order in which they run. Those
            that came from an equation nested inside this one are with that one's step.
        kind: what became of it. `same`: the same primitive, with the batch axis carried along or,
            by a collective, taken away. `shared`: no input is mapped, so it runs once, as it was.
            `layout`: only axes are moved, added, merged or split. `rewritten`: it became other
            primitives, or none, since its inputs were enough. `all branches`: a `cond` whose
            predicate is mapped runs every branch for every example. `any example`: a `cond` whose
            predicate was reduced over the batch takes one branch for all examples. `slowest
            example`: a loop whose predicate depends on the examples runs until the last one is
            done. `one by one`: a loop over the examples, or one operation for each of them.
            `unknown`: it could not be mapped. Empty for what lies in a function with a batching
            rule of its own, which has replaced it. In a function that is called more than once,
            the costliest of what became of it: see `variants`.
        batch_axes: for each output the position of the batch axis in the batched value, None
            for an unmapped one; None in the place of the whole if it is not known, or not the same
            in all calls.
        source: the user's code that made the equation, or that called the library code which
            made it; None if it is not known. In a function of a library that no code of the user's
            is in, the code of that library.
        in_user_code: whether `source` made the equation itself, not library code called from there.
        depth: in how many equations this one is nested.
        variants: what became of it in each call that it lies in and that maps it in another way.
        bounds: of a `while` that no example has a say in: the arguments, by name, that say how
            often it runs. They are traced here; `jax.vmap` outside of other transformations hands
            their values to the function, which may make a `scan` of it. See `traced` of `explain`.

    Example:
        >>> import jax, jax.numpy as jnp, vmapguide
        >>> batch = jax.ShapeDtypeStruct((32, 4), jnp.float32)
        >>> step, *_ = vmapguide.explain(lambda x: jnp.sin(x) @ x)(batch).steps
        >>> step.equation.primitive.name, [eqn.primitive.name for eqn in step.batched]
        ('sin', ['sin'])
        >>> step.kind, step.batch_axes, step.in_user_code, step.depth
        ('same', (0,), True, 0)
    """

    equation: jec.JaxprEqn
    batched: tuple[jec.JaxprEqn, ...]
    kind: Kind
    batch_axes: tuple[int | None, ...] | None
    source: Source | None
    in_user_code: bool
    depth: int
    variants: tuple[Variant, ...]
    bounds: tuple[str, ...]


def is_layout(source: jec.JaxprEqn, batched: jec.JaxprEqn) -> bool:
    """Say whether a batched equation lines axes up for the equation it came from."""
    return batched.primitive.name in LAYOUT and batched.primitive is not source.primitive


def boundary(found: SourceMap) -> Iterator[jec.JaxprEqn]:
    """Yield the batched equations that `vmap` added for `in_axes` and `out_axes`."""
    return (eqn for eqn in _equations(found) if found.paths.get(id(eqn)) == ())


def unknown(found: SourceMap) -> Iterator[jec.JaxprEqn]:
    """Yield the batched equations of which it is not known where they came from."""
    return (eqn for eqn in _equations(found) if id(eqn) not in found.paths)


def _equations(found: SourceMap) -> Iterator[jec.JaxprEqn]:
    return (eqn for jaxpr in found.batched_jaxprs for eqn in jaxpr.eqns)


def steps(found: SourceMap, axes: Axes) -> Iterator[Step]:
    """Yield the steps in the order of the program, nested ones behind the one that holds them."""
    maker = _Maker(found, axes)
    yield from maker.visit(opened(found.per_example), _Within())


@dataclass(frozen=True)
class _Within:
    """What is known of the equations that an equation lies in."""

    source: Source | None = None
    depth: int = 0
    repeated: bool = False  # A kernel's equations stay as they are, and it runs once an example.
    replaced: Kind | None = None  # What became of a function with a batching rule of its own.


class _Maker:
    """Makes the steps of an explanation."""

    def __init__(self, found: SourceMap, axes: Axes) -> None:
        self.found = found
        call = found.call
        self.home = home_of(call.f)
        self.numbers = {id(j): n for n, j in enumerate(found.per_example_jaxprs)}
        self.groups: dict[Place, dict[Path, list[jec.JaxprEqn]]] = {}
        for eqn in _equations(found):
            if path := found.paths.get(id(eqn), ()):
                self.groups.setdefault(path[-1], {}).setdefault(path[:-1], []).append(eqn)
        self.mapped = [*itertools.compress(call.mapped, call.traced)]
        self.bounds = {
            name: Decisions(found.per_example, [i == k for k in range(len(self.mapped))])
            for i, (name, is_mapped) in enumerate(zip(call.traced_names, self.mapped, strict=True))
            if not is_mapped and self.may_be_bound(i)
        }
        self.positions = axes.positions
        self.shapes, self.axes_known = axes.shapes, axes.complete
        self.seen: set[int] = set()

    @functools.cached_property
    def decisions(self) -> Decisions:
        """What the examples have a say in; a program without decisions need not be followed."""
        return Decisions(self.found.per_example, self.mapped)

    def visit(self, jaxpr: jec.Jaxpr, within: _Within) -> Iterator[Step]:
        """Yield the steps of a jaxpr, and of those nested in it, each once."""
        number = self.numbers[id(jaxpr)]
        if number in self.seen:
            return
        self.seen.add(number)
        for i, eqn in enumerate(jaxpr.eqns):
            step = self.step(eqn, (number, i), within)
            yield step
            if not (held := nested(eqn)):
                continue
            replaced = within.replaced
            if eqn.primitive.name == "custom_vmap_call" and step.kind != "shared":
                replaced = step.kind
            inside = _Within(
                source=step.source,
                depth=within.depth + 1,
                repeated=within.repeated
                or (eqn.primitive.name == "pallas_call" and step.kind != "shared"),
                replaced=replaced,
            )
            for inner in held:
                yield from self.visit(inner, inside)

    def step(self, eqn: jec.JaxprEqn, place: Place, within: _Within) -> Step:
        """Return the step of an equation."""
        own = source_lines.of_equation(eqn, self.home)
        groups = self.groups.get(place, _NOTHING)
        variants = [
            self.variant(eqn, tuple(group), within, (path, place)) for path, group in groups.items()
        ]
        first, *others = variants
        batched, kind, axes = first.batched, first.kind, first.batch_axes
        for variant in others:
            batched += variant.batched
            kind = max(kind, variant.kind, key=WEIGHTS.__getitem__)
            axes = axes if axes == variant.batch_axes else None
        return Step(
            equation=eqn,
            batched=batched,
            kind=kind,
            batch_axes=axes,
            source=own or within.source,
            in_user_code=own is not None or within.source is None,
            depth=within.depth,
            variants=tuple(variants),
            bounds=self.bounds_of(eqn, kind, place, groups),
        )

    def variant(
        self,
        eqn: jec.JaxprEqn,
        group: tuple[jec.JaxprEqn, ...],
        within: _Within,
        where: tuple[Path, Place],
    ) -> Variant:
        """Return what became of an equation in one call."""
        call, place = where
        is_lost = place in self.found.lost
        kind = "unknown" if is_lost else self.kind(eqn, group, within, where)
        return Variant(group, kind, self.axes(eqn, place, call))

    def bounds_of(
        self, eqn: jec.JaxprEqn, kind: Kind, place: Place, calls: Iterable[Path]
    ) -> tuple[str, ...]:
        """Return the arguments, by name, that say how often a loop runs in any of its calls."""
        if eqn.primitive.name != "while" or kind not in ("same", "shared"):
            return ()
        return tuple(
            name
            for name, decisions in self.bounds.items()
            if any(decisions.depends(path, place) for path in calls)
        )

    def may_be_bound(self, argument: int) -> bool:
        """Say whether an argument is one whole number, and there is a loop that it may bound."""
        jaxpr = opened(self.found.per_example)
        aval: Any = jaxpr.invars[argument].aval
        number = getattr(aval, "shape", None) == () and jnp.issubdtype(aval.dtype, jnp.integer)
        return number and "while" in count_primitives(jaxpr)

    def axes(self, eqn: jec.JaxprEqn, place: Place, call: Path) -> tuple[int | None, ...] | None:
        """Return where the batch axes of the outputs of an equation are, in one of its calls."""
        found: list[int | None] = []
        for k, var in enumerate(eqn.outvars):
            output = call, place, k
            if output in self.positions:
                found.append(self.positions[output])
                continue
            # An equation that became nothing is in no call that has a name.
            likely = self.positions_in_any_call.get((place, k), set())
            if len(likely) != 1 and not isinstance(var, jec.DropVar):
                return None
            found.append(next(iter(likely)) if len(likely) == 1 else None)
        return tuple(found)

    @functools.cached_property
    def positions_in_any_call(self) -> Mapping[tuple[Place, int], set[int | None]]:
        """Where the batch axes of outputs are in the calls that their equations lie in."""
        found: dict[tuple[Place, int], set[int | None]] = {}
        for (_, place, k), position in self.positions.items():
            found.setdefault((place, k), set()).add(position)
        return found

    def kind(
        self,
        eqn: jec.JaxprEqn,
        group: tuple[jec.JaxprEqn, ...],
        within: _Within,
        where: tuple[Path, Place],
    ) -> Kind:
        """Say what became of an equation in one call."""
        if not group and within.replaced is not None:
            return "one by one" if within.replaced == "one by one" else ""
        call, place = where
        decides = eqn.primitive.name in _DECIDING and any(
            self.decisions.depends(path, place) for path in self.alike(call)
        )
        kind = _kind(eqn, group, decides=decides)
        if kind == "same" and self.axes_known and not any(map(self.is_mapped, group)):
            kind = "shared"  # Some rules run where nothing is mapped, and change nothing.
        return "same" if kind == "shared" and within.repeated else kind

    def alike(self, call: Path) -> set[Path]:
        """Return the calls that are batched in the same way as a call, itself among them."""
        found = {call}
        for end in range(1, len(call) + 1):
            for other in self.found.others.get(call[:end], ()):
                found.add((*other, *call[end:]))
        return found

    def is_mapped(self, eqn: jec.JaxprEqn) -> bool:
        """Say whether an operand or a result of a batched equation has a batch axis."""
        for var in eqn.outvars:
            if var in self.shapes:
                return True
        return any(not isinstance(v, jec.Literal) and v in self.shapes for v in eqn.invars)


def _kind(eqn: jec.JaxprEqn, group: tuple[jec.JaxprEqn, ...], *, decides: bool) -> Kind:
    """Say what became of an equation; `decides`: whether examples have a say in its predicate."""
    name = eqn.primitive.name
    if group and name in _DECIDING and (kind := _kind_of_decision(eqn, group, decides=decides)):
        return kind
    if len(group) == 1 and group[0].primitive is eqn.primitive and name not in _PRINTS:
        # That is most of them.
        return "shared" if _types(group[0]) == _types(eqn) else "same"
    names = [batched.primitive.name for batched in group]
    if names == [name] and _types(group[0]) == _types(eqn):
        return "shared"
    unrolled = name in _PRINTS or (name in _CALLBACKS and names.count(name) > 1)
    if unrolled or (name not in _LOOPS and _LOOPS & set(names)):
        return "one by one"
    work = [n for n, batched in zip(names, group, strict=True) if not is_layout(eqn, batched)]
    if work == [name]:
        return "same"
    return "rewritten" if work or not names else "layout"


def _kind_of_decision(
    source: jec.JaxprEqn, group: tuple[jec.JaxprEqn, ...], *, decides: bool
) -> Kind | Literal[""]:
    """Say what became of a loop or branch that examples have a say in, each or all together."""
    name = source.primitive.name
    if name == "while":
        # A `vmap` inside the function gives the predicate an axis, too, and that is no example's.
        rank = _rank_of_predicate(source)
        is_batched = any(_rank_of_predicate(eqn) > rank for eqn in group)
        return "slowest example" if decides or is_batched else ""
    if name == "cond" and not any(eqn.primitive.name == "cond" for eqn in group):
        return "all branches"
    return "any example" if name == "cond" and decides else ""


def _rank_of_predicate(eqn: jec.JaxprEqn) -> int:
    """Return how many axes the predicate of a loop has: those along which each decides for itself.

    The select that this is, is not in the loop's jaxpr. What is no loop has none.
    """
    if eqn.primitive.name != "while":
        return 0
    (predicate,) = opened(eqn.params["cond_jaxpr"]).outvars
    return len(predicate.aval.shape)  # type: ignore[attr-defined]


def _types(eqn: jec.JaxprEqn) -> list[Any]:
    return [atom.aval for atom in (*eqn.invars, *eqn.outvars)]
