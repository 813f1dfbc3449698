"""Cases of the rules about what takes the examples one after the other."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import vmapguide
from finding_cases import Case


X = jax.ShapeDtypeStruct((64, 3), jnp.float32)
MATRICES = jax.ShapeDtypeStruct((1024, 2, 2), jnp.float32)
LARGER = jax.ShapeDtypeStruct((1024, 8, 8), jnp.float32)
SIGNALS = jax.ShapeDtypeStruct((64, 1024), jnp.float32)
KERNELS = jax.ShapeDtypeStruct((64, 5), jnp.float32)
KERNEL = jax.ShapeDtypeStruct((5,), jnp.float32)


def on_host(x: jax.Array, vmap_method: str) -> Any:
    """Call NumPy."""
    return jax.pure_callback(
        np.sin, jax.ShapeDtypeStruct(x.shape, x.dtype), x, vmap_method=vmap_method
    )


def prints(x: jax.Array) -> Any:
    """Print for each example."""
    jax.debug.print("{x}", x=x)
    return x


def prints_largest(x: jax.Array) -> Any:
    """Print once for the batch."""
    jax.debug.print("{x}", x=jax.lax.pmax(x, "batch"))
    return x


def inverse(matrix: jax.Array) -> Any:
    """Call LAPACK."""
    return jnp.linalg.inv(matrix)


def written_out(matrix: jax.Array) -> Any:
    """Invert two rows by the formula."""
    (a, b), (c, d) = matrix
    return jnp.array([[d, -b], [-c, a]]) / (a * d - b * c)


def smooth(x: jax.Array, kernel: jax.Array) -> Any:
    """Convolve."""
    return jnp.convolve(x, kernel)


def shifted(x: jax.Array, kernel: jax.Array) -> Any:
    """Add up shifted products."""
    room = len(kernel) - 1
    padded = jnp.pad(x, room)
    length = len(x) + room
    return sum(kernel[room - k] * padded[k : k + length] for k in range(len(kernel)))


CASES = (
    Case(
        "VG401",
        firing=lambda: vmapguide.explain(lambda x: on_host(x, "sequential"))(X),
        line="jax.pure_callback",
        twin=lambda: vmapguide.explain(lambda x: jax.lax.map(jnp.sin, x))(X),
        fix=lambda: vmapguide.explain(lambda x: on_host(x, "expand_dims"))(X),
    ),
    Case(
        "VG402",
        firing=lambda: vmapguide.explain(prints)(X),
        line="jax.debug.print",
        twin=lambda: vmapguide.explain(lambda x: prints(jnp.ones(3)) + x)(X),
        fix=lambda: vmapguide.explain(prints_largest, axis_name="batch")(X),
    ),
    Case(
        "VG403",
        firing=lambda: vmapguide.explain(inverse)(MATRICES),
        line="jnp.linalg.inv",
        twin=lambda: vmapguide.explain(inverse)(LARGER),
        fix=lambda: vmapguide.explain(written_out)(MATRICES),
    ),
    Case(
        "VG404",
        firing=lambda: vmapguide.explain(smooth)(SIGNALS, KERNELS),
        line="jnp.convolve",
        twin=lambda: vmapguide.explain(smooth, in_axes=(0, None))(SIGNALS, KERNEL),
        fix=lambda: vmapguide.explain(shifted)(SIGNALS, KERNELS),
    ),
)
