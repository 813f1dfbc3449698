"""What XLA makes of a function: its compiled program as text, and what it says of its cost.

Start with `compiled` for a program that is to be compared with another one, and with `cost_of` and
`gaps` for its cost. XLA prints a program with the names and places of the code that it came from.
Without these, and with the names of its instructions counted through, two prints are equal if the
programs are.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.extend.core as jec

from vmapguide._data import Gap, Loop, XlaCost
from vmapguide._jaxpr.compat import AnyJaxpr, consts_of
from vmapguide._jaxpr.parameter_keys import digest


# Large constants are printed like this, whatever is in them, and calls of Python functions like
# that, whichever they are. A TPU sends and receives what such a function takes and returns.
_LEFT_OUT = re.compile(r'constant\(\{\.\.\.\}\)|custom_call_target="[^"]*callback| (?:send|recv)\(')


# Counts that differ by less than this part are called the same.
_CLOSE = 0.02


@dataclass(frozen=True)
class Compiled:
    """A compiled program: its normalised text, and what runs it.

    `incomplete` says that the text leaves out the values of large constants, or what callbacks do.
    """

    text: str
    run: Callable[..., Any]
    incomplete: bool


def compiled(f: Callable[..., Any], args: Any, kwargs: Any) -> Compiled:
    """Compile a function for its arguments, each an array or a `jax.ShapeDtypeStruct`."""
    # Arguments that are not used are kept: else `x` and `y` of `f(x, y)` are both the only one.
    return _compiled(jax.jit(f, keep_unused=True).lower(*args, **kwargs))


def with_constants_as_arguments(
    jaxpr: AnyJaxpr, leaves: Sequence[Any], constants: Mapping[Hashable, Any]
) -> Compiled:
    """Compile a jaxpr with its constants for arguments, where it shows which of them are used.

    Args:
        jaxpr: the jaxpr, closed.
        leaves: its arguments.
        constants: the constants of all the jaxprs that it is compared with, by their digests.
    """
    own = [digest(value) for value in consts_of(jaxpr)]

    def opened(constants: Mapping[Hashable, Any], *leaves: Any) -> Any:
        consts = [constants[key] for key in own]
        return jec.jaxpr_as_fun(jaxpr.replace(consts=consts))(*leaves)  # type: ignore[no-untyped-call]

    return _compiled(jax.jit(opened, keep_unused=True).lower(constants, *leaves))


def compile_jaxpr(jaxpr: jec.ClosedJaxpr, shardings: Sequence[Any]) -> jax.stages.Compiled:
    """Compile a jaxpr for arguments of its types, which lie where `shardings` say."""
    avals: list[Any] = [variable.aval for variable in jaxpr.jaxpr.invars]
    types = [
        jax.ShapeDtypeStruct(aval.shape, aval.dtype, sharding=sharding)
        for aval, sharding in zip(avals, shardings, strict=True)
    ]
    return jax.jit(jec.jaxpr_as_fun(jaxpr)).lower(*types).compile()


def whole_text(run: Any) -> str | None:
    """Return the text of a compiled program, None if it leaves out what may differ."""
    try:
        text = normalised(run.as_text() or "")
    except ValueError:
        return None
    return None if _LEFT_OUT.search(text) else text


def _compiled(lowered: jax.stages.Lowered) -> Compiled:
    """Compile a function and read its program."""
    run = lowered.compile()
    text = normalised(run.as_text() or "")
    return Compiled(text, run, _LEFT_OUT.search(text) is not None)


def normalised(text: str) -> str:
    """Return a compiled program's text without names, places and settings of the compiler.

    The tables of files and functions stand before the first computation, and the program starts
    there: what is cut off must end where it does, or everything would be equal to everything.
    """
    start = re.search(r"^(%|ENTRY)", text, re.MULTILINE)
    if start is None:
        raise ValueError("compare: the compiled program does not look like HLO.")
    text = text[start.start() :]
    text = re.sub(r',? metadata=\{(?:[^"}]|"(?:\\.|[^"\\])*")*\}', "", text)
    # A call of a library has its arguments there, such as which triangle of a matrix it reads.
    settings = r"^((?!.* custom-call\().*?), backend_config=.*$"
    text = re.sub(settings, r"\1", text, flags=re.MULTILINE)
    text = re.sub(r", origin=\{.*?\}(?=,|$)", "", text, flags=re.MULTILINE)
    names: dict[str, str] = {}
    return re.sub(
        r"%[\w.-]+|(?<=[(, ])[A-Za-z_][\w.-]*(?=: )",  # The second is a parameter's in a header.
        lambda match: names.setdefault(match[0].lstrip("%"), f"v{len(names)}"),
        text,
    )


def operations(program: str) -> Counter[str]:
    """Count the instructions of a compiled program by what they do."""
    found = re.findall(
        r"^\s*(?:ROOT )?v\d+ = (?:\(.*?\)|\S+) ([a-z][\w-]*)\(", program, re.MULTILINE
    )
    return Counter(operation for operation in found if operation not in {"parameter", "bitcast"})


def cost_of(compiled: Any) -> XlaCost:
    """Return what a compiled program says of itself."""
    analysis = compiled.cost_analysis() or {}
    memory = compiled.memory_analysis()
    text = compiled.as_text() or ""

    def said(key: str, otherwise: int | None = None) -> int | None:
        value = analysis.get(key, otherwise)
        return None if value is None or value < 0 else int(value)

    # XLA leaves out what there is none of.
    none = 0 if analysis else None
    return XlaCost(
        flops=said("flops", none),
        transcendentals=said("transcendentals", none),
        bytes=said("bytes accessed"),
        temporary=getattr(memory, "temp_size_in_bytes", None),
        arguments=getattr(memory, "argument_size_in_bytes", None),
        results=getattr(memory, "output_size_in_bytes", None),
        library_calls=" custom-call(" in text,
        fuses=" fusion(" in text,
        loops=" while(" in text,
        devices=_devices(compiled),
    )


def _devices(compiled: Any) -> int:
    """Return how many devices a compiled program runs on, as its arguments and results lie."""
    places = jax.tree.leaves((compiled.input_shardings, compiled.output_shardings))
    return max((place.num_devices for place in places), default=1)


def gaps(
    *,
    work: int,
    moved: int,
    said: XlaCost | None,
    error: str | None,
    scans: Sequence[int],
    loops: Sequence[Loop],
) -> Iterator[Gap]:
    """Yield why counts of a jaxpr are not those of XLA.

    Args:
        work: the FLOPs and transcendental functions of the jaxpr.
        moved: its bytes.
        said: what XLA says, None if it could not compile the function.
        error: why it could not.
        scans: the lengths of the scans of the jaxpr.
        loops: its loops of unknown length.
    """
    if said is None:
        yield Gap("not compiled", error or "")
        return
    if said.flops is None:
        yield Gap("not said")
        return
    theirs = said.flops + (said.transcendentals or 0)
    repeated = sorted({length for length in scans if length > 1})
    if repeated and theirs < work:
        yield Gap("scan", ", ".join(map(str, repeated)))
    if loops:
        yield Gap("while", ", ".join(dict.fromkeys(loop.name for loop in loops)))
    if said.library_calls and theirs < work:
        yield Gap("library")
    if said.devices > 1:
        # How the work is shared out is XLA's choice, and what else differs is not known.
        yield Gap("devices", f"{said.devices:,}")
    else:
        yield from _unexplained(work, moved, said, repeated=bool(repeated), loops=bool(loops))


def _unexplained(
    work: int, moved: int, said: XlaCost, *, repeated: bool, loops: bool
) -> Iterator[Gap]:
    """Yield what XLA must have done where loops of the jaxpr do not explain its counts."""
    theirs = (said.flops or 0) + (said.transcendentals or 0)
    if said.loops and theirs < work and not repeated and not loops:
        yield Gap("hidden loop")
    is_explained = repeated or loops or said.library_calls or said.loops
    if theirs < (1 - _CLOSE) * work and not is_explained:
        yield Gap("fewer")
    if theirs > (1 + _CLOSE) * work and not loops:
        yield Gap("more")
    if said.bytes is not None and said.fuses and said.bytes < moved and not is_explained:
        yield Gap("fused")
