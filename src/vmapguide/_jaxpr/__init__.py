"""Jaxprs: what JAX does not document, walks, equality, alignment, primitives, and data."""
