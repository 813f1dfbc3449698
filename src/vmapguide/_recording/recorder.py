"""Explain every `jax.vmap` that is called while a `Recorder` is open, once per place and types.

Start with `Recorder`. In this process `jax.vmap` is replaced by a function that does what it does
and then explains it, as a profiler replaces what it measures. What is kept of an explanation is
plain data: no tracer and no array stays alive for it.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import jax

from vmapguide._data import Finding
from vmapguide._explain import explain
from vmapguide._explanation import Explanation
from vmapguide._jaxpr.abstract import abstract
from vmapguide._jaxpr.compat import is_staged
from vmapguide._jaxpr.walk import without_addresses
from vmapguide._recording.call_sites import CallSite, Place, call_site, calls_for_itself
from vmapguide._recording.unnoticed import unnoticed
from vmapguide._show.explanation import ExplanationView
from vmapguide._trace.user_names import transformed_name, unwrapped


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


class _Thread(threading.local):
    """What a thread is at: inside how many recorded calls, and whether it explains one."""

    depth = 0
    is_paused = False


@dataclass
class Recorder:
    """Replaces `jax.vmap` while it is open, and explains what it makes.

    Attributes:
        keeps_views: whether what is shown of explanations is kept.
        is_wanted: says of a place whether what is called there is to be explained.
        records: what was called, in the order of the first calls.
        touched: what has been called since somebody emptied it.
        compiled: how many programs of the user's have been compiled.
    """

    keeps_views: bool = False
    is_wanted: Callable[[Place], bool] = lambda _: True
    records: dict[Any, Record] = field(default_factory=dict)
    touched: set[Any] = field(default_factory=set)
    compiled: int = 0
    # The process that it is open in: a child that is forked off has its own records, and no report.
    _process: int | None = None
    _original: Any = None
    _recording: Any = None
    _thread: _Thread = field(default_factory=_Thread)

    def __enter__(self) -> Self:
        """Put a recording `jax.vmap` where `jax.vmap` stands, in all modules that are loaded."""
        self._original = jax.vmap
        self._recording = self._recording_vmap(jax.vmap)
        self._process = os.getpid()
        jax.monitoring.register_event_duration_secs_listener(self._count)
        _replace_everywhere(self._original, self._recording)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Put it back, also in modules that were loaded since. What it has made records no more."""
        self._process = None
        # The program may have removed all listeners, and then JAX knows this one no more.
        with contextlib.suppress(AssertionError, ValueError):
            jax.monitoring.unregister_event_duration_listener(self._count)
        _replace_everywhere(self._recording, self._original)

    def _is_idle(self) -> bool:
        return self._thread.is_paused or self._process != os.getpid()

    def _count(self, event: str, duration_secs: float, **kwargs: str | int) -> None:
        """Count what JAX tells that it has compiled."""
        del duration_secs, kwargs
        self.compiled += event == _COMPILED and not self._thread.is_paused

    def _recording_vmap(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that is called like `jax.vmap` and records what it makes."""

        @functools.wraps(original)
        def vmap(*args: Any, **kwargs: Any) -> Any:
            mapped = original(*args, **kwargs)
            if self._is_idle():
                return mapped
            options = dict(zip(("fun", *_OPTIONS), args, strict=False)) | kwargs
            fun = options.pop("fun")
            # What the program gets is never changed by what goes wrong here.
            with contextlib.suppress(Exception):
                found = call_site()
                if found is None or not self.is_wanted(found[0].place):
                    return mapped
                site, whose = found
                return self._recorded(_Made(site, fun, options, mapped, whose or fun))
            return mapped

        return vmap

    def _recorded(self, made: _Made) -> Callable[..., Any]:
        """Return what `jax.vmap` has made, so that its calls are recorded."""
        # `_trace.user_names` looks through this function by the name of this variable.
        recorded = made.mapped

        @functools.wraps(recorded)
        def mapped_call(*args: Any, **kwargs: Any) -> Any:
            if self._is_idle():
                return recorded(*args, **kwargs)
            self._thread.depth += 1
            try:
                result = recorded(*args, **kwargs)
            finally:
                self._thread.depth -= 1
            with self._paused(), contextlib.suppress(Exception):
                if not calls_for_itself():
                    self._note(made, args, kwargs)
            return result

        return mapped_call

    def _note(self, made: _Made, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Count a call, and explain it if it is the first of its kind."""
        mine = Record(made.site, made.name, is_inner=self._thread.depth > 0)
        try:
            args, kwargs = jax.tree.map(abstract, (args, kwargs))
            key = made.key, _types(args, kwargs)
        except Exception as error:  # noqa: BLE001 - trees of the user's run code of the user's.
            mine.reason = _reason(error)
            key = made.key, mine.reason
        self.touched.add(key)
        record = self.records.setdefault(key, mine)
        record.calls += 1
        if not is_staged():
            record.eager_calls += 1
        elif record.last_compiled != self.compiled:
            # One program may call it many times, as for each of its layers.
            record.last_compiled = self.compiled
            record.programs += 1
        record.functions += made.is_unseen()
        if record is not mine or record.reason:
            return
        if unknown := made.options.keys() - {*_OPTIONS}:
            record.reason = f"explain does not know {', '.join(sorted(unknown))}"
            return
        try:
            with unnoticed():
                explanation = explain(made.function, **made.options)(*args, **kwargs)
                _fill(record, explanation, keeps_view=self.keeps_views)
        except Exception as error:  # noqa: BLE001 - the program goes on, whatever it is.
            record.reason = _reason(error)

    @contextlib.contextmanager
    def _paused(self) -> Iterator[None]:
        """Let `jax.vmap` do what it does, and nothing else, in this thread."""
        self._thread.is_paused = True
        try:
            yield
        finally:
            self._thread.is_paused = False


class _Made:
    """What a call of `jax.vmap` has made: `whose` is the user's function in it."""

    def __init__(
        self,
        site: CallSite,
        function: Callable[..., Any],
        options: dict[str, Any],
        mapped: Callable[..., Any],
        whose: Callable[..., Any],
    ) -> None:
        self.site, self.function, self.options, self.mapped = site, function, options, mapped
        self.name = transformed_name(whose, jit=False)
        self.is_called = False
        written = tuple((name, _text(value)) for name, value in sorted(options.items()))
        code = getattr(unwrapped(whose), "__code__", None)
        # A line may have several functions: equal code is the same one.
        where = (code.co_filename, code) if code else type(whose)
        self.key = site, written, where, self.name

    def is_unseen(self) -> bool:
        """Say whether this is the first call of it."""
        is_called, self.is_called = self.is_called, True
        return not is_called


def _replace_everywhere(old: Any, new: Any) -> None:
    """Replace a function in all modules that are loaded, under whatever name they have it."""
    for module in [*sys.modules.values()]:
        names = getattr(module, "__dict__", {})
        for name in [name for name, value in [*names.items()] if value is old]:
            names[name] = new


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


def _reason(error: Exception) -> str:
    """Return an error's type and its first line."""
    try:
        first, *_ = str(error).strip().split("\n")
    except Exception:  # noqa: BLE001 - it may be an error of the user's.
        first = ""
    return f"{type(error).__name__}: {first}".removesuffix(": ")


def _types(args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
    """Return what calls have in common of which one explanation is enough."""
    leaves, tree = jax.tree.flatten((args, kwargs))
    return without_addresses(tree), tuple(map(_type, leaves))


def _type(leaf: Any) -> object:
    if hasattr(leaf, "shape") and hasattr(leaf, "dtype"):
        return tuple(leaf.shape), leaf.dtype
    # A number may be another one in each step of a program.
    if type(leaf) in (int, float, complex):
        return type(leaf)
    return type(leaf), _text(leaf)


def _text(value: object) -> str:
    """Return what a value prints, without addresses; its type if it does not print."""
    try:
        return without_addresses(value)
    except Exception:  # noqa: BLE001 - it may be a value of the user's.
        return type(value).__name__
