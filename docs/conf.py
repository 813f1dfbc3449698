"""Configuration of the guide. What it needs of its own is in _ext/guide_site, one matter a file."""

# https://www.sphinx-doc.org/en/master/usage/configuration.html

import os
import sys
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit


sys.path.insert(0, str(Path(__file__).parent / "_ext"))

# -- Project ----------------------------------------------------------------

project = "vmapguide"
author = "the vmapguide developers"
copyright = f"2026, {author}"  # noqa: A001
release = version = metadata.version("vmapguide")

# The host says where the site will stand: only then has it canonical addresses and a sitemap.
html_baseurl = os.environ.get("READTHEDOCS_CANONICAL_URL") or os.environ.get("PAGES_URL", "")
html_baseurl = html_baseurl and f"{html_baseurl.rstrip('/')}/"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "sphinx.ext.napoleon",
    "notfound.extension",
    "sphinx_codeautolink",
    "sphinx_copybutton",
    "sphinx_design",
    "vmapguide.sphinx",
    "guide_site",
]
if html_baseurl:
    # What a link to a page looks like elsewhere. It draws pictures, and loads Matplotlib for it.
    extensions.append("sphinxext.opengraph")
    ogp_site_url = html_baseurl
    ogp_social_cards = {"line_color": "#9a3412", "image_mini": "_static/card.png"}
exclude_patterns = ["_build", "_inventories", "_ext", "_kernel"]
templates_path = ["_templates"]
default_role = "code"
nitpicky = True
# What a rule has is what its findings have, by the same names.
nitpick_ignore = [("py:class", "vmapguide._data.findings.Rule")]

# -- Executed pages: https://myst-nb.readthedocs.io --------------------------

# A page runs when it, JAX, the package or the kernel's configuration changed: guide_site/kernels.py
# puts them into the path of the cache. guide_site/running.py runs it.
nb_execution_mode = "cache"
nb_execution_timeout = 120
nb_merge_streams = True
nb_render_markdown_format = "myst"
nb_code_prompt_show = "Show the {type}"
nb_code_prompt_hide = "Hide the {type}"

myst_enable_extensions = ["colon_fence", "dollarmath"]
html_math_renderer = "mathml"
myst_heading_anchors = 3

# -- The interface: https://www.sphinx-doc.org/en/master/usage/extensions/autodoc.html

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
napoleon_numpy_docstring = False
# ClosedJaxpr, and not the private module of JAX that it lives in.
python_use_unqualified_type_names = True

# -- References to other projects: local inventories, written by _inventories/make.py

_online = tags.has("online")  # noqa: F821


def _inventory(name: str) -> tuple[str | None, ...]:
    # Building must not need the network; only `nox -s linkcheck` looks at the real ones.
    local = f"_inventories/{name}.inv"
    return (None, local) if _online else (local,)


intersphinx_mapping = {
    "python": ("https://docs.python.org/3/", _inventory("python")),
    "numpy": ("https://numpy.org/doc/stable/", _inventory("numpy")),
    "jax": ("https://docs.jax.dev/en/latest/", _inventory("jax")),
}

# -- HTML: https://pradyunsg.me/furo ----------------------------------------

html_theme = "furo"
html_title = "vmapguide"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_favicon = "_static/favicon.svg"
# Search finds more, and the page's layout has styles that the security policy forbids.
html_use_index = False
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
# The cells of a page are one program.
codeautolink_concat_default = True
copybutton_selector = "div:not(.output) > div.highlight pre"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# The host says which repository it builds. A local build knows none and shows no such link.
_repository = os.environ.get("READTHEDOCS_GIT_CLONE_URL", "").removesuffix(".git")
if "GITHUB_REPOSITORY" in os.environ:
    _repository = f"{os.environ['GITHUB_SERVER_URL']}/{os.environ['GITHUB_REPOSITORY']}"
notfound_urls_prefix = urlsplit(html_baseurl).path or "/"
notfound_template = "404.html"
notfound_context = {"title": "Page not found"}
html_theme_options = {
    "source_repository": _repository,
    "source_branch": os.environ.get("GITHUB_REF_NAME", "main"),
    "source_directory": "docs/",
    "top_of_page_buttons": ["view", *(["edit"] if _repository else [])],
}

# -- EPUB: https://www.sphinx-doc.org/en/master/usage/configuration.html#options-for-epub-output

epub_css_files = ["book.css"]
# The landing page's tables of contents are hidden: a site has them at its side.
epub_tocscope = "includehidden"
epub_show_urls = "no"
epub_exclude_files = [".buildinfo.bak"]
