"""The rules about memory and layout: relatives of their cases, and what must not fire."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from finding_cases.memory import A, P, X, kernel, multiplies_in_a_branch, of, smooths
from jax import lax

import vmapguide
from vmapguide import Explanation, Finding
from vmapguide._data import Limits
from vmapguide._rules.find import find


SHARED = (None, 0, 0)


def findings(explanation: Explanation, code: str) -> list[Finding]:
    """Return what a rule found."""
    return [finding for finding in explanation.findings if finding.code == code]


def codes(explanation: Explanation) -> set[str]:
    """Return the rules of this family that found something."""
    return {finding.code for finding in explanation.findings if finding.code[2] == "2"}


def asked(explanation: Explanation, limits: Limits) -> set[str]:
    """Return the rules that find something from other limits on."""
    return {finding.code for finding in find(explanation._subject(limits))}  # noqa: SLF001


def temporary_bytes(f: Callable[..., Any], *args: Any, **vmap: Any) -> int:
    """Return how much memory XLA takes besides arguments and results."""
    memory: Any = jax.jit(jax.vmap(f, **vmap)).lower(*args).compile().memory_analysis()
    return int(memory.temp_size_in_bytes)


# -- Copies ------------------------------------------------------------------

USES = {
    "sort": lambda a, x: jnp.sort(a, 0)[3] + x,
    "cumsum": lambda a, x: jnp.cumsum(a, 0)[3] + x,
    "cholesky": lambda a, x: jnp.linalg.cholesky(a)[3] + x,
    "solve": jnp.linalg.solve,
    "loop": lambda a, x: lax.fori_loop(0, 9, lambda i, c: jnp.tanh(c + a[i]), x),
}


@pytest.mark.parametrize(
    "use",
    [
        pytest.param(use, marks=pytest.mark.cpu_only if name == "cumsum" else (), id=name)
        for name, use in USES.items()
    ],
)
def test_a_copy_in_a_branch_is_in_memory(use: Callable[..., Any]) -> None:
    """What XLA computes apart from its surroundings has the copies in memory."""

    def f(a: jax.Array, x: jax.Array, p: jax.Array) -> Any:
        return lax.cond(p, lambda x: use(a, x), lambda x: x, x)

    (finding,) = findings(vmapguide.explain(f, in_axes=SHARED)(A, X, P), "VG201")
    assert finding.bytes == 32 * 64 * 64 * 4
    assert "`a`" in finding.message
    assert temporary_bytes(f, A, X, P, in_axes=SHARED) >= finding.bytes


FUSED = {
    "sum": lambda a, x: (a + x).sum(0),
    "row": lambda a, x: a[3] + x,
    "gather": lambda a, x: a[jnp.argmax(x)] + x,
    "slice": lambda a, x: lax.dynamic_slice(a, (jnp.argmax(x), 0), (1, 64))[0],
}


@pytest.mark.parametrize("use", FUSED.values(), ids=FUSED)
def test_a_copy_that_is_fused_away_is_none(use: Callable[..., Any]) -> None:
    """The batched jaxpr has copies, and the compiled program has none: nothing is said."""

    def f(a: jax.Array, x: jax.Array, p: jax.Array) -> Any:
        return lax.cond(p, lambda x: use(a, x), lambda x: x, x)

    assert codes(vmapguide.explain(f, in_axes=SHARED)(A, X, P)) == set()
    assert temporary_bytes(f, A, X, P, in_axes=SHARED) < 32 * 64 * 64 * 4


def test_a_shared_part_of_an_array_that_is_multiplied() -> None:
    """Most of what is multiplied is the same for all examples."""

    def f(w: jax.Array, context: jax.Array, x: jax.Array) -> Any:
        return w @ jnp.tanh(jnp.concatenate([context, x]))

    types = of(8, 4160), of(4096), X
    (finding,) = findings(vmapguide.explain(f, in_axes=(None, None, 0))(*types), "VG201")
    assert finding.source is not None
    assert finding.source.expression == "jnp.concatenate([context, x])"
    assert "`context`" in finding.message
    assert codes(vmapguide.explain(f, in_axes=(None, None, 0))(*types)) == {"VG201"}

    def parts(w: jax.Array, context: jax.Array, x: jax.Array) -> Any:
        return w[:, :4096] @ jnp.tanh(context) + w[:, 4096:] @ jnp.tanh(x)

    assert codes(vmapguide.explain(parts, in_axes=(None, None, 0))(*types)) == set()


def test_padding_is_no_copy() -> None:
    """Zeros beside an example are not in memory before they are there."""

    def f(w: jax.Array, x: jax.Array) -> Any:
        return w @ jnp.concatenate([x, jnp.zeros(4096)])

    assert codes(vmapguide.explain(f, in_axes=(None, 0))(of(8, 4160), X)) == set()


def test_a_shared_array_of_which_little_is_changed() -> None:
    """Each example gets a copy of the whole array, to change one row."""

    def f(table: jax.Array, x: jax.Array, i: jax.Array) -> Any:
        return table.at[i].set(x)

    types = A, X, of(32, dtype=jnp.int32)
    (finding,) = findings(vmapguide.explain(f, in_axes=SHARED)(*types), "VG201")
    assert "to change 64 of its 4,096 numbers" in finding.message


def test_a_buffer_that_each_example_makes() -> None:
    """An array of zeros that an example writes into is its own, and no copy of anything."""

    def f(i: jax.Array) -> Any:
        return jnp.zeros(4096).at[i].set(1.0)

    assert codes(vmapguide.explain(f)(of(32, dtype=jnp.int32))) == set()


def test_a_callback_may_broadcast_itself() -> None:
    """`broadcast_all` hands it copies, `expand_dims` does not."""

    def call(method: str) -> Explanation:
        def f(a: jax.Array, x: jax.Array) -> Any:
            return jax.pure_callback(lambda _, x: x, of(64), a, x, vmap_method=method)

        return vmapguide.explain(f, in_axes=(None, 0))(A, X)

    assert codes(call("broadcast_all")) == {"VG201"}
    assert codes(call("expand_dims")) == set()


def test_what_a_permutation_and_argsort_copy() -> None:
    """To sort a shared array in another order for each example takes one copy for each."""
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), 32))
    shuffle = vmapguide.explain(jax.random.permutation, in_axes=(0, None))(keys, of(8192))
    assert codes(shuffle) == set()
    assert codes(vmapguide.explain(jnp.argsort)(of(32, 8192))) == set()


def test_copies_in_a_loop_are_another_rules() -> None:
    """The carry of a loop that is promoted has a rule of its own."""

    def f(x: jax.Array) -> Any:
        return lax.fori_loop(0, 9, lambda i, b: b.at[i].set(x.sum()), jnp.zeros(4096)).sum()

    assert codes(vmapguide.explain(f)(X)) == set()


# -- Products of copies ------------------------------------------------------


@pytest.mark.cpu_only
def test_a_product_in_a_branch_costs_memory() -> None:
    """The compiled program has the copies, and it has none once the product is outside."""
    args = A, X, P
    explanation = vmapguide.explain(multiplies_in_a_branch, in_axes=SHARED)(*args)
    (finding,) = findings(explanation, "VG203")
    assert finding.bytes is not None
    assert temporary_bytes(multiplies_in_a_branch, *args, in_axes=SHARED) >= finding.bytes
    assert codes(explanation) == {"VG203"}  # One cause, one finding.


def test_a_pick_between_shared_matrices() -> None:
    """`where` between two matrices, and then a product, reads a matrix for each example."""

    def f(a: jax.Array, b: jax.Array, x: jax.Array, p: jax.Array) -> Any:
        return jnp.where(p, a, b) @ x

    types = A, A, X, P
    (finding,) = findings(vmapguide.explain(f, in_axes=(None, None, 0, 0))(*types), "VG203")
    assert "picks all of it" in finding.message

    def g(a: jax.Array, b: jax.Array, x: jax.Array, p: jax.Array) -> Any:
        return jnp.where(p, a @ x, b @ x)

    assert codes(vmapguide.explain(g, in_axes=(None, None, 0, 0))(*types)) == set()


def test_a_mask_of_each_example() -> None:
    """Where each example picks entries of its own, the matrix is its own."""

    def f(a: jax.Array, mask: jax.Array, x: jax.Array) -> Any:
        return jnp.where(mask, a, 2 * a) @ x

    types = A, of(32, 64, 64, dtype=bool), X
    assert codes(vmapguide.explain(f, in_axes=SHARED)(*types)) == set()


def test_a_product_in_a_jitted_helper_in_a_branch_in_a_loop() -> None:
    """The copy is found wherever it goes, and the shared matrix is named by its type there."""
    helper = jax.jit(lambda a, x: a @ x)

    def f(a: jax.Array, x: jax.Array) -> Any:
        def trip(_: Any, x: jax.Array) -> Any:
            return lax.cond(x.sum() > 0, lambda x: helper(a, x), lambda x: x, x)

        return lax.fori_loop(0, 9, trip, x)

    (finding,) = findings(vmapguide.explain(f, in_axes=(None, 0))(A, X), "VG203")
    assert "f32[64,64]" in finding.message


def test_a_product_in_the_gradient_of_a_branch() -> None:
    """The gradient multiplies by the copies as well."""

    def loss(x: jax.Array, a: jax.Array, p: jax.Array) -> Any:
        return multiplies_in_a_branch(a, x, p).sum()

    gradient = vmapguide.explain(jax.grad(loss), in_axes=(0, None, 0))(X, A, P)
    assert "VG203" in codes(gradient)


def test_an_inner_vmap_that_shares_is_explained_by_the_outer_axis() -> None:
    """What no example of the outermost batch has a say in is not this call's affair."""

    def f(a: jax.Array, xs: jax.Array, y: jax.Array) -> Any:
        inner = jax.vmap(multiplies_in_a_branch, in_axes=SHARED)(a, xs, xs[:, 0] > 0)
        return inner * y

    assert codes(vmapguide.explain(f, in_axes=(None, None, 0))(A, X, of(20))) == set()


