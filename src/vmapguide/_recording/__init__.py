"""Explain every `jax.vmap` that a program calls. Start with `recorder.Recorder`."""
