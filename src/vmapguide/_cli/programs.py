"""Run a script or a module as Python itself would, in this process. Start with `run`."""

from __future__ import annotations

import builtins
import contextlib
import io
import os
import pkgutil
import runpy
import sys
import threading
from collections.abc import Callable, Sequence
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType, TracebackType

from vmapguide._jaxpr.source_files import HERE


# Where the frames are that a program has only because it is run from here.
_OUR_FRAMES = (f"{HERE}_cli{os.sep}", f"{HERE}_recording{os.sep}")

# What was the main module before. Its functions are still running.
_replaced: list[ModuleType] = []


def run(target: str, arguments: Sequence[str], *, is_module: bool = False) -> int:
    """Run a program as the main one of this process.

    What the program leaves behind stays, and with it `sys.argv`, `sys.path` and the module
    `__main__`: functions that it has registered with `atexit` are still to run.

    Args:
        target: the path of a script, of a folder or of a zip file with a `__main__.py`, or the name
            of a module.
        arguments: what the program finds in `sys.argv` behind its own name.
        is_module: whether `target` is a module, as behind `python -m`.

    Returns:
        The exit status that Python would end with; after Ctrl-C 130, as a shell says it.
    """
    sys.argv[:] = ["-m" if is_module else target, *arguments]
    module = ModuleType("__main__")
    module.__dict__.update(__builtins__=builtins, __annotations__={})
    _replaced.append(sys.modules["__main__"])
    sys.modules["__main__"] = module
    status = _caught(lambda: _module(target) if is_module else _script(target, module))
    # Python waits for threads, too, before it ends, and says so to pools of threads, which wait for
    # it. There is no public function that does this.
    if any(not t.daemon for t in threading.enumerate() if t is not threading.current_thread()):
        status = _caught(threading._shutdown) or status  # type: ignore[attr-defined]  # noqa: SLF001
    return status


def _module(name: str, *, is_in_folder: bool = False) -> None:
    """Run a module by what Python itself runs one by: its messages are the same."""
    if not is_in_folder:
        _import_from(str(Path.cwd()))
    runpy._run_module_as_main(name, not is_in_folder)  # type: ignore[attr-defined]  # noqa: SLF001


def _script(path: str, module: ModuleType) -> None:
    """Run a script, or what is in a folder or a zip file."""
    full = str(Path(path).absolute())
    if pkgutil.get_importer(path) is not None:
        _import_from(full, always=True)
        _module("__main__", is_in_folder=True)
        return
    _import_from(str(Path(path).resolve().parent))
    module.__file__, module.__loader__ = full, SourceFileLoader("__main__", full)
    module.__dict__["__cached__"] = None
    try:
        with io.open_code(full) as file:
            code = pkgutil.read_code(file) if path.endswith(".pyc") else None
            text = b"" if code else file.read()
    except OSError as error:
        what = f"[Errno {error.errno}] {error.strerror}"
        _tell(f"{sys.executable}: can't open file {full!r}: {what}")
        raise SystemExit(2) from None
    code = code or compile(text, full, "exec", dont_inherit=True)
    exec(code, module.__dict__)  # noqa: S102 - this is what was asked for.


def _import_from(folder: str, *, always: bool = False) -> None:
    """Let the program import from its folder, as Python does unless it is told not to."""
    if not sys.flags.safe_path:
        sys.path[0] = folder
    elif always:
        sys.path.insert(0, folder)


def _caught(function: Callable[[], object]) -> int:
    """Call a function, and return the exit status with which Python would end after it."""
    try:
        function()
    except SystemExit as error:
        if error.code is None or isinstance(error.code, int):
            return error.code or 0
        _tell(str(error.code))
        return 1
    except BaseException as error:  # noqa: BLE001 - Python tells of every one.
        caught = error
    else:
        return 0
    _print_error(caught)
    # As a shell says it of a program that a signal has ended.
    return 130 if isinstance(caught, KeyboardInterrupt) else 1


def _tell(text: str) -> None:
    """Print to the error stream, if the program has left one."""
    with contextlib.suppress(AttributeError, OSError, ValueError):
        print(text, file=sys.stderr, flush=True)


def _print_error(error: BaseException) -> None:
    """Tell of an error as Python does, without the frames that lie outside of the program."""
    _hide_our_frames(error)
    try:
        sys.excepthook(type(error), error, error.__traceback__)
    except BaseException as raised:  # noqa: BLE001 - a hook is the program's.
        another = raised
    else:
        return
    _hide_our_frames(another)
    _tell("Error in sys.excepthook:")
    sys.__excepthook__(type(another), another, another.__traceback__)
    _tell("\nOriginal exception was:")
    sys.__excepthook__(type(error), error, error.__traceback__)


def _hide_our_frames(error: BaseException) -> None:
    """Take our frames out of an error's traceback, and out of those of the errors behind it."""
    seen: set[int] = set()
    errors: list[BaseException | None] = [error]
    while errors:
        found = errors.pop()
        if found is None or id(found) in seen:
            continue
        seen.add(id(found))
        found.__traceback__ = _without_our_frames(found.__traceback__)
        errors += [found.__cause__, found.__context__, *getattr(found, "exceptions", ())]


def _without_our_frames(trace: TracebackType | None) -> TracebackType | None:
    frames: list[TracebackType] = []
    while trace is not None:
        if not trace.tb_frame.f_code.co_filename.startswith(_OUR_FRAMES):
            frames.append(trace)
        trace = trace.tb_next
    kept: TracebackType | None = None
    for frame in reversed(frames):
        frame.tb_next = kept
        kept = frame
    return kept
