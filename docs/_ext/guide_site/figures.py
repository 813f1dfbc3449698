"""Makes SVG drawings part of the page, so that they follow the theme.

An SVG in an `<img>` cannot see the theme that the reader chose. Inlined, its ink is the page's
text colour, its paper the page's. The notebook keeps the drawing as Matplotlib made it, black on
white. Drawings of this package's views have the theme's colours from the start and are not touched.
"""

import hashlib
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging


logger = logging.getLogger(__name__)

SVG, LINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"
ET.register_namespace("", SVG.strip("{}"))
ET.register_namespace("xlink", LINK.partition("}")[0].strip("{"))
INK, PAPER = "#000000", "#ffffff"


def declarations(rules: str) -> dict[str, str]:
    """Return what a piece of CSS declares: `fill: none; stroke: red` as attributes."""
    return dict(re.findall(r"([\w-]+)\s*:\s*([^;]*[^;\s])", rules))


def themed(svg: str, alt: str) -> str:
    """Return a drawing as an element for a page: themed, named for screen readers, resizable."""
    root = ET.fromstring(svg)  # noqa: S314 - our own.
    # Several drawings on a page must not answer to each other's references.
    prefix = f"f{hashlib.sha256(svg.encode()).hexdigest()[:8]}-"
    # One rule for everything in the drawing, `*{…}`: as attributes it needs no stylesheet, which
    # the security policy of the page would have to know.
    rule = declarations(root.findtext(f".//{SVG}style", "").strip("*{} \n"))
    for element in list(root.iter()):
        for child in [*element.findall(f"{SVG}style"), *element.findall(f"{SVG}metadata")]:
            element.remove(child)
        element.attrib = {name: drawn(name, v, prefix) for name, v in styled(element).items()}
    size = {"width", "height"}
    root.attrib = {name: value for name, value in root.attrib.items() if name not in size}
    root.attrib |= {"class": "figure", "role": "img", "aria-label": alt, **rule}
    return ET.tostring(root, encoding="unicode")


def styled(element: ET.Element) -> dict[str, str]:
    """Return an element's attributes, with those that its `style` declares."""
    attributes = {**element.attrib, **declarations(element.attrib.get("style", ""))}
    attributes.pop("style", None)
    if element.tag == f"{SVG}text":
        attributes.setdefault("fill", INK)
    elif attributes.get("fill") == PAPER:  # White text is on something dark.
        attributes["fill"] = "none"
    return attributes


def drawn(name: str, value: str, prefix: str) -> str:
    """Return an attribute's value: ink has the theme's colour, names have a prefix."""
    if value == INK:
        return "currentColor"
    if name == "id":
        return prefix + value
    if name == LINK:
        return value.replace("#", f"#{prefix}", 1)
    return value.replace("url(#", f"url(#{prefix}")


class InlineFigures(SphinxPostTransform):
    """Replace every SVG image that has alternative text by the drawing itself."""

    default_priority = 6  # After MyST-NB has chosen the SVG among a figure's formats.
    formats = ("html",)

    def run(self, **_: Any) -> None:
        """Edit the page."""
        for node in list(self.document.findall(nodes.image)):
            path = Path(self.app.srcdir, node["uri"])
            if path.suffix != ".svg" or "://" in node["uri"]:
                continue
            if not node.get("alt"):
                logger.warning("a figure has no alternative text", location=node, type="figures")
            drawing = themed(path.read_text("utf-8"), node.get("alt", ""))
            if "currentColor" not in drawing or re.search(rf"{INK}\b|<style|\sstyle=", drawing):
                logger.warning("a figure has colours of its own", location=node, type="figures")
            node.replace_self(nodes.raw("", drawing, format="html"))
