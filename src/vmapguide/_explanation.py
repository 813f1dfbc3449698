"""The class `Explanation`: what `jax.vmap` made of a function, how it is asked and how it is shown.

`explain` makes it. What of it is shown is chosen in `_show`.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import jax.extend.core as jec

from vmapguide._data import AnnotatedFunction, Finding, Kind, Limits, Sharded
from vmapguide._explanation_contents import Contents
from vmapguide._jaxpr import primitives, source_files, to_data
from vmapguide._jaxpr.pickled import without_jaxprs
from vmapguide._measure.shares import shares, total_work
from vmapguide._rules.choose import beginnings, chosen
from vmapguide._rules.find import find
from vmapguide._rules.subject import Argument, Subject
from vmapguide._sarif import to_sarif
from vmapguide._show import explanation
from vmapguide._show.annotated_html import annotated_html
from vmapguide._show.annotated_text import annotated_text
from vmapguide._show.explanation_html import explanation_html
from vmapguide._show.explanation_summary import summary
from vmapguide._show.explanation_text import explanation_text, findings_text
from vmapguide._show.result import Shown
from vmapguide._trace.annotated import annotated
from vmapguide._trace.batched_names import value_names
from vmapguide._trace.provenance import without_collector
from vmapguide._trace.steps import Step


# How an explanation is shown.
View = Literal["source", "equations"]

# A program of more steps than this is larger than a screen: its source is shown first.
_MANY_STEPS = 40


@dataclass(frozen=True)
class _Kept:
    """What is shown of an explanation that has been pickled, as plain data."""

    data: dict[str, object]
    without_library: explanation.ExplanationView
    with_library: explanation.ExplanationView


@dataclass(frozen=True, repr=False, eq=False)
class Explanation(Shown):
    """What `jax.vmap` made of a function: `str()` in a terminal, a table in a notebook.

    Attributes:
        name: what the function is called.
        per_example: the jaxpr of the function on one example.
        batched: the jaxpr of what `jax.vmap` returns, as `jax.make_jaxpr` makes it of the
            arguments that are traced: see `explain`.
        steps: the per-example equations with what became of them, in the order of the program;
            the equations nested in an equation follow it.
        boundary: the batched equations that `vmap` added for `in_axes` and `out_axes`.
        axis_sizes: the sizes of the batch axes by their names, the outermost first: `{"B": 3}`.
        sharded: the arguments of which each of several devices has a part.
        unknown: the batched equations of which it is not known where they came from.
        complete: whether every batched equation was mapped to its source. If it is False, the
            jaxprs are right all the same, what could not be mapped is in `unknown`, and the steps
            that it may have come from have the kind `unknown`.

    Example:
        >>> import jax, jax.numpy as jnp, vmapguide
        >>> batch = jax.ShapeDtypeStruct((32, 4), jnp.float32)
        >>> explanation = vmapguide.explain(lambda x: jnp.sin(x) @ x, out_axes=0)(batch)
        >>> explanation.name, explanation.axis_sizes, explanation.complete, explanation.boundary
        ('<lambda>', {'B': 32}, True, ())
        >>> len(explanation.per_example.eqns), len(explanation.batched.eqns)
        (2, 2)
    """

    name: str
    per_example: jec.ClosedJaxpr
    batched: jec.ClosedJaxpr
    steps: tuple[Step, ...]
    boundary: tuple[jec.JaxprEqn, ...]
    unknown: tuple[jec.JaxprEqn, ...]
    axis_sizes: Mapping[str, int]
    sharded: tuple[Sharded, ...]
    complete: bool
    _call: str
    _captured: Mapping[int, str]
    _arguments: tuple[Argument, ...]
    _shardings: tuple[Any, ...]
    _shapes: Mapping[jec.Var, tuple[int | str, ...]]
    _values: Mapping[jec.Var, jec.Var]
    _home: source_files.Home
    _kept: _Kept | None = None

    @functools.cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What cost or surprised, warnings first, and nothing where vmap did well.

        Example:
            >>> import jax, jax.numpy as jnp, vmapguide
            >>> def halve(x):
            ...     return jax.lax.while_loop(lambda x: x > 1, lambda x: x / 2, x)
            >>> finding, = vmapguide.explain(halve)(jnp.arange(3.0)).findings
            >>> finding.code, finding.name
            ('VG102', 'slowest example')
            >>> vmapguide.explain(jnp.sin)(jnp.ones(3)).findings
            ()
        """
        return find(self._subject(Limits()))

    def found(self, limits: Limits) -> tuple[Finding, ...]:
        """Return what rules find from other limits on, see `vmapguide.findings`."""
        if limits == Limits():
            return self.findings
        if self._kept is not None:
            raise ValueError(
                "findings: an explanation that was pickled has kept what was found with the "
                "default limits. Leave min_bytes and min_factor out, or explain the call anew."
            )
        return find(self._subject(limits))

    def _subject(self, limits: Limits) -> Subject:
        return Subject(
            per_example=self.per_example,
            batched=self.batched,
            steps=self.steps,
            boundary=self.boundary,
            shapes=self._shapes,
            axis_sizes=self.axis_sizes,
            arguments=self._arguments,
            limits=limits,
        )

    @functools.cached_property
    def _names(self) -> tuple[str, ...]:
        return tuple(argument.name for argument in self._arguments)

    @property
    def batch_size(self) -> int | None:
        """The size of the batch axis; None if it could not be found."""
        return self.axis_sizes.get("B")

    # Texts are made when something is shown: who wants the steps alone does not wait for them.

    @functools.cached_property
    def _one(self) -> to_data.Reading:
        return to_data.read(self.per_example, self._captured, self._names, self._shapes)

    @functools.cached_property
    def _all(self) -> to_data.Reading:
        ours = self._one.names
        return to_data.read(
            self.batched,
            self._captured,
            self._names,
            self._shapes,
            names=value_names(self.steps, self._values, ours),
            reserved=ours.values(),
        )

    @functools.cached_property
    def _contents(self) -> Contents:
        return Contents(
            self.steps,
            self.boundary,
            self.unknown,
            self.findings,
            one=self._one.equations,
            whole=self._all.equations,
            home=self._home,
        )

    # JAX cannot pickle jaxprs. What is shown of them is plain data, and is kept.

    def __getstate__(self) -> dict[str, object]:
        """Return what is pickled: all that is shown, and the texts of the jaxprs."""
        if self._kept is not None:
            return vars(self)
        names = (field.name for field in dataclasses.fields(self) if field.name[0] != "_")
        views = (self._as_view(cost=True), self._as_view(cost=True, library=True))
        return {
            **{name: without_jaxprs(getattr(self, name)) for name in names},
            "findings": self.findings,
            "_functions": self._functions,
            "_kept": _Kept(self.to_dict(), *views),
        }

    def to_dict(self) -> dict[str, object]:
        """Return the explanation as plain data, ready for `json.dumps`.

        Returns:
            A dictionary with the keys `schema` (`"vmapguide.explanation/1"`), `name`, `axis_sizes`,
            `sharded` (the fields of `Sharded`), `complete`, `findings` (as `Finding.to_dict` has
            them), `functions` (the source of the functions that took part: of each line the numbers
            of the steps that it `made`, of those whose results are its `values`, and of all that it
            `led_to`), `per_example` and `batched` (programs, as `Listing.to_dict` has them),
            `steps`, `boundary` and `unknown`. A step has `equation`, `batched`, `kind`,
            `batch_axes`, `variants`, `source` (the fields of `Source` and its `expression`),
            `in_user_code`, `depth` and `bounds`. Batch axes have their names in the types.

        Example:
            >>> import jax, jax.numpy as jnp, vmapguide
            >>> batch = jax.ShapeDtypeStruct((32, 4), jnp.float32)
            >>> data = vmapguide.explain(jnp.sin)(batch).to_dict()
            >>> data["schema"], data["steps"][0]["batched"][0]["outputs"][0]["type"]["shape"]
            ('vmapguide.explanation/1', ('B', 4))
        """
        if self._kept is not None:
            return self._kept.data

        return {
            "schema": "vmapguide.explanation/1",
            "name": self.name,
            "axis_sizes": dict(self.axis_sizes),
            "sharded": [*map(dataclasses.asdict, self.sharded)],
            "complete": self.complete,
            "findings": [finding.to_dict() for finding in self.findings],
            "functions": [function.to_dict() for function in self._functions],
            "per_example": self._one.program.to_dict(),
            "batched": self._all.program.to_dict(),
            **self._contents.to_dict(),
        }

    def as_text(
        self,
        width: int | None = None,
        *,
        view: View | None = None,
        cost: bool = False,
        fold: bool = True,
        library: bool = False,
    ) -> str:
        """Return the explanation as text.

        Args:
            width: how many characters a line may have, where that is possible; by default as many
                as the terminal has.
            view: `source`: the source of the functions that took part, with what became of each
                line beside it; `equations`: the equations of each line, those of one example and
                those of the batch. By default `source` if there are more than 40 equations.
            cost: whether to say in the source which share of the cost each line has, with all that
                it calls: FLOPs and functions such as `exp`, of each unknown loop one trip.
            fold: whether to fold away equations inside library code, and what is more than a dozen
                equations of a line, or lines of the source that make none. What of it does not run
                once for the batch is counted. Without it, equations are shown by default.
            library: whether to show the lines of library code inside the user's. Equations are
                shown then by default.

        Returns:
            The lines, which `print` shows.

        Raises:
            ValueError: if there is no such view.

        Example:
            >>> import jax, jax.numpy as jnp, vmapguide
            >>> batch = jax.ShapeDtypeStruct((32, 4), jnp.float32)
            >>> explanation = vmapguide.explain(lambda x: 2 * jax.nn.softmax(x))(batch)
            >>> "softmax(x, axis" in explanation.as_text(80)
            False
            >>> "jax/_src/nn/functions.py" in explanation.as_text(80, library=True)
            True
        """
        chosen = self._view(view, fold=fold, library=library, cost=cost)
        with without_collector():
            shown = self._as_view(library=library, source=chosen == "source", cost=cost)
            printed = annotated_text if chosen == "source" else explanation_text
            return printed(shown, self._columns(width), fold=fold)

    def as_html(
        self,
        *,
        view: View | None = None,
        cost: bool = False,
        fold: bool = True,
        library: bool = False,
    ) -> str:
        """Return the explanation as an HTML element, with its stylesheet and its script.

        Args:
            view: as in `as_text`. A line of the source opens to its equations.
            cost: as in `as_text`.
            fold: whether to fold, as in `as_text`; what is folded opens.
            library: whether to show the lines of library code inside the user's.

        Returns:
            The element's source. What users named is escaped in it.

        Raises:
            ValueError: if there is no such view.

        Example:
            >>> import jax, jax.numpy as jnp, vmapguide
            >>> batch = jax.ShapeDtypeStruct((32, 4), jnp.float32)
            >>> html = vmapguide.explain(jax.nn.softmax)(batch).as_html(fold=False)
            >>> html.startswith("<style>"), "<summary>12 more" in html
            (True, False)
        """
        chosen = self._view(view, fold=fold, library=library, cost=cost)
        with without_collector():
            shown = self._as_view(library=library, source=chosen == "source", cost=cost)
            printed = annotated_html if chosen == "source" else explanation_html
            return str(printed(shown, fold=fold))

    def _view(self, view: View | None, *, fold: bool, library: bool, cost: bool) -> View:
        """Return the view that is asked for, or the one that fits."""
        if view not in (None, *get_args(View)):
            raise ValueError(
                f"as_text, as_html: view must be 'source' or 'equations', but is {view!r}."
            )
        if view is not None:
            return view
        is_large = len(self.steps) > _MANY_STEPS and fold and not library
        return "source" if (is_large or cost) and self._functions else "equations"

    # -- What it is asked -----------------------------------------------------

    @property
    def summary(self) -> str:
        """What `jax.vmap` made of the function, in the few sentences that end the view.

        Example:
            >>> import jax, jax.numpy as jnp, vmapguide
            >>> vmapguide.explain(jnp.sin)(jnp.ones((3, 2))).summary
            '1 equation became 1. 1 runs once for the whole batch. Nothing runs one example at a ...
        """
        return summary(self._as_view())

    @property
    def kinds(self) -> dict[str, int]:
        """How many steps there are of each kind, in the order in which the kinds appear.

        Example:
            >>> import jax, jax.numpy as jnp, vmapguide
            >>> vmapguide.explain(lambda x: x - x.mean())(jnp.ones((3, 2))).kinds
            {'same': 3}
        """
        return dict(Counter(step.kind for step in self.steps))

    @property
    def by_line(self) -> dict[tuple[str, int] | None, tuple[Step, ...]]:
        """The steps by the file and the line that made them; None stands for no known line."""
        found: dict[tuple[str, int] | None, list[Step]] = {}
        for step in self.steps:
            place = (step.source.file, step.source.line) if step.source else None
            found.setdefault(place, []).append(step)
        return {place: tuple(steps) for place, steps in found.items()}

    def find(
        self, *, kind: Kind | None = None, line: int | None = None, primitive: str | None = None
    ) -> tuple[Step, ...]:
        """Return the steps that are all that is asked for.

        Args:
            kind: the kind of the step, see `Step`.
            line: a line of the code that made it, counted from 1.
            primitive: the name of the per-example operation: `"dot_general"`.

        Raises:
            ValueError: if there is no such kind.

        Example:
            >>> import jax, jax.numpy as jnp, vmapguide
            >>> explanation = vmapguide.explain(lambda x: jnp.sin(x) @ x)(jnp.ones((3, 2)))
            >>> step, = explanation.find(primitive="dot_general")
            >>> step.kind, explanation.find(kind="one by one")
            ('same', ())
        """
        if kind is not None and kind not in get_args(Kind):
            known = ", ".join(map(repr, get_args(Kind)))
            raise ValueError(f"find: there is no kind {kind!r}. The kinds are {known}.")
        return tuple(
            step
            for step in self.steps
            if (kind is None or step.kind == kind)
            and (primitive is None or step.equation.primitive.name == primitive)
            and (
                line is None
                or (step.source is not None and step.source.line <= line <= step.source.end_line)
            )
        )

    def raise_if(self, *codes: str) -> None:
        """Raise if something was found that must not be: a test in one line.

        Args:
            codes: the codes that must not be found, such as `VG101`; `VG1` stands for all that
                begin with it. Without any, no warning must be found.

        Raises:
            AssertionError: with the findings as its message.
            ValueError: if there is no such code.

        Example:
            >>> import jax, jax.numpy as jnp, vmapguide
            >>> explanation = vmapguide.explain(jax.nn.softmax)(jnp.ones((3, 2)))
            >>> explanation.raise_if()
            >>> explanation.raise_if("VG1", "VG501")
        """
        asked = beginnings("raise_if", "codes", codes)
        wrong = [f for f in chosen(self.findings, asked) if asked or f.severity == "warning"]
        if wrong:
            view = dataclasses.replace(self._as_view(), findings=tuple(wrong))
            lines = [self._title(), *findings_text(view, self._WIDTH)]
            raise AssertionError("\n".join(lines))

    def to_sarif(self) -> dict[str, object]:
        """Return what was found in the SARIF format, version 2.1.0, ready for `json.dumps`.

        Code hosts and editors show such files beside the lines. `save` writes it to a file whose
        name ends in `.sarif`. Files below the working directory are named from there.

        Example:
            >>> import jax, jax.numpy as jnp, vmapguide
            >>> def halve(x):
            ...     return jax.lax.while_loop(lambda x: x > 1, lambda x: x / 2, x)
            >>> run, = vmapguide.explain(halve)(jnp.arange(3.0)).to_sarif()["runs"]
            >>> [result["ruleId"] for result in run["results"]]
            ['VG102']
        """
        return to_sarif(self.findings)

    def _writers(self) -> dict[str, Callable[[], str]]:
        return super()._writers() | {".sarif": lambda: f"{json.dumps(self.to_sarif(), indent=2)}\n"}

    def _title(self) -> str:
        return f"vmap({self.name})"

    # -- How it is shown ------------------------------------------------------

    @functools.cached_property
    def _functions(self) -> tuple[AnnotatedFunction, ...]:
        return annotated(self.steps, self._home)

    @functools.cached_property
    def _shares(self) -> tuple[tuple[float | None, ...], ...]:
        return shares(self.batched, self.steps, self._functions)

    @functools.cached_property
    def _work(self) -> int:
        return total_work(self.batched)

    def _as_view(
        self, *, library: bool = False, source: bool = False, cost: bool = False
    ) -> explanation.ExplanationView:
        if self._kept is not None:
            kept = self._kept.with_library if library else self._kept.without_library
            return dataclasses.replace(kept, shares=kept.shares if cost else None)
        rows = tuple(self._contents.rows(library=library))
        sources = {s for row in rows for s in (row.source, row.called_from) if s}
        sources |= {finding.source for finding in self.findings if finding.source}
        functions = self._functions if source or cost else ()
        files = {source.file for source in sources} | {f.file for f in functions}
        return explanation.ExplanationView(
            name=self.name,
            call=self._call,
            sizes=self.axis_sizes,
            sharded=self.sharded,
            arguments=self._names,
            whole=self._all.program,
            rows=rows,
            file="" if self._home.library else self._home.file,
            files=source_files.shown_paths(files),
            kernels=primitives.with_role("kernel"),
            findings=self.findings,
            functions=functions,
            shares=self._shares if cost else None,
        )
