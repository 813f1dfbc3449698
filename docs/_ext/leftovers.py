"""What earlier builds have left behind: pages that are no more, and builds that did not end.

Sphinx keeps what it has once written. A page that was renamed would stay on the site, among the
notebooks and in the tests; and what is done at the end of a build, such as links in code and
llms.txt, would be missing for good on pages that a build wrote before Ctrl-C stopped it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment


def made_of(app: Sphinx, env: BuildEnvironment, docname: str) -> Iterator[Path]:
    """Yield the files that were made of a page."""
    out = Path(app.outdir)
    yield out / f"{docname}.html"
    yield out / "_sources" / f"{docname}.md.txt"
    yield out.parent / "notebooks" / f"{docname}.ipynb"
    yield out.parent / "jupyter_execute" / f"{docname}.ipynb"
    for pages, name in env.dlfiles.values():
        if pages == {docname}:
            yield out / "_downloads" / name


def remove(
    app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]
) -> list[str]:
    """Take away what was made of pages that are no more."""
    del added, changed
    for docname in removed:
        for path in made_of(app, env, docname):
            path.unlink(missing_ok=True)
    return []


def begin(app: Sphinx, env: BuildEnvironment, *_: set[str]) -> list[str]:
    """Read all pages again if the last build was stopped. What they printed is in the cache."""
    mark = Path(app.doctreedir, "unfinished")
    stopped = mark.exists()
    mark.touch()
    return sorted(env.found_docs) if stopped else []


def end(app: Sphinx, error: Exception | None) -> None:
    """Note that this build was not stopped."""
    if not error:
        Path(app.doctreedir, "unfinished").unlink(missing_ok=True)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension with Sphinx."""
    app.connect("env-get-outdated", remove)
    app.connect("env-get-outdated", begin)
    app.connect("build-finished", end, priority=999)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
