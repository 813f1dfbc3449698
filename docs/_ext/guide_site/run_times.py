"""The directive `run-times`: a table of when each page ran, how long, and whether it passed.

Pages are run in `running`, which notes what is shown here. MyST-NB has a table of its own; it names
files and not pages, in alphabetical order, and says with an emoji whether a page ran, which is a
box where no font has it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxDirective

from guide_site import METADATA, insides, running


HEAD = ("Page", "Ran", "Seconds", "Result")
MARK = "run-times"


class Placeholder(nodes.General, nodes.Element):
    """Where the table will stand, once all pages have been read."""


class RunTimes(SphinxDirective):
    """The directive: it leaves a placeholder, and a mark on the page."""

    def run(self) -> list[nodes.Node]:
        """Return what stands in the directive's place."""
        self.env.metadata[self.env.docname][MARK] = True
        return [Placeholder()]


class Table(SphinxPostTransform):
    """Put the table in the placeholder's place."""

    default_priority = 7

    def run(self, **kwargs: Any) -> None:
        """Edit the page."""
        del kwargs
        for placeholder in list(self.document.findall(Placeholder)):
            placeholder.replace_self(table([self.linked(*row) for row in rows(self.env)]))

    def linked(self, docname: str, title: str, *texts: str) -> list[nodes.Node]:
        """Return a row of the table, which begins with a link to the page."""
        address = self.app.builder.get_relative_uri(self.env.docname, docname)
        link = nodes.reference("", "", nodes.inline("", title), refuri=address, internal=True)
        return [link, *map(nodes.Text, texts)]


def rows(env: BuildEnvironment) -> list[tuple[str, ...]]:
    """Return the name, title, time, seconds and result of every page that ran, in their order."""
    known = running.runs(env)
    found: list[tuple[str, ...]] = []
    for docname in filter(known.__contains__, insides.in_order(env)):
        facts = known[docname]
        ran = dt.datetime.fromtimestamp(facts["ran"], dt.UTC)
        result = "failed" if facts["failure"] else "passed"
        seconds = f"{facts['seconds']:.1f}"
        title = env.titles[docname].astext()
        found.append((docname, title, f"{ran:%Y-%m-%d %H:%M} UTC", seconds, result))
    return found


def table(body: Iterable[list[nodes.Node]]) -> nodes.table:
    """Return a table."""

    def row(cells: Iterable[nodes.Node]) -> nodes.row:
        return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", c)) for c in cells))

    columns = [nodes.colspec(colwidth=1) for _ in HEAD]
    headings = nodes.thead("", row(map(nodes.Text, HEAD)))
    group = nodes.tgroup("", *columns, headings, nodes.tbody("", *map(row, body)), cols=len(HEAD))
    return nodes.table("", group, classes=["colwidths-auto"])


def update(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Write the pages with a table anew when there is something else to show."""
    del app
    before, vars(env)["run_times"] = vars(env).get("run_times"), rows(env)
    if before == vars(env)["run_times"]:
        return []
    return [name for name in env.found_docs if MARK in env.metadata[name]]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension with Sphinx."""
    app.add_node(Placeholder)
    app.add_directive(MARK, RunTimes)
    app.add_post_transform(Table)
    app.connect("env-updated", update)
    return METADATA
