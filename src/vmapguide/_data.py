"""Plain data that layers hand to each other: types (printed as `f32[2,5]`), programs, lines, costs.

Nothing here knows JAX. Start with `Program`, which is a jaxpr as data; `Source` is a piece of the
user's code, and `CostStep` what an equation costs. Fields hold facts, never layout: whether a
parameter is at its default is a fact, whether to hide it is for `_show` to choose.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from typing import Literal as OneOf


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


@dataclass(frozen=True)
class CostStep:
    """What one step costs: an equation, or what `jax.vmap` made of it.

    Attributes:
        primitive: the operation; of an explanation that of the per-example equation, and
            `out_axes` for what `jax.vmap` added at its boundary.
        source: the user's code that made it; None if it is not known.
        flops: floating-point operations, loops of known length multiplied in, and one trip of
            each loop in `loops`.
        transcendentals: functions such as `exp`, counted in the same way.
        bytes: bytes read and written if every equation runs on its own.
        loops: the loops of unknown length that it is in, by their names in `Cost.loops`.
        per_example_work: of an explanation, the FLOPs and transcendental functions of one example,
            together; of a `cond` those of its dearest branch.
        choices: the choices in whose dearest branch it is, by their names in `Cost.choices`.

    Example:
        >>> import jax, jax.numpy as jnp, vmapguide
        >>> X = jax.ShapeDtypeStruct((32, 4), jnp.float32)
        >>> step, *_ = vmapguide.cost(vmapguide.explain(lambda x: jnp.sin(x) @ x)(X)).steps
        >>> step.primitive, step.transcendentals, step.per_example_work
        ('sin', 128, 4)
    """

    primitive: str
    source: Source | None
    flops: int
    transcendentals: int
    bytes: int
    loops: tuple[str, ...]
    per_example_work: int | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Work:
    """An amount of work.

    Attributes:
        flops: floating-point operations.
        transcendentals: functions such as `exp`.
        bytes: bytes read and written if every equation runs on its own.

    Example:
        >>> import jax, vmapguide
        >>> vmapguide.cost(lambda x: x + 1)(8.0).cheapest
        Work(flops=1, transcendentals=0, bytes=8)
    """

    flops: int = 0
    transcendentals: int = 0
    bytes: int = 0

    def __add__(self, other: Work) -> Work:
        """Return both together."""
        return Work(
            self.flops + other.flops,
            self.transcendentals + other.transcendentals,
            self.bytes + other.bytes,
        )

    def __mul__(self, number: int) -> Work:
        """Return so many times as much."""
        return Work(self.flops * number, self.transcendentals * number, self.bytes * number)


@dataclass(frozen=True)
class Choice:
    """A `cond` or a `switch`: which of its branches runs is not said in the jaxpr.

    One is a choice if its branches differ in what they cost. Under `jax.vmap` with a mapped
    predicate it is none: there all branches run.

    Attributes:
        name: what the share of its runs is called in which it takes the dearest branch: `c1`.
        source: the user's code that made it; None if it is not known.
        inside: the names of the unknown loops around it. What is in different ones is here once for
            each.
        times: how often it runs, for one trip of each loop in `inside`.
        branches: what one run of each branch costs, by the branch's number, which is 0 for that of
            False; of a `cond` in it the dearest branch, of a loop of unknown length one trip.
        counted: the number of the dearest branch, which is counted.

    Example:
        >>> import jax, vmapguide
        >>> def either(x):
        ...     return jax.lax.cond(x > 0, lambda x: x * x + 1, lambda x: x, x)
        >>> choice, = vmapguide.cost(either)(8.0).choices
        >>> choice.name, choice.times, [branch.flops for branch in choice.branches]
        ('c1', 1, [0, 2])
    """

    name: str
    source: Source | None
    inside: tuple[str, ...]
    times: int
    branches: tuple[Work, ...]
    counted: int


@dataclass(frozen=True)
class Loop:
    """A `while` loop: how often it runs is not said in the jaxpr.

    Attributes:
        name: what the number of its trips is called: `n1`.
        source: the user's code that made it; None if it is not known.
        inside: the names of the unknown loops around it. A loop that runs in different ones, as a
            function does that is called in a loop and outside of it, is here once for each.
        flops: floating-point operations of one trip, body and condition, as often as scans and
            calls start the loop.
        transcendentals: functions such as `exp` in one trip.
        bytes: bytes read and written in one trip.

    Example:
        >>> import jax, vmapguide
        >>> def halve(x):
        ...     return jax.lax.while_loop(lambda x: x > 1, lambda x: x / 2, x)
        >>> loop, = vmapguide.cost(halve)(8.0).loops
        >>> loop.name, loop.flops
        ('n1', 2)
    """

    name: str
    source: Source | None
    inside: tuple[str, ...]
    flops: int
    transcendentals: int
    bytes: int


@dataclass(frozen=True)
class XlaCost:
    """What XLA says about the compiled program. What it does not say is None.

    It leaves out a count of which there is none, if there are others: that is 0.

    Attributes:
        flops: floating-point operations, the body of a loop counted once; what is unrolled is no
            loop.
        transcendentals: functions such as `exp`.
        bytes: bytes read and written, fused operations counted together.
        temporary: bytes of temporary memory: the peak, beside arguments and results.
        arguments: bytes of the arguments.
        results: bytes of the results.
        library_calls: whether the program calls functions that XLA does not look into.
        fuses: whether XLA has put several operations together.
        loops: whether the program has loops, of whose bodies XLA counts one run.

    Example:
        >>> import jax, jax.numpy as jnp, vmapguide
        >>> X = jax.ShapeDtypeStruct((32, 4), jnp.float32)
        >>> xla = vmapguide.cost(lambda X: X @ X.T)(X).xla
        >>> xla.flops, xla.arguments, xla.results
        (8192, 512, 4096)
    """

    flops: int | None
    transcendentals: int | None
    bytes: int | None
    temporary: int | None
    arguments: int | None
    results: int | None
    library_calls: bool
    fuses: bool
    loops: bool


# Why a count of a jaxpr is not that of XLA.
GapCode = OneOf[
    "not compiled",
    "not said",
    "scan",
    "while",
    "library",
    "hidden loop",
    "fewer",
    "more",
    "fused",
]


@dataclass(frozen=True)
class Gap:
    """A reason why the counts of a jaxpr are not those of XLA.

    Attributes:
        code: which reason.
        about: what it is about: an error, lengths, or names of loops; "" if that is clear.
    """

    code: GapCode
    about: str = ""


@dataclass(frozen=True)
class Block:
    """An argument or a result: one leaf of it.

    Attributes:
        name: what it is called, such as `params['W']`; empty for a result that is one array.
        dtype: its dtype in short, such as `f32`, or what it is if it is no array.
        shape: its shape, the batch axes by their names: `("B", 5)`; None if it is no array.
        per_example_shape: the shape of what one example has of it: `(5,)`.
        mapped: whether each example has its own; if not, all share it. A result that is the same
            for all and that `out_axes` repeats is each one's own.

    Example:
        >>> import jax, jax.numpy as jnp, vmapguide
        >>> X = jax.ShapeDtypeStruct((3, 5), jnp.float32)
        >>> block, = vmapguide.diagram(lambda x: x.sum(), in_axes=1)(X).arguments
        >>> block.name, block.dtype, block.shape, block.per_example_shape, block.mapped
        ('x', 'f32', (3, 'B'), (3,), True)
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...] | None
    per_example_shape: tuple[int, ...] | None
    mapped: bool


