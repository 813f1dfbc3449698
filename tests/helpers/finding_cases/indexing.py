"""Cases of the rules about reading and writing at places of each example's own."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

import vmapguide
from finding_cases import Case


X = jax.ShapeDtypeStruct((256, 4096), jnp.float32)
TABLE = jax.ShapeDtypeStruct((4096,), jnp.float32)
STARTS = jax.ShapeDtypeStruct((256,), jnp.int32)
START = jax.ShapeDtypeStruct((), jnp.int32)
BOARDS = jax.ShapeDtypeStruct((1024, 8), jnp.int32)
MOVES = jax.ShapeDtypeStruct((1024, 50), jnp.int32)


def crop(x: jax.Array, start: jax.Array) -> Any:
    """Read a window."""
    return lax.dynamic_slice(x, (start,), (1024,))


def blank(x: jax.Array, start: jax.Array) -> Any:
    """Write a window."""
    return lax.dynamic_update_slice(x, jnp.zeros(1024), (start,))


def play(board: jax.Array, moves: jax.Array) -> Any:
    """Write one place of a board in each trip."""
    return lax.scan(lambda b, move: (b.at[move].set(1), b.sum()), board, moves)


def play_in_turn(board: jax.Array, moves: jax.Array) -> Any:
    """Write at a counter, which all examples share."""
    turns = jnp.arange(moves.size) % board.size
    return lax.scan(lambda b, turn: (b.at[turn].set(1), b.sum() + moves[turn]), board, turns)


def play_with_mask(board: jax.Array, moves: jax.Array) -> Any:
    """Write with a mask."""
    places = jnp.arange(board.size)
    return lax.scan(lambda b, move: (jnp.where(places == move, 1, b), b.sum()), board, moves)


CASES = (
    Case(
        "VG301",
        firing=lambda: vmapguide.explain(crop)(X, STARTS),
        line="lax.dynamic_slice",
        twin=lambda: vmapguide.explain(crop, in_axes=(None, 0))(TABLE, STARTS),
        fix=lambda: vmapguide.explain(crop, in_axes=(0, None))(X, START),
    ),
    Case(
        "VG302",
        firing=lambda: vmapguide.explain(blank)(X, STARTS),
        line="lax.dynamic_update_slice",
        twin=lambda: vmapguide.explain(lambda x, i: x.at[i].set(0))(X, STARTS),
        fix=lambda: vmapguide.explain(blank, in_axes=(0, None))(X, START),
    ),
    Case(
        "VG303",
        firing=lambda: vmapguide.explain(play)(BOARDS, MOVES),
        line="b.at[move].set(1)",
        twin=lambda: vmapguide.explain(play_in_turn)(BOARDS, MOVES),
        fix=lambda: vmapguide.explain(play_with_mask)(BOARDS, MOVES),
    ),
)
