"""Count the calls of `jax.vmap` that a program makes, as the interpreter sees them: a program.

`python count_calls.py out.json program.py` runs the program with a profile function, which Python
calls for each function that begins. It knows nothing of vmapguide, and `jax.vmap` is JAX's own.
"""

import inspect
import json
import runpy
import sys
import threading
from collections import Counter
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import jax


JAX = f"{Path(jax.__file__).parent}/"
BATCHING = f"{JAX}_src/interpreters/batching.py"
VMAP = inspect.unwrap(jax.vmap).__code__
# What `jax.vmap` returns. It has the function that is mapped in its closure.
(MAPPED,) = [
    constant
    for constant in VMAP.co_consts
    if isinstance(constant, CodeType) and constant.co_name == "vmap_f"
]
# The functions of JAX that call `jax.vmap` for who calls them.
MAKERS = ("apply_along_axis", "fromfunction", "jacfwd", "jacrev", "map", "vectorize")


def place(frame: FrameType | None, program: str) -> str:
    """Return which line of the program led here, and which line calls `jax.vmap`.

    Returns:
        Both; "" if JAX calls it for itself, or a library in the batching rule of a primitive, which
        JAX calls for another `jax.vmap`.
    """
    entries = []
    while frame is not None and (code := frame.f_code).co_filename != __file__:
        entries.append((code.co_filename, frame.f_lineno, code.co_qualname))
        frame = frame.f_back
    entries = [entry for entry in entries if "traceback_util" not in entry[0]]
    if entries[0][0].startswith(JAX) and entries[0][2].split(".")[0] not in MAKERS:
        return ""
    until = next((k for k, (file, *_) in enumerate(entries) if file == program), None)
    if until is None:
        return ""
    rules = [name for file, _, name in entries[:until] if file == BATCHING]
    if any(name.endswith("process_primitive") for name in rules):
        return ""
    caller = next(e for e in entries if not e[0].startswith(JAX))
    return f"{entries[until][1]} {caller[0]}:{caller[1]}"


def main() -> None:
    """Run the program and write how often each place called what `jax.vmap` made there."""
    out, program, *arguments = sys.argv[1:]
    program = str(Path(program).resolve())
    places: dict[int, tuple[Any, str]] = {}
    calls: Counter[str] = Counter()

    def profile(frame: FrameType, event: str, _: object) -> None:
        if event != "call":
            return
        if frame.f_code is VMAP:
            function = frame.f_locals["fun"]
            # The function is kept, so that no other one gets its address.
            places[id(function)] = function, place(frame.f_back, program)
        elif frame.f_code is MAPPED and (where := places[id(frame.f_locals["fun"])][1]):
            calls[where] += 1

    sys.argv[:] = [program, *arguments]
    threading.setprofile(profile)
    sys.setprofile(profile)
    try:
        runpy.run_path(program, run_name="__main__")
    finally:
        sys.setprofile(None)
        Path(out).write_text(json.dumps(calls))


if __name__ == "__main__":
    main()
