"""Terms show their definition under the pointer: a link to the glossary says what it leads to."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform


class Definitions(SphinxPostTransform):
    """Give every link to a term its definition as a tooltip."""

    default_priority = 20  # After references have been resolved.
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        """Edit the page."""
        del kwargs
        for link in self.document.findall(nodes.reference):
            if any("std-term" in node["classes"] for node in link.findall(nodes.inline)):
                docname, _, term = link.get("refuri", "").partition("#")
                definition = self.definition(docname, term or link.get("refid", ""))
                if definition:
                    link["reftitle"] = definition

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


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension with Sphinx."""
    app.add_post_transform(Definitions)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
