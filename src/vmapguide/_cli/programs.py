"""Run a script or a module as Python itself would, in this process. Start with `run`."""

from __future__ import annotations

import importlib.util
import io
import sys
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, ModuleType, TracebackType
from typing import Any

from vmapguide._jaxpr.source_files import whose


def run(target: str, arguments: Sequence[str], *, is_module: bool = False) -> int:
    """Run a program as the main one of this process.

    Args:
        target: the path of a script, or the name of a module.
        arguments: what the program finds in `sys.argv` behind its own name.
        is_module: whether `target` is a module, as behind `python -m`.

    Returns:
        The exit status that Python would end with.
    """
    module = ModuleType("__main__")
    argv, path, main = sys.argv[:], sys.path[:], sys.modules["__main__"]
    try:
        try:
            code = _module(target, module) if is_module else _script(target, module)
        except SyntaxError:
            _print_error(*sys.exc_info())
            return 1
        except OSError as error:
            where = str(Path(target).absolute())
            what = f"[Errno {error.errno}] {error.strerror}"
            print(f"{sys.executable}: can't open file {where!r}: {what}", file=sys.stderr)
            return 2
        except ImportError as error:
            print(f"{sys.executable}: {error}", file=sys.stderr)
            return 1
        sys.argv[:] = [str(module.__file__) if is_module else target, *arguments]
        sys.modules["__main__"] = module
        try:
            exec(code, module.__dict__)  # noqa: S102 - this is what was asked for.
        except SystemExit as error:
            return _status(error)
        except BaseException:  # noqa: BLE001 - Python tells of every one, KeyboardInterrupt, too.
            return _print_error(*sys.exc_info())
        return 0
    finally:
        # Python waits for them, too, before it ends.
        for thread in threading.enumerate():
            if thread is not threading.current_thread() and not thread.daemon:
                thread.join()
        sys.argv[:], sys.path[:], sys.modules["__main__"] = argv, path, main


def _script(path: str, module: ModuleType) -> CodeType:
    """Return the code of a script, and prepare its module and where it imports from."""
    file = Path(path)
    if file.is_dir():
        # Python runs the file of that name in it.
        _import_from(file)
        file /= "__main__.py"
    else:
        _import_from(file.resolve().parent)
    with io.open_code(str(file)) as source:
        text = source.read()
    module.__file__ = str(file.absolute())
    module.__dict__.update(__builtins__=__builtins__, __cached__=None, __spec__=None)
    return compile(text, module.__file__, "exec")


def _module(name: str, module: ModuleType) -> CodeType:
    """Return the code of a module, and prepare it and where it imports from."""
    _import_from(Path.cwd())
    spec = importlib.util.find_spec(name)
    if spec is not None and spec.submodule_search_locations is not None:
        spec = importlib.util.find_spec(f"{name}.__main__")
    if spec is None:
        raise ImportError(f"No module named {name}")
    loader: Any = spec.loader
    code: CodeType | None = loader.get_code(spec.name) if loader else None
    if code is None:
        raise ImportError(f"No code object available for {name}")
    module.__file__, module.__spec__ = spec.origin, spec
    module.__package__, module.__loader__ = spec.parent, spec.loader
    module.__dict__.update(__builtins__=__builtins__, __cached__=spec.cached)
    return code


def _import_from(folder: Path) -> None:
    """Let the program import from its folder, as Python does unless it is told not to."""
    if not sys.flags.safe_path:
        sys.path[0] = str(folder)


def _status(error: SystemExit) -> int:
    """Return the exit status that a call of `sys.exit` asks for."""
    if error.code is None or isinstance(error.code, int):
        return error.code or 0
    print(error.code, file=sys.stderr)
    return 1


def _print_error(
    kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
) -> int:
    """Tell of an error as Python does, without the frames that lie outside of the program."""
    while trace is not None and whose(trace.tb_frame.f_code.co_filename) == "ours":
        trace = trace.tb_next
    if error is not None:
        error = error.with_traceback(trace)
    if sys.excepthook is sys.__excepthook__:
        traceback.print_exception(kind, error, trace)
    elif kind is not None and error is not None:
        sys.excepthook(kind, error, trace)
    # As a shell says it of a program that a signal has ended.
    return 130 if isinstance(error, KeyboardInterrupt) else 1
