"""Writes llms.txt and llms-full.txt: the guide for language models, with what its cells print.

See https://llmstxt.org. Every page is taken from its HTML as it is written, so what the HTML shows
is in the text; `markdown` turns the one into the other.
"""

from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from guide_site import insides
from guide_site.facts import summary
from guide_site.markdown import markdown


ABOUT = (
    "A guide to jax.vmap whose pages run while they are built, and a package that shows what vmap "
    "made of a function, line by line of the user's own code."
)


def kept(app: Sphinx, docname: str) -> Path:
    """Return where a page's text is kept until the page is written again."""
    return Path(app.doctreedir, "llms", f"{docname}.md")


def keep(
    app: Sphinx, pagename: str, _templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Keep a page's line in the index, and below it the page."""
    if not doctree or app.builder.name != "html":
        return
    page = app.env.get_doctree(pagename)
    title = app.env.titles[pagename].astext()
    address = f"{app.config.html_baseurl}{app.builder.get_target_uri(pagename)}"
    text = markdown(context["body"], address, insides.plain_outputs(page, context["body"]))
    path = kept(app, pagename)
    path.parent.mkdir(parents=True, exist_ok=True)
    line = f"- [{title}]({address}): {summary(page)}"
    path.write_text(f"{line}\n<!-- {pagename} -->\n\n{text}", "utf-8")


def write(app: Sphinx, error: Exception | None) -> None:
    """Write both files beside the site's landing page."""
    if error or app.builder.name != "html":
        return
    pages = [kept(app, docname).read_text("utf-8") for docname in insides.in_order(app.env)]
    title = f"# {app.config.html_title}\n\n"
    lines = "".join(page.partition("\n")[0] + "\n" for page in pages)
    Path(app.outdir, "llms.txt").write_text(f"{title}> {ABOUT}\n\n{lines}", "utf-8")
    texts = "\n\n\n".join(page.partition("\n")[2] for page in pages)
    Path(app.outdir, "llms-full.txt").write_text(f"{title}{ABOUT}\n\n\n{texts}\n", "utf-8")