@pytest.mark.parametrize("size", [1, 16, 15])
def test_small_copies_are_passed_over(size: int) -> None:
    """One example has no copies, 16 matrices of 64 by 64 are at the limit, and 15 below."""
    types = A, of(size, 64), of(size, dtype=bool)
    explanation = vmapguide.explain(multiplies_in_a_branch, in_axes=SHARED)(*types)
    assert codes(explanation) == ({"VG203"} if size == 16 else set())


def test_two_products_of_a_line() -> None:
    """One finding names both matrices, and what their copies take together."""

    def f(a: jax.Array, b: jax.Array, x: jax.Array, p: jax.Array) -> Any:
        return lax.cond(p, lambda x: a @ x + b @ x, lambda x: x, x)

    types = A, of(64, 64), X, P
    (finding,) = findings(vmapguide.explain(f, in_axes=(None, None, 0, 0))(*types), "VG203")
    assert "a copy of `a` and `b`" in finding.message
    assert finding.bytes == 2 * 32 * 64 * 64 * 4


def test_a_helper_that_is_called_with_and_without_copies() -> None:
    """It is in one of its calls that the matrix is copied, and that is enough."""
    helper = jax.jit(lambda a, x: a @ x)

    def f(a: jax.Array, x: jax.Array, p: jax.Array) -> Any:
        return helper(a, x) + lax.cond(p, lambda x: helper(a, x), lambda x: x, x)

    def g(a: jax.Array, x: jax.Array) -> Any:
        return helper(a, x) + helper(a, 2 * x)

    assert codes(vmapguide.explain(f, in_axes=SHARED)(A, X, P)) == {"VG203"}
    assert codes(vmapguide.explain(g, in_axes=(None, 0))(A, X)) == set()


