"""A line below each page's title: how long it reads and what it ran with. And its description.

The links in the same line are from `notebooks`. What a page says of itself to search engines is its
first paragraph, the question it answers.
"""

import html
import platform
from importlib import metadata
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

from guide_site import insides
from guide_site.kernels import SURROUNDINGS


# Words of English prose a minute (Brysbaert, How many words do we read per minute?, 2019), and
# lines of code, which nobody seems to have measured.
WORDS, CODE_LINES = 238, 20

LINE = "page-facts"


def reading_minutes(doctree: nodes.document) -> int:
    """Return how long a page takes to read: its prose, and the code that is not folded away."""
    page = doctree.deepcopy()
    for cell in page.findall(nodes.container):
        if insides.is_folded(cell):
            cut(cell, nodes.literal_block)
    for unread in (insides.is_alternative, nodes.raw, nodes.image):
        cut(page, unread)
    code = "\n".join(listing.astext() for listing in cut(page, nodes.literal_block))
    lines = [line for line in code.splitlines() if line.strip()]
    return max(1, round(len(page.astext().split()) / WORDS + len(lines) / CODE_LINES))


def cut(page: nodes.Element, what: Any) -> list[nodes.Element]:
    """Take all nodes of a kind out of a page, and return them."""
    found = list(page.findall(what))
    for node in found:
        node.parent.remove(node)
    return found


def is_line(node: nodes.Node) -> bool:
    """Say whether a node is the line of facts."""
    return isinstance(node, nodes.paragraph) and LINE in node["classes"]


def facts_line(doctree: nodes.document) -> nodes.paragraph:
    """Return the line below the title, a new one if there is none yet."""
    for paragraph in doctree.findall(nodes.paragraph):
        if is_line(paragraph):
            return paragraph
    line = nodes.paragraph(classes=[LINE])
    title = next(iter(doctree.findall(nodes.title)), None)
    if title is None:  # Sphinx warns of a page without one; it is no reason to stop.
        doctree.insert(0, line)
    else:
        title.parent.insert(title.parent.index(title) + 1, line)
    return line


def summary(doctree: nodes.document) -> str:
    """Return the first paragraph of a page: the question that it answers."""
    paragraphs = (node for node in doctree.findall(nodes.paragraph) if not is_line(node))
    return " ".join(next((paragraph.astext() for paragraph in paragraphs), "").split())


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


def describe(
    _app: Sphinx, _pagename: str, _templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Give the page its description."""
    if doctree and (text := summary(doctree)):
        context["metatags"] += f'<meta name="description" content="{html.escape(text)}"/>\n'
        # The page's body is written by now. The extension for OpenGraph looks for the first words.
        cut(doctree, is_line)
