"""What was reported of `check`: donated arrays, classes that vmap takes apart, effects, time."""

import dataclasses
import functools
import sys
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.experimental import checkify, sparse
from jax.interpreters import batching

import vmapguide
from vmapguide import Check


X = jax.random.normal(jax.random.key(0), (4, 3))
W = jax.random.normal(jax.random.key(1), (3, 3))
MATRICES = jnp.stack([jnp.eye(3), 2 * jnp.eye(3), 3 * jnp.eye(3)])


def doubled(x: jax.Array) -> jax.Array:
    """Return the double of its argument."""
    return 2 * x


def codes(check: Check) -> list[str]:
    """Return the codes of the reasons of a check."""
    return [reason.code for reason in check.reasons]


@pytest.mark.filterwarnings("ignore:Some donated buffers were not usable")
class TestDonation:
    """A function may donate its arguments: the caller's own arrays survive the check."""

    def test_the_argument(self) -> None:
        """`donate_argnums` deletes what is passed in, and what is passed in is a copy."""
        x = X * 1.5
        check = vmapguide.check(jax.jit(doubled, donate_argnums=0))(x)
        assert check.same
        assert not x.is_deleted()

    def test_by_name(self) -> None:
        """`donate_argnames`, and a keyword argument."""
        x = X * 1.5
        step = jax.jit(lambda a, *, x: a + x, donate_argnames="x")
        assert vmapguide.check(step)(X, x=x).same
        assert not x.is_deleted()

    @pytest.mark.parametrize("size", [1, 4])
    def test_in_a_helper(self, size: int) -> None:
        """The function itself is not compiled, and a batch of one is a copy, too."""
        x = X[:size] * 1.5
        helper = jax.jit(doubled, donate_argnums=0)
        assert vmapguide.check(lambda x: helper(x).sum())(x).same
        assert not x.is_deleted()

    def test_what_is_not_mapped(self) -> None:
        """Every example gets it anew."""
        w = W * 1.5
        step = jax.jit(lambda w, x: w @ x, donate_argnums=0)
        assert vmapguide.check(step, (None, 0))(w, X).same
        assert not w.is_deleted()

    def test_with_an_axis_name(self) -> None:
        """Inside `vmap` and in batches of one."""
        x = X * 1.5
        step = jax.jit(lambda x: x - 0 * lax.pmean(x, "i"), donate_argnums=0)
        assert vmapguide.check(step, axis_name="i")(x).same
        assert not x.is_deleted()

    def test_while_a_difference_is_looked_into(self) -> None:
        """The reasons run the function, too."""
        x = X * 1.5
        big = jax.random.normal(jax.random.key(2), (64, 3))
        step = jax.jit(lambda n, x: (n, big @ x), donate_argnums=(0, 1))
        n = jnp.arange(4)
        vmapguide.check(step, rtol=0, atol=0)(n, x)
        assert not n.is_deleted()
        assert not x.is_deleted()

    def test_an_array_of_numpys_that_is_written_into(self) -> None:
        """It is a side effect, and the caller's array has none of it."""
        w = np.zeros(3, np.float32)

        def f(w: Any, x: jax.Array) -> jax.Array:
            w += 1
            return x * jnp.asarray(w.copy())

        assert codes(vmapguide.check(f, (None, 0))(w, X)) == ["side effect"]
        assert not w.any()


@jax.tree_util.register_pytree_with_keys_class
class Tagged:
    """A leaf under a tag that is another one whenever one is made."""

    made = 0

    def __init__(self, leaf: Any = None, tag: int | None = None) -> None:
        Tagged.made += 1
        self.leaf = leaf
        self.tag = Tagged.made if tag is None else tag

    def tree_flatten_with_keys(self) -> Any:
        return ((jax.tree_util.GetAttrKey("leaf"), self.leaf),), self.tag

    @classmethod
    def tree_unflatten(cls, tag: int, leaves: Any) -> "Tagged":
        return cls(leaves[0], tag)


@functools.partial(jax.tree_util.register_dataclass, data_fields=["leaf"], meta_fields=["kind"])
@dataclasses.dataclass
class Kind:
    """A leaf of a kind."""

    leaf: Any
    kind: str