def test_a_product_in_a_library() -> None:
    """The line is the user's that called the library."""

    def f(a: jax.Array, x: jax.Array, p: jax.Array) -> Any:
        return lax.cond(p, lambda x: jnp.einsum("ij,j->i", a, x), lambda x: x, x)

    (finding,) = findings(vmapguide.explain(f, in_axes=SHARED)(A, X, P), "VG203")
    assert finding.source is not None
    assert finding.source.expression == 'jnp.einsum("ij,j->i", a, x)'


def test_a_shared_predicate_copies_nothing() -> None:
    """A branch that is taken for all examples reads what they share."""
    types = A, X, of(dtype=bool)
    explanation = vmapguide.explain(multiplies_in_a_branch, in_axes=(None, 0, None))(*types)
    assert codes(explanation) == set()


# -- Intermediates -----------------------------------------------------------

HELD: dict[str, Callable[[jax.Array], Any]] = {
    "product": smooths,
    "sort": lambda x: jnp.sort(kernel(x), 1)[:, 3],
    "top_k": lambda x: lax.top_k(kernel(x), 3)[0].sum(1),
    "cholesky": lambda x: jnp.diag(jnp.linalg.cholesky(kernel(x))),
    "fft": lambda x: jnp.abs(jnp.fft.rfft(kernel(x))).sum(1),
    "scan": lambda x: lax.scan(lambda c, r: (jnp.tanh(c + r), None), x, kernel(x))[0],
    "stack": lambda x: jnp.tanh(lax.scan(lambda c, r: (c + r, c * r), x, x)[1]).sum(0),
}


