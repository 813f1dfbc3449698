"""A line below each page's title: how long it reads and what it ran with. And its description.

The links in the same line are from `notebooks`. What a page says of itself to search engines is its
first paragraph, the question it answers.
"""

from __future__ import annotations

import html
import platform
from collections.abc import Iterator
from importlib import metadata
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

from guide_site import METADATA, insides
from guide_site.kernels import SURROUNDINGS


# Words of English prose a minute (Brysbaert, How many words do we read per minute?, 2019), and
# lines of code, which nobody seems to have measured.
WORDS, CODE_LINES = 238, 20

LINE = "page-facts"


def reading_minutes(doctree: nodes.document) -> int:
    """Return how long a page takes to read: its prose, and the code that is not folded away."""
    words = lines = 0
    for node in doctree.findall(nodes.Text):
        parents = [*_parents(node)]
        if any(insides.is_alternative(parent) for parent in parents):
            continue
        if any(isinstance(parent, nodes.literal_block) for parent in parents):
            folded = any(insides.is_folded(parent) for parent in parents)
            lines += 0 if folded else len([line for line in node.splitlines() if line.strip()])
        elif not any(isinstance(parent, nodes.raw) for parent in parents):
            words += len(node.split())
    return max(1, round(words / WORDS + lines / CODE_LINES))


def _parents(node: nodes.Node) -> Iterator[nodes.Element]:
    while node.parent is not None:
        node = node.parent
        yield node


def facts_lines(doctree: nodes.document) -> list[nodes.paragraph]:
    """Return the line of facts, if the page has one."""
    return [line for line in doctree.findall(nodes.paragraph) if LINE in line["classes"]]


def facts_line(doctree: nodes.document) -> nodes.paragraph:
    """Return the line below the title, a new one if there is none yet."""
    for line in facts_lines(doctree):
        return line
    line = nodes.paragraph(classes=[LINE])
    title = next(iter(doctree.findall(nodes.title)), None)
    if title is None:  # Sphinx warns of a page without one; it is no reason to stop.
        doctree.insert(0, line)
    else:
        title.parent.insert(title.parent.index(title) + 1, line)
    return line


def summary(doctree: nodes.document) -> str:
    """Return the first paragraph of a page: the question that it answers."""
    for paragraph in doctree.findall(nodes.paragraph):
        if LINE not in paragraph["classes"]:
            return " ".join(paragraph.astext().split())
    return ""


def describe(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Give the page its description."""
    del app, pagename, templatename
    if doctree and (text := summary(doctree)):
        context["metatags"] += f'<meta name="description" content="{html.escape(text)}"/>\n'
        # The page's body is written by now. The extension for OpenGraph looks for the first words.
        for line in facts_lines(doctree):
            line.parent.remove(line)


def add_facts(app: Sphinx, doctree: nodes.document) -> None:
    """Say how long an executed page reads, and what it was executed with."""
    docname = app.env.docname
    if not insides.is_executed(app.env, docname):
        return
    insides.check_cells(doctree)
    # The landing page is no page to read.
    if docname == app.config.root_doc:
        return
    minutes = reading_minutes(doctree)
    backend = SURROUNDINGS["JAX_PLATFORMS"]
    ran = f"JAX {metadata.version('jax')} on {backend}, Python {platform.python_version()}"
    text = f"{minutes} minute{'' if minutes == 1 else 's'} to read · ran with {ran}"
    facts_line(doctree).append(nodes.inline("", text))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension with Sphinx."""
    # Before `notebooks`, which adds to the line.
    app.connect("doctree-read", add_facts, priority=300)
    # Before the extension for OpenGraph, which leaves a description alone.
    app.connect("html-page-context", describe, priority=400)
    return METADATA
