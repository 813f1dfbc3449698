"""What is said of a function where a result is wanted, and of a result where a function is."""

import functools
import inspect
import re
from collections.abc import Callable
from typing import Any

import jax
import jax.extend.core as jec
import jax.numpy as jnp
import pytest
from batches import V

import vmapguide


# What takes one function, and what takes several.
ONE = ("explain", "diagram", "check", "listing", "cost")
SEVERAL = ("compare", "benchmark")


def f(x: jax.Array) -> jax.Array:
    """Return twice the value."""
    return x * 2


def made(name: str) -> Callable[..., Any]:
    """Return what a public function makes of `f`."""
    function = getattr(vmapguide, name)
    made: Callable[..., Any] = function(f) if name in ONE else function(f, jnp.abs)
    return made


class TestWaiting:
    """`explain(f)` and its like, not yet called."""

    @pytest.mark.parametrize("name", ONE)
    def test_it_says_what_it_is(self, name: str) -> None:
        """Printed, it does not look like `f`, and says that it wants the arguments."""
        assert repr(made(name)) == f"<{name}(f), waiting for the arguments: {name}(f)(x)>"

    @pytest.mark.parametrize("name", SEVERAL)
    def test_it_says_which_functions(self, name: str) -> None:
        """Of several functions all are named."""
        assert repr(made(name)).startswith(f"<{name}(f, abs), waiting for")

    @pytest.mark.parametrize("name", ONE)
    def test_it_is_the_function_to_all_who_ask(self, name: str) -> None:
        """Name, documentation and signature are those of `f`, as with `functools.wraps`."""
        waiting: Any = made(name)
        assert (waiting.__name__, waiting.__doc__) == (f.__name__, f.__doc__)
        assert inspect.signature(waiting) == inspect.signature(f)
        assert inspect.unwrap(waiting) is f

    def test_a_function_without_a_name(self) -> None:
        """A partial and a lambda are called what they are."""
        assert repr(vmapguide.diagram(functools.partial(f))).startswith("<diagram(f), ")
        assert repr(vmapguide.diagram(lambda x: x)).startswith("<diagram(<lambda>), ")

    @pytest.mark.parametrize("name", ONE)
    @pytest.mark.parametrize("given", ONE + SEVERAL)
    def test_it_is_no_function_to_look_at(self, name: str, given: str) -> None:
        """To take it for a function ends in a message about what it returns: it is refused."""
        # The cost of an explanation is something: then it has to be called first.
        wanted = "explain\\(f\\)\\(x\\)" if (given, name) == ("explain", "cost") else "f"
        called = f"is {given}\\((f|f, abs)\\), which has not been called yet.*{name}\\({wanted}\\)"
        with pytest.raises(TypeError, match=f"{name}: the first argument must be .*{called}"):
            getattr(vmapguide, name)(made(given))
        getattr(vmapguide, name)(f)(V)

    @pytest.mark.parametrize("name", SEVERAL)
    def test_nor_is_it_one_of_several(self, name: str) -> None:
        """Functions that stand side by side are refused in the same way."""
        with pytest.raises(
            TypeError, match=rf"{name}: argument 1 .*is diagram\(f\), which has not"
        ):
            getattr(vmapguide, name)(f, vmapguide.diagram(f))
        with pytest.raises(TypeError, match=rf"{name}: it= .*is diagram\(f\), which has not"):
            getattr(vmapguide, name)(f, it=vmapguide.diagram(f))


