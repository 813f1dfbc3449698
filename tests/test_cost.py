"""`vmapguide.cost`: FLOPs, bytes, loops, and what XLA says."""

import dataclasses
import json
import math
import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from batches import array
from jax import lax

import vmapguide
from vmapguide import Cost


X = jnp.ones((3, 5))
A = jnp.eye(5)


def of(primitive: str, f: Callable[..., Any], *args: Any) -> int:
    """Return the FLOPs of one primitive in a function."""
    cost: Cost = vmapguide.cost(f)(*args)
    return sum(step.flops for step in cost.steps if step.primitive == primitive)


def flops(f: Callable[..., Any], *args: Any) -> int:
    """Return the FLOPs of a function."""
    cost: Cost = vmapguide.cost(f)(*args)
    assert cost.uncounted == {}
    return cost.flops


class TestProducts:
    """A product of matrices is 2·m·n·k."""

    @pytest.mark.parametrize(("m", "k", "n"), [(1, 1, 1), (20, 30, 40), (7, 1, 3), (3, 0, 2)])
    def test_matmul(self, m: int, k: int, n: int) -> None:
        """For all sizes."""
        assert flops(jnp.matmul, array(m, k), array(k, n)) == 2 * m * n * k

    def test_batched(self) -> None:
        """Batch axes multiply, whether they are written or made by vmap."""
        assert flops(jnp.matmul, array(8, 2, 3), array(8, 3, 4)) == 8 * 2 * 2 * 3 * 4
        vmapped = jax.vmap(jnp.matmul, in_axes=(0, None))
        assert flops(vmapped, array(8, 2, 3), array(3, 4)) == 8 * 2 * 2 * 3 * 4

    def test_several_contracted_axes(self) -> None:
        """Each of them multiplies."""

        def f(x: jax.Array, y: jax.Array) -> jax.Array:
            return jnp.einsum("abc,bcd->ad", x, y)

        assert flops(f, array(2, 3, 4), array(3, 4, 5)) == 2 * (2 * 5) * (3 * 4)

    def test_convolution(self) -> None:
        """Two for each output and each weight that goes into it; groups share the inputs."""

        def conv(groups: int) -> Callable[..., Any]:
            return lambda x, w: lax.conv_general_dilated(
                x, w, (1, 1), "VALID", feature_group_count=groups
            )

        x, outputs = array(2, 6, 10, 10), 2 * 4 * 8 * 8  # 10 - 3 + 1 = 8 along each axis.
        assert flops(conv(1), x, array(4, 6, 3, 3)) == 2 * outputs * (6 * 9)
        assert flops(conv(2), x, array(4, 3, 3, 3)) == 2 * outputs * (3 * 9)


# What is counted one for each element of the result, and the number of operations.
ELEMENTWISE: dict[str, tuple[Any, int, int]] = {
    "add": (lambda x: x + x, 1, 0),
    "select": (lambda x: lax.select(x > 0, x, x), 2, 0),
    "convert": (lambda x: x.astype(jnp.float16), 1, 0),
    "compare": (lambda x: x > 1, 1, 0),
    "sin": (jnp.sin, 0, 1),
    "two of exp": (lambda x: jnp.exp(jnp.exp(x)), 0, 2),
    "both": (lambda x: jnp.tanh(x) * 2, 1, 1),
    "moves": (lambda x: jnp.transpose(x)[::-1], 0, 0),
    "squared": (lambda x: x**2, 1, 0),
    "to the fifth": (lambda x: lax.integer_pow(x, 5), 3, 0),  # x², x⁴, x⁵.
    "to the minus third": (lambda x: lax.integer_pow(x, -3), 3, 0),  # x², x³, the inverse.
}


class TestElementwise:
    """One for each element."""

    @pytest.mark.parametrize("case", ELEMENTWISE)
    def test_counts(self, case: str) -> None:
        """FLOPs and functions such as exp apart; a batch costs as much for each example."""
        f, arithmetic, transcendental = ELEMENTWISE[case]
        one = vmapguide.cost(f)(array(4, 5))
        assert (one.flops, one.transcendentals) == (20 * arithmetic, 20 * transcendental)
        batch = vmapguide.cost(jax.vmap(f))(array(7, 4, 5))
        assert (batch.flops, batch.transcendentals) == (7 * one.flops, 7 * one.transcendentals)

    def test_xla_counts_the_same(self) -> None:
        """The convention is XLA's."""
        cost = vmapguide.cost(lambda x, y: jnp.tanh(x @ y) + x)(array(20, 20), array(20, 20))
        assert cost.xla is not None
        assert (cost.xla.flops, cost.xla.transcendentals) == (cost.flops, cost.transcendentals)
        assert cost.flops == 2 * 20**3 + 20**2

    def test_unmapped(self) -> None:
        """What no example changes is computed once."""
        f = jax.vmap(lambda a, x: (a @ a) @ x, in_axes=(None, 0))
        assert flops(f, array(5, 5), array(100, 5)) == 2 * 5**3 + 100 * 2 * 5**2


