"""The command `check`: whether `jax.vmap` of a function equals the loop, on random arrays."""

from __future__ import annotations

import argparse

from vmapguide._check import check
from vmapguide._cli import inputs, options


HELP = "compare jax.vmap with a loop, on random numbers of the types that are given"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Tell a parser what the command takes."""
    options.add_function(parser)
    options.add_vmap(parser)
    options.add_outputs(parser)
    parser.add_argument("--seed", type=int, default=0, help="for the random numbers")


def run(given: argparse.Namespace) -> int:
    """Do what the options say.

    Returns:
        0 if both are the same, 1 if not.
    """
    f = inputs.load(given.function)
    args, kwargs = inputs.arguments(given.arguments)
    args, kwargs = inputs.filled((args, kwargs), given.seed)
    vmap = options.vmap_arguments(given)
    with options.told():
        found = check(f, **vmap)(*args, **kwargs)
    options.show(found, given)
    return 0 if found.same else 1
