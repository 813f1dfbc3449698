"""A jaxpr as plain data. Start with `Program`; `Type` is what prints as `f32[2,5]`."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Generic, TypeVar
from typing import Literal as OneOf


@dataclass(frozen=True)
class Type:
    """The type of a value, such as `f32[2,5]`.

    `shape` is None for what has no shape of its own to show (tokens, references): then `dtype`
    holds the whole text. A dimension is an int, or a string where an axis has a name (`"B"`).
    `suffix` is what JAX prints behind the shape of a value that is not alike on all devices, and
    `mesh_axes` what it prints behind each dimension that is sharded by its type, as in `16@d`.
    """

    dtype: str
    shape: tuple[int | str, ...] | None
    weak: bool = False
    suffix: str = ""
    mesh_axes: tuple[str, ...] = ()

    @property
    def sizes(self) -> tuple[str, ...]:
        """The dimensions as they are printed: `("B@d", "5")`."""
        places = self.mesh_axes or ("",) * len(self.shape or ())
        return tuple(f"{size}{at}" for size, at in zip(self.shape or (), places, strict=True))

    def __str__(self) -> str:
        """Return the type as text; weak ones with the star of JAX's promotion table: `f32*[]`."""
        if self.shape is None:
            return self.dtype
        return f"{self.dtype}{'*' if self.weak else ''}[{','.join(self.sizes)}]{self.suffix}"


@dataclass(frozen=True)
class Variable:
    """A variable: its name in the listing and its type."""

    name: str
    type: Type


@dataclass(frozen=True)
class Literal:
    """A number written into an equation, as it is printed."""

    text: str


@dataclass(frozen=True)
class Param:
    """A parameter of an equation: text, or the programs it holds (branches, bodies)."""

    name: str
    text: str = ""
    programs: tuple[Program, ...] = ()
    default: bool = False


@dataclass(frozen=True)
class Equation:
    """One equation: `outputs = primitive[params] inputs`.

    `library` says that the programs in `params` were all traced from functions of an installed
    library, as in the `jit` that `jnp.where` is. Such a function may call one of the user's.
    """

    primitive: str
    params: tuple[Param, ...]
    inputs: tuple[Variable | Literal, ...]
    outputs: tuple[Variable, ...]
    library: bool = False


@dataclass(frozen=True)
class Program:
    """A jaxpr: constants and arguments, equations in order, results."""

    name: str
    constants: tuple[Variable, ...]
    arguments: tuple[Variable, ...]
    equations: tuple[Equation, ...]
    results: tuple[Variable | Literal, ...]

    def to_dict(self) -> dict[str, object]:
        """Return the program as dictionaries, lists, strings, numbers and booleans."""
        return dataclasses.asdict(self)


# An equation: one of JAX's, or one as plain data.
E = TypeVar("E")

# How two equations that stand side by side are related.
Relation = OneOf["same", "layout", "differs", "left", "right", "moved"]


@dataclass(frozen=True)
class Pair(Generic[E]):
    """A row of two programs side by side: an equation of the left, of the right, or one of each.

    Attributes:
        left: the equation on the left, None if there is none.
        right: the equation on the right, None if there is none.
        relation: `same`; `layout`: the same but for where the axes are; `differs`: the same
            operation on other values or with other parameters; `left` or `right`: on one side only;
            `moved`: on one side here, and on the other elsewhere in the program.
        is_layout: whether the equation only moves, adds or drops axes, or copies.
        depth: in how many equations it is nested.
    """

    left: E | None
    right: E | None
    relation: Relation
    is_layout: bool
    depth: int = 0
