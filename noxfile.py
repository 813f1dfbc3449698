# /// script
# dependencies = ["nox[uv]>=2026.10"]
# ///
"""What can be done here: `nox -l` lists it, `nox -s NAME` does it.

pyproject.toml alone names dependencies, in groups, and a session installs the groups that it needs.
Which versions it installs is in locks/, which `nox -s lock` writes.
"""

import os
import re
import shutil
import sys
import time
from pathlib import Path

import nox
from nox.command import CommandFailed


nox.needs_version = ">=2026.10"
nox.options.default_venv_backend = "uv"  # Only uv checks the hashes of a file of constraints.
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["docs", "tests", "doctest", "lint"]

PYPROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PYPROJECT)

# What the README's command installs, what the sessions install, and what the one that runs other
# libraries installs.
LOCKS = {name: Path(f"locks/{name}.txt") for name in ("nox", "sessions", "libraries")}

DOCS = Path("docs")
BUILD = DOCS / "_build"
LIGHTHOUSE = "@lhci/cli@0.15"

# -n: every reference must resolve. -T: the traceback of a failing extension is shown whole. -j: of
# these processes one deals the pages out, and the others write them, one a core.
SPHINX = ["-n", "-T", "-j", str((os.cpu_count() or 1) + 1)]
# A warning fails the build, at the end.
STRICT = ["-W", "--keep-going"]

# One process a core. The tests of a file stay together: what they need in common is made once.
PARALLEL = ["-n", "auto", "--dist", "loadfile"]


def pins(path: Path) -> set[str]:
    """Return what a lock file pins, as `name==version`."""
    text = path.read_text("utf-8") if path.exists() else ""
    return set(re.findall(r"^[\w.-]+==[^\s;\\]+", text, re.MULTILINE))


def installed(session: nox.Session) -> set[str]:
    """Return what the session has installed besides this package, as `name==version`."""
    listed = session.run("uv", "pip", "freeze", "--exclude-editable", silent=True, log=False)
    return set(re.findall(r"^\S+==\S+$", str(listed), re.MULTILINE))


def install(
    session: nox.Session, *groups: str, lock: str = "sessions", locked: bool = True
) -> None:
    """Install the package from this checkout, editable, and groups: what is locked and no more."""
    building = nox.project.dependency_groups(PYPROJECT, "build")
    wanted = dict.fromkeys(nox.project.dependency_groups(PYPROJECT, "build", *groups))
    versions = ["--constraints", str(LOCKS[lock])] if locked else ["--upgrade"]
    # What builds the package comes first: it would else be fetched apart, and not be locked.
    session.install(*versions, *building)
    session.install("--exact", *versions, "--no-build-isolation", "-e", ".", *wanted)
    # With `--no-venv` nothing was installed, and what is there is not the session's.
    mine = locked and session.virtualenv.is_sandboxed
    if mine and (others := installed(session) - pins(LOCKS[lock])):
        names = ", ".join(sorted(others))
        session.error(f"{LOCKS[lock]} does not pin {names}: `nox -s lock` writes it anew")
    # Where Python keeps no bytecode, every kernel would compile all of JAX.
    session.env["PYTHONDONTWRITEBYTECODE"] = ""


