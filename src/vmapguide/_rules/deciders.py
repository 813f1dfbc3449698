"""Find which of the mapped arguments have a say in a loop or a branch. Start with `Deciders`."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from vmapguide._jaxpr.compat import opened
from vmapguide._jaxpr.walk import Place, walk
from vmapguide._rules.subject import Subject
from vmapguide._trace.dependence import Decisions
from vmapguide._trace.steps import Step


# The program is followed once for each argument. Of more of them, nothing is said.
_MANY = 8

# Of more leaves than this, the arguments are named that they are leaves of.
_FEW = 3


class Deciders:
    """Says which mapped arguments the loops and branches of a per-example program depend on."""

    def __init__(self, subject: Subject) -> None:
        """Take what is mapped, leaf by leaf; the leaves of an argument together if they are many.

        Nothing is followed before somebody asks.
        """
        self._jaxpr = subject.per_example
        self._roots = {argument.name: argument.root for argument in subject.arguments}
        is_mapped = [argument.axis is not None for argument in subject.arguments]
        by_leaf = sum(is_mapped) <= _MANY
        names = [a.name if by_leaf else a.root for a in subject.arguments]
        mapped = dict.fromkeys(n for n, m in zip(names, is_mapped, strict=True) if m)
        self._mapped = {
            name: [m and n == name for n, m in zip(names, is_mapped, strict=True)]
            for name in mapped
        }
        is_known = len(names) == len(opened(self._jaxpr).invars)
        # Of a single one, everybody knows.
        self._is_asked = is_known and 1 < len(mapped) <= _MANY

    def of(self, step: Step) -> tuple[str, ...]:
        """Return the names of the arguments that decide how a loop or a branch goes on.

        Args:
            step: the loop or the branch.

        Returns:
            Their names; nothing if there is one argument alone, or there are too many.
        """
        if not self._is_asked:
            return ()
        place = self._places[id(step.equation)]
        names = [name for name, decided in self._decided.items() if place in decided]
        if len(names) > _FEW:
            names = [*dict.fromkeys(self._roots.get(name, name) for name in names)]
        return tuple(names)

    @functools.cached_property
    def _decided(self) -> Mapping[str, frozenset[Place]]:
        return {name: Decisions(self._jaxpr, m).places for name, m in self._mapped.items()}

    @functools.cached_property
    def _places(self) -> Mapping[int, Place]:
        return {
            id(eqn): (number, index)
            for number, jaxpr in enumerate(walk(self._jaxpr))
            for index, eqn in enumerate(jaxpr.eqns)
        }
