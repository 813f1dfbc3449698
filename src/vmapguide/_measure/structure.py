"""Compare the structures of two pytrees without the metadata that a class adds to its structure.

Start with `below_metadata`. `check` needs it for results of `checkify`, whose metadata hold numbers
that are new in every trace.
"""

from __future__ import annotations

import collections
from typing import Any

import jax


# What these add to their structure is their keys, and so where a leaf is.
_KEYED = (dict, collections.OrderedDict, collections.defaultdict)


def below_metadata(tree: Any, one: Any, other: Any) -> list[bool] | None:
    """Return which leaves are below metadata that differ, of structures that else are the same.

    Args:
        tree: a tree of the first structure.
        one: the first structure.
        other: the second.

    Returns:
        A flag for each leaf; None if the structures differ in more than metadata.
    """
    flags = _flags(one, other, is_below=False)
    if flags is None:
        return None
    # A class may call keys metadata. Where a leaf is says so.
    trees = tree, other.unflatten(jax.tree.leaves(tree))
    paths = [[path for path, _ in jax.tree_util.tree_leaves_with_path(t)] for t in trees]
    return flags if paths[0] == paths[1] else None


def _flags(one: Any, other: Any, *, is_below: bool) -> list[bool] | None:
    """Return for each leaf whether it is below other metadata; None if the structures differ."""
    ours, theirs = one.node_data(), other.node_data()
    if ours is None or theirs is None:
        return [is_below] if ours is theirs else None
    (kind, data), (other_kind, other_data) = ours, theirs
    children = one.children(), other.children()
    is_keyed = kind in _KEYED or issubclass(kind, tuple)
    if kind is not other_kind or len(children[0]) != len(children[1]):
        return None
    if is_keyed and data != other_data:
        return None
    flags: list[bool] = []
    for ours, theirs in zip(*children, strict=True):
        below = _flags(ours, theirs, is_below=is_below or data != other_data)
        if below is None:
            return None
        flags += below
    return flags
