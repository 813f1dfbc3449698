"""Why `jax.vmap` and the loop differ: each cause is a file. Start with `reasons`."""
