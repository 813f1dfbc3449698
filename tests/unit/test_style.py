"""The stylesheet: every text colour is legible on every paper it stands on, light and dark."""

import itertools
import re

import pytest

from vmapguide._show.markup import stylesheet


COLOURS = {
    name: {"light": light, "dark": dark}
    for name, light, dark in re.findall(
        r"--vg-([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", stylesheet()
    )
}
PAPERS = ("paper", "panel", "hover")
INKS = ("ink", "muted", "focus")


def luminance(colour: str) -> float:
    """Return the relative luminance of `#rrggbb`, as WCAG 2 defines it."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours, from 1 to 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_measured_as_wcag_does() -> None:
    """Black on white is 21; #767676 on white is the known edge of 4.5."""
    assert pytest.approx(contrast("#000000", "#ffffff")) == 21
    assert contrast("#767676", "#ffffff") >= 4.5 > contrast("#777777", "#ffffff")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    ("ink", "paper"), [*itertools.product(INKS, PAPERS), ("axis", "axis-paper"), ("axis", "paper")]
)
def test_text_is_legible(theme: str, ink: str, paper: str) -> None:
    """Text has the contrast of 4.5:1 that WCAG asks for."""
    assert contrast(COLOURS[ink][theme], COLOURS[paper][theme]) >= 4.5


def test_the_batch_axis_has_its_colour_to_itself() -> None:
    """No other colour of the stylesheet is the batch axis's."""
    for theme in ("light", "dark"):
        others = [colours[theme] for name, colours in COLOURS.items() if name != "axis"]
        assert COLOURS["axis"][theme] not in others


def test_every_colour_is_named_once() -> None:
    """Colours stand among the properties on top, not in the rules."""
    rules = re.sub(r"--vg-[\w-]+:[^;]*;", "", stylesheet())
    assert not re.findall(r"#[0-9a-fA-F]{3,8}\b|rgba?\(|hsla?\(", rules)
