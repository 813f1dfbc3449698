"""How often `benchmark` tells two functions apart that are one: run it while the machine is busy.

    python benchmarks/same_or_not.py 100

It times pairs, each of two functions that are the same code, and counts how often the ratio is
marked `≈`. That XLA has made one program of both is not looked at: the clock alone decides.
"""

import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

import vmapguide


W = jnp.ones((64, 64))


def layer(x: jax.Array) -> jax.Array:
    """Return something that takes some tens of microseconds for a batch."""
    return jnp.tanh(W @ x)


def pairs() -> dict[str, tuple[Callable[..., Any], Callable[..., Any], bool]]:
    """Return pairs of the same functions, with whether they are compiled."""
    return {
        "tiny, compiled": (lambda x: x + 1, lambda x: x + 1, True),
        "layer, compiled": (jax.vmap(layer), jax.vmap(lambda x: layer(x)), True),  # noqa: PLW0108
        "layer, as it is": (jax.vmap(layer), jax.vmap(layer), False),
    }


def main(runs: int) -> None:
    """Print how often each pair was told apart, and how often one of three times the work."""
    batch = jnp.ones((256, 64))
    for name, (f, g, jit) in pairs().items():
        wrong = 0
        medians = []
        for _ in range(runs):
            result = vmapguide.benchmark(one=f, other=g, jit=jit)(batch)
            wrong += result.told_apart("one", to="other")
            medians.append(result.ratio("one", to="other"))
        medians.sort()
        print(
            f"{name}: told apart in {wrong} of {runs} runs; ratios of medians from "
            f"{medians[0]:.2f} to {medians[-1]:.2f}",
            flush=True,
        )
    right = 0
    for _ in range(runs):
        # Results near enough, and three times the products.
        result = vmapguide.benchmark(
            one=jax.vmap(lambda x: layer(layer(layer(x)))),
            other=jax.vmap(lambda x: layer(x)),  # noqa: PLW0108
            atol=9.0,
        )(batch)
        right += result.told_apart("one", to="other")
    print(f"three layers and one: told apart in {right} of {runs} runs", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
