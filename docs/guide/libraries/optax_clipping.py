"""Clip the gradient of each example, with Optax."""

import jax
import jax.numpy as jnp
import numpy as np
import optax


def loss(w, x, y):
    return (w @ x - y) ** 2


X = jax.random.normal(jax.random.key(0), (4, 5))
y, w = jnp.array([0.1, 1.0, 3.0, 9.0]), jnp.zeros(5)
slopes = jax.vmap(jax.grad(loss), in_axes=(None, 0, 0))(w, X, y)

clip = optax.clip_by_global_norm(1.0)


def clipped(slope):
    return clip.update(slope, clip.init(w))[0]


def norms(slopes):
    return np.linalg.norm(slopes, axis=1).round(2)


together, each = clipped(slopes), jax.vmap(clipped)(slopes)
print("norms:            ", norms(slopes))
print("the stack clipped:", norms(together), "in all", np.linalg.norm(together).round(2))
print("each clipped:     ", norms(each))
np.testing.assert_allclose(np.linalg.norm(together), 1, rtol=1e-5)
expected = np.minimum(np.linalg.norm(slopes, axis=1), 1)
np.testing.assert_allclose(np.linalg.norm(each, axis=1), expected, rtol=1e-5)

summed, clipped_ones = optax.per_example_global_norm_clip(slopes, 1.0)
print("per_example_global_norm_clip:", summed.shape, "of which clipped:", clipped_ones)
np.testing.assert_allclose(summed, each.sum(axis=0), rtol=1e-5)
assert clipped_ones == (np.linalg.norm(slopes, axis=1) > 1).sum()