class TestStructures:
    """Results that differ in what their classes say about themselves."""

    @pytest.mark.parametrize("wrap", [lambda f: f, jax.jit], ids=["plain", "compiled"])
    def test_checkify(self, wrap: Any) -> None:
        """Its errors have the numbers of a counter."""

        def f(x: jax.Array) -> Any:
            def g(x: jax.Array) -> jax.Array:
                checkify.check(x.sum() > 0, "not positive")
                return jnp.log(x)

            return checkify.checkify(g)(x)

        for batch in (jnp.ones((4, 3)), jnp.ones((4, 3)).at[2].set(-1)):
            check = vmapguide.check(wrap(f))(batch)
            assert check.same, str(check)
            assert check.reasons == ()

    def test_a_wrong_rule_under_checkify(self) -> None:
        """What is no number of a counter is compared."""

        @jax.custom_batching.custom_vmap
        def sine(x: jax.Array) -> jax.Array:
            return jnp.sin(x)

        @sine.def_vmap
        def _(size: int, batched: Any, x: jax.Array) -> Any:
            del size, batched
            return jnp.cos(x), True

        def f(x: jax.Array) -> Any:
            def g(x: jax.Array) -> Any:
                checkify.check(x.sum() < 100, "too large")
                return sine(x)

            return checkify.checkify(g)(x)

        assert codes(vmapguide.check(f)(X)) == ["custom_vmap rule"]

    def test_a_class_of_the_users(self) -> None:
        """A tag that is never the same, and a value that is."""
        check = vmapguide.check(lambda x: {"a": Tagged(x * 2)})(X)
        assert check.same
        assert check.leaves[0].path == "['a'].leaf"

    def test_a_value_that_differs_beside_it(self) -> None:
        """The leaves are compared all the same."""

        def f(x: jax.Array) -> Any:
            return Tagged(x + isinstance(x, jax.core.Tracer))

        assert not vmapguide.check(f)(X).same

    def test_a_counter_beside_it(self) -> None:
        """A side effect is one, whatever else differs for each call."""
        assert codes(vmapguide.check(lambda x: Tagged(x + Tagged.made))(X)) == ["side effect"]

    def test_what_is_the_same_for_every_call(self) -> None:
        """A kind that depends on a value is a result, and vmap has another one."""

        def f(x: jax.Array) -> Any:
            is_large = not isinstance(x, jax.core.Tracer) and x > 1
            return Kind(x, "large" if is_large else "small")

        assert vmapguide.check(f)(jnp.zeros(3)).same
        with pytest.raises(TypeError, match=r"for example 2 the loop returns"):
            vmapguide.check(f)(jnp.arange(3.0))

    @pytest.mark.parametrize(
        "other",
        [lambda x: Kind(x, "small"), lambda x: {"leaf": x}, lambda x: (Tagged(x), x)],
        ids=["class", "dict", "tuple"],
    )
    def test_another_class(self, other: Callable[[jax.Array], Any]) -> None:
        """Results in another container are of another structure."""

        def f(x: jax.Array) -> Any:
            return Tagged(x) if isinstance(x, jax.core.Tracer) else other(x)

        with pytest.raises(TypeError, match="different structure"):
            vmapguide.check(f)(X)


class Rows:
    """Rows of a matrix, how many of which there are is said beside them; vmap counts them."""

    def __init__(self, rows: Any, count: int) -> None:
        self.rows = rows
        self.count = count
        # What `jax.vmap` asks of everything that is mapped.
        self.shape = jnp.shape(rows) if hasattr(rows, "shape") else ()
        self.dtype = np.dtype("float32")


@pytest.fixture(params=["a pytree", "no pytree"])
def rows(request: pytest.FixtureRequest) -> Iterator[tuple[type, bool]]:
    """Yield a class that has rules for `vmap`, and whether it is a pytree."""
    kind = type("Rows", (Rows,), {})
    if is_pytree := request.param == "a pytree":
        jax.tree_util.register_pytree_node(
            kind, lambda r: ((r.rows,), r.count), lambda count, rows: kind(*rows, count)
        )

    def to_one(get: Any, _: Any, rows: Any, axis: Any) -> Any:
        return kind(get(rows.rows, axis), 1)

    def to_all(put: Any, size: Any, rows: Any, axis: Any) -> Any:
        return kind(put(size, rows.rows, axis), size)

    batching.register_vmappable(kind, int, int, to_one, to_all, None)
    yield kind, is_pytree
    batching.unregister_vmappable(kind)


