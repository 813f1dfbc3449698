"""conf.py: every setting in it exists, and the host says where the site stands."""

import ast
import os
import re
from pathlib import Path
from unittest import mock

import pytest
from places import DOCS
from sphinx.application import Sphinx


SOURCE = (DOCS / "conf.py").read_text("utf-8")


def configured(out: Path) -> Sphinx:
    """Return Sphinx, configured as for the guide, having built nothing.

    What it sets for the kernels of a build is not set for the tests that come after.
    """
    with mock.patch.dict(os.environ):
        return Sphinx(DOCS, DOCS, out, out / "doctrees", "html", status=None, warning=None)


@pytest.fixture(scope="module", name="app")
def _app(tmp_path_factory: pytest.TempPathFactory) -> Sphinx:
    """Return Sphinx, configured as for the guide."""
    return configured(tmp_path_factory.mktemp("conf") / "html")


def assigned() -> list[str]:
    """Return the names that conf.py sets."""
    return [
        target.id
        for node in ast.parse(SOURCE).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and not target.id.startswith("_")
    ]


def test_every_setting_exists(app: Sphinx) -> None:
    """Sphinx ignores a setting that it does not know, so a misspelt one does nothing."""
    assert {name for name in assigned() if not hasattr(app.config, name)} == set()


def test_an_unknown_setting_would_be_noticed(app: Sphinx) -> None:
    """The test above can fail."""
    assert not hasattr(app.config, "nb_html_download")
    assert len([name for name in assigned() if re.match(r"(nb|myst|html)_", name)]) > 8


def test_no_repository_no_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build that knows no repository does not invent one."""
    for name in ("GITHUB_REPOSITORY", "READTHEDOCS_GIT_CLONE_URL"):
        monkeypatch.delenv(name, raising=False)
    app = configured(tmp_path)
    assert app.config.html_theme_options["source_repository"] == ""


def test_the_host_says_where_the_repository_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a host the links are the host's."""
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://code.example")
    monkeypatch.setenv("GITHUB_REPOSITORY", "some/where")
    monkeypatch.setenv("PAGES_URL", "https://pages.example")
    app = configured(tmp_path)
    options = app.config.html_theme_options
    assert options["source_repository"] == "https://code.example/some/where"
    assert app.config.html_baseurl == "https://pages.example/"


def test_inventories_are_local(app: Sphinx) -> None:
    """Building asks nothing of the network; the online inventories are linkcheck's."""
    assert app.config.intersphinx_mapping.keys() == {"python", "numpy", "jax"}
    for _, (_, locations) in app.config.intersphinx_mapping.values():
        assert locations
        assert [location for location in locations if not (DOCS / location).is_file()] == []
