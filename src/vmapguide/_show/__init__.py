"""Plain data in, text or HTML out: nothing here knows JAX."""
