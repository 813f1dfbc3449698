"""What the recorder takes for one call of `jax.vmap`, and what it leaves behind."""

import functools
import io
import logging
import random
import sys
import threading
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vmapguide
from vmapguide._recording.recorder import Record, Recorder
from vmapguide._recording.unnoticed import unnoticed


X = jnp.arange(6.0).reshape(2, 3)
# In a list: the recorder replaces what modules have under a name.
VMAP = [jax.vmap]


def recorded(*calls: Any) -> list[Record]:
    """Return the records of calls of functions."""
    with Recorder() as recorder:
        for call in calls:
            call()
    return [*recorder.records.values()]


class TestCalls:
    """Which calls are one, and which are others."""

    def test_names(self) -> None:
        """A function is called as `explain` calls it, whatever was recorded inside."""
        first, second = recorded(lambda: jax.vmap(jax.jit(jax.vmap(jax.grad(jnp.sin))))(X))
        assert [first.name, second.name] == ["grad(sin)", "vmap(grad(sin))"]
        assert [first.is_inner, second.is_inner] == [True, False]
        assert [first.size, second.size] == [3, 2]

    def test_functions_at_a_place(self) -> None:
        """Another function or another transformation of it is another call."""

        def call() -> None:
            for f in (jnp.sin, jnp.cos, lambda x: x, lambda x: -x, jax.grad(jnp.sin)):
                jax.vmap(f)(X[:, 0])
                jax.vmap(functools.partial(f))(X[:, 0])

        records = recorded(call)
        assert len(records) == 2 * 5
        assert {record.calls for record in records} == {1}

    def test_two_calls_in_a_line(self) -> None:
        """They are two."""
        records = recorded(lambda: (jax.vmap(jnp.sin)(X), jax.vmap(jnp.sin)(X)))
        assert [record.calls for record in records] == [1, 1]

    def test_numbers_and_texts(self) -> None:
        """Calls with other numbers are one, as with other arrays; with other texts they are not."""

        def f(x: Any, n: Any, text: str) -> Any:
            return x + n if text else x

        def call() -> None:
            for n, text in ((1, "a"), (2, "a"), (2, ""), (1.0, ""), (True, ""), (False, "")):
                jax.vmap(f, in_axes=(0, None, None))(X + n, n, text)

        assert [record.calls for record in recorded(call)] == [2, 1, 1, 1, 1]

    def test_options(self) -> None:
        """Other axes are another call; options may come by position and by name."""

        def call() -> None:
            for axis in (0, 1):
                jax.vmap(jnp.sin, axis)(X)
                jax.vmap(fun=jnp.sin, in_axes=axis, out_axes=1)(X)

        assert [record.size for record in recorded(call)] == [2, 2, 3, 3]

    def test_what_vmapguide_calls_itself(self) -> None:
        """`vmapguide.vmap` is the program's, and what `explain` and its like trace is not."""

        def f(x: Any) -> Any:
            return jax.vmap(jnp.sin)(x)

        def others() -> None:
            vmapguide.explain(f)(X)
            vmapguide.check(f)(X)
            vmapguide.compare(f, jax.vmap(f))(X)

        assert recorded(others) == []
        (record,) = recorded(lambda: vmapguide.vmap(jnp.sin)(X))
        assert (record.site.place.file, record.size) == (__file__, 2)

    def test_threads(self) -> None:
        """Each has calls of its own: one beside another is not inside of it."""
        barrier = threading.Barrier(2)

        def f(x: Any) -> Any:
            if threading.current_thread() is not threading.main_thread():
                barrier.wait(60)
                barrier.wait(60)
            return x

        def call() -> None:
            thread = threading.Thread(target=lambda: jax.vmap(f)(X))
            thread.start()
            barrier.wait(60)
            jax.vmap(jnp.cos)(X)
            barrier.wait(60)
            # What the explanation traces waits, too.
            for _ in range(20):
                thread.join(0.5)
                if not thread.is_alive():
                    break
                barrier.abort()

        records = recorded(call)
        assert {record.name: record.is_inner for record in records} == {"cos": False, "f": False}


