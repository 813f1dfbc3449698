"""How often each rule fires on code that nobody here wrote, and how often rightly so.

The name of a corpus explains its calls and keeps what the rules found: `nox -s precision` does so
for each of them. There are four:

- `harnesses`: the calls that JAX's wheel lists for tests of its own, each mapped over a batch;
- `libraries`: the `jax.vmap`s that small runs of real libraries make (tests/libraries);
- `functions`: functions of JAX and of libraries, called as their users call them (functions.py),
  with a batch of 4,096;
- `guide`: those that the cells of the guide make, and what they explain.

The first two are explained twice: as they are, with a batch of three or so, and with a batch of
4,096, by shape alone, so that what is a matter of bytes comes up.

`report` takes of each rule a sample of what it said, and looks up who has judged it, and how: that
is in precision-verdicts.toml, written by hand. A finding is `right` if the sentence is true of the
line, the remedy helps, and somebody whose line it is would want to know. It is `quiet` if it is
true and not worth a line, and `wrong` if it is not true. The share of those that are right is what
counts. What nobody has judged yet is listed.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import hashlib
import importlib.util
import io
import itertools
import json
import linecache
import random
import re
import tomllib
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import jax
import numpy as np
from machine import surroundings

import vmapguide
from vmapguide._jaxpr.abstract import abstract
from vmapguide._recording.recorder import Recorder, _Made, _types
from vmapguide._rules import compilation
from vmapguide._rules.find import RULES


ROOT = Path(__file__).parents[1]
VERDICTS = Path(__file__).with_name("precision-verdicts.toml")

# The real one, whatever a recorder puts there.
EXPLAIN = vmapguide.explain

SMALL, LARGE = 3, 4096

# So many findings of each rule are judged.
SAMPLE = 30


# -- What is collected --------------------------------------------------------


@dataclass(frozen=True)
class Firing:
    """A rule that fired: what it said, and where.

    Attributes:
        corpus: the corpus.
        call: the name of the call, or the place of the `jax.vmap`.
        code: the rule.
        severity: `warning` or `note`.
        sentence: what was said to happen.
        message: the same, with what decides it.
        remedy: what to do, as was said.
        expression: the code that it was said of.
        place: the file and the line of that code, from its package on.
    """

    corpus: str
    call: str
    code: str
    severity: str
    sentence: str
    message: str
    remedy: str
    expression: str
    place: str

    @property
    def id(self) -> str:
        """The name of the firing: the same in every run, if the same is said of the same code."""
        text = f"{self.sentence}\n{self.expression}\n{self.place.rpartition(':')[0]}"
        return f"{self.code} {self.corpus}: {self.call} {_digest(text)}"

    @property
    def kind(self) -> tuple[str, str, str]:
        """What firings have in common of which one is enough: the code, the line and its file."""
        return self.code, self.place, self.expression


@dataclass
class Corpus:
    """What was found in a corpus."""

    name: str
    texts: Path | None = None
    counts: Counter[str] = field(default_factory=Counter)
    firings: list[Firing] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, call: str, explain: Callable[[], vmapguide.Explanation]) -> None:
        """Explain a call and keep what was found."""
        self.counts["calls"] += 1
        try:
            explanation = explain()
        except Exception as error:  # noqa: BLE001 - whatever it is that vmap cannot do.
            first, *_ = str(error).strip().splitlines() or [""]
            self.reasons[f"{type(error).__name__}: {first[:80]}"] += 1
            return
        self.counts["explained"] += 1
        findings = explanation.findings
        self.counts["with findings"] += bool(findings)
        new = [self._firing(call, finding) for finding in findings]
        self.firings += new
        if new and self.texts is not None:
            self._write(self.texts, call, explanation, new)

    def _firing(self, call: str, finding: vmapguide.Finding) -> Firing:
        source = finding.source
        return Firing(
            corpus=self.name,
            call=call,
            code=finding.code,
            severity=finding.severity,
            sentence=dataclasses.replace(finding, deciders=()).message,
            message=finding.message,
            remedy=finding.remedy,
            expression=source.expression if source else "",
            place=f"{shown(source.file)}:{source.line}" if source else "",
        )

    def _write(
        self, folder: Path, call: str, explanation: vmapguide.Explanation, firings: Sequence[Firing]
    ) -> None:
        """Write what is needed to judge: the findings, the equations and both jaxprs."""
        parts = [
            f"{f.id}\n  {f.message}\n  {f.remedy}\n  {f.place}: {f.expression}" for f in firings
        ]
        parts.append(explanation.as_text(140, view="equations", fold=False))
        parts += [str(explanation.per_example), str(explanation.batched)]
        folder.mkdir(parents=True, exist_ok=True)
        name = re.sub(r"\W+", "_", f"{self.name} {call}")[:120]
        path = folder / f"{name}_{_digest(firings[0].id)}.txt"
        path.write_text("\n\n".join(parts), "utf-8")

    def save(self, folder: Path) -> None:
        """Write what was found, for `report`."""
        folder.mkdir(parents=True, exist_ok=True)
        data = {
            "name": self.name,
            **self.counts,
            "reasons": dict(self.reasons.most_common()),
            "firings": [asdict(firing) for firing in self.firings],
        }
        (folder / f"{self.name}.json").write_text(json.dumps(data, indent=1) + "\n", "utf-8")
        print(
            f"{self.name}: {dict(self.counts)}, "
            f"{dict(sorted(Counter(firing.code for firing in self.firings).items()))}"
        )


def shown(path: str) -> str:
    """Return a file's path from its package on, or from the root of this repository on."""
    parts = Path(path).parts
    if "site-packages" in parts:
        return "/".join(parts[parts.index("site-packages") + 1 :])
    own = Path(path)
    return own.relative_to(ROOT).as_posix() if own.is_relative_to(ROOT) else own.name


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Let programs say what they like, unheard."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


