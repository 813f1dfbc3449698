"""`vmapguide.explain`: what it accepts, what it refuses, and the value it returns."""

import dataclasses
import functools
import json
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from accounts import Checked
from batches import V, W, X
from equations import bare
from hostile_names import assert_is_text
from markup_tree import Tree

import vmapguide
from vmapguide import Explanation
from vmapguide._jaxpr.trace_matching import equal
from vmapguide._jaxpr.walk import without_addresses


@functools.partial(jax.tree_util.register_dataclass, data_fields=["w", "b"], meta_fields=["kind"])
@dataclasses.dataclass
class Params:
    """Parameters of a layer, as a pytree of the user's own."""

    w: Any
    b: Any
    kind: str


def layer(params: Params, x: jax.Array) -> Any:
    """Return a layer's output."""
    assert params.kind == "dense"
    return jnp.tanh(params.w * x + params.b)


def first_key(key: Any) -> Any:
    """Draw a number."""
    return jax.random.normal(key, (2,))


def results(explanation: Explanation) -> list[list[int | str]]:
    """Return the shapes of the batched results that are not literals."""
    data: Any = explanation.to_dict()
    return [
        list(result["type"]["shape"]) for result in data["batched"]["results"] if "type" in result
    ]


# A function, its arguments, the arguments of vmap, the shapes of the results.
ACCEPTED: dict[str, tuple[Any, tuple[Any, ...], dict[str, Any], list[Any]]] = {
    "int": (lambda x: x.sum(), (X,), {"in_axes": 1}, [["B"]]),
    "negative": (lambda x: x * 2, (X,), {"in_axes": -1, "out_axes": -1}, [[3, "B"]]),
    "None": (lambda x, w: x @ w, (X, X[0]), {"in_axes": (0, None)}, [["B"]]),
    "list": (lambda x, w: x @ w, (X, X[0]), {"in_axes": [0, None]}, [["B"]]),
    "tree": (
        lambda p, x: p["w"] * x + p["b"][0],
        ({"w": X, "b": [X[0], 1.0]}, X),
        {"in_axes": ({"w": 0, "b": [None, None]}, 0)},
        [["B", 4]],
    ),
    "prefix": (
        lambda p, x: p["w"] * x + p["b"][0],
        ({"w": X[0], "b": [X[0]]}, X),
        {"in_axes": (None, 0)},
        [["B", 4]],
    ),
    "tree with None in it": (lambda p: p[0] * 2, ((X, None),), {}, [["B", 4]]),
    "out_axes tree": (
        lambda x: {"a": x * 2, "b": (x, 1.0)},
        (X,),
        {"out_axes": {"a": 1, "b": (0, None)}},
        [[4, "B"], ["B", 4]],
    ),
    "dataclass": (
        layer,
        (Params(X, X[0], "dense"), X),
        {"in_axes": (Params(0, None, "dense"), 0)},
        [["B", 4]],
    ),
    "key": (first_key, (jax.random.split(jax.random.key(0), 3),), {}, [["B", 2]]),
    "unmapped key": (
        lambda key, x: first_key(key) + x,
        (jax.random.key(0), V),
        {"in_axes": (None, 0)},
        [["B", 2]],
    ),
    "legacy key": (first_key, (jax.random.split(jax.random.PRNGKey(0), 3),), {}, [["B", 2]]),
    "axis_name": (
        lambda x: x / jax.lax.psum(x, "batch"),
        (X,),
        {"axis_name": "batch"},
        [["B", 4]],
    ),
    "axis_size": (lambda x: x * 2, (X[0],), {"in_axes": None, "axis_size": 5}, [["B", 4]]),
    "axis_size and axis": (lambda x: x * 2, (X,), {"axis_size": 3}, [["B", 4]]),
    "no arguments": (
        lambda: jax.lax.axis_index("i") * 2,
        (),
        {"axis_name": "i", "axis_size": 5},
        [["B"]],
    ),
    "spmd_axis_name": (lambda x: x * 2, (X,), {"spmd_axis_name": "d"}, [["B", 4]]),
    "size 0": (lambda x: x.sum(), (jnp.ones((0, 4)),), {}, [["B"]]),
    "size 1": (lambda x: x.sum(), (jnp.ones((1, 1)),), {}, [["B"]]),
    "abstract": (
        lambda x: x.sum(),
        (jax.ShapeDtypeStruct((10**9, 4), jnp.bfloat16),),
        {},
        [["B"]],
    ),
    "NumPy": (lambda x: x.sum(), (np.ones((3, 4), np.float32),), {}, [["B"]]),
    "None result": (lambda x: (None, x * 2), (X,), {}, [["B", 4]]),
    "no result": (lambda _: None, (X,), {}, []),
    "a result as it came": (
        lambda x, y: (x, y),
        (X, 1.0),
        {"in_axes": (0, None)},
        [["B", 4], ["B"]],
    ),
    "partial": (functools.partial(jnp.multiply, 2.0), (X,), {}, [["B", 4]]),
    "integer result": (lambda x: x.argmax(), (X,), {}, [["B"]]),
}


