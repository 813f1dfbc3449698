"""A piece of the user's code: `Source`."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass


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
        >>> from vmapguide._cli.inputs import load
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
