"""See what `jax.vmap` makes of your function, line by line of your own code."""

from vmapguide.listing import Listing as Listing
from vmapguide.listing import listing as listing


__version__ = "0.1.0.dev0"
