"""What takes the examples one after the other, and what only looks so."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.custom_batching import custom_vmap, sequential_vmap
from jax.experimental import io_callback

import vmapguide
from vmapguide import Explanation, Finding


def shape(*sizes: int) -> jax.ShapeDtypeStruct:
    """Return an array without numbers."""
    return jax.ShapeDtypeStruct(sizes, jnp.float32)


X = shape(64, 3)


def found(explanation: Explanation) -> list[Finding]:
    """Return what this family finds."""
    return [finding for finding in explanation.findings if finding.code[2] == "4"]


def codes(explanation: Explanation) -> list[str]:
    """Return the codes of what this family finds."""
    return [finding.code for finding in found(explanation)]


# -- VG401 --------------------------------------------------------------------


def on_host(x: jax.Array) -> Any:
    """Call NumPy for each example."""
    return jax.pure_callback(np.sin, x, x, vmap_method="sequential")


in_turn = sequential_vmap(jnp.sin)


@custom_vmap
def refined(x: jax.Array) -> jax.Array:
    """Have a rule that takes all examples in each trip of a loop as long as the batch."""
    return jnp.sin(x)


@refined.def_vmap
def _refined(size: int, _mapped: Any, x: jax.Array) -> tuple[jax.Array, bool]:
    return lax.fori_loop(0, size, lambda _, x: jnp.sin(x), x), True


@pytest.mark.parametrize(
    ("f", "remedy", "calls_python"),
    [
        (on_host, "vmap_method", True),
        (lambda x: io_callback(np.sin, x, x), "outside of the mapped function", True),
        (lambda x: 2 * in_turn(x), "def_vmap", False),
        (jax.ffi.ffi_call("f", X.update(shape=(3,)), vmap_method="sequential"), "_all", False),
    ],
)
def test_each_has_a_remedy_of_its_own(f: Any, remedy: str, *, calls_python: bool) -> None:
    """A callback is asked for another method, a function for a rule."""
    (finding,) = found(vmapguide.explain(f)(X))
    assert (finding.code, finding.severity) == ("VG401", "warning")
    assert remedy in finding.remedy
    assert ("calls Python" in finding.message) == calls_python


@pytest.mark.parametrize(("batch", "severity"), [(16, "warning"), (15, "note")])
def test_a_small_batch_is_a_note(batch: int, severity: str) -> None:
    """A few examples are taken one by one in little time."""
    (finding,) = found(vmapguide.explain(on_host)(shape(batch, 3)))
    assert finding.severity == severity


def test_one_example_is_no_matter() -> None:
    """A batch of one is taken in one go."""
    assert found(vmapguide.explain(on_host)(shape(1, 3))) == []
    print_it = vmapguide.explain(lambda x: jax.debug.print("{x}", x=x))
    assert found(print_it(shape(1, 3))) == []


def test_loops_that_take_the_whole_batch() -> None:
    """A loop in a function, or in a batching rule, may compute all examples in each trip."""
    assert found(vmapguide.explain(lambda x: lax.map(jnp.sin, x))(X)) == []
    assert found(vmapguide.explain(refined)(X)) == []
    whole = vmapguide.explain(lambda x: jax.pure_callback(np.sin, x, x, vmap_method="expand_dims"))
    assert found(whole(X)) == []


def test_what_no_example_has_is_called_once() -> None:
    """A value that all examples share is handed to Python once."""
    shared = vmapguide.explain(lambda x, y: x + on_host(y), in_axes=(0, None))
    assert found(shared(X, shape(3))) == []


def test_it_is_found_in_a_loop_and_in_an_inner_vmap() -> None:
    """Where it lies does not matter; the size is that of the batch that is explained."""
    inside = vmapguide.explain(lambda x: lax.map(on_host, x))(X)
    assert [finding.facts["size"] for finding in found(inside)] == [64]
    nested = vmapguide.explain(jax.vmap(on_host))(X)
    assert [finding.facts["size"] for finding in found(nested)] == [64]


# -- VG402 --------------------------------------------------------------------


def prints(x: jax.Array) -> jax.Array:
    """Print, and call back."""
    jax.debug.print("{x}", x=x)
    jax.debug.callback(lambda _: None, x)
    return x


def test_prints_and_callbacks_are_counted() -> None:
    """Each becomes as many equations as there are examples."""
    findings = found(vmapguide.explain(prints)(X))
    assert [(f.code, f.facts["count"]) for f in findings] == [("VG402", 64), ("VG402", 64)]


def test_a_print_in_a_function_that_is_called_twice() -> None:
    """It is held once, whichever calls it."""
    twice = jax.jit(prints)
    findings = found(vmapguide.explain(lambda x: twice(twice(x)))(X))
    assert {64} == {finding.facts["count"] for finding in findings}


def test_few_prints_are_a_note() -> None:
    """Three examples print three lines, which is what was asked for."""
    assert {"note"} == {f.severity for f in found(vmapguide.explain(prints)(shape(3, 3)))}


def test_a_print_that_is_called_once_is_clean() -> None:
    """What is reduced over the batch, and what is shared, is printed once."""

    def prints_mean(x: jax.Array) -> jax.Array:
        jax.debug.print("{x}", x=lax.pmean(x, "batch"))
        return x

    assert found(vmapguide.explain(prints_mean, axis_name="batch")(X)) == []
    shared = vmapguide.explain(lambda x, y: (prints(y), x)[1], in_axes=(0, None))
    assert found(shared(X, shape(3))) == []


# -- VG403 --------------------------------------------------------------------


def solve(a: jax.Array, b: jax.Array) -> Any:
    """Solve a system."""
    return jnp.linalg.solve(a, b)


@pytest.mark.parametrize(
    ("f", "matrices", "expected"),
    [
        (jnp.linalg.inv, shape(256, 3, 3), ["VG403"]),
        (jnp.linalg.cholesky, shape(256, 2, 2), ["VG403"]),
        (jnp.linalg.eigh, shape(256, 2, 2), ["VG403"]),
        (jnp.linalg.inv, shape(255, 3, 3), []),
        (jnp.linalg.cholesky, shape(256, 0, 0), []),
        (jnp.linalg.inv, shape(256, 4, 4), []),
        (jnp.linalg.eigh, shape(256, 3, 3), []),
        (jnp.linalg.svd, shape(256, 2, 2), []),
        (jnp.linalg.det, shape(256, 3, 3), []),  # JAX has written this one out.
    ],
)
def test_small_matrices(f: Any, matrices: Any, expected: list[str]) -> None:
    """It is about matrices for which a formula is short and good, and about many of them."""
    assert codes(vmapguide.explain(f)(matrices)) == expected


def test_single_numbers_as_matrices() -> None:
    """Who inverts them can divide; in a function for any size they are its own affair."""

    def density(x: jax.Array) -> Any:
        return jax.scipy.stats.gaussian_kde(x)(x)

    assert codes(vmapguide.explain(density)(shape(256, 8))) == []
    assert codes(vmapguide.explain(solve)(shape(256, 1, 1), shape(256, 1))) == ["VG403"]


def test_several_calls_in_a_line_are_one_finding() -> None:
    """A solver calls LAPACK for the factors, and again for each of two triangles."""
    (finding,) = found(vmapguide.explain(solve)(shape(256, 3, 3), shape(256, 3)))
    assert finding.facts["count"] == 256
    assert finding.source is not None


def test_a_shared_matrix_is_factored_once() -> None:
    """Then the batch is the columns of one right-hand side."""
    shared = vmapguide.explain(solve, in_axes=(None, 0))
    assert found(shared(shape(3, 3), shape(256, 3))) == []


def test_batches_of_batches_multiply() -> None:
    """What counts is how many matrices there are in all."""
    stack = vmapguide.explain(jnp.linalg.inv)(shape(64, 4, 3, 3))
    assert [finding.facts["count"] for finding in found(stack)] == [256]


def test_other_processors_have_kernels_for_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU nothing is said of it."""
    explanation = vmapguide.explain(jnp.linalg.inv)(shape(256, 3, 3))
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert found(explanation) == []