class TestResults:
    """A result where a function is wanted."""

    @pytest.mark.parametrize("name", ONE)
    def test_values_of_the_function(self, name: str) -> None:
        """`explain(f(x))` is not `explain(f)(x)`."""
        with pytest.raises(TypeError, match=rf"{name}\(f\)\(x\), not {name}\(f\(x\)\)"):
            getattr(vmapguide, name)(f(V))

    @pytest.mark.parametrize("name", ["explain", "diagram", "check", "listing"])
    @pytest.mark.parametrize("given", [*ONE, *SEVERAL])
    def test_results_of_vmapguide(self, name: str, given: str) -> None:
        """They are about the function that is wanted."""
        result: Any
        if given in SEVERAL:
            result = getattr(vmapguide, given)(f, f)(V)
        else:
            result = getattr(vmapguide, given)(f)(V)
        with pytest.raises(TypeError, match="That is a result; pass the function that it is about"):
            getattr(vmapguide, name)(result)

    @pytest.mark.parametrize("name", ONE)
    def test_a_jaxpr(self, name: str) -> None:
        """It can be made a function of, and then be looked at."""
        jaxpr = jax.make_jaxpr(f)(V if name in ("listing", "cost") else V[0])
        with pytest.raises(TypeError, match=r"jax\.extend\.core\.jaxpr_as_fun\(jaxpr\)\)\(x\)"):
            getattr(vmapguide, name)(jaxpr)
        # The one result comes in a list.
        getattr(vmapguide, name)(jec.jaxpr_as_fun(jaxpr))(V)

    @pytest.mark.parametrize("name", ONE)
    def test_a_compiled_function(self, name: str) -> None:
        """It has been compiled for one call."""
        with pytest.raises(TypeError, match=rf"has been compiled for one call.*{name}\(f\)\(x\)"):
            getattr(vmapguide, name)(jax.jit(f).lower(V).compile())

    @pytest.mark.parametrize("name", ["listing", "cost"])
    def test_a_function_that_returns_no_arrays(self, name: str) -> None:
        """Whoever traces `make_jaxpr(f)` gets what it returns: no array."""
        with pytest.raises(TypeError, match="returned a value of type") as caught:
            getattr(vmapguide, name)(jax.make_jaxpr(f))(V)
        assert "has to return arrays, numbers, or pytrees" in caught.value.__notes__[-1]

    @pytest.mark.parametrize("name", ["explain", "diagram", "check"])
    def test_a_function_that_returns_no_arrays_under_vmap(self, name: str) -> None:
        """`jax.vmap` refuses `make_jaxpr(f)` in the place of `f`; the note says why."""
        with pytest.raises(TypeError, match="Output from batched function") as caught:
            getattr(vmapguide, name)(jax.make_jaxpr(f))(V)
        told = "".join(caught.value.__notes__)
        assert re.search("returns a value of type (Closed)?Jaxpr, .* return arrays", told)


class TestTracers:
    """Tracers as arguments, inside `jit`, `vmap` and `grad`."""

    @pytest.mark.parametrize("name", ["check", *SEVERAL])
    @pytest.mark.parametrize(
        "transform", [jax.jit, jax.vmap, jax.grad], ids=["jit", "vmap", "grad"]
    )
    def test_what_runs_the_function(self, name: str, transform: Any) -> None:
        """It needs values, and says so before JAX does in words about itself."""

        def inside(x: jax.Array) -> Any:
            look = vmapguide.check(f) if name == "check" else made(name)
            return look(x[None])

        x = V[:1] if transform is jax.vmap else V[0]
        with pytest.raises(TypeError, match=f"{name}: x is being traced, .*outside of jit, vmap"):
            transform(inside)(x)

    @pytest.mark.parametrize("name", ["explain", "diagram", "listing", "cost"])
    @pytest.mark.parametrize(
        "transform", [jax.jit, jax.vmap, jax.grad], ids=["jit", "vmap", "grad"]
    )
    def test_what_traces_it(self, name: str, transform: Any) -> None:
        """It needs types alone, and tracers have them; what it shows outlives the trace."""
        shown: list[Any] = []

        def inside(x: jax.Array) -> jax.Array:
            shown.append(getattr(vmapguide, name)(f)(x[None]))
            return x

        transform(inside)(V[:1] if transform is jax.vmap else V[0])
        types = {"explain": ":f32[", "diagram": "f32[B]", "listing": ":f32[", "cost": "float32[1]"}
        assert types[name] in str(shown[0])
