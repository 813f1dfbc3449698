"""The public function `explain`: what `jax.vmap` made of a function, line by line of its code.

Here is the call, its errors, and the value it returns. What is known of the call is found out in
`_trace`, and what of it is shown is chosen in `_show`.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import jax.extend.core as jec

from vmapguide._advice import wrong_calls
from vmapguide._advice.vmap_notes import noting
from vmapguide._advice.waiting import waiting
from vmapguide._data import AnnotatedFunction, Finding, Kind, Limits, Source
from vmapguide._jaxpr import primitives, source_files, source_lines, to_data
from vmapguide._jaxpr.pickled import without_jaxprs
from vmapguide._measure import costs
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
from vmapguide._trace.call import Call, TracedArguments, Vmap
from vmapguide._trace.provenance import without_collector
from vmapguide._trace.steps import Step, Variant, is_layout
from vmapguide._trace.trace import trace
from vmapguide._trace.user_names import captured_names, home_of, transformed_name


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
    complete: bool
    _call: str
    _captured: Mapping[int, str]
    _arguments: tuple[Argument, ...]
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
            `complete`, `findings` (as `Finding.to_dict` has them), `functions` (the source of the
            functions that took part: of each line the numbers of the steps that it `made`, of those
            whose results are its `values`, and of all that it `led_to`), `per_example` and
            `batched` (programs, as `Listing.to_dict` has them), `steps`, `boundary` and `unknown`.
            A step has `equation`, `batched`, `kind`, `batch_axes`, `variants`, `source` (the fields
            of `Source` and its `expression`), `in_user_code`, `depth` and `bounds`. Batch axes have
            their names in the types.

        Example:
            >>> import jax, jax.numpy as jnp, vmapguide
            >>> batch = jax.ShapeDtypeStruct((32, 4), jnp.float32)
            >>> data = vmapguide.explain(jnp.sin)(batch).to_dict()
            >>> data["schema"], data["steps"][0]["batched"][0]["outputs"][0]["type"]["shape"]
            ('vmapguide.explanation/1', ('B', 4))
        """
        if self._kept is not None:
            return self._kept.data

        def one(eqn: jec.JaxprEqn) -> object:
            return dataclasses.asdict(self._one.equations[id(eqn)])

        def whole(eqn: jec.JaxprEqn) -> object:
            return dataclasses.asdict(self._all.equations[id(eqn)])

        def became(step: Step | Variant) -> dict[str, object]:
            return {
                "batched": [whole(eqn) for eqn in step.batched],
                "kind": step.kind,
                "batch_axes": step.batch_axes and list(step.batch_axes),
            }

        return {
            "schema": "vmapguide.explanation/1",
            "name": self.name,
            "axis_sizes": dict(self.axis_sizes),
            "complete": self.complete,
            "findings": [finding.to_dict() for finding in self.findings],
            "functions": [function.to_dict() for function in self._functions],
            "per_example": self._one.program.to_dict(),
            "batched": self._all.program.to_dict(),
            "steps": [
                {
                    "equation": one(step.equation),
                    **became(step),
                    "variants": [became(variant) for variant in step.variants],
                    "source": step.source and step.source.to_dict(),
                    "in_user_code": step.in_user_code,
                    "depth": step.depth,
                    "bounds": list(step.bounds),
                }
                for step in self.steps
            ],
            "boundary": [whole(eqn) for eqn in self.boundary],
            "unknown": [whole(eqn) for eqn in self.unknown],
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
            shown = self._as_view(library=library, cost=cost)
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
            shown = self._as_view(library=library, cost=cost)
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
            >>> explanation.raise_if("VG1", "VG301")
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
    def _work(self) -> tuple[int, ...]:
        steps = costs.of_steps(self.batched, self.per_example, self.steps, self.boundary).steps
        return tuple(step.flops + step.transcendentals for step in steps[: len(self.steps)])

    def _as_view(self, *, library: bool = False, cost: bool = False) -> explanation.ExplanationView:
        if self._kept is not None:
            kept = self._kept.with_library if library else self._kept.without_library
            return dataclasses.replace(kept, work=kept.work if cost else None)
        rows = tuple(self._rows(library=library))
        sources = {s for row in rows for s in (row.source, row.called_from) if s}
        sources |= {finding.source for finding in self.findings if finding.source}
        files = {source.file for source in sources} | {f.file for f in self._functions}
        return explanation.ExplanationView(
            name=self.name,
            call=self._call,
            sizes=self.axis_sizes,
            arguments=self._names,
            whole=self._all.program,
            rows=rows,
            file="" if self._home.library else self._home.file,
            files=source_files.shown_paths(files),
            kernels=primitives.with_role("kernel"),
            findings=self.findings,
            functions=self._functions,
            work=self._work if cost else None,
        )

    def _rows(self, *, library: bool) -> Iterator[explanation.Row]:
        # The library code that is shown for the equations that a step is nested in.
        outer: list[Source | None] = []
        codes: dict[int, list[str]] = {}
        for finding in self.findings:
            for number in finding.steps:
                codes.setdefault(number, []).append(finding.code)
        for number, step in enumerate(self.steps):
            inner = source_lines.in_library(step.equation) if library else None
            outer[step.depth :] = [inner or (outer[step.depth - 1] if step.depth else None)]
            shown = None if step.in_user_code and inner is None else outer[step.depth]
            yield explanation.Row(
                source=shown or step.source,
                own=step.in_user_code or inner is not None,
                equation=self._one.equations[id(step.equation)],
                parts=tuple(map(functools.partial(self._part, step), step.variants)),
                kind=step.kind,
                depth=step.depth,
                called_from=step.source if shown else None,
                bounds=step.bounds,
                codes=tuple(codes.get(number, ())),
            )
        for eqn in self.unknown:
            part = explanation.Part(((self._all.equations[id(eqn)], False),), "unknown")
            source = source_lines.of_equation(eqn, self._home)
            yield explanation.Row(source, True, None, (part,), "unknown", 0)
        if self.boundary:
            made = tuple((self._all.equations[id(eqn)], True) for eqn in self.boundary)
            yield explanation.Row(
                None, True, None, (explanation.Part(made, "out_axes"),), "out_axes", 0
            )

    def _part(self, step: Step, variant: Variant) -> explanation.Part:
        return explanation.Part(
            batched=tuple(
                (self._all.equations[id(eqn)], is_layout(step.equation, eqn))
                for eqn in variant.batched
            ),
            kind=variant.kind,
            axes=variant.batch_axes,
        )


def explain(
    f: Callable[..., Any],
    in_axes: Any = 0,
    out_axes: Any = 0,
    *,
    axis_name: Any = None,
    axis_size: int | None = None,
    spmd_axis_name: Any = None,
    traced: TracedArguments = "all",
) -> Callable[..., Explanation]:
    """Make a function that explains `jax.vmap(f)`: put it where `jax.vmap` stood.

    `f` is traced, a few times, and not run: Python code in it, such as `print`, runs each time.
    The cost is a few times that of `jax.make_jaxpr(jax.vmap(f))`, linear in the equations.

    What is shown is what `jax.make_jaxpr(jax.vmap(f))(*args)` makes: arguments that are not mapped
    are traced, too, as `jax.jit` would trace them. `jax.vmap` alone, outside of other
    transformations, hands them to `f` as they are: a shared loop bound is a number then, and the
    loop a `scan` and no `while`. That is shown with `traced="mapped"`. If `f` raises otherwise, it
    gets Python numbers as they are, and if it still does, all that is not mapped.

    Args:
        f: the function of one example.
        in_axes: as for `jax.vmap`: which axis of each argument to map over.
        out_axes: as for `jax.vmap`: where the batch axis is to be in the results.
        axis_name: as for `jax.vmap`: a name by which collectives in `f` refer to the batch axis.
        axis_size: as for `jax.vmap`: the size of the batch, if no argument has it.
        spmd_axis_name: as for `jax.vmap`: the mesh axes that the batch axis is sharded over.
        traced: which arguments `f` does not see the values of: `all`, or those that are `mapped`.

    Returns:
        A function of the arguments that `jax.vmap(f)` would be called with, which returns an
        `Explanation`. Arrays may be `jax.ShapeDtypeStruct` of any size, unless `f` needs the
        numbers of one that is not mapped. JAX computes nothing but, where those are needed, what
        depends on them alone.

    Raises:
        TypeError: if `f` is not a function.
        ValueError: if `traced` is neither of the two.
        Exception: whatever `jax.vmap(f)` raises while it is traced, JAX's message unchanged, with a
            note on the cause where it is a known one.

    Example:
        >>> import jax, jax.numpy as jnp, vmapguide
        >>> batch = jax.ShapeDtypeStruct((32, 4), jnp.float32)
        >>> explanation = vmapguide.explain(lambda x: x - x.mean())(batch)
        >>> [(step.equation.primitive.name, step.kind) for step in explanation.steps]
        [('reduce_sum', 'same'), ('div', 'same'), ('sub', 'same')]
        >>> [eqn.primitive.name for eqn in explanation.steps[-1].batched]
        ['broadcast_in_dim', 'sub']
        >>> explanation.steps[-1].source.expression
        'x - x.mean()'

    The method, tags in name stacks that vmap carries along, is described in the guide, on the page
    "What vmap did to your function".
    """
    wrong_calls.check_function("explain", f)
    if traced not in get_args(TracedArguments):
        raise ValueError(f"explain: traced must be 'all' or 'mapped', but is {traced!r}.")
    vmap = Vmap(in_axes, out_axes, axis_name, axis_size, spmd_axis_name)

    @waiting("explain", f, transformed_name(f, jit=False))
    def explain_call(*args: Any, **kwargs: Any) -> Explanation:
        call = Call.of(f, vmap, args, kwargs)
        with noting("explain", call):
            found = trace(call, traced)
        return Explanation(
            name=transformed_name(f, jit=False),
            per_example=found.per_example,
            batched=found.batched,
            steps=found.steps,
            boundary=found.boundary,
            unknown=found.unknown,
            axis_sizes=found.axis_sizes,
            complete=found.complete,
            _call=call.text(),
            _captured=captured_names(f),
            _arguments=tuple(
                Argument(name, axis, is_spelled=not isinstance(in_axes, int))
                for name, axis in zip(found.arguments, found.argument_axes, strict=True)
            ),
            _shapes=found.shapes,
            _values=found.values,
            _home=home_of(f),
        )

    return explain_call
