"""`vmapguide.diagram`: what goes into a vmapped function and what comes out."""

import json
import re
import xml.etree.ElementTree as ET
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from batches import array
from hostile_names import HOSTILE, assert_is_text

import vmapguide
from vmapguide import Diagram
from vmapguide._show.markup import stylesheet


SVG = "{http://www.w3.org/2000/svg}"


def whole(diagram: Diagram) -> tuple[list[Any], list[Any]]:
    """Return the shapes of arguments and results."""
    return [b.shape for b in diagram.arguments], [b.shape for b in diagram.results]


def picture(diagram: Diagram) -> ET.Element:
    """Return the drawing."""
    return ET.fromstring(diagram.svg())  # noqa: S314 - our own.


def texts(diagram: Diagram) -> list[str]:
    """Return the texts in a drawing."""
    return ["".join(text.itertext()) for text in picture(diagram).iter(f"{SVG}text")]


def layer(w: Any, x: Any) -> Any:
    """Return a layer's output."""
    return w @ x


def total(x: Any) -> Any:
    """Return a sum."""
    return x.sum()


# A function, its arguments, the arguments of vmap, the shapes of arguments and of results.
CASES: dict[str, tuple[Any, tuple[Any, ...], dict[str, Any], list[Any], list[Any]]] = {
    "first axis": (total, (array(3, 5),), {}, [("B", 5)], [("B",)]),
    "second axis": (total, (array(5, 3),), {"in_axes": 1}, [(5, "B")], [("B",)]),
    "last axis": (total, (array(5, 4, 3),), {"in_axes": -1}, [(5, 4, "B")], [("B",)]),
    "an array that Python looks at": (
        lambda w, x: x * 2 if w.all() else x,
        (jnp.ones((2, 5)), array(3, 5)),
        {"in_axes": (None, 0)},
        [(2, 5), ("B", 5)],
        [("B", 5)],
    ),
    "shared": (
        layer,
        (array(2, 5), array(3, 5)),
        {"in_axes": (None, 0)},
        [(2, 5), ("B", 5)],
        [("B", 2)],
    ),
    "out_axes": (
        layer,
        (array(2, 5), array(3, 5)),
        {"in_axes": (None, 0), "out_axes": -1},
        [(2, 5), ("B", 5)],
        [(2, "B")],
    ),
    "same sizes": (
        layer,
        (array(3, 3), array(3, 3)),
        {"in_axes": (None, 1)},
        [(3, 3), (3, "B")],
        [("B", 3)],
    ),
    "a tree": (
        lambda p: {"a": p["w"] * 2, "b": p["b"]},
        ({"b": array(5), "w": array(3, 5)},),
        {"in_axes": ({"b": None, "w": 0},), "out_axes": {"a": 0, "b": None}},
        [(5,), ("B", 5)],
        [("B", 5), (5,)],
    ),
    "repeated": (
        lambda x, y: (x, y),
        (array(3), array(4)),
        {"in_axes": (0, None)},
        [("B",), (4,)],
        [("B",), ("B", 4)],
    ),
    "repeated elsewhere": (
        lambda x, y: (x, y),
        (array(3), array(4)),
        {"in_axes": (0, None), "out_axes": (0, 1)},
        [("B",), (4,)],
        [("B",), (4, "B")],
    ),
    "axis_size": (total, (array(5),), {"in_axes": None, "axis_size": 3}, [(5,)], [("B",)]),
    "keys": (
        jax.random.uniform,
        (jax.eval_shape(lambda: jax.random.split(jax.random.key(0), 3)),),
        {},
        [("B",)],
        [("B",)],
    ),
    "no array": (
        lambda x, s: x * len(s),
        (array(3), "text"),
        {"in_axes": (0, None)},
        [("B",), None],
        [("B",)],
    ),
    "a literal": (lambda _: 1.0, (array(3),), {}, [("B",)], [("B",)]),
    "None": (lambda x: (x, None), (array(3),), {}, [("B",)], [("B",)]),
    "nested": (
        jax.vmap(jnp.vdot, in_axes=(None, 0)),
        (array(3, 5), array(4, 5)),
        {"in_axes": (0, None)},
        [("B", 5), ("C", 5)],
        [("B", "C")],
    ),
    "a program for its size": (
        lambda x: jax.lax.ppermute(x, "i", [(0, 1), (1, 2), (2, 0)]),
        (array(3, 5),),
        {"axis_name": "i", "out_axes": 1},
        [("B", 5)],
        [(5, "B")],
    ),
    "all that was gathered": (
        lambda x: jax.lax.all_gather(x, "i"),
        (array(3, 4),),
        {"axis_name": "i", "out_axes": 1},
        [("B", 4)],
        [(3, "B", 4)],
    ),
    "an inner vmap without mapped arguments": (
        jax.vmap(lambda x: x * 2, in_axes=None, axis_size=4),
        (array(3, 5),),
        {},
        [("B", 5)],
        [("B", 4, 5)],
    ),
    "three vmaps": (
        jax.vmap(jax.vmap(lambda x: x * 2, in_axes=1, out_axes=1)),
        (array(2, 3, 4, 5),),
        {},
        [("B", "C", 4, "D")],
        [("B", "C", 4, "D")],
    ),
    "a batch of one": (total, (array(1, 5),), {}, [("B", 5)], [("B",)]),
    "an empty batch": (total, (array(0, 5),), {}, [("B", 5)], [("B",)]),
}


