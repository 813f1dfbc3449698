"""`vmapguide.vmap`: it runs like `jax.vmap`, and explains its last call when it is asked."""

import functools
import gc
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vmapguide
from vmapguide import Vmapped


X = jnp.arange(6.0).reshape(2, 3)


def loss(w: Any, x: Any) -> Any:
    """Return a number of a matrix and a vector."""
    return (jnp.tanh(w @ x) ** 2).sum()


class Pair(NamedTuple):
    """A tree of two arrays."""

    one: Any
    other: Any


class TestRuns:
    """What it returns is what `jax.vmap` returns."""

    @pytest.mark.parametrize(
        ("options", "arguments"),
        [
            ({"in_axes": (None, 0)}, (jnp.ones((4, 3)), X)),
            ({"in_axes": (2, None)}, (jnp.ones((4, 3, 2)), X[0])),
            ({"in_axes": [None, 1]}, (jnp.ones((4, 2)), X)),
            ({"in_axes": None, "axis_size": 5}, (jnp.ones((4, 3)), X[0])),
            ({"in_axes": (None, 0), "axis_name": "i"}, (np.ones((4, 3)), np.asarray(X))),
        ],
    )
    def test_options(self, options: dict[str, Any], arguments: tuple[Any, ...]) -> None:
        """The options are those of `jax.vmap`, by name and by position."""
        expected = jax.vmap(loss, **options)(*arguments)
        mapped = vmapguide.vmap(loss, **options)
        np.testing.assert_array_equal(expected, mapped(*arguments))
        assert expected.shape[0] == mapped.explanation.batch_size

    def test_options_by_position(self) -> None:
        """They come in the order of `jax.vmap`."""

        def f(x: Any) -> Any:
            return x - jax.lax.pmean(x, "i")

        given = (1, 1, "i", 3)
        np.testing.assert_array_equal(jax.vmap(f, *given)(X), vmapguide.vmap(f, *given)(X))

    def test_transformations(self) -> None:
        """It runs under `jit`, `grad`, `jacfwd`, `scan` and `vmap`, and over them."""
        mine = vmapguide.vmap(loss, in_axes=(None, 0))
        jaxs = jax.vmap(loss, in_axes=(None, 0))
        w = jnp.ones((4, 3))

        def total(mapped: Any) -> Any:
            return lambda w: mapped(w, X).sum()

        transformations: list[Callable[[Any], Any]] = [
            lambda f: jax.jit(f)(w, X),
            lambda f: jax.grad(total(f))(w),
            lambda f: jax.jit(jax.grad(total(f)))(w),
            lambda f: jax.jacfwd(total(f))(w),
            lambda f: jax.lax.scan(lambda c, x: (c, f(c, x)), w, jnp.stack([X, X]))[1],
            lambda f: jax.vmap(f, in_axes=(0, None))(jnp.stack([w, w, w]), X),
        ]
        for transformed in transformations:
            np.testing.assert_array_equal(transformed(jaxs), transformed(mine))
            assert mine.explanation.batch_size == 2
        over = vmapguide.vmap(jax.jit(jax.grad(loss)), in_axes=(None, 0))
        assert over(w, X).shape == (2, 4, 3)
        assert over.explanation.name == "grad(loss)"

    def test_in_itself(self) -> None:
        """Each of two keeps its own last call."""
        inner = vmapguide.vmap(jnp.sin)
        outer = vmapguide.vmap(inner, in_axes=1)
        np.testing.assert_array_equal(jnp.sin(X).T, outer(X))
        assert outer.explanation.axis_sizes == {"B": 3, "C": 2}
        assert inner.explanation.axis_sizes == {"B": 2}

    def test_trees_keywords_and_keys(self) -> None:
        """Arguments may be trees, with axes as a tree, keywords, and keys."""

        @functools.partial(vmapguide.vmap, in_axes=(Pair(0, None), None))
        def f(pair: Pair, n: int, *, key: Any, more: Any) -> Any:
            return sum([pair.one * pair.other] * n) + jax.random.normal(key) + more["x"]

        keys = jax.random.split(jax.random.key(0), 2)
        pair = Pair(X, jnp.float32(2))
        found = f(pair, 3, key=keys, more={"x": X[:, 0]})
        noise = jax.vmap(jax.random.normal)(keys)
        np.testing.assert_allclose(6 * X + (noise + X[:, 0])[:, None], found, rtol=1e-6)
        assert f.explanation.batch_size == 2

    def test_methods(self) -> None:
        """A method is one of its object, static or of its class where it is said to be."""

        class Model:
            scale = 2

            @functools.partial(vmapguide.vmap, in_axes=(None, 0))
            def call(self, x: Any) -> Any:
                return self.scale * x

            @staticmethod
            @vmapguide.vmap
            def alone(x: Any) -> Any:
                return x + 1

            @classmethod
            @functools.partial(vmapguide.vmap, in_axes=(None, 0))
            def of_class(cls, x: Any) -> Any:
                return cls.scale * x

        np.testing.assert_array_equal(2 * X, Model().call(X))
        np.testing.assert_array_equal(X + 1, Model.alone(X))
        np.testing.assert_array_equal(X + 1, Model().alone(X))
        np.testing.assert_array_equal(2 * X, Model.of_class(X))
        assert Model.call.explanation.batch_size == 2
        assert Model().call.explanation.batch_size == 2

    def test_it_looks_like_the_function(self) -> None:
        """It has the function's name, text and signature, and says what it is."""
        mapped = vmapguide.vmap(loss, (None, 0))
        assert isinstance(mapped, Vmapped)
        assert (loss.__name__, loss.__doc__, loss) == (
            mapped.__name__,
            mapped.__doc__,
            mapped.__wrapped__,
        )
        assert repr(mapped) == "<vmapguide.vmap(loss)>"
        assert repr(vmapguide.vmap(functools.partial(jax.grad(loss), X))) == (
            "<vmapguide.vmap(grad(loss))>"
        )
        assert vmapguide.explain(mapped)(X[:, None], X[:, None]).name == "vmap(loss)"

    def test_errors(self) -> None:
        """They are those of `jax.vmap`, but for what is no function."""
        with pytest.raises(TypeError, match=r"^vmap: the first argument must be a function"):
            vmapguide.vmap(3)  # type: ignore[arg-type]
        mapped = vmapguide.vmap(jnp.dot)
        with pytest.raises(ValueError, match="inconsistent sizes"):
            mapped(X, jnp.ones((5, 3)))
        with pytest.raises(TypeError, match="unexpected keyword"):
            vmapguide.vmap(jnp.sin, no_such_option=1)  # type: ignore[call-arg]


