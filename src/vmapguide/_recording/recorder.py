"""Explain every `jax.vmap` that is called while a `Recorder` is open, once per place and types.

Start with `Recorder`. In this process `jax.vmap` is replaced by a function that does what it does
and then explains it, as a profiler replaces what it measures. What is kept of an explanation is
plain data: no tracer and no array stays alive for it.
"""

from __future__ import annotations

import contextlib
import functools
import io
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import jax
import numpy as np

from vmapguide._data import Finding
from vmapguide._explain import explain
from vmapguide._explanation import Explanation
from vmapguide._jaxpr.abstract import abstract
from vmapguide._jaxpr.walk import without_addresses
from vmapguide._recording.call_sites import CallSite, Place, call_site
from vmapguide._show.explanation import ExplanationView
from vmapguide._trace.user_names import function_name, unwrapped


# What `jax.vmap` takes besides the function that `explain` takes, too.
_OPTIONS = ("in_axes", "out_axes", "axis_name", "axis_size", "spmd_axis_name")

# What JAX calls the event that it has compiled a program.
_COMPILED = "/jax/core/compile/backend_compile_duration"


@dataclass
class Record:
    """A `jax.vmap` at a place, with arguments of certain types.

    Attributes:
        site: where it is called.
        name: what the function is called.
        calls: how often the result of `jax.vmap` was called.
        eager_calls: how often outside of `jax.jit`, so that every operation was sent off by itself.
        functions: how many functions were given to `jax.vmap` there.
        programs: for how many compiled programs it was traced.
        size: the size of the batch; None if it is not known.
        equations: how many equations one example has.
        operations: how many operations are sent off for a call outside of `jax.jit`; 0 if all of
            them are compiled together.
        work: FLOPs and functions such as `exp` of the batch, of each unknown loop one trip.
        is_inner: whether it was called while another `jax.vmap` of the program was.
        findings: what cost or surprised.
        view: what is shown of the explanation; None if nobody asked, or there is none.
        reason: why there is no explanation; "" if there is one.
        last_compiled: how many programs had been compiled when it was traced last.
    """

    site: CallSite
    name: str
    calls: int = 0
    eager_calls: int = 0
    functions: int = 0
    programs: int = 0
    size: int | None = None
    equations: int = 0
    operations: int = 0
    work: int = 0
    is_inner: bool = False
    findings: tuple[Finding, ...] = ()
    view: ExplanationView | None = None
    reason: str = ""
    last_compiled: int = -1