class TestBlocks:
    """Where the batch axes are."""

    @pytest.mark.parametrize("case", CASES)
    def test_shapes(self, case: str) -> None:
        """Of arguments and results; and the picture can be drawn."""
        f, args, vmap, arguments, results = CASES[case]
        diagram = vmapguide.diagram(f, **vmap)(*args)
        assert whole(diagram) == (arguments, results)
        assert picture(diagram).tag == f"{SVG}svg"
        assert str(diagram)

    @pytest.mark.parametrize("case", CASES)
    def test_one_example(self, case: str) -> None:
        """It has the axes that are not mapped; what has all of them is shared."""
        f, args, vmap, _, _ = CASES[case]
        diagram = vmapguide.diagram(f, **vmap)(*args)
        for block in (*diagram.arguments, *diagram.results):
            if block.shape is None:
                assert block.per_example_shape is None
            else:
                assert block.per_example_shape == tuple(
                    s for s in block.shape if isinstance(s, int)
                )
            assert block.mapped == (block.per_example_shape != block.shape)

    def test_names(self) -> None:
        """Those of the function's parameters and of the keys."""
        diagram = vmapguide.diagram(lambda p, *, scale: {"out": p["w"] * scale})(
            {"w": array(3, 5)}, scale=array(3)
        )
        assert [block.name for block in diagram.arguments] == ["p['w']", "scale"]
        assert [block.name for block in diagram.results] == ["['out']"]
        assert vmapguide.diagram(jax.vmap(layer))(array(3, 2, 4, 5), array(3, 2, 5)).name == "layer"

    def test_an_inner_vmap_that_is_not_drawn(self) -> None:
        """It is part of the function of one example."""
        f, args, _, _, _ = CASES["an inner vmap without mapped arguments"]
        diagram = vmapguide.diagram(f)(*args)
        assert diagram.name == "vmap(<lambda>)"
        assert diagram.axis_sizes == {"B": 3}

    def test_sizes(self) -> None:
        """The sizes of nested batch axes are listed from the outermost."""
        f, args, vmap, _, _ = CASES["nested"]
        assert vmapguide.diagram(f, **vmap)(*args).axis_sizes == {"B": 3, "C": 4}


def cells(diagram: Diagram) -> dict[str, int]:
    """Count the cells that are drawn, by their classes."""
    found: dict[str, int] = {}
    for path in picture(diagram).iter(f"{SVG}path"):
        style = path.get("class", "")
        if "vg-d-cell" in style:
            found[style] = found.get(style, 0) + path.get("d", "").count("M")
    return found


