"""Terms show their definition, under the pointer and to the keyboard.

The definition stands beside the link and the stylesheet shows it, so it needs no script; one in
site.js takes it away on Escape (https://www.w3.org/WAI/WCAG22/Understanding/content-on-hover-or-focus).
"""

from __future__ import annotations

import html
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform


class Definitions(SphinxPostTransform):
    """Put beside every link to a term its definition."""

    default_priority = 20  # After references have been resolved.
    builders = ("html",)

    def run(self, **kwargs: Any) -> None:
        """Edit the page."""
        del kwargs
        for number, link in enumerate(list(self.document.findall(nodes.reference))):
            if any("std-term" in node["classes"] for node in link.findall(nodes.inline)):
                docname, _, term = link.get("refuri", "").partition("#")
                definition = self.definition(docname, term or link.get("refid", ""))
                if definition:
                    link.replace_self(explained(link, f"definition-{number}", definition))

    def definition(self, address: str, term: str) -> str:
        """Return what the glossary says about a term."""
        pages = {
            self.app.builder.get_relative_uri(self.env.docname, page): page
            for page in self.env.found_docs
        }
        page = pages.get(address, self.env.docname)
        for item in self.env.get_doctree(page).findall(nodes.definition_list_item):
            if any(term in node["ids"] for node in item.findall(nodes.term)):
                return " ".join(next(item.findall(nodes.definition)).astext().split())
        return ""


def explained(link: nodes.reference, identifier: str, definition: str) -> list[nodes.Node]:
    """Return a link with a definition beside it. Its words stay words, which search finds."""
    address = html.escape(link.get("refuri") or f"#{link['refid']}")
    opening = (
        f'<span class="term"><a class="reference internal" href="{address}"'
        f' aria-describedby="{identifier}">'
    )
    closing = (
        f'</a><span class="term-definition" role="tooltip" id="{identifier}">'
        f"{html.escape(definition)}</span></span>"
    )
    return [
        nodes.raw("", opening, format="html"),
        *link.children,
        nodes.raw("", closing, format="html"),
    ]


def repeat(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Write all pages anew when the glossary has changed: they repeat what Sphinx does not know."""
    del app
    objects = env.get_domain("std").get_objects()
    glossaries = sorted({page for _, _, kind, page, _, _ in objects if kind == "term"})
    said = [env.get_doctree(page).astext() for page in glossaries]
    before = vars(env).get("glossary", said)
    vars(env)["glossary"] = said
    return [] if said == before else sorted(env.found_docs)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension with Sphinx."""
    app.add_post_transform(Definitions)
    app.connect("env-updated", repeat)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
