"""What a pickled result has in the place of jaxprs: their texts. JAX cannot pickle a jaxpr.

`without_jaxprs` puts them there. A text says what it is when more is asked of it.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

import jax.extend.core as jec


class _Named(NamedTuple):
    name: str


@dataclass(frozen=True, eq=False, repr=False)
class JaxprText:
    """The text of a jaxpr, or of an equation of one; this has its primitive's name, too."""

    text: str
    primitive: _Named | None = None

    def __repr__(self) -> str:
        """Return the text."""
        return self.text

    def __getattr__(self, name: str) -> NoReturn:
        """Say why there is no more than a text."""
        raise AttributeError(
            f"{name}: JAX cannot pickle a jaxpr, so a result that was pickled has only its text. "
            f"Make the result anew to get the jaxpr."
        )


def without_jaxprs(value: Any) -> Any:
    """Return tuples and dataclasses with texts in the place of the jaxprs and equations in them."""
    if isinstance(value, jec.JaxprEqn):
        return JaxprText(str(value), _Named(value.primitive.name))
    if isinstance(value, (jec.Jaxpr, jec.ClosedJaxpr)):
        return JaxprText(str(value))
    if isinstance(value, tuple):
        return tuple(map(without_jaxprs, value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.replace(
            value,
            **{f.name: without_jaxprs(getattr(value, f.name)) for f in dataclasses.fields(value)},
        )
    return value
