"""`vmapguide.explain`: what is said to have become of an equation."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from batches import INDEX, INDICES, MATRICES, VECTOR, VECTORS, array
from jax.experimental import io_callback

import vmapguide


PARTS = array(3, 3, 4)


def kinds(f: Callable[..., Any], *args: Any, **vmap: Any) -> dict[str, str]:
    """Return the kind of every primitive, the last of its name, nested ones included."""
    steps = vmapguide.explain(f, **vmap)(*args).steps
    return {step.equation.primitive.name: step.kind for step in steps}


def made(f: Callable[..., Any], *args: Any, **vmap: Any) -> dict[str, list[str]]:
    """Return what every primitive became."""
    steps = vmapguide.explain(f, **vmap)(*args).steps
    return {
        step.equation.primitive.name: [eqn.primitive.name for eqn in step.batched] for step in steps
    }


class TestSame:
    """The same primitive, with the batch axis carried along."""

    def test_an_elementwise_operation(self) -> None:
        """One equation became one, with another axis."""
        assert kinds(jnp.negative, VECTORS) == {"neg": "same"}

    def test_layout_beside_it_does_not_count(self) -> None:
        """What lines the operands up does not make an operation another one."""

        def f(x: jax.Array, y: jax.Array) -> jax.Array:
            return x + y

        assert kinds(f, VECTORS, VECTOR, in_axes=(0, None)) == {"add": "same"}
        assert made(f, VECTORS, VECTOR, in_axes=(0, None)) == {"add": ["broadcast_in_dim", "add"]}

    def test_a_layout_operation_that_stayed_itself(self) -> None:
        """A transpose that is a transpose is no layout that vmap added."""
        assert kinds(jnp.transpose, MATRICES) == {"transpose": "same"}

    def test_a_loop_over_what_the_user_looped_over(self) -> None:
        """A scan stays one scan, for all examples at once."""
        found = kinds(lambda x: jax.lax.scan(lambda c, v: (c + v, c), 0.0, x), VECTORS)
        assert found["scan"] == "same"
        assert found["add"] == "same"


class TestShared:
    """No input is mapped: it runs once, as it was."""

    def test_what_depends_on_no_example(self) -> None:
        """The double of what is shared is shared; the sum with an example is not."""
        found = kinds(lambda x, w: x + w * 2, VECTORS, VECTOR, in_axes=(0, None))
        assert found == {"mul": "shared", "add": "same"}

    def test_inside_a_loop(self) -> None:
        """A counter is shared, what is summed is not."""
        found = kinds(lambda x: jax.lax.fori_loop(0, 3, lambda _, v: v * 2, x), VECTORS)
        assert (found["scan"], found["add"], found["mul"]) == ("same", "shared", "same")

    def test_a_batch_of_one_is_a_batch(self) -> None:
        """A mapped input is mapped, however few examples there are."""
        assert kinds(lambda x: x + 1, jnp.ones((1, 4))) == {"add": "same"}
        assert kinds(jnp.sum, jnp.ones((1, 1))) == {"reduce_sum": "same"}

    def test_a_callback_or_branch_that_no_example_decides(self) -> None:
        """What is unmapped as a whole is shared as a whole, with all that is in it."""

        def f(x: jax.Array, w: jax.Array) -> Any:
            jax.debug.print("{}", w)
            return x + jax.lax.cond(w[0] > 0, jnp.sin, jnp.cos, w)

        found = kinds(f, VECTORS, VECTOR, in_axes=(0, None))
        assert {found[name] for name in ("debug_print", "cond", "sin", "cos")} == {"shared"}
        assert found["add"] == "same"


class TestLayout:
    """Only axes are moved or added."""

    def test_an_operation_that_became_moves_of_axes_alone(self) -> None:
        """To exchange parts between examples is to transpose: all of them are there."""
        found = kinds(lambda x: jax.lax.all_to_all(x, "i", 0, 0), PARTS, axis_name="i")
        assert found == {"all_to_all": "layout"}

    def test_an_operation_with_work_in_it_is_not(self) -> None:
        """A gather beside a broadcast is not layout."""
        assert kinds(lambda x, i: x[i], VECTORS, INDICES)["dynamic_slice"] == "rewritten"


class TestRewritten:
    """It became other primitives."""

    def test_a_slice_at_a_mapped_index(self) -> None:
        """A slice that starts elsewhere for each example is a gather."""

        def f(x: jax.Array, i: jax.Array) -> jax.Array:
            return jax.lax.dynamic_slice(x, (i,), (2,))

        assert kinds(f, VECTORS, INDICES)["dynamic_slice"] == "rewritten"
        assert made(f, VECTORS, INDICES)["dynamic_slice"][-1] == "gather"

    def test_a_static_slice_is_not(self) -> None:
        """A slice at the same place for all is a slice."""
        assert kinds(lambda x: x[1:3], VECTORS) == {"slice": "same"}

    def test_a_collective_over_the_batch(self) -> None:
        """The index of an example is a range."""
        found = made(lambda x: x * jax.lax.axis_index("i"), VECTORS, axis_name="i")
        assert found["axis_index"] == ["iota"]
        assert (
            kinds(lambda x: x * jax.lax.axis_index("i"), VECTORS, axis_name="i")["axis_index"]
            == "rewritten"
        )

    def test_a_rule_that_the_user_wrote(self) -> None:
        """What a `custom_vmap` became is what its rule says."""

        @jax.custom_batching.custom_vmap
        def f(x: jax.Array) -> jax.Array:
            return jnp.sin(x)

        @f.def_vmap
        def _(_size: int, mapped: Any, x: jax.Array) -> Any:
            return jnp.cos(x) * 2, mapped[0]

        found = vmapguide.explain(lambda x: f(x))(VECTORS).steps[0]  # noqa: PLW0108
        assert found.kind == "rewritten"
        assert [eqn.primitive.name for eqn in found.batched] == ["cos", "mul"]


class TestAllBranches:
    """A `cond` whose predicate is mapped runs every branch for every example."""

    def test_a_mapped_predicate(self) -> None:
        """Both branches are there, and a select between them."""

        def f(x: jax.Array, i: jax.Array) -> Any:
            return jax.lax.cond(i > 0, jnp.sin, jnp.cos, x)

        found = kinds(f, VECTORS, INDICES)
        assert found["cond"] == "all branches"
        assert (found["sin"], found["cos"]) == ("same", "same")
        assert "select_n" in made(f, VECTORS, INDICES)["cond"]

    def test_a_mapped_index_of_a_switch(self) -> None:
        """A switch is a cond of many branches."""
        found = kinds(
            lambda x, i: jax.lax.switch(i, [jnp.sin, jnp.cos, jnp.tanh], x), VECTORS, INDICES
        )
        assert found["cond"] == "all branches"

    def test_an_unmapped_predicate(self) -> None:
        """One branch runs, for all examples."""
        found = kinds(
            lambda x, i: jax.lax.cond(i > 0, jnp.sin, jnp.cos, x),
            VECTORS,
            INDEX,
            in_axes=(0, None),
        )
        assert found["cond"] == "same"

    def test_a_where_is_not_a_branch(self) -> None:
        """`jnp.where` chooses for each example and always did."""
        found = kinds(lambda x: jnp.where(x > 0, x, -x), VECTORS)
        assert found["select_n"] == "same"
        assert "all branches" not in found.values()


class TestSlowestExample:
    """A loop whose predicate is mapped runs until the last example is done."""

    def test_a_mapped_predicate(self) -> None:
        """The select for examples that are done is not in the jaxpr: the word is all there is."""

        def f(x: jax.Array) -> Any:
            return jax.lax.while_loop(lambda v: v.sum() < 10, lambda v: v * 2, x)

        assert kinds(f, VECTORS)["while"] == "slowest example"
        assert "select_n" not in str(vmapguide.explain(f)(VECTORS).batched)

    def test_a_predicate_that_becomes_mapped_in_the_loop(self) -> None:
        """A counter that starts alike and grows by what each example says."""
        found = kinds(
            lambda n: jax.lax.while_loop(lambda i: i < 10, lambda i: i + n, jnp.int32(0)),
            INDICES,
        )
        assert found["while"] == "slowest example"

    def test_an_unmapped_predicate(self) -> None:
        """All examples go round equally often."""

        def f(x: jax.Array, n: jax.Array) -> Any:
            return jax.lax.while_loop(
                lambda c: c[0] < n, lambda c: (c[0] + 1, c[1] * 2), (jnp.int32(0), x)
            )

        assert kinds(f, VECTORS, INDEX, in_axes=(0, None))["while"] == "same"
        assert kinds(f, VECTORS, INDICES)["while"] == "slowest example"


class TestOneByOne:
    """A loop over the examples, or one operation for each of them."""

    @pytest.mark.parametrize(
        ("method", "kind"),
        [
            ("sequential", "one by one"),
            ("sequential_unrolled", "one by one"),
            ("expand_dims", "same"),
            ("broadcast_all", "same"),
        ],
    )
    def test_pure_callback(self, method: str, kind: str) -> None:
        """Python is called for each example, or once with all: the user chose."""

        def f(x: jax.Array) -> Any:
            return jax.pure_callback(np.sin, VECTOR, x, vmap_method=method)

        assert kinds(f, VECTORS) == {"pure_callback": kind}

    def test_io_callback(self) -> None:
        """A callback with effects is called for each example."""
        assert kinds(lambda x: io_callback(np.sin, VECTOR, x), VECTORS) == {
            "io_callback": "one by one"
        }

    def test_debug_print(self) -> None:
        """A print is made for each example, unrolled."""

        def f(x: jax.Array) -> None:
            jax.debug.print("{}", x)

        assert kinds(f, VECTORS) == {"debug_print": "one by one"}
        assert made(f, VECTORS)["debug_print"].count("debug_print") == 3

    def test_sequential_vmap(self) -> None:
        """A function that says so is mapped by a loop."""
        f: Any = jax.custom_batching.sequential_vmap(lambda x: jnp.sin(x) * 2)
        step = vmapguide.explain(lambda x: f(x))(VECTORS).steps[0]  # noqa: PLW0108
        assert step.kind == "one by one"
        assert step.batched[0].primitive.name == "scan"

    def test_a_loop_of_the_users_is_not(self) -> None:
        """A scan, a map and a while are the user's own loops."""
        for f in (
            lambda x: jax.lax.map(jnp.sin, x),
            lambda x: jax.lax.fori_loop(0, 3, lambda i, v: v * i, x),
            lambda x: jax.lax.while_loop(lambda v: v.sum() < 10, lambda v: v * 2, x),
        ):
            assert "one by one" not in kinds(f, VECTORS).values()


class TestSummary:
    """The view says in a sentence what it cost."""

    def test_the_sentence_counts_the_kinds(self) -> None:
        """Numbers and kinds are those of the steps."""

        def f(x: jax.Array, i: jax.Array) -> Any:
            jax.debug.print("{}", i)
            x = jax.lax.cond(i > 0, jnp.sin, jnp.cos, x)
            return jax.lax.while_loop(lambda v: v.sum() < 10, lambda v: v * 2, x)

        text = " ".join(str(vmapguide.explain(f)(VECTORS, INDICES)).split())
        first = f.__code__.co_firstlineno
        assert f"1 runs every branch for every example: line {first + 2}." in text
        assert f"1 runs until the slowest example is done: line {first + 3}." in text
        assert f"1 runs one example at a time: line {first + 1}." in text
        assert "Nothing runs one example at a time." not in text

    def test_nothing_runs_one_by_one(self) -> None:
        """That nothing is slow is worth saying."""
        text = " ".join(str(vmapguide.explain(lambda x: x + 1)(VECTORS)).split())
        assert "1 equation became 1. 1 runs once for the whole batch." in text
        assert text.endswith("Nothing runs one example at a time.")
