"""`vmapguide.listing`: what it accepts, what it says, what it refuses."""

import functools
import json
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from batches import W, b, neuron

import vmapguide


MODEL = {"weights": W, "a name": b}


def lines(listing: vmapguide.Listing) -> list[str]:
    """Return the equations of a listing, without indentation."""
    return [line.strip() for line in str(listing).splitlines()[1:-1]]


class TestNames:
    """Variables are called what the user calls them."""

    def test_arguments_keep_their_names(self) -> None:
        """An argument is called like the function's parameter."""
        listing = vmapguide.listing(lambda left, right: left + right)(1.0, 2.0)
        assert lines(listing) == ["a:f32*[] = add left right"]

    def test_leaves_of_an_argument_are_named_by_their_path(self) -> None:
        """A leaf of a pytree is called as one would write it."""
        listing = vmapguide.listing(lambda p: p["w"] * p["b"][1])({"w": W, "b": [b, 2.0]})
        assert "mul p['w'] a" in str(listing)

    def test_captured_arrays_keep_their_names(self) -> None:
        """A global array is called like the variable that holds it."""
        assert str(vmapguide.listing(neuron)(W[0])).startswith("{ lambda W:f32[2,5] b:f32[2]; x")

    def test_captured_arrays_are_found_through_calls_and_comprehensions(self) -> None:
        """A function that only calls another one knows the other one's arrays."""

        def loop(xs: jax.Array) -> list[jax.Array]:
            return [neuron(x) for x in xs]

        assert "{ lambda W:f32[2,5] b:f32[2]; xs" in str(vmapguide.listing(loop)(W))

    def test_captured_leaves_are_named_by_their_path(self) -> None:
        """A leaf of a captured pytree is called by its path, unless that is not one word."""
        listing = vmapguide.listing(lambda x: MODEL["weights"] @ x + MODEL["a name"])(W[0])
        assert str(listing).startswith("{ lambda MODEL['weights']:f32[2,5] a:f32[2]; x:f32[5]. let")

    def test_captured_locals_are_found(self) -> None:
        """An array in a closure is called like the local variable that holds it."""
        local = jnp.ones(3)
        assert "lambda local:f32[3];" in str(vmapguide.listing(lambda x: x + local)(local))

    def test_names_survive_transformations_and_partial(self) -> None:
        """Wrappers are looked through."""
        f = functools.partial(jax.jit(jax.vmap(lambda scale, x: scale * neuron(x))), W[:, 0])
        assert "W:f32[2,5]" in str(vmapguide.listing(f)(W))

    def test_letters_skip_names_in_use(self) -> None:
        """A variable is never named twice."""
        listing = vmapguide.listing(lambda a, b: a + b * a)(1.0, 2.0)
        assert lines(listing) == ["c:f32*[] = mul b a", "d:f32*[] = add a c"]

    def test_letters_continue_after_z(self) -> None:
        """After z come names of two letters."""

        def long(x: jax.Array) -> jax.Array:
            for _ in range(40):
                x = jnp.sin(x)
            return x

        names = [line.partition(":")[0] for line in lines(vmapguide.listing(long)(1.0))]
        assert len(set(names)) == 40
        assert names[24:28] == ["z", "ba", "bb", "bc"]


