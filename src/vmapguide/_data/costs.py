"""What a program costs: `CostStep` by step, `Work` in all, `Loop` and `Choice` for the unknown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal as OneOf

from vmapguide._data.sources import Source


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
        devices: how many devices the program runs on. All numbers are those of one of them.

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
    devices: int = 1


# Why a count of a jaxpr is not that of XLA.
GapCode = OneOf[
    "not compiled",
    "not said",
    "scan",
    "while",
    "library",
    "hidden loop",
    "devices",
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