n = 12
m = 20

# Formulas of Golub and Van Loan, by leading terms.
LINEAR_ALGEBRA: dict[str, tuple[Any, tuple[Any, ...], float]] = {
    "cholesky": (lax.linalg.cholesky, (array(n, n),), n**3 / 3),
    "lu, square": (lax.linalg.lu, (array(n, n),), 2 * n**3 / 3),
    "lu, tall": (lax.linalg.lu, (array(m, n),), m * n**2 - n**3 / 3),
    "lu, wide": (lax.linalg.lu, (array(n, m),), m * n**2 - n**3 / 3),
    "triangular_solve": (lax.linalg.triangular_solve, (array(n, n), array(n, n)), n**3),
    "triangular_solve, one side": (
        lambda a, b: lax.linalg.triangular_solve(a, b, left_side=True),
        (array(n, n), array(n, 1)),
        n**2,
    ),
    "qr, reduced": (
        lambda a: lax.linalg.qr(a, full_matrices=False),
        (array(m, n),),
        2 * (2 * m * n**2 - 2 * n**3 / 3),
    ),
    "qr, full": (
        lambda a: lax.linalg.qr(a, full_matrices=True),
        (array(m, n),),
        (2 * m * n**2 - 2 * n**3 / 3) + 4 * (m**2 * n - m * n**2 + n**3 / 3),
    ),
    "qr, wide": (
        lambda a: lax.linalg.qr(a, full_matrices=False),
        (array(n, m),),
        (2 * m * n**2 - 2 * n**3 / 3) + 4 * n**3 / 3,
    ),
    "householder_product": (
        lax.linalg.householder_product,
        (array(m, n), array(n)),
        2 * m * n**2 - 2 * n**3 / 3,
    ),
    "ormqr": (
        lambda a, c: jax.scipy.linalg.qr_multiply(a, c, mode="left")[0],
        (array(n, n), array(n, n)),
        4 * n**3 - 2 * n**3,
    ),
    "eig, with vectors": (lax.linalg.eig, (array(n, n),), 25 * n**3),
    "eig, values alone": (jnp.linalg.eigvals, (array(n, n),), 10 * n**3),
    "schur": (lax.linalg.schur, (array(n, n),), 25 * n**3),
    "schur, form alone": (
        lambda a: lax.linalg.schur(a, compute_schur_vectors=False),
        (array(n, n),),
        10 * n**3,
    ),
    "svd, reduced": (
        lambda a: lax.linalg.svd(a, full_matrices=False),
        (array(m, n),),
        6 * m * n**2 + 20 * n**3,
    ),
    "fft": (jnp.fft.fft, (array(8, 64, dtype=jnp.complex64),), 8 * 5 * 64 * 6),
    "fft, real": (jnp.fft.rfft, (array(8, 64),), 8 * 5 * 64 * 6 / 2),
    "sort": (lax.sort, (array(8, 64),), 8 * 64 * 6),
    "reduce_sum": (lambda x: x.sum(1), (array(8, 64),), 8 * 63),
    "cumsum": (lax.cumsum, (array(8, 64),), 8 * 64),
    "argmax": (lambda x: lax.argmax(x, 1, jnp.int32), (array(8, 64),), 8 * 64),
}