class TestNoise:
    """What JAX prints and nobody reads is left out."""

    def test_vmapped_neuron_is_six_short_lines(self) -> None:
        """Defaults are hidden and NumPy scalars print as numbers."""
        assert lines(vmapguide.listing(jax.vmap(neuron))(jnp.ones((3, 5)))) == [
            "a:f32[2,3] = dot_general[dimension_numbers=(((1,), (1,)), ((), ()))] W x",
            "c:f32[3,2] = transpose[permutation=(1, 0)] a",
            "d:f32[1,2] = broadcast_in_dim[broadcast_dimensions=(1,)] b",
            "e:f32[3,2] = add c d",
            "f:f32[3,2] = tanh e",
            "g:f32[3] = reduce_sum[axes=(1,)] f",
        ]

    def test_numpy_scalars_are_normalised_everywhere(self) -> None:
        """JAX itself prints `np.int64(1)` here."""
        f = jax.vmap(lambda x: x.sum())
        assert "np.int64" in str(jax.make_jaxpr(f)(W))
        assert "np." not in str(vmapguide.listing(f, shorten=False)(W))

    def test_parameters_of_jit_are_hidden_unless_set(self) -> None:
        """Of a `jit` its name and jaxpr are shown, and what the user set."""
        plain = str(vmapguide.listing(jax.jit(neuron))(W[0]))
        kept = str(vmapguide.listing(jax.jit(neuron, keep_unused=True))(W[0]))
        assert "keep_unused" not in plain
        assert "keep_unused=True" in kept

    def test_axes_are_shown_even_at_their_default(self) -> None:
        """Where an operation works is what the reader looks for."""
        assert "axis=0" in str(vmapguide.listing(jnp.cumsum, fold=False)(b))

    def test_an_outer_product_shows_its_empty_dimension_numbers(self) -> None:
        """Empty is not always a default."""
        listing = str(vmapguide.listing(lambda x, y: jnp.einsum("i,j->ij", x, y))(b, b))
        assert "dimension_numbers=(((), ()), ((), ()))" in listing

    def test_shorten_false_shows_everything(self) -> None:
        """Every parameter that JAX holds is written out, in full."""

        def take(x: jax.Array) -> jax.Array:
            return x[jnp.array([1, 0])]

        short = str(vmapguide.listing(take)(b))
        full = str(vmapguide.listing(take, shorten=False)(b))
        assert "dimension_numbers=GatherDimensionNumbers(…)" in short
        assert "unique_indices" not in short
        assert "start_index_map=(0,)" in full
        assert "unique_indices=False" in full

    def test_addresses_and_rules_of_other_transformations_do_not_appear(self) -> None:
        """A listing is the same in every run."""

        def called(x: jax.Array) -> Any:
            return jax.pure_callback(lambda v: v, x, jax.nn.relu(x))

        full = vmapguide.listing(called, fold=False, shorten=False)(b)
        short = vmapguide.listing(called, fold=False)(b)
        assert " at 0x" in str(full.jaxpr)
        assert "0x" not in str(full)
        assert "jvp=" in str(full.jaxpr)
        assert re.findall(r"\w*jvp\w*", str(short)) == ["custom_jvp_call"]

    def test_scan_reads_alike_on_every_jax(self) -> None:
        """Newer versions of JAX say with trees what older ones said with counts."""

        def running(scale: jax.Array, x: jax.Array) -> Any:
            return jax.lax.scan(lambda carry, v: (carry + scale * v, v), 0.0, x)

        text = str(vmapguide.listing(running)(2.0, b))
        assert "num_consts=1" in text
        assert "num_carry=1" in text
        assert "ft_in" not in text


class TestTypes:
    """Types, literals and weak types."""

    def test_weak_types_have_a_star(self) -> None:
        """As in JAX's promotion table."""
        assert "x:f32*[]" in str(vmapguide.listing(lambda x: x)(1.0))
        assert "x:f32[]" in str(vmapguide.listing(lambda x: x)(jnp.float32(1)))

    def test_a_literal_says_its_dtype_where_its_spelling_does_not(self) -> None:
        """A float is f32 and an int i32, unless it says otherwise."""
        assert lines(vmapguide.listing(lambda x: x * 2)(b)) == ["a:f32[2] = mul x 2.0"]
        unsigned = jnp.ones(2, jnp.uint8)
        assert lines(vmapguide.listing(lambda x: x * 2)(unsigned)) == ["a:u8[2] = mul x 2:u8[]"]

    def test_keys_and_references_have_types_of_their_own(self) -> None:
        """Typed keys print their implementation, references what they refer to."""
        key = jax.random.key(0)
        assert "k:key<fry>[]" in str(vmapguide.listing(lambda k: k)(key))
        assert "Ref{f32[2]}" in str(vmapguide.listing(lambda x: jax.new_ref(x)[...])(b))


