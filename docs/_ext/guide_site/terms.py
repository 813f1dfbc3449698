"""Shows the definition of a term beside every link to it, under the pointer and to the keyboard.

The glossary itself is Sphinx's. The definition stands beside the link and the stylesheet shows it,
so it needs no script; one in site.js takes it away on Escape
(https://www.w3.org/WAI/WCAG22/Understanding/content-on-hover-or-focus).
"""

import html
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.writers.html5 import HTML5Translator


class TermLink(nodes.reference):
    """A link to a term, with its `definition` and an `identifier` for it."""


class Definitions(SphinxPostTransform):
    """Put beside every link to a term its definition."""

    default_priority = 20  # After references have been resolved.
    builders = ("html",)

    def run(self, **_: Any) -> None:
        """Edit the page."""
        definitions = {
            f"{self.app.builder.get_relative_uri(self.env.docname, page)}#{anchor}": definition
            for (page, anchor), definition in vars(self.env)["glossary"].items()
        }
        for number, link in enumerate(list(self.document.findall(nodes.reference))):
            address = link.get("refuri") or f"#{link.get('refid')}"
            if definition := definitions.get(address):
                told = {"definition": definition, "identifier": f"definition-{number}"}
                explained = TermLink("", "", *link.children, refuri=address, **told)
                explained.update_basic_atts(link)
                link.replace_self(explained)


def visit_term_link(self: HTML5Translator, node: TermLink) -> None:
    """Open the link."""
    link = {"href": node["refuri"], "aria-describedby": node["identifier"]}
    self.body.append('<span class="term">')
    self.body.append(self.starttag(node, "a", "", CLASS="reference internal", **link))


def depart_term_link(self: HTML5Translator, node: TermLink) -> None:
    """Close the link, and write the definition."""
    self.body.append(
        f'</a><span class="term-definition" role="tooltip" id="{node["identifier"]}">'
        f"{html.escape(node['definition'])}</span></span>"
    )


def glossary(env: BuildEnvironment) -> dict[tuple[str, str], str]:
    """Return the definition of every term, by its page and anchor."""
    objects = env.get_domain("std").get_objects()
    pages = sorted({page for _, _, kind, page, _, _ in objects if kind == "term"})
    return {
        (page, anchor): " ".join(next(item.findall(nodes.definition)).astext().split())
        for page in pages
        for item in env.get_doctree(page).findall(nodes.definition_list_item)
        for term in item.findall(nodes.term)
        for anchor in term["ids"]
    }


def update(_app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Keep the glossary, and write all pages anew when it has changed: they repeat it."""
    before, vars(env)["glossary"] = vars(env).get("glossary"), glossary(env)
    return [] if vars(env)["glossary"] == before else sorted(env.found_docs)
