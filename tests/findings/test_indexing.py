"""What is read and written at places of each example's own, and what only looks so."""

import linecache
import sysconfig
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from jax import lax

import vmapguide
from vmapguide import Explanation


def shape(*sizes: int, dtype: type = jnp.float32) -> jax.ShapeDtypeStruct:
    """Return an array without numbers."""
    return jax.ShapeDtypeStruct(sizes, dtype)


PLACES = shape(256, dtype=jnp.int32)
PLACE = shape(dtype=jnp.int32)
ROWS = shape(256, 64, 512)
LINES = shape(256, 512)


def codes(explanation: Explanation) -> list[str]:
    """Return the codes of this family that are found."""
    return [finding.code for finding in explanation.findings if finding.code[2] == "3"]


# -- VG301 --------------------------------------------------------------------


def test_what_is_read_is_what_is_counted() -> None:
    """The bytes are those of the batch's result."""
    (finding,) = vmapguide.explain(lambda x, i: x[i])(ROWS, PLACES).findings
    assert (finding.code, finding.severity, finding.bytes) == ("VG301", "note", 256 * 512 * 4)


def test_library_code_reads_at_the_line_that_called_it() -> None:
    """A slice inside a function of JAX's is found where the user calls it, if it is a large one."""
    turn = vmapguide.explain(lambda x, n: 2 * jnp.roll(x, n))
    (finding,) = turn(shape(256, 4096), PLACES).findings
    assert finding.code == "VG301"
    assert finding.source is not None
    assert finding.source.expression == "jnp.roll(x, n)"
    assert codes(turn(shape(256, 4095), PLACES)) == []


def test_two_reads_in_a_line_are_one_finding() -> None:
    """What is found twice in a line adds up."""
    (finding,) = vmapguide.explain(lambda x, i: x[i] + x[i + 1])(ROWS, PLACES).findings
    assert finding.bytes == 2 * 256 * 512 * 4


def test_an_inner_vmap_reads_as_one_example_does() -> None:
    """In a batch of batches the size of the outer one counts, too."""

    def rows(x: jax.Array, i: jax.Array) -> Any:
        return lax.dynamic_slice_in_dim(x, i, 16)

    outer = vmapguide.explain(jax.vmap(rows, in_axes=(0, None)))(shape(256, 32, 512), PLACES)
    assert codes(outer) == []  # The inner one made a gather of it before.


@pytest.mark.parametrize(("batch", "found"), [(127, []), (128, ["VG301"])])
def test_little_is_passed_over(batch: int, found: list[str]) -> None:
    """From 256 KiB on it is worth a line."""
    explain = vmapguide.explain(lambda x, i: x[i])
    assert codes(explain(shape(batch, 4, 512), shape(batch, dtype=jnp.int32))) == found


def test_a_shared_start_is_clean() -> None:
    """The jaxpr has a gather, and XLA makes one slice of it."""
    explanation = vmapguide.explain(lambda x, i: x[i], in_axes=(0, None))(ROWS, PLACE)
    (step,) = explanation.find(primitive="dynamic_slice")
    assert "gather" in {eqn.primitive.name for eqn in step.batched}
    assert codes(explanation) == []


def test_a_table_is_meant_to_be_looked_up_in() -> None:
    """A row of a table that all examples share is a gather as anybody would write it."""
    embed = vmapguide.explain(lambda table, i: table[i], in_axes=(None, 0))
    assert codes(embed(shape(1000, 512), PLACES)) == []


def test_what_was_a_gather_before_is_clean() -> None:
    """An array of places makes a gather without `jax.vmap`."""
    several = vmapguide.explain(lambda x, i: x[i])
    assert codes(several(ROWS, shape(256, 3, dtype=jnp.int32))) == []
    assert codes(vmapguide.explain(lambda x, i: jnp.take(x, i, axis=0))(ROWS, PLACES)) == []


def total(x: jax.Array, n: jax.Array) -> Any:
    """Add up the first rows."""
    return lax.fori_loop(0, n, lambda k, s: s + jnp.tanh(x[k]), jnp.zeros(x.shape[1:]))


def total_together(x: jax.Array, n: jax.Array) -> Any:
    """Add up the first rows, in a loop that all examples leave together."""

    def row(k: jax.Array, s: jax.Array) -> jax.Array:
        return jnp.where(k < n, s + jnp.tanh(x[k]), s)

    return lax.fori_loop(0, lax.pmax(n, "batch"), row, jnp.zeros(x.shape[1:]))


def test_a_counter_is_told_from_a_place() -> None:
    """A counter is mapped because examples leave the loop by themselves, and the advice says so."""
    finding = next(f for f in vmapguide.explain(total)(ROWS, PLACES).findings if f.code == "VG301")
    assert "counter" in finding.message
    assert "pmax" in finding.remedy


def test_a_shared_table_is_read_once_for_all_at_a_counter() -> None:
    """There the examples read the same row, each for itself."""
    explanation = vmapguide.explain(total, in_axes=(None, 0))(shape(64, 512), PLACES)
    assert codes(explanation) == ["VG301"]


