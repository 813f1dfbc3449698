"""The public function `check`: does `jax.vmap` equal the Python loop?

Start with `check`, which returns a `Check`. `_measure.both_sides` runs both sides,
`_measure.agreement` says what "equal" means, and `_measure.causes.reasons` says why they differ.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from vmapguide._advice import wrong_calls
from vmapguide._advice.waiting import waiting
from vmapguide._data import LeafResult, Sharded
from vmapguide._measure.both_sides import Sides
from vmapguide._measure.causes import reasons
from vmapguide._measure.causes.evidence import Reason
from vmapguide._show.agreement import summary
from vmapguide._show.report import Answer, Report, Reported, Verdict
from vmapguide._show.words import counted, sharded_text
from vmapguide._trace.call import Call, Vmap
from vmapguide._trace.shards import sharded_leaves
from vmapguide._trace.user_names import function_name


# Of a batch larger than this, as many examples are drawn and run, not all.
_EXAMPLES = 100


@dataclass(frozen=True, repr=False, eq=False)
class Check(Reported):
    """Whether `jax.vmap` equals the Python loop, and if not, where and why.

    Attributes:
        name: what the function is called.
        batch_size: how many examples there are.
        examples: which of them the loop ran, counted from 0.
        leaves: how each leaf of the results compares, the loop's being what is expected. Only the
            examples that ran are compared; the first index of an element is the place of its
            example in `examples`.
        reasons: why they differ, as far as it is known. A `shared key` and an `effect` are told
            of even if they do not.
        sharded: the arguments of which each of several devices has a part.

    Example:
        >>> import jax, jax.numpy as jnp, vmapguide
        >>> check = vmapguide.check(lambda x: x / x.sum())(jnp.ones((3, 4)))
        >>> check.same, check.batch_size, check.examples, check.reasons
        (True, 3, (0, 1, 2), ())
    """

    name: str
    batch_size: int
    examples: tuple[int, ...]
    leaves: tuple[LeafResult, ...]
    reasons: tuple[Reason, ...]
    sharded: tuple[Sharded, ...]
    _call: str

    @property
    def same(self) -> bool:
        """Whether all leaves have the same types and, within the tolerances, the same values."""
        return all(leaf.same for leaf in self.leaves)

    def raise_if_different(self) -> None:
        """Raise if `jax.vmap` and the loop differ: a test in one line.

        Raises:
            AssertionError: with the whole report as its message.

        Example:
            >>> import jax.numpy as jnp, vmapguide
            >>> vmapguide.check(jnp.sin)(jnp.arange(3.0)).raise_if_different()
        """
        if not self.same:
            raise AssertionError(str(self))

    def to_dict(self) -> dict[str, object]:
        """Return the check as plain data, ready for `json.dumps`.

        Returns:
            A dictionary with the keys `schema` (`"vmapguide.check/1"`), `name`, `same`,
            `batch_size`, `examples`, `leaves` (the fields of `LeafResult`), `reasons` (those of
            `Reason`) and `sharded` (those of `Sharded`).
        """
        return {
            "schema": "vmapguide.check/1",
            "name": self.name,
            "same": self.same,
            "batch_size": self.batch_size,
            "examples": list(self.examples),
            "leaves": [leaf.to_dict() for leaf in self.leaves],
            "reasons": [reason.to_dict() for reason in self.reasons],
            "sharded": [*map(dataclasses.asdict, self.sharded)],
        }

    def _as_report(self) -> Report:
        ran = len(self.examples)
        how_many = counted(self.batch_size, "example")
        if ran < self.batch_size:
            how_many = f"{ran:,} of {how_many}, drawn at random"
        answer: Answer = "yes" if self.same else "no"
        leaves = [dataclasses.replace(leaf, index=self._element(leaf)) for leaf in self.leaves]
        because = summary(tuple(leaves), "example")
        notes = [sharded_text(self.sharded)] if self.sharded else []
        notes += [reason.text for reason in self.reasons]
        if not self.same and not {reason.code for reason in self.reasons} - reasons.NOTICE_CODES:
            notes += ["Why is not known: none of the known causes explains it."]
        return Report(
            title=f"check vmap({self.name})",
            call=f"{self._call} · {how_many}",
            verdicts=(Verdict(answer, "equals the loop", because),),
            notes=tuple(notes),
        )

    def _element(self, leaf: LeafResult) -> tuple[int, ...] | None:
        """Return where the worst value of a leaf is, with the example's number in the batch."""
        if leaf.index is None:
            return None
        return (self.examples[leaf.index[0]], *leaf.index[1:])