# -- JAX's own test calls -----------------------------------------------------


def collect_harnesses(per_group: int, texts: Path | None) -> list[Corpus]:
    """Explain the calls that JAX lists, so many of each group."""
    from jax._src.internal_test_util import test_harnesses  # noqa: PLC0415 - it takes a second.

    found = [Corpus("harnesses", texts), Corpus("harnesses in thousands", texts)]
    harnesses = sorted(test_harnesses.all_harnesses, key=lambda harness: harness.fullname)
    random.Random(0).shuffle(harnesses)  # noqa: S311
    taken: Counter[str] = Counter()
    for harness in harnesses:
        taken[harness.group_name] += 1
        if taken[harness.group_name] > per_group:
            continue
        for corpus, size in zip(found, (SMALL, LARGE), strict=True):

            def explain(harness: Any = harness, size: int = size) -> vmapguide.Explanation:
                args = harness.dyn_args_maker(np.random.RandomState(0))
                args = jax.tree.map(lambda arg: batch_of(arg, size), [*args])
                return EXPLAIN(harness.dyn_fun, axis_size=size)(*args)

            with quietly():
                corpus.add(harness.fullname, explain)
    return found


def batch_of(argument: Any, size: int) -> jax.ShapeDtypeStruct:
    """Return the type of a batch of an argument."""
    array = argument if hasattr(argument, "dtype") else np.asarray(argument)
    dtype = jax.dtypes.canonicalize_dtype(array.dtype, allow_extended_dtype=True)
    return jax.ShapeDtypeStruct((size, *array.shape), dtype)


# -- What programs call -------------------------------------------------------


