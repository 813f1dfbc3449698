"""Turns formulas into MathML while the site is built; how they look is the browser's business.

Browsers draw MathML themselves: a page with formulas loads no script and asks no other server.
"""

import html
import xml.etree.ElementTree as ET

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.util import logging
from sphinx.writers.html5 import HTML5Translator


logger = logging.getLogger(__name__)


def converted(source: str, display: str) -> str:
    """Return a formula as MathML.

    Raises:
        ValueError: if there is a command in it that the library does not know and passes on.
        ElementTree.ParseError: if there is text in it that the library has not escaped.
    """
    formula = str(convert(source, display=display))
    if "\\" in "".join(ET.fromstring(formula).itertext()):  # noqa: S314 - our own.
        raise ValueError("an unknown command")
    return formula


def mathml(node: nodes.math | nodes.math_block) -> str:
    """Return a formula as MathML; the source stays as its alternative text."""
    source = node.astext()
    display = "block" if isinstance(node, nodes.math_block) else "inline"
    try:
        return converted(source, display).replace(
            "<math ", f'<math alttext="{html.escape(source)}" ', 1
        )
    except Exception as error:  # noqa: BLE001 - the library has no error of its own for all.
        logger.warning("not a formula: %s (%s)", source, error, location=node, type="math")
        return f"<code>{html.escape(source)}</code>"


def visit_math(self: HTML5Translator, node: nodes.math) -> None:
    """Write a formula in a line."""
    self.body.append(mathml(node))
    raise nodes.SkipNode


def visit_math_block(self: HTML5Translator, node: nodes.math_block) -> None:
    """Write a formula on its own. Wide ones scroll inside their box."""
    # The box around it, which MyST-Parser makes, may have its identifier already.
    self.body.append(
        '<div class="math">'
        if node["ids"] == node.parent["ids"]
        else self.starttag(node, "div", CLASS="math")
    )
    self.body.append(f"{mathml(node)}</div>\n")
    raise nodes.SkipNode
