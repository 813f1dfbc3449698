"""Check what is about to be released: the version, the changelog, the tag, and the wheel.

`nox -s release -- 0.1.0` runs it. It changes nothing but dist/, and says which tag to push; what
follows from the tag is in .github/workflows/release.yml.
"""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path


ROOT = Path(__file__).parents[1]
VERSION = re.compile(r"\d+\.\d+\.\d+((a|b|rc)\d+)?")

# What somebody does first with the installed wheel, who has no checkout.
TRIAL = """
import jax.numpy as jnp, vmapguide
explanation = vmapguide.explain(jnp.sin)(jnp.ones((3, 5)))
assert [step.kind for step in explanation.steps] == ["same"], explanation
assert vmapguide.check(jnp.sin)(jnp.ones((3, 5))).same
assert "<div" in explanation._repr_html_()  # It needs the stylesheet.
print(vmapguide.__version__)
"""


def git(*arguments: str) -> str:
    """Return what a git command says."""
    command = ["git", *arguments]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def stated_version() -> str:
    """Return the version that the package says it has."""
    tree = ast.parse((ROOT / "src" / "vmapguide" / "__init__.py").read_text("utf-8"))
    return next(
        str(ast.literal_eval(node.value))
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__version__"
    )


def mistakes(version: str) -> list[str]:
    """Return what is not ready for a release, each with what to do."""
    found = []
    if (stated := stated_version()) != version:
        found.append(f"src/vmapguide/__init__.py says {stated}: set __version__ = '{version}'")
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    if not re.search(rf"^## {re.escape(version)} \(\d{{4}}-\d\d-\d\d\)$", changelog, re.MULTILINE):
        found.append(f"CHANGELOG.md has no heading '## {version} (YYYY-MM-DD)': add it")
    if re.search(r"^## Unreleased$", changelog, re.MULTILINE):
        found.append("CHANGELOG.md still has '## Unreleased': what it lists is released now")
    if changed := git("status", "--porcelain"):
        found.append(f"there are changes that are not committed:\n{changed.rstrip()}")
    if git("tag", "--list", f"v{version}"):
        found.append(f"the tag v{version} is there already: a release never changes")
    return found


def build(folder: Path) -> Path:
    """Build the sdist, and the wheel from it; return the wheel."""
    shutil.rmtree(folder, ignore_errors=True)
    hatch = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    subprocess.run([*hatch, "-t", "sdist"], cwd=ROOT, check=True)
    (sdist,) = folder.glob("*.tar.gz")
    with tempfile.TemporaryDirectory() as unpacked:
        shutil.unpack_archive(sdist, unpacked, filter="data")
        (root,) = Path(unpacked).iterdir()
        subprocess.run([*hatch, "-t", "wheel"], cwd=root, check=True)
    (wheel,) = folder.glob("*.whl")
    subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", str(sdist), str(wheel)], check=True
    )
    return wheel


def try_out(wheel: Path) -> str:
    """Run the wheel where no checkout is in the way; return the version that it says it has."""
    with tempfile.TemporaryDirectory() as folder:
        # Unpacked by hand: what it needs is in the session already, and so is the checkout.
        shutil.unpack_archive(wheel, folder, format="zip")
        program = f"import sys; sys.path.insert(0, {folder!r})\n{TRIAL}"
        command = [sys.executable, "-I", "-c", program]
        done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def main(arguments: list[str]) -> None:
    """Check everything, build, and say what is left to do."""
    if len(arguments) != 1 or not VERSION.fullmatch(arguments[0]):
        sys.exit("release: say the version, such as `nox -s release -- 0.1.0`")
    (version,) = arguments
    if found := mistakes(version):
        sys.exit("release: not ready.\n" + "\n".join(f"- {mistake}" for mistake in found))
    wheel = build(ROOT / "dist")
    if (tried := try_out(wheel)) != version:
        sys.exit(f"release: {wheel.name} says that it is {tried}")
    print(f"release: {wheel.relative_to(ROOT)} works. Now: git tag v{version} && git push --tags")


if __name__ == "__main__":
    main(sys.argv[1:])
