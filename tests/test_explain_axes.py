"""`vmapguide.explain`: where the batch axis of every value is."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from batches import W, array, neuron

import vmapguide
from vmapguide import Explanation, Step


Shape = list[int | str]


def step_of(explanation: Explanation, primitive: str) -> Step:
    """Return the first step of a primitive."""
    return next(s for s in explanation.steps if s.equation.primitive.name == primitive)


def made(explanation: Explanation) -> list[tuple[str, Shape]]:
    """Return the batched equations in the order of the steps: primitive and first shape."""
    data: Any = explanation.to_dict()
    return [
        (eqn["primitive"], list(eqn["outputs"][0]["type"]["shape"]))
        for step in data["steps"]
        for eqn in step["batched"]
    ]


def arguments(explanation: Explanation) -> list[Shape]:
    """Return the shapes of the batched arguments."""
    data: Any = explanation.to_dict()
    return [list(argument["type"]["shape"]) for argument in data["batched"]["arguments"]]


def results(explanation: Explanation) -> list[Shape]:
    """Return the shapes of the batched results."""
    data: Any = explanation.to_dict()
    return [list(result["type"]["shape"]) for result in data["batched"]["results"]]


class TestNames:
    """The batch axis is called B wherever it is."""

    def test_the_neuron(self) -> None:
        """A product with a shared matrix puts the batch last, and the sum puts it back."""
        explanation = vmapguide.explain(neuron)(array(3, 5))
        assert explanation.axis_sizes == {"B": 3}
        assert explanation.batch_size == 3
        axes = [(s.equation.primitive.name, s.batch_axes) for s in explanation.steps]
        assert axes == [
            ("dot_general", (1,)),
            ("add", (0,)),
            ("tanh", (0,)),
            ("reduce_sum", (0,)),
        ]
        assert made(explanation) == [
            ("dot_general", [2, "B"]),
            ("transpose", ["B", 2]),
            ("broadcast_in_dim", [1, 2]),
            ("add", ["B", 2]),
            ("tanh", ["B", 2]),
            ("reduce_sum", ["B"]),
        ]
        assert "f32[2,B]" in str(explanation)

    @pytest.mark.parametrize(("in_axes", "shape"), [(0, (3, 5)), (1, (5, 3)), (-1, (5, 3))])
    def test_arguments(self, in_axes: int, shape: tuple[int, ...]) -> None:
        """An argument has its batch axis where `in_axes` says, counted from either end."""
        explanation = vmapguide.explain(neuron, in_axes)(array(*shape))
        assert arguments(explanation) == [["B", 5] if in_axes == 0 else [5, "B"]]
        assert results(explanation) == [["B"]]

    def test_an_equal_size_is_not_the_batch(self) -> None:
        """Of two axes of one size only the mapped one has the name."""
        explanation = vmapguide.explain(lambda x: x.T @ x, 1)(array(3, 3, 3))
        assert arguments(explanation) == [[3, "B", 3]]
        assert results(explanation) == [["B", 3, 3]]

    @pytest.mark.parametrize("size", [0, 1])
    def test_a_batch_of_none_or_one(self, size: int) -> None:
        """A size that says nothing is no obstacle."""
        explanation = vmapguide.explain(lambda x: (x.T @ x).sum(0), 1)(array(1, size, 1))
        assert explanation.axis_sizes == {"B": size}
        assert arguments(explanation) == [[1, "B", 1]]
        assert results(explanation) == [["B", 1]]
        assert all(step.batch_axes == (0,) for step in explanation.steps)

    def test_a_billion_examples(self) -> None:
        """The size is free: nothing is computed."""
        explanation = vmapguide.explain(neuron)(array(10**9, 5))
        assert explanation.batch_size == 10**9
        assert made(explanation)[0] == ("dot_general", [2, "B"])

    def test_a_size_that_is_the_one_tried(self) -> None:
        """A program that has the very size by which axes are found is no exception."""
        explanation = vmapguide.explain(lambda x: x * 2, 1)(array(1009, 1009))
        assert results(explanation) == [["B", 1009]]
        explanation = vmapguide.explain(lambda x: x * 2, 1)(array(2018, 3))
        assert arguments(explanation) == [[2018, "B"]]

    def test_unmapped_values_have_none(self) -> None:
        """What is shared has no batch axis and no name."""
        explanation = vmapguide.explain(lambda x, w: (x + 1, w * 2), (0, None))(
            array(3, 4), array(4)
        )
        assert [step.batch_axes for step in explanation.steps] == [(0,), (None,)]
        assert arguments(explanation) == [["B", 4], [4]]

    def test_the_size_alone(self) -> None:
        """Where no argument is mapped the results are: they are broadcast at the boundary."""
        explanation = vmapguide.explain(lambda x: x + 1, None, axis_size=7)(array(4))
        assert explanation.axis_sizes == {"B": 7}
        assert [step.batch_axes for step in explanation.steps] == [(None,)]
        assert results(explanation) == [["B", 4]]

    def test_several_results(self) -> None:
        """Every result of an equation has a position of its own."""
        explanation = vmapguide.explain(
            lambda x: jax.lax.scan(lambda c, v: (c + v, c * v), 0.0, x)
        )(array(3, 4))
        assert step_of(explanation, "scan").batch_axes == (0, 1)
        data: Any = explanation.to_dict()
        (scan,) = (e for e in data["batched"]["equations"] if e["primitive"] == "scan")
        shapes = [list(output["type"]["shape"]) for output in scan["outputs"]]
        assert shapes == [["B"], [4, "B"]]
        explanation = vmapguide.explain(lambda x: jax.lax.top_k(x, 2))(array(3, 4))
        assert step_of(explanation, "top_k").batch_axes == (0, 0)

    def test_the_batch_merged_with_another_axis(self) -> None:
        """A convolution of each with its own kernel is one over groups: the axes are merged."""

        def f(x: jax.Array, k: jax.Array) -> Any:
            return jax.lax.conv(x, k, (1,), "SAME")

        explanation = vmapguide.explain(f)(array(3, 1, 4, 8), array(3, 2, 4, 5))
        shapes = [shape for _, shape in made(explanation)]
        assert [1, "B·4", 8] in shapes
        assert ["B·2", 4, 5] in shapes
        assert [1, "B·2", 8] in shapes


class TestNestedAxes:
    """Inside of equations, and under several vmaps."""

    def test_a_wrapper_of_the_users_is_not_looked_through(self) -> None:
        """A function that hands something else to a vmapped one says nothing of its own axes."""

        def transposed(fun: Any) -> Any:
            return lambda x: fun(x.T)

        explanation = vmapguide.explain(transposed(jax.vmap(jnp.sum)))(jnp.ones((3, 4, 5)))
        assert explanation.axis_sizes == {"B": 3}
        data: Any = explanation.to_dict()["batched"]
        assert data["arguments"][0]["type"]["shape"] == ("B", 4, 5)

    def test_in_a_loop(self) -> None:
        """In a scan's body the loop's axis is gone and the batch is where it was moved to."""
        explanation = vmapguide.explain(
            lambda x: jax.lax.scan(lambda c, v: (c + v, jnp.sin(v)), jnp.zeros(5), x)
        )(array(3, 4, 5))
        assert step_of(explanation, "sin").depth == 1
        assert step_of(explanation, "sin").batch_axes == (0,)
        shapes = dict(made(explanation))
        assert shapes["sin"] == ["B", 5]
        assert shapes["transpose"] == [4, "B", 5]

    def test_in_a_branch_and_a_call(self) -> None:
        """In a branch, a loop and a compiled function too."""

        def f(x: jax.Array, i: jax.Array) -> Any:
            y = jax.lax.cond(i > 0, jnp.sin, jnp.cos, x)
            return jax.jit(lambda v: jnp.tanh(jnp.dot(W, v)))(y)

        explanation = vmapguide.explain(f, (1, 0))(array(5, 3), array(3))
        shapes = dict(made(explanation))
        assert sorted([shapes["sin"], shapes["cos"]], key=str) == [["B", 5], ["B", 5]]
        assert shapes["dot_general"] == [2, "B"]
        assert shapes["tanh"] == [2, "B"]
        assert step_of(explanation, "dot_general").batch_axes == (1,)

    def test_two_vmaps(self) -> None:
        """The outer batch is B and the inner one C."""
        explanation = vmapguide.explain(jax.vmap(lambda y: y * y.sum(), in_axes=1))(array(3, 4, 5))
        assert explanation.axis_sizes == {"B": 3, "C": 5}
        assert arguments(explanation) == [["B", 4, "C"]]
        assert results(explanation) == [["B", "C", 4]]
        data: Any = explanation.to_dict()
        (argument,) = data["per_example"]["arguments"]
        assert list(argument["type"]["shape"]) == [4, "C"]

    def test_two_vmaps_over_different_arguments(self) -> None:
        """Batches of one size keep their names apart."""
        explanation = vmapguide.explain(jax.vmap(jnp.multiply, (None, 0)), (0, None))(
            array(3), array(3, 4)
        )
        assert arguments(explanation) == [["B"], ["C", 4]]
        assert results(explanation) == [["B", "C", 4]]

    def test_three_vmaps(self) -> None:
        """Each `vmap` inside another has the next letter of the alphabet."""
        f = jax.vmap(jax.vmap(lambda y: y * 2, in_axes=1, out_axes=1))
        explanation = vmapguide.explain(f)(array(2, 3, 4, 5))
        assert explanation.axis_sizes == {"B": 2, "C": 3, "D": 5}
        assert results(explanation) == [["B", "C", 4, "D"]]

    @pytest.mark.parametrize("wrap", [jax.jit, jax.vmap], ids=["jit", "vmap"])
    def test_a_vmap_in_the_function_has_sizes(self, wrap: Callable[..., Any]) -> None:
        """The batch is B whether or not the inner vmap could be seen."""

        def f(x: jax.Array) -> Any:
            return wrap(lambda y: jnp.sin(y) * 2)(x)

        assert vmapguide.explain(f)(array(3, 4)).axis_sizes == {"B": 3}
        assert results(vmapguide.explain(f)(array(3, 4))) == [["B", 4]]


class TestCollectives:
    """Operations over the batch axis itself."""

    def test_a_sum_over_the_batch(self) -> None:
        """What is summed over all examples is the same for all."""
        explanation = vmapguide.explain(lambda x: x - jax.lax.psum(x, "i"), axis_name="i")(
            array(3, 4)
        )
        assert [step.batch_axes for step in explanation.steps] == [(None,), (0,)]

    def test_all_that_was_gathered(self) -> None:
        """What each example gathers from all has the batch as an axis of its own."""
        explanation = vmapguide.explain(lambda x: jax.lax.all_gather(x, "i"), axis_name="i")(
            array(3, 4)
        )
        assert results(explanation) == [["B", "B", 4]]

    def test_a_program_of_one_size(self) -> None:
        """Where no other size can be tried, vmap is asked where the axis is."""

        def f(x: jax.Array) -> Any:
            return jax.lax.ppermute(x * 2, "i", [(0, 1), (1, 2), (2, 0)]) + 1

        explanation = vmapguide.explain(f, 1, axis_name="i")(array(4, 3))
        assert [step.batch_axes for step in explanation.steps] == [(1,), (1,), (1,)]
        shapes = [shape for _, shape in made(explanation)]
        assert shapes[:2] == [[4, "B"], [4, "B"]]
        assert shapes[-1] == [4, "B"]

    def test_a_program_that_is_written_by_its_size(self) -> None:
        """A Python loop over the size of the batch makes another program of another size."""

        def f(x: jax.Array) -> Any:
            for _ in range(jax.lax.psum(1, "i")):
                x = x * 2
            return x

        explanation = vmapguide.explain(f, -1, axis_name="i")(array(4, 3))
        assert [step.batch_axes for step in explanation.steps] == [(1,)] * 3
        assert [shape for _, shape in made(explanation)] == [[4, "B"]] * 3