class TestVmappable:
    """A class may have rules of its own for what one example of it is."""

    def test_bcoo(self) -> None:
        """The function gets a matrix, not the part of a batch."""
        batch = sparse.BCOO.fromdense(MATRICES, n_batch=1)
        check = vmapguide.check(lambda A, x: A @ x)(batch, X[:3])
        assert check.same
        assert check.batch_size == 3

    def test_in_a_pytree_and_not_mapped(self) -> None:
        """Beside arrays, and where the whole of it is shared."""
        batch = sparse.BCOO.fromdense(MATRICES, n_batch=1)
        b = sparse.BCOO.fromdense(jnp.eye(3))

        def f(p: Any, b: Any, n: int) -> Any:
            return p["A"] @ (b @ p["x"]) * n

        assert vmapguide.check(f, (0, None, None))({"A": batch, "x": X[:3]}, b, 2).same

    def test_shapes(self) -> None:
        """They are those inside `vmap`."""
        batch = sparse.BCOO.fromdense(MATRICES, n_batch=1)
        shapes = set()

        def f(A: Any) -> Any:
            shapes.add(A.shape)
            return A.todense().sum()

        assert vmapguide.check(f)(batch).same
        assert shapes == {(3, 3)}

    def test_for_a_result(self) -> None:
        """A sparse result of the batch is compared with a matrix for each example."""
        batch = sparse.BCOO.fromdense(MATRICES, n_batch=1)
        assert vmapguide.check(lambda A: 2 * A)(batch).same
        assert vmapguide.check(lambda s: s * sparse.BCOO.fromdense(jnp.eye(2)))(jnp.ones(3)).same

    def test_with_an_axis_name(self) -> None:
        """Under the name of an axis the loop runs in batches of one, of sparse matrices, too."""
        batch = sparse.BCOO.fromdense(MATRICES, n_batch=1)
        check = vmapguide.check(lambda A, x: A @ x, axis_name="i")(batch, X[:3])
        assert check.same

    def test_another_axis(self) -> None:
        """`vmap` finds it, and so does the loop."""
        batch = sparse.BCOO.fromdense(jnp.stack([MATRICES, MATRICES]), n_batch=2)
        assert vmapguide.check(lambda A: A.todense().sum(axis=0), 1)(batch).same

    def test_a_class_of_the_users(self, rows: tuple[type, bool]) -> None:
        """Its rules hold in the loop, if it says what its leaves are."""
        kind, is_pytree = rows
        batch = kind(X, 4)

        def f(r: Any) -> Any:
            return r.rows * r.count

        assert jax.vmap(f)(batch).shape == X.shape
        if is_pytree:
            check = vmapguide.check(f)(batch)
            assert check.same
            assert check.batch_size == 4
        else:
            with pytest.raises(TypeError, match=r"r is of type Rows, .* Register Rows as a pytree"):
                vmapguide.check(f)(batch)


def nothing(x: jax.Array) -> None:
    """Do nothing."""
    del x


