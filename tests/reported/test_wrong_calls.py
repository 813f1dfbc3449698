"""What is said when `jax.vmap` is called in a wrong way: which argument it is, and what to write.

What the notes propose is written as code. The tests run that code.
"""

import dataclasses
import functools
import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from batches import V, X
from jax.experimental import io_callback

import vmapguide
from vmapguide._advice import call_notes, vmap_notes
from vmapguide._trace.call import Call, Vmap


ROWS = jnp.arange(1024.0)


def scaled(x: Any, s: Any) -> Any:
    """Multiply."""
    return x * s


def weighted(x: Any, *, w: Any) -> Any:
    """Multiply by a keyword argument."""
    return x @ w


def noisy(key: Any, x: Any) -> Any:
    """Add a random number."""
    return x + jax.random.normal(key)


def noisy_by_name(x: Any, *, key: Any) -> Any:
    """Add a random number."""
    return x + jax.random.normal(key)


def layer(params: Any, x: Any) -> Any:
    """Return a layer's output."""
    return x @ params["w"] + params["b"]


def doubled(x: Any) -> Any:
    """Return twice the value."""
    return x * 2


def note(f: Callable[..., Any], *args: Any, vmap: Any = None, **kwargs: Any) -> str:
    """Return the one note on a call, or "" if there is none."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - JAX's own, whatever it is.
        vmapguide.explain(f, **(vmap or {}))(*args, **kwargs)
    notes = [n for n in getattr(caught.value, "__notes__", ()) if n.startswith("explain: ")]
    assert len(notes) <= 1
    return "".join(notes)


def proposed_axes(told: str) -> list[Any]:
    """Return every `in_axes` that a note proposes."""
    return [eval(text) for text in re.findall(r"in_axes=(\(.*?\)|-?\d+|None)(?=[.,]| |$)", told)]  # noqa: S307


class TestSizes:
    """Axes of different sizes."""

    @pytest.mark.parametrize("rows", [1, 3])
    def test_a_keyword_argument(self, rows: int) -> None:
        """`in_axes` cannot reach it, and `functools.partial` does."""
        s = jnp.ones(rows)
        told = note(scaled, jnp.ones(2), s=s)
        assert f"2 (x), {rows} (s)" in told
        assert "functools.partial(scaled, s=s)" in told
        if rows == 1:
            vmapguide.explain(functools.partial(scaled, s=s))(jnp.ones(2))
        # One row is not the batch. Three rows may be.
        assert proposed_axes(told) == ([] if rows == 1 else [(None,)])

    def test_a_keyword_argument_that_has_no_position(self) -> None:
        """Sharing `x` would raise in the function: that is not proposed."""
        told = note(weighted, X, w=jnp.ones(4))
        assert "share w" in told
        assert "share x" not in told
        vmapguide.explain(functools.partial(weighted, w=jnp.ones(4)))(X)

    def test_of_two_neither_is_chosen(self) -> None:
        """Both can be shared, and who calls has to say which."""
        told = note(lambda w, x: w * x.sum(), jnp.ones(2), V)
        assert proposed_axes(told) == [(None, 0), (0, None)]
        for in_axes in proposed_axes(told):
            vmapguide.explain(lambda w, x: w * x.sum(), in_axes)(jnp.ones(2), V)

    def test_of_two_the_one_that_can_be_shared(self) -> None:
        """If the function takes one of them alone, that is known."""
        told = note(lambda w, x: w @ x, jnp.ones((2, 4)), X)
        assert proposed_axes(told) == [(None, 0)]
        vmapguide.explain(lambda w, x: w @ x, (None, 0))(jnp.ones((2, 4)), X)

    def test_of_three_the_odd_one(self) -> None:
        """What changes least is proposed."""
        told = note(lambda w, x, y: w * x * y, jnp.ones(2), V, V)
        assert proposed_axes(told) == [(None, 0, 0)]

    def test_parameters_count_as_one(self) -> None:
        """A dictionary with two leaves does not outvote the batch."""
        params = {"w": jnp.ones((4, 2)), "b": jnp.ones(2)}
        told = note(layer, params, X)
        assert "If all examples share params, put None" in told
        assert proposed_axes(told) == [(None, 0)]
        vmapguide.explain(layer, (None, 0))(params, X)

    def test_a_leaf_of_a_dictionary(self) -> None:
        """If the rest of an argument is a batch, the leaf is shared alone."""
        params = {"w": jnp.ones((3, 4, 2)), "b": jnp.ones(2)}
        told = note(layer, params, X)
        assert "share params['b'], put None" in told
        assert proposed_axes(told) == [({"b": None, "w": 0}, 0)]
        vmapguide.explain(layer, ({"b": None, "w": 0}, 0))(params, X)

    def test_two_arguments_at_once(self) -> None:
        """Whatever has to be shared is named together."""
        told = note(lambda w, b, x, y: w * x.sum() + b.sum() + y, V[:2], jnp.ones(5), V, V)
        assert "If all examples share w and b, " in told
        assert proposed_axes(told) == [(None, None, 0, 0)]

    def test_axis_size_counts(self) -> None:
        """It is one of the sizes, and may be the wrong one."""
        told = note(doubled, X, vmap={"axis_size": 7})
        assert "3 (x), 7 (axis_size=)" in told
        assert "leave out axis_size=7" in told
        assert proposed_axes(told) == [(None,)]
        vmapguide.explain(doubled)(X)
        vmapguide.explain(doubled, (None,), axis_size=7)(X)

    def test_axis_size_that_agrees(self) -> None:
        """Then the argument that does not is the odd one."""
        told = note(lambda w, x: w * x, jnp.ones(5), V, vmap={"axis_size": 3})
        assert proposed_axes(told) == [(None, 0)]
        vmapguide.explain(lambda w, x: w * x, (None, 0), axis_size=3)(jnp.ones(5), V)

    def test_nothing_that_could_be_shared(self) -> None:
        """Where no sharing works, none is proposed, and the sizes are told all the same."""
        told = note(jnp.dot, jnp.ones((2, 5)), X)
        assert "2 (a), 3 (b). They must be one" in told
        assert "None" not in told

    def test_what_needs_values_can_be_shared(self) -> None:
        """A branch on what all examples share is tried with its value."""

        def f(w: Any, x: Any) -> Any:
            return x if w.sum() > 0 else -x

        assert proposed_axes(note(f, jnp.ones(2), V)) == [(None, 0)]
        vmapguide.explain(f, (None, 0))(jnp.ones(2), V)

    def test_no_callback_runs(self) -> None:
        """Remedies are traced: no callback is called by that, not even one without arguments."""
        called: list[int] = []

        def draw() -> Any:
            called.append(1)
            return np.float32(1)

        def f(w: Any, x: Any) -> Any:
            one = jax.ShapeDtypeStruct((), jnp.float32)
            drawn = io_callback(draw, one)
            return x * drawn + jnp.dot(w, jnp.ones(5))

        call = Call.of(f, Vmap(), (jnp.ones((2, 4)), V), {})
        error = ValueError("vmap got inconsistent sizes for array axes to be mapped:")
        told = [*vmap_notes.vmap_notes("explain", error, call)]
        jax.effects_barrier()
        assert "They must be one" in told[0]
        assert called == []

    def test_a_vmap_inside(self) -> None:
        """Its sizes are not those of the arguments: nothing is said."""
        assert note(lambda x: jax.vmap(jnp.multiply)(x, jnp.ones(5)), X) == ""


KEYS = {
    "a row of one": (jax.random.key(0)[None], "key[0]"),
    "an old row of one": (jax.random.PRNGKey(0)[None], "key[0]"),
    "an old one": (jax.random.PRNGKey(0), "key"),
    "one": (jax.random.key(0), "key"),
}


class TestKeys:
    """One random key among many rows is to be split and not shared."""

    @pytest.mark.parametrize("kind", KEYS)
    def test_a_key(self, kind: str) -> None:
        """The note says how many keys there have to be."""
        key, expression = KEYS[kind]
        told = note(noisy, key, ROWS)
        assert f"key is one random key: jax.random.split({expression}, 1024)" in told
        assert "put None" not in told
        vmapguide.explain(noisy)(eval(f"jax.random.split({expression}, 1024)"), ROWS)  # noqa: S307

    @pytest.mark.parametrize("kind", KEYS)
    def test_a_key_by_name(self, kind: str) -> None:
        """A keyword argument is mapped, so the keys are passed in the same way."""
        key, expression = KEYS[kind]
        told = note(noisy_by_name, ROWS, key=key)
        assert f"jax.random.split({expression}, 1024)" in told
        keys = eval(f"jax.random.split({expression}, 1024)")  # noqa: S307
        vmapguide.explain(noisy_by_name)(ROWS, key=keys)

    def test_a_key_alone(self) -> None:
        """Of an old key each half would be an example."""
        for key in (jax.random.PRNGKey(0), jax.random.key(0)):
            assert "jax.random.split(key, n) makes one for each" in note(jax.random.normal, key)
            vmapguide.explain(jax.random.normal)(jax.random.split(key, 3))

    def test_rows_that_are_no_keys(self) -> None:
        """Five numbers are not a key, and no split would make them one."""
        rows = jnp.ones((3, 5), jnp.uint32)
        with pytest.raises(TypeError, match="invalid PRNG key data"):
            jax.vmap(jax.random.normal)(rows)
        assert note(jax.random.normal, rows) == ""

    def test_numbers_that_are_no_key(self) -> None:
        """Two unsigned numbers in a row are shared like any others."""
        told = note(lambda c, x: c.sum() + x, jnp.ones((1, 2), jnp.uint32), ROWS)
        assert "random" not in told
        assert proposed_axes(told) == [(None, 0)]

    def test_keys_that_are_many(self) -> None:
        """Of two keys and three examples nobody knows which is right: no split is proposed."""
        assert "split" not in note(noisy, jax.random.split(jax.random.key(0), 2), V)


@dataclasses.dataclass
class Unregistered:
    """Parameters that JAX does not know to be a pytree."""

    w: Any


class TestNoBatch:
    """What has no axis to map."""

    def test_a_number(self) -> None:
        """Of a number it is said that the examples can share it, by `in_axes`."""
        told = note(scaled, X, 2.0)
        assert "s is one float and not a batch of them" in told
        assert proposed_axes(told) == [(0, None)]
        vmapguide.explain(scaled, (0, None))(X, 2.0)

    def test_a_number_by_name(self) -> None:
        """A number that is given by name can be fixed with `functools.partial`."""
        assert "functools.partial(scaled, s=s)" in note(scaled, X, s=2.0)
        vmapguide.explain(functools.partial(scaled, s=2.0))(X)

    def test_a_number_alone(self) -> None:
        """If it is shared, nothing is mapped: that is not proposed."""
        told = note(doubled, 2.0)
        assert "x is one float and not a batch of them. A batch has one axis more" in told
        assert "None" not in told

    def test_a_list_of_numbers(self) -> None:
        """Each would be an argument of its own; an array is a batch of them."""
        assert "pass jnp.asarray(x)" in note(doubled, [1.0, 2.0, 3.0])
        vmapguide.explain(doubled)(jnp.asarray([1.0, 2.0, 3.0]))

    def test_a_list_that_is_no_batch(self) -> None:
        """Where an array does not do, it is not proposed."""
        told = note(lambda x, pair: x * pair[0].sum() if pair else x, X, [1.0, 2.0, 3.0, 4.0])
        assert "asarray" not in told
        assert proposed_axes(told) == [(0, None)]

    def test_a_string(self) -> None:
        """Of a string it is said that the examples can share it, by `in_axes`."""
        f = {"twice": doubled}
        told = note(lambda mode, x: f[mode](x), "twice", X)
        assert "mode is of type str, of which there is no batch. If all examples share mode" in told
        assert proposed_axes(told) == [(None, 0)]
        vmapguide.explain(lambda mode, x: f[mode](x), (None, 0))("twice", X)

    def test_a_string_by_name(self) -> None:
        """A string that is given by name can be fixed with `functools.partial`."""

        def f(x: Any, mode: str) -> Any:
            return {"twice": doubled}[mode](x)

        assert "functools.partial(f, mode=mode)" in note(f, X, mode="twice")
        vmapguide.explain(functools.partial(f, mode="twice"))(X)

    @pytest.mark.parametrize(
        ("text", "hint"),
        [
            ("f32[3,5]", "jax.ShapeDtypeStruct((3, 5), 'float32')"),
            ("bf16[3]", "jax.ShapeDtypeStruct((3,), 'bfloat16')"),
            ("bool[2, 2]", "jax.ShapeDtypeStruct((2, 2), 'bool')"),
            ("key[3]", "jax.random.split(jax.random.key(0), 3)"),
        ],
    )
    def test_a_string_that_names_a_type(self, text: str, hint: str) -> None:
        """The command line takes it, and a function wants the type itself."""
        assert f"pass {hint}." in note(lambda x: x, text)
        vmapguide.explain(lambda x: x)(eval(hint))  # noqa: S307
        with pytest.raises(TypeError) as caught:
            vmapguide.listing(lambda x: x)(text)
        assert f"pass {hint}." in "".join(caught.value.__notes__)

    @pytest.mark.parametrize(
        ("caller", "hint"),
        [
            ("diagram", "jax.ShapeDtypeStruct((3,), 'float32')"),
            ("check", "jnp.zeros((3,), 'float32')"),
            ("cost", "jax.ShapeDtypeStruct((3,), 'float32')"),
            ("compare", "jax.ShapeDtypeStruct((3,), 'float32')"),
            ("benchmark", "jnp.zeros((3,), 'float32')"),
        ],
    )
    def test_what_runs_the_function_needs_values(self, caller: str, hint: str) -> None:
        """A type alone would be refused next."""
        several = caller in ("compare", "benchmark")
        functions: Any = (doubled, lambda x: x + x) if several else (doubled,)
        look = getattr(vmapguide, caller)(*functions)
        with pytest.raises(TypeError) as caught:
            look("f32[3]")
        assert f"pass {hint}." in "".join(caught.value.__notes__)
        look(eval(hint))  # noqa: S307

    @pytest.mark.parametrize("caller", ["listing", "cost", "compare", "benchmark"])
    def test_an_option_is_proposed_where_there_is_one(self, caller: str) -> None:
        """`compare` and `benchmark` have no `static_argnums`."""

        def f(mode: str, x: Any) -> Any:
            return {"twice": doubled}[mode](x)

        functions: Any = (f, f) if caller in ("compare", "benchmark") else (f,)
        with pytest.raises(TypeError) as caught:
            getattr(vmapguide, caller)(*functions)("twice", X)
        told = "".join(caught.value.__notes__)
        assert "JAX cannot trace mode, which is of type str: fix it with functools.partial" in told
        assert ("static_argnums" in told) == (caller in ("listing", "cost"))
        fixed = [functools.partial(f, "twice") for _ in functions]
        getattr(vmapguide, caller)(*fixed)(X)
        if "static_argnums" in told:
            getattr(vmapguide, caller)(f, static_argnums=0)("twice", X)

    @pytest.mark.parametrize("text", ["f32", "q32[3]", "mode[x]", "items[0]"])
    def test_a_string_that_does_not(self, text: str) -> None:
        """Other strings are strings."""
        assert "ShapeDtypeStruct" not in note(lambda x: x, text)

    def test_a_class_that_is_no_pytree(self) -> None:
        """A dataclass can be registered."""
        told = note(lambda p, x: p.w * x, Unregistered(V), X[:, 0])
        assert "jax.tree_util.register_dataclass(Unregistered)" in told

        @dataclasses.dataclass
        class Registered(Unregistered):
            pass

        jax.tree_util.register_dataclass(Registered)
        vmapguide.explain(lambda p, x: p.w * x)(Registered(V), X[:, 0])

    def test_a_class_that_is_no_dataclass(self) -> None:
        """Where a class cannot be registered, sharing alone is proposed."""
        told = note(lambda p, x: (p, x)[1], object(), X)
        assert "register" not in told
        assert proposed_axes(told) == [(None, 0)]

    def test_an_array_of_text(self) -> None:
        """JAX says what is wrong with it, and nothing false is added."""
        assert "None" not in note(doubled, np.array(["a", "b"]))

    def test_no_argument(self) -> None:
        """A function that needs arguments is called without."""
        told = note(scaled)
        assert "cannot be called with these arguments (0 positional)" in told
        assert "missing a required argument: 'x'" in told

    @pytest.mark.parametrize("caller", ["explain", "diagram", "check"])
    def test_an_argument_that_is_not_there(self, caller: str) -> None:
        """Whatever JAX says of it first, the function does not take it."""
        with pytest.raises(ValueError, match="rank should be at least 1") as caught:
            getattr(vmapguide, caller)(doubled)(X, y=1)
        told = "".join(caught.value.__notes__)
        assert "got an unexpected keyword argument 'y'" in told
        assert ("ShapeDtypeStruct" in told) == (caller != "check")

    def test_no_argument_where_none_is_needed(self) -> None:
        """Then the number of examples is missing."""
        assert "pass axis_size=" in note(lambda: 1.0)
        vmapguide.explain(lambda: 1.0, axis_size=3)()

    def test_none(self) -> None:
        """None is a pytree without leaves."""
        told = note(doubled, None)
        assert "no argument holds an array" in told
        assert "axis_size" not in told


class TestAxes:
    """Wrong types of `in_axes` and `out_axes`."""

    @pytest.mark.parametrize("in_axes", ["0", np.int64(0), 0.0, ("0",), (np.int64(0),)])
    @pytest.mark.parametrize("option", ["in_axes", "out_axes"])
    def test_almost_an_int(self, in_axes: Any, option: str) -> None:
        """What is meant is written out."""
        expected = (0,) if isinstance(in_axes, tuple) else 0
        f = doubled if option == "in_axes" else lambda x: (x,)
        assert f"write {option}={expected!r}." in note(f, X, vmap={option: in_axes})
        proposed: dict[str, Any] = {option: expected}
        vmapguide.explain(f, **proposed)(X)

    @pytest.mark.parametrize("in_axes", [0.5, True, "first", object(), {0, 1}])
    def test_nothing_like_an_int(self, in_axes: Any) -> None:
        """Where `in_axes` is nothing like a number, none is guessed."""
        assert "one entry for each positional argument; write (0,)" in note(
            doubled, X, vmap={"in_axes": in_axes}
        )

    def test_names(self) -> None:
        """Entries have an order and no names."""
        told = note(scaled, X, 2.0, vmap={"in_axes": {"s": None, "x": 0}})
        assert "write in_axes=(0, None)" in told
        vmapguide.explain(scaled, (0, None))(X, 2.0)

    def test_names_of_other_things(self) -> None:
        """Where a name is missing or unknown, nothing is guessed."""
        for names in ({"x": 0}, {"x": 0, "w": None}):
            assert "write in_axes=" not in note(scaled, X, 2.0, vmap={"in_axes": names})

    def test_an_entry_for_a_keyword_argument(self) -> None:
        """It has none unless it is passed by position."""
        told = note(scaled, X, vmap={"in_axes": (0, None)}, s=2.0)
        assert "pass s by position" in told
        vmapguide.explain(scaled, (0, None))(X, 2.0)

    def test_an_entry_for_what_has_no_position(self) -> None:
        """Then that is not proposed."""
        told = note(weighted, X, vmap={"in_axes": (0, None)}, w=jnp.ones(4))
        assert "by position" not in told
        assert "always mapped on axis 0" in told

    def test_nothing_mapped(self) -> None:
        """The number of examples is missing, if that is all."""
        assert "pass axis_size=" in note(doubled, X, vmap={"in_axes": None})
        vmapguide.explain(doubled, None, axis_size=3)(X)
        assert note(lambda x: jnp.dot(x, x), X, vmap={"in_axes": None}) == ""

    @pytest.mark.parametrize("size", ["7", -1, [3]])
    def test_an_axis_size_that_is_no_size(self, size: Any) -> None:
        """JAX does not name it; the note does, and a size that is one gets no such note."""
        told = note(doubled, X, vmap={"in_axes": None, "axis_size": size})
        assert f"axis_size is the number of examples, a whole number, but is {size!r}" in told
        vmapguide.explain(doubled, None, axis_size=7)(X)
        told = note(doubled, X, vmap={"in_axes": 0, "axis_size": 7})
        assert "axis_size is the number" not in told

    def test_an_axis_name(self) -> None:
        """A collective's name is proposed if it is the only one."""

        def f(x: Any) -> Any:
            return jax.lax.psum(x, "i")

        assert "pass axis_name='i'" in note(f, X)
        vmapguide.explain(f, axis_name="i")(X)
        assert note(lambda x: f(x) + jax.lax.psum(x, "j"), X, vmap={"axis_name": "j"}) == ""

    def test_a_result_that_has_no_such_axis(self) -> None:
        """The batch axis counts among the result's; axes in the function are another matter."""
        assert "out_axes=1 counts the axes of the result" in note(jnp.sum, X, vmap={"out_axes": 1})
        for axis in (0, -1):
            vmapguide.explain(jnp.sum, out_axes=axis)(X)
        assert "no more than 0 to 1, or -2 to -1." in note(doubled, X, vmap={"out_axes": 2})
        for axis in (0, 1, -2, -1):
            vmapguide.explain(doubled, out_axes=axis)(X)
        assert note(lambda x: jnp.moveaxis(x, 3, 0), X, vmap={"out_axes": 1}) == ""

    def test_the_structure_of_results(self) -> None:
        """`out_axes` has the structure of the results, `in_axes` that of the arguments."""
        told = note(lambda x: {"a": x}, X, vmap={"out_axes": {"b": 0}})
        assert "out_axes has the structure of what the function returns" in told
        vmapguide.explain(lambda x: {"a": x}, out_axes={"a": 0})(X)
        told = note(lambda p: p["a"], {"a": X}, vmap={"in_axes": ({"b": 0},)})
        assert "an entry of in_axes has the structure of its argument" in told
        vmapguide.explain(lambda p: p["a"], ({"a": 0},))({"a": X})

    def test_a_structure_that_is_right(self) -> None:
        """Where an entry is no axis, or the function looks for another key, it is not that."""
        told = note(lambda p: p["a"], {"a": X}, vmap={"in_axes": ({"a": "first"},)})
        assert "structure" not in told
        assert note(lambda p: p["b"], {"a": X}, vmap={"in_axes": ({"a": 0},)}) == ""

    @pytest.mark.parametrize("caller", ["diagram", "check"])
    @pytest.mark.parametrize("option", ["in_axes", "out_axes"])
    def test_every_function_that_stands_where_vmap_stood(self, caller: str, option: str) -> None:
        """All say it in the same way, under their own names."""
        with pytest.raises(TypeError, match=f"vmap {option} must be an int") as caught:
            getattr(vmapguide, caller)(doubled, **{option: "0"})(X)
        assert f"{caller}: the entries of {option}" in "".join(caught.value.__notes__)