@pytest.mark.parametrize(
    "f",
    [
        pytest.param(f, marks=pytest.mark.cpu_only if name == "product" else (), id=name)
        for name, f in HELD.items()
    ],
)
def test_an_intermediate_in_memory(f: Callable[[jax.Array], Any]) -> None:
    """What is said to be in memory is there in the compiled program."""
    (finding,) = findings(vmapguide.explain(f)(X), "VG202")
    assert finding.bytes is not None
    assert finding.bytes >= 32 * 64 * 64 * 4
    assert temporary_bytes(f, X) >= finding.bytes


NOT_HELD: dict[str, Callable[[jax.Array], Any]] = {
    "sum": lambda x: kernel(x).sum(1),
    "argmin": lambda x: jnp.argmin(kernel(x), 1),
    "gather": lambda x: kernel(x)[jnp.argsort(x), 0],
    "window": lambda x: lax.reduce_window(
        kernel(x), -jnp.inf, lax.max, (4, 4), (4, 4), "VALID"
    ).sum(0),
    "outer product": lambda x: jnp.tanh(x[:, None] @ x[None]).sum(0),
}


@pytest.mark.parametrize("f", NOT_HELD.values(), ids=NOT_HELD)
def test_an_intermediate_that_is_fused_away(f: Callable[[jax.Array], Any]) -> None:
    """What the compiled program never has in memory is not worth a word."""
    assert codes(vmapguide.explain(f)(X)) == set()
    assert temporary_bytes(f, X) < 32 * 64 * 64 * 4


def test_only_where_it_begins() -> None:
    """Of an attention, the product is named, and not what becomes of its result."""

    def attention(q: jax.Array, k: jax.Array, v: jax.Array) -> Any:
        logits = q @ k.T
        weights = jax.nn.softmax(logits)
        return weights @ v

    long = of(32, 512, 2)
    (finding,) = findings(vmapguide.explain(attention)(long, long, long), "VG202")
    assert finding.source is not None
    assert finding.source.expression == "q @ k.T"
    assert finding.factor == 512 / 8