class TestArguments:
    """What a listing can be made of."""

    @pytest.mark.parametrize(
        "argument",
        [
            W[0],
            np.ones(5, np.float32),
            jax.ShapeDtypeStruct((5,), jnp.float32),
            [1.0, 2.0, 3.0, 4.0, 5.0],
        ],
        ids=["jax", "numpy", "abstract", "list"],
    )
    def test_arrays_of_all_kinds(self, argument: Any) -> None:
        """Arrays, abstract arrays and pytrees of Python numbers are accepted."""
        listing = vmapguide.listing(lambda x: jnp.sum(jnp.asarray(x)))(argument)
        assert listing.primitives["reduce_sum"] == 1

    def test_nothing_is_computed(self) -> None:
        """An abstract argument may be larger than any memory."""
        huge = jax.ShapeDtypeStruct((10**9, 5), jnp.float32)
        assert "f32[1000000000]" in str(vmapguide.listing(jax.vmap(neuron))(huge))

    def test_keyword_arguments(self) -> None:
        """Keyword arguments are arguments."""
        listing = vmapguide.listing(lambda *, x, y: x + y)(x=1.0, y=2.0)
        assert lines(listing) == ["a:f32*[] = add x y"]

    def test_static_arguments(self) -> None:
        """A static argument reaches the function as it is."""
        listing = vmapguide.listing(lambda x, n: x * n, static_argnums=1)(b, 3)
        assert lines(listing) == ["a:f32[2] = mul x 3.0"]

    def test_axis_env(self) -> None:
        """A collective finds the axis that it names."""
        listing = vmapguide.listing(lambda x: jax.lax.psum(x, "i"), axis_env=[("i", 4)])(b)
        assert "psum" in "".join(listing.primitives)

    def test_a_function_without_arguments(self) -> None:
        """A function of nothing is a function."""
        assert vmapguide.listing(lambda: jnp.zeros(3))().primitives == {"broadcast_in_dim": 1}


class TestNested:
    """Jaxprs inside jaxprs."""

    def test_a_library_call_is_one_line(self) -> None:
        """What `jnp.where` does is its own business."""
        assert lines(vmapguide.listing(lambda x: jnp.where(x > 0, x, x))(b)) == [
            "a:bool[2] = gt x 0.0",
            "b:f32[2] = jit[name=_where jaxpr={…}] a x x",
        ]

    def test_fold_false_unfolds_it(self) -> None:
        """The call can be looked into."""
        listing = vmapguide.listing(lambda x: jnp.where(x > 0, x, x), fold=False)(b)
        assert "select_n" in str(listing)

    def test_the_users_own_jit_is_shown(self) -> None:
        """A function that the user compiled is the user's code."""
        assert "tanh" in str(vmapguide.listing(jax.jit(neuron))(W[0]))

    def test_a_library_jit_around_the_users_function_is_shown(self) -> None:
        """Folding never hides code that the user wrote."""

        @jax.jit
        def mine(x: jax.Array) -> jax.Array:
            return jnp.cos(x)

        listing = str(vmapguide.listing(lambda x: jax.lax.map(mine, x))(b))
        assert "cos" in listing

    def test_branches_and_bodies_are_never_folded(self) -> None:
        """A loop's body or a branch is shown even if a library wrote it."""
        listing = vmapguide.listing(lambda x: jax.lax.cond(x[0] > 0, jnp.sin, jnp.cos, x))(b)
        assert {"sin", "cos"} < set(re.findall(r"= (\w+)", str(listing)))

    def test_shared_jaxprs_are_written_once(self) -> None:
        """Twelve levels of doubly shared calls stay readable, and quick."""
        f = jnp.sin
        for _ in range(12):
            f = jax.jit(lambda x, f=f: f(x) + f(x))
        listing = vmapguide.listing(f, fold=False)(1.0)
        assert len(str(listing).splitlines()) < 200
        assert listing.primitives == {"jit": 2**12 - 1, "sin": 2**12, "add": 2**12 - 1}


