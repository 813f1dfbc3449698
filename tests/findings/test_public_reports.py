"""What people have reported as slow, large or surprising under `vmap` raises a finding at its line.

Each program is small and does what its report describes; a number such as `jax#8192` names an issue
of JAX. At the end are reports about which nothing is to be found, with the reason.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.experimental import io_callback
from jax.experimental.ode import odeint
from jax.scipy.sparse.linalg import cg

import vmapguide


def shape(*sizes: int, dtype: Any = jnp.float32) -> jax.ShapeDtypeStruct:
    """Return an argument of which only the type is known."""
    return jax.ShapeDtypeStruct(sizes, dtype)


def found(f: Any, *args: Any, **vmap: Any) -> dict[str, str]:
    """Return the code of each finding, with the first line of the expression that it is about."""
    findings = vmapguide.explain(f, **vmap)(*args).findings
    pieces = [finding.source.expression if finding.source else "" for finding in findings]
    assert len({finding.code for finding in findings}) == len(findings)
    return {
        finding.code: piece.split("\n")[0] for finding, piece in zip(findings, pieces, strict=True)
    }


NUMBERS = shape(64)
KEYS = jax.random.split(jax.random.key(0), 8)


class TestBranches:
    """Branches run for all examples, and what they read is copied."""

    def test_an_expensive_branch_that_few_examples_take(self) -> None:
        """jax#8409, jax#3103, jax#7934, jax#13589, jax#16335: the `cond` runs both branches."""

        def layers(x: Any) -> Any:
            for _ in range(20):
                x = jnp.tanh(x @ jnp.ones((64, 64)))
            return x

        def f(x: Any) -> Any:
            return lax.cond(x[0] > 0, layers, jnp.negative, x)

        assert found(f, shape(64, 64)) == {"VG101": "lax.cond(x[0] > 0, layers, jnp.negative, x)"}

    def test_a_branch_of_an_environment_that_is_skipped(self) -> None:
        """A reset that is dear and rare costs each step of each environment its whole price."""

        def f(x: Any, is_over: Any) -> Any:
            return lax.cond(is_over, lambda x: jnp.linalg.matrix_power(x, 8), lambda x: x, x)

        (code,) = found(f, shape(100, 8, 8), shape(100, dtype=bool))
        assert code == "VG101"

    def test_one_of_several_functions_for_each_example(self) -> None:
        """jax#5261, jax#673, jax#19506: a `switch` on a mapped number runs all functions."""

        def f(i: Any, x: Any) -> Any:
            return lax.switch(i, [jnp.sin, jnp.cos, jnp.tanh], x)

        assert found(f, shape(64, dtype=jnp.int32), shape(64, 8)) == {
            "VG101": "lax.switch(i, [jnp.sin, jnp.cos, jnp.tanh], x)"
        }

    def test_products_with_matrices_that_branches_read(self) -> None:
        """jax#7159: each example multiplies by copies of the shared matrices."""
        one, other = jnp.ones((64, 64)), jnp.zeros((64, 64))

        def f(x: Any, y: Any) -> Any:
            is_positive = jnp.sum(x + y) > 0
            first, second = (lambda: one @ x), (lambda: other @ y)
            return lax.cond(is_positive, first, second)

        codes = found(f, shape(64, 64), shape(64, 64))
        assert codes.keys() == {"VG101", "VG203"}
        assert codes["VG203"] in ("one @ x", "other @ y")

    def test_a_print_in_a_branch(self) -> None:
        """jax#19314: it prints for examples that do not take the branch, and one by one."""

        def f(x: Any) -> Any:
            show = lambda x: jax.debug.print("{x}", x=x)  # noqa: E731
            lax.cond(x > 0, show, lambda _: None, x)
            return 2 * x

        assert found(f, NUMBERS) == {
            "VG101": "lax.cond(x > 0, show, lambda _: None, x)",
            "VG402": 'jax.debug.print("{x}", x=x)',
        }

    def test_an_array_that_a_branch_changes_in_each_trip(self) -> None:
        """jax#8192: a scan that fills an array, in a branch, is quadratic in a batch."""

        def f(xs: Any) -> Any:
            def step(filled: Any, i: Any) -> Any:
                put = lambda filled: filled.at[i].set(xs[i])  # noqa: E731
                return lax.cond(xs[i] > 0, put, lambda filled: filled, filled), None

            return lax.scan(step, jnp.zeros_like(xs), jnp.arange(xs.size))[0]

        assert found(f, shape(4, 32_000)) == {
            "VG106": "lax.cond(xs[i] > 0, put, lambda filled: filled, filled)"
        }