class TestEffects:
    """What is printed is counted on both sides."""

    def test_a_branch_that_the_loop_does_not_take(self, capfd: pytest.CaptureFixture[str]) -> None:
        """The values are equal, vmap prints for every example, and the counting prints nothing."""

        def f(x: jax.Array) -> jax.Array:
            lax.cond(x > 0, nothing, lambda x: jax.debug.print("negative {}", x), x)
            return 2 * x

        check = vmapguide.check(f)(jnp.arange(1.0, 4.0))
        assert check.same
        (reason,) = check.reasons
        assert reason.code == "effect"
        assert "runs 3 times in vmap and never in the loop, for 3 examples" in reason.text
        assert reason.source is not None
        assert "jax.debug.print" in reason.source.expression
        jax.effects_barrier()
        assert capfd.readouterr().out.count("negative") == 3

    def test_some_of_the_examples(self) -> None:
        """The counts are said; of a sample, with how many it was."""

        def f(x: jax.Array) -> jax.Array:
            lax.cond(x > 1, nothing, lambda x: jax.debug.callback(nothing, x), x)
            return 2 * x

        (reason,) = vmapguide.check(f)(jnp.arange(4.0)).reasons
        assert "runs 4 times in vmap and 2 times in the loop, for 4 examples" in reason.text
        (reason,) = vmapguide.check(f, examples=3)(jnp.arange(50.0) + 2).reasons
        assert "50 times in vmap, for 50 examples, and never in the loop, for 3" in reason.text

    def test_a_loop_that_is_done_for_some(self) -> None:
        """It goes round until the last example is done."""

        def f(x: jax.Array) -> Any:
            def body(y: jax.Array) -> jax.Array:
                jax.debug.callback(nothing, y)
                return y + 1

            return lax.while_loop(lambda y: y < 3, body, x)

        (reason,) = vmapguide.check(f)(jnp.arange(3.0)).reasons
        assert "runs 9 times in vmap and 6 times in the loop" in reason.text

    def test_a_pure_callback(self) -> None:
        """It is called in a branch that no example takes, whatever its `vmap_method`."""

        def f(x: jax.Array) -> Any:
            def called(x: jax.Array) -> Any:
                return jax.pure_callback(np.sin, x, x, vmap_method="expand_dims")

            return lax.cond(x > 0, lambda x: x, called, x)

        (reason,) = vmapguide.check(f)(jnp.arange(1.0, 4.0)).reasons
        assert "jax.pure_callback" in reason.text
        assert "in vmap and never in the loop" in reason.text

    def test_what_is_the_same_for_all_examples(self) -> None:
        """It is printed once in vmap."""

        def f(w: jax.Array, x: jax.Array) -> jax.Array:
            jax.debug.callback(nothing, w)
            return w * x

        (reason,) = vmapguide.check(f, (None, 0))(jnp.float32(2), X).reasons
        assert "runs once in vmap and 4 times in the loop" in reason.text

    @pytest.mark.parametrize("key", [False, True], ids=["number", "key"])
    def test_for_every_example(self, key: bool) -> None:
        """There is nothing to be told of where both sides print the same."""

        def f(x: jax.Array, k: Any) -> Any:
            jax.debug.callback(nothing, k if key else x)
            lax.cond(True, lambda x: jax.debug.callback(nothing, x), nothing, x)
            return jax.pure_callback(np.sin, x, x, vmap_method="sequential")

        keys = jax.random.split(jax.random.key(0), 4)
        assert vmapguide.check(f)(X, keys).reasons == ()

    def test_the_remedy(self) -> None:
        """What is called decides by the predicate, and is called as often as the loop does."""
        seen: list[float] = []

        def see(p: Any, x: Any) -> None:
            if p:
                seen.append(float(x))

        def f(x: jax.Array) -> jax.Array:
            jax.debug.callback(see, x > 1, x)
            return 2 * x

        check = vmapguide.check(f)(jnp.arange(4.0))
        assert check.same
        assert check.reasons == ()
        assert sorted(seen) == [2, 2, 3, 3]

    def test_beside_a_difference(self) -> None:
        """It is no reason for one."""

        def f(x: jax.Array) -> jax.Array:
            lax.cond(x > 0, nothing, lambda x: jax.debug.callback(nothing, x), x)
            return x + isinstance(x, jax.core.Tracer)

        check = vmapguide.check(f)(jnp.arange(1.0, 4.0))
        assert codes(check) == ["effect"]
        assert "Why is not known" in str(check)


def arrays_seen(f: Any, batch: jax.Array, **options: Any) -> tuple[Check, int]:
    """Check a function, and count how often its Python runs with an array and not a tracer."""
    seen: list[bool] = []

    def noted(x: jax.Array) -> Any:
        seen.append(type(x) is type(X))
        return f(x)

    check = vmapguide.check(noted, **options)(batch)
    return check, sum(seen)


