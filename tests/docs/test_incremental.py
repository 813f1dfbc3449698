"""A site that is built again: what changed is new everywhere, what is gone is gone everywhere."""

import re
from pathlib import Path

import pytest
from small_site import Site, page


GLOSSARY = "# Glossary\n\n```{{glossary}}\n{term}\n  {definition}\n```\n"
ONE = (
    "What does {term}`lane` mean?\n\nContent-Security-Policy is a word.\n\n"
    "$$\nx^2\n$$ (square)\n\n![badge](https://badge.invalid/b.svg)\n"
)


@pytest.fixture(name="site")
def _site(tmp_path: Path) -> Site:
    """Return a small site, built."""
    site = Site(tmp_path)
    contain(site, "one", "two", "glossary")
    site.write("glossary", GLOSSARY.format(term="lane", definition="A part of a <road>."))
    site.write("one", page("One", "x = 1").replace("# One\n", f"# One\n\n{ONE}"))
    site.write("two", page("Two", "y = 2"))
    build(site)
    return site


def contain(site: Site, *names: str) -> None:
    """Write a site's table of contents."""
    listed = "\n".join(names)
    site.write("index", f"# Index\n\n```{{toctree}}\n{listed}\n```\n")


def build(site: Site) -> str:
    """Build a site, which must succeed; return what Sphinx says."""
    result = site.build()
    assert result.returncode == 0, result.stderr
    return result.stdout


def texts(site: Site) -> str:
    """Return what a site says to language models."""
    return (site.folder / "_build" / "html" / "llms-full.txt").read_text()


def test_another_definition(site: Site) -> None:
    """It is shown wherever the term stands, though those pages did not change."""
    html = site.html("one")
    # Every page has one policy, also one that speaks of it; a label is there once.
    for name in ("index", "one", "two", "glossary"):
        assert site.html(name).count('<meta http-equiv="Content-Security-Policy"') == 1
    assert '<meta name="description" content="What does lane mean?"/>' in html
    assert html.count('id="equation-square"') == 1
    link = re.search(r'<a [^>]*href="glossary.html#term-lane"[^>]*>', html)
    assert link
    (identifier,) = re.findall(r'aria-describedby="([^"]*)"', link[0])
    assert f'role="tooltip" id="{identifier}">A part of a &lt;road&gt;.</span>' in html
    site.write("glossary", GLOSSARY.format(term="lane", definition="One of several rows."))
    build(site)
    assert "One of several rows." in site.html("one")
    assert "A part of a" not in site.html("one")
    assert "no targets are out of date" in build(site)


def test_a_page_with_another_name(site: Site) -> None:
    """Nothing of the old name is left: not the page, its source, its notebook, nor its text."""
    (site.folder / "two.md").rename(site.folder / "zwei.md")
    contain(site, "one", "zwei", "glossary")
    (site.folder / "_build" / "html" / "CNAME").write_text("of somebody else")
    said = build(site)
    assert "running pages" not in said.replace("running pages... [100%] zwei", "")
    built = site.folder / "_build"
    left = [*(built / "html").rglob("*two*"), *(built / "notebooks").rglob("*two*")]
    assert [path for path in left if ".doctrees" not in path.parts] == []
    assert (built / "notebooks" / "zwei.ipynb").exists()
    assert (built / "html" / "CNAME").read_text() == "of somebody else"
    assert "<!-- zwei -->" in texts(site)
    assert "<!-- two -->" not in texts(site)
    assert "no targets are out of date" in build(site)


@pytest.mark.slow
def test_a_failed_page_that_is_taken_away(site: Site) -> None:
    """A build without the page that failed passes."""
    site.write("bad", page("Bad", "1 / 0"))
    contain(site, "one", "two", "bad", "glossary")
    assert "ZeroDivisionError" in site.build().stderr
    (site.folder / "bad.md").unlink()
    contain(site, "one", "two", "glossary")
    build(site)


@pytest.mark.slow
def test_a_build_that_was_stopped(site: Site) -> None:
    """What it had written is finished by the next one, though the pages are newer than sources."""
    site.write("two", page("Another title", "y = 2"))
    # Now all pages are written, and nothing of what is done with all of them at the end.
    # Sphinx reads all pages again after an error, but not after Ctrl-C.
    site.configure(
        "def stop(app): raise KeyboardInterrupt\n"
        "def setup(app): app.connect('html-collect-pages', stop)"
    )
    assert site.build().returncode != 0
    assert "Another title" in site.html("two")
    assert "# Another title" not in texts(site)
    site.configure("")
    build(site)
    assert "Another title" in site.html("two")
    assert "# Another title" in texts(site)
    assert "no targets are out of date" in build(site)


def test_a_page_without_a_title(site: Site) -> None:
    """Sphinx warns, and nothing else goes wrong."""
    site.write("two", page("T", "y = 3").replace("# T\n", "Only text.\n"))
    result = site.build()
    assert re.search(r"two.*WARNING", result.stderr.replace("\n", " "))
    assert "Extension error" not in result.stderr
    assert "Only text." in site.html("two")


@pytest.mark.slow
def test_run_times(site: Site) -> None:
    """The table has every page that ran, and changes when one runs again or has another title."""
    site.write("two", "# Two\n\n```{run-times}\n```\n")
    build(site)
    assert re.search(
        r'<a [^>]*href="one.html"><span>One</span></a></p></td>\s*<td>', site.html("two")
    )
    site.write("one", page("First", "x = 1"))
    said = build(site)
    assert "running pages" not in said
    assert "<span>First</span>" in site.html("two")
    assert "no targets are out of date" in build(site)
    site.write("one", page("First", "assert False"))
    assert site.build().returncode != 0
    assert "<p>failed</p>" in site.html("two")
