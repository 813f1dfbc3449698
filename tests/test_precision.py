"""What `check` says where the device computes matrix products with fewer digits."""

import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest
import rounding_device
from jax import lax

import vmapguide
from vmapguide import Check
from vmapguide._measure import precision


W = jax.random.normal(jax.random.key(0), (96, 128))
X = jax.random.normal(jax.random.key(1), (12, 128))


@pytest.fixture
def tf32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate a device whose matrix products are rounded to TF32."""
    rounding_device.simulate(monkeypatch)


def layer(x: jax.Array) -> jax.Array:
    """Return a matrix-vector product, of which vmap makes a matrix product."""
    return W @ x


def codes(check: Check) -> list[str]:
    """Return the codes of the reasons of a check."""
    return [reason.code for reason in check.reasons]


def sine_with(rule: Callable[[jax.Array], jax.Array]) -> Any:
    """Return sin, batched by a rule."""

    @jax.custom_batching.custom_vmap
    def sine(x: jax.Array) -> jax.Array:
        return jnp.sin(x)

    @sine.def_vmap
    def _(size: int, batched: Any, x: jax.Array) -> tuple[jax.Array, bool]:
        del size, batched
        return rule(x), True

    return sine


@pytest.mark.usefixtures("tf32")
class TestCheck:
    """The tolerance follows the precision of the products, and a difference is put down to it."""

    def test_the_simplest_layer(self) -> None:
        """It equals the loop as far as the products have digits."""
        check = vmapguide.check(layer)(X)
        assert check.same, str(check)
        assert check.reasons == ()
        (leaf,) = check.leaves
        assert leaf.difference is not None
        assert leaf.difference > 1e-3  # Rounding of float32 is a thousand times smaller.
        assert leaf.rtol == rounding_device.EPSILON**0.5

    @pytest.mark.parametrize("tolerances", [{"rtol": 0, "atol": 0}, {"rtol": 1e-6, "atol": 1e-6}])
    def test_the_reason(self, tolerances: dict[str, Any]) -> None:
        """It is no other order, and the line of the product is known."""
        check = vmapguide.check(layer, **tolerances)(X)
        assert not check.same
        (reason,) = check.reasons
        assert reason.code == "precision of products"
        assert reason.source is not None
        assert reason.source.expression == "W @ x"
        assert 'jax.default_matmul_precision("highest")' in reason.text
        assert "another order" not in reason.text

    def test_the_remedies(self) -> None:
        """Each of the two makes it equal, with the tolerance of float32."""
        with jax.default_matmul_precision("highest"):
            check = vmapguide.check(layer)(X)
        assert check.same
        assert check.leaves[0].rtol == 2.0**-11.5
        check = vmapguide.check(lambda x: jnp.matmul(W, x, precision="highest"))(X)
        assert check.same
        assert check.leaves[0].rtol == 2.0**-11.5

    def test_rounding_with_all_digits(self) -> None:
        """What is left under the remedy is rounding, and nothing is said of products."""
        with jax.default_matmul_precision("highest"):
            check = vmapguide.check(layer, rtol=0, atol=0)(X)
        assert codes(check) == ([] if check.same else ["rounding"])

    @pytest.mark.parametrize(
        "f",
        [
            jax.jit(layer),
            lambda x: lax.fori_loop(0, 2, lambda _, y: W.T @ (W @ y) / 96, x),
            lambda x: jnp.tanh(W @ x / 10),
            lambda x: jnp.matmul(W, x, precision="default"),
            jax.grad(lambda x: ((W @ x) ** 2).sum()),
        ],
        ids=["jit", "loop", "tanh", "a product that names it", "gradient"],
    )
    def test_wherever_the_product_is(self, f: Callable[..., Any]) -> None:
        """Compiled, in a loop, in a gradient."""
        assert vmapguide.check(f)(X).same
        assert codes(vmapguide.check(f, rtol=0, atol=0)(X)) == ["precision of products"]

    def test_a_small_error_beside_a_product(self) -> None:
        """An error within the wider tolerance is none of the products', and is found."""
        sine = sine_with(lambda x: 1.002 * jnp.sin(x))
        check = vmapguide.check(lambda x: sine(W @ x))(X)
        assert not check.same
        assert "custom_vmap rule" in codes(check)

    def test_one_of_two_results(self) -> None:
        """A wrong rule for one, and the precision of products for the other: both are found."""
        sine = sine_with(lambda x: jnp.sin(x).at[7].add(1))
        check = vmapguide.check(lambda x: {"a": W @ x, "b": sine(x), "c": x}, rtol=0, atol=0)(X)
        assert [leaf.same for leaf in check.leaves] == [False, False, True]
        assert sorted(codes(check)) == ["custom_vmap rule", "precision of products"]
        check = vmapguide.check(lambda x: {"a": W @ x, "b": sine(x), "c": x})(X)
        assert [leaf.same for leaf in check.leaves] == [True, False, True]
        assert codes(check) == ["custom_vmap rule"]

    def test_no_product(self) -> None:
        """A function without one has the tolerance of its dtype."""
        sine = sine_with(lambda x: 1.002 * jnp.sin(x))
        check = vmapguide.check(sine)(X)
        assert codes(check) == ["custom_vmap rule"]
        assert check.leaves[0].rtol == 2.0**-11.5

    @pytest.mark.parametrize("tolerances", [{}, {"rtol": 0, "atol": 0}], ids=["default", "none"])
    @pytest.mark.parametrize("by", [1e-3, 1.0])
    def test_what_sees_that_it_is_traced(self, by: float, tolerances: Any) -> None:
        """That goes away with the digits too, when both sides are traced to get them."""

        def f(x: jax.Array) -> Any:
            return W @ x, x[:3] * 0 + by * isinstance(x, jax.core.Tracer)

        assert codes(vmapguide.check(f, **tolerances)(X)) == []

    def test_a_rule_beside_what_sees_that_it_is_traced(self) -> None:
        """No rule is blamed for it."""
        sine = sine_with(jnp.sin)
        check = vmapguide.check(lambda x: sine(x) + isinstance(x, jax.core.Tracer))(X)
        assert not check.same
        assert codes(check) == []

    def test_a_side_effect(self) -> None:
        """It is one, whatever the products do."""
        numbers = itertools.count()
        check = vmapguide.check(lambda x: W @ x + next(numbers))(X)
        assert codes(check) == ["side effect"]

    def test_integers(self) -> None:
        """Their products are exact."""
        whole = jnp.arange(12).reshape(3, 4)
        check = vmapguide.check(lambda x: whole @ x)(whole)
        assert check.same
        assert check.leaves[0].identical


