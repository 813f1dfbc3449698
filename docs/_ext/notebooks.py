"""Every executed page is also a notebook to download, which runs on its own.

MyST-NB writes the executed notebook of a page. Here it is made readable in Jupyter, where MyST's
roles mean nothing, rid of the cells that the page does not show either (its checks, which need
MyST-NB), and linked to from below the page's title. If the build knows its repository on GitHub,
the page also opens in Colab, from the branch `notebooks` that .github/workflows/ci.yml fills.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import nbformat
from docutils import nodes
from page_facts import facts_line
from sphinx.addnodes import download_reference
from sphinx.application import Sphinx


ROLE = re.compile(r"\{(?P<role>[\w:+-]+)\}`(?P<text>[^`<]+?)\s*(?:<(?P<target>[^>]*)>)?`")
INSTALL = (
    "This page is a notebook of **vmapguide**. It needs `vmapguide` and `matplotlib` installed."
)


# Colab, and a Jupyter elsewhere, have JAX and no vmapguide.
SETUP = """import importlib.util

if importlib.util.find_spec("vmapguide") is None:
    %pip install --quiet "vmapguide[plot] @ git+{repository}"
"""
COLAB = "https://colab.research.google.com/github/{name}/blob/notebooks/{docname}.ipynb"


def plain_markdown(text: str, numbers: dict[str, str]) -> str:
    """Return Markdown that reads well without MyST; `numbers` are the page's glued values."""

    def plain(match: re.Match[str]) -> str:
        role, shown = match["role"], match["text"]
        if role.startswith("glue"):
            return numbers.get(shown, match[0])
        if role == "doc":
            return shown if match["target"] else Path(shown).name
        return f"`{shown}`" if role.startswith("py:") else shown

    return ROLE.sub(plain, text)


def glued(path: Path) -> dict[str, str]:
    """Return the values that a page's cells glued, from the file MyST-NB writes them to."""
    if not path.exists():
        return {}
    outputs = json.loads(path.read_text("utf-8"))
    return {key: output["data"]["text/plain"].strip("'") for key, output in outputs.items()}


def add_download(app: Sphinx, doctree: nodes.document) -> None:
    """Write the page's notebook and link to it."""
    docname = app.env.docname
    executed = Path(app.outdir).parent / "jupyter_execute" / f"{docname}.ipynb"
    # The landing page and the pages about this build are for here alone.
    is_about_here = docname == app.config.root_doc or docname.startswith("project/")
    is_executed = "kernelspec" in app.env.metadata[docname] and executed.exists()
    if is_about_here or not is_executed:
        return
    notebook = nbformat.read(executed, as_version=4)
    numbers = glued(executed.with_suffix(".glue.json"))
    cells = [cell for cell in notebook.cells if "remove-cell" not in cell.metadata.get("tags", [])]
    for cell in cells:
        if cell.cell_type == "markdown":
            cell.source = plain_markdown(cell.source, numbers)
    opening = [nbformat.v4.new_markdown_cell(INSTALL, id="install")]
    repository = app.config.notebooks_repository
    on_github = re.fullmatch(r"https://github\.com/(?P<name>[^/]+/[^/]+)", repository)
    if on_github:
        code = SETUP.format(repository=repository).strip()
        opening.append(nbformat.v4.new_code_cell(code, id="setup"))
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"  # Those of MyST-NB are others every time.
    notebook.cells = [*opening, *cells]
    target = Path(app.outdir).parent / "notebooks" / f"{docname}.ipynb"
    text = nbformat.writes(notebook)
    # A page depends on its notebook: one that is newer than it was would make it be read again.
    if not target.exists() or target.read_text("utf-8") != text:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")
    link = download_reference(reftarget="/" + os.path.relpath(target, app.srcdir))
    link += nodes.inline("", "Download this page as a notebook")
    links: list[nodes.Element] = [link]
    if on_github:
        address = COLAB.format(name=on_github["name"], docname=docname)
        links.append(nodes.reference("", "Open in Colab", refuri=address))
    line = facts_line(doctree)
    for each in links:
        line += nodes.inline("", " · " if line.children else "", each, classes=["on-screen"])


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension with Sphinx."""
    # A setting of its own: another one means that pages are read again, where options of the theme
    # let them only be written.
    app.add_config_value(
        "notebooks_repository",
        lambda config: config.html_theme_options.get("source_repository", ""),
        "env",
        types=frozenset({str}),
    )
    # Before Sphinx collects the files that a page lets download.
    app.connect("doctree-read", add_download, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
