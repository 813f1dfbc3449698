"""What is shipped, and what it may import."""

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from places import DOCS, ROOT

import vmapguide


SOURCES = sorted((ROOT / "src").rglob("*.py"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))

# `lexer` and `sphinx` are loaded by Pygments and by Sphinx, which are there then. A plot and a
# progress bar import what draws them when they are asked for.
OPTIONAL = {
    "lexer.py": {"pygments"},
    "sphinx.py": {"docutils", "sphinx"},
    "pytest_plugin.py": {"pytest"},
    "_show/benchmark.py": {"matplotlib"},
    "_measure/progress.py": {"tqdm"},
}


def inside(path: Path) -> str:
    """Return the place of a module inside the package."""
    return path.relative_to(ROOT / "src" / "vmapguide").as_posix()


def imported(path: Path) -> set[str]:
    """Return the dotted names that a module imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return names


@pytest.mark.parametrize("path", SOURCES, ids=inside)
def test_nothing_private_of_jax_is_used(path: Path) -> None:
    """The package stands on what JAX documents."""
    assert "jax._src" not in path.read_text("utf-8")


@pytest.mark.parametrize("path", SOURCES, ids=inside)
def test_only_jax_and_numpy_are_imported(path: Path) -> None:
    """The package needs no more than it says it needs."""
    roots = {name.partition(".")[0] for name in imported(path)}
    allowed = {"jax", "numpy", "vmapguide"} | OPTIONAL.get(inside(path), set())
    assert roots - set(sys.stdlib_module_names) <= allowed


def test_importing_the_package_imports_no_extra_and_configures_nothing() -> None:
    """Importing vmapguide leaves JAX's configuration alone and loads no optional library."""
    program = """if True:
        import sys, jax, jax.numpy
        modules, options = set(sys.modules), dict(jax.config.values)
        import vmapguide
        for name in dir(vmapguide):
            getattr(vmapguide, name)
        assert options == dict(jax.config.values)
        extras = {"pygments", "sphinx", "docutils", "matplotlib", "IPython", "tqdm"}
        print(extras & (set(sys.modules) - modules))
    """
    result = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    assert (result.stdout, result.returncode) == ("set()\n", 0), result.stderr


def test_importing_the_package_does_not_import_jax() -> None:
    """What Pygments and pytest load by themselves imports neither JAX nor the rest of vmapguide."""
    program = """if True:
        import sys, vmapguide, vmapguide.lexer, vmapguide.pytest_plugin
        loaded = {name for name in sys.modules if name.partition(".")[0] in ("jax", "vmapguide")}
        print(sorted(loaded))
    """
    result = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    expected = ["vmapguide", "vmapguide.lexer", "vmapguide.pytest_plugin"]
    assert (result.stdout, result.returncode) == (f"{expected}\n", 0), result.stderr


def test_public_names_have_one_place() -> None:
    """Those that are imported when they are asked for are those that type checkers see."""
    text = (ROOT / "src/vmapguide/__init__.py").read_text("utf-8")
    seen, _ = (node for node in ast.parse(text).body if isinstance(node, ast.If))
    imported_as = {
        str(alias.asname): node.module
        for node in seen.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert imported_as == vmapguide._PLACES  # noqa: SLF001
    assert imported_as.keys() < {*dir(vmapguide)}
    with pytest.raises(AttributeError, match="module 'vmapguide' has no attribute 'no_such_name'"):
        vmapguide.no_such_name  # type: ignore[attr-defined]  # noqa: B018


def test_entry_points_are_declared() -> None:
    """There is a script, a plugin for pytest and a lexer, and each is there."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    declared = project["scripts"], *project["entry-points"].values()
    assert declared == (
        {"vmapguide": "vmapguide._cli.main:main"},
        {"vmapguide": "vmapguide.pytest_plugin"},
        {"jaxpr": "vmapguide.lexer:JaxprLexer"},
    )
    for place in (place for group in declared for place in group.values()):
        assert metadata.EntryPoint("", place, "").load()


def test_the_version_has_one_source() -> None:
    """What the package says of itself is what was installed."""
    assert vmapguide.__version__ == metadata.version("vmapguide")


def test_public_names_are_documented() -> None:
    """Every public name is on the reference page and has an example that runs."""
    page = (DOCS / "reference" / "vmapguide.md").read_text("utf-8")
    assert len(dir(vmapguide)) > 30
    for name in dir(vmapguide):
        value = getattr(vmapguide, name)
        if not name.startswith("_") and getattr(value, "__module__", "").startswith("vmapguide"):
            assert f":: {name}" in page
            if not isinstance(value, type):
                assert ">>> " in value.__doc__


def test_the_wheel_has_the_package_and_nothing_else(tmp_path: Path) -> None:
    """Every file of the package is in the wheel, and no test, page or cache."""
    build = "import hatchling.build, sys; print(hatchling.build.build_wheel(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", build, tmp_path], cwd=ROOT, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    info = f"vmapguide-{vmapguide.__version__}.dist-info"
    package = {
        path.relative_to(ROOT / "src").as_posix()
        for path in (ROOT / "src").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert "vmapguide/py.typed" in package
    assert {"vmapguide/assets/vmapguide.css", "vmapguide/assets/figure.mplstyle"} < package
    files = ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")
    assert sorted(package | {f"{info}/{file}" for file in files}) == sorted(names)


def test_nothing_committed_names_a_machine() -> None:
    """No path of a home folder or a build machine, and no package index, is in a committed file."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    homes = tuple(f"/{folder}/" for folder in ("home", "root", "Users", "work"))
    indexes = ("pypi.org", "pythonhosted.org", "index-url", "find-links")
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path.suffix not in (".inv", ".png") and path.is_file():
            text = path.read_text("utf-8")
            named = [machine for machine in (*homes, *indexes) if machine in text]
            assert not named or path == Path(__file__), name


def test_a_commit_is_checked_as_the_gate_checks() -> None:
    """What `nox -s lint` runs, pre-commit runs, from where that has installed it."""
    noxfile = (ROOT / "noxfile.py").read_text("utf-8")
    session = noxfile.partition("def lint(")[2].partition("@nox")[0]
    hooks = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    tools = set(re.findall(r'session\.run\("(\w+)"', session))
    assert tools == set(re.findall(r"entry: \.nox/lint/bin/(\w+)", hooks))
    assert {"ruff", "mypy"} < tools


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_commit(path: Path) -> None:
    """A tag can be moved to other code; a commit cannot."""
    used = re.findall(r"uses: (\S+)", path.read_text("utf-8"))
    assert used
    assert not [action for action in used if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", action)]
