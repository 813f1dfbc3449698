"""Programs and sources as plain data: what the renderers print and `to_dict` returns.

Nothing here knows JAX. `_read` makes programs from jaxprs, `_source` finds sources in Python's
frames, `_render` turns both into text and HTML. Fields hold facts, never layout: whether a
parameter is at its default is a fact, whether to hide it is the renderer's choice.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass


@dataclass(frozen=True)
class Type:
    """The type of a value, such as `f32[2,5]`.

    `shape` is None for what has no shape of its own to show (tokens, references): then `dtype`
    holds the whole text. A dimension is an int, or a string where an axis has a name (`"B"`).
    `suffix` is what JAX prints behind the shape of a value that is not alike on all devices.
    """

    dtype: str
    shape: tuple[int | str, ...] | None
    weak: bool = False
    suffix: str = ""

    def __str__(self) -> str:
        """Return the type as text; weak ones with the star of JAX's promotion table: `f32*[]`."""
        if self.shape is None:
            return self.dtype
        sizes = ",".join(map(str, self.shape))
        return f"{self.dtype}{'*' if self.weak else ''}[{sizes}]{self.suffix}"


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


@dataclass(frozen=True)
class Source:
    r"""A piece of the user's code.

    Attributes:
        file: the file's path, or the name that a notebook gives its cell.
        line: the first line, counted from 1.
        end_line: the last line.
        column: where the piece starts in the first line, in characters, counted from 0.
        end_column: where it ends in the last line.
        text: the lines, whole, without their common indentation.
        indentation: how many characters of indentation were taken off.
        function: the name of the function the piece is in.

    Example:
        >>> import tempfile, jax.numpy as jnp, vmapguide
        >>> from vmapguide.__main__ import load
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = f"{folder}/model.py"
        ...     with open(path, "w") as file:
        ...         _ = file.write("def double(x):\n    return 2 * x + 1\n")
        ...     step, *_ = vmapguide.explain(load(f"{path}:double"))(jnp.ones(3)).steps
        >>> step.source.line, step.source.column, step.source.expression, step.source.function
        (2, 11, '2 * x', 'double')
    """

    file: str
    line: int
    end_line: int
    column: int
    end_column: int
    text: str
    indentation: int
    function: str

    @property
    def expression(self) -> str:
        """The sub-expression that made the equation, with its line breaks."""
        lines = self.text.split("\n")
        lines[-1] = lines[-1][: self.end_column - self.indentation]
        lines[0] = lines[0][self.column - self.indentation :]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, object]:
        """Return the fields and the expression as plain data."""
        return dataclasses.asdict(self) | {"expression": self.expression}
