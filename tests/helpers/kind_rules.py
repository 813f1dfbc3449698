"""Rules of the tests' own: what a step may be called, judged by its primitives.

Nothing here is taken from vmapguide. Which values depend on a mapped argument is followed through
the per-example jaxpr; what an equation became is read off the primitives of its group.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import jax.extend.core as jec
from equations import bare, inner


# Operations that only move, add, merge or split axes.
MOVES = {"broadcast_in_dim", "copy", "reshape", "squeeze", "transpose"}

LOOPS = {"scan", "while"}
CALLBACKS = {"debug_callback", "debug_print", "io_callback", "pure_callback"}


class Dependence:
    """Which equations of a jaxpr, and of those in it, have an operand that may be mapped.

    That is more than those that have: a collective takes the batch axis away, and what follows it
    is taken to depend on the examples all the same. So what does not depend is surely shared. A
    jaxpr that several equations hold is followed anew for each way in which they map it.

    Attributes:
        equations: for each equation, by `id`, whether its operands do: both, if it has both cases.
        decisions: for each loop and branch, by `id`, whether the examples decide it, the same.
    """

    def __init__(self) -> None:
        """Start with nothing known."""
        self.equations: dict[int, set[bool]] = {}
        self.decisions: dict[int, set[bool]] = {}
        self._known: dict[Any, list[bool]] = {}

    def follow(self, jaxpr: Any, arguments: Sequence[bool], *, note: bool = True) -> list[bool]:
        """Follow mapped arguments through a jaxpr; return which results depend on them.

        Without `note` that is all: the arguments may not be those of the last time round a loop.
        """
        jaxpr = bare(jaxpr)
        key = (id(jaxpr), tuple(arguments), note)
        if key not in self._known:
            depend = {v for v, flag in zip(jaxpr.invars, arguments, strict=True) if flag}
            for eqn in jaxpr.eqns:
                operands = _flags(depend, eqn.invars)
                if note:
                    self.equations.setdefault(id(eqn), set()).add(any(operands))
                if any(operands) and eqn.effects:  # What is written is read from elsewhere.
                    depend.update(v for v in eqn.invars if _is_ref(v))
                made = self._made(eqn, operands, note=note)
                depend.update(v for v, flag in zip(eqn.outvars, made, strict=True) if flag)
            self._known[key] = _flags(depend, jaxpr.outvars)
        return self._known[key]

    def _made(self, eqn: jec.JaxprEqn, operands: list[bool], *, note: bool) -> list[bool]:
        jaxprs = inner(eqn)
        match eqn.primitive.name:
            case "cond":
                decided, *rest = operands
                self._decide(eqn, decided, note=note)
                # Where each example takes its own branch, all of them get whole batches.
                flags = [decided or flag for flag in rest]
                each = [self.follow(jaxpr, flags, note=note) for jaxpr in jaxprs]
                return [decided or any(results) for results in zip(*each, strict=True)]
            case "while":
                return self._while(eqn, operands, note=note)
            case "scan":
                consts, carried = _scan_counts(eqn)
                split = consts + carried
                fixed, start, rest = operands[:consts], operands[consts:split], operands[split:]
                carry = self._carry(jaxprs[0], fixed, start, rest)
                return self.follow(jaxprs[0], [*fixed, *carry, *rest], note=note)
        if len(jaxprs) == 1 and len(jaxprs[0].invars) == len(operands):
            results = self.follow(jaxprs[0], operands, note=note)
            if len(results) == len(eqn.outvars):
                return results
        for jaxpr in jaxprs:
            self.follow(jaxpr, [any(operands)] * len(jaxpr.invars), note=note)
        return [any(operands)] * len(eqn.outvars)

    def _while(self, eqn: jec.JaxprEqn, operands: list[bool], *, note: bool) -> list[bool]:
        first, second = eqn.params["cond_nconsts"], eqn.params["body_nconsts"]
        test, body = eqn.params["cond_jaxpr"], eqn.params["body_jaxpr"]
        of_test, fixed, start = (
            operands[:first],
            operands[first : first + second],
            operands[first + second :],
        )
        carry = self._carry(body, fixed, start)
        decided = any(self.follow(test, [*of_test, *carry], note=False))
        self._decide(eqn, decided, note=note)
        if decided:  # How often it goes round is in all that comes out.
            carry = [True] * len(carry)
        self.follow(test, [*of_test, *carry], note=note)
        self.follow(body, [*fixed, *carry], note=note)
        return carry

    def _decide(self, eqn: jec.JaxprEqn, decided: bool, *, note: bool) -> None:
        if note:
            self.decisions.setdefault(id(eqn), set()).add(decided)

    def _carry(
        self, body: Any, fixed: list[bool], carry: list[bool], rest: Sequence[bool] = ()
    ) -> list[bool]:
        """Return what of the carry depends when it has gone round often enough."""
        while True:
            results = self.follow(body, [*fixed, *carry, *rest], note=False)
            after = [a or b for a, b in zip(carry, results, strict=False)]
            if after == carry:
                return carry
            carry = after


def _is_ref(atom: Any) -> bool:
    """Say whether a value can be written to: what is printed beside others does not change."""
    return type(atom.aval).__name__ == "AbstractRef"


def _flags(depend: set[Any], atoms: Iterable[Any]) -> list[bool]:
    return [not isinstance(v, jec.Literal) and v in depend for v in atoms]


def _scan_counts(eqn: jec.JaxprEqn) -> tuple[int, int]:
    """Return how many of the operands of a scan are constants, and how many are carried."""
    if "ft_in" in eqn.params:  # Since JAX 0.11.
        consts, carry, _ = eqn.params["ft_in"].unpack()
        return len(consts.vals), len(carry.vals)
    return eqn.params["num_consts"], eqn.params["num_carry"]


def allowed(
    eqn: jec.JaxprEqn, group: Sequence[jec.JaxprEqn], dependence: Dependence
) -> frozenset[str]:
    """Return the kinds that an equation may have, given the batched equations that it became."""
    name = eqn.primitive.name
    names = [batched.primitive.name for batched in group]
    depends = dependence.equations.get(id(eqn), {False})
    decided = dependence.decisions.get(id(eqn), {False})
    work = [one for one in names if one not in MOVES or one == name]
    # A rule that also runs where nothing is mapped may have copied what the operation takes.
    as_it_was = work == [name] and _types(group[names.index(name)]) == _types(eqn)
    unrolled = name in CALLBACKS and (names.count(name) > 1 or name.startswith("debug_"))
    reduced = "any example" if name == "cond" else "slowest example"
    rules: list[tuple[bool, set[str]]] = [
        (depends == {False} and work == [name], {"shared"}),
        (name == "cond" and bool(names) and "cond" not in names, {"all branches"}),
        (name == "while" and any(_axes(b) > _axes(eqn) for b in group), {"slowest example"}),
        # No operand is mapped in this call, or a collective has taken the axis away.
        (as_it_was and (False in depends or True not in decided), {"shared"}),
        # It is called twice, and the examples decide it in one of the calls.
        (len(decided) > 1 and bool(names), {reduced, "same"}),
        (True in decided and bool(names), {reduced}),
        (unrolled, {"one by one"}),
        (name not in LOOPS and bool(LOOPS & set(names)), {"one by one"}),
        (work == [name], {"same"}),
        (bool(names) and not work, {"layout"}),
    ]
    return frozenset(next((kinds for holds, kinds in rules if holds), {"rewritten"}))


def _axes(eqn: jec.JaxprEqn) -> int:
    """Return how many axes there are along which a loop is decided: of a `vmap` inside, some."""
    if eqn.primitive.name != "while":
        return 0
    (predicate,) = bare(eqn.params["cond_jaxpr"]).outvars
    return len(predicate.aval.shape)


def _types(eqn: jec.JaxprEqn) -> list[Any]:
    return [atom.aval for atom in (*eqn.invars, *eqn.outvars)]