def test_random_numbers_are_in_memory() -> None:
    """An estimate from many random numbers holds all of them."""
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), 32))

    def estimate(key: jax.Array) -> Any:
        return jnp.square(jax.random.normal(key, (4096,))).mean()

    (finding,) = findings(vmapguide.explain(estimate)(keys), "VG202")
    assert finding.source is not None
    assert "random.normal" in finding.source.expression
    assert temporary_bytes(estimate, keys) >= (finding.bytes or 0)


def test_small_batches_gain_nothing_from_chunks() -> None:
    """With fewer examples than the factor, the remedy would not help by as much."""
    assert codes(vmapguide.explain(smooths)(of(15, 512))) == set()
    assert codes(vmapguide.explain(smooths)(of(16, 512))) == {"VG202"}


def test_what_all_examples_share_is_not_of_the_batch() -> None:
    """A large value that is made once is not there because of `vmap`."""

    def f(shared: jax.Array, x: jax.Array) -> Any:
        return smooths(shared) * x

    assert codes(vmapguide.explain(f, in_axes=(None, 0))(of(2048), of(32, 2048))) == set()


def test_large_results_are_no_intermediates() -> None:
    """What is returned has to be in memory."""
    assert codes(vmapguide.explain(lambda x: jnp.cumsum(kernel(x), 1))(X)) == set()


def test_limits_are_those_of_the_subject() -> None:
    """A caller may ask for more or for less."""
    explanation = vmapguide.explain(smooths)(X)

    assert "VG202" in asked(explanation, Limits())
    assert "VG202" not in asked(explanation, Limits(bytes=2**30))
    assert "VG202" not in asked(explanation, Limits(factor=33.0))


# -- Transposes --------------------------------------------------------------


def rnn(w: jax.Array, state: jax.Array, inputs: jax.Array) -> Any:
    """Return the last state and all states."""

    def step(state: jax.Array, x: jax.Array) -> Any:
        state = jnp.tanh(w @ state + x)
        return state, state

    return lax.scan(step, state, inputs)


def test_a_loop_reads_and_stacks_by_time() -> None:
    """Both its inputs and its outputs are transposed, and one finding says so."""
    types = A, X, of(32, 50, 64)
    (finding,) = findings(vmapguide.explain(rnn, in_axes=(None, 0, 0))(*types), "VG204")
    assert "`inputs` and result 2 of 2 are" in finding.message
    assert "with 1 in in_axes and out_axes" in finding.remedy
    assert finding.bytes == 2 * 32 * 50 * 64 * 4
    by_time = A, X, of(50, 32, 64)
    axes: Any = {"in_axes": (None, 0, 1), "out_axes": (0, 1)}
    assert codes(vmapguide.explain(rnn, **axes)(*by_time)) == set()
    usual = temporary_bytes(rnn, *types, in_axes=(None, 0, 0))
    assert temporary_bytes(rnn, *by_time, **axes) < usual / 10


def test_a_product_may_have_its_axes_in_any_order() -> None:
    """XLA folds the transpose of a product into the product."""
    layer = vmapguide.explain(lambda w, x: w @ x, in_axes=(None, 0))(A, of(2048, 64))
    assert [eqn.primitive.name for eqn in layer.boundary] == ["transpose"]
    assert codes(layer) == set()
    tanh = vmapguide.explain(lambda w, x: jnp.tanh(w @ x), in_axes=(None, 0))(A, of(2048, 64))
    assert codes(tanh) == set()


def test_an_order_that_was_asked_for() -> None:
    """A result that is wanted in another order than the usual one is no finding."""
    assert codes(vmapguide.explain(jnp.sin, out_axes=1)(of(2048, 64))) == set()
    assert codes(vmapguide.explain(jnp.sin, in_axes=1)(of(64, 2048))) == {"VG204"}
    assert codes(vmapguide.explain(jnp.sin, in_axes=1, out_axes=1)(of(64, 2048))) == set()


