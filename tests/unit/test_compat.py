"""What JAX does not document, asked of the JAX that is installed: one small program a function."""

import re
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.extend.core as jec
import jax.numpy as jnp
import pytest
from jax import lax

from vmapguide._jaxpr import compat


X = jnp.arange(3.0)


def double(x: jax.Array) -> jax.Array:
    """Return a number times two, as one equation."""
    return x * 2


def captured(x: jax.Array) -> jax.Array:
    """Return a sum with an array that the jaxpr has as a constant."""
    return x + X


DOUBLE = jax.make_jaxpr(double)(X)
CAPTURED = jax.make_jaxpr(captured)(X)
(EQN,) = compat.opened(DOUBLE).eqns


class TestJaxprs:
    """What is in a jaxpr, and jaxprs made from others."""

    def test_opened(self) -> None:
        """What is open is itself."""
        inner = compat.opened(DOUBLE)
        assert compat.opened(inner).eqns == inner.eqns

    def test_constants(self) -> None:
        """They have values."""
        assert [*compat.consts_of(DOUBLE)] == []
        ((var, value),) = compat.constants(CAPTURED)
        assert var in compat.opened(CAPTURED).constvars
        assert value is compat.consts_of(CAPTURED)[0]

    def test_with_equations(self) -> None:
        """A jaxpr without equations that returns its argument keeps the argument's name."""
        inner = compat.opened(DOUBLE)
        made = compat.with_equations(inner, [], inner.invars)
        assert (made.eqns, made.outvars) == ([], inner.invars)
        assert compat.argument_names(made) == compat.argument_names(DOUBLE)

    def test_with_inputs(self) -> None:
        """A constant may be made an argument."""
        inner = compat.opened(CAPTURED)
        made = compat.with_inputs(inner, [], [*inner.constvars, *inner.invars], inner.eqns)
        assert len(made.invars) == 2
        assert not made.constvars
        assert jax.core.eval_jaxpr(made, [], X, X)[0].tolist() == [0, 2, 4]

    def test_names(self) -> None:
        """Of arguments, and of the function and its file."""
        assert [*compat.argument_names(DOUBLE)] == ["x"]
        assert compat.function_of(compat.opened(DOUBLE)) == ("double", __file__)


class TestEquations:
    """Where an equation is from, and equations made from others."""

    def test_frames(self) -> None:
        """The function itself is among them, before who called it."""
        codes = [code for code, _ in compat.frames(EQN)]
        assert double.__code__ in codes
        assert all(isinstance(instruction, int) for _, instruction in compat.frames(EQN))

    def test_tags(self) -> None:
        """They are handed on by `vmap`, the outermost first, and a copy has the same origin."""
        tagged = compat.tagged(compat.tagged(EQN, "<1>"), "<2>")
        assert compat.tags(tagged, re.compile("<.>")) == ["<1>", "<2>"]
        assert compat.origin(EQN.replace(params=EQN.params)) == compat.origin(EQN)
        inner = compat.opened(DOUBLE)
        jaxpr = compat.with_equations(inner, [tagged], inner.outvars)
        batched = jax.make_jaxpr(jax.vmap(lambda x: jax.core.eval_jaxpr(jaxpr, [], x)))(X[None])
        (eqn,) = compat.opened(batched).eqns
        assert compat.tags(eqn, re.compile("<.>")) == ["<1>", "<2>"]

    def test_equation_like(self) -> None:
        """It has another primitive, and the place of the first."""
        made = compat.equation_like(
            EQN, lax.neg_p, inputs=EQN.invars[:1], outputs=EQN.outvars, params={}
        )
        assert (made.primitive.name, made.effects) == ("neg", set())
        assert compat.origin(made) == compat.origin(EQN)

    def test_scans(self) -> None:
        """What they count is counted on every version, and spelled alike."""

        def total(x: Any, y: Any) -> Any:
            return lax.scan(lambda c, z: ((c[0] + z * y, -c[1]), z), (0.0, 1), x)

        eqns = compat.opened(jax.make_jaxpr(total)(X, 2.0)).eqns
        (scan,) = [eqn for eqn in eqns if eqn.primitive.name == "scan"]
        assert compat.scan_counts(scan) == (1, 2)
        params = compat.params_of(scan)
        assert (params["num_consts"], params["num_carry"], params["length"]) == (1, 2, 3)
        assert not {"ft_in", "ft_out"} & params.keys()

    def test_type_text(self) -> None:
        """A type is spelled as in a jaxpr."""
        assert compat.type_text(EQN.outvars[0].aval) == "f32[3]"