class TestLoops:
    """The loop compiles what it repeats once, and gives what it would give otherwise."""

    def test_a_scan(self) -> None:
        """The first examples run as they are, the others by the same program, bit by bit."""

        def f(x: jax.Array) -> Any:
            return lax.scan(lambda c, _: (jnp.sin(c) + x, c), x, None, length=50)

        check, seen = arrays_seen(f, jnp.linspace(0, 1, 50), rtol=0, atol=0)
        assert check.same
        assert all(leaf.identical for leaf in check.leaves)
        assert seen == 2

    @pytest.mark.parametrize("axis_name", [None, "i"])
    def test_what_is_found(self, axis_name: Any) -> None:
        """A wrong rule is wrong for the last example, too."""

        @jax.custom_batching.custom_vmap
        def sine(x: jax.Array) -> jax.Array:
            return jnp.sin(x)

        @sine.def_vmap
        def _(size: int, batched: Any, x: jax.Array) -> Any:
            del size, batched
            return jnp.sin(x).at[-1].add(1), True

        check = vmapguide.check(sine, axis_name=axis_name)(jnp.arange(9.0))
        assert codes(check) == ["custom_vmap rule"]
        assert check.leaves[0].index == (8,)

    @pytest.mark.parametrize(
        "f",
        [
            lambda x: x * (1 if float(x) >= 0 else 2),
            lambda x: x * np.asarray(x) ** 0,
            lambda x: x + 0 * len(str(x)),
            lambda x: x * 1.0 if x.item() > 0 else x,
        ],
        ids=["float", "NumPy", "str", "item"],
    )
    def test_python_that_looks_at_a_value(self, f: Callable[[jax.Array], Any]) -> None:
        """In the loop it may; where it asks first whether it may, every example runs as it is."""

        def careful(x: jax.Array) -> Any:
            return x * 1.0 if isinstance(x, jax.core.Tracer) else f(x)

        check, seen = arrays_seen(careful, jnp.arange(9.0))
        assert check.same
        assert seen == 9

    def test_an_error_for_a_later_example(self) -> None:
        """A function that looks at values where there are any is asked every time."""

        def f(x: jax.Array) -> jax.Array:
            if not isinstance(x, jax.core.Tracer) and x == 7:
                raise ArithmeticError("seven")
            return x

        with pytest.raises(ArithmeticError, match="seven") as caught:
            vmapguide.check(f)(jnp.arange(9.0))
        assert "for example 7;" in caught.value.__notes__[-1]
        assert "sees no values" in caught.value.__notes__[-1]

    def test_another_value_for_a_later_example(self) -> None:
        """A function that has another value for a later example alone is found, too."""

        def f(x: jax.Array) -> jax.Array:
            return x + isinstance(x, jax.core.Tracer) * (x == 7)

        (leaf,) = vmapguide.check(f)(jnp.arange(9.0)).leaves
        assert (leaf.count, leaf.index) == (1, (7,))

    def test_a_side_effect_that_comes_late(self) -> None:
        """Each example is traced, so a program that becomes another one is noticed."""
        numbers = iter(range(1000))
        check = vmapguide.check(lambda x: x + max(next(numbers) - 6, 0))(jnp.arange(20.0))
        assert codes(check) == ["side effect"]

    def test_a_callback_that_knows_more(self) -> None:
        """What Python does inside a callback no jaxpr shows."""

        def f(x: jax.Array) -> Any:
            return jax.pure_callback(lambda y: y * 2, x, x, vmap_method="sequential")

        check, seen = arrays_seen(f, jnp.arange(9.0))
        assert check.same
        assert seen == 9

    def test_numbers_that_are_not_mapped(self) -> None:
        """Python may use them, and an array, too."""

        def f(n: int, flag: Any, x: jax.Array) -> jax.Array:
            return sum((x**k for k in range(n)), x) if flag > 0 else x

        assert vmapguide.check(f, (None, None, 0))(3, jnp.float32(1), jnp.arange(9.0)).same

    def test_while_somebody_profiles(self) -> None:
        """Their profiler stays, and every example runs as it is."""
        events: list[str] = []

        def profile(_: Any, event: str, __: Any) -> None:
            events.append(event)

        sys.setprofile(profile)
        try:
            check, seen = arrays_seen(jnp.sin, jnp.arange(9.0))
            assert sys.getprofile() is profile
        finally:
            sys.setprofile(None)
        assert check.same
        assert seen == 9
