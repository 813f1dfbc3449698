"""llms.txt and llms-full.txt: the guide for language models, with what its cells print.

See https://llmstxt.org. The sources of the pages would not do: they have code and no outputs. So
executed pages are written from their executed notebooks, the others from what Sphinx read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.builders.text import TextBuilder
from sphinx.writers.text import TextTranslator

from guide_site import METADATA, insides
from guide_site.facts import summary
from guide_site.notebooks import executed, plain_markdown


# The fences and options of MyST's directives: what stands between them is text. Code is kept.
DIRECTIVE = re.compile(
    r"^(?P<kept>```(?!\{(?:toctree|run-times)\})[\s\S]*?^```)"
    r"|^(?::{3,}.*|:[\w-]+:.*|```[\s\S]*?^```)\n?",
    re.MULTILINE,
)

ABOUT = (
    "A guide to jax.vmap whose pages run while they are built, and a package that shows what vmap "
    "made of a function, line by line of the user's own code."
)


def page_text(app: Sphinx, docname: str) -> str:
    """Return a page as Markdown, or as plain text if it was not executed."""
    notebook = executed(app, docname)
    if notebook is None:
        builder = TextBuilder(app, app.env)
        builder.secnumbers = {}  # Headings have no numbers.
        doctree = app.env.get_and_resolve_doctree(docname, builder, tags=app.tags)
        translator = TextTranslator(doctree, builder)
        doctree.walkabout(translator)
        return translator.body
    numbers = insides.take_glued(notebook)
    return "\n\n".join(part for cell in notebook.cells for part in cell_parts(cell, numbers))


def cell_parts(cell: Any, numbers: dict[str, str]) -> Iterator[str]:
    """Yield what a cell says: its text, or its code and what that printed."""
    tags = cell.metadata.get("tags", ())
    if cell.cell_type == "markdown":
        text = plain_markdown(cell.source, numbers)
        yield DIRECTIVE.sub(lambda match: match["kept"] or "", text)
    if cell.cell_type != "code" or "remove-cell" in tags:
        return
    if "remove-input" not in tags:
        yield f"```python\n{cell.source}\n```"
    for output in cell.outputs if "remove-output" not in tags else ():
        yield from output_parts(output)


def output_parts(output: Any) -> Iterator[str]:
    """Yield an output as Markdown. What is drawn has only its name."""
    if output.output_type == "error":
        yield f"```text\n{output.ename}: {output.evalue}\n```"
    elif output.output_type == "stream":
        yield f"```text\n{output.text.rstrip()}\n```"
    elif "text/markdown" in output.data:
        yield output.data["text/markdown"]
    elif text := output.data.get("text/plain", "").strip():
        yield f"```text\n{text}\n```"


def entry(app: Sphinx, docname: str) -> str:
    """Return a page's line in the index, and below it the page."""
    title = app.env.titles[docname].astext()
    address = f"{app.config.html_baseurl}{app.builder.get_target_uri(docname)}"
    line = f"- [{title}]({address}): {summary(app.env.get_doctree(docname))}"
    return f"{line}\n<!-- {docname} -->\n\n{page_text(app, docname).strip()}"


def write(app: Sphinx, error: Exception | None, changed: set[str]) -> None:
    """Write both files beside the site's landing page; pages that did not change are kept."""
    index_path, full_path = (Path(app.outdir, name) for name in ("llms.txt", "llms-full.txt"))
    if error or app.builder.name != "html" or (full_path.exists() and not changed):
        return
    entries = []
    for docname in insides.in_order(app.env):
        kept = Path(app.doctreedir, "llms", f"{docname}.md")
        if docname in changed or not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(entry(app, docname), "utf-8")
        entries.append(kept.read_text("utf-8").partition("\n"))
    title = f"# {app.config.html_title}\n\n"
    lines = "".join(f"{line}\n" for line, _, _ in entries)
    index_path.write_text(f"{title}> {ABOUT}\n\n{lines}", "utf-8")
    texts = "\n\n\n".join(text for _, _, text in entries)
    full_path.write_text(f"{title}{ABOUT}\n\n\n{texts}\n", "utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension with Sphinx."""
    changed: set[str] = set()
    app.connect("doctree-resolved", lambda _app, _doctree, docname: changed.add(docname))
    app.connect("build-finished", lambda app, error: write(app, error, changed))
    return METADATA
