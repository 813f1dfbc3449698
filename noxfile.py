# /// script
# dependencies = ["nox[uv]>=2026.10"]
# ///
"""What can be done here: `nox -l` lists it, `nox -s NAME` does it.

Dependencies stand in pyproject.toml alone; a session installs the groups it needs.
"""

import os
import shutil
import time
from pathlib import Path

import nox


nox.needs_version = ">=2026.10"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["docs", "tests", "doctest", "lint"]

PYPROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PYPROJECT)

DOCS = Path("docs")
BUILD = DOCS / "_build"
LIGHTHOUSE = "@lhci/cli@0.15"

# -n: every reference must resolve. -W: a warning fails the build, --keep-going: at the end.
# -T: the traceback of a failing extension is shown whole. -j: one process a core.
SPHINX = ["-n", "-W", "-T", "--keep-going", "-j", "auto"]


def install(session: nox.Session, *groups: str) -> None:
    """Install the package from this checkout, editable, with its dependency groups."""
    names = [
        dependency for g in groups for dependency in nox.project.dependency_groups(PYPROJECT, g)
    ]
    session.install("-e", ".", *dict.fromkeys(names))
    # Where Python keeps no bytecode, every kernel would compile all of JAX.
    session.env["PYTHONDONTWRITEBYTECODE"] = ""


def build(session: nox.Session, builder: str) -> None:
    """Build the guide; what a page printed for one builder is there for the others."""
    places = ["-d", str(BUILD / f"doctrees-{builder}"), str(DOCS), str(BUILD / builder)]
    session.run("sphinx-build", *SPHINX, "-b", builder, *places)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the guide and say where to open it; `nox -s docs -- serve` rebuilds on save."""
    install(session, "docs")
    argument, *options = session.posargs or [""]
    if argument not in ("", "serve"):
        session.error(f"docs: {argument!r} is unknown; say `serve`, or `serve --port 8001`")
    serve = argument == "serve"
    if not serve and session.interactive and "CI" not in os.environ:
        serve = input("Serve the guide and rebuild it on save? [y/N] ").strip().lower() == "y"
    if serve:
        watch = ["--watch", "src", "--watch", "CHANGELOG.md", "--watch", "CONTRIBUTING.md"]
        # What a build writes beside its pages must not start the next one.
        watch += ["--re-ignore", r"docs/_build/|__pycache__"]
        # A page that is served reloads itself: that needs a script which the site does not allow.
        options += ["-n", "-T", "-j", "auto", "-t", "served", "-d", str(BUILD / "doctrees-served")]
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
    session.run("python", str(DOCS / "_ext" / "lab.py"), str(BUILD / "notebooks"), "notebooks")
    session.run("jupyter", "lab", "--notebook-dir", "notebooks", *session.posargs)


def run_tests(session: nox.Session) -> None:
    """Run the tests with the session's Python and the newest JAX that supports it."""
    install(session, "test")
    session.run("pytest", "-n", "auto", "--dist", "loadfile", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests with the current Python; `nox -s tests-3.13` with another."""
    run_tests(session)


for version in PYTHONS:
    nox.session(python=version, name=f"tests-{version}", default=False)(run_tests)


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
    """Build the guide a second time, from nothing, and compare: only times and dates may differ."""
    install(session, "test")
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


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and types; `nox -s lint -- --fix` repairs the style it can."""
    install(session, "lint")
    if unknown := set(session.posargs) - {"--fix"}:
        session.error(f"lint: {', '.join(unknown)} is unknown; say `--fix`, or nothing")
    fix = "--fix" in session.posargs
    session.run("ruff", "check", *(["--fix"] if fix else []))
    session.run("ruff", "format", *([] if fix else ["--check"]))
    session.run("mypy")


@nox.session(default=False)
def corpus(session: nox.Session) -> None:
    """Explain all calls of JAX's own test list; the totals go to the site's status page."""
    install(session, "test")
    results = DOCS / "project" / "corpus.json"
    environment = {"VMAPGUIDE_CORPUS": "all", "VMAPGUIDE_CORPUS_OUT": str(results.resolve())}
    session.run("pytest", "-s", "tests/corpus", *session.posargs, env=environment)


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Measure what an explanation costs, side by side with plain tracing; for the status page."""
    install(session)
    report = ["--json", str(DOCS / "project" / "explain-benchmark.json")]
    session.run("python", "benchmarks/explain.py", *report, *session.posargs)


@nox.session(name="bench-docs", default=False)
def bench_docs(session: nox.Session) -> None:
    """Measure what building the guide takes, side by side with plain Sphinx."""
    install(session, "docs")
    report = ["--json", str(DOCS / "project" / "build-benchmark.json")]
    session.run("python", "benchmarks/site.py", *report, *session.posargs)


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


if __name__ == "__main__":
    nox.main()
