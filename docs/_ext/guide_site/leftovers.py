"""Starts over when an earlier build has left something behind that Sphinx would keep.

Sphinx keeps what it has once written. A page that is no more would stay on the site; and what is
done at the end of a build, such as llms.txt and the security policy, would be missing on pages that
a build wrote before Ctrl-C stopped it. In both cases what was written is thrown away and all pages
are read again. What they printed is in the cache, so none runs again.
"""

import shutil
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

from guide_site import notebooks


# What Sphinx writes beside the pages and makes of them.
FOLDERS = ("_downloads", "_images", "_sources")


def start_over(
    app: Sphinx, env: BuildEnvironment, _added: set[str], _changed: set[str], removed: set[str]
) -> list[str]:
    """Throw away what was written if a page is gone or the last build was stopped."""
    mark = Path(app.doctreedir, "unfinished")
    stopped = mark.exists()
    mark.touch()
    if not (removed or stopped):
        return []
    out = Path(app.outdir)
    for folder in (notebooks.folder(app), *(out / name for name in FOLDERS)):
        shutil.rmtree(folder, ignore_errors=True)
    # What else lies there may be somebody's, such as the CNAME of a site.
    for path in (*out.rglob("*.html"), *out.rglob("*.xhtml")):
        path.unlink()
    return sorted(env.found_docs)


def finished(app: Sphinx, error: Exception | None) -> None:
    """Note that this build was not stopped."""
    if not error:
        Path(app.doctreedir, "unfinished").unlink(missing_ok=True)
