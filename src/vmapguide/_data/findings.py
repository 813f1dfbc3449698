"""What cost or surprised: a `Finding` is a rule that fired at a line of the user's.

A `Rule` has the sentences, with gaps for the facts, and a finding has the facts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from vmapguide._data.sources import Source


# `warning`: it costs much, or the result is not what it looks like. `note`: worth knowing.
Severity = Literal["warning", "note"]


# From here on three digits do not show all before the point.
_LONG = 999.5

# More names than this are counted, and not listed.
_MANY = 4


class Bytes(int):
    """A number of bytes, which prints with a unit: `1.5 MiB`."""

    def __str__(self) -> str:
        """Return the number with three digits and a unit."""
        for unit, name in ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
            if self >= unit:
                number = self / unit
                return f"{number:.3g} {name}" if number < _LONG else f"{number:.0f} {name}"
        return f"{int(self)} B"

    def __format__(self, spec: str) -> str:
        """Return the same in an f-string."""
        return format(str(self), spec)


def page_of(code: str) -> str:
    """Return the page of the guide about a rule, from the guide's root and without an ending."""
    return f"findings/{code}"


@dataclass(frozen=True)
class Limits:
    """From where on a rule speaks.

    Attributes:
        bytes: copies of less than this many bytes, all examples together, are passed over.
        factor: what is less than this many times as much is passed over.
    """

    bytes: int = 256 * 2**10
    factor: float = 16.0


@dataclass(frozen=True)
class Rule:
    """A rule: what it says when it fires.

    Attributes:
        code: what it is called, such as `VG101`. The first digit is its family.
        name: what it is about, in a few words.
        severity: how much it matters.
        sentence: what happens, with gaps for the facts of a finding: `{bytes}`.
        remedy: what to do, with such gaps.
    """

    code: str
    name: str
    severity: Severity
    sentence: str
    remedy: str


@dataclass(frozen=True)
class Finding:
    """A rule that fired at a line: what cost or surprised there, and what to do.

    Attributes:
        rule: the rule, of which the properties below are.
        source: the user's code that it is about; None if that is not known.
        severity: `warning` or `note`.
        steps: the numbers of the steps of the explanation that it is about.
        factor: how many times as much work there is as there could be, None if that is not known.
        bytes: how many bytes it is about, all examples together, None if it is not about memory.
        facts: what else fills the gaps of the sentences.
        deciders: of a loop or a branch, which mapped arguments decide how it goes on, if there are
            others that do not, or several that do.

    Example:
        >>> import jax, jax.numpy as jnp, vmapguide
        >>> def f(x):
        ...     return jax.lax.cond(x > 0, jnp.sin, jnp.cos, x)
        >>> finding, = vmapguide.explain(f)(jnp.ones(3)).findings
        >>> finding.code, finding.name, finding.severity, finding.factor
        ('VG101', 'all branches run', 'note', 2.0)
    """

    rule: Rule
    source: Source | None
    severity: Severity
    steps: tuple[int, ...]
    factor: float | None
    bytes: int | None
    facts: Mapping[str, int | str]
    deciders: tuple[str, ...] = ()

    @property
    def code(self) -> str:
        """What the rule is called, such as `VG101`."""
        return self.rule.code

    @property
    def name(self) -> str:
        """What the rule is about, in a few words."""
        return self.rule.name

    @property
    def page(self) -> str:
        """The page of the guide that explains it, from the guide's root and without an ending."""
        return page_of(self.code)

    @property
    def message(self) -> str:
        """What happens at the line, in a sentence or two, and what decides it."""
        sentence = self._filled(self.rule.sentence)
        if not self.deciders:
            return sentence
        names = [f"`{name.replace('`', chr(39))}`" for name in self.deciders]
        if len(names) > _MANY:
            names[_MANY:] = [f"{len(names) - _MANY} more"]
        *others, last = names
        decide = f"{', '.join(others)} and {last} decide" if others else f"{last} decides"
        return f"{sentence} {decide}."

    @property
    def remedy(self) -> str:
        """What to do, in a sentence."""
        return self._filled(self.rule.remedy)

    def _filled(self, sentence: str) -> str:
        gaps = {
            "factor": f"{self.factor:,.4g}" if self.factor is not None else "",
            "bytes": Bytes(self.bytes or 0),
        }
        return sentence.format_map(gaps | {**self.facts})

    def to_dict(self) -> dict[str, object]:
        """Return the finding as plain data, ready for `json.dumps`."""
        return {
            "code": self.code,
            "name": self.name,
            "severity": self.severity,
            "message": self.message,
            "remedy": self.remedy,
            "page": self.page,
            "source": self.source and self.source.to_dict(),
            "steps": list(self.steps),
            "factor": self.factor,
            "bytes": self.bytes,
            "facts": dict(self.facts),
            "deciders": list(self.deciders),
        }