def test_an_argument_that_something_else_reads_as_it_is() -> None:
    """With another order, the transpose would be elsewhere."""

    def f(w: jax.Array, state: jax.Array, inputs: jax.Array) -> Any:
        return rnn(w, state, inputs)[0], inputs

    types = A, X, of(32, 50, 64)
    assert codes(vmapguide.explain(f, in_axes=(None, 0, 0))(*types)) == set()


def test_a_loop_that_computes_much_for_each_number() -> None:
    """The order of its data is no matter: draws, and a product with a large matrix."""

    def walk(key: jax.Array) -> Any:
        keys = jax.random.split(key, 20)
        start = jnp.zeros(())
        return lax.scan(lambda x, key: (x + jax.random.normal(key), x), start, keys)[1]

    def wide(w: jax.Array, xs: jax.Array) -> Any:
        return lax.scan(lambda h, x: (jnp.tanh(w @ h + x), h), xs[0], xs)[1]

    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), 8192))
    assert codes(vmapguide.explain(walk)(keys)) == set()
    explain = vmapguide.explain(wide, in_axes=(None, 0))
    assert codes(explain(of(64, 64), of(32, 50, 64))) == {"VG204"}
    assert codes(explain(of(2048, 2048), of(32, 50, 2048))) == set()


def test_an_argument_that_is_returned_in_another_order() -> None:
    """No operation needs it so, but the call says it."""
    assert codes(vmapguide.explain(lambda x: x, in_axes=1)(of(64, 2048))) == set()


def test_a_number_among_the_results() -> None:
    """What is written in the program is returned beside what is transposed."""
    explanation = vmapguide.explain(lambda x: (jnp.sin(x), 1.0), in_axes=1, out_axes=(0, None))
    assert codes(explanation(of(64, 2048))) == {"VG204"}


def test_small_arguments_are_passed_over() -> None:
    """Less than the limit is not worth another order."""
    assert codes(vmapguide.explain(rnn, in_axes=(None, 0, 0))(A, X, of(32, 4, 64))) == set()


# -- Results that are shared -------------------------------------------------


def test_an_argument_that_is_returned() -> None:
    """It comes from no line, so it is named."""

    def f(table: jax.Array, x: jax.Array) -> Any:
        return {"table": table, "x": x}

    (finding,) = findings(vmapguide.explain(f, in_axes=(None, 0))(A, X), "VG205")
    assert finding.source is None
    assert finding.message.startswith("`table`, result 1 of 2, is the same")
    assert finding.code in str(vmapguide.explain(f, in_axes=(None, 0))(A, X))


def test_a_gradient_that_is_shared() -> None:
    """What is shared is named, and not the code that it was derived from."""

    def loss(x: jax.Array) -> Any:
        return jnp.diag(x).sum() * 3.0

    (finding,) = findings(vmapguide.explain(jax.grad(loss))(of(64, 64, 64)), "VG205")
    assert finding.message.startswith("The result, which `")
    assert " leads to, is the same for all examples" in finding.message


def test_two_shared_results_of_a_line() -> None:
    """One finding names both, and what they take together."""

    def f(a: jax.Array, x: jax.Array) -> Any:
        return jnp.sin(a), x, jnp.cos(a)

    (finding,) = findings(vmapguide.explain(f, in_axes=(None, 0))(A, X), "VG205")
    assert finding.message.startswith("Results 1 and 3 of 3 are the same")
    assert finding.remedy == "Return them once, with None in their places in out_axes."
    assert finding.bytes == 2 * 32 * 64 * 64 * 4


def test_many_shared_results() -> None:
    """More than a few are counted."""

    def f(a: jax.Array, x: jax.Array) -> Any:
        return jnp.sin(a), jnp.cos(a), jnp.tan(a), jnp.exp(a), x

    (finding,) = findings(vmapguide.explain(f, in_axes=(None, 0))(A, X), "VG205")
    assert finding.message.startswith("4 of 5 results are the same")


