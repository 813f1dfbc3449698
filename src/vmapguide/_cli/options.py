"""Options that commands share: a function with its arguments, those of `jax.vmap`, and outputs.

A command adds what it takes, calls what it is about inside of `told`, and hands on the result to
`show`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vmapguide._cli import inputs
from vmapguide._cli.output import write
from vmapguide._show.markup import page
from vmapguide._show.result import Shown


def add_function(parser: argparse.ArgumentParser, *, others: tuple[str, ...] = ()) -> None:
    """Let a command take a function and the arguments to call it with."""
    for name in (*others, "function"):
        parser.add_argument(name, help="path/to/file.py:function, or package.module:function")
    parser.add_argument("arguments", nargs="*", metavar="argument", help="a type or a value")


def add_vmap(parser: argparse.ArgumentParser, *, in_axes: str | None = "0") -> None:
    """Let a command take the arguments of `jax.vmap`."""
    parser.add_argument("--in-axes", default=in_axes, help='as for jax.vmap: "0", "0, None"')
    parser.add_argument("--out-axes", default="0", help="as for jax.vmap")
    parser.add_argument("--axis-name", help="as for jax.vmap")
    parser.add_argument("--axis-size", type=int, help="as for jax.vmap")


def add_outputs(parser: argparse.ArgumentParser) -> Any:
    """Let a command write a page or data in place of text; more can be added to what it returns."""
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--html", metavar="FILE", help="write one self-contained page instead")
    output.add_argument("--json", action="store_true", help="print data instead")
    return output


def vmap_arguments(options: argparse.Namespace) -> dict[str, Any]:
    """Return what the options say for `jax.vmap`."""
    return {
        "in_axes": inputs.axes("--in-axes", options.in_axes),
        "out_axes": inputs.axes("--out-axes", options.out_axes),
        "axis_name": options.axis_name,
        "axis_size": options.axis_size,
    }


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Turn what the user's function, or JAX on its behalf, raises into an error for `main`."""
    try:
        yield
    except Exception as error:  # noqa: BLE001
        raise inputs.FunctionError(inputs.told(error)) from None


def show(result: Shown, options: argparse.Namespace) -> None:
    """Print a result as text, as data, or write it as a page."""
    with told():
        if options.html:
            title = str(result).partition("\n")[0]
            text = page(title, result.as_html())
        else:
            text = json.dumps(result.to_dict(), indent=2) if options.json else str(result)
    if options.html:
        write(Path(options.html), text)
        print(f"wrote {options.html}")
    else:
        print(text)