class TestAccepted:
    """Everything that `jax.vmap` accepts is accepted, and means the same."""

    @pytest.mark.parametrize("call", ACCEPTED)
    def test_a_call_of_vmap(self, call: str, checked: Checked) -> None:
        """The same arguments make the same jaxpr, all of it mapped, with its batch axes known."""
        f, args, vmap, shapes = ACCEPTED[call]
        explanation = checked(f, *args, **vmap)
        assert results(explanation) == shapes
        assert all(step.batch_axes is not None for step in explanation.steps if step.batched)

    def test_keyword_arguments_are_mapped_on_their_first_axis(self) -> None:
        """`in_axes` is about positional arguments."""

        def f(x: jax.Array, *, scale: jax.Array) -> jax.Array:
            return x * scale

        explanation = vmapguide.explain(f, 1)(X.T, scale=V)
        plain = jax.make_jaxpr(jax.vmap(f, 1))(X.T, scale=V)
        assert equal(explanation.batched, plain)
        data: Any = explanation.to_dict()
        shapes = {a["name"]: list(a["type"]["shape"]) for a in data["batched"]["arguments"]}
        assert shapes == {"x": [4, "B"], "scale": ["B"]}

    def test_a_number_in_range(self) -> None:
        """An unmapped number may say how often Python goes round."""

        def f(x: jax.Array, n: int) -> jax.Array:
            for _ in range(n):
                x = x * 2
            return x

        explanation = vmapguide.explain(f, (0, None))(X, 3)
        plain = jax.make_jaxpr(jax.vmap(lambda x: f(x, 3)))(X)
        assert equal(explanation.batched, plain)
        assert [step.kind for step in explanation.steps] == ["same"] * 3
        assert results(explanation) == [["B", 4]]

    def test_an_unmapped_number_is_an_argument_where_it_can_be(self, checked: Checked) -> None:
        """A number that is only used as one is traced like any other argument."""
        explanation = checked(lambda n, x: n * x, 3, X, in_axes=(None, 0))
        assert len(bare(explanation.batched).invars) == 2

    @pytest.mark.parametrize("array", [jnp.float32(1.0), np.float32(1.0), np.ones(())])
    def test_an_array_in_if(self, array: Any) -> None:
        """Python may branch on an unmapped array that has a value."""

        def f(x: jax.Array, a: jax.Array) -> jax.Array:
            return jnp.sin(x) if a > 0 else jnp.cos(x)

        for value, primitive in ((array, "sin"), (-array, "cos")):
            jax.vmap(f, (0, None))(X, value)
            steps = vmapguide.explain(f, (0, None))(X, value).steps
            assert [step.equation.primitive.name for step in steps] == [primitive]

    @pytest.mark.parametrize(("value", "primitive"), [("sine", "sin"), ("cosine", "cos")])
    def test_strings(self, value: str, primitive: str) -> None:
        """An unmapped string is passed through."""

        def f(x: jax.Array, mode: str) -> jax.Array:
            return {"sine": jnp.sin, "cosine": jnp.cos}[mode](x)

        explanation = vmapguide.explain(f, (0, None))(X, value)
        assert [step.equation.primitive.name for step in explanation.steps] == [primitive]

    def test_functions(self) -> None:
        """An unmapped function is passed on as it is, in a tree too."""

        def f(x: jax.Array, options: dict[str, Any]) -> jax.Array:
            result: jax.Array = options["activation"](x) * options["scale"]
            return result

        options = {"activation": jnp.tanh, "scale": 2.0}
        explanation = vmapguide.explain(f, (0, None))(X, options)
        primitives = [step.equation.primitive.name for step in explanation.steps]
        assert (primitives[0], primitives[-1]) == ("tanh", "mul")
        assert results(explanation) == [["B", 4]]

    def test_nothing_is_computed(self) -> None:
        """The function is traced and its callbacks are not called."""
        called: list[Any] = []

        def f(x: jax.Array) -> Any:
            jax.debug.callback(called.append, x)
            return x

        vmapguide.explain(f)(X)
        jax.effects_barrier()
        assert called == []


