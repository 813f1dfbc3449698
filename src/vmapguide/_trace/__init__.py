"""A call of `jax.vmap`, traced: which equation came from which, and where the batch axes are."""