class TestOther:
    """Linear algebra, transforms, reductions."""

    @pytest.mark.parametrize("case", LINEAR_ALGEBRA)
    def test_formula(self, case: str) -> None:
        """The textbook's, for one and, with vmap, for several."""
        f, args, expected = LINEAR_ALGEBRA[case]
        primitive = case.partition(",")[0]
        assert of(primitive, f, *args) == round(expected)
        many = [array(6, *arg.shape, dtype=arg.dtype) for arg in args]
        assert of(primitive, jax.vmap(f), *many) == pytest.approx(6 * expected, abs=6)

    def test_eigenvalues_and_singular_values(self) -> None:
        """They grow with the third power."""
        for f in (lax.linalg.eigh, lax.linalg.svd, lax.linalg.qr):
            small, large = (vmapguide.cost(f)(array(k, k)) for k in (100, 200))
            assert large.flops / small.flops == pytest.approx(8, rel=0.02)

    def test_nothing_to_reduce(self) -> None:
        """The sum of nothing is no operation, and never less than none."""
        for shape in ((0,), (0, 5), (5, 0), (0, 0)):
            assert flops(lambda x: x.sum(0), array(*shape)) == 0
            assert flops(lambda x: jnp.all(x, 0), array(*shape, dtype=jnp.bool)) == 0

    @pytest.mark.parametrize("size", [1000, 2000])
    def test_random_bits(self, size: int) -> None:
        """A block of threefry for each number, and an exclusive or of its two words."""
        key = jax.random.key(0)
        assert flops(lambda k: jax.random.bits(k, (size,)), key) == size * (20 * 5 + 2 + 15 + 1)
        assert flops(lambda k: jax.random.bits(k, (size,), jnp.uint8), key) == size * 118
        assert flops(lambda k: jax.random.split(k, size), key) == size * 117

    def test_random_bits_of_the_older_kind(self) -> None:
        """There both words of a block are used, so it takes half as many."""
        with jax.threefry_partitionable(False):
            assert flops(lambda k: jax.random.bits(k, (1000,)), jax.random.key(0)) == 500 * 117

    def test_random_bits_written_out(self) -> None:
        """That is as many operations as JAX writes out for a device that it unrolls them for."""
        bits = jax.jit(lambda k: jax.random.bits(k, (1000,)))
        text = bits.trace(jax.random.key(0)).lower(lowering_platforms=("tpu",)).as_text()
        operation = r"stablehlo\.(add|xor|or|shift_left|shift_right_logical) .*: tensor<1000xui32>"
        assert len(re.findall(operation, text)) == 118

    @pytest.mark.parametrize("kind", ["rbg", "unsafe_rbg"])
    def test_keys_of_other_kinds(self, kind: str) -> None:
        """Their numbers are the device's own business: they are not counted."""
        key = jax.random.key(0, impl=kind)
        drawn = vmapguide.cost(lambda k: jax.random.bits(k, (1000,)))(key)
        assert (drawn.flops, dict(drawn.uncounted)) == (0, {"random_bits": 1})
        assert vmapguide.cost(lambda k: jax.random.split(k, 3))(key).uncounted == {
            "random_split": 1
        }

    def test_windows(self) -> None:
        """A window of 2 by 2 takes three comparisons, and in the gradient an addition more."""
        windows: Any = {"window_dimensions": (2, 2), "window_strides": (2, 2), "padding": "VALID"}

        def largest(x: jax.Array) -> Any:
            return lax.reduce_window(x, -jnp.inf, lax.max, **windows)

        assert of("reduce_window_max", largest, array(8, 6)) == 4 * 3 * 3
        gradient = jax.grad(lambda x: largest(x).sum())
        assert of("select_and_scatter_add", gradient, array(8, 6)) == 4 * 3 * (3 + 1)

    def test_reductions_by_a_function(self) -> None:
        """Each step takes as many operations as the function has."""

        def steps(a: jax.Array, b: jax.Array) -> jax.Array:
            return a * b + a

        def reduced(x: jax.Array) -> Any:
            return lax.reduce(x, np.float32(0), steps, (0,))

        assert of("reduce", reduced, array(10, 3)) == (10 * 3 - 3) * 2

        def windows(x: jax.Array) -> Any:
            return lax.reduce_window(x, np.float32(0), steps, (4,), (1,), "VALID")

        assert of("reduce_window", windows, array(10)) == 7 * 3 * 2

    def test_cumulative_logsumexp(self) -> None:
        """Three operations and two functions for each element."""
        cost = vmapguide.cost(lax.cumlogsumexp)(array(10, 3))
        assert (cost.flops, cost.transcendentals) == (3 * 30, 2 * 30)

    def test_ragged_products(self) -> None:
        """Every row has one group; the gradient of the groups is as much again."""
        sizes = array(3, dtype=jnp.int32)
        args = array(8, 4), array(3, 4, 5), sizes
        assert of("ragged_dot_general", lax.ragged_dot, *args) == 2 * 8 * 4 * 5

        def total(x: jax.Array, w: jax.Array, sizes: jax.Array) -> Any:
            return lax.ragged_dot(x, w, sizes).sum()

        assert of("ragged_dot_general", jax.grad(total, argnums=1), *args) == 2 * (2 * 8 * 4 * 5)

    @pytest.mark.skipif(not hasattr(lax, "polynomial"), reason="JAX has no such operation yet")
    def test_polynomial(self) -> None:
        """Two for each coefficient but the first, by Horner's rule."""
        assert of("polynomial", jnp.polyval, array(4), array(6)) == 6 * 2 * 3

    def test_what_ordinary_programs_hold(self) -> None:
        """A determinant and the largest few leave nothing uncounted."""
        assert flops(jnp.linalg.det, array(5, 5)) > 0
        assert vmapguide.cost(lax.top_k, static_argnums=1)(array(4, 8), 2).uncounted == {}
        assert vmapguide.cost(lambda x: lax.approx_max_k(x, 2))(array(4, 8)).uncounted == {}

    def test_what_nothing_is_known_of(self) -> None:
        """It is listed, with how often it runs, and not taken for nothing."""

        def called(x: jax.Array) -> Any:
            return jax.pure_callback(np.sin, x, x)

        def repeated(x: jax.Array) -> Any:
            return lax.scan(lambda c, _: (called(c), None), x, None, length=7)[0]

        cost = vmapguide.cost(repeated)(1.0)
        assert cost.uncounted == {"pure_callback": 7}
        assert "pure_callback (7)" in str(cost)
        assert "Not counted" not in str(vmapguide.cost(jnp.sin)(1.0))