def test_a_place_in_a_loop_is_no_counter() -> None:
    """A place that depends on what an example has is its own, whoever leaves the loop when."""

    def walk(x: jax.Array, n: jax.Array, start: jax.Array) -> Any:
        step = lambda k, s: s + x[(start + k) % 64]  # noqa: E731
        return lax.fori_loop(0, n, step, jnp.zeros(x.shape[1:]))

    found = vmapguide.explain(walk)(ROWS, PLACES, PLACES).findings
    (finding,) = [finding for finding in found if finding.code == "VG301"]
    assert "counter" not in finding.message


def test_a_loop_that_all_leave_together_is_clean() -> None:
    """The advice for a counter works."""
    assert codes(vmapguide.explain(total_together, axis_name="batch")(ROWS, PLACES)) == []
    assert codes(vmapguide.explain(total, in_axes=(0, None))(ROWS, PLACE)) == []


# -- VG302 --------------------------------------------------------------------


def test_an_update_of_each_examples_own_place() -> None:
    """Two ways to write a row are one rule."""
    row = LINES
    by_at = vmapguide.explain(lambda x, i, v: x.at[i].set(v))(ROWS, PLACES, row)
    by_lax = vmapguide.explain(lambda x, i, v: lax.dynamic_update_slice(x, v[None], (i, 0)))
    assert ["VG302"] == codes(by_at) == codes(by_lax(ROWS, PLACES, row))


def test_updates_that_are_clean() -> None:
    """A shared place, several places, and an array that all examples share are other matters."""
    put = lambda x, i, v: x.at[i].set(v)  # noqa: E731
    assert codes(vmapguide.explain(put, in_axes=(0, None, 0))(ROWS, PLACE, LINES)) == []
    assert codes(vmapguide.explain(put)(ROWS, shape(256, 3, dtype=jnp.int32), LINES)) == []
    assert codes(vmapguide.explain(put, in_axes=(None, 0, 0))(shape(64, 512), PLACES, LINES)) == []
    assert codes(vmapguide.explain(put)(ROWS, PLACES, shape(256))) == ["VG302"]
    assert codes(vmapguide.explain(put)(shape(256, 64), PLACES, shape(256))) == []


def test_the_gradient_of_a_read_is_not_an_update() -> None:
    """It writes into zeros, of which there were none before."""
    gradient = jax.grad(lambda x, i: (x[i] ** 2).sum())
    assert codes(vmapguide.explain(gradient)(ROWS, PLACES)) == ["VG301"]


def recurrence(x: jax.Array, n: jax.Array) -> Any:
    """Write a number in each trip."""
    return lax.fori_loop(0, n, lambda k, x: x.at[k].set(x[k - 1] / 2), x)


def recurrence_together(x: jax.Array, n: jax.Array) -> Any:
    """Write a number in each trip of a loop that all examples leave together."""

    def step(k: jax.Array, x: jax.Array) -> jax.Array:
        return x.at[k].set(jnp.where(k < n, x[k - 1] / 2, x[k]))

    return lax.fori_loop(0, lax.pmax(n, "batch"), step, x)


def test_a_loop_that_each_leaves_by_itself_picks_whole_arrays() -> None:
    """In such a loop an update of one number costs the array, and that is a warning."""
    found = vmapguide.explain(recurrence)(LINES, PLACES).findings
    (finding,) = [finding for finding in found if finding.code == "VG302"]
    assert (finding.severity, finding.bytes) == ("warning", 256 * 512 * 4)
    assert (finding.facts["changed"], finding.facts["whole"]) == (1, 512)
    assert finding.source is not None
    assert "x.at[k].set" in finding.source.expression


def test_loops_in_which_an_update_is_one() -> None:
    """A loop that all leave together, one that copies little, one that writes much."""
    assert codes(vmapguide.explain(recurrence_together, axis_name="batch")(LINES, PLACES)) == []
    assert codes(vmapguide.explain(recurrence, in_axes=(0, None))(LINES, PLACE)) == []
    few = shape(8, dtype=jnp.int32)
    assert codes(vmapguide.explain(recurrence)(shape(8, 512), few)) == []
    many = vmapguide.explain(recurrence)(shape(16384, 12), shape(16384, dtype=jnp.int32))
    assert codes(many) == []


# -- VG303 --------------------------------------------------------------------


def loss(table: jax.Array, words: jax.Array) -> jax.Array:
    """Look up rows."""
    return (table[words] ** 2).sum()


TABLE = shape(1000, 16)
WORDS = shape(256, 5, dtype=jnp.int32)


def test_a_gradient_of_a_shared_table_is_one_for_each() -> None:
    """One row or several, by brackets or by `take`: the tables are counted."""

    def take(table: jax.Array, words: jax.Array) -> jax.Array:
        return (jnp.take(table, words, axis=0) ** 2).sum()

    for f, words, changed in (loss, PLACES, 16), (loss, WORDS, 80), (take, WORDS, 80):
        (finding,) = vmapguide.explain(jax.grad(f), in_axes=(None, 0))(TABLE, words).findings
        assert (finding.code, finding.severity) == ("VG303", "warning")
        assert finding.bytes == 256 * 1000 * 16 * 4
        assert (finding.facts["changed"], finding.facts["whole"]) == (changed, 16000)


