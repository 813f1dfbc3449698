"""Say in words how results compare: `summary` for all leaves, `describe` for one."""

from __future__ import annotations

from typing import Any

from vmapguide._data import LeafResult


def summary(leaves: tuple[LeafResult, ...], where: str = "") -> str:
    """Say how results compare in one sentence.

    Args:
        leaves: the compared leaves.
        where: what the first index of an element counts, if it is not a plain index.
    """
    wrong = [leaf for leaf in leaves if not leaf.same]
    if not wrong:
        if all(leaf.identical for leaf in leaves):
            return "every value is equal"
        return f"the largest difference is {max(leaf.difference or 0 for leaf in leaves):.2g}"
    return "; ".join(describe(leaf, where) for leaf in wrong)


def describe(leaf: LeafResult, where: str = "") -> str:
    """Say how one leaf differs: its type, or how many of its values and which the most."""
    name = f"{leaf.path}: " if leaf.path else ""
    if leaf.actual_type != leaf.expected_type or leaf.index is None:
        return f"{name}{leaf.actual_type} and not {leaf.expected_type}"
    example, rest = (leaf.index[:1], leaf.index[1:]) if where else ((), leaf.index)
    place = [f"{where} {index}" for index in example]
    place += [f"element {rest[0] if len(rest) == 1 else rest}"] * bool(rest)
    at = f" at {', '.join(place)}" if place else ""
    return (
        f"{name}{leaf.count:,} of {leaf.size:,} values differ, the most{at}: "
        f"{number(leaf.actual)} and not {number(leaf.expected)}"
    )


def number(value: Any) -> str:
    """Return a number as text: all digits of an integer, up to seven of another number."""
    return str(value) if isinstance(value, (bool, int)) else f"{value:.7g}"
