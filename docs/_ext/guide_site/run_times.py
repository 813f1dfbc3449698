"""The directive `run-times`: a table of when each page ran, how long, and whether it passed.

Pages are run in `running`, which notes what is shown here. MyST-NB has a table of its own; it names
files and not pages, in alphabetical order, and says with an emoji whether a page ran, which is a
box where no font has it.
"""

import datetime as dt
from collections.abc import Iterable
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxDirective

from guide_site import insides, running


HEAD = ("Page", "Ran", "Seconds", "Result")
MARK = "run-times"


class RunTimes(SphinxDirective):
    """The directive: it leaves an empty table, and a mark on the page."""

    def run(self) -> list[nodes.Node]:
        """Return what stands in the directive's place until all pages have been read."""
        self.env.metadata[self.env.docname][MARK] = True
        return [nodes.table(classes=[MARK, "colwidths-auto"])]


class Table(SphinxPostTransform):
    """Fill the table."""

    default_priority = 7

    def run(self, **_: Any) -> None:
        """Edit the page."""
        for table in self.document.findall(nodes.table):
            if MARK in table["classes"]:
                body = [self.linked(*cells) for cells in rows(self.env)]
                columns = [nodes.colspec(colwidth=1) for _ in HEAD]
                head = nodes.thead("", row(map(nodes.Text, HEAD)))
                parts = (*columns, head, nodes.tbody("", *body))
                table.append(nodes.tgroup("", *parts, cols=len(HEAD)))

    def linked(self, docname: str, title: str, *texts: str) -> nodes.row:
        """Return a row of the table, which begins with a link to the page."""
        address = self.app.builder.get_relative_uri(self.env.docname, docname)
        link = nodes.reference("", "", nodes.inline("", title), refuri=address, internal=True)
        return row([link, *map(nodes.Text, texts)])


def row(cells: Iterable[nodes.Node]) -> nodes.row:
    """Return a row of a table."""
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", cell)) for cell in cells))


def rows(env: BuildEnvironment) -> list[tuple[str, ...]]:
    """Return the name, title, time, seconds and result of every page that ran, in their order."""
    found: list[tuple[str, ...]] = []
    for docname in insides.in_order(env):
        if facts := running.runs(env).get(docname):
            ran = dt.datetime.fromtimestamp(facts["ran"], dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
            result = "failed" if facts["failure"] else "passed"
            title = env.titles[docname].astext()
            found.append((docname, title, ran, f"{facts['seconds']:.1f}", result))
    return found


def update(_app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Write the pages with a table anew when there is something else to show."""
    before, vars(env)["run_times"] = vars(env).get("run_times"), rows(env)
    if before == vars(env)["run_times"]:
        return []
    return [name for name in env.found_docs if MARK in env.metadata[name]]
