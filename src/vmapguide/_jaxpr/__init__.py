"""Read jaxprs: walk through them, compare them, and make plain data of them. See `README.md`."""
