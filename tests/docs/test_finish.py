"""What is done with all written pages: every part of it matches, or the build warns."""

import re
from importlib import resources
from pathlib import Path

import pytest
from small_site import Site


THEME = Path(str(resources.files("furo"))) / "theme" / "furo"


@pytest.fixture(name="site")
def _site(tmp_path: Path) -> Site:
    """Return a site of two pages without cells."""
    site = Site(tmp_path)
    site.write("index", "# Index\n\n```{toctree}\nother\n```\n")
    site.write("other", "# Other\n")
    return site


def change_theme(site: Site, name: str, old: str, new: str) -> None:
    """Give a site a template of the theme with a change in it, as another release may have."""
    text = (THEME / name).read_text("utf-8")
    assert old in text
    templates = site.folder / "_templates"
    templates.mkdir(exist_ok=True)
    (templates / name).write_text(text.replace(old, new), "utf-8")


def said(site: Site, *options: str) -> list[str]:
    """Build a site; return what `finish` warns of."""
    result = site.build(*options)
    warnings = re.findall(r"WARNING: (.*) \[finish\]", result.stderr)
    assert (result.returncode != 0) == bool(warnings), result.stderr
    return warnings


def test_nothing_to_warn_of_from_build_to_build(site: Site) -> None:
    """Neither the first, nor when nothing is written, nor when one page is."""
    assert said(site) == []
    first = site.html("index")
    assert 'aria-label="All pages"' in first
    assert said(site) == []
    site.write("other", "# Another\n")
    assert said(site) == []
    assert site.html("index").count("Content-Security-Policy") == 1
    assert 'aria-label="All pages"' in site.html("other")


@pytest.mark.slow
def test_an_amendment_that_matches_nothing(site: Site) -> None:
    """It is named; so is one for which the site has nothing, unless the site says so."""
    site.configure("templates_path = ['_templates']")
    change_theme(site, "page.html", 'class="sidebar-drawer"', 'class="sidebar-shelf"')
    warning = "nothing on the site matches the amendment 'list of all pages'"
    assert said(site) == [warning]
    # It is not forgotten when nothing is written.
    assert said(site) == [warning]
    site.configure("templates_path = ['_templates']\namendments_unused = []")
    assert sorted(line.rpartition(" amendment ")[2] for line in said(site)) == [
        "'button of a folded cell'",
        "'corner of a table'",
        "'level of a caption'",
        "'list of all pages'",
    ]


def test_a_page_without_a_place_for_the_policy(site: Site) -> None:
    """Each is named: a page without a policy is a page that may run anything."""
    site.configure("templates_path = ['_templates']")
    change_theme(site, "base.html", '<meta charset="utf-8">', "")
    expected = "{}: it has no `<meta charset>` and so no security policy"
    pages = ("index.html", "other.html", "search.html")
    assert said(site) == [expected.format(page) for page in pages]
    # A page that is served reloads itself, and has no policy.
    assert said(site, "-t", "served") == []


def test_what_the_policy_forbids(site: Site) -> None:
    """A style on an element is lost on a reader; so the build says where."""
    raw = '```{raw} html\n<p style="color: red">red</p>\n```\n'
    site.write("other", f"# Other\n\n{raw}")
    assert said(site) == ['other.html: its security policy forbids <p style="color: red"']