def power(length: int) -> Callable[..., Any]:
    """Return a function that multiplies by a matrix, again and again."""

    def run(a: jax.Array, x: jax.Array) -> Any:
        return lax.scan(lambda c, _: (a @ c, None), x, None, length=length)[0]

    return run


class TestLoops:
    """How often something runs."""

    @pytest.mark.parametrize("length", [0, 1, 10, 100])
    def test_scan(self, length: int) -> None:
        """Its length is multiplied in."""
        assert flops(power(length), A, X[0]) == length * 2 * 5 * 5

    def test_xla_counts_the_body_once(self) -> None:
        """Ten times the length is ten times the work, and the same to XLA."""
        ten, hundred = (vmapguide.cost(power(length))(A, A) for length in (10, 100))
        assert hundred.flops == 10 * ten.flops
        assert ten.xla is not None
        assert ten.xla == hundred.xla
        assert any("body of a loop once" in text for text in hundred.differences)
        once = vmapguide.cost(power(1))(A, A)
        assert not any("body of a loop once" in text for text in once.differences)

    def test_nested_scans(self) -> None:
        """They multiply."""

        def nested(a: jax.Array, x: jax.Array) -> Any:
            return lax.scan(lambda c, _: (power(3)(a, c), None), x, None, length=4)[0]

        assert flops(nested, A, X[0]) == 12 * 2 * 5 * 5

    def test_what_is_shared_counts_for_each_use(self) -> None:
        """A function that is called twice costs twice as much."""
        f = jax.jit(lambda x: x @ x)
        assert flops(lambda x: f(f(x)), A) == 2 * 2 * 5**3

    def test_many_levels_are_quick(self) -> None:
        """Calls that double at every level are not written out."""
        f = jax.jit(lambda x: x + 1)
        for _ in range(40):
            f = jax.jit(lambda x, f=f: f(f(x)))
        assert flops(f, 1.0) == 2**40

    def test_while(self) -> None:
        """How often it runs is not known: it has a name, and is in no total."""

        def halve(x: jax.Array) -> Any:
            return lax.while_loop(lambda c: c.sum() > 1, lambda c: c / 2, x) + 1

        cost = vmapguide.cost(halve)(X[0])
        assert cost.flops == 5
        (loop,) = cost.loops
        assert (loop.name, loop.inside) == ("n1", ())
        assert loop.flops == (5 - 1) + 1 + 5  # The sum, the comparison, the division.
        assert loop.source is not None
        assert loop.source.expression.startswith("lax.while_loop")
        assert any("How often a while loop runs" in text for text in cost.differences)
        assert "n1 is how often the while loop in line" in str(cost)

    def test_while_in_while(self) -> None:
        """The inner one is inside the outer one; a scan around both multiplies."""

        def inner(x: jax.Array) -> Any:
            return lax.while_loop(lambda c: c > 1, lambda c: c / 2 + 1, x)

        def outer(x: jax.Array) -> Any:
            return lax.while_loop(lambda c: c > 2, lambda c: inner(c) * 3, x)

        def repeated(x: jax.Array) -> Any:
            return lax.scan(lambda c, _: (outer(c), None), x, None, length=10)[0]

        cost = vmapguide.cost(repeated)(8.0)
        assert cost.flops == 0
        assert [(loop.name, loop.inside) for loop in cost.loops] == [("n1", ()), ("n2", ("n1",))]
        assert [loop.flops for loop in cost.loops] == [10 * (1 + 1), 10 * (1 + 2)]

    def test_while_inside_and_outside(self) -> None:
        """A function that loops, called in a loop and outside of it, is there once for each."""
        inner = jax.jit(lambda x: lax.while_loop(lambda c: c > 1, lambda c: c / 2, x))

        def outer(x: jax.Array) -> Any:
            return lax.while_loop(lambda c: c > 2, lambda c: inner(c) * 3, inner(x))

        cost = vmapguide.cost(outer)(8.0)
        found = {(loop.name, loop.inside): loop.flops for loop in cost.loops}
        assert found == {("n1", ()): 2, ("n2", ()): 2, ("n2", ("n1",)): 2}
        assert any("(n1, n2)" in text for text in cost.differences)

    def test_while_with_nothing_in_it(self) -> None:
        """It is a loop all the same."""
        cost = vmapguide.cost(lambda on: lax.while_loop(lambda c: c, lambda c: c, on))(False)
        assert [(loop.name, loop.flops, loop.bytes) for loop in cost.loops] == [("n1", 0, 0)]

    def test_cond(self) -> None:
        """The most expensive branch counts, whichever place it has."""
        for index in (0, 1):
            branches = [lambda x: x, lambda x: A @ x][:: 1 - 2 * index]
            cost = vmapguide.cost(lambda i, x, b=branches: lax.switch(i, b, x))(0, X[0])
            # Beside it JAX clamps the index.
            assert cost.flops - 2 * 5 * 5 in range(4)

    def test_vmapped_cond(self) -> None:
        """It costs more than B times as much: all branches run, and one is picked."""

        def either(x: jax.Array) -> Any:
            return lax.cond(x.sum() > 0, lambda v: A @ v, lambda v: (A + 1) @ v, x)

        one, batch = vmapguide.cost(either)(X[0]), vmapguide.cost(jax.vmap(either))(X)
        assert one.flops < 2 * 2 * 25 < batch.flops / 3
        assert batch.flops > 3 * one.flops

    def test_unmapped_cond(self) -> None:
        """With a predicate that all share it costs B times as much, and not more."""

        def either(on: Any, x: jax.Array) -> Any:
            return lax.cond(on, lambda v: A @ v, lambda v: v, x)

        one = vmapguide.cost(either)(True, X[0])
        batch = vmapguide.cost(jax.vmap(either, in_axes=(None, 0)))(True, X)
        assert batch.flops - 2 * 25 * 3 == one.flops - 2 * 25


