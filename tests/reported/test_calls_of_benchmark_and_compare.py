"""Calls of `benchmark`, `compare`, `cost` and `listing` that are wrong, and what is said then."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from batches import X
from jax import lax

import vmapguide


def one(x: jax.Array) -> jax.Array:
    """Return a number for an example."""
    return x / x.sum()


def doubled(x: jax.Array) -> jax.Array:
    """Return twice the argument."""
    return 2 * x


def added(x: jax.Array) -> jax.Array:
    """Return twice the argument."""
    return x + x


class TestSidesThatAreNamedLikeOptions:
    """No side is dropped because an option has its name."""

    @pytest.mark.parametrize(
        "option", ["jit", "sweep", "in_axes", "rounds", "patience", "rtol", "atol", "progress"]
    )
    def test_benchmark(self, option: str) -> None:
        """The option is named, and what to do works."""
        sides: dict[str, Any] = {"a": doubled, "b": added, option: doubled}
        with pytest.raises(
            TypeError, match=f"benchmark: {option}= is an option of benchmark; give"
        ):
            vmapguide.benchmark(**sides)
        renamed = {f"{option}_side": sides.pop(option), **sides}
        assert len(vmapguide.benchmark(**renamed, rounds=1)(X).names) == 3

    @pytest.mark.parametrize("option", ["rtol", "atol"])
    def test_compare(self, option: str) -> None:
        """A side that is named like an option of `compare` is refused, too."""
        sides: dict[str, Any] = {"a": doubled, option: added}
        with pytest.raises(TypeError, match=f"compare: {option}= is an option of compare; give"):
            vmapguide.compare(**sides)

    def test_with_one_more_side(self) -> None:
        """It is not said that there are too few sides, which is not the matter."""
        with pytest.raises(TypeError, match="jit= is an option of benchmark"):
            vmapguide.benchmark(loop=doubled, jit=added)  # type: ignore[arg-type]

    @pytest.mark.parametrize("option", ["fold", "shorten"])
    def test_listing(self, option: str) -> None:
        """A flag is True or False."""
        flags: dict[str, Any] = {option: doubled}
        with pytest.raises(TypeError, match=f"listing: {option} must be True or False, but is"):
            vmapguide.listing(doubled, **flags)


RUNS: dict[str, Callable[..., Any]] = {
    "benchmark": vmapguide.benchmark(doubled, added, rounds=1),
    "compare": vmapguide.compare(doubled, added),
}


class TestWhereJaxTraces:
    """What runs functions cannot do so inside of `jit`, and says so in its own words."""

    @pytest.mark.parametrize("caller", RUNS)
    @pytest.mark.parametrize("transformation", [jax.jit, jax.vmap, jax.grad, jax.make_jaxpr])
    def test_arguments_that_are_traced(self, caller: str, transformation: Any) -> None:
        """An argument without a value is refused by its name."""
        with pytest.raises(TypeError, match=f"{caller}: x is being traced, float32"):
            transformation(RUNS[caller])(X if transformation is not jax.grad else 1.0)

    @pytest.mark.parametrize("caller", RUNS)
    def test_arguments_that_are_not(self, caller: str) -> None:
        """There everything is traced."""
        with pytest.raises(TypeError, match=f"{caller}: it is called while JAX traces a function"):
            jax.jit(lambda: RUNS[caller](X))()

    @pytest.mark.parametrize("caller", RUNS)
    def test_in_a_loop_of_jax(self, caller: str) -> None:
        """The body of a scan is traced, too."""
        with pytest.raises(TypeError, match=f"{caller}: x is being traced"):
            lax.scan(lambda c, x: (c, RUNS[caller](x)), 0, X)

    @pytest.mark.parametrize("caller", RUNS)
    def test_tolerances(self, caller: str) -> None:
        """A negative tolerance is refused."""
        make: Any = getattr(vmapguide, caller)
        with pytest.raises(ValueError, match=f"{caller}: rtol must be a number of at least 0"):
            make(doubled, added, rtol=-1)


class TestWhatHasNotBeenCalled:
    """`explain(f)` waits for arguments."""

    def test_cost(self) -> None:
        """The remedy is the call that was meant, and works."""
        with pytest.raises(TypeError, match=r"not been called yet.*: cost\(explain\(one\)\(x\)\)"):
            vmapguide.cost(vmapguide.explain(one))
        assert vmapguide.cost(vmapguide.explain(one)(X)).flops

    @pytest.mark.parametrize("caller", ["cost", "listing", "explain", "check", "diagram"])
    @pytest.mark.parametrize("maker", ["check", "listing", "diagram", "cost"])
    def test_others(self, caller: str, maker: str) -> None:
        """None of them takes what another one has made of a function."""
        make: Any = getattr(vmapguide, maker)
        with pytest.raises(
            TypeError, match=rf"{caller}: .*{maker}\(one\), which has not been called"
        ):
            getattr(vmapguide, caller)(make(one))

    @pytest.mark.parametrize("caller", ["benchmark", "compare"])
    def test_sides(self, caller: str) -> None:
        """A named side that has not been called is refused, too."""
        with pytest.raises(
            TypeError, match=rf"{caller}: vmapped= .*explain\(one\), which has not been called"
        ):
            getattr(vmapguide, caller)(one, vmapped=vmapguide.explain(one))


class TestOneExampleAndABatch:
    """The commonest slip: a function beside what maps it."""

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            (one, jax.vmap(one)),
            (jax.vmap(one), one),
            (one, jax.jit(jax.vmap(one))),
            (jax.vmap(one), jax.vmap(jax.vmap(one))),
            (functools.partial(one), jax.vmap(functools.partial(one))),
        ],
        ids=["mapped second", "mapped first", "compiled", "mapped twice", "partial"],
    )
    def test_is_noticed(self, first: Any, second: Any) -> None:
        """Beside the answers stands what to compare."""
        pair = jnp.stack([X, 2 * X + 1])
        text = " ".join(str(vmapguide.compare(first, second)(pair)).split())
        assert "given the same arguments, they need not compute the same. Map both" in text

    def test_with_an_error(self) -> None:
        """If one of them does not take the arguments, the error has the note."""

        def layer(x: jax.Array) -> jax.Array:
            return jnp.ones((2, 4)) @ x

        with pytest.raises(TypeError) as caught:
            vmapguide.compare(layer, jax.vmap(layer))(X)
        assert any("layer takes one example" in note for note in caught.value.__notes__)

    def test_where_it_is_meant(self) -> None:
        """What computes the same needs no word; nor do different functions."""
        assert "one example" not in str(vmapguide.compare(doubled, jax.vmap(doubled))(X))
        assert "one example" not in str(vmapguide.compare(jax.vmap(one), jax.jit(jax.vmap(one)))(X))
        assert "one example" not in str(vmapguide.compare(doubled, jax.vmap(one))(X))


def summed(x: jax.Array) -> Any:
    """Use the name of an axis."""
    return lax.psum(x, "i")


class TestCollectives:
    """The axis of a collective has to be named from outside."""

    @pytest.mark.parametrize("caller", ["cost", "listing"])
    def test_axis_env(self, caller: str) -> None:
        """The note has the call, and it works."""
        make: Any = getattr(vmapguide, caller)
        with pytest.raises(NameError) as caught:
            make(summed)(X)
        assert any(
            f"say how large the axis i is: {caller}(summed, axis_env=[('i', 8)])" in note
            for note in caught.value.__notes__
        )
        assert make(summed, axis_env=[("i", 8)])(X)

    @pytest.mark.parametrize("caller", ["benchmark", "compare"])
    def test_axis_name(self, caller: str) -> None:
        """Where the functions run, something has to map."""
        make: Any = getattr(vmapguide, caller)
        with pytest.raises(NameError) as caught:
            make(summed, added)(X)
        assert any("jax.vmap(summed, axis_name='i')" in note for note in caught.value.__notes__)
        assert make(*[jax.vmap(summed, axis_name="i")] * 2)(X)

    def test_a_name_of_the_users(self) -> None:
        """Another NameError gets no such note."""

        def f(x: jax.Array) -> Any:
            raise NameError("no axis here", x)

        with pytest.raises(NameError) as caught:
            vmapguide.cost(f)(X)
        assert not any("axis_env" in note for note in caught.value.__notes__)


class TestSameProgram:
    """Where two sides are one program, the clock has nothing to say."""

    @pytest.mark.cpu_only
    def test_is_said(self) -> None:
        """By name, in the table and in plain data."""
        by_hand = lambda X: jnp.tanh(X).sum(axis=1)  # noqa: E731
        run = vmapguide.benchmark(
            hand=by_hand,
            vmap=jax.vmap(lambda x: jnp.tanh(x).sum()),
            other=lambda X: jnp.stack([jnp.tanh(x).sum() for x in X]),
            rounds=3,
        )
        result = run(X)
        assert result.same_program == ((("hand", "vmap"),),)
        assert not result.told_apart("hand", to="vmap")
        assert "hand and vmap are one compiled program: what differs" in " ".join(
            str(result).split()
        )
        assert result.to_dict()["same_program"] == [[["hand", "vmap"]]]

    def test_in_a_sweep(self) -> None:
        """At the sizes where it is so."""

        def sums(x: jax.Array) -> jax.Array:
            return x[:1].sum() if len(x) == 1 else x.sum() * 1.0

        result = vmapguide.benchmark(
            sums, lambda x: x[:1].sum() + (x[1:].sum() if len(x) > 1 else 0), sweep=(1, 4), rounds=1
        )(jnp.ones(1))
        assert [len(groups) for groups in result.same_program] == [1, 0]
        assert "are one compiled program at batch size 1" in " ".join(str(result).split())

    def test_large_constants_are_not_printed(self) -> None:
        """Programs whose constants are not printed are not said to be the same."""
        large = [jnp.sin(jnp.arange(1e4)) * scale for scale in (1.0, 1.0 + 1e-6)]
        sides = [lambda x, c=c: x.sum() + c for c in large]
        assert vmapguide.benchmark(*sides, rounds=1)(X).same_program == ((),)

    def test_what_is_not_compiled_has_no_program(self) -> None:
        """Then the clock alone decides."""
        assert vmapguide.benchmark(doubled, doubled, jit=False, rounds=1)(X).same_program == ((),)


class TestNotCompiled:
    """`jax.vmap` does not compile: the same function as it is, and compiled, are two rows."""

    def test_a_row_of_its_own(self) -> None:
        """Only the side that is named is called as it is."""
        vmapped = jax.vmap(one)
        run = vmapguide.benchmark(
            compiled=vmapped, as_it_is=vmapped, jit={"as_it_is": False}, rounds=3
        )
        result = run(X)
        compiling = {name: timing.compiling for name, (timing,) in result.timings.items() if timing}
        assert compiling["as_it_is"] is None
        assert compiling["compiled"] is not None
        assert result.to_dict()["compiled"] == {"compiled": True, "as_it_is": False}
        assert "Compiled, but as_it_is, on " in " ".join(str(result).split())

    def test_sides_without_a_name_of_their_own(self) -> None:
        """They are called by the one they have."""
        result = vmapguide.benchmark(doubled, added, jit={"added": False}, rounds=1)(X)
        assert result.timings["added"][0].compiling is None  # type: ignore[union-attr]

    def test_a_side_that_is_not_there(self) -> None:
        """All that are there are named."""
        with pytest.raises(
            ValueError, match=r"jit= names 'vmap', and .*; there are doubled, added"
        ):
            vmapguide.benchmark(doubled, added, jit={"vmap": False})
