"""The command `explain`: what `jax.vmap` makes of a function, and what of it costs or surprises."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from vmapguide._cli import findings, inputs, options
from vmapguide._explain import explain
from vmapguide._explanation import Explanation
from vmapguide._show.explanation_text import coloured
from vmapguide._show.markup import page


HELP = "explain what jax.vmap makes of a function, line by line of its code"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Tell a parser what the command takes."""
    options.add_function(parser)
    options.add_vmap(parser)
    parser.add_argument(
        "--fold",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="fold away library code and what is long; --no-fold shows every equation",
    )
    parser.add_argument("--library", action="store_true", help="show lines of library code, too")
    parser.add_argument(
        "--view",
        choices=["source", "equations"],
        help="the source with what became of each line, or its equations; by default what fits",
    )
    parser.add_argument("--cost", action="store_true", help="show each line's share of the cost")
    findings.add_outputs(options.add_outputs(parser), parser)


def run(given: argparse.Namespace) -> int:
    """Do what the options say.

    Returns:
        0, or 1 if a finding is there that `--fail-on` names.
    """
    f = inputs.load(given.function)
    args, kwargs = inputs.arguments(given.arguments)
    vmap = options.vmap_arguments(given)
    codes = findings.checked_codes(given.fail_on)
    with options.told():
        explanation = explain(f, **vmap)(*args, **kwargs)
    shown = {
        "view": given.view,
        "cost": given.cost,
        "fold": given.fold,
        "library": given.library,
    }
    title = f"vmap({explanation.name})"
    findings.write(
        given,
        explanation,
        text=lambda: _text(explanation, shown),
        html=lambda: page(title, explanation.as_html(**shown)),
    )
    return findings.status(explanation.findings, codes)


def _text(explanation: Explanation, shown: dict[str, Any]) -> str:
    """Return the text, on a terminal with colours."""
    text = explanation.as_text(**shown)
    plain = os.environ.get("NO_COLOR") or sys.stdout is None or not sys.stdout.isatty()
    return text if plain else coloured(text)
