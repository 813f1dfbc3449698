"""Where things are in this checkout."""

from pathlib import Path


ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
PACKAGE = ROOT / "src" / "vmapguide"
