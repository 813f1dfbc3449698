"""What this site needs beyond Sphinx and the extensions that conf.py names.

Here is the list of its modules, each of which is a Sphinx extension of its own or a part of one.
What they do to other packages that these do not document is in `insides`, and nowhere else.
"""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx


MODULES = (
    "insides",
    "kernels",
    "running",
    "run_times",
    "facts",
    "notebooks",
    "figures",
    "mathml",
    "terms",
    "search_words",
    "llms",
    "epub",
    "leftovers",
    "finish",
)

# What every module's `setup` returns. Another number makes Sphinx read all pages again: raise it
# when what the modules keep in Sphinx's environment, or make of a page, changes.
METADATA = {"env_version": 2, "parallel_read_safe": True, "parallel_write_safe": True}


def setup(app: Sphinx) -> dict[str, Any]:
    """Set all modules up."""
    for name in MODULES:
        app.setup_extension(f"{__name__}.{name}")
    return METADATA
