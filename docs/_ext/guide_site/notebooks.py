"""Makes every executed page a notebook to download, which runs on its own.

The notebook is the page with what its cells printed, which `running` has kept. It is made readable
in Jupyter, where MyST's roles mean nothing, rid of the cells that the page does not show either
(its checks, which need MyST-NB), and linked to from below the page's title, in the line of `facts`.
If the build knows its repository on GitHub, the page also opens in Colab, from the branch
`notebooks` that .github/workflows/ci.yml fills.
"""

import os
import re
from pathlib import Path
from typing import Any

import nbformat
from docutils import nodes
from sphinx.addnodes import download_reference
from sphinx.application import Sphinx

from guide_site import insides
from guide_site.facts import facts_line


ROLE = re.compile(r"\{(?P<role>[\w:+-]+)\}`(?P<text>[^`<]+?)\s*(?:<(?P<target>[^>]*)>)?`")
INSTALL = (
    "This page is a notebook of **vmapguide**. It needs `vmapguide` and `matplotlib` installed."
)


# Colab, and a Jupyter elsewhere, have JAX and no vmapguide.
SETUP = """import importlib.util

if importlib.util.find_spec("vmapguide") is None:
    %pip install --quiet "vmapguide[plot] @ git+{repository}"
"""
GITHUB = re.compile(r"https://github\.com/(?P<name>[^/]+/[^/]+)")
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


def folder(app: Sphinx) -> Path:
    """Return the folder of all notebooks, beside the site."""
    return Path(app.outdir).parent / "notebooks"


def readable(notebook: Any, repository: str) -> Any:
    """Return an executed notebook as its readers get it."""
    numbers = insides.take_glued(notebook)
    cells = [cell for cell in notebook.cells if "remove-cell" not in cell.metadata.get("tags", [])]
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"  # Those of MyST-NB are others every time.
        if cell.cell_type == "markdown":
            cell.source = plain_markdown(cell.source, numbers)
    opening = [nbformat.v4.new_markdown_cell(INSTALL, id="install")]
    if GITHUB.fullmatch(repository):
        code = SETUP.format(repository=repository).strip()
        opening.append(nbformat.v4.new_code_cell(code, id="setup"))
    notebook.cells = [*opening, *cells]
    return notebook


def add_download(app: Sphinx, doctree: nodes.document) -> None:
    """Write the page's notebook and link to it."""
    docname = app.env.docname
    # The landing page and the pages about this build are for here alone.
    for_here = docname == app.config.root_doc or docname.startswith("project/")
    in_cache = insides.is_executed(app.env, docname) and app.config.nb_execution_mode == "cache"
    if for_here or not in_cache:
        return
    notebook = insides.Outputs(app).executed(insides.notebook(app.env, docname))
    if notebook is None:
        return
    repository = app.config.notebooks_repository
    target = folder(app) / f"{docname}.ipynb"
    text = nbformat.writes(readable(notebook, repository))
    # A page depends on its notebook: one that is newer than it was would make it be read again.
    if not target.exists() or target.read_text("utf-8") != text:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")
    place = "/" + os.path.relpath(target, app.srcdir)
    words = nodes.inline("", "Download this page as a notebook")
    links: list[nodes.Element] = [download_reference("", "", words, reftarget=place)]
    if on_github := GITHUB.fullmatch(repository):
        address = COLAB.format(name=on_github["name"], docname=docname)
        links.append(nodes.reference("", "Open in Colab", refuri=address))
    line = facts_line(doctree)
    for each in links:
        line += nodes.inline("", " · " if line.children else "", each, classes=["on-screen"])