class TestLoops:
    """Loops run until the slowest example is done."""

    def test_a_loop_that_each_example_leaves_by_itself(self) -> None:
        """jax#441, jax#485, jax#20726: trips are computed for examples that are done."""

        def f(x: Any) -> Any:
            return lax.while_loop(lambda x: x > 1, lambda x: x / 2, x)

        assert found(f, NUMBERS) == {"VG102": "lax.while_loop(lambda x: x > 1, lambda x: x / 2, x)"}

    def test_what_is_printed_in_such_a_loop(self) -> None:
        """jax#20628: it prints for examples that are done, too."""

        def f(x: Any) -> Any:
            def halve(x: Any) -> Any:
                jax.debug.print("{}", x)
                return x / 2

            return lax.while_loop(lambda x: x > 1, halve, x)

        assert found(f, NUMBERS).keys() == {"VG102", "VG402"}

    def test_a_bound_of_each_examples_own(self) -> None:
        """jax#1190, jax#1189, jax#504: the counter is mapped, and slices become gathers."""

        def f(n: Any, x: Any) -> Any:
            return lax.fori_loop(0, n, lambda i, total: total + x[i], 0.0)

        assert found(f, shape(64, dtype=jnp.int32), shape(64, 8)).keys() == {"VG102", "VG105"}

    def test_an_array_that_such_a_loop_fills(self) -> None:
        """jax#13522: each trip picks between the old array and the new one, all of both."""

        def f(n: Any, x: Any) -> Any:
            def double(i: Any, x: Any) -> Any:
                return x.at[i].set(2 * x[i])

            return lax.fori_loop(0, n, double, x)

        assert found(f, shape(64, dtype=jnp.int32), shape(64, 4096)) == {
            "VG102": "lax.fori_loop(0, n, double, x)",
            "VG105": "lax.fori_loop(0, n, double, x)",
            "VG302": "x.at[i].set(2 * x[i])",
        }

    def test_samplers_that_draw_until_they_accept(self) -> None:
        """The line that calls `poisson` or `binomial` is named, not a line of JAX."""
        rates = shape(8)

        def poisson(key: Any, rate: Any) -> Any:
            return jax.random.poisson(key, rate)

        def binomial(key: Any, n: Any, p: Any) -> Any:
            return jax.random.binomial(key, n, p)

        assert found(poisson, KEYS, rates) == {"VG102": "jax.random.poisson(key, rate)"}
        assert found(binomial, KEYS, rates, rates) == {"VG102": "jax.random.binomial(key, n, p)"}

    def test_solvers_with_loops_in_them(self) -> None:
        """`cg` waits for the slowest example, and `odeint` does so for each point in time."""

        def solve(A: Any, b: Any) -> Any:
            return cg(lambda x: A @ x, b)[0]

        def decay(y: Any, rate: Any) -> Any:
            times = jnp.linspace(0.0, 1.0, 5)
            return odeint(lambda y, _: -rate * y, y, times)

        assert found(solve, shape(8, 5, 5), shape(8, 5)) == {"VG102": "cg(lambda x: A @ x, b)"}
        assert found(decay, shape(8), shape(8)) == {
            "VG103": "odeint(lambda y, _: -rate * y, y, times)"
        }


