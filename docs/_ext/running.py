"""Runs the pages that need it before Sphinx reads them: several at a time, the long ones first.

MyST-NB runs a page when Sphinx reads it, and Sphinx deals the pages out to its processes before it
knows how long each takes. Here they are taken from one queue, by as many kernels as `sphinx-build
-j` says, and what they print goes into the cache, where MyST-NB finds it. Only this process writes
there: a cache made by two at one time breaks (sphinx-doc/sphinx#12481).

A cell that fails is a warning with its page, line and message. The page is built as far as it came,
and runs again next time.
"""

from __future__ import annotations

import logging as python_logging
import re
import time
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import nbformat
from docutils import nodes
from filelock import FileLock
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from jupyter_client.kernelspec import NoSuchKernel
from myst_nb.core.read import create_nb_reader
from myst_nb.sphinx_ import NbMetadataCollector
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.display import status_iterator


logger = logging.getLogger(__name__)

# Asked of a kernel in which a cell has failed: the line of the cell.
WHERE = """if True:
    import sys, traceback
    frames = traceback.walk_tb(sys.last_traceback)
    lines = [line for frame, line in frames if frame.f_code.co_name == "<module>"]
    print(lines[0] if lines else getattr(sys.last_value, "lineno", 1))  # Or it is no Python.
"""


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


def failed_pages(env: BuildEnvironment) -> set[str]:
    """Return the names of the pages that failed; Sphinx keeps them from one build to the next."""
    return cast("set[str]", vars(env).setdefault("failed_pages", set()))


def pages(env: Any, docnames: list[str]) -> Iterator[Page]:
    """Yield the pages that have cells to run, as MyST-NB will read them."""
    for docname in docnames:
        path = Path(env.doc2path(docname))
        text = path.read_text("utf-8")
        reader = create_nb_reader(str(path), env.myst_config, env.mystnb_config, text)
        if reader is not None:
            yield Page(docname, path, reader.read(text))


def run(page: Page, timeout: int) -> Page:
    """Run a page's cells in a kernel of its own; what they print is put into its notebook."""

    def started(cell: Any, cell_index: int) -> None:
        del cell
        page.cell = cell_index

    async def failed(cell: Any, cell_index: int, execute_reply: Any) -> None:
        del execute_reply
        if "raises-exception" not in cell.metadata.get("tags", ()):
            probe = nbformat.v4.new_code_cell(WHERE)
            await client.async_execute_cell(probe, cell_index, store_history=False)
            page.notebook.cells[cell_index] = cell  # There nbclient puts what it executes.
            page.line = int("".join(output.get("text", "") for output in probe.outputs) or 1)

    quiet = python_logging.getLogger(f"{__name__}.nbclient")
    quiet.setLevel(python_logging.ERROR)
    client = NotebookClient(
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
    """Run what is about to be read and is not in the cache."""
    failed_pages(env).difference_update(docnames)
    if app.config.nb_execution_mode != "cache":
        return
    path = Path(app.config.nb_execution_cache_path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Another build, say the one that serves, waits; then it finds here what it would have run.
    with FileLock(path.with_suffix(".lock")):
        cache = get_cache(app.config.nb_execution_cache_path)
        # What failed is in the cache until it has been read. If that build was killed, it still is.
        forget_failed(cache)
        cached = {record.hashkey for record in cache.list_cache_records()}
        for page in run_all(
            app, [page for page in pages(env, docnames) if key(cache, page) not in cached]
        ):
            facts = {"execution_seconds": page.seconds, "failure": page.failure}
            bundle = CacheBundleIn(page.notebook, str(page.path), data=facts)
            cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
            if page.failure:
                failed_pages(env).add(page.docname)
                warn(page)
        cache.db.dispose()  # A connection must not be carried over into Sphinx's processes.


def key(cache: Any, page: Page) -> str:
    """Return what a page is found by in the cache."""
    return str(cache.create_hashed_notebook(page.notebook)[1])


def run_all(app: Sphinx, todo: list[Page]) -> Generator[Page, None, None]:
    """Run pages, several at a time and the long ones first; yield each when it is done."""
    if not todo:
        return
    todo.sort(key=lambda page: len(page.notebook.cells), reverse=True)
    with ThreadPoolExecutor(max(1, app.parallel)) as pool:
        futures = [pool.submit(run, page, app.config.nb_execution_timeout) for page in todo]
        try:
            for future in status_iterator(
                as_completed(futures),
                "running pages... ",
                length=len(futures),
                stringify_func=shown,
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


def write_executed(app: Sphinx, doctree: nodes.document) -> None:
    """Write the page's notebook with its outputs: MyST-NB leaves out those from the cache."""
    del doctree
    docname = app.env.docname
    for page in pages(app.env, [docname]):
        if app.config.nb_execution_mode == "cache":
            cache = get_cache(app.config.nb_execution_cache_path)
            _, notebook = cache.merge_match_into_notebook(page.notebook)
            path = Path(app.outdir).parent / "jupyter_execute" / f"{docname}.ipynb"
            nbformat.write(notebook, path)


def shown(future: Future[Page]) -> str:
    """Return what the progress says of a page."""
    page = future.result()
    return f"{page.docname} ({page.seconds:.1f} s)"


def forget_failed(cache: Any) -> None:
    """Take out of the cache what failed, so that it runs again."""
    for record in cache.list_cache_records():
        if record.data.get("failure"):
            cache.remove_cache(record.pk)


def note_failed(app: Sphinx, env: BuildEnvironment) -> None:
    """After all pages were read: what failed did not succeed, and is not kept."""
    failed_pages(env).intersection_update(env.found_docs)  # One that failed may be gone.
    if failed_pages(env):
        forget_failed(get_cache(app.config.nb_execution_cache_path))
        for docname in failed_pages(env):
            NbMetadataCollector.get_exec_data(env, docname)["succeeded"] = False


def outdated(app: Sphinx, env: BuildEnvironment, *_: set[str]) -> list[str]:
    """Read what failed last time again. Sphinx would keep it, and pass."""
    del app
    return [name for name in failed_pages(env) if name in env.found_docs]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension with Sphinx."""
    app.connect("env-get-outdated", outdated)
    app.connect("env-before-read-docs", run_pages)
    # Before `notebooks`, which takes it from there.
    app.connect("doctree-read", write_executed, priority=300)
    app.connect("env-updated", note_failed, priority=400)  # Before the table of times is written.
    return {"parallel_read_safe": True, "parallel_write_safe": True}
