"""`vmapguide.benchmark`: honest timing, with a clock of our own where numbers count."""

import importlib.util
import io
import json
import re
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib as mpl
import numpy as np
import pytest

import vmapguide
from vmapguide import Benchmark, Timing
from vmapguide._measure import progress, timing
from vmapguide._measure.progress import is_seen, tracked


X = jax.random.normal(jax.random.key(0), (3, 5))
W = jnp.ones((2, 5))

mpl.use("Agg")


def doubled(x: jax.Array) -> jax.Array:
    """Return twice the argument."""
    return 2 * x


def added(x: jax.Array) -> jax.Array:
    """Return twice the argument."""
    return x + x


class Clock:
    """A clock that moves only when a function says how long it took."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls: list[str] = []

    def __call__(self) -> float:
        """Return the time."""
        return self.now

    def takes(self, name: str, *seconds: float) -> Callable[[Any], Any]:
        """Return a function that takes so long, the last time repeated."""
        left = list(seconds)

        def f(x: Any) -> Any:
            self.calls.append(name)
            self.now += left.pop(0) if len(left) > 1 else left[0]
            return x

        return f


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Replace the clock."""
    clock = Clock()
    monkeypatch.setattr(timing, "perf_counter", clock)
    return clock


class TestTiming:
    """What is read off the clock, and when."""

    def test_medians_and_quartiles(self, clock: Clock) -> None:
        """The first two calls are not counted: they compile, and find out how long a sample is."""
        slow = clock.takes("slow", 99.0, 2.0, 1.0, 5.0, 2.0, 4.0, 3.0)
        fast = clock.takes("fast", 99.0, 0.5, 0.5)
        result = vmapguide.benchmark(slow=slow, fast=fast, jit=False, rounds=5, patience=99)(1.0)
        (timing,) = result.timings["slow"]
        samples = (1.0, 5.0, 2.0, 4.0, 3.0)
        assert timing == Timing(3.0, 2.0, 4.0, None, calls=1, samples=5, seconds=samples)
        assert result.ratio("slow", to="fast") == 6.0
        assert result.ratio("fast", to="slow") == pytest.approx(1 / 6)

    def test_turns(self, clock: Clock) -> None:
        """Every round begins with another side."""
        sides: dict[str, Any] = {name: clock.takes(name, 1.0) for name in "abc"}
        vmapguide.benchmark(**sides, jit=False, rounds=4, patience=99)(1.0)
        assert "".join(clock.calls[6:]) == "abc" + "bca" + "cab" + "abc"

    def test_short_calls_are_repeated(self, clock: Clock) -> None:
        """A sample takes a millisecond, by as many calls as that takes."""
        short, long = clock.takes("s", 1e-4), clock.takes("l", 0.5)
        result = vmapguide.benchmark(s=short, l=long, jit=False, rounds=3)(1.0)
        assert [result.timings[name][0].calls for name in "sl"] == [10, 1]  # type: ignore[union-attr]
        assert result.timings["s"][0].median == pytest.approx(1e-4)  # type: ignore[union-attr]

    def test_an_interrupted_call_makes_no_shorter_samples(self, clock: Clock) -> None:
        """Of a few calls the quickest counts: two sides that are one program have equal samples."""
        sides: dict[str, Any] = {
            "interrupted": clock.takes("interrupted", 9.0, 2e-2, 1e-4),
            "undisturbed": clock.takes("undisturbed", 9.0, 1e-4),
        }
        result = vmapguide.benchmark(**sides, jit=False, rounds=3)(1.0)
        assert [timing.calls for (timing,) in result.timings.values() if timing] == [10, 10]

    def test_interrupted_calls_make_no_shorter_samples(self, clock: Clock) -> None:
        """On a busy machine all single calls may be: a longer sample has some that are not."""
        sides: dict[str, Any] = {
            "interrupted": clock.takes("interrupted", 9.0, 5e-4, 2e-3, *[1e-4] * 3, 2e-3, 1e-4),
            "undisturbed": clock.takes("undisturbed", 9.0, 1e-4),
        }
        result = vmapguide.benchmark(**sides, jit=False, rounds=3)(1.0)
        assert [timing.calls for (timing,) in result.timings.values() if timing] == [10, 10]

    def test_long_calls_take_fewer_rounds(self, clock: Clock) -> None:
        """No more than patience allows, but three."""
        sides: dict[str, Any] = {"a": clock.takes("a", 1.0), "b": clock.takes("b", 1.0)}
        assert _samples(vmapguide.benchmark(**sides, jit=False, patience=10.0)(1.0)) == 5
        assert _samples(vmapguide.benchmark(**sides, jit=False, patience=0.1)(1.0)) == 3
        assert _samples(vmapguide.benchmark(**sides, jit=False, patience=99.0)(1.0)) == 15

    def test_compiling_is_apart(self) -> None:
        """It is said, and only where something was compiled."""
        result = vmapguide.benchmark(doubled, added, rounds=3)(X)
        (timing,) = result.timings["doubled"]
        assert timing is not None
        assert timing.compiling is not None
        assert (
            timing.compiling > 0 < timing.lower_quartile <= timing.median <= timing.upper_quartile
        )
        as_it_is = vmapguide.benchmark(doubled, added, rounds=3, jit=False)(X)
        assert as_it_is.timings["doubled"][0].compiling is None  # type: ignore[union-attr]
        assert "compiling" in str(result)
        assert "compiling" not in str(as_it_is)

    def test_results_are_waited_for(self, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of every sample."""
        waited = []
        plain: Callable[[Any], Any] = jax.block_until_ready

        def counted(results: Any) -> Any:
            waited.append(results)
            return plain(results)

        monkeypatch.setattr(jax, "block_until_ready", counted)
        sides: dict[str, Any] = {name: clock.takes(name, 1.0) for name in "ab"}
        vmapguide.benchmark(**sides, jit=False, rounds=4, patience=99)(X)
        # For each side: the copies of the arguments, the first call, the trial, four samples.
        assert len(waited) == 2 * (1 + 1 + 1 + 4)

    def test_donated_arguments(self) -> None:
        """The user's survive, and every call has some of its own."""
        argument = jnp.ones(3)
        donating = jax.jit(lambda x: x + 1, donate_argnums=0)
        result = vmapguide.benchmark(donating, lambda x: 1 + x, jit=False, rounds=3)(argument)
        assert not argument.is_deleted()
        assert result.timings["jit(<lambda>)"][0].calls == 1  # type: ignore[union-attr]


def _samples(result: Benchmark) -> int:
    timing = result.timings["a"][0]
    assert timing is not None
    return timing.samples


class TestSweep:
    """Batch sizes."""

    def test_arguments_are_resized(self) -> None:
        """Examples are taken in turn; what is shared stays whole."""
        seen = []

        def f(w: jax.Array, tree: dict[str, jax.Array]) -> jax.Array:
            seen.append((w.shape, tree["x"].shape))
            return tree["x"].sum()

        tree = {"x": jnp.arange(6.0).reshape(2, 3)}
        run = vmapguide.benchmark(a=f, b=f, sweep=(4, 1), in_axes=(None, 1), rounds=1, jit=False)
        result = run(W, tree)
        assert result.sizes == (1, 4)
        assert set(seen) == {((2, 5), (2, 1)), ((2, 5), (2, 4))}

    def test_examples_are_repeated(self) -> None:
        """From the start again."""
        results = []

        def f(x: jax.Array) -> jax.Array:
            results.append(np.asarray(x).tolist())
            return x

        vmapguide.benchmark(a=f, b=f, sweep=(5,), rounds=1, jit=False)(jnp.array([1.0, 2.0]))
        assert results[0] == [1, 2, 1, 2, 1]

    def test_patience(self, clock: Clock) -> None:
        """What was too slow is not run at larger sizes, and the report says so."""
        slow, fast = clock.takes("slow", 3.0), clock.takes("fast", 1.0)
        run = vmapguide.benchmark(slow=slow, fast=fast, sweep=(1, 2, 3), jit=False, patience=2.0)
        result = run(jnp.ones(1))
        assert [timing is None for timing in result.timings["slow"]] == [False, True, True]
        assert all(result.timings["fast"])
        assert "–: not run. It took more than 2 s" in str(result)
        with pytest.raises(ValueError, match="slow was too slow to be run at this size"):
            result.ratio("slow", to="fast")
        assert result.ratio("slow", to="fast", size=1) == 3.0

    def test_all_too_slow(self, clock: Clock) -> None:
        """Then nothing is run."""
        slow = clock.takes("slow", 3.0)
        result = vmapguide.benchmark(a=slow, b=slow, sweep=(1, 2), jit=False, patience=1)(X)
        assert result.timings["a"][1] is result.timings["b"][1] is None
        assert str(result)

    @pytest.mark.parametrize("sweep", [(0,), (1, -1), (1.5,), ("a",), (True,)])
    def test_sizes(self, sweep: Any) -> None:
        """They are positive whole numbers."""
        message = "a batch size of sweep= must be a whole number of at least 1, but is"
        with pytest.raises((TypeError, ValueError), match=message):
            vmapguide.benchmark(doubled, added, sweep=sweep)

    @pytest.mark.parametrize("sweep", [10, "1, 8", 2.5])
    def test_no_list_of_sizes(self, sweep: Any) -> None:
        """One number is no sweep, and the message has one; its remedy works."""
        with pytest.raises(
            TypeError, match=r"must be batch sizes, as in sweep=\(1, 8, 64\), but is"
        ):
            vmapguide.benchmark(doubled, added, sweep=sweep)
        assert vmapguide.benchmark(doubled, added, sweep=(1, 8), rounds=1)(X).sizes == (1, 8)

    def test_sizes_of_numpy(self) -> None:
        """They are whole numbers, too."""
        run = vmapguide.benchmark(doubled, added, sweep=np.array([8, 1]), rounds=1)  # type: ignore[arg-type]
        assert run(X).sizes == (1, 8)

    def test_no_sizes(self) -> None:
        """There must be one."""
        with pytest.raises(ValueError, match="sweep= names no batch size"):
            vmapguide.benchmark(doubled, added, sweep=())

    @pytest.mark.parametrize(
        ("in_axes", "message"),
        [((0, 0), "does not fit the arguments"), (2, "axis 2 of an argument counts examples")],
    )
    def test_in_axes(self, in_axes: Any, message: str) -> None:
        """They have to fit."""
        with pytest.raises(ValueError, match=message):
            vmapguide.benchmark(doubled, added, sweep=(1,), in_axes=in_axes)(X)


class TestRefused:
    """What cannot be compared is not, and it is said why and what to do."""

    def test_other_results(self) -> None:
        """The wrong axis: both sides, the place, the values, the remedy."""
        run = vmapguide.benchmark(
            wrong=lambda x: x / x.sum(), right=jax.vmap(lambda x: x / x.sum())
        )
        with pytest.raises(ValueError, match=r"wrong and right do not compute the same: 15 of 15"):
            run(X)
        with pytest.raises(ValueError, match=r"Mend one of them, or allow for .* rtol= or atol="):
            run(X)
        # Where they do compute the same they are compared.
        assert run(X[:1]).names == ("wrong", "right")

    def test_tolerances(self) -> None:
        """What differs within them is compared."""
        run = vmapguide.benchmark(doubled, lambda x: 2 * x + 0.1, atol=0.2, rounds=1)
        assert run(X).names == ("doubled", "<lambda>")

    def test_equal_nans(self) -> None:
        """They are equal."""
        assert vmapguide.benchmark(jnp.log, lambda x: jnp.log(x) * 1, rounds=1)(-jnp.ones(3))

    def test_at_every_size(self) -> None:
        """Sides that agree for one example need not for two."""
        run = vmapguide.benchmark(lambda x: x[:1].sum(), lambda x: x.sum(), sweep=(1, 2), rounds=1)
        with pytest.raises(ValueError, match="do not compute the same"):
            run(jnp.ones(1))

    def test_structures(self) -> None:
        """Both are shown."""
        with pytest.raises(TypeError, match=r"doubled and two return results of different"):
            vmapguide.benchmark(doubled, two=lambda x: (x, x))(X)

    @pytest.mark.parametrize("functions", [(), (doubled,)], ids=["none", "one"])
    def test_too_few(self, functions: Any) -> None:
        """One function is fast or slow beside nothing."""
        with pytest.raises(TypeError, match="benchmark: pass two or more functions"):
            vmapguide.benchmark(*functions)

    def test_not_a_function(self) -> None:
        """The side is named."""
        with pytest.raises(TypeError, match="benchmark: loop= must be a function"):
            vmapguide.benchmark(doubled, loop=X)  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("option", "kind"),
        [
            ({"rounds": 0}, "a whole number of at least 1, but is 0"),
            ({"rounds": 2.5}, "a whole number of at least 1, but is 2.5"),
            ({"rounds": "5"}, "a whole number of at least 1, but is '5'"),
            ({"patience": -1}, "a number of at least 0, but is -1"),
            ({"rtol": -1e-3}, "a number of at least 0, but is -0.001"),
            ({"atol": "a"}, "a number of at least 0, but is 'a'"),
            ({"progress": "yes"}, "True or False, but is 'yes'"),
            ({"jit": 1}, "True or False, but is 1"),
            ({"jit": {"added": "no"}}, "True or False, but is 'no'"),
        ],
    )
    def test_options(self, option: Any, kind: str) -> None:
        """Each is refused by its name."""
        (name,) = option
        with pytest.raises((TypeError, ValueError), match=f"benchmark: {name} must be {kind}"):
            vmapguide.benchmark(doubled, added, **option)

    @pytest.mark.parametrize("jit", [True, False])
    def test_a_side_that_fails(self, jit: bool) -> None:
        """The error is its own; the note names it."""

        def failing(x: jax.Array) -> Any:
            raise ArithmeticError(x.shape)

        with pytest.raises(ArithmeticError) as caught:
            vmapguide.benchmark(doubled, failing, jit=jit)(X)
        assert any("benchmark: failing raised this" in note for note in caught.value.__notes__)

    def test_a_side_that_fails_later(self) -> None:
        """It is named as well."""
        calls: list[int] = []

        def failing(x: jax.Array) -> jax.Array:
            calls.append(1)
            if len(calls) > 1:
                raise ArithmeticError
            return 2 * x

        with pytest.raises(ArithmeticError) as caught:
            vmapguide.benchmark(doubled, failing, jit=False)(X)
        assert any("benchmark: failing raised this" in note for note in caught.value.__notes__)

    def test_arguments(self) -> None:
        """They have to fit each side."""
        with pytest.raises(TypeError, match=r"benchmark: two\(x, y\) cannot be called"):
            vmapguide.benchmark(doubled, two=lambda x, y: x + y)(X)

    def test_no_values(self) -> None:
        """Types cannot be run."""
        with pytest.raises(TypeError, match=r"benchmark: x is a type without values, float32\[3\]"):
            vmapguide.benchmark(doubled, added)(jax.ShapeDtypeStruct((3,), jnp.float32))

    def test_an_empty_batch(self) -> None:
        """It takes no time."""
        with pytest.raises(ValueError, match=r"benchmark: x is empty"):
            vmapguide.benchmark(doubled, added)(X[:0])

    def test_an_argument_that_is_no_array(self) -> None:
        """It is named."""
        with pytest.raises(TypeError) as caught:
            vmapguide.benchmark(lambda x, s: x, lambda x, s: x)(X, "text")  # noqa: ARG005
        assert any("JAX cannot trace s" in note for note in caught.value.__notes__)

    def test_names(self) -> None:
        """A side or a size that is not there."""
        result = vmapguide.benchmark(doubled, added, rounds=1)(X)
        with pytest.raises(KeyError, match="no side 'nobody'"):
            result.ratio("nobody", to="added")
        with pytest.raises(ValueError, match="no size 7"):
            result.ratio("doubled", to="added", size=7)