def check(
    f: Callable[..., Any],
    in_axes: Any = 0,
    out_axes: Any = 0,
    *,
    axis_name: Any = None,
    axis_size: int | None = None,
    spmd_axis_name: Any = None,
    rtol: float | None = None,
    atol: float | None = None,
    examples: int = _EXAMPLES,
    seed: int = 0,
) -> Callable[..., Check]:
    """Make a function that checks `jax.vmap(f)` against the Python loop over `f`.

    Both are run on copies of the arguments: `jax.vmap(f)` once, on the whole batch, and `f` for one
    example after the other. The first two run as they are, not compiled. The others are traced, and
    while that gives the same program, it is evaluated, one equation after the other, which computes
    the same bits and compiles the loops in it once; a function whose Python looks at values, or
    does another thing every time, runs as it is. If `axis_name` is given, `f` runs inside
    `jax.vmap` even in the loop, on batches of one. `f` is traced as well, by `explain`, to find
    random draws that all examples share. What differs is looked into by running `f` again, changed:
    the cost of a failing check is a few times that of a passing one.

    Args:
        f: the function of one example.
        in_axes: as for `jax.vmap`.
        out_axes: as for `jax.vmap`.
        axis_name: as for `jax.vmap`.
        axis_size: as for `jax.vmap`.
        spmd_axis_name: as for `jax.vmap`.
        rtol: the relative tolerance; by default that of each dtype, see `LeafResult`.
        atol: the absolute tolerance; by default that of each dtype and leaf.
        examples: how many examples the loop runs at most; of a larger batch so many are drawn.
        seed: of that draw.

    Returns:
        A function of the arguments that `jax.vmap(f)` would be called with, which returns a
        `Check`.

    Raises:
        TypeError: if `f` is not a function, an option is no number, an argument has no values, or
            one side returns another structure of results than the other.
        ValueError: if the batch is empty, or an option is a number that it cannot be.
        Exception: whatever `jax.vmap(f)` or `f` raises, with a note on which side it was, unless
            what is wrong is `in_axes`.

    Example:
        >>> import jax, jax.numpy as jnp, vmapguide
        >>> calls = []
        >>> def counted(x):
        ...     calls.append(x.shape)
        ...     return x + len(calls)
        >>> check = vmapguide.check(counted)(jnp.zeros(3))
        >>> check.same, [reason.code for reason in check.reasons]
        (False, ['side effect'])
        >>> vmapguide.check(lambda w, x: w * x, in_axes=(None, 0))(2.0, jnp.ones(3))
        check vmap(<lambda>)   in_axes=(None, 0) · 3 examples
        <BLANKLINE>
          = equals the loop   yes: every value is equal
    """
    wrong_calls.check_function("check", f)
    examples = wrong_calls.number("check", "examples", examples, 1)
    seed = wrong_calls.number("check", "seed", seed, 0)
    rtol, atol = wrong_calls.tolerances("check", rtol, atol)
    vmap = Vmap(in_axes, out_axes, axis_name, axis_size, spmd_axis_name)

    @waiting("check", f, function_name(f))
    def check_call(*args: Any, **kwargs: Any) -> Check:
        call = Call.of(f, vmap, args, kwargs)
        sides = Sides(call, rtol, atol)
        size = sides.arguments.batch_size
        chosen = tuple(range(size))
        if size > examples:
            draw = np.random.default_rng(seed).choice(size, examples, replace=False)
            chosen = tuple(sorted(map(int, draw)))
        evidence = reasons.gather(sides, sides.results(f, chosen), chosen)
        return Check(
            name=function_name(f),
            batch_size=size,
            examples=chosen,
            leaves=evidence.leaves,
            reasons=reasons.find(evidence),
            sharded=sharded_leaves(call.names, call.leaves),
            _call=call.text(),
        )

    return check_call
