"""Write the intersphinx inventories of Python, NumPy and JAX from the installed packages.

Building the guide needs no network, so what its references point at is known beforehand: the
public names of the installed packages, and the addresses at which their documentation is known to
describe them. `nox -s inventories` runs this; the results are committed.
"""

from __future__ import annotations

import builtins
import collections.abc
import dataclasses
import functools
import inspect
import typing
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import jax
import jax.custom_batching
import jax.extend.core
import numpy as np
import sphinx.util.inventory


HERE = Path(__file__).parent

# One entry: name, domain and role, address.
Entry = tuple[str, str, str]


def role(value: object) -> str:
    """Return the domain and role under which documentation describes a value."""
    if inspect.isclass(value):
        return "py:exception" if issubclass(value, BaseException) else "py:class"
    return "py:function" if callable(value) else "py:data"


def members(module: ModuleType, prefix: str, page: str) -> Iterator[Entry]:
    """Yield the public members of a module; `page` is their address with {name} in it."""
    for name in sorted(getattr(module, "__all__", None) or dir(module)):
        value = getattr(module, name, None)
        if not name.startswith("_") and value is not None and not inspect.ismodule(value):
            address = f"{page}#{{name}}".format(name=f"{prefix}.{name}")
            yield f"{prefix}.{name}", role(value), address
            home = f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', '')}"
            if home.startswith("jax._src."):
                # Type annotations resolve to the private module a class lives in.
                yield home, role(value), address


def python() -> Iterator[Entry]:
    """Yield what Python's library reference describes of the modules the guide mentions."""
    containers = {"str", "bytes", "list", "tuple", "dict", "set", "frozenset", "range"}
    for name, value in sorted(vars(builtins).items()):
        if name.startswith("_") or not callable(value):
            continue
        kind = role(value)
        page = {"py:exception": "exceptions"}.get(kind, "functions")
        page = "stdtypes" if name in containers else page
        yield name, kind, f"library/{page}.html#{name}"
    for value in (True, False, None):
        yield str(value), "py:data", f"library/constants.html#{value}"
    for module in (collections.abc, dataclasses, functools, typing):
        name = module.__name__
        yield from members(module, name, f"library/{name}.html")
    yield "os.PathLike", "py:class", "library/os.html#os.PathLike"


def numpy() -> Iterator[Entry]:
    """Yield what NumPy's reference describes of its main namespace."""
    yield from members(np, "numpy", "reference/generated/{name}.html")


def jax_() -> Iterator[Entry]:
    """Yield what JAX's reference describes of its public namespaces."""
    modules = (
        *(jax, jax.numpy, jax.lax, jax.nn, jax.random, jax.tree, jax.tree_util),
        *(jax.custom_batching, jax.debug, jax.extend.core),
    )
    for module in modules:
        yield from members(module, module.__name__, "_autosummary/{name}.html")
    yield from members(jax.errors, "jax.errors", "101/errors.html")


def write(path: Path, project: str, version: str, entries: Iterator[Entry]) -> None:
    """Write an inventory in the format of Sphinx's `objects.inv`, version 2."""
    head = (
        f"# Sphinx inventory version 2\n# Project: {project}\n# Version: {version}\n"
        "# The remainder of this file is compressed using zlib.\n"
    )
    lines = "".join(f"{name} {kind} 1 {address} -\n" for name, kind, address in entries)
    path.write_bytes(head.encode() + zlib.compress(lines.encode(), 9))
    # Read it back, so that a malformed file fails here and not in somebody's build.
    found = sphinx.util.inventory.InventoryFile.loads(path.read_bytes(), uri="")
    print(f"{path.name}: {sum(map(len, found.data.values()))} names of {project} {version}")


if __name__ == "__main__":
    write(HERE / "python.inv", "Python", "3", python())
    write(HERE / "numpy.inv", "NumPy", np.__version__, numpy())
    write(HERE / "jax.inv", "JAX", jax.__version__, jax_())
