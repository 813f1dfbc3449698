"""A sitemap for search engines, where the build knows its address (https://www.sitemaps.org).

The library for it starts a process by a fork, which may hang while JAX's threads run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from sphinx.application import Sphinx


def sitemap(addresses: list[str]) -> str:
    """Return a sitemap of pages."""
    urls = "".join(f"<url><loc>{escape(address)}</loc></url>\n" for address in addresses)
    opening = '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">'
    return f'<?xml version="1.0" encoding="utf-8"?>\n{opening}\n{urls}</urlset>\n'


def write(app: Sphinx, error: Exception | None) -> None:
    """Write the sitemap beside the landing page."""
    base = app.config.html_baseurl
    if error or app.builder.name != "html":
        return
    if not base:  # A build before may have had one.
        Path(app.outdir, "sitemap.xml").unlink(missing_ok=True)
        return
    addresses = [base + app.builder.get_target_uri(page) for page in sorted(app.env.found_docs)]
    Path(app.outdir, "sitemap.xml").write_text(sitemap(addresses), "utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension with Sphinx."""
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
