"""The command `compare`: whether a function by hand is the same program as `jax.vmap`."""

from __future__ import annotations

import argparse

from vmapguide._cli import inputs, options
from vmapguide._compare import compare
from vmapguide._trace.call import Vmap


HELP = "compare a function for the whole batch with jax.vmap of one for an example"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Tell a parser what the command takes."""
    options.add_function(parser, others=("manual",))
    options.add_vmap(parser)
    options.add_outputs(parser)
    parser.add_argument("--seed", type=int, default=0, help="for the random numbers")


def run(given: argparse.Namespace) -> int:
    """Do what the options say.

    Returns:
        0 if both return the same numbers, 1 if not.
    """
    manual, f = inputs.load(given.manual), inputs.load(given.function)
    args, kwargs = inputs.arguments(given.arguments)
    args, kwargs = inputs.filled((args, kwargs), given.seed)
    vmap = Vmap(**options.vmap_arguments(given))
    with options.told():
        found = compare(manual, vmap(f))(*args, **kwargs)
    options.show(found, given)
    return 0 if found.same_numbers else 1