# -- VG404 --------------------------------------------------------------------


def convolve(image: jax.Array, kernel: jax.Array) -> jax.Array:
    """Convolve an image with a kernel."""
    return lax.conv(image[None], kernel, (1, 1), "SAME")[0]


@pytest.mark.parametrize(("channels", "expected"), [(1, ["VG404"]), (4, ["VG404"]), (5, [])])
def test_few_channels(channels: int, expected: list[str]) -> None:
    """With more channels a group has enough to do."""
    explain = vmapguide.explain(convolve)
    assert codes(explain(shape(64, channels, 32, 32), shape(64, 8, channels, 3, 3))) == expected


def test_a_gpu_is_fast_at_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU nothing is said of it: there, the remedies were not faster."""
    explanation = vmapguide.explain(convolve)(shape(64, 4, 32, 32), shape(64, 8, 4, 3, 3))
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert found(explanation) == []


def test_the_remedy_depends_on_the_channels() -> None:
    """One channel is a product of numbers, several are a convolution all the same."""
    explain = vmapguide.explain(convolve)
    (one,) = found(explain(shape(64, 1, 32, 32), shape(64, 8, 1, 3, 3)))
    (three,) = found(explain(shape(64, 3, 32, 32), shape(64, 8, 3, 3, 3)))
    assert "9 places" in one.remedy
    assert "jax.lax.map" in three.remedy


def test_convolutions_that_share_something() -> None:
    """A shared kernel and a shared image are one convolution without groups."""
    image, kernel = shape(64, 3, 32, 32), shape(64, 8, 3, 3, 3)
    assert found(vmapguide.explain(convolve, in_axes=(0, None))(image, shape(8, 3, 3, 3))) == []
    assert found(vmapguide.explain(convolve, in_axes=(None, 0))(shape(3, 32, 32), kernel)) == []


def test_gradients() -> None:
    """One with regard to a kernel is found where the convolution is, or not at all."""
    image = shape(64, 3, 32, 32)
    gradient = jax.grad(lambda kernel, image: jnp.sin(convolve(image, kernel)).sum())
    assert codes(vmapguide.explain(gradient)(shape(64, 8, 3, 3, 3), image)) == ["VG404"]
    shared = vmapguide.explain(gradient, in_axes=(None, 0))
    assert codes(shared(shape(8, 3, 3, 3), image)) == []


def test_small_ones_are_passed_over() -> None:
    """A few short signals are convolved in no time, however it is done."""
    smooth = vmapguide.explain(jnp.convolve)
    assert codes(smooth(shape(64, 16), shape(64, 3))) == []
    assert codes(smooth(shape(64, 1024), shape(64, 3))) == ["VG404"]


def test_groups_of_the_functions_own_are_multiplied() -> None:
    """A convolution that has groups anyway gets more of them."""

    def depthwise(image: jax.Array, kernel: jax.Array) -> jax.Array:
        return lax.conv_general_dilated(image[None], kernel, (1, 1), "SAME", feature_group_count=8)

    explain = vmapguide.explain(depthwise)
    (finding,) = found(explain(shape(64, 8, 16, 16), shape(64, 8, 1, 3, 3)))
    assert (finding.facts["groups"], finding.facts["channels"]) == (8 * 64, 1)
    shared = vmapguide.explain(depthwise, in_axes=(0, None))
    assert found(shared(shape(64, 8, 16, 16), shape(8, 1, 3, 3))) == []
