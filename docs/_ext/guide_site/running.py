"""Runs the pages that need it before Sphinx reads them: several at a time, the long ones first.

MyST-NB runs a page when Sphinx reads it, and Sphinx deals the pages out to its processes before it
knows how long each takes. Here they are taken from one queue, by as many kernels as `sphinx-build
-j` says, but no more than one a core. What they print goes into the cache, where MyST-NB finds it.
Only this process writes there: a cache made by two at one time breaks (sphinx-doc/sphinx#12481).

A cell that fails is a warning with its page, line and message. The page is built as far as it came,
and runs again next time. What a kernel inherits is in `kernels`, what is shown of a run in
`run_times`.
"""

import logging as python_logging
import os
import re
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from filelock import FileLock
from jupyter_client.kernelspec import NoSuchKernel
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.display import status_iterator

from guide_site import insides


logger = logging.getLogger(__name__)

# Asked of a kernel in which a cell has failed: the line of the cell, or of code that is no Python.
WHERE = (
    "next((line for frame, line in"
    " __import__('traceback').walk_tb(__import__('sys').last_traceback)"
    " if frame.f_code.co_name == '<module>'),"
    " getattr(__import__('sys').last_value, 'lineno', 1))"
)

# In JAX's messages about tracers: the number of an object, and the file that a cell is to Python.
RUN = re.compile(r" with object id \d+|[^\s(]*ipykernel_\d+/\d+\.py:")


@dataclass
class Page:
    """A page on its way through a kernel."""

    docname: str
    path: Path
    notebook: Any
    seconds: float = 0.0
    cell: int = 0
    line: int = 1  # Within the cell.
    failure: str = ""


def runs(env: BuildEnvironment) -> dict[str, dict[str, Any]]:
    """Return what is known of each page's last run: `ran`, `seconds`, and `failure` or nothing.

    Sphinx keeps it from one build to the next.
    """
    return cast("dict[str, dict[str, Any]]", vars(env).setdefault("page_runs", {}))


def run(page: Page, timeout: int) -> Page:
    """Run a page's cells in a kernel of its own; what they print is put into its notebook."""

    def started(cell_index: int, **_: Any) -> None:
        page.cell = cell_index

    async def failed(cell: Any, **_: Any) -> None:
        if "raises-exception" not in cell.metadata.get("tags", ()):
            question = {"silent": True, "user_expressions": {"line": WHERE}}
            reply = await client.kc.execute("", reply=True, timeout=timeout, **question)
            answer = reply["content"].get("user_expressions", {}).get("line", {})
            page.line = int(answer.get("data", {}).get("text/plain", 1))

    quiet = python_logging.getLogger(f"{__name__}.nbclient")
    quiet.setLevel(python_logging.ERROR)
    client: Any = NotebookClient(
        page.notebook,
        timeout=timeout,
        resources={"metadata": {"path": str(page.path.parent)}},
        on_cell_execute=started,
        on_cell_error=failed,
        coalesce_streams=True,  # Or two lines are one output today and two tomorrow.
        record_timing=False,  # It would become part of the key in the cache.
        log=quiet,
    )
    start = time.monotonic()
    try:
        client.execute()
    except CellExecutionError as error:
        page.failure = f"{error.ename}: {error.evalue}"
    except CellTimeoutError:
        page.failure = f"it ran longer than {timeout} s"
    except DeadKernelError:
        page.failure = "its kernel died"
    except (NoSuchKernel, RuntimeError) as error:  # It has not even started.
        page.failure = str(error)
    page.seconds = time.monotonic() - start
    make_nameless(page.notebook)
    return page


def make_nameless(notebook: Any) -> None:
    """Take out of messages what is different in every run."""
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if output.output_type == "error":
                output.evalue = RUN.sub("", output.evalue)
                output.traceback = [RUN.sub("", line) for line in output.traceback]
            elif output.output_type == "stream":
                output.text = RUN.sub("", output.text)


def source_line(page: Page) -> tuple[int, str]:
    """Return the line of the page at which it failed, and what stands there."""
    source = page.notebook.cells[page.cell].source.splitlines()
    lines = page.path.read_text("utf-8").splitlines()
    first = page.notebook.metadata.get("source_map", [0] * (page.cell + 1))[page.cell]
    # Options stand between the fence and the code.
    while first < len(lines) and lines[first : first + len(source)] != source:
        first += 1
    line = min(page.line, len(source))
    return first + line, source[line - 1].strip()


def run_pages(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """Run what is about to be read and is not in the cache, or has failed."""
    known = runs(env)
    for docname in {*docnames, *known.keys() - env.found_docs}:
        known.pop(docname, None)
    if app.config.nb_execution_mode != "cache" or not docnames:
        return
    path = Path(app.config.nb_execution_cache_path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Another build, say the one that serves, waits; then it finds here what it would have run.
    with FileLock(path.with_suffix(".lock")):
        outputs = insides.Outputs(app)
        todo = []
        for docname in docnames:
            notebook = insides.notebook(env, docname)
            facts = notebook and outputs.facts(notebook)
            if facts and not facts.get("failure", True):
                known[docname] = facts
            elif notebook:
                todo.append(Page(docname, Path(env.doc2path(docname)), notebook))
        for page in run_all(app, todo):
            facts = {"ran": time.time(), "seconds": page.seconds, "failure": page.failure}
            source = insides.notebook(env, page.docname)
            outputs.keep(source, page.notebook, page.path, facts)
            known[page.docname] = facts
            if page.failure:
                warn(page)
        outputs.close()


def run_all(app: Sphinx, todo: list[Page]) -> Generator[Page, None, None]:
    """Run pages, several at a time and the long ones first; yield each when it is done."""
    if not todo:
        return
    todo.sort(key=lambda page: len(page.notebook.cells), reverse=True)
    with ThreadPoolExecutor(max(1, min(app.parallel, os.cpu_count() or 1))) as pool:
        futures = [pool.submit(run, page, app.config.nb_execution_timeout) for page in todo]
        try:
            for future in status_iterator(
                as_completed(futures),
                "running pages... ",
                length=len(futures),
                stringify_func=lambda done: "{0.docname} ({0.seconds:.1f} s)".format(done.result()),
            ):
                yield future.result()
        finally:
            # Who presses Ctrl-C waits for the pages that run, and not for all the others.
            pool.shutdown(wait=False, cancel_futures=True)


def warn(page: Page) -> None:
    """Say where a page failed, and with what."""
    line, code = source_line(page)
    number = sum(cell.cell_type == "code" for cell in page.notebook.cells[: page.cell + 1])
    location = (page.docname, line)
    message = "cell %d failed at `%s`: %s"
    logger.warning(message, number, code, page.failure, location=location, type="execution")


def outdated(_app: Sphinx, env: BuildEnvironment, *_: set[str]) -> list[str]:
    """Read what failed last time again. Sphinx would keep it, and pass."""
    return [name for name, facts in runs(env).items() if facts["failure"]]