def test_what_each_example_begins_with() -> None:
    """Zeros, as of an optimizer, are returned to become each example's own."""

    def f(x: jax.Array) -> Any:
        return x, jnp.zeros((64, 64)), jnp.arange(4096.0)

    assert codes(vmapguide.explain(f)(X)) == set()


def test_a_captured_array_that_is_returned() -> None:
    """What the function has from outside is to become each example's own; made anew, it is not."""
    start = jnp.linspace(0.0, 1.0, 4096)

    def f(x: jax.Array) -> Any:
        return {"position": x, "rest": start}

    def g(x: jax.Array) -> Any:
        return {"position": x, "rest": jnp.sin(start)}

    assert codes(vmapguide.explain(f)(X)) == set()
    assert codes(vmapguide.explain(g)(X)) == {"VG205"}


def test_shared_results_that_are_small_or_of_one_example() -> None:
    """A number that is returned for each example is no matter."""
    assert codes(vmapguide.explain(lambda a, x: (a.sum(), x), in_axes=(None, 0))(A, X)) == set()
    one = vmapguide.explain(lambda a, x: (a, x), in_axes=(None, 0))(of(512, 512), of(1, 2))
    assert codes(one) == set()


# -- Wider floats ------------------------------------------------------------

WIDE = of(32, 8192, dtype=jnp.bfloat16), of(32)

WIDENING: dict[str, Callable[..., Any]] = {
    "operator": lambda x, s: x + s,
    "where": lambda x, s: jnp.where(x > 0, x, s),
    "function": jnp.maximum,
    "computed": lambda x, s: x * (2 * s),
    "jitted": jax.jit(lambda x, s: s - x),
}


@pytest.mark.parametrize("f", WIDENING.values(), ids=WIDENING)
def test_a_number_that_widens(f: Callable[..., Any]) -> None:
    """The result is wider than with a Python number."""

    def call(x: jax.Array, s: Any) -> Any:
        return f(x, s)

    (finding,) = findings(vmapguide.explain(call)(*WIDE), "VG206")
    assert finding.facts["number"] == "s"
    assert jax.eval_shape(jax.vmap(call), *WIDE).dtype == jnp.float32
    assert jax.eval_shape(lambda x: call(x, 2.0), of(8192, dtype=jnp.bfloat16)).dtype == "bfloat16"


NOT_WIDENING: dict[str, Callable[..., Any]] = {
    "cast array": lambda x, s: x.astype(jnp.float32) * s,
    "cast number": lambda x, s: x * s.astype(x.dtype),
    "sum in wider floats": lambda x, s: jnp.sum(x, dtype=jnp.float32) * s,
    "apart": lambda x, s: (x.sum(), s),
}


@pytest.mark.parametrize("f", NOT_WIDENING.values(), ids=NOT_WIDENING)
def test_a_number_that_widens_nothing(f: Callable[..., Any]) -> None:
    """A cast that somebody wrote is meant."""
    assert codes(vmapguide.explain(f)(*WIDE)) == set()


def test_what_else_is_not_widened_by_the_batch() -> None:
    """A shared number, an array for each example and floats that are wide already."""

    def f(x: jax.Array, s: jax.Array) -> Any:
        return x * s

    narrow = WIDE[0]
    assert codes(vmapguide.explain(f, in_axes=(0, None))(narrow, of())) == set()
    assert codes(vmapguide.explain(f)(narrow, of(32, 8192))) == set()
    assert codes(vmapguide.explain(f)(of(32, 8192), of(32))) == set()
    assert codes(vmapguide.explain(f)(of(32, 8, dtype=jnp.bfloat16), of(32))) == set()


def test_a_weak_number_widens_nothing() -> None:
    """An array that JAX made of Python numbers gives way."""
    weak = jax.ShapeDtypeStruct((32,), jnp.float32, weak_type=True)
    assert codes(vmapguide.explain(lambda x, s: x * s)(WIDE[0], weak)) == set()