# A function, its arguments, the arguments of vmap, what the note says of it.
REJECTED: dict[str, tuple[Any, tuple[Any, ...], dict[str, Any], str]] = {
    "sizes": (jnp.dot, (W, X), {}, r"the sizes 2 \(.*\), 3 \(.*\)\. They must be one"),
    "sizes of leaves": (
        lambda params, x: params["w"] * x,
        ({"w": V[:2]}, V),
        {},
        r"2 \(params\['w'\]\), 3 \(x\).*share params, put None",
    ),
    "a scalar": (lambda x, scale: x * scale, (X, jnp.ones(())), {}, r"scale is one float32\[\]"),
    "a number": (lambda x, scale: x * scale, (X, 2.0), {}, r"scale is one float and not a batch"),
    "a string": (lambda x, mode: (x, mode), (X, "a"), {}, r"mode is of type str"),
    "in_axes by name": (lambda x: x, (X,), {"in_axes": {"x": 0}}, r"one entry for each positional"),
    "in_axes too short": (lambda x, y: x + y, (X, X), {"in_axes": (0,)}, r"one entry for each"),
    "in_axes of another structure": (
        lambda p: p["w"],
        ({"w": X},),
        {"in_axes": ({"a": 0},)},
        r"has the structure of its argument",
    ),
    "nothing mapped": (lambda x: x, (X,), {"in_axes": None}, r"pass axis_size="),
    "no axis": (lambda x: jax.lax.psum(x, "i"), (X,), {}, r"pass axis_name='i'"),
    "out_axes None": (lambda x: x, (X,), {"out_axes": None}, r"give it a number, or reduce it"),
    "if": (lambda x: x if x > 0 else -x, (V,), {}, r"use jnp.where or jax.lax.cond"),
    "an axis that is not there": (lambda x: x, (X,), {"in_axes": 2}, r"x, which is float32\[3,4\]"),
    "a negative one": (lambda x: x, (X,), {"in_axes": -3}, r"its axes are 0 to 1, or -2 to -1"),
    "out_axes too far": (
        lambda x: x.sum(),
        (X,),
        {"out_axes": 1},
        r"out_axes=1 counts .* no more than 0, or -1",
    ),
    "an argument missing": (lambda x, y: x + y, (X,), {}, r"missing a required argument: 'y'"),
    "an error of the user's": (lambda x: {"a": x}[str(x.shape)], (X,), {}, ""),
    "shapes": (jnp.dot, (X, X), {"in_axes": (0, None)}, ""),
}


