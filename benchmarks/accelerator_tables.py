"""The tables of `accelerator.py`: what is measured on a device, a function for each.

A table yields its rows one by one, so that what was measured stands if the rest does not finish;
what may take longest comes last. A time is that of a call of a compiled function until its result
is there, in microseconds: the median of several calls, the first of which is not counted.
Memory is what the compiled program needs besides arguments and results, by XLA, in megabytes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from accelerator_measuring import Row, memory, normal, table, us
from jax import lax
from jax.experimental import pallas as pl

import vmapguide


# A larger batch would take too long one by one.
SLOW = 1000


@table(
    "a neuron of 5 inputs and 2 outputs",
    *("B", "vmap_us", "by_hand_us", "vmap_uncompiled_us", "python_loop_us", "lax_map_us"),
)
def neuron_race(full: bool) -> Iterator[Row]:
    """Race the ways to apply a neuron to a batch. The Python loop calls it compiled."""
    W, b = normal(2, 5), normal(2, seed=1)

    def neuron(x: Any) -> Any:
        return jnp.tanh(W @ x + b).sum()

    def by_hand(X: Any) -> Any:
        return jnp.tanh(X @ W.T + b).sum(axis=1)

    compiled = jax.jit(neuron)
    for B in (10**power for power in range(8 if full else 4)):
        X = normal(B, 5)
        row = {"B": B, "vmap_us": us(jax.vmap(neuron), X), "by_hand_us": us(by_hand, X)}
        row["vmap_uncompiled_us"] = us(jax.vmap(neuron), X, jit=False)
        if B * (1 if full else 10) <= SLOW:
            row["python_loop_us"] = us(lambda X: [compiled(x) for x in X], X, jit=False)
        if B <= 10 * SLOW:
            row["lax_map_us"] = us(lambda X: lax.map(neuron, X), X)
        yield row


@table(
    "a layer of n inputs and n outputs: weights shared, or own weights for each example",
    *("n", "B", "shared_us", "own_us", "own_over_shared", "shared_TFLOPs"),
)
def shared_or_own_weights(full: bool) -> Iterator[Row]:
    """Compare a product of matrices with a batch of products of a matrix and a vector."""
    for n, B in ((64, 4096), (256, 4096), (1024, 1024)) if full else ((64, 256), (128, 256)):
        X = normal(B, n)
        shared = us(jax.vmap(jnp.matmul, in_axes=(None, 0)), normal(n, n, seed=1), X)
        own = us(jax.vmap(jnp.matmul), normal(B, n, n, seed=1), X)
        row = {"n": n, "B": B, "shared_us": shared, "own_us": own, "own_over_shared": own / shared}
        yield row | {"shared_TFLOPs": 2 * B * n * n / shared / 1e6}


@table("N examples of N numbers", "N", "operation", "us")
def indexing(full: bool) -> Iterator[Row]:
    """Read and write at a place of the example's own, and what could stand for it."""
    N = 4096 if full else 256
    X, places = normal(N, N), jnp.arange(N) // 2
    window = functools.partial(lax.dynamic_slice_in_dim, slice_size=N // 2)
    operations: dict[str, tuple[Callable[..., Any], Any]] = {
        "slice_mapped_start": (window, 0),
        "slice_shared_start": (window, None),
        "take_mapped": (lambda x, i: x[i], 0),
        "scatter_add_mapped": (lambda x, i: x.at[i].add(1.0), 0),
        "one_hot_matmul": (lambda x, i: jax.nn.one_hot(i, N) @ x, 0),
        "mask_sum": (lambda x, i: jnp.where(jnp.arange(N) < i, x, 0).sum(), 0),
        "sum": (lambda x, _: x.sum(), 0),
        "cumsum": (lambda x, _: jnp.cumsum(x), 0),
        "sort": (lambda x, _: jnp.sort(x), 0),
        "top_k": (lambda x, _: lax.top_k(x, 16), 0),
    }
    for name, (operation, axis) in operations.items():
        index = places if axis == 0 else places[N // 2]
        row = {"N": N, "operation": name}
        yield row | {"us": us(jax.vmap(operation, in_axes=(0, axis)), X, index)}


@table(
    "the gradient of the mean loss of a network with six layers",
    *("how", "B", "width", "temporary_MB", "results_MB", "ms"),
)
def gradient_memory(full: bool) -> Iterator[Row]:
    """Take the batch as a whole, in chunks, and in chunks that are computed again backwards."""
    width, B, chunk, few = (512, 16_384, 1024, 1024) if full else (64, 512, 64, 64)
    Ws, X = normal(6, width, width) / width**0.5, normal(B, width, seed=1)

    def loss(Ws: Any, x: Any) -> Any:
        for W in Ws:
            x = jnp.tanh(W @ x)
        return (x**2).sum()

    def chunked(loss: Any, Ws: Any, X: Any) -> Any:
        return lax.map(functools.partial(loss, Ws), X, batch_size=chunk).mean()

    def whole(Ws: Any, X: Any) -> Any:
        return jax.vmap(functools.partial(loss, Ws))(X).mean()

    again = functools.partial(chunked, jax.checkpoint(loss))
    chunks = functools.partial(chunked, loss)
    ways: dict[str, Any] = {"vmap": whole, "chunks": chunks, "chunks_checkpoint": again}
    sides: dict[str, tuple[Callable[..., Any], Any]] = {
        name: (jax.grad(way), X) for name, way in ways.items()
    }
    sides["per_example_gradients"] = (jax.vmap(jax.grad(loss), in_axes=(None, 0)), X[:few])
    for how, (f, batch) in sides.items():
        row = {"how": how, "B": len(batch), "width": width, **memory(f, Ws, batch)}
        yield row | {"ms": us(f, Ws, batch) / 1000}


@table("convolutions of images with kernels of 3 × 3", "how", "B", "channels", "side", "us")
def kernels_per_example(full: bool) -> Iterator[Row]:
    """Convolve with kernels that all share and with kernels of the example's own."""
    B, channels, side = (64, 16, 32) if full else (8, 4, 16)
    images, kernels = normal(B, channels, side, side), normal(B, channels, channels, 3, 3, seed=1)

    def convolve(image: Any, kernel: Any) -> Any:
        return lax.conv(image[None], kernel, (1, 1), "SAME")[0]

    ways: dict[str, Callable[..., Any]] = {
        "own_kernels": jax.vmap(convolve),
        "shared_kernel": lambda images, kernels: jax.vmap(convolve, (0, None))(images, kernels[0]),
        "lax_map_own_kernels": lambda *batch: lax.map(lambda one: convolve(*one), batch),
    }
    for how, f in ways.items():
        row = {"how": how, "B": B, "channels": channels, "side": side}
        yield row | {"us": us(f, images, kernels)}


@table(
    "two layers, `lax.map` with a batch_size",
    *("batch_size", "B", "width", "us_per_example", "temporary_MB"),
)
def chunks(full: bool) -> Iterator[Row]:
    """Map chunk by chunk; one by one, there are fewer examples."""
    width, B = (1024, 65_536) if full else (64, 1024)
    sizes: tuple[int | None, ...] = (None, 16_384, 4096, 256, 16, 1) if full else (None, 256, 16, 1)
    W, V = normal(width, width) / width**0.5, normal(width, width, seed=1) / width**0.5
    batch = normal(B, width, seed=2)

    def layers(x: Any) -> Any:
        return jnp.tanh(V @ jnp.tanh(W @ x))

    for size in sizes:
        X = batch[: B // 16] if size == 1 else batch
        f = functools.partial(lax.map, layers, batch_size=size) if size else jax.vmap(layers)
        row: Row = {"batch_size": size or "vmap", "B": len(X), "width": width}
        row["us_per_example"] = us(f, X) / len(X)
        yield row | {"temporary_MB": memory(f, X)["temporary_MB"]}


@table(
    "a product in float32, the batch's and the loop's; errors beside the largest value",
    *("precision", "bitwise_row0", "batch_vs_loop", "error_batch", "error_loop"),
)
def numerics(full: bool) -> Iterator[Row]:
    """Compare the product of a batch with the products of its examples."""
    n = 512 if full else 128
    W, X = normal(n, n), normal(n, n, seed=1)
    exact = np.asarray(X, np.float64) @ np.asarray(W, np.float64).T
    for precision in ("default", "tensorfloat32", "high", "highest"):
        with jax.default_matmul_precision(precision):
            batch = np.asarray(jax.jit(jax.vmap(lambda x: W @ x))(X))
            one = jax.jit(lambda x: W @ x)
            loop = np.stack([one(x) for x in X[:32]])

        def error(a: Any, b: Any) -> float:
            return float(np.abs(a - b).max() / np.abs(exact).max())

        row: Row = {"precision": precision, "bitwise_row0": bool((batch[0] == loop[0]).all())}
        row |= {"batch_vs_loop": error(batch[:32], loop)}
        yield row | {"error_batch": error(batch, exact), "error_loop": error(loop, exact[:32])}


@table("`vmap` of a Pallas kernel", "right", "interpreted", "vmap_us", "plain_us")
def pallas(_: bool) -> Iterator[Row]:
    """Compile a kernel under vmap, beside the operation that it does. A CPU interprets it."""
    X = normal(64, 8, 128)
    interpreted = jax.default_backend() == "cpu"

    def kernel(x: Any, out: Any) -> None:
        out[...] = jnp.tanh(x[...]) + 1

    def plain(x: Any) -> Any:
        return jnp.tanh(x) + 1

    shape = jax.ShapeDtypeStruct(X.shape[1:], X.dtype)
    f = jax.vmap(pl.pallas_call(kernel, out_shape=shape, interpret=interpreted))
    row: Row = {"right": bool(jnp.allclose(jax.jit(f)(X), plain(X), atol=1e-5))}
    row |= {"interpreted": interpreted, "vmap_us": us(f, X), "plain_us": us(plain, X)}
    yield row


@table(
    "linear algebra of matrices of n × n",
    *("n", "B", "operation", "vmap_us_per_example", "lax_map_us_per_example", "gain"),
)
def small_linear_algebra(full: bool) -> Iterator[Row]:
    """Compare vmap with one matrix after the other."""
    B = 1024 if full else 64
    operations: dict[str, Callable[..., Any]] = {
        "cholesky": jnp.linalg.cholesky,
        "solve": lambda A: jnp.linalg.solve(A, A[0]),
        "eigh": jnp.linalg.eigh,
        "svd": jnp.linalg.svd,
        "qr": jnp.linalg.qr,
        "inv": jnp.linalg.inv,
    }
    for n in (8, 32) if full else (8,):
        A = normal(B, n, n)
        A = A @ A.swapaxes(1, 2) + n * jnp.eye(n)
        for name, f in operations.items():
            batch, one = us(jax.vmap(f), A) / B, us(functools.partial(lax.map, f), A) / B
            row = {"n": n, "B": B, "operation": name, "vmap_us_per_example": batch}
            yield row | {"lax_map_us_per_example": one, "gain": one / batch}


@table(
    "normal numbers for B examples",
    *("kind", "B", "numbers", "by_keys_us", "one_key_us", "same_as_loop"),
)
def randomness(full: bool) -> Iterator[Row]:
    """Draw with a key for each example, and all with one."""
    B, count = (4096, 1024) if full else (64, 64)
    draw = functools.partial(jax.random.normal, shape=(count,))
    together = functools.partial(jax.random.normal, shape=(B, count))
    for kind in ("threefry2x32", "rbg", "unsafe_rbg"):
        keys = jax.random.split(jax.random.key(0, impl=kind), B)
        drawn = jax.vmap(draw)(keys[:4])
        row = {"kind": kind, "B": B, "numbers": count, "by_keys_us": us(jax.vmap(draw), keys)}
        row |= {"one_key_us": us(together, keys[0])}
        loop = jnp.stack([draw(key) for key in keys[:4]])
        # To the last bit or not at all: other numbers are far away, other rounding is near.
        yield row | {"same_as_loop": bool(jnp.allclose(drawn, loop, atol=1e-5))}


@table("a callback to NumPy", "vmap_method", "B", "us")
def callbacks(full: bool) -> Iterator[Row]:
    """Call NumPy for each example, and once for all."""
    X = normal(256 if full else 32, 16)
    for method in ("sequential", "expand_dims", "broadcast_all"):

        def sine(x: Any, method: str = method) -> Any:
            return jax.pure_callback(np.sin, x, x, vmap_method=method)

        yield {"vmap_method": method, "B": len(X), "us": us(jax.vmap(sine), X)}


@table(
    "what `vmapguide.check` says of a layer in float32",
    *("precision", "tolerance", "same", "reasons"),
)
def check(full: bool) -> Iterator[Row]:
    """Check a layer as it is and with exact products, with and without a tolerance."""
    n = 512 if full else 128
    W, X = normal(n, n), normal(64, n, seed=1)

    def layer(x: Any) -> Any:
        return W @ x

    for precision in ("default", "highest"):
        for tolerance, options in {"default": {}, "none": {"rtol": 0, "atol": 0}}.items():
            with jax.default_matmul_precision(precision):
                found = vmapguide.check(layer, **options)(X)
            codes = sorted({reason.code for reason in found.reasons})
            row = {"precision": precision, "tolerance": tolerance}
            yield row | {"same": found.same, "reasons": codes}


@table(
    "a `cond` with a mapped predicate: eight products with a shared matrix, for one in eight",
    *("B", "n", "vmap_us", "lax_map_us"),
)
def cond(full: bool) -> Iterator[Row]:
    """Run a dear branch for all, and for those who need it one by one."""
    n = 256 if full else 64
    A = normal(n, n) / n**0.5

    def dear(x: Any) -> Any:
        for _ in range(8):
            x = jnp.tanh(A @ x)
        return x

    def step(is_hard: Any, x: Any) -> Any:
        return lax.cond(is_hard, dear, lambda x: x, x)

    for B in (8, 64, 256, 1024) if full else (8, 64):
        hard, X = jnp.arange(B) % 8 == 0, normal(B, n, seed=1)
        one_by_one = us(lambda *batch: lax.map(lambda one: step(*one), batch), hard, X)
        yield {"B": B, "n": n, "vmap_us": us(jax.vmap(step), hard, X), "lax_map_us": one_by_one}
