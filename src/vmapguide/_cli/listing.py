"""The command `listing`: the jaxpr of a function, or of `jax.vmap` of it."""

from __future__ import annotations

import argparse

from vmapguide._cli import inputs, options
from vmapguide._listing import listing
from vmapguide._trace.call import Vmap


HELP = "print the jaxpr of a function; with --in-axes, that of jax.vmap of it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Tell a parser what the command takes."""
    options.add_function(parser)
    options.add_vmap(parser, in_axes=None)
    options.add_outputs(parser)


def run(given: argparse.Namespace) -> None:
    """Do what the options say."""
    f = inputs.load(given.function)
    args, kwargs = inputs.arguments(given.arguments)
    others = given.out_axes, given.axis_name, given.axis_size
    if given.in_axes is None and others != ("0", None, None):
        raise inputs.UsageError(
            "--out-axes, --axis-name and --axis-size are for jax.vmap: give --in-axes, too"
        )
    if given.in_axes is not None:
        f = Vmap(**options.vmap_arguments(given))(f)
    with options.told():
        found = listing(f)(*args, **kwargs)
    options.show(found, given)