def test_two_lookups_in_a_line_make_two_tables() -> None:
    """What is found twice in a line adds up."""
    two = jax.grad(lambda table, i: (table[i] ** 2).sum() + (table[i + 1] ** 3).sum())
    (finding,) = vmapguide.explain(two, in_axes=(None, 0))(TABLE, PLACES).findings
    assert finding.bytes == 2 * 256 * 1000 * 16 * 4


def test_gradients_that_are_no_larger_than_they_must_be() -> None:
    """Tables of the examples' own, shared rows, small tables, and the rows alone."""
    gradient = jax.grad(loss)
    own = vmapguide.explain(gradient)(shape(256, 1000, 16), WORDS)
    shared = vmapguide.explain(gradient, in_axes=(None, None), axis_size=256)(
        TABLE, shape(5, dtype=jnp.int32)
    )
    dense = vmapguide.explain(gradient, in_axes=(None, 0))(shape(79, 16), WORDS)
    small = vmapguide.explain(gradient, in_axes=(None, 0))(shape(80, 2), PLACES)
    forward = vmapguide.explain(loss, in_axes=(None, 0))(TABLE, WORDS)
    for explanation in (own, shared, dense, small, forward):
        assert "VG303" not in codes(explanation)


def test_the_gradient_of_the_sum_is_one_table() -> None:
    """A batch inside of the gradient adds up, whoever is mapped over outside."""

    def whole(table: jax.Array, words: jax.Array) -> jax.Array:
        return jax.vmap(loss, in_axes=(None, 0))(table, words).sum()

    per_step = vmapguide.explain(jax.grad(whole), in_axes=(None, 0))
    (finding,) = per_step(TABLE, shape(32, 2, 5, dtype=jnp.int32)).findings
    assert finding.bytes == 32 * 1000 * 16 * 4


def test_zeros_of_a_users_own_are_another_matter() -> None:
    """A vector that is zero but for one number is no gradient of a look-up."""
    one_hot = vmapguide.explain(lambda i: jnp.zeros(1000).at[i].set(1.0))
    assert codes(one_hot(PLACES)) == []


# -- All of them ----------------------------------------------------------------


def test_library_functions_are_quiet() -> None:
    """What JAX's own functions look up is theirs to write."""
    line = shape(1024, 64)
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), 1024))
    assert codes(vmapguide.explain(lambda x: jnp.interp(x, x, x))(line)) == []
    assert codes(vmapguide.explain(lambda x: jnp.searchsorted(x, x[0]))(line)) == []
    assert codes(vmapguide.explain(jnp.sort)(line)) == []
    assert codes(vmapguide.explain(jnp.linalg.inv)(shape(1024, 5, 5))) == []
    assert codes(vmapguide.explain(lambda k: jax.random.choice(k, 10, (4,)))(keys)) == []


def test_one_example_is_no_matter() -> None:
    """A batch of one has one place to read and to write."""
    place = shape(1, dtype=jnp.int32)
    assert codes(vmapguide.explain(lambda x, i: x[i])(shape(1, 4, 10**6), place)) == []
    assert codes(vmapguide.explain(recurrence)(shape(1, 10**6), place)) == []


def test_a_batch_of_which_nothing_is_mapped_is_clean() -> None:
    """With nothing but a size there is nothing that differs."""
    place = jnp.array(3)
    explain = vmapguide.explain(lambda: jnp.arange(10**6)[place], axis_size=256)
    assert codes(explain()) == []


# -- Libraries ----------------------------------------------------------------


def test_what_a_solver_does_in_its_loop() -> None:
    """Its user cannot change how `gmres` fills its arrays; that its loop waits is said."""

    def solve(a: jax.Array) -> Any:
        return jax.scipy.sparse.linalg.gmres(a, jnp.ones(16))[0]

    assert codes(vmapguide.explain(solve)(shape(4096, 16, 16))) == []


def test_a_lookup_of_a_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is worth a line from 16 times as many bytes on: its user can change little."""
    path, text = f"{sysconfig.get_path('purelib')}/lookup_like.py", "lookup = lambda x, i: x[i]\n"
    monkeypatch.setitem(linecache.cache, path, (len(text), None, [text], path))
    namespace: dict[str, Any] = {}
    exec(compile(text, path, "exec"), namespace)  # noqa: S102

    def row(x: jax.Array, i: jax.Array) -> Any:
        return namespace["lookup"](x, i)

    explain = vmapguide.explain(row)
    assert codes(explain(shape(4096, 4, 64), shape(4096, dtype=jnp.int32))) == []
    assert codes(explain(shape(4096, 4, 256), shape(4096, dtype=jnp.int32))) == ["VG301"]