class TestMemory:
    """What is copied, held, moved or widened."""

    def test_a_shared_array_that_each_example_writes_to(self) -> None:
        """A scatter into what all share copies it for each example, to change one number."""

        def f(i: Any, new: Any, table: Any) -> Any:
            return table.at[i].add(new)

        codes = found(f, shape(64, dtype=jnp.int32), NUMBERS, shape(100_000), in_axes=(0, 0, None))
        assert codes == {"VG201": "table.at[i].add(new)"}

    def test_a_result_that_no_example_has_a_say_in(self) -> None:
        """Without None in `out_axes` it is copied for each example."""

        def f(x: Any, w: Any) -> Any:
            return x.sum(), 2 * w

        codes = found(f, shape(64, 3), shape(100_000), in_axes=(0, None))
        assert codes == {"VG205": "2 * w"}

    def test_a_batch_that_runs_out_of_memory(self) -> None:
        """jax#11319, jax#3865, jax#14808: a matrix for each example on the way to a number."""

        def f(x: Any) -> Any:
            return jnp.linalg.slogdet(jnp.outer(x, x) + jnp.eye(x.size))[1]

        assert "VG202" in found(f, shape(1000, 512))

    def test_a_scan_over_a_sequence_for_each_example(self) -> None:
        """The axis of the scan has to be first, so sequences and what is stacked are transposed."""

        def f(xs: Any) -> Any:
            return lax.scan(lambda c, x: (c + x, c * x), jnp.zeros(64), xs)

        (code,) = found(f, shape(64, 128, 64))
        assert code == "VG204"

    def test_a_number_that_was_a_python_number(self) -> None:
        """In a batch it is an array of float32, and widens what is narrow."""
        codes = found(lambda x, s: x * s, shape(64, 4096, dtype=jnp.float16), NUMBERS)
        assert codes == {"VG206": "x * s"}

    def test_parameters_of_the_size_of_the_batch(self) -> None:
        """Rows of a matrix are mapped that all examples should share, and no error tells."""
        assert found(lambda W, x: (W * x).sum(), shape(5, 5), shape(5, 5)) == {"VG601": "W * x"}


class TestIndexing:
    """Reads and writes at places of each example's own."""

    def test_an_update_at_a_place_of_each_examples_own(self) -> None:
        """jax#21367, jax#17844: `dynamic_update_slice` becomes a scatter."""

        def f(x: Any, new: Any, start: Any) -> Any:
            return lax.dynamic_update_slice(x, new, start)

        args = shape(4096, 256), shape(4096, 64), shape(4096, 1, dtype=jnp.int32)
        assert found(f, *args) == {"VG302": "lax.dynamic_update_slice(x, new, start)"}

    def test_a_small_update_is_passed_over(self) -> None:
        """At the size of jax#21367, 800 bytes are written, which only a TPU was slow at."""

        def f(x: Any, new: Any, start: Any) -> Any:
            return lax.dynamic_update_slice(x, new, start)

        assert found(f, shape(100, 32), shape(100, 2), shape(100, 1, dtype=jnp.int32)) == {}
        found_all = vmapguide.findings(
            vmapguide.explain(f)(shape(100, 32), shape(100, 2), shape(100, 1, dtype=jnp.int32)),
            min_bytes=0,
        )
        assert [finding.code for finding in found_all] == ["VG302"]


class TestOneByOne:
    """What takes the examples one after the other."""

    def test_callbacks_and_prints(self) -> None:
        """A `pure_callback` in sequence, an `io_callback` and a print call Python for each one."""
        number = jax.ShapeDtypeStruct((), jnp.float32)

        def pure(x: Any) -> Any:
            return jax.pure_callback(np.sin, number, x, vmap_method="sequential")

        def effect(x: Any) -> Any:
            return io_callback(np.sin, number, x)

        def printing(x: Any) -> Any:
            jax.debug.print("{}", x)
            return 2 * x

        assert found(pure, NUMBERS) == {
            "VG401": 'jax.pure_callback(np.sin, number, x, vmap_method="sequential")'
        }
        assert found(effect, NUMBERS) == {"VG401": "io_callback(np.sin, number, x)"}
        assert found(printing, NUMBERS) == {"VG402": 'jax.debug.print("{}", x)'}
        assert found(jax.vmap(printing), shape(3, 4)) == {"VG402": 'jax.debug.print("{}", x)'}

    def test_a_function_that_asks_for_it(self) -> None:
        """`sequential_vmap` is a loop over the examples."""

        @jax.custom_batching.sequential_vmap  # type: ignore[untyped-decorator]
        def inner(x: Any) -> Any:
            return jnp.sin(x).sum()

        assert found(lambda x: inner(x) + 1, shape(4, 3)) == {"VG401": "inner(x)"}

    def test_many_small_systems(self) -> None:
        """jax#1139, jax#36927: `solve` calls a library for each matrix of three rows."""

        def f(A: Any, b: Any) -> Any:
            return jnp.linalg.solve(A, b)

        assert found(f, shape(100_000, 3, 3), shape(100_000, 3)) == {
            "VG403": "jnp.linalg.solve(A, b)"
        }

    def test_a_convolution_with_kernels_of_each_examples_own(self) -> None:
        """jax#26568: an ensemble of small networks is slower in `vmap` than in `lax.map`."""

        def f(x: Any, kernel: Any) -> Any:
            numbers = ("NWC", "WIO", "NWC")
            return lax.conv_general_dilated(x, kernel, (1,), "SAME", dimension_numbers=numbers)

        (code,) = found(f, shape(10, 256, 32, 3), shape(10, 3, 3, 64))
        assert code == "VG404"


