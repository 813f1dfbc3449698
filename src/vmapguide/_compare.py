"""The public function `compare`: is it the same program?

Start with `compare`, which returns a `Comparison`. It asks three questions: is it the same jaxpr
(`_jaxpr.alignment`), is it the same compiled program (`_measure.same_programs`), are they the same
numbers (`_measure.agreement`). `_show.comparison` makes a report of the answers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.extend.core as jec

from vmapguide._advice import wrong_calls
from vmapguide._advice.waiting import waiting
from vmapguide._data import Equation, LeafResult, Pair, Program
from vmapguide._jaxpr import to_data
from vmapguide._jaxpr.alignment import Alignment, align
from vmapguide._jaxpr.pickled import without_jaxprs
from vmapguide._measure import same_programs, xla
from vmapguide._show.comparison import Pairing, comparison_report
from vmapguide._show.report import Report, Reported


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


class _Grounds(NamedTuple):
    """What the answers about a side stand on, as plain data.

    `listed` is its jaxpr, `pairs` its alignment with the first side, None if that was declined.
    `folded` says that its program would be that of the first side if captured arrays were
    arguments.
    """

    listed: Program
    pairs: tuple[Pair[Equation], ...] | None
    folded: bool


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
    _grounds: tuple[_Grounds, ...]
    _confused: tuple[str, ...]

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
            "sides": [*map(self._side_dict, self.sides, self._grounds)],
        }

    def _side_dict(self, side: Side, grounds: _Grounds) -> dict[str, object]:
        pairs = grounds.pairs
        return {
            "name": side.name,
            "jaxpr": grounds.listed.to_dict(),
            "program": side.program,
            "same_jaxpr": side.same_jaxpr,
            "same_program": side.same_program,
            "same_numbers": side.same_numbers,
            "leaves": side.leaves and [leaf.to_dict() for leaf in side.leaves],
            "pairs": None if pairs is None else [*map(dataclasses.asdict, pairs)],
        }

    def __getstate__(self) -> dict[str, object]:
        """Return what is pickled: all but the jaxprs, which JAX cannot pickle, and their texts."""
        return {**vars(self), "sides": without_jaxprs(self.sides)}

    def _as_report(self) -> Report:
        first = self.sides[0]
        pairings = [
            Pairing(
                names=(first.name, side.name),
                pairs=grounds.pairs,
                answers=(side.same_jaxpr, side.same_program, side.same_numbers),
                instructions=(xla.operations(first.program), xla.operations(side.program)),
                leaves=side.leaves,
                folded=grounds.folded,
            )
            for side, grounds in [*zip(self.sides, self._grounds, strict=True)][1:]
        ]
        title = f"compare {' · '.join(side.name for side in self.sides)}"
        report = comparison_report(title, self._call, pairings)
        if self.same_numbers:
            return report
        return dataclasses.replace(report, notes=(*report.notes, *self._confused))


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
    tolerances = wrong_calls.tolerances("compare", rtol, atol)
    confused = [*wrong_calls.confused_sides(sides)]

    @waiting("compare", None, ", ".join(sides))
    def compare_call(*args: Any, **kwargs: Any) -> Comparison:
        wrong_calls.check_arguments("compare", sides, args, kwargs, accepts_types=True)
        leaves = jax.tree.leaves((args, kwargs))
        with wrong_calls.with_notes(lambda _: [f"compare: {note}" for note in confused]):
            built = {}
            for name, f in sides.items():
                with wrong_calls.naming("compare", name, f, args, kwargs):
                    built[name] = same_programs.build(f, args, kwargs)
            results = {name: program.results for name, program in built.items()}
            wrong_calls.check_structures("compare", results)
        first = next(iter(built.values()))
        compared = [
            _compared(name, first, program, leaves, tolerances) for name, program in built.items()
        ]
        return Comparison(
            sides=tuple(side for side, _ in compared),
            _call=wrong_calls.arguments_text(next(iter(sides.values())), args, kwargs),
            _grounds=tuple(grounds for _, grounds in compared),
            _confused=tuple(confused),
        )

    return compare_call


def _compared(
    name: str,
    first: same_programs.Program,
    program: same_programs.Program,
    leaves: Sequence[Any],
    tolerances: tuple[float | None, float | None],
) -> tuple[Side, _Grounds]:
    """Compare a side with the first."""
    alignment = align(first.flat, program.flat)
    alike = same_programs.compiled_alike(first, program, leaves, same_jaxpr=alignment.same)
    side = Side(
        name=name,
        jaxpr=program.jaxpr,
        program=program.compiled.text,
        same_jaxpr=alignment.same,
        same_program=alike.same,
        leaves=same_programs.compare_results(first, program, *tolerances),
    )
    listed = to_data.read(program.jaxpr, program.captured).program
    return side, _Grounds(listed, _pairs(first, program, alignment), alike.folded)


def _pairs(
    first: same_programs.Program, program: same_programs.Program, alignment: Alignment
) -> tuple[Pair[Equation], ...] | None:
    """Return the rows of an alignment as plain data, None if it was declined."""
    if alignment.pairs is None:
        return None
    left, right = (to_data.read(p.flat, p.captured).equations for p in (first, program))
    return tuple(
        Pair(
            left=left[id(pair.left)] if pair.left else None,
            right=right[id(pair.right)] if pair.right else None,
            relation=pair.relation,
            is_layout=pair.is_layout,
            depth=pair.depth,
        )
        for pair in alignment.pairs
    )


def _all(answers: Iterable[bool | None]) -> bool | None:
    """Return False if one answer is no, else None if one is unknown, else True."""
    given = {*answers}
    return None if None in given and False not in given else False not in given
