"""Which layer of the package may import which, and where what JAX does not document is known."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from places import PACKAGE


# Of each folder, what it may import of the package besides itself; below the folders are the files
# that stand on top, which are what people call.
LAYERS = {
    "_data": set[str](),
    "_jaxpr": {"_data"},
    "_trace": {"_data", "_jaxpr"},
    "_advice": {"_data", "_jaxpr", "_trace"},
    "_measure": {"_data", "_jaxpr", "_trace", "_advice"},
    "_rules": {"_data", "_jaxpr", "_trace", "_measure"},
    "_show": {"_data"},
    "_explanation_contents": {"_data", "_jaxpr", "_trace", "_show"},
    "_explanation": {
        "_data",
        "_jaxpr",
        "_trace",
        "_measure",
        "_rules",
        "_sarif",
        "_show",
        "_explanation_contents",
    },
    "_explain": {"_data", "_jaxpr", "_trace", "_advice", "_rules", "_explanation"},
    # It takes the other's result.
    "_sarif": {"_data", "_jaxpr", "_rules", "_show"},
    "_findings": {"_data", "_advice", "_rules", "_explanation"},
    "_diagram": {"_data", "_jaxpr", "_trace", "_advice", "_show"},
    "_listing": {"_data", "_jaxpr", "_trace", "_advice", "_show"},
    "_check": {"_data", "_jaxpr", "_trace", "_advice", "_measure", "_show"},
    "_compare": {"_data", "_jaxpr", "_trace", "_advice", "_measure", "_show"},
    "_benchmark": {"_data", "_jaxpr", "_trace", "_advice", "_measure", "_show"},
    # It takes the other's result.
    "_cost": {"_data", "_jaxpr", "_trace", "_advice", "_measure", "_show", "_explanation"},
    "_vmap": {"_jaxpr", "_trace", "_advice", "_explain", "_explanation"},
    "_recording": {
        "_data",
        "_jaxpr",
        "_trace",
        "_explain",
        "_explanation",
        "_rules",
        "_sarif",
        "_show",
    },
    "_ipython": {"_recording"},
    "pytest_plugin": {"_recording", "_rules"},
    "_cli": {
        "_data",
        "_jaxpr",
        "_trace",
        "_advice",
        "_rules",
        "_show",
        "_explain",
        "_explanation",
        "_check",
        "_compare",
        "_cost",
        "_listing",
        "_diagram",
        "_recording",
    },
    "__main__": {"_cli"},
    "lexer": set[str](),
    "sphinx": {"", "_show", "lexer"},
}

# What a layer may import that is not the package's, besides Python's own library.
ELSEWHERE = {"_data": set[str](), "_show": set[str]()}

# Only `_jaxpr/compat.py` may know these.
UNDOCUMENTED = (
    "raw_frames",
    "debug_info",
    "source_info",
    "name_stack",
    "PjitFunction",
    "WrappedFun",
    "func_src_info",
    "arg_names",
    "ft_in",
    "co_freevars",
    "process_primitive",
    "str_short",
    "new_jaxpr_eqn",
)

SOURCES = sorted(PACKAGE.rglob("*.py"))


def inside(path: Path) -> str:
    """Return the place of a module inside the package."""
    return path.relative_to(PACKAGE).as_posix()


def layer(place: str) -> str:
    """Return the layer that a module is in: its folder, or itself if it stands on top."""
    return re.split(r"[./]", place, maxsplit=1)[0]


def imports(path: Path) -> Iterator[str]:
    """Yield the modules that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "vmapguide":
            yield from (f"vmapguide.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("path", SOURCES, ids=inside)
def test_a_layer_imports_what_lies_below_it(path: Path) -> None:
    """A module imports what its row of the table allows, and nothing else."""
    own = layer(inside(path))
    if own == "__init__":
        return  # It makes all that is public.
    found = {
        name.removeprefix("vmapguide").lstrip(".")
        for name in imports(path)
        if name.startswith("vmapguide")
    }
    assert {layer(name) for name in found} <= LAYERS[own] | {own}


@pytest.mark.parametrize("path", SOURCES, ids=inside)
def test_data_and_views_know_no_jax(path: Path) -> None:
    """What is shown is plain data."""
    if layer(inside(path)) in ("_data", "_show"):
        assert not {"jax", "jaxlib", "numpy"} & {name.partition(".")[0] for name in imports(path)}


def test_every_module_is_in_the_table() -> None:
    """A new one has to be given its place."""
    assert {layer(inside(path)) for path in SOURCES} == LAYERS.keys() | {"__init__"}


def test_no_circle() -> None:
    """No module needs itself, by way of whatever others."""
    of = {inside(path).removesuffix(".py").replace("/", "."): path for path in SOURCES}
    needs = {
        name: {found for i in imports(path) if (found := i.removeprefix("vmapguide.")) in of}
        for name, path in of.items()
    }
    while free := [name for name, others in needs.items() if not others & needs.keys()]:
        for name in free:
            del needs[name]
    assert not needs


@pytest.mark.parametrize("path", SOURCES, ids=inside)
def test_one_file_knows_what_jax_does_not_document(path: Path) -> None:
    """One file alone names what JAX does not document, and is to be mended when JAX changes."""
    text = path.read_text("utf-8")
    if inside(path) != "_jaxpr/compat.py":
        assert [name for name in UNDOCUMENTED if re.search(rf"\b{name}\b", text)] == []