# What a `vmap` inside the function is given, what the note says, what it proposes, and what is
# wrong in another way: the note is not given of it.
INSIDE: dict[str, tuple[dict[str, Any], str, dict[str, Any], dict[str, Any]]] = {
    "vmap in_axes must be an int, None, or": (
        {"in_axes": "0"},
        "write (0,) or ({'a': 0},) even for a single one",
        {"in_axes": (0,)},
        {"in_axes": (5,)},
    ),
    "vmap out_axes must be an int, None, or": (
        {"out_axes": "0"},
        "out_axes has the structure of what the function returns",
        {"out_axes": 0},
        {"out_axes": 5},
    ),
    "vmap in_axes specification must be a tree prefix": (
        {"in_axes": ({"a": 0},)},
        "an entry of in_axes has the structure of its argument",
        {"in_axes": (0,)},
        {"in_axes": (5,)},
    ),
    "vmap out_axes specification must be a tree prefix": (
        {"out_axes": {"a": 0}},
        "out_axes has the structure of what the function returns",
        {"out_axes": 0},
        {"out_axes": 5},
    ),
    "must have at least one non-None value in in_axes": (
        {"in_axes": None},
        "nothing says how many examples there are: pass axis_size=",
        {"in_axes": None, "axis_size": 2},
        {"in_axes": 0, "axis_size": 2},
    ),
}


@pytest.mark.parametrize("pattern", INSIDE)
def test_a_vmap_inside(pattern: str) -> None:
    """What is known of a wrong call is known of one that the function makes."""
    wrong, told, right, otherwise = INSIDE[pattern]

    def inside(vmap: dict[str, Any]) -> Callable[..., Any]:
        def f(x: Any) -> Any:
            return jax.vmap(doubled, **vmap)(x)

        return f

    with pytest.raises(Exception, match=pattern):
        jax.vmap(inside(wrong))(X)
    assert told in note(inside(wrong), X)
    vmapguide.explain(inside(right))(X)
    assert note(inside(otherwise), X) == ""


def test_every_note_on_a_vmap_inside_is_followed() -> None:
    """No such note is without a test."""
    assert INSIDE.keys() == call_notes.INSIDE.keys()