class TestValue:
    """A listing as a value."""

    def test_primitives_are_counted_in_order(self) -> None:
        """Counts come in order of first appearance."""
        counts = vmapguide.listing(lambda x: x * x + x * 2)(b).primitives
        assert list(counts.items()) == [("mul", 2), ("add", 1)]

    def test_jaxpr_is_the_real_thing(self) -> None:
        """`.jaxpr` is what `jax.make_jaxpr` returns."""
        listing = vmapguide.listing(neuron)(W[0])
        assert str(jax.make_jaxpr(neuron)(W[0])) == str(listing.jaxpr)

    def test_to_dict_is_json(self) -> None:
        """Tools get everything, whatever the view leaves out."""
        data = json.loads(json.dumps(vmapguide.listing(jnp.cumsum)(b).to_dict()))
        assert data["schema"] == "vmapguide.listing/1"
        (call,) = data["program"]["equations"]
        assert call["library"] is True
        (jaxpr,) = (param for param in call["params"] if param["programs"])
        assert jaxpr["programs"][0]["equations"][0]["primitive"] == "cumsum"

    def test_text_fits_the_terminal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Lines are broken at spaces to the width of the terminal."""
        monkeypatch.setenv("COLUMNS", "60")
        listing = vmapguide.listing(jax.vmap(neuron))(jnp.ones((3, 5)))
        assert max(map(len, str(listing).splitlines())) <= 60
        monkeypatch.setenv("COLUMNS", "200")
        assert len(str(listing).splitlines()) == 8

    def test_breaking_lines_loses_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A broken listing is the same words."""
        listing = vmapguide.listing(jnp.linalg.solve, fold=False)(jnp.eye(3), jnp.ones(3))
        monkeypatch.setenv("COLUMNS", "10000")
        wide = str(listing).split()
        monkeypatch.setenv("COLUMNS", "40")
        assert wide == str(listing).split()

    def test_no_colour_codes(self) -> None:
        """Text is text, wherever it goes."""
        assert "\x1b" not in str(vmapguide.listing(neuron)(W[0]))

    def test_repr_is_the_listing(self) -> None:
        """At a prompt the listing shows without `print`."""
        listing = vmapguide.listing(neuron)(W[0])
        assert str(listing) == repr(listing)


class TestErrors:
    """A wrong call says what is wrong and keeps JAX's own message."""

    def test_not_a_function(self) -> None:
        """A value where a function was meant."""
        with pytest.raises(
            TypeError, match=r"must be a function, but is of type .*listing\(f\)\(x\)"
        ):
            vmapguide.listing(neuron(W[0]))  # type: ignore[arg-type]

    def test_no_arguments(self) -> None:
        """A call without arguments names the one that is missing."""
        with pytest.raises(TypeError, match=r"listing: neuron\(x\) .*missing .*'x'"):
            vmapguide.listing(neuron)()

    def test_too_many_arguments(self) -> None:
        """A call with too many arguments says so."""
        with pytest.raises(TypeError, match=r"2 positional.*too many positional"):
            vmapguide.listing(neuron)(b, b)

    def test_an_error_while_tracing_keeps_its_message_and_type(self) -> None:
        """JAX's message first, and a note that says what was traced."""
        with pytest.raises(TypeError, match="contracting dimensions") as caught:
            vmapguide.listing(neuron)(jnp.ones((3, 4)))
        assert (
            caught.value.__notes__[-1]
            == "listing: neuron raised this while it was traced with (x: float32[3,4])."
        )

    def test_an_argument_that_jax_cannot_trace_is_named(self) -> None:
        """The note names the leaf and says what to do."""
        with pytest.raises(TypeError, match="abstract array") as caught:
            vmapguide.listing(lambda n, x: (n, x))({"a": None, "mode": "fast"}, 1.0)
        note = caught.value.__notes__[-1]
        assert "cannot trace n['mode'], which is of type str" in note
        assert "functools.partial" in note

    def test_a_concretization_error_is_jaxs(self) -> None:
        """A Python `if` on a tracer raises what JAX raises."""
        with pytest.raises(jax.errors.TracerBoolConversionError) as caught:
            vmapguide.listing(lambda x: x if x > 0 else -x)(1.0)
        assert "listing: <lambda> raised this" in caught.value.__notes__[-1]
