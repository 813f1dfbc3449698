"""A notebook of the guide in a real JupyterLab: opened, run, and without an error."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from places import DOCS
from playwright.sync_api import Browser


TOKEN = "vmapguide"  # noqa: S105 - of a server that only this test can reach.


@pytest.fixture(name="lab")
def _lab(site: Path, tmp_path: Path, start: Callable[..., str]) -> Iterator[str]:
    """Lay the notebooks out as `nox -s lab` does, start JupyterLab on them, return its address."""
    notebooks = tmp_path / "notebooks"
    script = str(DOCS / "_tools" / "lab.py")
    made = str(site.parent / "notebooks")
    subprocess.run([sys.executable, script, made, str(notebooks)], check=True)
    places = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    environment = {**os.environ, **{place: str(tmp_path / place) for place in places}}
    options = ["--no-browser", "--allow-root", "--ServerApp.port=0", "--expose-app-in-browser"]
    options += [f"--IdentityProvider.token={TOKEN}"]
    command = [sys.executable, "-m", "jupyterlab", *options, "--notebook-dir", str(notebooks)]
    yield start(command, env=environment)
    shutil.rmtree(notebooks, ignore_errors=True)


def test_a_chapter_runs_in_jupyterlab(lab: str, chromium: Browser) -> None:
    """Run > Run All Cells: every cell runs, in order, and none fails unasked."""
    page = chromium.new_page(viewport={"width": 1280, "height": 1000})
    page.goto(f"{lab}/lab/tree/guide/what-vmap-did.ipynb?token={TOKEN}")
    page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=60_000)
    # What is run before the kernel answers is lost, and the indicator says "idle" before it does.
    page.wait_for_function(
        """() => {
             const kernel = window.jupyterapp.shell.currentWidget?.sessionContext.session?.kernel;
             return kernel?.connectionStatus === "connected" && kernel.status === "idle";
           }""",
        timeout=60_000,
    )
    # Lab draws the cells that are in view, so its model is asked for all of them.
    page.evaluate("window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.wait_for_function(
        """() => [...window.jupyterapp.shell.currentWidget.content.model.cells]
             .every((cell) => cell.type !== "code" || cell.executionCount)""",
        timeout=120_000,
    )
    outcome = page.evaluate(
        """() => [...window.jupyterapp.shell.currentWidget.content.model.cells]
             .filter((cell) => cell.type === "code")
             .map((cell) => ({
               count: cell.executionCount,
               tags: cell.getMetadata("tags") ?? [],
               kinds: cell.outputs.toJSON().map((output) => output.output_type),
             }))"""
    )
    assert len(outcome) > 10
    counts = [cell["count"] for cell in outcome]
    assert counts == sorted(set(counts))
    for cell in outcome:
        assert ("error" in cell["kinds"]) == ("raises-exception" in cell["tags"])
    page.close()
