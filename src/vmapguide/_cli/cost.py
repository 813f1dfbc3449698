"""The command `cost`: what `jax.vmap` of a function costs, line by line, beside one example."""

from __future__ import annotations

import argparse

from vmapguide._cli import inputs, options
from vmapguide._cost import cost
from vmapguide._explain import explain


HELP = "count what jax.vmap of a function costs, line by line"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Tell a parser what the command takes."""
    options.add_function(parser)
    options.add_vmap(parser)
    options.add_outputs(parser)


def run(given: argparse.Namespace) -> None:
    """Do what the options say."""
    f = inputs.load(given.function)
    args, kwargs = inputs.arguments(given.arguments)
    vmap = options.vmap_arguments(given)
    with options.told():
        found = cost(explain(f, **vmap)(*args, **kwargs))
    options.show(found, given)
