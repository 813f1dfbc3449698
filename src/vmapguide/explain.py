"""`explain`: what `jax.vmap` made of a function, line by line of the user's own code.

Here is the call, its errors, and the value it returns. Which equation came from which is found by
`_sourcemap`, where the batch axes are by `_axes`, the user's lines by `_source`; `_view` shows it.
"""

from __future__ import annotations

import dataclasses
import functools
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jax.extend.core as jec

from vmapguide import _axes, _errors, _jaxpr, _names, _read, _source, _sourcemap, _view
from vmapguide._jaxpr import Place
from vmapguide._program import Source
from vmapguide._vmap_notes import noting


# Operations that only move or add axes. One of these beside the operation itself is there so that
# operands line up.
LAYOUT = frozenset({"broadcast_in_dim", "copy", "reshape", "squeeze", "transpose"})

# Operations that call Python: `vmap` runs those that print once for each example, unrolled, and
# the others too if they ask for it.
_PRINTS = frozenset({"debug_callback", "debug_print"})
_CALLBACKS = frozenset({"io_callback", "pure_callback"})

_LOOPS = frozenset({"scan", "while"})


@dataclass(frozen=True)
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
            predicate is mapped runs every branch for every example. `slowest example`: a loop whose
            predicate is mapped runs until the last example is done. `one by one`: a loop over the
            examples, or one operation for each of them. `unknown` if the explanation is not
            complete.
        batch_axes: for each output the position of the batch axis in the batched value, None
            for an unmapped one; None in the place of the whole if it is not known.
        source: the user's code that made the equation, or that called the library code which
            made it; None if it is not known.
        own: whether `source` made the equation itself, not library code called from there.
        depth: in how many equations this one is nested.

    Example:
        >>> import jax, jax.numpy as jnp, vmapguide
        >>> batch = jax.ShapeDtypeStruct((32, 4), jnp.float32)
        >>> step, *_ = vmapguide.explain(lambda x: jnp.sin(x) @ x)(batch).steps
        >>> step.equation.primitive.name, [eqn.primitive.name for eqn in step.batched]
        ('sin', ['sin'])
        >>> step.kind, step.batch_axes, step.own, step.depth
        ('same', (0,), True, 0)
    """

    equation: jec.JaxprEqn
    batched: tuple[jec.JaxprEqn, ...]
    kind: str
    batch_axes: tuple[int | None, ...] | None
    source: Source | None
    own: bool
    depth: int


@dataclass(frozen=True, repr=False)
class Explanation:
    """What `jax.vmap` made of a function: `str()` in a terminal, a table in a notebook.

    Attributes:
        name: what the function is called.
        per_example: the jaxpr of the function on one example.
        batched: the jaxpr of what `jax.vmap` returns, as `jax.make_jaxpr` makes it of the
            arguments that are traced: see `explain`.
        steps: the per-example equations with what became of them, in the order of the program;
            the equations nested in an equation follow it.
        boundary: the batched equations that `vmap` added for `in_axes` and `out_axes`.
        sizes: the sizes of the batch axes by their names, the outermost first: `{"B": 3}`.
        complete: whether every batched equation was mapped to its source. If it is False, the
            jaxprs are right all the same, and `steps` has no batched equations.

    Example:
        >>> import jax, jax.numpy as jnp, vmapguide
        >>> batch = jax.ShapeDtypeStruct((32, 4), jnp.float32)
        >>> explanation = vmapguide.explain(lambda x: jnp.sin(x) @ x, out_axes=0)(batch)
        >>> explanation.name, explanation.sizes, explanation.complete, explanation.boundary
        ('<lambda>', {'B': 32}, True, ())
        >>> len(explanation.per_example.eqns), len(explanation.batched.eqns)
        (2, 2)
    """

    name: str
    per_example: jec.ClosedJaxpr
    batched: jec.ClosedJaxpr
    steps: tuple[Step, ...]
    boundary: tuple[jec.JaxprEqn, ...]
    sizes: Mapping[str, int]
    complete: bool
    _call: str
    _captured: Mapping[int, str]
    _arguments: tuple[str, ...]
    _shapes: Mapping[jec.Var, tuple[int | str, ...]]

    @property
    def batch_size(self) -> int | None:
        """The size of the batch axis; None if it could not be found."""
        return self.sizes.get("B")

    # Texts are made when something is shown: who wants the steps alone does not wait for them.

    @functools.cached_property
    def _one(self) -> _read.Reading:
        return _read.read(self.per_example, self._captured, self._arguments, self._shapes)

    @functools.cached_property
    def _all(self) -> _read.Reading:
        return _read.read(self.batched, self._captured, self._arguments, self._shapes)

    def to_dict(self) -> dict[str, object]:
        """Return the explanation as plain data, ready for `json.dumps`.

        Returns:
            A dictionary with the keys `schema` (`"vmapguide.explanation/1"`), `name`, `sizes`,
            `complete`, `per_example` and `batched` (programs, as `Listing.to_dict` has them),
            `steps` and `boundary`. A step has `equation`, `batched`, `kind`, `batch_axes`,
            `source` (the fields of `Source` and its `expression`), `own` and `depth`. Batch
            axes have their names in the shapes of types.

        Example:
            >>> import jax, jax.numpy as jnp, vmapguide
            >>> batch = jax.ShapeDtypeStruct((32, 4), jnp.float32)
            >>> data = vmapguide.explain(jnp.sin)(batch).to_dict()
            >>> data["schema"], data["steps"][0]["batched"][0]["outputs"][0]["type"]["shape"]
            ('vmapguide.explanation/1', ('B', 4))
        """

        def one(eqn: jec.JaxprEqn) -> object:
            return dataclasses.asdict(self._one.equations[id(eqn)])

        def whole(eqn: jec.JaxprEqn) -> object:
            return dataclasses.asdict(self._all.equations[id(eqn)])

        return {
            "schema": "vmapguide.explanation/1",
            "name": self.name,
            "sizes": dict(self.sizes),
            "complete": self.complete,
            "per_example": self._one.program.to_dict(),
            "batched": self._all.program.to_dict(),
            "steps": [
                {
                    "equation": one(step.equation),
                    "batched": [whole(eqn) for eqn in step.batched],
                    "kind": step.kind,
                    "batch_axes": step.batch_axes and list(step.batch_axes),
                    "source": step.source and step.source.to_dict(),
                    "own": step.own,
                    "depth": step.depth,
                }
                for step in self.steps
            ],
            "boundary": [whole(eqn) for eqn in self.boundary],
        }

    def __str__(self) -> str:
        """Return the explanation as text, at most as wide as the terminal where it can be."""
        return _view.text(self._as_view(), shutil.get_terminal_size((100, 24)).columns)

    def __repr__(self) -> str:
        """Return the same as `str`: an explanation is made to be looked at."""
        return str(self)

    def _repr_html_(self) -> str:
        return _view.html(self._as_view())

    def _as_view(self) -> _view.View:
        return _view.View(
            name=self.name,
            call=self._call,
            sizes=self.sizes,
            one=self._one.program,
            whole=self._all.program,
            rows=tuple(self._rows()),
            complete=self.complete,
        )

    def _rows(self) -> Iterator[_view.Row]:
        for step in self.steps:
            yield _view.Row(
                source=step.source,
                own=step.own,
                equation=self._one.equations[id(step.equation)],
                batched=tuple(
                    (self._all.equations[id(eqn)], is_layout(step.equation, eqn))
                    for eqn in step.batched
                ),
                kind=step.kind if self.complete else "",
                depth=step.depth,
            )
        if self.boundary:
            made = tuple((self._all.equations[id(eqn)], True) for eqn in self.boundary)
            yield _view.Row(None, True, None, made, "out_axes", 0)


def is_layout(source: jec.JaxprEqn, batched: jec.JaxprEqn) -> bool:
    """Say whether a batched equation lines axes up for the equation it came from."""
    return batched.primitive.name in LAYOUT and batched.primitive is not source.primitive


def explain(
    f: Callable[..., Any],
    in_axes: Any = 0,
    out_axes: Any = 0,
    *,
    axis_name: Any = None,
    axis_size: int | None = None,
    spmd_axis_name: Any = None,
) -> Callable[..., Explanation]:
    """Make a function that explains `jax.vmap(f)`: put it where `jax.vmap` stood.

    `f` is traced, a few times, and not run: Python code in it, such as `print`, runs each time.
    The cost is a few times that of `jax.make_jaxpr(jax.vmap(f))`, linear in the equations.

    Arguments that are not mapped are traced, too, as `jax.jit` would trace them. If `f` raises
    then, it gets Python numbers as they are, and if it still does, all unmapped arrays.

    Args:
        f: the function of one example.
        in_axes: as for `jax.vmap`: which axis of each argument to map over.
        out_axes: as for `jax.vmap`: where the batch axis is to be in the results.
        axis_name: as for `jax.vmap`: a name by which collectives in `f` refer to the batch axis.
        axis_size: as for `jax.vmap`: the size of the batch, if no argument has it.
        spmd_axis_name: as for `jax.vmap`: the mesh axes that the batch axis is sharded over.

    Returns:
        A function of the arguments that `jax.vmap(f)` would be called with, which returns an
        `Explanation`. Arrays may be `jax.ShapeDtypeStruct` of any size, unless `f` needs the
        numbers of one that is not mapped: JAX computes nothing, unless `f` asks it to with
        `jax.ensure_compile_time_eval`.

    Raises:
        TypeError: if `f` is not a function.
        Exception: whatever `jax.vmap(f)` raises while it is traced, JAX's message unchanged, with a
            note on the cause where it is a known one.

    Example:
        >>> import jax, jax.numpy as jnp, vmapguide
        >>> batch = jax.ShapeDtypeStruct((32, 4), jnp.float32)
        >>> explanation = vmapguide.explain(lambda x: x - x.mean())(batch)
        >>> [(step.equation.primitive.name, step.kind) for step in explanation.steps]
        [('reduce_sum', 'same'), ('div', 'same'), ('sub', 'same')]
        >>> [eqn.primitive.name for eqn in explanation.steps[-1].batched]
        ['broadcast_in_dim', 'sub']
        >>> explanation.steps[-1].source.expression
        'x - x.mean()'

    The method, tags in name stacks that vmap carries along, is described in the guide, on the page
    "What vmap did to your function".
    """
    _errors.check_function("explain", f)
    vmap = _sourcemap.Vmap(in_axes, out_axes, axis_name, axis_size, spmd_axis_name)

    @functools.wraps(f)
    def explain_call(*args: Any, **kwargs: Any) -> Explanation:
        _source.forget()
        call = _sourcemap.Call(f, vmap, args, kwargs)
        with noting("explain", call):
            found = _sourcemap.source_map(call)
        return _explanation(call, found)

    return explain_call


def _explanation(call: _sourcemap.Call, found: _sourcemap.SourceMap) -> Explanation:
    axes = _axes.find_axes(call, found)
    groups: dict[Place | None, list[jec.JaxprEqn]] = {}
    for jaxpr in _jaxpr.walk(found.batched):
        for eqn in jaxpr.eqns:
            if found.origins is not None:
                groups.setdefault(found.origins[id(eqn)], []).append(eqn)
    return Explanation(
        name=_names.function_name(call.f),
        per_example=found.per_example,
        batched=found.batched,
        steps=tuple(_steps(found, axes, groups)),
        boundary=tuple(groups.get(None, ())),
        sizes=axes.sizes,
        complete=found.origins is not None,
        _call=call.text(),
        _captured=_names.captured_names(call.f),
        _arguments=tuple(call.traced_names),
        _shapes=axes.shapes,
    )


def _steps(
    found: _sourcemap.SourceMap,
    axes: _axes.Axes,
    groups: Mapping[Place | None, list[jec.JaxprEqn]],
) -> Iterator[Step]:
    """Yield the steps in the order of the program, nested ones behind the one that holds them."""
    numbers = {id(jaxpr): n for n, jaxpr in enumerate(_jaxpr.walk(found.per_example))}
    seen: set[int] = set()

    def visit(
        jaxpr: jec.Jaxpr, outer: Source | None, depth: int, *, repeated: bool
    ) -> Iterator[Step]:
        number = numbers[id(jaxpr)]
        if number in seen:
            return
        seen.add(number)
        for i, eqn in enumerate(jaxpr.eqns):
            group = tuple(groups.get((number, i), ()))
            own = _source.of_equation(eqn)
            positions = [axes.positions.get((number, i, k), ...) for k in range(len(eqn.outvars))]
            known = all(
                position is not ... or isinstance(var, jec.DropVar)
                for position, var in zip(positions, eqn.outvars, strict=True)
            )
            kind = _kind(eqn, group) if found.origins is not None else "unknown"
            if kind == "shared" and repeated:
                kind = "same"
            yield Step(
                equation=eqn,
                batched=group,
                kind=kind,
                batch_axes=tuple(None if p is ... else p for p in positions) if known else None,
                source=own or outer,
                own=own is not None or outer is None,
                depth=depth,
            )
            # A kernel's equations stay as they were, but the kernel runs once more an example.
            again = repeated or (eqn.primitive.name == "pallas_call" and kind != "shared")
            for inner in _jaxpr.nested(eqn):
                yield from visit(inner, own or outer, depth + 1, repeated=again)

    yield from visit(_jaxpr.opened(found.per_example), None, 0, repeated=False)


def _kind(eqn: jec.JaxprEqn, group: tuple[jec.JaxprEqn, ...]) -> str:
    """Say what became of an equation, in one of the words that `Step.kind` lists."""
    name = eqn.primitive.name
    names = [batched.primitive.name for batched in group]
    if name == "cond" and names and "cond" not in names:
        return "all branches"
    if name == "while" and any(map(_has_batched_predicate, group)):
        return "slowest example"
    if names == [name] and _types(group[0]) == _types(eqn):
        return "shared"
    unrolled = name in _PRINTS or (name in _CALLBACKS and names.count(name) > 1)
    if unrolled or (name not in _LOOPS and _LOOPS & set(names)):
        return "one by one"
    work = [n for n, batched in zip(names, group, strict=True) if not is_layout(eqn, batched)]
    if work == [name]:
        return "same"
    return "rewritten" if work or not names else "layout"


def _has_batched_predicate(eqn: jec.JaxprEqn) -> bool:
    """Say whether a loop decides for each example. The select that this is, is not in its jaxpr."""
    if eqn.primitive.name != "while":
        return False
    (predicate,) = _jaxpr.opened(eqn.params["cond_jaxpr"]).outvars
    return bool(predicate.aval.shape)  # type: ignore[attr-defined]


def _types(eqn: jec.JaxprEqn) -> list[Any]:
    return [atom.aval for atom in (*eqn.invars, *eqn.outvars)]