class TestRejected:
    """What `jax.vmap` rejects is rejected in its own words, with advice behind them."""

    @pytest.mark.parametrize("call", REJECTED)
    def test_the_error_is_jaxs_with_a_note(self, call: str) -> None:
        """Type and message are those of `jax.vmap`; the note names the argument and the remedy."""
        f, args, vmap, note = REJECTED[call]
        with pytest.raises(Exception) as plain:  # noqa: PT011 - whatever it is, ours is the same.
            jax.vmap(f, **vmap)(*args)
        with pytest.raises(plain.type) as ours:
            vmapguide.explain(f, **vmap)(*args)
        assert ours.type is plain.type
        assert _words(ours.value) == _words(plain.value)
        notes = [n for n in getattr(ours.value, "__notes__", ()) if n.startswith("explain: ")]
        assert len(notes) == bool(note)
        assert re.search(note, "".join(notes))

    def test_not_a_function(self) -> None:
        """A value where a function was meant."""
        with pytest.raises(TypeError, match=r"explain: the first argument must be a function"):
            vmapguide.explain(X)  # type: ignore[arg-type]

    def test_a_keyword_argument_that_is_no_batch(self) -> None:
        """A keyword argument is always mapped: the note says how to share it."""
        with pytest.raises(ValueError, match="rank should be at least 1") as caught:
            vmapguide.explain(lambda x, scale: x * scale)(X, scale=2.0)
        assert "scale is one float" in caught.value.__notes__[-1]
        assert "functools.partial" in caught.value.__notes__[-1]

    def test_ordered_callbacks(self) -> None:
        """What vmap cannot do is JAX's to say."""

        def f(x: jax.Array) -> None:
            jax.experimental.io_callback(lambda _: None, None, x, ordered=True)

        with pytest.raises(ValueError, match="ordered"):
            vmapguide.explain(f)(X)


def _words(error: BaseException) -> str:
    """Return an error's message without what differs from one trace to the next."""
    text = re.sub(r"(JitTracer|BatchTracer|Tracer)[^\n]*", "", without_addresses(error))
    return re.sub(r"traced array with shape.*", "", text)


def cube(x: jax.Array) -> jax.Array:
    """Return the cube."""
    y = jnp.where(x > 0, x, 0.0)
    return y * x * jnp.sin(x)


