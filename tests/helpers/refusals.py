"""Calls that `jax.vmap` refuses, with what is said of them and what is to be done."""

import functools
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import pytest
from batches import array
from jax import lax

import vmapguide


N = jnp.arange(1, 4)
ONE = array()


def note(f: Callable[..., Any], *args: Any, **vmap: Any) -> str:
    """Return the note on a call that both `jax.vmap` and `explain` refuse, in the same words."""
    with pytest.raises(Exception) as plain:  # noqa: PT011 - whatever it is, ours is the same.
        # What is no array cannot go through `jax.make_jaxpr`, and what is a type alone must.
        (jax.vmap if any(isinstance(a, str) for a in args) else traced)(f, **vmap)(*args)
    with pytest.raises(plain.type) as ours:
        vmapguide.explain(f, **vmap)(*args)
    assert _first_line(ours.value) == _first_line(plain.value)
    notes = [n for n in getattr(ours.value, "__notes__", ()) if n.startswith("explain: ")]
    assert len(notes) <= 1
    return "".join(notes)


def traced(f: Callable[..., Any], **vmap: Any) -> Callable[..., Any]:
    """Return what traces `jax.vmap(f)`."""
    return jax.make_jaxpr(jax.vmap(f, **vmap))


def _first_line(error: BaseException) -> str:
    return re.sub(r"\w*Tracer.*|0x\w+", "", str(error).partition("\n")[0])


class Other(NamedTuple):
    """A call that is refused in a similar way, and what is said of it instead: "" for nothing."""

    f: Callable[..., Any]
    args: tuple[Any, ...]
    vmap: dict[str, Any]
    note: str = ""


class Refused(NamedTuple):
    """A call that is refused, what the note says of it, and calls that the note proposes.

    With it come calls for which that would be wrong.
    """

    f: Callable[..., Any]
    args: tuple[Any, ...]
    vmap: dict[str, Any]
    note: str
    remedies: tuple[Callable[[], Any], ...]
    others: tuple[Other, ...] = ()


def check_others(refused: Refused) -> None:
    """See that the note is not given where it would be wrong, and another one is, if any."""
    for other in refused.others:
        told = note(other.f, *other.args, **other.vmap)
        assert not re.search(refused.note, told)
        assert re.search(other.note, told) if other.note else told == ""


def with_text(f: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that fails in another way, too: it returns a text."""
    return lambda *args: (f(*args), "text")


def mapped(f: Callable[..., Any], *args: Any, **vmap: Any) -> Callable[[], Any]:
    """Return a call of `jax.vmap(f)`."""
    return lambda: jax.make_jaxpr(jax.vmap(f, **vmap))(*args)


def looped(f: Callable[..., Any], xs: Any) -> Callable[[], Any]:
    """Return a call of `jax.lax.map`."""
    return lambda: jax.make_jaxpr(functools.partial(lax.map, f))(xs)


sequential: Any = jax.custom_batching.sequential_vmap
