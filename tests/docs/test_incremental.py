"""A site that is built again: what changed is new everywhere, and what is gone is gone everywhere.

Each test goes on with the small site that the one before has left.
"""

import re

import pytest
from small_site import Site, page


GLOSSARY = "# Glossary\n\n```{{glossary}}\n{term}\n  {definition}\n```\n"
ONE = (
    "What does {term}`lane` mean?\n\nContent-Security-Policy is a word.\n\n"
    "$$\nx^2\n$$ (square)\n\n![badge](https://badge.invalid/b.svg)\n"
)


@pytest.fixture(scope="module", name="site")
def _site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    site = Site(tmp_path_factory.mktemp("site"))
    site.write("index", "# Index\n\n```{toctree}\none\ntwo\nglossary\n```\n")
    site.write("glossary", GLOSSARY.format(term="lane", definition="A part of a road."))
    site.write("one", page("One", "x = 1").replace("# One\n", f"# One\n\n{ONE}"))
    site.write("two", page("Two", "y = 2"))
    return site


def texts(site: Site) -> str:
    """Return what the small site says to language models."""
    return (site.folder / "_build" / "html" / "llms-full.txt").read_text()


def test_a_first_build(site: Site) -> None:
    """Every page has a policy, also one that speaks of it; a label is there once."""
    result = site.build()
    assert result.returncode == 0, result.stderr
    for name in ("index", "one", "two", "glossary"):
        assert site.html(name).count('<meta http-equiv="Content-Security-Policy"') == 1
    html = site.html("one")
    assert '<meta name="description" content="What does lane mean?"/>' in html
    assert html.count('id="equation-square"') == 1
    assert "A part of a road." in html


def test_another_definition(site: Site) -> None:
    """It is shown wherever the term stands, though those pages did not change."""
    site.write("glossary", GLOSSARY.format(term="lane", definition="One of several rows."))
    result = site.build()
    assert result.returncode == 0, result.stderr
    assert "One of several rows." in site.html("one")
    assert "A part of a road." not in site.html("one")
    assert "no targets are out of date" in site.build().stdout


def test_a_page_with_another_name(site: Site) -> None:
    """Nothing of the old name is left: not the page, its source, its notebook, nor its text."""
    (site.folder / "two.md").rename(site.folder / "zwei.md")
    site.write("index", "# Index\n\n```{toctree}\none\nzwei\nglossary\n```\n")
    result = site.build()
    assert result.returncode == 0, result.stderr
    built = site.folder / "_build"
    left = [path for path in built.rglob("*two*") if "doctrees" not in path.as_posix()]
    assert [path for path in left if path.suffix in (".html", ".ipynb", ".txt")] == []
    assert (built / "notebooks" / "zwei.ipynb").exists()
    assert "<!-- zwei -->" in texts(site)
    assert "<!-- two -->" not in texts(site)


def test_a_failed_page_that_is_taken_away(site: Site) -> None:
    """The next build passes."""
    site.write("bad", page("Bad", "1 / 0"))
    site.write("index", "# Index\n\n```{toctree}\none\nzwei\nbad\nglossary\n```\n")
    assert "ZeroDivisionError" in site.build().stderr
    (site.folder / "bad.md").unlink()
    site.write("index", "# Index\n\n```{toctree}\none\nzwei\nglossary\n```\n")
    result = site.build()
    assert result.returncode == 0, result.stderr


def test_a_build_that_was_stopped(site: Site) -> None:
    """What it had written is finished by the next one, though the pages are newer than sources."""
    site.write("zwei", page("Another title", "y = 2"))
    # Now all pages are written, and nothing of what is done with all of them at the end.
    # Sphinx reads all pages again after an error, but not after Ctrl-C.
    stop = (
        "def stop(app): raise KeyboardInterrupt\n\n\n"
        "def setup(app): app.connect('html-collect-pages', stop)"
    )
    conf = (site.folder / "conf.py").read_text()
    (site.folder / "conf.py").write_text(f"{conf}\n{stop}\n")
    assert site.build().returncode != 0
    assert "Another title" in site.html("zwei")
    assert "# Another title" not in texts(site)
    (site.folder / "conf.py").write_text(conf)
    result = site.build()
    assert result.returncode == 0, result.stderr
    assert "Another title" in site.html("zwei")
    assert "# Another title" in texts(site)
    assert "no targets are out of date" in site.build().stdout


def test_a_page_without_a_title(site: Site) -> None:
    """Sphinx warns, and nothing else goes wrong."""
    site.write("zwei", page("T", "y = 3").replace("# T\n", "Only text.\n"))
    result = site.build()
    assert re.search(r"zwei.*WARNING", result.stderr.replace("\n", " "))
    assert "Extension error" not in result.stderr
    assert "Only text." in site.html("zwei")