# -- All of them -------------------------------------------------------------


def test_a_program_that_cannot_be_mapped_has_no_findings_of_these() -> None:
    """Where it is not known what is mapped, nothing is said."""
    explanation = vmapguide.explain(multiplies_in_a_branch, in_axes=SHARED)(A, X, P)
    object.__setattr__(explanation, "_shapes", {})
    assert not {code for code in asked(explanation, Limits()) if code[2] == "2"}


def test_a_model_that_vmap_handles_well() -> None:
    """A network with a loss, and its gradient, at a size at which copies would matter."""

    def loss(params: Any, x: jax.Array, y: jax.Array) -> Any:
        for w, b in params:
            x = jax.nn.relu(w @ x + b)
        return -jax.nn.log_softmax(x)[y]

    params = [(of(256, 256), of(256)), (of(256, 256), of(256))]
    types = params, of(512, 256), of(512, dtype=jnp.int32)
    for f in (loss, jax.value_and_grad(loss)):
        assert codes(vmapguide.explain(f, in_axes=(None, 0, 0))(*types)) == set()


# -- On a GPU ----------------------------------------------------------------


def in_a_branch(use: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that uses a shared matrix in a branch, which gets copies of it."""
    return lambda a, x, p: lax.cond(p, lambda x: use(a, x), lambda x: x, x)


def joined(w: jax.Array, context: jax.Array, x: jax.Array) -> Any:
    """Multiply what is mostly the same for all examples."""
    return w @ jnp.tanh(jnp.concatenate([context, x]))


COPIES = SHARED, (A, X, P)
LONG = (None, None, 0), (of(8, 4160), of(4096), X)

# What reads a large value of the batch, the axes and arguments, and what is found on a GPU.
ON_A_GPU: dict[str, tuple[Callable[..., Any], tuple[Any, tuple[Any, ...]], set[str]]] = {
    "copies times vectors": (in_a_branch(lambda a, x: a @ x), COPIES, set()),
    "copies times matrices": (
        in_a_branch(lambda a, x: (a @ jnp.outer(x, x[:8])).sum(1)),
        COPIES,
        set(),
    ),
    "copies added up": (in_a_branch(lambda a, x: jnp.cumsum(a, 0)[3] + x), COPIES, set()),
    "copies sorted": (in_a_branch(lambda a, x: jnp.sort(a, 0)[3] + x), COPIES, {"VG201"}),
    "copies solved": (in_a_branch(jnp.linalg.solve), COPIES, {"VG201"}),
    "copies joined to others": (joined, LONG, {"VG201"}),
    "kernels times vectors": (smooths, (0, (X,)), set()),
    "kernels times matrices": (
        lambda x: (kernel(x) @ jnp.outer(x, x[:8])).sum(1),
        (0, (X,)),
        {"VG202"},
    ),
    "kernels sorted": (lambda x: jnp.sort(kernel(x), 1)[:, 3], (0, (X,)), {"VG202"}),
}


@pytest.mark.parametrize(("f", "call", "expected"), ON_A_GPU.values(), ids=ON_A_GPU)
def test_what_a_gpu_holds(
    f: Callable[..., Any],
    call: tuple[Any, tuple[Any, ...]],
    expected: set[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """There XLA fuses copies into products, and all operands into products with vectors."""
    in_axes, types = call
    on_cpu = vmapguide.explain(f, in_axes=in_axes)(*types)
    assert codes(on_cpu) & {"VG201", "VG202", "VG203"}
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert codes(vmapguide.explain(f, in_axes=in_axes)(*types)) == expected
    if jax.devices()[0].platform == "gpu":
        is_held = temporary_bytes(f, *types, in_axes=in_axes) >= 32 * 64 * 64 * 4
        assert is_held == bool(expected)
