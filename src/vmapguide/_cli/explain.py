"""The command `explain` with its options: what `jax.vmap` makes of a function, in three forms."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from vmapguide._cli import inputs
from vmapguide._cli.output import write
from vmapguide._explain import Explanation, explain
from vmapguide._show.explanation_text import coloured
from vmapguide._show.markup import page


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Tell a parser what the command takes."""
    parser.add_argument("function", help="path/to/file.py:function, or package.module:function")
    parser.add_argument("arguments", nargs="*", metavar="argument", help="a type or a value")
    parser.add_argument("--in-axes", default="0", help='as for jax.vmap: "0", "0, None"')
    parser.add_argument("--out-axes", default="0", help="as for jax.vmap")
    parser.add_argument("--axis-name", help="as for jax.vmap")
    parser.add_argument("--axis-size", type=int, help="as for jax.vmap")
    parser.add_argument(
        "--fold",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="fold away library code and what is long; --no-fold shows every equation",
    )
    parser.add_argument("--library", action="store_true", help="show lines of library code, too")
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--html", metavar="FILE", help="write one self-contained page instead")
    output.add_argument("--json", action="store_true", help="print data instead")


def run(options: argparse.Namespace) -> None:
    """Do what the options say."""
    f = inputs.load(options.function)
    args, kwargs = inputs.arguments(options.arguments)
    axes = {
        "in_axes": inputs.axes("--in-axes", options.in_axes),
        "out_axes": inputs.axes("--out-axes", options.out_axes),
        "axis_name": options.axis_name,
        "axis_size": options.axis_size,
    }
    explanation = _explanation(f, axes, args, kwargs)
    shown = {"fold": options.fold, "library": options.library}
    if options.html:
        write(Path(options.html), page(f"vmap({explanation.name})", explanation.as_html(**shown)))
        print(f"wrote {options.html}")
    elif options.json:
        print(json.dumps(explanation.to_dict(), indent=2))
    else:
        print(_text(explanation, **shown))


def _explanation(f: Any, axes: dict[str, Any], args: Any, kwargs: Any) -> Explanation:
    try:
        return explain(f, **axes)(*args, **kwargs)
    except Exception as error:  # noqa: BLE001
        raise inputs.FunctionError(inputs.told(error)) from None


def _text(explanation: Explanation, *, fold: bool, library: bool) -> str:
    """Return the text, on a terminal with colours."""
    text = explanation.as_text(fold=fold, library=library)
    plain = os.environ.get("NO_COLOR") or not sys.stdout.isatty()
    return text if plain else coloured(text)
