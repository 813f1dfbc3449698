"""The compiled program of a function, as text that is equal for equal programs.

XLA prints what it made with the names and places of the code that it came from. Without these, and
with the names of its instructions counted through, two prints are equal if the programs are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.extend.core as jec

from vmapguide._jaxpr import AnyJaxpr


# Large constants are printed like this, whatever is in them.
_ELIDED = "constant({...})"


@dataclass(frozen=True)
class Compiled:
    """A compiled program: its normalised text, and what runs it.

    `elided` says that the text leaves out the values of large constants.
    """

    text: str
    run: Callable[..., Any]
    elided: bool


def compiled(f: Callable[..., Any], args: Any, kwargs: Any) -> Compiled:
    """Compile a function for its arguments, which may be `jax.ShapeDtypeStruct`s."""
    run = jax.jit(f).lower(*args, **kwargs).compile()
    text = normalised(run.as_text() or "")
    return Compiled(text, run, _ELIDED in text)


def with_constants_as_arguments(
    jaxpr: AnyJaxpr, leaves: Sequence[Any], own: Sequence[int], constants: Sequence[Any]
) -> Compiled:
    """Compile a jaxpr with its constants for arguments, where it shows which of them are used.

    Args:
        jaxpr: the jaxpr, closed.
        leaves: its arguments.
        own: where each of its constants is among all.
        constants: the constants of all the jaxprs that it is compared with, equal ones once.
    """

    def opened(constants: list[Any], *leaves: Any) -> Any:
        consts = [constants[position] for position in own]
        return jec.jaxpr_as_fun(jaxpr.replace(consts=consts))(*leaves)  # type: ignore[no-untyped-call]

    run = jax.jit(opened, keep_unused=True).lower([*constants], *leaves).compile()
    text = normalised(run.as_text() or "")
    return Compiled(text, run, _ELIDED in text)


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
    text = re.sub(r", backend_config=.*$", "", text, flags=re.MULTILINE)
    text = re.sub(r", origin=\{.*?\}(?=,|$)", "", text, flags=re.MULTILINE)
    names: dict[str, str] = {}
    return re.sub(
        r"%[\w.-]+|(?<=[(, ])[A-Za-z_][\w.-]*(?=: )",  # The second is a parameter's in a header.
        lambda match: names.setdefault(match[0].lstrip("%"), f"v{len(names)}"),
        text,
    )