class TestBytes:
    """What every equation reads and writes on its own."""

    @pytest.mark.parametrize(
        ("f", "args", "expected"),
        [
            (lambda x: x + x, (array(100),), 3 * 400),
            (lambda x: x * 2, (array(100),), 2 * 400),  # A number in the program takes none.
            (lambda x: x.astype(jnp.int8), (array(100),), 400 + 100),
            (lambda x: x.T, (array(10, 10),), 2 * 400),
            (lambda x: x.reshape(5, 20), (array(100),), 0),
            (lambda x: lax.slice(x, (0,), (10,)), (array(100),), 2 * 40),
            (lambda x: lax.dynamic_slice(x, (3,), (10,)), (array(100),), 2 * 40),
            (lambda x: lax.broadcast(x, (7,)), (array(100),), 400 + 2800),
            (lambda k: jax.random.clone(k), (jax.random.key(0),), 2 * 8),  # noqa: PLW0108
        ],
        ids=[
            "add",
            "literal",
            "dtype",
            "transpose",
            "reshape",
            "slice",
            "dynamic",
            "spread",
            "key",
        ],
    )
    def test_bytes(self, f: Any, args: Any, expected: int) -> None:
        """By hand."""
        assert vmapguide.cost(f)(*args).bytes == expected

    def test_references(self) -> None:
        """What is read of a reference is read, what is written is written; nothing is unknown."""

        def last(x: jax.Array) -> Any:
            ref = jax.new_ref(x)
            ref[...] = ref[...] * 2
            return ref[0]

        cost = vmapguide.cost(last)(array(100))
        assert cost.uncounted == {}
        # The reference is made, read, multiplied, written, and one element of it read.
        assert cost.bytes == (2 + 2 + 2 + 2) * 400 + 2 * 4
        assert cost.flops == 100

    @pytest.mark.parametrize("method", ["set", "add", "min", "max", "mul"])
    def test_scatter(self, method: str) -> None:
        """What is not changed is not touched: indices are read, updates read and written."""

        def change(x: jax.Array, y: jax.Array) -> Any:
            return getattr(x.at[jnp.array([1, 3])], method)(y)

        steps = vmapguide.cost(change)(array(1000), array(2)).steps
        (step,) = [step for step in steps if step.primitive.startswith("scatter")]
        assert step.bytes == 2 * 4 + 2 * (2 * 4)

    def test_fusion(self) -> None:
        """XLA puts operations together: fewer bytes, and it is said why."""
        cost = vmapguide.cost(lambda x: jnp.sin(jnp.exp(x) + 1) * 2)(array(1000))
        assert cost.xla is not None
        assert cost.xla.bytes is not None
        assert cost.xla.bytes < cost.bytes
        assert any("fuses" in text for text in cost.differences)
        alone = vmapguide.cost(jnp.matmul)(array(8, 8), array(8, 8))
        assert not any("fuses" in text for text in alone.differences)


