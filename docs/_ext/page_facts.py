"""A line below each page's title: how long it reads, what it ran with, its notebook.

The notebook is linked to by the extension `notebooks`, which fills the same line. What the page
says of itself to search engines is its first paragraph, the question it answers.
"""

from __future__ import annotations

import html
import platform
from importlib import metadata
from typing import Any

from docutils import nodes
from execution import SURROUNDINGS
from sphinx.application import Sphinx


# Words of English prose a minute (Brysbaert, How many words do we read per minute?, 2019), and
# lines of code, which nobody seems to have measured.
WORDS, CODE_LINES = 238, 20


class Facts(nodes.Admonition, nodes.paragraph):
    """The line. As a kind of admonition, nothing takes it for the first words of the page."""


def reading_minutes(doctree: nodes.document) -> int:
    """Return how long a page takes to read: its prose, and the code that is not folded away."""
    words = lines = 0
    for node in doctree.findall(nodes.Text):
        parents = [*_parents(node)]
        if any(is_alternative(parent) for parent in parents):
            continue
        if any(isinstance(parent, nodes.literal_block) for parent in parents):
            folded = any("hide" in name for p in parents for name in p.get("classes", ()))
            lines += 0 if folded else len([line for line in node.splitlines() if line.strip()])
        elif not any(isinstance(parent, nodes.raw) for parent in parents):
            words += len(node.split())
    return max(1, round(words / WORDS + lines / CODE_LINES))


def is_alternative(node: nodes.Element) -> bool:
    """Say whether a part of an output stands beside a better one, which is shown."""
    kinds = [
        child.get("mime_type") for child in node.parent or () if isinstance(child, nodes.Element)
    ]
    return node.get("mime_type") == "text/plain" and len(kinds) > 1


def _parents(node: nodes.Node) -> Any:
    while node.parent is not None:
        node = node.parent
        yield node


def facts_line(doctree: nodes.document) -> Facts:
    """Return the line below the title, a new one if there is none yet."""
    for line in doctree.findall(Facts):
        return line
    line = Facts("", "", classes=["page-facts"])
    title = next(iter(doctree.findall(nodes.title)), None)
    if title is None:  # Sphinx warns of a page without one; it is no reason to stop.
        doctree.insert(0, line)
    else:
        title.parent.insert(title.parent.index(title) + 1, line)
    return line


def summary(doctree: nodes.document) -> str:
    """Return the first paragraph of a page: the question that it answers."""
    for paragraph in doctree.findall(nodes.paragraph):
        if not isinstance(paragraph, Facts):
            texts = paragraph.findall(nodes.Text)
            # By the time a page is written, links to terms have raw HTML around them.
            words = (text for text in texts if not isinstance(text.parent, nodes.raw))
            return " ".join("".join(words).split())
    return ""


def describe(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Give the page its description."""
    del app, pagename, templatename
    if doctree and (text := summary(doctree)):
        context["metatags"] += f'<meta name="description" content="{html.escape(text)}"/>\n'


def add_facts(app: Sphinx, doctree: nodes.document) -> None:
    """Say how long an executed page reads, and what it was executed with."""
    docname = app.env.docname
    # The landing page is no page to read, and those about this build say more than a line.
    if docname == app.config.root_doc or "kernelspec" not in app.env.metadata[docname]:
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
    return {"parallel_read_safe": True, "parallel_write_safe": True}
