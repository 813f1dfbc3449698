"""A strict Content-Security-Policy on every page: nothing runs or loads but what the site ships.

See https://www.w3.org/TR/CSP3. The theme's inline script and stylesheet are allowed by their
hashes. Drawings have their colours in `style` attributes, which would need `unsafe-inline`; there
they are the same as attributes of their own. A site that `nox -s docs -- serve` builds, with the
tag "served", has no policy: its pages run the script with which sphinx-autobuild reloads them.
"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx


STYLE = re.compile(r"(?<=\s)style=\"([^\"]*)\"(?=[^<>]*>)")
DRAWING = re.compile(r"<svg\b.*?</svg>", re.DOTALL)


def hashes(tag: str, page: str) -> str:
    """Return the sources that allow a page's inline scripts, or stylesheets."""
    found = re.findall(rf"<{tag}(?:\s(?!src)[^>]*)?>(.*?)</{tag}>", page, re.DOTALL)
    digests = {hashlib.sha256(text.encode()).digest() for text in found if text}
    return "".join(f" 'sha256-{base64.b64encode(d).decode()}'" for d in sorted(digests))


def policy(page: str) -> str:
    """Return the policy of a page."""
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src 'self'{hashes('script', page)}",
            f"style-src 'self'{hashes('style', page)}",
            "img-src 'self' data:",
            "font-src 'self'",
            "connect-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
        ]
    )


def without_styles(drawing: str) -> str:
    """Return a drawing whose styles are attributes: `fill: none` is `fill="none"`."""

    def attributes(match: re.Match[str]) -> str:
        pairs = (rule.partition(":") for rule in match[1].split(";") if rule.strip())
        return " ".join(f'{name.strip()}="{value.strip()}"' for name, _, value in pairs)

    return STYLE.sub(attributes, drawing)


def secured(page: str) -> str:
    """Return a page with its policy."""
    page = DRAWING.sub(lambda match: without_styles(match[0]), page)
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy(page)}">'
    # As soon as the encoding is known, and before anything is loaded.
    return re.sub(r"(<meta charset=[^>]*>)", rf"\1{meta}", page, count=1)


def secure(app: Sphinx, error: Exception | None) -> None:
    """Write the policy into every page that this build has written."""
    if error or app.builder.name != "html" or app.tags.has("served"):
        return
    for path in Path(app.outdir).rglob("*.html"):
        page = path.read_text("utf-8")
        if '<meta http-equiv="Content-Security-Policy"' not in page:
            path.write_text(secured(page), "utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension with Sphinx."""
    # The last, when nothing writes a page any more.
    app.connect("build-finished", secure, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
