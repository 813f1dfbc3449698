"""Finishes the written pages: accessible names, a security policy, and a sitemap.

This runs once, after everything else, over all pages of the site as they stand on the disk. Every
amendment must match somewhere on the site, or the build warns; to amend a page twice changes
nothing. What an e-book needs is in `epub`.
"""

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from xml.sax.saxutils import escape

from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util import logging


logger = logging.getLogger(__name__)

# By its name: what to look for, amended already or not, and what to write instead. Each is what
# axe-core finds on a page without it, or a reader who listens or speaks to the page.
AMENDMENTS = {
    # A heading says of which level it is.
    "level of a caption": (
        r'(class="caption" role="heading")(?: aria-level="2")?',
        r'\1 aria-level="2"',
    ),
    # The corner of a table heads nothing.
    "corner of a table": (
        r'<th class="head[^"]*">(?:<p></p>)?</th>|<td class="corner"></td>',
        '<td class="corner"></td>',
    ),
    # What is read out stands in a landmark.
    "buttons above a page": (
        r'<div class="content-icon-container"[^>]*>',
        '<div class="content-icon-container" role="region" aria-label="Source and theme">',
    ),
    # What can be pressed is called by what is written on it.
    "button of a folded cell": (
        r'<summary(?: aria-label="Toggle hidden content")?>(\s*<p class="collapsed )',
        r"<summary>\1",
    ),
    # Two landmarks of one kind have names.
    "list of all pages": (
        r'<aside class="sidebar-drawer"[^>]*>',
        '<aside class="sidebar-drawer" aria-label="All pages">',
    ),
    "list of a page's parts": (
        r'<aside class="(toc-drawer[^"]*)"[^>]*>',
        r'<aside class="\1" aria-label="This page">',
    ),
    # The policy forbids styles on elements, and an attribute says the same.
    "styles of the theme's icons": (
        r'(<[a-z]+ [^>]*?)(?:style="(opacity|display): ([\w%]+);?"|(opacity|display)="([\w%]+)")',
        r'\1\2\4="\3\5"',
    ),
}

# As soon as the encoding is known, and before anything is loaded.
POLICY = re.compile(
    r'(<meta charset=[^>]*>)(?:<meta http-equiv="Content-Security-Policy"[^>]*>)?', re.IGNORECASE
)
INLINE = re.compile(r"<(script|style)\b([^>]*)>(.*?)</\1>", re.DOTALL)
SHIPPED = "img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'"

Amendments = dict[str, tuple[str, str]]


def amended(page: str, amendments: Amendments) -> tuple[str, Counter[str]]:
    """Return a page with its amendments, and how often each matched."""
    matches: Counter[str] = Counter()
    for name, (pattern, replacement) in amendments.items():
        page, matches[name] = re.subn(pattern, replacement, page, flags=re.DOTALL)
    return page, matches


def policy(page: str) -> tuple[str, Counter[str]]:
    """Return a strict Content-Security-Policy for a page, and how often each part of it matched.

    Nothing runs or loads but what the site ships; the theme's inline script and stylesheet are
    allowed by their hashes. See https://www.w3.org/TR/CSP3.
    """
    sources: dict[str, set[str]] = {"script": set(), "style": set()}
    for tag, attributes, text in INLINE.findall(page):
        if text and " src=" not in attributes:
            digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
            sources[tag].add(f" 'sha256-{digest}'")
    inline = (f"{tag}-src 'self'{''.join(sorted(found))}" for tag, found in sources.items())
    rules = f"default-src 'none'; {'; '.join(inline)}; {SHIPPED}; base-uri 'none'"
    return rules, Counter({f"inline {tag}": len(found) for tag, found in sources.items()})


def secured(page: str, name: str) -> tuple[str, Counter[str]]:
    """Return a page with its policy, and how often each part of it matched; warn of a gap."""
    rules, matches = policy(page)
    meta = f'<meta http-equiv="Content-Security-Policy" content="{rules}">'
    page, found = POLICY.subn(rf"\1{meta}", page, count=1)
    if not found:
        warn(name, "it has no `<meta charset>` and so no security policy")
    if len(INLINE.findall(page)) != len(re.findall(r"<(?:script|style)\b", page)):
        warn(name, "it has a script or a stylesheet that its security policy does not know")
    if style := re.search(r'<[a-z][^<>]*\sstyle="[^"]*"', page):
        warn(name, f"its security policy forbids {style[0]}")
    return page, matches


def warn(page: str, message: str) -> None:
    """Warn of a page as it was written."""
    logger.warning("%s: %s", page, message, type="finish")


def rewrite(
    folder: Path, pattern: str, change: Callable[[str, str], tuple[str, Counter[str]]]
) -> Counter[str]:
    """Change all pages of a folder; return how often each part of the change matched."""
    matches: Counter[str] = Counter()
    for path in sorted(folder.rglob(pattern)):
        page = path.read_text("utf-8")
        new, found = change(page, path.relative_to(folder).as_posix())
        matches.update(found)
        if new != page:
            path.write_text(new, "utf-8")
    return matches


def expect(config: Config, matches: Counter[str]) -> None:
    """Warn of every amendment that has matched nowhere on the site, and was expected to."""
    for name, count in matches.items():
        if not count and name not in config.amendments_unused:
            logger.warning("nothing on the site matches the amendment %r", name, type="finish")


def finish(app: Sphinx, error: Exception | None) -> None:
    """Amend the pages, and write the sitemap where the build knows its address."""
    if error or app.builder.name != "html":
        return

    def change(page: str, name: str) -> tuple[str, Counter[str]]:
        page, matches = amended(page, AMENDMENTS)
        # A page that `nox -s docs -- serve` builds runs the script with which sphinx-autobuild
        # reloads it, so it has no policy.
        if not app.tags.has("served"):
            page, more = secured(page, name)
            matches.update(more)
        return page, matches

    expect(app.config, rewrite(Path(app.outdir), "*.html", change))
    path = Path(app.outdir, "sitemap.xml")
    path.unlink(missing_ok=True)  # A build before may have had an address.
    if base := app.config.html_baseurl:
        pages = sorted(app.env.found_docs)
        path.write_text(sitemap(base + app.builder.get_target_uri(page) for page in pages), "utf-8")


def sitemap(addresses: Iterable[str]) -> str:
    """Return a sitemap of pages for search engines: https://www.sitemaps.org.

    The library for it starts a process by a fork, which may hang while JAX's threads run.
    """
    urls = "".join(f"<url><loc>{escape(address)}</loc></url>\n" for address in addresses)
    opening = '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">'
    return f'<?xml version="1.0" encoding="utf-8"?>\n{opening}\n{urls}</urlset>\n'