def build(session: nox.Session, builder: str, folder: Path = BUILD) -> None:
    """Build the guide; what a page printed for one builder is there for the others."""
    places = ["-d", str(folder / f"doctrees-{builder}"), str(DOCS), str(folder / builder)]
    session.run("sphinx-build", *SPHINX, *STRICT, "-b", builder, *places)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the guide and say where to open it; `nox -s docs -- serve` rebuilds on save."""
    install(session, "docs")
    argument, *options = session.posargs or [""]
    if argument not in ("", "serve"):
        session.error(f"docs: {argument!r} is unknown; say `serve`, or `serve --port 8001`")
    if argument == "serve":
        watch = ["--watch", "src", "--watch", "CHANGELOG.md", "--watch", "CONTRIBUTING.md"]
        # What a build writes beside its pages must not start the next one.
        watch += ["--re-ignore", r"docs/_build/|__pycache__"]
        # A page that is served reloads itself: that needs a script which the site does not allow.
        options += [*SPHINX, "-t", "served", "-d", str(BUILD / "doctrees-served")]
        session.run("sphinx-autobuild", *watch, *options, str(DOCS), str(BUILD / "served"))
        return
    started = time.monotonic()
    build(session, "html")
    session.log(f"Built in {time.monotonic() - started:.0f} s.")
    session.log(f"Open {(BUILD / 'html' / 'index.html').resolve().as_uri()}")


@nox.session(default=False)
def epub(session: nox.Session) -> None:
    """Build the guide as an e-book, from the same pages."""
    install(session, "docs")
    build(session, "epub")
    session.log(f"Open {(BUILD / 'epub' / 'vmapguide.epub').resolve().as_uri()}")


@nox.session(default=False)
def lab(session: nox.Session) -> None:
    """Open the guide as notebooks in JupyterLab, to run and edit; they are in notebooks/."""
    install(session, "lab")
    build(session, "html")
    session.run("python", str(DOCS / "_tools" / "lab.py"), str(BUILD / "notebooks"), "notebooks")
    session.run("jupyter", "lab", "--notebook-dir", "notebooks", *session.posargs)


def run_unit(session: nox.Session) -> None:
    """Run the package's tests, without Sphinx and without the slow ones."""
    install(session, "unit")
    # Here nothing that tests have in common takes long: who is done takes tests from the others.
    parallel = [*PARALLEL, "--dist", "worksteal"]
    without = ["--ignore", "tests/docs", "--ignore", "tests/examples"]
    session.run("pytest", *parallel, "-m", "not slow", *without, *session.posargs)


def run_tests(session: nox.Session) -> None:
    """Run the tests of the package and of the guide, without the slow ones."""
    install(session, "test")
    session.run("pytest", *PARALLEL, "-m", "not slow", *session.posargs)


def run_newest(session: nox.Session) -> None:
    """Build the guide and run all tests with the newest releases that pyproject.toml allows."""
    install(session, "test", locked=False)
    newer = ", ".join(sorted(installed(session) - pins(LOCKS["sessions"]))) or "nothing"
    session.log(f"Not as in {LOCKS['sessions']}: {newer}")
    folder = BUILD / f"newest-{session.python or 'current'}"
    session.env["VMAPGUIDE_BUILD"] = str(folder)
    try:
        build(session, "html", folder)
        session.run("pytest", *PARALLEL, *session.posargs)
    except CommandFailed:
        session.error(f"The newest releases do not do. Not as in {LOCKS['sessions']}: {newer}")


def run_libraries(session: nox.Session) -> None:
    """Explain every `jax.vmap` that small runs of real libraries make, and run the guide's."""
    install(session, "libraries", lock="libraries")
    session.run("pytest", "-s", "tests/libraries", *session.posargs)


@nox.session
def unit(session: nox.Session) -> None:
    """Run the package's tests with the current Python; `nox -s unit-3.13` with another."""
    run_unit(session)


@nox.session
def tests(session: nox.Session) -> None:
    """Run all tests but slow ones with the current Python; `nox -s tests-3.13` with another."""
    # The guide that is tested is the reader's: what `nox -s docs` has built is not built again.
    session.env["VMAPGUIDE_BUILD"] = str(BUILD)
    run_tests(session)


@nox.session(default=False)
def newest(session: nox.Session) -> None:
    """Build and test with the newest releases, unlocked; `newest-3.13` does with another Python."""
    run_newest(session)


for version in PYTHONS:
    nox.session(python=version, name=f"unit-{version}", default=False)(run_unit)
    nox.session(python=version, name=f"tests-{version}", default=False)(run_tests)
    nox.session(python=version, name=f"newest-{version}", default=False)(run_newest)
    nox.session(python=version, name=f"libraries-{version}", default=False)(run_libraries)


@nox.session(default=False)
def slow(session: nox.Session) -> None:
    """Run the tests that take long: random programs, JAX's own test calls, all notebooks."""
    install(session, "test")
    session.env["VMAPGUIDE_BUILD"] = str(BUILD)
    session.run("pytest", *PARALLEL, "-m", "slow", *session.posargs)


@nox.session(default=False)
def coverage(session: nox.Session) -> None:
    """Run the tests, as `tests` does, and measure what of the package they reach."""
    install(session, "test")
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", *PARALLEL, "-m", "not slow", *session.posargs)
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")