class TestValue:
    """An explanation as a value."""

    def test_to_dict_is_json(self) -> None:
        """Tools get everything, in plain data."""
        explanation = vmapguide.explain(cube, out_axes=1)(X)
        data = json.loads(json.dumps(explanation.to_dict()))
        assert data["schema"] == "vmapguide.explanation/1"
        assert set(data) == {
            "schema",
            "name",
            "axis_sizes",
            "sharded",
            "complete",
            "findings",
            "functions",
            "per_example",
            "batched",
            "steps",
            "boundary",
            "unknown",
        }
        assert (data["name"], data["axis_sizes"], data["complete"]) == ("cube", {"B": 3}, True)
        step = data["steps"][-1]
        assert set(step) == {
            "equation",
            "batched",
            "kind",
            "batch_axes",
            "source",
            "in_user_code",
            "depth",
            "variants",
            "bounds",
        }
        assert (step["equation"]["primitive"], step["kind"]) == ("mul", "same")
        assert (step["batch_axes"], step["in_user_code"], step["depth"]) == ([0], True, 0)
        assert step["source"]["expression"] == "y * x * jnp.sin(x)"
        assert step["source"]["file"] == __file__
        assert step["batched"][-1] == data["batched"]["equations"][-2]
        assert [eqn["primitive"] for eqn in data["boundary"]] == ["transpose"]

    def test_names_are_one(self) -> None:
        """The equations of a step are called as in the programs that they stand in."""
        data: Any = vmapguide.explain(cube)(X).to_dict()
        outer = [step for step in data["steps"] if step["depth"] == 0]
        assert [step["equation"] for step in outer] == list(data["per_example"]["equations"])
        assert [e for s in outer for e in s["batched"]] == list(data["batched"]["equations"])

    def test_the_jaxprs_are_the_real_things(self) -> None:
        """Both are what JAX makes, and the steps hold their very equations."""
        explanation = vmapguide.explain(cube)(X)
        assert str(explanation.per_example) == str(jax.make_jaxpr(cube)(X[0]))
        assert explanation.steps[0].equation is bare(explanation.per_example).eqns[0]
        last = bare(explanation.batched).eqns[-1]
        assert explanation.steps[-1].batched[-1] is last

    @pytest.mark.parametrize(
        "columns",
        [
            60,
            88,
            140,
        ],
    )
    def test_text_fits_the_terminal(self, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """Lines are broken to the width of the terminal, and nothing is lost."""

        def f(x: jax.Array, i: jax.Array) -> Any:
            y = jax.lax.dynamic_slice(x, (i,), (2,))
            return jnp.outer(jnp.tanh(y), y) @ y

        explanation = vmapguide.explain(f)(X, jnp.arange(3))
        monkeypatch.setenv("COLUMNS", "1000")
        wide = str(explanation)
        monkeypatch.setenv("COLUMNS", str(columns))
        text = str(explanation)
        assert max(map(len, text.splitlines())) <= columns
        assert sorted(re.findall(r"\w+:\w+\[", text)) == sorted(re.findall(r"\w+:\w+\[", wide))
        assert repr(explanation) == text
        assert "\x1b" not in text

    def test_the_text_says_what_is_in_the_steps(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The user's line, the equation, what it became, the kind."""
        monkeypatch.setenv("COLUMNS", "120")
        text = str(vmapguide.explain(cube, out_axes=1)(X))
        assert text.startswith("vmap(cube)  in_axes=0, out_axes=1   f32[B,4] → f32[4,B]   B = 3\n")
        number = cube.__code__.co_firstlineno + 3
        assert f"{number}  return y * x * jnp.sin(x)\n" in text
        assert re.search(r"\w:f32\[4\] = sin x +\w:f32\[B,4\] = sin x\n", text)
        assert re.search(r"out_axes\n +\w:f32\[4,B\] = transpose\[.*\] \w +layout\n", text)

    def test_a_step_without_source_lines_is_shown(self) -> None:
        """No line, but the equation all the same."""
        text = str(vmapguide.explain(jnp.sin)(X))
        assert "(no source)" in text
        assert "sin x" in text

    def test_everything_the_user_named_is_escaped(self) -> None:
        """Names and strings of the user's are text in HTML, whatever is in them."""
        evil = "<img src=x onerror=alert(1)>"

        def f(params: dict[str, jax.Array]) -> Any:
            named = lambda v: jnp.sin(v) + 1  # noqa: E731
            named.__name__ = evil
            y = jax.jit(named)(params[evil])
            y = {"<img src=code>": y * 2}["<img src=code>"]
            with jax.named_scope(evil):
                return y + jax.pure_callback(
                    named, jax.ShapeDtypeStruct((4,), jnp.float32), y, vmap_method="sequential"
                )

        f.__name__ = evil
        explanation = vmapguide.explain(f, ({evil: 0},))({evil: X})
        html = explanation.as_html()
        assert_is_text(evil, html)
        assert_is_text("<img src=code>", html)
        assert Tree(html).text.count(evil) >= 3
        assert evil in str(explanation)

    def test_the_html_is_whole(self) -> None:
        """Every equation is in it, and every tag that is opened is closed."""
        explanation = vmapguide.explain(cube, out_axes=1)(X)
        html = explanation._repr_html_()
        assert Tree(html).counts["table"] == 1
        assert html.count('class="vg-made') == sum(
            len(step.batched) for step in explanation.steps
        ) + len(explanation.boundary)
        assert len(re.findall(r'class="vg-one"><(?!/td)', html)) == len(explanation.steps)

    def test_the_functions_name_is_found(self) -> None:
        """Wrappers are looked through; what has no name is called by its type."""
        assert vmapguide.explain(jax.jit(cube))(X).name == "cube"
        assert vmapguide.explain(functools.partial(cube))(X).name == "cube"
        assert vmapguide.explain(lambda x: x)(X).name == "<lambda>"
        assert vmapguide.explain(cube).__name__ == "cube"
