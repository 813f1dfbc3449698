"""`compare`: is it the same program?

Three questions that are not one: is it the same jaxpr, is it the same compiled program, are they
the same numbers. `_align` answers the first, `_hlo` the second, `_numbers` the third.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.extend.core as jec

from vmapguide._advice import wrong_calls
from vmapguide._advice.waiting import waiting
from vmapguide._data import LeafResult, PairedEquations
from vmapguide._jaxpr import to_data
from vmapguide._jaxpr.alignment import Alignment, align, flat
from vmapguide._jaxpr.compat import AnyJaxpr, consts_of
from vmapguide._jaxpr.value_numbering import digest
from vmapguide._measure import agreement, precision, xla
from vmapguide._show.comparison import Pairing, comparison_report
from vmapguide._show.report import Report, Reported
from vmapguide._trace.names import captured_names, count_vmaps, leaf_names, unwrapped


@dataclass(frozen=True, repr=False, eq=False)
class Side:
    """One of the functions of a comparison, and how it compares with the first.

    Attributes:
        name: what the side is called.
        jaxpr: its jaxpr, as `jax.make_jaxpr` returns it.
        program: its compiled program, XLA's text without names, places and compiler settings.
        same_jaxpr: whether its jaxpr is that of the first side, up to the names of variables, the
            order of independent equations, calls that are inlined (with the rules for derivatives
            that they may carry), and the spelling of parameters.
        same_program: whether its compiled program is that of the first side; None if the texts
            are equal but leave out what may differ: large constants, and what callbacks do.
        leaves: how its results compare with those of the first side, which are what is expected;
            None if the arguments have no values.

    Example:
        >>> import jax.numpy as jnp, vmapguide
        >>> comparison = vmapguide.compare(jnp.sin, jnp.cos)(jnp.zeros(3))
        >>> first, second = comparison.sides
        >>> second.name, second.same_jaxpr, second.same_program, second.same_numbers
        ('cos', False, False, False)
    """

    name: str
    jaxpr: jec.ClosedJaxpr
    program: str
    same_jaxpr: bool
    same_program: bool | None
    leaves: tuple[LeafResult, ...] | None

    @property
    def same_numbers(self) -> bool | None:
        """Whether its results are those of the first side; None if there are none."""
        return None if self.leaves is None else all(leaf.same for leaf in self.leaves)


@dataclass(frozen=True, eq=False)
class _Made:
    """What JAX and XLA made of a function. `results` are types if there are no values."""

    f: Callable[..., Any]
    jaxpr: jec.ClosedJaxpr
    flat: AnyJaxpr
    compiled: xla.Compiled
    results: Any
    known: bool

    @functools.cached_property
    def captured(self) -> dict[int, str]:
        """What the function calls the arrays that it captures."""
        return captured_names(self.f)


@dataclass(frozen=True, repr=False, eq=False)
class Comparison(Reported):
    """Whether functions are the same program: `str()` in a terminal, a table in a notebook.

    Attributes:
        sides: the functions, in the order in which they were given. Each is compared with the
            first.

    Example:
        >>> import jax, jax.numpy as jnp, vmapguide
        >>> comparison = vmapguide.compare(
        ...     by_hand=lambda X: jnp.tanh(X).sum(axis=-1),
        ...     vmap=jax.vmap(lambda x: jnp.tanh(x).sum()),
        ... )(jnp.ones((3, 5)))
        >>> comparison.same_jaxpr, comparison.same_program, comparison.same_numbers
        (True, True, True)
    """

    sides: tuple[Side, ...]
    _call: str
    _made: tuple[_Made, ...]
    _alignments: tuple[Alignment, ...]
    _folded: tuple[bool, ...]
    _notes: tuple[str, ...]

    @property
    def same_jaxpr(self) -> bool:
        """Whether the jaxprs of all sides are the same."""
        return all(side.same_jaxpr for side in self.sides)

    @property
    def same_program(self) -> bool | None:
        """Whether the compiled programs of all sides are the same; None if it is not known."""
        return _all(side.same_program for side in self.sides)

    @property
    def same_numbers(self) -> bool | None:
        """Whether the results are the same for these arguments; None if they have no values."""
        return _all(side.same_numbers for side in self.sides)

    def to_dict(self) -> dict[str, object]:
        """Return the comparison as plain data, ready for `json.dumps`.

        Returns:
            A dictionary with the keys `schema` (`"vmapguide.comparison/1"`), `same_jaxpr`,
            `same_program`, `same_numbers` and `sides`. A side has `name`, `jaxpr` (a program, as
            `Listing.to_dict` has it), `program` (text), the three answers, `leaves` (the fields of
            `LeafResult`, or None) and `pairs`: for each row of the alignment with the first side
            `left` and `right` (equations or None), `relation`, `is_layout` and `depth`; None if
            the two could not be aligned.
        """
        return {
            "schema": "vmapguide.comparison/1",
            "same_jaxpr": self.same_jaxpr,
            "same_program": self.same_program,
            "same_numbers": self.same_numbers,
            "sides": [*map(self._side_dict, range(len(self.sides)))],
        }

    def _side_dict(self, number: int) -> dict[str, object]:
        side, pairs = self.sides[number], self._pairs(number)
        return {
            "name": side.name,
            "jaxpr": to_data.read(side.jaxpr, self._made[number].captured).program.to_dict(),
            "program": side.program,
            "same_jaxpr": side.same_jaxpr,
            "same_program": side.same_program,
            "same_numbers": side.same_numbers,
            "leaves": side.leaves and [leaf.to_dict() for leaf in side.leaves],
            "pairs": None if pairs is None else [*map(dataclasses.asdict, pairs)],
        }

    def _pairs(self, number: int) -> tuple[PairedEquations, ...] | None:
        """Return the rows of the alignment of a side with the first, None if it was declined."""
        pairs = self._alignments[number].pairs
        if pairs is None:
            return None
        one, other = self._made[0], self._made[number]
        left, right = (to_data.read(made.flat, made.captured).equations for made in (one, other))
        return tuple(
            PairedEquations(
                left=left[id(pair.left)] if pair.left else None,
                right=right[id(pair.right)] if pair.right else None,
                relation=pair.relation,
                is_layout=pair.is_layout,
                depth=pair.depth,
            )
            for pair in pairs
        )

    def _as_report(self) -> Report:
        first = self.sides[0]
        pairings = [
            Pairing(
                names=(first.name, side.name),
                pairs=self._pairs(number),
                answers=(side.same_jaxpr, side.same_program, side.same_numbers),
                instructions=(xla.operations(first.program), xla.operations(side.program)),
                leaves=side.leaves,
                folded=self._folded[number],
            )
            for number, side in enumerate(self.sides)
            if number
        ]
        title = f"compare {' · '.join(side.name for side in self.sides)}"
        report = comparison_report(title, self._call, pairings)
        return dataclasses.replace(report, notes=(*report.notes, *self._notes))


def compare(
    *functions: Callable[..., Any],
    rtol: float | None = None,
    atol: float | None = None,
    **named: Callable[..., Any],
) -> Callable[..., Comparison]:
    """Make a function that compares functions: same jaxpr, same compiled program, same numbers.

    Each is an answer of its own. Functions with different jaxprs may compile to one program, and
    different programs may return the same numbers. That the numbers are the same says nothing about
    other arguments.

    Args:
        functions: the functions to compare, two or more; they are called by the names they have.
        rtol: the relative tolerance of the numbers; by default that of each dtype, see
            `LeafResult`.
        atol: the absolute tolerance.
        named: more functions, to be called by these names: `compare(by_hand=f, vmap=jax.vmap(g))`.

    Returns:
        A function of arguments for all of them, which returns a `Comparison`. The functions are
        compiled for the current backend, which may take time, and run once each unless an argument
        is a `jax.ShapeDtypeStruct`.

    Raises:
        TypeError: if there are fewer than two functions, something is not a function, the
            arguments do not fit one of them or are being traced, or their results differ in
            structure.
        ValueError: if an argument is empty, or a tolerance negative.
        Exception: whatever one of the functions raises, with a note that says which.

    Example:
        >>> import jax, jax.numpy as jnp, vmapguide
        >>> def by_hand(X):
        ...     return X / X.sum()
        >>> def one(x):
        ...     return x / x.sum()
        >>> comparison = vmapguide.compare(by_hand, jax.vmap(one))(jnp.ones((3, 5)))
        >>> [side.name for side in comparison.sides]
        ['by_hand', 'vmap(one)']
        >>> comparison.same_jaxpr, comparison.same_program, comparison.same_numbers
        (False, False, False)
    """
    wrong_calls.no_sides("compare", rtol=rtol, atol=atol)
    sides = wrong_calls.named_sides("compare", functions, named)
    rtol, atol = wrong_calls.tolerances("compare", rtol, atol)
    confused = [*_confused(sides)]

    @waiting("compare", None, ", ".join(sides))
    def compare_call(*args: Any, **kwargs: Any) -> Comparison:
        for name, f in sides.items():
            wrong_calls.check_call("compare", f, name, args, kwargs)
        leaves = jax.tree.leaves((args, kwargs))
        names = leaf_names(next(iter(sides.values())), args, kwargs)
        wrong_calls.check_values("compare", names, leaves)
        for name, leaf in zip(names, leaves, strict=True):
            if 0 in getattr(leaf, "shape", ()):
                raise ValueError(
                    f"compare: {name} is empty, {wrong_calls.describe(leaf)}, and all functions "
                    f"are the same on nothing. Pass at least one example."
                )
        with _noting(confused):
            made = {
                name: _made(name, f, args, kwargs, known=not any(map(_is_type, leaves)))
                for name, f in sides.items()
            }
            wrong_calls.check_structures(
                "compare", {name: side.results for name, side in made.items()}
            )
        first = next(iter(made.values()))
        alignments = [align(first.flat, side.flat) for side in made.values()]
        made_sides = [
            Side(
                name=name,
                jaxpr=side.jaxpr,
                program=side.compiled.text,
                same_jaxpr=alignment.same,
                same_program=_is_same_program(first, side, leaves, same_jaxpr=alignment.same),
                leaves=_compared(first, side, rtol, atol),
            )
            for (name, side), alignment in zip(made.items(), alignments, strict=True)
        ]
        folded = [
            side.same_program is False
            and bool(consts_of(made[side.name].flat))
            and bool(_is_same_with_constants_as_arguments(first, made[side.name], leaves))
            for side in made_sides
        ]
        call = ", ".join(map("{}: {}".format, names, map(wrong_calls.describe, leaves)))
        comparison = Comparison(
            tuple(made_sides), call, tuple(made.values()), tuple(alignments), tuple(folded), ()
        )
        if comparison.same_numbers or not confused:
            return comparison
        return dataclasses.replace(comparison, _notes=tuple(confused))

    return compare_call


def _confused(sides: Mapping[str, Callable[..., Any]]) -> Iterator[str]:
    """Yield what is to be said of one function that stands on two sides, mapped on one of them."""
    (first, f), *others = sides.items()
    for other, g in others:
        few, many = sorted((first, other), key=lambda name: count_vmaps(sides[name]))
        is_mapped = count_vmaps(sides[few]) < count_vmaps(sides[many])
        if is_mapped and unwrapped(f) is unwrapped(g):
            yield (
                f"{few} takes one example, and {many} a batch of them: given the same arguments, "
                f"they need not compute the same. Map both: jax.vmap({few})."
            )


@contextlib.contextmanager
def _noting(notes: Sequence[str]) -> Iterator[None]:
    """Add notes to an exception raised inside."""
    try:
        yield
    except Exception as error:
        for note in notes:
            error.add_note(f"compare: {note}")
        raise


def _made(name: str, f: Callable[..., Any], args: Any, kwargs: Any, *, known: bool) -> _Made:
    with wrong_calls.naming("compare", name, f, args, kwargs):
        jaxpr, results = jax.make_jaxpr(f, return_shape=True)(*args, **kwargs)
        compiled = xla.compiled(f, args, kwargs)
        if known:
            results = compiled.run(*args, **kwargs)
    return _Made(f, jaxpr, flat(jaxpr), compiled, results, known)


def _compared(
    first: _Made, side: _Made, rtol: float | None, atol: float | None
) -> tuple[LeafResult, ...] | None:
    if not side.known:
        return None
    epsilon = max(map(precision.of_program, (first.jaxpr, side.jaxpr)))
    return agreement.compare_trees(first.results, side.results, rtol, atol, epsilon=epsilon)


def _is_same_program(
    first: _Made, other: _Made, leaves: list[Any], *, same_jaxpr: bool
) -> bool | None:
    if first.compiled.text != other.compiled.text:
        return False
    if same_jaxpr or not first.compiled.incomplete:
        return True
    if _is_same_with_constants_as_arguments(first, other, leaves):
        return True
    # A program that returns something else is another one.
    differs = not all(leaf.identical for leaf in _compared(first, other, None, None) or ())
    return False if differs else None


def _is_same_with_constants_as_arguments(
    first: _Made, other: _Made, leaves: list[Any]
) -> bool | None:
    """Say whether two programs are the same if captured arrays are further arguments.

    Then XLA cannot work on their values while it compiles, and the texts show which is used where.
    """
    constants: list[Any] = []
    own = [
        [_position(value, constants) for value in consts_of(side.flat)] for side in (first, other)
    ]
    one, two = (
        xla.with_constants_as_arguments(side.flat, leaves, positions, constants)
        for side, positions in zip((first, other), own, strict=True)
    )
    if one.text != two.text:
        return False
    return None if one.incomplete else True


def _position(value: Any, constants: list[Any]) -> int:
    """Return where an array is among others, adding it if it is not."""
    for i, constant in enumerate(constants):
        if constant is value or digest(constant) == digest(value):
            return i
    constants.append(value)
    return len(constants) - 1


def _is_type(leaf: Any) -> bool:
    return isinstance(leaf, jax.ShapeDtypeStruct)


def _all(answers: Iterable[bool | None]) -> bool | None:
    """Return False if one answer is no, else None if one is unknown, else True."""
    given = {*answers}
    return None if None in given and False not in given else False not in given