@dataclass
class Recorder:
    """Replaces `jax.vmap` while it is open, and explains what it makes.

    Attributes:
        keeps_views: whether what is shown of explanations is kept.
        is_wanted: says of a place whether what is called there is to be explained.
        records: what was called, in the order of the first calls.
        touched: what has been called since somebody emptied it.
        depth: how many calls of what `jax.vmap` made are going on.
        is_paused: whether calls are left alone, as while vmapguide itself makes them.
        compiled: how many programs of the user's have been compiled.
    """

    keeps_views: bool = False
    is_wanted: Callable[[Place], bool] = lambda _: True
    records: dict[Any, Record] = field(default_factory=dict)
    touched: set[Any] = field(default_factory=set)
    depth: int = 0
    is_paused: bool = False
    compiled: int = 0
    _replaced: list[tuple[dict[str, Any], str, Any]] = field(default_factory=list)

    def __enter__(self) -> Self:
        """Put a recording `jax.vmap` where `jax.vmap` stands, in all modules that are loaded."""
        original = jax.vmap
        recording = self._recording(original)
        jax.monitoring.register_event_duration_secs_listener(self._count)
        for module in [*sys.modules.values()]:
            names = getattr(module, "__dict__", {})
            for name in [name for name, value in [*names.items()] if value is original]:
                self._replaced.append((names, name, original))
                names[name] = recording
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Put back what stood there."""
        # The program may have removed all listeners, and then JAX knows this one no more.
        with contextlib.suppress(AssertionError, ValueError):
            jax.monitoring.unregister_event_duration_listener(self._count)
        while self._replaced:
            names, name, original = self._replaced.pop()
            names[name] = original

    def _count(self, event: str, duration_secs: float, **kwargs: str | int) -> None:
        """Count what JAX tells that it has compiled."""
        del duration_secs, kwargs
        self.compiled += event == _COMPILED and not self.is_paused

    def _recording(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that is called like `jax.vmap` and records what it makes."""

        @functools.wraps(original)
        def vmap(fun: Any, *args: Any, **kwargs: Any) -> Any:
            mapped = original(fun, *args, **kwargs)
            site = None if self.is_paused else call_site()
            if site is None or not self.is_wanted(site.place):
                return mapped
            options = dict(zip(_OPTIONS, args, strict=False)) | kwargs
            made = _Made(site, fun, options, mapped)

            @functools.wraps(mapped)
            def mapped_call(*args: Any, **kwargs: Any) -> Any:
                return self._call(made, args, kwargs)

            return mapped_call

        return vmap

    def _call(self, made: _Made, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call what `jax.vmap` has made, and explain the call if it is the first of its kind."""
        if self.is_paused:
            return made.mapped(*args, **kwargs)
        self.depth += 1
        try:
            result = made.mapped(*args, **kwargs)
        finally:
            self.depth -= 1
        # What the program is told is never changed by what goes wrong here.
        with self._paused():
            self._note(made, args, kwargs)
        return result

    def _note(self, made: _Made, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        args, kwargs = jax.tree.map(abstract, (args, kwargs))
        key = made.key, _types(args, kwargs)
        is_new = key not in self.records
        self.touched.add(key)
        record = self.records.setdefault(key, Record(made.site, function_name(made.function)))
        record.calls += 1
        if not _is_staged():
            record.eager_calls += 1
        elif record.last_compiled != self.compiled:
            # One program may call it many times, as for each of its layers.
            record.last_compiled = self.compiled
            record.programs += 1
        record.functions += made.is_unseen()
        if not is_new:
            return
        record.is_inner = self.depth > 0
        if unknown := made.options.keys() - {*_OPTIONS}:
            record.reason = f"explain does not know {', '.join(sorted(unknown))}"
            return
        try:
            with _unnoticed():
                explanation = explain(made.function, **made.options)(*args, **kwargs)
                _fill(record, explanation, keeps_view=self.keeps_views)
        except Exception as error:  # noqa: BLE001 - the program goes on, whatever it is.
            first, *_ = str(error).strip().split("\n")
            record.reason = f"{type(error).__name__}: {first}"

    @contextlib.contextmanager
    def _paused(self) -> Iterator[None]:
        """Let `jax.vmap` do what it does, and nothing else."""
        self.is_paused = True
        try:
            yield
        finally:
            self.is_paused = False


class _Made:
    """What a call of `jax.vmap` has made."""

    def __init__(
        self,
        site: CallSite,
        function: Callable[..., Any],
        options: dict[str, Any],
        mapped: Callable[..., Any],
    ) -> None:
        self.site, self.function, self.options, self.mapped = site, function, options, mapped
        self.is_called = False
        written = ", ".join(f"{name}={value}" for name, value in sorted(options.items()))
        code = getattr(unwrapped(function), "__code__", None)
        where = (code.co_filename, code.co_firstlineno, code.co_name) if code else type(function)
        self.key = site, without_addresses(written), where

    def is_unseen(self) -> bool:
        """Say whether this is the first call of it."""
        is_called, self.is_called = self.is_called, True
        return not is_called


def _fill(record: Record, explanation: Explanation, *, keeps_view: bool) -> None:
    """Put into a record what is kept of an explanation."""
    record.size = explanation.batch_size
    record.equations = len(explanation.steps)
    outer = [step for step in explanation.steps if step.depth == 0]
    is_compiled = len(outer) == 1 and outer[0].equation.primitive.name == "jit"
    record.operations = 0 if is_compiled else len(outer)
    record.work = explanation._work  # noqa: SLF001 - one result for another one's view.
    record.findings = explanation.findings
    if keeps_view:
        record.view = explanation._as_view(cost=True)  # noqa: SLF001


def _types(args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
    """Return what calls have in common of which one explanation is enough."""
    leaves, tree = jax.tree.flatten((args, kwargs))
    kinds = (
        (tuple(leaf.shape), str(leaf.dtype))
        if hasattr(leaf, "shape") and hasattr(leaf, "dtype")
        else (type(leaf), without_addresses(leaf))
        for leaf in leaves
    )
    return without_addresses(tree), tuple(kinds)


def _is_staged() -> bool:
    """Say whether operations are recorded, as under `jax.jit`, and not carried out."""
    return isinstance(jax.lax.full((), 0), jax.core.Tracer)


@contextlib.contextmanager
def _unnoticed() -> Iterator[None]:
    """Let nothing be printed or warned of, and no random number be drawn, that anybody notices."""
    state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002 - it is the user's.
    try:
        with (
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        random.setstate(state)
        np.random.set_state(numpy_state)  # noqa: NPY002
