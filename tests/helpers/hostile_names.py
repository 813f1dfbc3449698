"""What users may call things, so that it would become part of a page where it is not escaped."""

from markup_tree import Tree


HOSTILE = (
    '<img src=x onerror="alert(1)">',
    "'\"><script>alert(1)</script>",
    '" onfocus="alert(1)',
    "'<blink>'",
    "&amp;<blink>",
    "a&lt;b",
)


def assert_is_text(name: str, source: str) -> None:
    """A reader can read the name, letter by letter, and it made no element, attribute or script."""
    tree = Tree(source)
    assert name in "\n".join([tree.text, *tree.values("aria-label"), *tree.values("title")])
    assert not {"img", "blink"} & tree.counts.keys()
    assert not [e for e in tree.elements if any(a.startswith("on") for a in e.attributes)]
    assert "alert(1)" not in "".join(tree.scripts)