class TestXla:
    """What the compiled program says."""

    def test_memory(self) -> None:
        """Arguments and results are what they are."""
        xla = vmapguide.cost(lambda x: jnp.sort(x @ x.T).sum(1))(array(1000, 10)).xla
        assert xla is not None
        assert (xla.arguments, xla.results) == (1000 * 10 * 4, 1000 * 4)
        assert xla.temporary is not None
        assert xla.temporary >= 1000 * 1000 * 4

    def test_library_calls(self) -> None:
        """XLA does not look into them: it is said, and only then."""
        cost = vmapguide.cost(jnp.linalg.cholesky)(array(50, 50))
        assert any("library functions" in text for text in cost.differences)
        assert not any(
            "library functions" in text for text in vmapguide.cost(jnp.sin)(array(9)).differences
        )

    def test_merged(self) -> None:
        """What is computed twice in the jaxpr is computed once."""
        cost = vmapguide.cost(lambda x: (x * 3) + (x * 3))(array(1000))
        (reason, *_) = cost.differences
        assert reason.startswith("XLA has merged operations")
        assert not any("loop" in text or "library" in text for text in cost.differences)
        assert not any(
            "merged" in text for text in vmapguide.cost(lambda x: x * 3)(array(1000)).differences
        )

    def test_written_out(self) -> None:
        """A special function is many instructions."""
        more = vmapguide.cost(lax.erf_inv)(array(1000))
        assert any("several instructions" in text for text in more.differences)
        same = vmapguide.cost(jnp.tanh)(array(1000))
        assert not any("several instructions" in text for text in same.differences)

    @pytest.mark.skipif(jax.default_backend() != "cpu", reason="other devices unroll the generator")
    def test_a_loop_that_is_not_in_the_jaxpr(self) -> None:
        """Random numbers on a CPU: it is said, and not that XLA has left something out."""
        cost = vmapguide.cost(lambda k: jax.random.bits(k, (1000,)))(jax.random.key(0))
        assert cost.xla is not None
        assert cost.xla.loops
        (reason,) = cost.differences
        assert "a loop that the jaxpr does not show" in reason
        assert not any("does not show" in t for t in vmapguide.cost(power(9))(A, A).differences)
        assert not any("does not show" in t for t in vmapguide.cost(jnp.sin)(X).differences)

    def test_what_cannot_be_compiled(self) -> None:
        """A count there is all the same."""
        cost = vmapguide.cost(jax.vmap(lambda x: x * 2, spmd_axis_name="nowhere"))(X)
        assert cost.flops == 15

        def fails(x: jax.Array) -> Any:
            return jax.ffi.ffi_call("nowhere", jax.ShapeDtypeStruct((), jnp.float32))(x) * 2

        cost = vmapguide.cost(fails)(1.0)
        assert cost.flops == 1
        assert cost.xla is None
        assert "could not compile" in str(cost)
        assert cost.xla_error is not None
        assert "nowhere" in cost.xla_error
        assert cost.xla_error in cost.differences[0]
        json.dumps(cost.to_dict(), allow_nan=False)
        assert vmapguide.cost(jnp.sin)(X).xla_error is None

    def test_named_axes(self) -> None:
        """A collective is not counted, and XLA cannot compile it on its own."""
        cost = vmapguide.cost(lambda x: lax.psum(x * 2, "i"), axis_env=[("i", 8)])(X)
        assert cost.flops == X.size
        assert cost.uncounted == {"psum": 1}
        assert cost.xla is None
        assert cost.xla_error is not None
        assert "axis name" in cost.xla_error

    def test_any_size(self) -> None:
        """Nothing is computed, nor compiled, for a count."""
        assert vmapguide.cost(lambda x: x + 1)(array(10**6, 10**6)).flops == 10**12