@nox.session
def doctest(session: nox.Session) -> None:
    """Run the examples in docstrings, in the README and on the pages."""
    install(session, "test")
    session.run("pytest", "README.md", "CONTRIBUTING.md", "src", str(DOCS), *session.posargs)


@nox.session(default=False)
def browser(session: nox.Session) -> None:
    """Open every page of the guide in Chromium, light and dark, wide and narrow."""
    install(session, "browser")
    build(session, "html")
    session.run("pytest", "-n", "auto", "tests/browser", *session.posargs)


@nox.session(default=False)
def reproducible(session: nox.Session) -> None:
    """Build the guide again, from nothing, and compare: only times and dates may differ."""
    install(session, "test")
    build(session, "html")
    session.run("pytest", "tests/reproducible", *session.posargs)


@nox.session(default=False)
def claims(session: nox.Session) -> None:
    """Make claims of the pages false, one by one: the page's own cells must fail each time."""
    install(session, "test")
    session.run("pytest", "-n", "auto", "tests/claims", *session.posargs)


@nox.session(default=False)
def lighthouse(session: nox.Session) -> None:
    """Let Lighthouse rate five kinds of page, at least 95 in all categories. Needs Node's npx."""
    install(session, "docs")
    build(session, "html")
    found = filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome")))
    chromium = os.environ.get("CHROMIUM") or next(found, None)
    if chromium is None or shutil.which("npx") is None:
        session.error("Lighthouse needs a Chromium and Node's npx: apt-get install chromium npm")
    config = ["--config", "tests/browser/lighthouserc.json"]
    environment = {"CHROME_PATH": chromium}
    session.run("npx", "--yes", LIGHTHOUSE, "autorun", *config, external=True, env=environment)


@nox.session(python=PYTHONS[0])  # mypy reads the types of the oldest supported JAX.
def lint(session: nox.Session) -> None:
    """Check style, spelling and types; `nox -s lint -- --fix` repairs the style it can."""
    install(session, "lint")
    if unknown := set(session.posargs) - {"--fix"}:
        session.error(f"lint: {', '.join(unknown)} is unknown; say `--fix`, or nothing")
    fix = "--fix" in session.posargs
    session.run("ruff", "check", *(["--fix"] if fix else []))
    session.run("ruff", "format", *([] if fix else ["--check"]))
    session.run("typos")
    session.run("mypy")


@nox.session(default=False)
def corpus(session: nox.Session) -> None:
    """Explain all calls of JAX's own test list; the totals go to the site's status page."""
    install(session, "test")
    results = DOCS / "project" / "corpus.json"
    environment = {"VMAPGUIDE_CORPUS": "all", "VMAPGUIDE_CORPUS_OUT": str(results.resolve())}
    session.run("pytest", "-s", "tests/corpus", *session.posargs, env=environment)


@nox.session(default=False)
def libraries(session: nox.Session) -> None:
    """Explain what real libraries map, and run the guide's programs: both go to the site."""
    project = (DOCS / "project").resolve()
    session.env["VMAPGUIDE_LIBRARIES_OUT"] = str(project / "libraries.json")
    session.env["VMAPGUIDE_PROGRAMS_OUT"] = str(project / "library-programs.json")
    run_libraries(session)


@nox.session(default=False)
def precision(session: nox.Session) -> None:
    """Count what the rules find in code of others, and list what nobody has judged yet."""
    script, folder = "benchmarks/precision.py", ["--folder", str(BUILD / "precision")]
    corpora = {"libraries": ("harnesses", "libraries", "functions"), "docs": ("guide",)}
    for group, names in corpora.items():
        install(session, group, lock="libraries" if group == "libraries" else "sessions")
        for name in names:
            session.run("python", script, name, *folder, *session.posargs)
    report = ["--json", str(DOCS / "project" / "findings.json")]
    session.run("python", script, "report", *folder, *report)


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Measure what an explanation and its findings cost, and what `vmap` gains, for the site."""
    install(session, "libraries", lock="libraries")  # Some of the programs are theirs.
    report = ["--json", str(DOCS / "project" / "explain-benchmark.json")]
    session.run("python", "benchmarks/explain.py", *report, *session.posargs)
    report = ["--json", str(DOCS / "project" / "rules-benchmark.json")]
    session.run("python", "benchmarks/rules.py", *report, *session.posargs)
    report = ["--json", str(DOCS / "project" / "suite-benchmark.json")]
    session.run("python", "benchmarks/suite.py", *report, *session.posargs)


@nox.session(name="bench-docs", default=False)
def bench_docs(session: nox.Session) -> None:
    """Measure what building the guide takes, side by side with plain Sphinx."""
    install(session, "docs")
    report = ["--json", str(DOCS / "project" / "build-benchmark.json")]
    session.run("python", "benchmarks/site.py", *report, *session.posargs)


@nox.session(name="bench-scale-out", default=False)
def bench_scale_out(session: nox.Session) -> None:
    """Measure examples/scale_out on 1 to 8 devices and in two processes; for the guide's page."""
    install(session, "scale-out")
    report = ["--json", str(DOCS / "project" / "scale-out.json")]
    session.run("python", "examples/scale_out/throughput.py", *report, *session.posargs)


