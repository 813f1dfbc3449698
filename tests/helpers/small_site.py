"""A small site in a folder of its own, for tests that change its pages."""

import os
import re
import subprocess
import sys
from pathlib import Path

from places import DOCS


COLOUR = re.compile(r"\x1b\[[\d;]*[mK]")

CONF = f"""
import os, sys
sys.path.insert(0, {str(DOCS / "_ext")!r})
from guide_site import kernels
project = "a small site"
extensions = ["myst_nb", "vmapguide.sphinx", "guide_site"]
myst_enable_extensions = ["dollarmath"]
html_math_renderer = "mathml"
exclude_patterns = ["_build"]
kernels.SURROUNDINGS["TEST"] = os.environ.get("VMAPGUIDE_TEST_FINGERPRINT", "")
nb_execution_mode = "cache"
html_theme = "furo"
html_use_index = False
amendments_unused = ["level of a caption", "corner of a table", "button of a folded cell"]
"""

HEADER = """---
jupytext: {text_representation: {extension: .md, format_name: myst}}
kernelspec: {name: python3, display_name: Python 3}
---
"""


def page(title: str, *cells: str) -> str:
    """Return the source of a page."""
    blocks = "\n".join(f"```{{code-cell}} ipython3\n{cell}\n```" for cell in cells)
    return f"{HEADER}\n# {title}\n\n{blocks}\n"


class Site:
    """A small site in a folder of its own, built as noxfile.py builds the guide."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.configure("")
        self.write("index", "# Index\n\n```{toctree}\ngood\nbad\n```\n")

    def configure(self, more: str) -> None:
        """Add lines to the configuration, in the place of those that were added before."""
        (self.folder / "conf.py").write_text(f"{CONF}\n{more}\n")

    def write(self, name: str, text: str) -> None:
        (self.folder / f"{name}.md").write_text(text)

    def lines(self, name: str) -> list[str]:
        return (self.folder / f"{name}.md").read_text().splitlines()

    def ran(self, result: subprocess.CompletedProcess[str]) -> list[str]:
        return re.findall(r"running pages\.\.\. .*?(\w+) \([\d.]+ s\)", result.stdout)

    def html(self, name: str) -> str:
        return (self.folder / "_build" / "html" / f"{name}.html").read_text()

    def build(self, *more: str, **variables: str) -> subprocess.CompletedProcess[str]:
        options = ["-n", "-W", "-T", "--keep-going", "-j", "2", "--color", *more]
        command = [sys.executable, "-m", "sphinx", *options, ".", "_build/html"]
        environment = {**os.environ, "COLUMNS": "200", **variables}
        result = subprocess.run(
            command, check=False, cwd=self.folder, env=environment, capture_output=True, text=True
        )
        # As a terminal shows them.
        result.stdout, result.stderr = (COLOUR.sub("", s) for s in (result.stdout, result.stderr))
        return result