class TestExplanation:
    """Of an explanation: step by step, beside what one example costs."""

    def test_steps(self) -> None:
        """Each has the work of what it became, and that of one example."""

        def neuron(x: jax.Array) -> Any:
            h = jnp.dot(jnp.ones((2, 5)), x)
            return jnp.tanh(h + 1).sum()

        cost = vmapguide.cost(vmapguide.explain(neuron)(X))
        work = {
            step.primitive: (step.flops + step.transcendentals, step.per_example_work)
            for step in cost.steps
        }
        assert work["dot_general"] == (3 * 20, 20)
        assert work["add"] == (3 * 2, 2)
        assert work["tanh"] == (3 * 2, 2)
        assert work["reduce_sum"] == (3 * 1, 1)
        assert cost.axis_sizes == {"B": 3}
        assert cost.flops == vmapguide.cost(jax.vmap(neuron))(X).flops
        (dot,) = [step for step in cost.steps if step.primitive == "dot_general"]
        assert dot.source is not None
        assert dot.source.expression == "jnp.dot(jnp.ones((2, 5)), x)"

    def test_more_than_b_times(self) -> None:
        """A line with a vmapped cond stands out."""

        def either(x: jax.Array) -> Any:
            return lax.cond(x.sum() > 0, lambda v: A @ v, lambda v: (A + 1) @ v, x)

        cost = vmapguide.cost(vmapguide.explain(either)(X))
        batch = sum(step.flops for step in cost.steps)
        one = sum(step.per_example_work or 0 for step in cost.steps)
        assert batch == cost.flops
        assert batch > 3 * one

    def test_steps_add_up(self) -> None:
        """Steps and totals are of the same equations, boundary included."""
        explanation = vmapguide.explain(lambda x: (x.T, jnp.ones(4)), out_axes=(1, 0))(
            jnp.ones((3, 2, 5))
        )
        cost = vmapguide.cost(explanation)
        assert cost.steps[-1].primitive == "out_axes"
        assert sum(step.bytes for step in cost.steps) == cost.bytes

    def test_not_complete(self) -> None:
        """What is not known to belong to a step is there by itself, and not as nothing."""
        explanation = vmapguide.explain(lambda x: jnp.sin(x) @ x)(X)
        unknown = tuple(dataclasses.replace(s, batched=()) for s in explanation.steps)
        cost = vmapguide.cost(dataclasses.replace(explanation, steps=unknown, complete=False))
        assert cost.flops == vmapguide.cost(explanation).flops > 0
        assert sum(step.flops for step in cost.steps) == cost.flops
        assert all(step.per_example_work is None for step in cost.steps)
        assert "times one example" not in str(cost)

    def test_no_examples(self) -> None:
        """A batch of none costs nothing."""
        cost = vmapguide.cost(vmapguide.explain(lambda x: jnp.sin(x) @ x)(array(0, 4)))
        assert (cost.flops, cost.transcendentals, cost.bytes) == (0, 0, 0)
        assert "B = 0" in str(cost)

    def test_keys(self) -> None:
        """A batch of keys is an argument like any other, for XLA, too."""
        keys = jax.random.split(jax.random.key(0), 5)
        cost = vmapguide.cost(vmapguide.explain(lambda k: jax.random.bits(k, (3,)))(keys))
        assert cost.flops == 5 * 3 * 118
        assert cost.xla is not None
        assert cost.xla.arguments == 5 * 8

    def test_in_a_loop(self) -> None:
        """A step in a loop of known length has all its runs."""
        explanation = vmapguide.explain(power(10), in_axes=(None, 0))(A, X)
        (step,) = [s for s in vmapguide.cost(explanation).steps if s.primitive == "dot_general"]
        assert (step.flops, step.per_example_work) == (3 * 10 * 50, 10 * 50)

    def test_the_view(self) -> None:
        """A row for each line of the user's, and how many times one example it is."""
        text = str(vmapguide.cost(vmapguide.explain(lambda x: A @ x)(X)))
        assert "times one example" in text
        assert "B = 3" in text


