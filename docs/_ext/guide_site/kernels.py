"""What pages run in: the kernels' environment, and the name of the cache of what pages print.

How pages are run is in `running`. See
https://myst-nb.readthedocs.io/en/latest/computation/execute.html for what MyST-NB does.
"""

import hashlib
import os
import platform
import shutil
from importlib import metadata
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config

import vmapguide


DOCS = Path(__file__).parent.parent.parent
KERNEL = DOCS / "_kernel"

# What a kernel inherits, so that a page comes out alike on every machine.
SURROUNDINGS = {
    "JAX_PLATFORMS": "cpu",
    "JAX_PPRINT_USE_COLOR": "0",
    # NumPy's and SciPy's threads would fight with the other page that is built at the time.
    "OMP_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
}

# Libraries whose output stands on the pages.
SPEAKERS = ("jax", "jaxlib", "numpy", "matplotlib", "ipython", "ipykernel", "myst-nb")


def fingerprint() -> str:
    """Return a key of everything but the page itself that its outputs depend on."""
    digest = hashlib.sha256(platform.python_version().encode())
    for name in SPEAKERS:
        digest.update(f"{name}=={metadata.version(name)}".encode())
    digest.update(repr(sorted(SURROUNDINGS.items())).encode())
    package = Path(vmapguide.__file__).parent
    for root in (package, KERNEL):
        for path in sorted(root.rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    # What runs the pages, and what was measured or recorded: it stands beside its page.
    running = DOCS / "_ext" / "guide_site" / "running.py"
    shown = sorted((DOCS / "guide" / "libraries").glob("*.py"))
    for path in (running, *sorted((DOCS / "project").rglob("*.json")), *shown):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def set_cache_path(app: Sphinx, config: Config) -> None:
    """Give every fingerprint a cache of its own: the old outputs are then not found."""
    config.nb_execution_cache_path = str(Path(app.outdir).parent / "jupyter_cache" / fingerprint())


def prepare_kernels(app: Sphinx) -> None:
    """Set the environment that kernels inherit."""
    profile = Path(app.outdir).parent / "ipython" / "profile_default"
    profile.mkdir(parents=True, exist_ok=True)
    shutil.copy(KERNEL / "ipython_kernel_config.py", profile)
    os.environ.update(SURROUNDINGS, IPYTHONDIR=str(profile.parent))
