"""Write HTML and SVG: the one place where elements are made and where text is escaped.

Start with `tag`, which returns an element. Its children and attributes are escaped unless they are
`Markup`, which is what it returns itself. `of_tokens` writes tokens; `style_element` opens every
view and `script_element` closes some.
"""

from __future__ import annotations

import functools
import html
from collections.abc import Iterable
from importlib import resources

from vmapguide._show.tokens import Token


# Elements that have no children are written so.
_EMPTY = frozenset({"circle", "meta", "path", "rect"})


class Markup(str):
    """Text that is HTML or SVG already: it is not escaped again."""

    __slots__ = ()


@functools.lru_cache(maxsize=4096)
def _escaped(text: str) -> str:
    return html.escape(text)


def joined(parts: Iterable[str]) -> Markup:
    """Return pieces one behind the other, those escaped that are no markup."""
    # A text and the markup of that name are equal: only their types tell them apart.
    return Markup("".join([p if type(p) is Markup else _escaped(p) for p in parts]))


def tag(name: str, /, *children: str, **attributes: str | float | None) -> Markup:
    """Return an element.

    Args:
        name: what it is: `td`.
        children: what is in it: text, or `Markup`.
        attributes: its attributes. `class_` is `class`, and another `_` in a name is a hyphen. One
            that is None is left out.
    """
    opening = _opening(name, *attributes.items())
    if name in _EMPTY:
        return Markup(f"{opening}/>")
    return Markup(f"{opening}>{joined(children)}</{name}>")


# A page has few elements, each of them many times.
@functools.lru_cache(maxsize=1024)
def _opening(name: str, *attributes: tuple[str, str | float | None]) -> str:
    """Return the beginning of an element, up to what closes its first tag."""
    given = "".join(
        f' {_attribute(key)}="{_value(value)}"' for key, value in attributes if value is not None
    )
    return f"<{name}{given}"


def _attribute(name: str) -> str:
    return name.rstrip("_").replace("_", "-")


def _value(value: str | float) -> str:
    return _escaped(value) if isinstance(value, str) else f"{value:g}"


def of_tokens(tokens: Iterable[Token]) -> Markup:
    """Write tokens: each in an element that says what it is."""
    return Markup("".join(map(_of_token, tokens)))


@functools.lru_cache(maxsize=4096)
def _of_token(token: Token) -> Markup:
    if token.full:
        return tag("details", tag("summary", token.text), token.full, class_="vg-long")
    if token.kind == "text":
        return joined([token.text])
    if token.kind == "variable":
        return tag("span", token.text, class_="vg-variable", data_vg=token.text)
    # Each batch axis has its letter and, with it, its hue.
    kind = f"axis vg-axis-{token.text}" if token.kind == "axis" else token.kind
    return tag("span", token.text, class_=f"vg-{kind}")


def scrolling(*children: Markup, label: str) -> Markup:
    """Return an element that scrolls by itself, also by keys, if its children are too wide."""
    return tag("div", *children, class_="vg-scroll", tabindex=0, role="group", aria_label=label)


# -- What a view brings along ------------------------------------------------


@functools.cache
def _asset(name: str) -> str:
    return resources.files("vmapguide").joinpath("assets", name).read_text("utf-8")


def stylesheet() -> str:
    """Return the stylesheet of all views."""
    return _asset("vmapguide.css")


def style_element() -> Markup:
    """Return the stylesheet as the element that opens every view.

    `vmapguide.sphinx` removes it from a site's pages, which share one file instead.
    """
    return Markup(f"<style>{stylesheet()}</style>")


def script_element() -> Markup:
    """Return the element that closes an explanation: a script that links variables to their uses.

    `vmapguide.sphinx` removes it like the stylesheet.
    """
    return Markup(f"<script>{_asset('vmapguide.js')}</script>")


def page(title: str, view: str) -> str:
    """Return a view as one self-contained HTML page."""
    head = joined(
        [
            tag("meta", charset="utf-8"),
            tag("title", title),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("style", Markup(":root { color-scheme: light dark; } body { margin: 1rem; }")),
        ]
    )
    body = tag("body", tag("main", Markup(view)))
    return f"<!doctype html>\n{tag('html', tag('head', head), body, lang='en')}\n"