@nox.session(default=False)
def accelerator(session: nox.Session) -> None:
    """Measure what the guide says on a GPU or a TPU: with --no-venv, by the JAX that is there."""
    if session.virtualenv.is_sandboxed:
        install(session)
        session.warn("What is locked is the JAX for CPUs; with --no-venv it is yours.")
    folder = ["--folder", str(DOCS / "project" / "accelerators")]
    session.run("python", "benchmarks/accelerator.py", *folder, *session.posargs)


@nox.session(default=False)
def linkcheck(session: nox.Session) -> None:
    """Check the external links and inventories. Needs the network; never part of the gate."""
    install(session, "docs")
    out = BUILD / "linkcheck"
    session.run("sphinx-build", "-n", "-T", "-t", "online", "-b", "linkcheck", str(DOCS), str(out))


@nox.session(default=False)
def inventories(session: nox.Session) -> None:
    """Write docs/_inventories anew from the installed packages."""
    install(session, "docs")
    session.run("python", str(DOCS / "_inventories" / "make.py"))


@nox.session(default=False)
def lock(session: nox.Session) -> None:
    """Write locks/ from pyproject.toml; `nox -s lock -- --upgrade` takes the newest of all."""
    if unknown := set(session.posargs) - {"--upgrade"}:
        session.error(f"lock: {', '.join(unknown)} is unknown; say `--upgrade`, or nothing")
    groups = [group for group in PYPROJECT["dependency-groups"] if group != "libraries"]
    sources = {
        "nox": ["--group=nox"],
        "sessions": ["pyproject.toml", "--all-extras", *(f"--group={group}" for group in groups)],
        "libraries": ["pyproject.toml", "--group=build", "--group=libraries"],
    }
    # Versions and hashes for all systems and Pythons, each with the newest that it can have; and no
    # address of where they were found.
    options = ["--universal", "--python-version", PYTHONS[0], "--fork-strategy", "requires-python"]
    options += ["--generate-hashes", "--no-annotate", "--custom-compile-command", "nox -s lock"]
    changes = []
    same: list[str] = []
    for name, path in LOCKS.items():
        before = pins(path)
        path.parent.mkdir(exist_ok=True)
        out = ["--quiet", "--output-file", str(path)]
        session.run("uv", "pip", "compile", *sources[name], *options, *same, *out, *session.posargs)
        # Each has the versions of those before it.
        same += ["--constraints", str(path)]
        after = pins(path)
        changes += [f"- {pin}" for pin in before - after] + [f"+ {pin}" for pin in after - before]
    changes = sorted(set(changes), key=lambda change: (change[2:].partition("==")[0], change))
    session.log("Nothing has changed." if not changes else "Changes:\n" + "\n".join(changes))
    if changes:
        session.log("Run `nox -s newest`, then: git commit locks -m 'Lock ...'")


@nox.session(venv_backend="none", default=False)
def fresh(session: nox.Session) -> None:
    """Do what the README says in a fresh clone of HEAD, with nothing installed or cached."""
    session.run(sys.executable, ".ci/fresh.py", *session.posargs)


@nox.session(default=False)
def release(session: nox.Session) -> None:
    """Check version, changelog and wheel, and say which tag to push: `nox -s release -- 0.1.0`."""
    install(session, "release")
    session.run("python", ".ci/release.py", *session.posargs)


if __name__ == "__main__":
    nox.main()