class TestView:
    """A benchmark is made to be looked at."""

    def test_the_fastest_is_first(self, clock: Clock) -> None:
        """Ratios before times; the device is named."""
        slow, fast = clock.takes("slow", 3.0), clock.takes("fast", 1.5)
        text = str(vmapguide.benchmark(slow=slow, fast=fast, jit=False)(X))
        rows = [line.split() for line in text.split("\n")[3:5]]
        assert rows == [
            ["fast", "1", "1.5", "s", "1.5", "s", "to", "1.5", "s"],
            ["slow", "2", "3", "s", "3", "s", "to", "3", "s"],
        ]
        where = f"JAX {jax.__version__} on its {jax.default_backend()} backend"
        assert where in " ".join(text.split())

    def test_what_cannot_be_told_apart(self, clock: Clock) -> None:
        """The ratio is marked, and it is said what the mark means."""
        one = clock.takes("one", 9.0, 9.0, 1.0, 2.0, 3.0)
        two = clock.takes("two", 9.0, 9.0, 1.1, 2.1, 3.1)
        far = clock.takes("far", 9.0, 9.0, 50.0, 98.0, 152.0)
        text = str(
            vmapguide.benchmark(one=one, two=two, far=far, jit=False, rounds=3, patience=999)(X)
        )
        assert re.search(r"two +≈ 1.05 ", text)
        assert re.search(r"far +49 ", text)
        assert "≈: not told apart from the fastest." in " ".join(text.split())

    def test_plain_data(self) -> None:
        """It goes through JSON."""
        result = vmapguide.benchmark(doubled, added, sweep=(1, 2), rounds=2)(X)
        data = json.loads(json.dumps(result.to_dict(), allow_nan=False))
        assert data["schema"] == "vmapguide.benchmark/1"
        assert data["sizes"] == [1, 2]
        assert data["timings"]["added"][1]["samples"] == 2

    def test_html(self) -> None:
        """Names are escaped."""
        hostile: dict[str, Any] = {"<b>": added}
        html = vmapguide.benchmark(doubled, **hostile, rounds=1)(X)._repr_html_()
        assert "&lt;b&gt;" in html
        assert '<td role="cell"><b>' not in html

    def test_plot(self) -> None:
        """A line for each side, both axes logarithmic, the sizes for ticks."""
        result = vmapguide.benchmark(doubled, added, sweep=(1, 8, 64), rounds=2)(X)
        ax = result.plot()
        assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
        assert [line.get_label() for line in ax.lines] == ["doubled", "added"]
        assert len({line.get_marker() for line in ax.lines}) == 2
        assert [tick.get_text() for tick in ax.get_xticklabels()] == ["1", "8", "64"]
        assert list(ax.lines[0].get_xdata()) == [1, 8, 64]
        assert result.plot(ax) is ax

    def test_plot_needs_a_sweep(self) -> None:
        """A point is no plot."""
        with pytest.raises(ValueError, match=r"pass sweep=\(1, 8, 64\) to plot"):
            vmapguide.benchmark(doubled, added, rounds=1)(X).plot()

    def test_plot_needs_matplotlib(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is an extra, and it is said how to get it."""
        result = vmapguide.benchmark(doubled, added, sweep=(1, 2), rounds=1)(X)
        monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
        with pytest.raises(ImportError, match=r'pip install "\.\[plot\]"'):
            result.plot()


class TestProgress:
    """It is shown to a person who waits, and to nobody else."""

    def test_not_where_nobody_looks(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A test's output is not a terminal."""
        assert list(tracked(range(3), "work", 3)) == [0, 1, 2]
        assert capsys.readouterr() == ("", "")

    def test_without_tqdm(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A line that is kept up to date, and wiped off at the end."""
        monkeypatch.setattr(progress, "_DELAY", -1.0)
        monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
        assert list(tracked("abc", "work", 3, progress=True)) == ["a", "b", "c"]
        written = capsys.readouterr().err
        assert "\rwork: 2 of 3" in written
        assert written.endswith("\r" + " " * len("work: 2 of 3") + "\r")

    def test_short_work_shows_nothing(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Less than a second is not waiting."""
        monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
        list(tracked("abc", "work", 3, progress=True))
        assert capsys.readouterr().err == ""

    @pytest.mark.parametrize("widgets", [True, False])
    def test_in_a_notebook(self, monkeypatch: pytest.MonkeyPatch, widgets: bool) -> None:
        """Only with widgets: a line of text would be recorded in the notebook."""
        monkeypatch.setitem(sys.modules, "ipykernel", sys)
        found = {"ipywidgets": object() if widgets else None}
        monkeypatch.setattr(importlib.util, "find_spec", found.get)
        monkeypatch.setattr(sys, "stderr", io.StringIO())
        assert is_seen() == widgets

    def test_in_a_terminal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Someone looks at it."""
        monkeypatch.setattr(sys, "stderr", io.StringIO())
        assert not is_seen()
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        assert is_seen()