class TestLeftBehind:
    """What is there when the recorder is closed."""

    def test_everything_is_as_before(self) -> None:
        """Names are JAX's again, and what was made records no more."""
        module: Any = sys.modules[__name__]
        with Recorder() as recorder:
            assert jax.vmap is not VMAP[0]
            mapped = jax.vmap(jnp.sin)
            module.TAKEN = jax.vmap
            mapped(X)
        assert jax.vmap is VMAP[0]
        assert module.TAKEN is VMAP[0]
        mapped(X.T)
        jax.vmap(jnp.cos)(X)
        assert len(recorder.records) == 1

    def test_errors_pass(self) -> None:
        """What a function raises reaches who called it, and nothing is recorded of that call."""

        def f(_: Any) -> Any:
            raise KeyError("mine")

        with Recorder() as recorder:
            with pytest.raises(KeyError, match="mine"):
                jax.vmap(f)(X)
            jax.vmap(jnp.sin)(X)
        (record,) = recorder.records.values()
        assert (record.name, record.is_inner) == ("sin", False)

    def test_arguments_are_not_kept(self) -> None:
        """Of arrays, the types are."""
        with Recorder(keeps_views=True) as recorder:
            jax.vmap(jnp.dot, in_axes=(0, None))(jnp.ones((2, 999)), jnp.ones(999))
        assert not [array for array in jax.live_arrays() if 999 in array.shape]
        assert len(recorder.records) == 1

    def test_arrays_that_were_given_away(self) -> None:
        """A function that donates its argument is explained of the type."""
        given = jax.jit(lambda x: x * 2, donate_argnums=0)
        (record,) = recorded(lambda: jax.jit(jax.vmap(given), donate_argnums=0)(jnp.ones((2, 3))))
        assert (record.size, record.reason) == (2, "")


class TestUnnoticed:
    """What is silent while a function is traced once more."""

    def test_this_thread(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Nothing is printed, logged or warned of, and no random number is drawn."""
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002
        expected = random.random(), np.random.normal()  # noqa: S311, NPY002
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002
        logged = io.StringIO()
        logger = logging.getLogger("vmapguide.mine")
        logger.addHandler(logging.StreamHandler(logged))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with unnoticed():
                print("printed")  # noqa: T201
                print("printed", file=sys.stderr)  # noqa: T201
                sys.stdout.writelines(["printed"])
                logger.warning("logged")
                warnings.warn("warned", stacklevel=1)
                breakpoint()  # noqa: T100
                random.random(), np.random.normal()  # noqa: S311, NPY002
            warnings.warn("afterwards", stacklevel=1)
        print("afterwards")  # noqa: T201
        logger.warning("afterwards")
        assert capsys.readouterr() == ("afterwards\n", "")
        assert logged.getvalue() == "afterwards\n"
        assert [str(warning.message) for warning in caught] == ["afterwards"]
        assert (random.random(), np.random.normal()) == expected  # noqa: S311, NPY002

    def test_other_threads(self, capsys: pytest.CaptureFixture[str]) -> None:
        """They go on as ever, also when one of two is still silent."""
        streams = sys.stdout, sys.stderr

        def talk() -> None:
            print("printed", flush=True)  # noqa: T201
            with pytest.warns(UserWarning, match="warned"):
                warnings.warn("warned", stacklevel=1)

        def keep_silent() -> None:
            with unnoticed():
                sys.stdout.write("silent")

        with unnoticed():
            for target in (keep_silent, talk):
                thread = threading.Thread(target=target)
                thread.start()
                thread.join()
            sys.stdout.write("silent")
        assert (sys.stdout, sys.stderr) == streams
        assert capsys.readouterr().out == "printed\n"

    def test_a_stream_that_a_function_replaces(self) -> None:
        """It is still there afterwards."""
        before, mine = sys.stdout, io.StringIO()
        try:
            with unnoticed():
                sys.stdout = mine
            assert sys.stdout is mine
        finally:
            sys.stdout = before

    def test_warnings_that_were_shown(self) -> None:
        """Python does not forget which ones: they are not shown again."""
        shown = []
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            warnings.showwarning = lambda message, *_, **__: shown.append(str(message))
            for _ in range(3):
                warnings.warn("once", stacklevel=1)
                with unnoticed():
                    pass
        assert shown == ["once"]