class TestRandomness:
    """Who draws what."""

    def test_a_key_that_is_made_inside(self) -> None:
        """All examples get the same noise."""

        def f(x: Any) -> Any:
            return x + jax.random.normal(jax.random.key(0))

        assert found(f, NUMBERS) == {"VG501": "jax.random.normal(jax.random.key(0))"}

    def test_keys_of_a_kind_that_knows_no_batches(self) -> None:
        """jax#16792, jax#19085, jax#21663: only the first key draws."""
        keys = jax.random.split(jax.random.key(0, impl="rbg"), 16)
        assert found(lambda key: jax.random.normal(key, (3,)), keys) == {
            "VG502": "jax.random.normal(key, (3,))"
        }


class TestNothingToFind:
    """Reports about which nothing is to be found."""

    def test_a_function_that_became_one_operation_for_each_of_its_own(self) -> None:
        """jax#5460 asks how well a function was vectorized: the list is empty if nothing is amiss.

        jax#6312 is of this kind: what was measured there is Python's time, without `jit`.
        """

        def f(W: Any, x: Any) -> Any:
            return jax.nn.softmax(jnp.tanh(W @ x))

        assert found(f, shape(512, 512), shape(256, 512), in_axes=(None, 0)) == {}

    def test_factorizations_of_large_matrices(self) -> None:
        """jax#10180, jax#15803, jax#8542: a kernel takes them one by one, and no rewrite is known.

        The explanation says so in its last sentences.
        """
        explanation = vmapguide.explain(jnp.linalg.eigh)(shape(16, 1024, 1024))
        assert explanation.findings == ()
        assert "one call of a library" in explanation.summary

    def test_what_the_compiler_never_makes(self) -> None:
        """jax#7449, and all pairs of distances: XLA adds up what it reads, and holds nothing."""

        def pairs(x: Any, Y: Any) -> Any:
            return jnp.sqrt(((x - Y) ** 2).sum(-1)).min()

        def columns(D: Any, which: Any) -> Any:
            return jnp.sum(jnp.prod(D[:, which], axis=1)) / D.shape[0]

        assert found(pairs, shape(2000, 64), shape(2000, 64), in_axes=(0, None)) == {}
        queries = shape(1000, 3, dtype=jnp.int32)
        assert found(columns, shape(60_000, 100), queries, in_axes=(None, 0)) == {}

    def test_gradients_that_were_asked_for(self) -> None:
        """A gradient for each example is large since the result is; nothing is in between."""

        def loss(w: Any, x: Any) -> Any:
            return jnp.sum(jnp.tanh(w @ x))

        assert found(jax.grad(loss), shape(512, 512), shape(128, 512), in_axes=(None, 0)) == {}

    def test_a_loop_that_examples_leave_together(self) -> None:
        """A predicate that `pmax` has reduced is what the remedy asks for."""

        def f(x: Any) -> Any:
            def is_on(c: Any) -> Any:
                return lax.pmax((c[0] < x).astype(int), "i") > 0

            def step(c: Any) -> Any:
                return c[0] + 1, jnp.where(c[0] < x, 2 * c[1], c[1])

            return lax.while_loop(is_on, step, (0.0, x))[1]

        assert found(f, NUMBERS, axis_name="i") == {}