class TestFunctions:
    """What a function is to JAX."""

    def test_jitted(self) -> None:
        """A function is not, unless `jax.jit` made it."""
        assert compat.is_jitted(jax.jit(double))
        assert not compat.is_jitted(double)

    def test_batching(self) -> None:
        """A batching rule is asked by one function of JAX's, which is among those that called."""
        asked = []

        @jax.custom_batching.custom_vmap
        def same(x: jax.Array) -> jax.Array:
            return x

        @same.def_vmap
        def _rule(_size: int, is_mapped: list[bool], x: jax.Array) -> tuple[jax.Array, bool]:
            frame = sys._getframe()  # noqa: SLF001
            while frame is not None:
                asked.append(compat.is_batching(frame.f_code))
                frame = frame.f_back  # type: ignore[assignment]
            return x, is_mapped[0]

        jax.vmap(same)(X)
        assert sum(asked) == 1
        assert not compat.is_batching(double.__code__)

    def test_own_function(self) -> None:
        """A rule for derivatives is JAX's own, and a user's function or a number is not."""
        (eqn,) = compat.opened(jax.make_jaxpr(jax.nn.relu)(X)).eqns
        inner = [eqn, *(e for j in jec.jaxprs_in_params(eqn.params) for e in j.eqns)]
        rules = [e.params["jvp_jaxpr_fun"] for e in inner if "jvp_jaxpr_fun" in e.params]
        assert rules
        assert all(map(compat.is_own_function, rules))
        assert not compat.is_own_function(double)
        assert not compat.is_own_function(3)

    @pytest.mark.parametrize("axes", [0, 1])
    def test_closure(self, axes: int) -> None:
        """What `vmap` returns keeps what was mapped, and over which axes."""
        kept = compat.closure(jax.vmap(double, in_axes=axes))
        for value in kept.copy().values():
            # A wrapper of JAX's lies around the function that does it.
            kept |= compat.closure(value) if hasattr(value, "__closure__") else {}
        assert kept["in_axes"] == axes
        assert double in kept.values()

    def test_variables_that_are_not_assigned(self) -> None:
        """They are left out."""

        def f() -> int:
            return later

        assert compat.closure(f) == {}
        later = 1
        assert compat.closure(f) == {"later": 1}


class TestTransformations:
    """What calls `jax.vmap` for the user, and whether operations are carried out."""

    def test_is_staged(self) -> None:
        """It says where operations are recorded, and leaves nothing behind there."""
        found = []

        def f(x: jax.Array) -> jax.Array:
            found.append(compat.is_staged())
            return (x * 2).sum()

        for transformed in (f, jax.grad(f), jax.vmap(f), jax.jacfwd(f)):
            transformed(X)
        assert not any(found)
        found.clear()
        jaxpr = jax.make_jaxpr(f)(X)
        assert [eqn.primitive.name for eqn in jaxpr.eqns] == ["mul", "reduce_sum"]
        for compiled in (jax.jit(f), jax.jit(jax.grad(f)), jax.vmap(jax.jit(f))):
            compiled(X)
        lax.map(f, X)
        assert len(found) == 4
        assert all(found)

    @pytest.mark.parametrize(
        ("maker", "call"),
        [
            ("apply_along_axis", lambda f: jnp.apply_along_axis(f, 0, X[None])),
            ("fromfunction", lambda f: jnp.fromfunction(f, (3,))),
            ("jacfwd", lambda f: jax.jacfwd(f)(X)),
            ("jacrev", lambda f: jax.jacrev(f)(X)),
            ("map", lambda f: lax.map(f, X, batch_size=3)),
            ("vectorize", lambda f: jnp.vectorize(f)(X)),
        ],
    )
    def test_makers(
        self, maker: str, call: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A function of JAX that calls `jax.vmap` is known, and what it calls it for."""
        found: list[Any] = []
        original = jax.vmap

        def vmap(*args: Any, **kwargs: Any) -> Any:
            frame = sys._getframe(1)  # noqa: SLF001
            found.append((compat.maker(frame), compat.function_of_maker(frame)))
            return original(*args, **kwargs)

        for module in [*sys.modules.values()]:
            if getattr(module, "vmap", None) is original:
                monkeypatch.setattr(module, "vmap", vmap)
        call(double)
        assert found == [(maker, double)]
        assert compat.maker(sys._getframe()) == ""  # noqa: SLF001