@dataclass(frozen=True)
class LeafResult:
    """How one leaf of a result compares with the leaf that was expected.

    Two values are the same if both are NaN, if they are equal, or if they are finite and
    `abs(actual - expected) <= atol + rtol * abs(expected)`. Integers, booleans and keys must be
    equal. The difference of two values of which one is NaN or infinite is infinite.

    Attributes:
        path: where the leaf is in the result, as in `['loss']`; empty if the result is one array.
        expected_type: dtype and shape that were expected, as in `float32[3]`.
        actual_type: dtype and shape that there are. If they are others, no values are compared.
        rtol: the relative tolerance; the square root of epsilon by default.
        atol: the absolute tolerance; by default 10 times epsilon times the largest finite
            magnitude of what was expected. Epsilon is that of the dtype, or that of the matrix
            products which the result comes from, where the device computes these with fewer digits.
        same: whether types are equal and all values the same.
        identical: whether all values are equal, NaNs included: no difference at all.
        count: how many values are not the same.
        size: how many values there are.
        difference: the largest absolute difference; None if types differ.
        index: where the worst value is, the one that is furthest beyond the tolerance; None if
            there is none.
        expected: the value that was expected there.
        actual: the value that is there.

    Example:
        >>> import jax.numpy as jnp, vmapguide
        >>> X = jnp.array([[1.0, 3.0], [2.0, 2.0]])
        >>> comparison = vmapguide.compare(
        ...     wrong=lambda X: X / X.sum(),
        ...     right=lambda X: X / X.sum(axis=1, keepdims=True),
        ... )(X)
        >>> _, right = comparison.sides
        >>> leaf, = right.leaves
        >>> leaf.same, leaf.count, leaf.index, leaf.expected, leaf.actual
        (False, 4, (0, 1), 0.375, 0.75)
    """

    path: str
    expected_type: str
    actual_type: str
    rtol: float
    atol: float
    same: bool
    identical: bool
    count: int
    size: int
    difference: float | None
    index: tuple[int, ...] | None
    expected: Any
    actual: Any

    def to_dict(self) -> dict[str, object]:
        """Return the fields as plain data. JSON knows no complex numbers, NaNs and infinities."""
        data = dataclasses.asdict(self)
        for key in ("rtol", "atol", "expected", "actual", "difference"):
            value = data[key]
            is_plain = isinstance(value, (int, float)) and math.isfinite(value)
            data[key] = value if value is None or is_plain else str(value)
        return data
