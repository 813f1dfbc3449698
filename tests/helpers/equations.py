"""The equations of jaxprs, found without anything of vmapguide's."""

from collections.abc import Iterator
from typing import Any

import jax.extend.core as jec


# What vmap does at its boundary: it moves a batch axis, or repeats what is unmapped.
BOUNDARY = {"broadcast_in_dim", "transpose"}


def bare(jaxpr: Any) -> Any:
    """Return a jaxpr without the constants that come with it."""
    return getattr(jaxpr, "jaxpr", jaxpr)


def inner(eqn: jec.JaxprEqn) -> list[Any]:
    """Return the jaxprs in the parameters of an equation, however deep in tuples they are."""
    found: list[Any] = []
    pending = [*eqn.params.values()]
    while pending:
        match pending.pop(0):
            case jec.Jaxpr() | jec.ClosedJaxpr() as jaxpr:
                found.append(bare(jaxpr))
            case tuple() | list() as entries:
                pending = [*entries, *pending]
    return found


def everything(jaxpr: Any) -> Iterator[jec.JaxprEqn]:
    """Yield the equations of a jaxpr and of all in it, each once."""
    seen: set[int] = set()
    pending = [bare(jaxpr)]
    while pending:
        jaxpr = pending.pop()
        if id(jaxpr) not in seen:
            seen.add(id(jaxpr))
            yield from jaxpr.eqns
            pending += [one for eqn in jaxpr.eqns for one in inner(eqn)]