class TestAsking:
    """The device is asked for its precision by a product."""

    @pytest.mark.cpu_only
    @pytest.mark.parametrize("asked", [None, lax.Precision.DEFAULT, lax.Precision.HIGHEST])
    def test_a_cpu_has_all_digits(self, asked: Any) -> None:
        """XLA's products on a CPU are exact, whatever precision is asked for."""
        assert precision.of_products("float32", asked) == 0

    def test_all_digits_everywhere(self) -> None:
        """That is what the highest precision says."""
        assert precision.of_products("float32", lax.Precision.HIGHEST) < 2.0**-16

    @pytest.mark.parametrize(("bits", "epsilon"), [(10, 2.0**-10), (7, 2.0**-7)])
    def test_what_is_measured(
        self, monkeypatch: pytest.MonkeyPatch, bits: int, epsilon: float
    ) -> None:
        """Operands of ten bits are TF32, of seven bfloat16."""

        def rounded(a: jax.Array, b: jax.Array, *, precision: Any) -> jax.Array:
            del precision
            return lax.reduce_precision(a, 8, bits) @ b

        monkeypatch.setattr(lax, "dot", rounded)
        assert precision.of_products.__wrapped__("float32", None) == epsilon

    @pytest.mark.parametrize(
        "f",
        [lambda x: x * 2, lambda x: x.astype(jnp.bfloat16) @ x.astype(jnp.bfloat16)],
        ids=["no product", "bfloat16"],
    )
    def test_what_has_no_fewer_digits(self, f: Callable[..., Any]) -> None:
        """No product, or one of a dtype that the device computes with."""
        assert precision.of_program(jax.make_jaxpr(f)(X[0])) == 0

    @pytest.mark.usefixtures("tf32")
    def test_exact_products(self) -> None:
        """What stands for a product is the same product of the highest precision."""
        (eqn,) = jax.make_jaxpr(jnp.dot)(W, X.T).eqns
        exact = precision.exactly(eqn)
        assert exact is not None
        (product,) = exact.eqns
        assert product.primitive is eqn.primitive
        assert set(product.params["precision"]) == {lax.Precision.HIGHEST}
        assert precision.exactly(product) is None