class Collector(Recorder):
    """Explains every `jax.vmap` that is called while it is open, and what is explained then."""

    def __init__(self, as_is: Corpus, large: Corpus | None = None) -> None:
        """Collect into one corpus what is called, and into the other what a large batch gives."""
        super().__init__()
        self.as_is, self.large = as_is, large
        self.seen: set[Any] = set()

    def __enter__(self) -> Self:
        """Put a recording `explain` beside the recording `jax.vmap`."""
        super().__enter__()
        vmapguide.explain = self._explain
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Put back what stood there."""
        vmapguide.explain = EXPLAIN
        super().__exit__(kind, error, traceback)

    def _explain(self, f: Any, *given: Any, **options: Any) -> Any:
        """Return what `explain` does, which is collected when it is called."""
        waiting = EXPLAIN(f, *given, **options)

        def call(*args: Any, **kwargs: Any) -> vmapguide.Explanation:
            with self._paused():
                explanation = waiting(*args, **kwargs)
                self.as_is.add(f"explain({explanation.name})", lambda: explanation)
                return explanation

        return call

    def _note(self, made: _Made, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        args, kwargs = jax.tree.map(abstract, (args, kwargs))
        key = made.key, _types(args, kwargs)
        if key in self.seen:
            return
        self.seen.add(key)
        options = {k: v for k, v in made.options.items() if k != "sum_match"}
        place = made.site.via or made.site.place
        call = f"{shown(place.file)}:{place.line}"
        with quietly():
            self.as_is.add(call, lambda: EXPLAIN(made.function, **options)(*args, **kwargs))
            if self.large is not None:
                in_axes = options.get("in_axes", 0)
                size = {"axis_size": LARGE} if options.get("axis_size") else {}

                def in_thousands() -> vmapguide.Explanation:
                    many, more = _enlarged(in_axes, args, kwargs)
                    return EXPLAIN(made.function, **options | size)(*many, **more)

                self.large.add(call, in_thousands)


def _enlarged(in_axes: Any, args: Any, kwargs: Any) -> Any:
    """Return the types of arguments with a large batch in the place of the one that they have."""
    prefix = (tuple(in_axes) if isinstance(in_axes, list) else in_axes, 0)
    is_none = lambda x: x is None  # noqa: E731
    axes = jax.tree.leaves(
        jax.tree.broadcast(prefix, (args, kwargs), is_leaf=is_none), is_leaf=is_none
    )
    leaves, tree = jax.tree.flatten((args, kwargs), is_leaf=is_none)
    many = []
    for axis, leaf in zip(axes, leaves, strict=True):
        if axis is None or leaf is None:
            many.append(leaf)
            continue
        shape = [*leaf.shape]
        shape[axis] = LARGE
        many.append(jax.ShapeDtypeStruct(tuple(shape), leaf.dtype))
    return jax.tree.unflatten(tree, many)


def collect_libraries(texts: Path | None) -> list[Corpus]:
    """Run the small programs of tests/libraries, and explain what they map."""
    path = ROOT / "tests" / "libraries" / "test_libraries.py"
    spec = importlib.util.spec_from_file_location("small_runs_of_libraries", path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    runs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(runs)
    found = [Corpus("libraries", texts), Corpus("libraries in thousands", texts)]
    for run in runs.RUNS.values():
        with quietly(), Collector(*found):
            run()
    return found


def collect_functions(texts: Path | None) -> list[Corpus]:
    """Explain functions of JAX and of libraries, for a large batch."""
    import functions  # noqa: PLC0415 - it imports libraries that other corpora do without.

    found = Corpus("functions in thousands", texts)
    for name, f, one in functions.calls():

        def explain(f: Any = f, one: Any = one) -> vmapguide.Explanation:
            many = jax.tree.map(lambda x: jax.ShapeDtypeStruct((LARGE, *x.shape), x.dtype), one)
            return EXPLAIN(f)(*many)

        with quietly():
            found.add(name, explain)
    return [found]


def collect_guide(texts: Path | None) -> list[Corpus]:
    """Run the cells of the guide, page by page, and explain what they map."""
    found = Corpus("guide", texts)
    for page in sorted((ROOT / "docs" / "guide").glob("*.md")):
        namespace: dict[str, Any] = {"__name__": "__main__"}
        with quietly(), Collector(found):
            for number, cell in enumerate(cells(page.read_text("utf-8")), start=1):
                run_cell(f"docs/guide/{page.name}[{number}]", cell, namespace, found)
    return [found]


def cells(page: str) -> Iterator[str]:
    """Yield the code cells of a page, without their options."""
    for body in re.findall(r"^```\{code-cell\}[^\n]*\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        yield re.sub(r"\A(?::[^\n]*\n)+", "", body)


def run_cell(name: str, cell: str, namespace: dict[str, Any], found: Corpus) -> None:
    """Run a cell as Python would run a file of that name; that it raises may be what it shows."""
    linecache.cache[name] = (len(cell), None, cell.splitlines(keepends=True), name)
    try:
        exec(compile(cell, name, "exec"), namespace)  # noqa: S102 - it is our own.
    except Exception as error:  # noqa: BLE001 - the page goes on.
        first, *_ = str(error).strip().splitlines() or [""]
        found.reasons[f"{name}: {type(error).__name__}: {first[:80]}"] += 1


# -- What is reported ---------------------------------------------------------


def sampled(firings: Sequence[Firing]) -> list[Firing]:
    """Return what is judged of a rule: of many lines and corpora, and the same in every run."""
    kinds: dict[object, list[Firing]] = {}
    for firing in sorted({f.id: f for f in firings}.values(), key=lambda f: _digest(f.id)):
        kinds.setdefault(firing.kind, []).append(firing)
    by_corpus: dict[str, list[Firing]] = {}
    # First one of each line, in turns from each corpus; then a second one of each, and so on.
    rounds = itertools.zip_longest(*kinds.values())
    ranked = [(n, f) for n, group in enumerate(rounds) for f in group if f is not None]
    for n, firing in ranked:
        by_corpus.setdefault(f"{n:4} {firing.corpus}", []).append(firing)
    chosen: list[Firing] = []
    for _, names in itertools.groupby(sorted(by_corpus), key=lambda name: name[:4]):
        turns = itertools.zip_longest(*(by_corpus[name] for name in names))
        chosen += [f for turn in turns for f in turn if f is not None]
    return chosen[:SAMPLE]


def report(folder: Path) -> dict[str, Any]:
    """Return the numbers of each rule and corpus, and the sample with its verdicts."""
    verdicts = tomllib.loads(VERDICTS.read_text("utf-8")) if VERDICTS.exists() else {}
    corpora = [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))]
    firings = [Firing(**each) for corpus in corpora for each in corpus.pop("firings")]
    rules: dict[str, Any] = {}
    sample = []
    for code, rule in sorted(RULES.items()):
        if rule in compilation.RULES:
            continue  # They are asked of programs that run.
        own = [firing for firing in firings if firing.code == code]
        taken = sampled(own)
        judged: Counter[str] = Counter()
        for firing in taken:
            verdict = verdicts.get(firing.id, {})
            judged[verdict.get("verdict", "not judged")] += 1
            said = {key: text for key, text in asdict(firing).items() if key != "remedy"}
            sample.append({"id": firing.id, **said, **verdict})
        rules[code] = {
            "name": rule.name,
            "firings": dict(Counter(firing.corpus for firing in own)),
            "lines": len({firing.kind for firing in own}),
            **{verdict: judged[verdict] for verdict in ("right", "quiet", "wrong", "not judged")},
        }
    return {**surroundings(), "corpora": corpora, "rules": rules, "sample": sample}


def show(found: dict[str, Any]) -> None:
    """Print the table, and what is to be judged."""
    lines = [f"{'rule':32}{'firings':>9}{'lines':>7}{'right':>7}{'quiet':>7}{'wrong':>7}"]
    for code, rule in found["rules"].items():
        firings = sum(rule["firings"].values())
        columns = [
            f"{firings:9}",
            *(f"{rule[key]:7}" for key in ("lines", "right", "quiet", "wrong")),
        ]
        lines.append(f"{code} {rule['name']:26.26}" + "".join(columns))
    lines += [f"not judged: {each['id']}" for each in found["sample"] if "verdict" not in each]
    print("\n".join(lines))


def main() -> None:
    """Collect a corpus, or report on all that were collected."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", choices=[*COLLECT, "report"])
    parser.add_argument("--folder", type=Path, required=True, help="where corpora are kept")
    parser.add_argument("--per-group", type=int, default=10**6, help="of JAX's calls, so many")
    parser.add_argument("--texts", type=Path, help="write there what is needed to judge")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the report there, too")
    options = parser.parse_args()
    if options.what == "report":
        found = report(options.folder)
        show(found)
        if options.json:
            options.json.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
        return
    for corpus in COLLECT[options.what](options):
        corpus.save(options.folder)


COLLECT: dict[str, Callable[[argparse.Namespace], list[Corpus]]] = {
    "harnesses": lambda options: collect_harnesses(options.per_group, options.texts),
    "libraries": lambda options: collect_libraries(options.texts),
    "functions": lambda options: collect_functions(options.texts),
    "guide": lambda options: collect_guide(options.texts),
}


if __name__ == "__main__":
    main()
