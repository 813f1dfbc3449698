"""The table of when each page ran, and how long: what MyST-NB's directive `nb-exec-table` becomes.

MyST-NB's own table names files and not pages, in alphabetical order, and says with an emoji whether
a page ran, which is a box where no font has it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

from docutils import nodes
from myst_nb.ext.execution_tables import ExecutionStatsNode
from myst_nb.sphinx_ import NbMetadataCollector
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform


HEAD = ("Page", "Ran", "Seconds", "Result")


class RunTimes(SphinxPostTransform):
    """Put the table in the directive's place."""

    default_priority = 7  # Before MyST-NB does, at 8, and before references are resolved.

    def run(self, **kwargs: Any) -> None:
        """Edit the page."""
        del kwargs
        for placeholder in list(self.document.findall(ExecutionStatsNode)):
            placeholder.replace_self(table(HEAD, rows(self.env, self.env.docname)))


def rows(env: BuildEnvironment, here: str) -> Iterator[list[nodes.Node]]:
    """Yield a row for every page that ran, in the order in which the pages are read."""
    for docname in env.collect_relations():
        data = NbMetadataCollector.get_exec_data(env, docname)
        if not data:
            continue
        title = env.titles[docname].astext()
        link = pending_xref(
            "",
            nodes.inline("", title),
            refdoc=here,
            refdomain="std",
            refexplicit=True,
            reftarget=f"/{docname}",
            reftype="doc",
            refwarn=True,
        )
        ran = dt.datetime.fromtimestamp(data["mtime"]).astimezone(dt.UTC)
        seconds = "" if data["runtime"] is None else f"{data['runtime']:.1f}"
        result = "passed" if data["succeeded"] else "failed"
        yield [link, *map(nodes.Text, (f"{ran:%Y-%m-%d %H:%M} UTC", seconds, result))]


def table(head: tuple[str, ...], body: Iterator[list[nodes.Node]]) -> nodes.table:
    """Return a table."""

    def row(cells: Any) -> nodes.row:
        return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", c)) for c in cells))

    columns = [nodes.colspec(colwidth=1) for _ in head]
    headings = nodes.thead("", row(map(nodes.Text, head)))
    group = nodes.tgroup("", *columns, headings, nodes.tbody("", *map(row, body)), cols=len(head))
    return nodes.table("", group, classes=["colwidths-auto"])


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension with Sphinx."""
    app.add_post_transform(RunTimes)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
