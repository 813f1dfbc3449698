"""The command `diagram`: which axis of which array goes where, as a picture."""

from __future__ import annotations

import argparse
from pathlib import Path

from vmapguide._cli import inputs, options
from vmapguide._cli.output import write
from vmapguide._diagram import diagram


HELP = "draw which axis of each argument and result is the batch"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Tell a parser what the command takes."""
    options.add_function(parser)
    options.add_vmap(parser)
    outputs = options.add_outputs(parser)
    outputs.add_argument("--svg", metavar="FILE", help="write a drawing instead")


def run(given: argparse.Namespace) -> None:
    """Do what the options say."""
    f = inputs.load(given.function)
    args, kwargs = inputs.arguments(given.arguments)
    vmap = options.vmap_arguments(given)
    with options.told():
        found = diagram(f, **vmap)(*args, **kwargs)
    if given.svg:
        write(Path(given.svg), found.svg())
        print(f"wrote {given.svg}")
    else:
        options.show(found, given)