class TestPicture:
    """What is drawn."""

    def test_the_first_example_is_filled(self) -> None:
        """A row for axis 0, a column for axis 1: five cells of 15, and one of three results."""
        for axis, shape in ((0, (3, 5)), (1, (5, 3))):
            diagram = vmapguide.diagram(total, in_axes=axis)(array(*shape))
            assert cells(diagram) == {
                "vg-d-cell vg-d-B vg-d-first": 5 + 1,
                "vg-d-cell vg-d-B": 10 + 2,
            }

    def test_rows_and_columns(self) -> None:
        """The cells of the first example lie side by side, or one above the other."""
        for axis, shape, places in ((0, (3, 5), (5, 1)), (1, (5, 3), (1, 5))):
            diagram = vmapguide.diagram(total, in_axes=axis)(array(*shape))
            (path, *_) = [
                p for p in picture(diagram).iter(f"{SVG}path") if "vg-d-first" in p.get("class", "")
            ]
            starts = re.findall(r"M([\d.]+) ([\d.]+)", path.get("d", ""))
            assert (len({x for x, _ in starts}), len({y for _, y in starts})) == places

    def test_what_is_shared_is_plain(self) -> None:
        """It has no colour, and the word."""
        diagram = vmapguide.diagram(layer, in_axes=(None, 0))(array(2, 5), array(3, 5))
        assert cells(diagram)["vg-d-cell"] == 10
        assert "shared" in texts(diagram)
        diagram = vmapguide.diagram(lambda _, y: y, (0, None), None)(array(3, 5), array(4))
        assert {"shared", "the same", "for all"} <= set(texts(diagram))
        diagram = vmapguide.diagram(layer, in_axes=(None, 0))(array(2, 5), array(3, 5))
        assert texts(diagram).count("one example") == 2  # At the arrow, and in the function.

    def test_letters_and_sizes(self) -> None:
        """Axes are labelled: nothing is told by its colour alone."""
        shown = texts(vmapguide.diagram(total)(array(3, 5)))
        assert shown.count("B = 3") == 2
        assert "vmap B = 3" in shown
        assert "5" in shown

    def test_nested(self) -> None:
        """A frame in a frame, and cells of two colours."""
        f, args, vmap, _, _ = CASES["nested"]
        diagram = vmapguide.diagram(f, **vmap)(*args)
        frames = [r for r in picture(diagram).iter(f"{SVG}rect") if "frame" in r.get("class", "")]
        assert [frame.get("class") for frame in frames] == [
            "vg-d-frame vg-d-B",
            "vg-d-frame vg-d-C",
        ]
        outer, inner = (
            {k: float(f.get(k, 0)) for k in ("x", "y", "width", "height")} for f in frames
        )
        assert outer["x"] < inner["x"]
        assert inner["x"] + inner["width"] < outer["x"] + outer["width"]
        assert inner["y"] + inner["height"] < outer["y"] + outer["height"]
        # Of the three rows of results the outer vmap takes one, and of its four the inner one one.
        assert cells(diagram) == {
            "vg-d-cell vg-d-B vg-d-first": 5,
            "vg-d-cell vg-d-B": 10 + 8,
            "vg-d-cell vg-d-C vg-d-first": 5 + 1,
            "vg-d-cell vg-d-C": 15,
            "vg-d-cell vg-d-B vg-d-part": 3,
        }

    @pytest.mark.parametrize(
        "shape", [(10**6, 10**6), (32, 224, 224, 3), (2,) * 9, (10**9,)], ids=str
    )
    def test_large_arrays_are_small_pictures(self, shape: tuple[int, ...]) -> None:
        """Axes are labelled, and not drawn cell by cell."""
        diagram = vmapguide.diagram(lambda x: x)(array(*shape))
        assert len(diagram._repr_html_()) < 60_000
        assert sum(cells(diagram).values()) <= 2 * 36
        assert any(f"B = {shape[0]:,}" in text for text in texts(diagram))

    def test_many_leaves(self) -> None:
        """A dozen are drawn, and how many more there are."""
        tree = {f"k{i:02}": array(3, 4) for i in range(20)}
        diagram = vmapguide.diagram(lambda t: t)(tree)
        assert any(text.startswith("t['k11']") for text in texts(diagram))
        assert not any(text.startswith("t['k12']") for text in texts(diagram))
        assert texts(diagram).count("… and 8 more") == 2
        desc = picture(diagram).find(f"{SVG}desc")
        assert desc is not None
        assert "t['k19']" in (desc.text or "")

    @pytest.mark.parametrize("case", CASES)
    def test_nothing_overlaps_the_edge(self, case: str) -> None:
        """The view box holds everything that has a place, laid out either way."""
        f, args, vmap, _, _ = CASES[case]
        for root in drawings(vmapguide.diagram(f, **vmap)(*args)):
            width, height = map(float, root.get("viewBox", "").split()[2:])
            for x, y in _corners(root):
                assert 0 <= x <= width
                assert 0 <= y <= height

    def test_middles_are_on_one_level(self) -> None:
        """Of one argument, one result and the function: a straight line runs through them."""
        root = picture(vmapguide.diagram(total, in_axes=1)(array(7, 3)))
        (line,) = (p for p in root.iter(f"{SVG}path") if p.get("class") == "vg-d-line")
        assert len({y for _, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", line.get("d", ""))}) == 1

    def test_middles_of_columns(self) -> None:
        """Of three arguments the second is on the level of the function, of two the gap between."""
        for count, straight in ((3, True), (2, False)):
            diagram = vmapguide.diagram(lambda *args: sum(args))(*[array(3, 5)] * count)
            frame, *_, card = picture(diagram).iter(f"{SVG}rect")
            top, high = (float(frame.get(key, 0)) for key in ("y", "height"))
            (line,) = (p for p in picture(diagram).iter(f"{SVG}path") if "line" in str(p.attrib))
            levels = [float(y) for _, y in re.findall(r"M([\d.]+) ([\d.]+)", line.get("d", ""))]
            *arguments, result = levels
            assert (result in arguments) == straight
            assert result == pytest.approx((arguments[0] + arguments[-1]) / 2)
            # Lines come in through the frame's side, not above or below it.
            middle = float(card.get("y", 0)) + float(card.get("height", 0)) / 2
            ends = [level - result + middle for level in arguments]
            assert top < min(ends) < max(ends) < top + high

    def test_vectors(self) -> None:
        """One of examples stands upright, one that all share lies."""
        diagram = vmapguide.diagram(lambda x, y: x + y, (0, None))(array(3), array(4))
        examples, shared, _ = (
            re.findall(r"M([\d.]+) ([\d.]+)", path.get("d", ""))
            for path in picture(diagram).iter(f"{SVG}path")
            if path.get("class") in {"vg-d-cell vg-d-B", "vg-d-cell"}
        )
        assert len({x for x, _ in examples}) == 1
        assert len({y for _, y in shared}) == 1

    @pytest.mark.parametrize(("shape", "cards"), [((1, 5), 0), ((2, 5), 1), ((100, 5), 2)])
    def test_cards(self, shape: tuple[int, ...], cards: int) -> None:
        """Behind the function stand as many as there are more examples, up to two."""
        root = picture(vmapguide.diagram(total)(array(*shape)))
        styles = [rectangle.get("class") for rectangle in root.iter(f"{SVG}rect")]
        assert styles.count("vg-d-card vg-d-B") == cards
        assert styles.count("vg-d-f") == 1

    def test_sheets(self) -> None:
        """Axes before the last two lie behind; one example's part of each sheet is filled."""
        diagram = vmapguide.diagram(lambda x: x.sum(), in_axes=1)(array(4, 3, 5))
        first = cells(diagram)["vg-d-cell vg-d-B vg-d-first"]
        assert first == 5 + 3 + 1  # Cells of the front sheet, strips of three sheets, the result.
        diagram = vmapguide.diagram(lambda x: x.sum())(array(3, 4, 5))
        assert cells(diagram)["vg-d-cell vg-d-B vg-d-first"] == 20 + 1
        assert cells(diagram)["vg-d-cell vg-d-B"] == 2 + 2
        # Of 3 by 4 sheets two of each: two that are the first example's, two of the next.
        diagram = vmapguide.diagram(lambda x: x.sum())(array(3, 4, 2, 2))
        assert cells(diagram)["vg-d-cell vg-d-B vg-d-first"] == (4 + 1) + 1
        assert cells(diagram)["vg-d-cell vg-d-B"] == 2 + 2

    def test_sheets_of_several_axes(self) -> None:
        """Their number is the product, and says so."""
        assert "B = 32 × 224" in texts(vmapguide.diagram(total)(array(32, 224, 224, 3)))
        f, args, _, _, _ = CASES["three vmaps"]
        assert texts(vmapguide.diagram(f)(*args)).count("B = 2 × C = 3") == 2

    def test_long_names(self) -> None:
        """The end of a path is shown, which tells leaves apart; the description has all."""
        tree = {"encoder": {"attention_output": {"kernel": array(3, 5), "bias": array(3)}}}
        root = vmapguide.diagram(lambda p: p)(tree)
        assert "…ention_output']['kernel']" not in texts(root)
        assert any(shown.startswith("…") and "['kernel']" in shown for shown in texts(root))
        # It ends before the function's frame: 24 characters of 13 px are about 190 px long.
        (left, _), *_ = _corners(picture(root))
        assert left > 16 + 190
        desc = picture(root).find(f"{SVG}desc")
        assert desc is not None
        assert "p['encoder']['attention_output']['kernel']" in (desc.text or "")

    def test_two_layouts(self) -> None:
        """A page has both, for its stylesheet to choose; a very wide one is only laid out tall."""
        styles = [root.get("class") for root in drawings(vmapguide.diagram(total)(array(3, 5)))]
        assert styles == ["vg-d-wide", "vg-d-tall"]
        f, args, _, _, _ = CASES["three vmaps"]
        assert [r.get("class") for r in drawings(vmapguide.diagram(f)(*args))] == ["vg-d-only"]

    def test_a_page_is_never_too_narrow(self) -> None:
        """Of everyday programs the tall drawing fits a telephone, at its own size."""
        for name in ("first axis", "second axis", "shared", "a tree", "nested"):
            f, args, vmap, _, _ = CASES[name]
            tall = drawings(vmapguide.diagram(f, **vmap)(*args))[-1]
            assert float(tall.get("width", 0)) <= 340


def drawings(diagram: Diagram) -> list[ET.Element]:
    """Return the drawings on a page, each well-formed."""
    html = diagram._repr_html_()
    page = ET.fromstring(html[html.index("<div") :])  # noqa: S314 - our own.
    # In HTML the namespace goes without saying.
    for element in page.iter():
        element.tag = f"{SVG}{element.tag}"
    return [*page.iter(f"{SVG}svg")]


def _corners(element: ET.Element, x: float = 0, y: float = 0) -> Any:
    """Yield the corners of rectangles and the starts of paths, in the picture's coordinates."""
    if shift := re.match(r"translate\(([\d.-]+) ([\d.-]+)\)", element.get("transform", "")):
        x, y = x + float(shift[1]), y + float(shift[2])
    if element.tag == f"{SVG}rect":
        left, top = x + float(element.get("x", 0)), y + float(element.get("y", 0))
        yield left, top
        yield left + float(element.get("width", 0)), top + float(element.get("height", 0))
    for start in re.findall(r"M([\d.-]+) ([\d.-]+)", element.get("d", "")):
        yield x + float(start[0]), y + float(start[1])
    for child in element:
        yield from _corners(child, x, y)


class TestReaders:
    """Screen readers, themes, and several pictures on a page."""

    def test_title_and_description(self) -> None:
        """They say what the picture shows, and the picture refers to them."""
        root = picture(vmapguide.diagram(layer, in_axes=(None, 0))(array(2, 5), array(3, 5)))
        title, desc = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
        assert title is not None
        assert desc is not None
        assert root.get("role") == "img"
        assert root.get("aria-labelledby") == f"{title.get('id')} {desc.get('id')}"
        assert title.text == "vmap(layer)  in_axes=(None, 0)"
        assert desc.text == (
            "Batch axes: B is 3. Arguments: w, f32[2,5], shared; x, f32[B,5], of which each "
            "example gets f32[5]. layer is a function of one example. Results: result, f32[B,2], "
            "in which each example has f32[2]."
        )

    def test_ids(self) -> None:
        """Two pictures have their own; one has the same in every build."""
        one, two = (vmapguide.diagram(total)(array(n, 5))._repr_html_() for n in (3, 4))
        again = vmapguide.diagram(total)(array(3, 5))._repr_html_()
        ids = [set(re.findall(r'id="(\w+)"', html)) for html in (one, two)]
        assert [len(found) for found in ids] == [4, 4]  # Of the wide and the tall drawing.
        assert not ids[0] & ids[1]
        assert one == again

    def test_colours_are_those_of_the_stylesheet(self) -> None:
        """None is written into the drawing."""
        html = vmapguide.diagram(total)(array(3, 5))._repr_html_()
        drawing = html[html.index("<svg") :]
        assert not re.search(r"#[0-9a-f]{3,6}\b|rgb|fill=|stroke=|style=", drawing)

    def test_a_file_has_its_own_colours(self) -> None:
        """As values, for light and for dark: not every program knows variables."""
        style = picture(vmapguide.diagram(total)(array(3, 5))).find(f"{SVG}style")
        assert style is not None
        light, dark = (style.text or "").split("@media (prefers-color-scheme: dark)")
        assert "var(" not in (style.text or "")
        assert "light-dark(" not in (style.text or "")
        for colours, axis in ((light, "#9a3412"), (dark, "#fdba74")):
            assert axis in colours
        assert "#fdba74" not in light
        assert "#9a3412" not in dark

    def test_every_class_has_a_rule(self) -> None:
        """Every class in a drawing has a rule, and every rule is for what can be drawn."""
        used: set[str] = set()
        for f, args, vmap, _, _ in (*CASES.values(), (total, (array(9, 9),), {}, None, None)):
            for root in drawings(vmapguide.diagram(f, **vmap)(*args)):
                used |= {c for e in root.iter() for c in e.get("class", "").split()}
        ruled = set(re.findall(r"\.(vg-d-\w+)", stylesheet()))
        assert used - ruled == {"vg-d-line", "vg-d-only"}
        assert ruled - used == {f"vg-d-{letter}" for letter in "EFGH"}

    @pytest.mark.parametrize("evil", HOSTILE)
    def test_hostile_names(self, evil: str) -> None:
        """They are text, and the drawing has no element of them."""
        diagram = vmapguide.diagram(lambda p: p)({evil: array(3)})
        assert_is_text(evil, diagram.as_html())
        assert picture(diagram).find(f".//{SVG}script") is None

    def test_text(self) -> None:
        """A terminal says the same."""
        diagram = vmapguide.diagram(layer, in_axes=(None, 0))(array(2, 5), array(3, 5))
        assert str(diagram).split("\n") == [
            "vmap(layer)   in_axes=(None, 0)   B = 3",
            "",
            "  w       f32[2,5]  ->  f32[2,5]  shared",
            "  x       f32[B,5]  ->  f32[5]    one example",
            "  layer, for one example",
            "  result  f32[2]    ->  f32[B,2]  stacked",
        ]
        assert repr(diagram) == str(diagram)

    def test_plain_data(self) -> None:
        """The data of a diagram goes through JSON."""
        diagram = vmapguide.diagram(total)(array(3, 5))
        data = json.loads(json.dumps(diagram.to_dict(), allow_nan=False))
        assert data["schema"] == "vmapguide.diagram/1"
        assert data["arguments"][0]["shape"] == ["B", 5]


class TestErrors:
    """What vmap refuses is refused in its words, with advice."""

    def test_not_a_function(self) -> None:
        """A value where a function was meant."""
        with pytest.raises(TypeError, match="diagram: the first argument must be a function"):
            vmapguide.diagram(jnp.ones(3))  # type: ignore[arg-type]

    def test_sizes(self) -> None:
        """Two sizes of one batch are refused in JAX's words, with a note."""
        with pytest.raises(ValueError, match="inconsistent sizes") as caught:
            vmapguide.diagram(layer)(array(2, 5), array(3, 5))
        assert any(note.startswith("diagram: the mapped axes") for note in caught.value.__notes__)
