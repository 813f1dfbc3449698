"""What readers type leads to the heading that answers it, whatever words stand there.

A page says so in its front matter: under `search`, the anchor of a heading, or `page` for all of
it, and phrases, separated by commas. They become entries of Sphinx's index, which its search reads
and no reader sees: not on the page, nor in the notebook, llms-full.txt or the e-book that are made
of it. _static/search.js ranks by them.

Sphinx forgets the entries of a page when it writes others alone, those of the glossary, too
(`IndexBuilder.load` does not read them back). So they are kept with what it knows of the page.
"""

import json
from collections.abc import Iterable
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.index_entries import split_index_msg

from guide_site import insides


logger = logging.getLogger(__name__)

KEPT = "index entries"


def phrases(text: str) -> list[str]:
    """Return the phrases of a heading, each once."""
    found = (" ".join(phrase.split()) for phrase in text.split(","))
    return list(dict.fromkeys(phrase for phrase in found if phrase))


def add_entries(doctree: nodes.document, words: dict[str, str]) -> list[str]:
    """Add the entries to the sections of a page, and return the anchors that it does not have."""
    sections = {section["ids"][0]: section for section in doctree.findall(nodes.section)}
    page = next(iter(sections.values()), None)
    missing = []
    for anchor, text in words.items():
        section = page if anchor == "page" else sections.get(anchor)
        if section is None:
            missing.append(anchor)
            continue
        target = "" if section is page else anchor
        # Sphinx lists what is not "main" below everything else.
        entries = [("single", each, target, "main", None) for each in phrases(text)]
        section.append(addnodes.index(entries=entries))
    return missing


def entries_of(doctree: nodes.document) -> list[tuple[str, str, str]]:
    """Return all entries of a page as Sphinx's search has them: what, where, and whether main."""
    entries = [entry for node in doctree.findall(addnodes.index) for entry in node["entries"]]
    return sorted(
        {
            (text, target or "", main)
            for kind, value, target, main, _ in entries
            for text in split_index_msg(kind, value)
        }
    )


def read(app: Sphinx, doctree: nodes.document) -> None:
    """Add the entries of a page that was read."""
    docname = app.env.docname
    metadata = app.env.metadata[docname]
    for anchor in add_entries(doctree, json.loads(metadata.get("search", "{}"))):
        message = "the front matter has search words for #%s, which is not on the page"
        logger.warning(message, anchor, location=docname, type="search")
    metadata[KEPT] = entries_of(doctree)


def complete(app: Sphinx) -> Iterable[tuple[str, dict[str, Any], str]]:
    """Give the search index, before it is written, the entries of pages that were not."""
    entries = insides.search_entries(app)
    if entries is not None:
        kept = {name: app.env.metadata[name].get(KEPT, []) for name in sorted(app.env.all_docs)}
        written = dict(entries)
        entries.clear()
        entries.update(kept | {name: written[name] for name in kept if name in written})
    return ()
