"""Every `jax.vmap` that a library makes is also explained, and the explanation is judged.

In this process alone, `jax.vmap` is replaced before the libraries are imported, as a profiler would
do it: what it makes runs as ever, and is then explained, once for each place in the library's code
and types of the arguments. Where the call lies inside `jax.jit`, `jax.grad` or another `jax.vmap`,
the arguments are tracers, and the explanation is of their types. What is not explained is counted,
with the reason.
"""

import contextlib
import functools
import inspect
import itertools
import json
import os
import platform
import re
import sys
import time
import types
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.extend.core as jec
import pytest
from equations import BOUNDARY, everything, inner
from kind_rules import Dependence, allowed

import vmapguide
from vmapguide import Explanation, Variant
from vmapguide._jaxpr.trace_matching import equal, match


LIBRARIES = (
    "mujoco.mjx",
    "diffrax",
    "optimistix",
    "lineax",
    "equinox",
    "flax",
    "numpyro",
    "blackjax",
    "mctx",
    "optax",
)

# The real one, and what its arguments are called.
VMAP = jax.vmap
SIGNATURE = inspect.signature(VMAP)


class Recorder:
    """What was called and explained in one small run, and what is wrong with it."""

    def __init__(self) -> None:
        """Start at nothing."""
        self.counts: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.places: set[str] = set()
        self.faults: list[str] = []
        self.seconds = {"plain": 0.0, "explain": 0.0}
        self.is_open = False
        self.seen: set[Any] = set()

    def called(
        self, place: str, vmap: dict[str, Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """Explain a call that `jax.vmap` has taken, if it is the first of its kind."""
        self.counts["calls"] += 1
        self.places.add(place)
        args, kwargs = jax.tree.map(_abstract, (args, kwargs))
        key = _key(place, vmap, args, kwargs)
        if key in self.seen:
            self.counts["repeated"] += 1
            return
        self.seen.add(key)
        vmap = vmap | {"fun": _plain(vmap["fun"])}
        self.is_open = False  # What is called now is called by us.
        try:
            self._explain(place, vmap, args, kwargs)
        finally:
            self.is_open = True

    def _explain(
        self, place: str, vmap: dict[str, Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        rest = dict(vmap)
        f = rest.pop("fun")
        # A reason is no fault only if plain JAX has the same one.
        try:
            start = time.perf_counter()
            plain, traced = make_jaxpr(f, rest, args, kwargs)
            self.seconds["plain"] += time.perf_counter() - start
        except Exception as error:  # noqa: BLE001 - whatever it is that cannot be traced.
            reason = str(error).strip().splitlines() or [""]
            self.reasons[f"{type(error).__name__}: {reason[0][:100]}"] += 1
            self.counts["not traceable"] += 1
            return
        start = time.perf_counter()
        try:
            explanation = vmapguide.explain(f, **rest)(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - this is what is looked for.
            self.fault(place, f"explain raised {type(error).__name__}: {str(error)[:300]}")
            return
        self.seconds["explain"] += time.perf_counter() - start
        self.counts["explained"] += 1
        if not equal(explanation.batched, plain):
            # Some things are numbered anew by every trace, by plain JAX's, too.
            again, _ = make_jaxpr(f, rest, args, kwargs)
            numbered = frozenset(match(plain, again).spots)
            if match(plain, explanation.batched, tolerated=numbered).exact:
                plain = explanation.batched
        mapped = [axis is not None for axis in leaf_axes(rest["in_axes"], args, kwargs)]
        self.judge(place, explanation, plain, [*itertools.compress(mapped, traced)])

    def judge(
        self, place: str, found: Explanation, plain: jec.ClosedJaxpr, mapped: list[bool]
    ) -> None:
        """Say what is wrong with an explanation."""
        self.counts["equations"] += sum(1 for _ in everything(found.batched))
        self.counts["steps"] += len(found.steps)
        self.kinds.update(step.kind for step in found.steps)
        if not equal(found.batched, plain):
            self.fault(place, "the batched jaxpr is not plain vmap's")
        if not found.complete:
            unknown = Counter(eqn.primitive.name for eqn in found.unknown)
            self.fault(place, f"not complete: {dict(unknown)} unknown")
        claimed = Counter(id(eqn) for step in found.steps for eqn in step.batched)
        claimed.update(id(eqn) for eqn in (*found.boundary, *found.unknown))
        if claimed != Counter(id(eqn) for eqn in everything(found.batched)):
            self.fault(place, "a batched equation is in no step, or in two")
        if moved := {eqn.primitive.name for eqn in found.boundary} - BOUNDARY:
            self.fault(place, f"at the boundary: {moved}")
        dependence = Dependence()
        dependence.follow(found.per_example, mapped)
        replaced = {
            id(eqn)
            for step in found.steps
            if step.equation.primitive.name == "custom_vmap_call" and step.kind != "shared"
            for jaxpr in inner(step.equation)
            for eqn in everything(jaxpr)
        }
        for step in found.steps:
            for variant in step.variants:
                if variant.batched or id(step.equation) not in replaced:
                    self._judge_kind(place, step.equation, variant, dependence)

    def _judge_kind(
        self, place: str, eqn: jec.JaxprEqn, variant: Variant, dependence: Dependence
    ) -> None:
        name = eqn.primitive.name
        if variant.batch_axes is None:
            self.fault(place, f"no axis known of {name}, {variant.kind}")
        kinds = allowed(eqn, variant.batched, dependence)
        if variant.kind not in kinds:
            became = [batched.primitive.name for batched in variant.batched]
            self.fault(place, f"{name} became {became[:9]}: {variant.kind}, not {set(kinds)}")

    def fault(self, place: str, what: str) -> None:
        """Note what is wrong."""
        self.counts["faults"] += 1
        self.faults.append(f"{place}: {what}")

    def totals(self) -> dict[str, Any]:
        """Return the numbers."""
        counted = (
            "calls",
            "repeated",
            "not traceable",
            "explained",
            "steps",
            "equations",
            "faults",
        )
        return {
            "places": len(self.places),
            **{name: self.counts[name] for name in counted},
            "kinds": dict(sorted(self.kinds.items())),
            "reasons": dict(sorted(self.reasons.items())),
        }


def make_jaxpr(
    f: Callable[..., Any], vmap: dict[str, Any], args: Any, kwargs: Any
) -> tuple[jec.ClosedJaxpr, list[bool]]:
    """Return the jaxpr of plain `jax.vmap(f)`, and which leaves of the arguments were traced.

    All arrays and numbers are, or if that fails the arrays, or else the mapped ones.
    """
    leaves, tree = jax.tree.flatten((args, kwargs))
    axes = leaf_axes(vmap["in_axes"], args, kwargs)
    arrays = [hasattr(x, "shape") and hasattr(x, "dtype") for x in leaves]
    numbers = [isinstance(x, (bool, int, float, complex)) for x in leaves]
    mapped = [
        a and (axis is not None or isinstance(x, jax.ShapeDtypeStruct))
        for a, axis, x in zip(arrays, axes, leaves, strict=True)
    ]

    def made(traced: list[bool], context: Any) -> jec.ClosedJaxpr:
        def staged(*tracers: Any) -> Any:
            rest = iter(tracers)
            filled = [next(rest) if t else x for t, x in zip(traced, leaves, strict=True)]
            with context():
                args, kwargs = jax.tree.unflatten(tree, filled)
                return VMAP(f, **vmap)(*args, **kwargs)

        return jax.make_jaxpr(staged)(*itertools.compress(leaves, traced))

    for traced in ([a or n for a, n in zip(arrays, numbers, strict=True)], arrays):
        with contextlib.suppress(Exception):
            return made(traced, contextlib.nullcontext), traced
    return made(mapped, jax.ensure_compile_time_eval), mapped


def leaf_axes(in_axes: Any, args: Any, kwargs: Any) -> list[int | None]:
    """Return which axis of each leaf is mapped: of keyword arguments, the first."""
    prefix = (tuple(in_axes) if isinstance(in_axes, list) else in_axes, 0)
    spread = jax.tree.broadcast(prefix, (args, kwargs), is_leaf=_is_none)
    axes = jax.tree.leaves(spread, is_leaf=_is_none)
    leaves = jax.tree.leaves((args, kwargs), is_leaf=_is_none)
    return [axis for axis, leaf in zip(axes, leaves, strict=True) if leaf is not None]


def _is_none(x: Any) -> bool:
    return x is None


def _abstract(leaf: Any) -> Any:
    """Return the type of a value that is traced, and all others as they are."""
    if not isinstance(leaf, jax.core.Tracer):
        return leaf
    aval = jax.typeof(leaf)
    return jax.ShapeDtypeStruct(aval.shape, aval.dtype, weak_type=getattr(aval, "weak_type", False))


def _key(place: str, vmap: dict[str, Any], args: Any, kwargs: Any) -> Any:
    """Return what calls have in common of which one explanation is enough."""
    leaves, tree = jax.tree.flatten((args, kwargs))
    kinds = [
        (tuple(x.shape), str(x.dtype), getattr(x, "weak_type", False))
        if hasattr(x, "shape") and hasattr(x, "dtype")
        else (type(x), without_addresses(str(x)))
        for x in leaves
    ]
    axes = [str(value) for name, value in vmap.items() if name != "fun"]
    return (
        place,
        without_addresses(str(tree)),
        tuple(kinds),
        tuple(axes),
        _described(vmap["fun"], frozenset()),
    )


def _described(value: Any, within: frozenset[int]) -> Any:
    """Return what two functions have in common that are the same but for what arrays hold."""
    if id(value) in within:
        return None
    label: Any
    parts: list[Any] = []
    f = inspect.unwrap(value) if callable(value) else value
    leaves, tree = jax.tree.flatten(value)
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        label = tuple(value.shape), str(value.dtype)
    elif isinstance(value, functools.partial):
        label, parts = "partial", [value.func, *value.args, *value.keywords.values()]
    elif isinstance(value, types.MethodType):
        label, parts = value.__func__.__code__, [value.__self__]
    elif inspect.isfunction(f):
        label, parts = f.__code__, [f.__defaults__, f.__kwdefaults__]
        for cell in f.__closure__ or ():
            with contextlib.suppress(ValueError):  # It may be empty yet.
                parts.append(cell.cell_contents)
    elif len(leaves) == 1 and leaves[0] is value:
        label = type(value), without_addresses(str(value))
    else:
        label, parts = without_addresses(str(tree)), leaves
    return label, tuple(_described(part, within | {id(value)}) for part in parts)


def without_addresses(text: str) -> str:
    """Return a text without what is another one in every process and for every object."""
    return re.sub(r"0x[0-9a-f]+", "", text)


def _plain(f: Any) -> Any:
    """Return a function without our own wrapper around it."""
    return getattr(f, "plain_vmap", f)


def _place(frame: Any) -> str:
    """Return the file, from its package on, and the line of a frame."""
    path = Path(frame.f_code.co_filename)
    after = (
        path.parts[path.parts.index("site-packages") + 1 :] if "site-packages" in path.parts else ()
    )
    return f"{'/'.join(after) or path.name}:{frame.f_lineno}"


CURRENT: list[Recorder] = []


@functools.wraps(VMAP)
def recording_vmap(*given: Any, **options: Any) -> Any:
    """Do what `jax.vmap` does, and let the recorder know of the calls of what it makes."""
    made = VMAP(*given, **options)
    bound = SIGNATURE.bind(*given, **options)
    bound.apply_defaults()
    vmap = dict(bound.arguments)
    vmap.pop("sum_match", None)
    place = _place(sys._getframe(1))  # noqa: SLF001
    # What is explained holds no wrapper of ours, at any depth.
    plain = VMAP(_plain(vmap["fun"]), **{k: v for k, v in vmap.items() if k != "fun"})

    @functools.wraps(made)
    def call(*args: Any, **kwargs: Any) -> Any:
        result = made(*args, **kwargs)
        if CURRENT and CURRENT[-1].is_open:
            CURRENT[-1].called(place, vmap, args, kwargs)
        return result

    call.plain_vmap = plain  # type: ignore[attr-defined]
    return call


assert not set(sys.modules) & set(LIBRARIES), "a library was imported before jax.vmap was replaced"
jax.vmap = recording_vmap

TOTALS: dict[str, Any] = {}


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    """Record the calls of `jax.vmap` that a test makes."""
    found = Recorder()
    found.is_open = True
    CURRENT.append(found)
    try:
        yield found
    finally:
        CURRENT.remove(found)


@pytest.fixture
def totals() -> dict[str, Any]:
    """Return where the totals of a library go."""
    return TOTALS


@pytest.fixture(scope="session", autouse=True)
def _report() -> Iterator[None]:
    """Write the totals of all libraries when all is done."""
    yield
    python = platform.python_version()
    report = {"python": python, "jax": jax.__version__, "libraries": TOTALS}
    if TOTALS and (out := os.environ.get("VMAPGUIDE_LIBRARIES_OUT")):
        Path(out).write_text(f"{json.dumps(report, indent=1)}\n", encoding="utf-8")
