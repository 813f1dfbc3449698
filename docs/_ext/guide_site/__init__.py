"""What this site needs beyond Sphinx and the extensions that conf.py names.

One matter a module; when each does its part is here. What they do to other packages that these do
not document is in `insides`, and nowhere else.
"""

from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

from guide_site import (
    epub,
    facts,
    figures,
    finish,
    insides,
    kernels,
    leftovers,
    llms,
    mathml,
    notebooks,
    run_times,
    running,
    search_words,
    terms,
)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Tell Sphinx what to call, in the order in which it happens."""
    insides.setup(app)
    # A setting of its own: another one means that pages are read again, where options of the theme
    # let them only be written.
    app.add_config_value(
        "notebooks_repository",
        lambda config: config.html_theme_options.get("source_repository", ""),
        "env",
        types=frozenset({str}),
    )
    # The amendments that this site has nothing for.
    app.add_config_value("amendments_unused", [], "", types=frozenset({list}))
    app.add_directive(run_times.MARK, run_times.RunTimes)
    app.add_builder(epub.Builder, override=True)

    app.connect("config-inited", kernels.set_cache_path)
    app.connect("builder-inited", kernels.prepare_kernels)
    app.connect("env-get-outdated", running.outdated)
    app.connect("env-get-outdated", leftovers.start_over)
    app.connect("env-before-read-docs", running.run_pages)

    # A page has been read.
    app.connect("doctree-read", facts.add_facts, priority=300)
    # Before Sphinx collects the files that a page lets download.
    app.connect("doctree-read", notebooks.add_download, priority=400)
    app.connect("doctree-read", search_words.read)

    # All pages have been read.
    app.connect("env-updated", terms.update)
    app.connect("env-updated", run_times.update)

    # A page is written.
    app.add_post_transform(figures.InlineFigures)
    app.add_post_transform(run_times.Table)
    app.add_post_transform(terms.Definitions)
    app.add_node(terms.TermLink, html=(terms.visit_term_link, terms.depart_term_link))
    formula, formulas = (mathml.visit_math, None), (mathml.visit_math_block, None)
    app.add_html_math_renderer("mathml", formula, formulas)
    # Before the extension for OpenGraph, which leaves a description alone.
    app.connect("html-page-context", facts.describe, priority=400)
    app.connect("html-page-context", epub.choose_stylesheets, priority=900)
    # When nothing changes the body any more.
    app.connect("html-page-context", llms.keep, priority=900)

    # All pages have been written.
    app.connect("html-collect-pages", search_words.complete)
    app.connect("build-finished", llms.write)
    app.connect("build-finished", finish.finish, priority=900)  # Nothing writes a page any more.
    app.connect("build-finished", leftovers.finished, priority=999)

    # Another number makes Sphinx read all pages again: raise it when what the modules keep in
    # Sphinx's environment, or make of a page, changes.
    return {"env_version": 3, "parallel_read_safe": True, "parallel_write_safe": True}