class TestErrors:
    """Bad input gets an error that names it."""

    def test_not_a_function(self) -> None:
        """A value where a function was meant."""
        with pytest.raises(TypeError, match="cost: the first argument must be a function"):
            vmapguide.cost(X)  # type: ignore[call-overload]

    def test_arguments(self) -> None:
        """They do not fit."""
        with pytest.raises(TypeError, match=r"cost: <lambda>\(x, y\) cannot be called"):
            vmapguide.cost(lambda x, y: x)(X)  # noqa: ARG005

    def test_not_an_array(self) -> None:
        """It is named, with the remedy."""
        with pytest.raises(TypeError) as caught:
            vmapguide.cost(lambda x, s: x)(X, "text")  # noqa: ARG005
        assert any(
            "cost: <lambda> raised this" in n and "JAX cannot trace s" in n
            for n in caught.value.__notes__
        )

    def test_the_remedy_works(self) -> None:
        """What the note tells to name in static_argnums can be named there."""
        cost = vmapguide.cost(lambda x, s: getattr(jnp, s)(x), static_argnums=1)(X, "tanh")
        assert cost.transcendentals == X.size
        assert cost.xla is not None

    def test_options_of_an_explanation(self) -> None:
        """It has been traced: there is nothing that they could say."""
        explanation = vmapguide.explain(jnp.sin)(X)
        with pytest.raises(TypeError, match="cost: static_argnums and axis_env say how to trace"):
            vmapguide.cost(explanation, static_argnums=0)  # type: ignore[call-overload]


class TestView:
    """A cost is made to be looked at."""

    def test_plain_data(self) -> None:
        """It goes through JSON; integers stay integers."""

        def halve(x: jax.Array) -> Any:
            return lax.while_loop(lambda c: c > 1, lambda c: c / 2, x * 2)

        data = json.loads(json.dumps(vmapguide.cost(halve)(8.0).to_dict(), allow_nan=False))
        assert data["schema"] == "vmapguide.cost/1"
        assert data["flops"] == 1
        assert data["loops"][0]["name"] == "n1"
        assert data["steps"][0]["source"]["expression"] == "x * 2"
        assert data["xla"]["arguments"] == 4

    def test_html(self) -> None:
        """What the user wrote is escaped."""
        html = vmapguide.cost(lambda x: x if x == "<script>" else x + 1)(1.0)._repr_html_()
        assert '"<script>"' not in html
        assert "x == &quot;&lt;script&gt;&quot;" in html

    def test_the_line_that_costs_most(self) -> None:
        """It is marked, unless there is one line or what another one costs is not known."""

        def two_lines(x: jax.Array) -> Any:
            y = x + 1
            return y @ y

        text = str(vmapguide.cost(two_lines)(A))
        (marked,) = [line for line in text.split("\n") if ", most" in line]
        assert "y @ y" in marked
        alone = str(vmapguide.cost(jnp.matmul)(A, A))
        assert ", most" not in alone

        def unknown(x: jax.Array) -> Any:
            y = jax.pure_callback(np.sin, x, x)
            z = y + x
            return z @ z

        assert ", most" not in str(vmapguide.cost(unknown)(A))

        def repeated(x: jax.Array) -> Any:
            y = lax.while_loop(lambda c: c.sum() > 1, lambda c: c / 2, x)
            z = y + x
            return z @ z

        assert ", most" not in str(vmapguide.cost(repeated)(A))

    def test_shares(self) -> None:
        """They are of the lines, and add up."""
        text = str(vmapguide.cost(lambda x: (x @ x) + 1)(array(10, 10)))
        assert "100%" in text
        total = 2 * 10**3 + 10**2
        assert f"{total:,}" in text
        assert math.isclose(total, 2100)