class TestExplanation:
    """What it says of its last call."""

    def test_before_any_call(self) -> None:
        """There is nothing to explain, and what to do is said; a call that failed is none."""
        mapped = vmapguide.vmap(jnp.dot)
        message = r"^vmap: dot has not been called yet\. Call it, then ask again\.$"
        with pytest.raises(ValueError, match=message):
            _ = mapped.explanation
        with pytest.raises(ValueError, match="inconsistent"):
            mapped(X, jnp.ones((5, 3)))
        with pytest.raises(ValueError, match=message):
            _ = mapped.explanation

    def test_it_is_of_the_last_call_and_made_once(self) -> None:
        """It is made when it is asked for, and again after another call."""
        traces = []

        @vmapguide.vmap
        def f(x: Any) -> Any:
            traces.append(x.shape)
            return x * 2

        f(X)
        assert len(traces) == 1
        explanation = f.explanation
        made = len(traces)
        assert made > 1
        assert f.explanation is explanation
        assert len(traces) == made
        f(X.T)
        assert len(traces) == made + 1
        assert f.explanation.batch_size == 3
        assert explanation.batch_size == 2

    def test_a_compiled_call_calls_nothing(self) -> None:
        """Once compiled, a call leaves the explanation as it is."""
        mapped = vmapguide.vmap(jnp.sin)
        compiled = jax.jit(mapped)
        compiled(X)
        explanation = mapped.explanation
        compiled(X + 1)
        assert mapped.explanation is explanation
        compiled(X.T)
        assert mapped.explanation.batch_size == 3

    def test_numbers_that_the_function_needs(self) -> None:
        """Small arguments that are not mapped keep their numbers, as they were in the call."""
        count = np.array([2, 3])

        @functools.partial(vmapguide.vmap, in_axes=(0, None, None))
        def f(x: Any, n: int, count: Any) -> Any:
            for _ in range(n + int(count[0])):
                x = jnp.sin(x)
            return x

        f(X, 1, count)
        count[0] = 100
        assert f.explanation.kinds == {"same": 3}

    @pytest.mark.parametrize("make", [jnp.ones, np.ones], ids=["jax", "numpy"])
    def test_large_arrays_are_not_kept(self, make: Any) -> None:
        """Neither those that are mapped nor those that are not."""
        mapped = vmapguide.vmap(jnp.dot, in_axes=(0, None))
        batch, shared = make((2, 1000)), make(1000)
        watched = [weakref.ref(batch), weakref.ref(shared)]
        mapped(batch, shared)
        del batch, shared
        gc.collect()
        assert [watch() for watch in watched] == [None, None]
        assert mapped.explanation.batch_size == 2

    @pytest.mark.parametrize("size", [3, 1000])
    def test_arrays_that_are_given_away(self, size: int) -> None:
        """Of an array that is donated or deleted after the call, the type is left."""
        mapped = vmapguide.vmap(jnp.dot, in_axes=(0, None))
        batch, shared = jnp.ones((2, size)), jnp.ones(size)
        mapped(batch, shared)
        batch.delete()
        jax.jit(jnp.sin, donate_argnums=0)(shared)
        assert shared.is_deleted()
        assert mapped.explanation.batch_size == 2
        doubled = vmapguide.vmap(lambda x: 2 * x)
        assert jax.jit(doubled, donate_argnums=0)(jnp.ones((2, size))).shape == (2, size)
        assert doubled.explanation.batch_size == 2

    def test_no_tracer_is_kept(self) -> None:
        """What is kept of a call inside a transformation are types: JAX finds no leak."""
        mapped = vmapguide.vmap(loss, in_axes=(None, 0))
        with jax.check_tracer_leaks():
            jax.jit(jax.grad(lambda w: mapped(w, X).sum()))(jnp.ones((4, 3)))
            assert mapped.explanation.batch_size == 2
            jax.vmap(jax.jit(lambda w: mapped(w, X)))(jnp.ones((5, 4, 3)))
            assert mapped.explanation.batch_size == 2

    def test_a_value_of_a_transformation(self) -> None:
        """A function that uses one is explained inside, and when the transformation is over."""
        kept = []

        @jax.jit
        def outer(scale: Any) -> Any:
            mapped = vmapguide.vmap(lambda x: x * scale)
            result = mapped(X)
            kept.append(mapped)
            assert mapped.explanation.batch_size == 2
            mapped(X.T)
            return result

        outer(2.0)
        assert kept[0].explanation.batch_size == 3

    def test_a_tree_that_takes_arrays_alone(self) -> None:
        """The call runs; there is no explanation, and what to do is said."""

        @jax.tree_util.register_pytree_node_class
        class Box:
            def __init__(self, content: Any) -> None:
                if isinstance(content, jax.ShapeDtypeStruct):
                    raise TypeError("a type")
                self.content = content

            def tree_flatten(self) -> Any:
                return (self.content,), None

            @classmethod
            def tree_unflatten(cls, _: Any, content: Any) -> Any:
                return cls(*content)

        mapped = vmapguide.vmap(lambda box: box.content)
        assert mapped(Box(jnp.ones(100))).shape == (100,)
        with pytest.raises(ValueError, match=r"raises TypeError\. Let it take them, or call"):
            _ = mapped.explanation
        assert mapped(Box(X)).shape == (2, 3)
        assert mapped.explanation.batch_size == 2
