"""Findings about branches and loops: relatives of the cases, and what must not be found."""

import dataclasses
import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import jax.extend.core as jec
import jax.numpy as jnp
import pytest
from finding_cases.control_flow import (
    filled_by_array,
    guarded,
    picks_a_branch,
    read_to_its_length,
    read_to_the_longest,
    until_small,
)
from jax import lax
from jax.interpreters import batching

import vmapguide
from vmapguide import Explanation
from vmapguide._data import Finding
from vmapguide._jaxpr import source_files
from vmapguide._trace import marks


NUMBERS = jnp.array([1.0, 2.0, 3.0])
VECTORS = jnp.arange(12.0).reshape(3, 4)
YES = NUMBERS > 2
PLACES = jnp.arange(3)
KEYS = jax.random.split(jax.random.key(0), 3)
BIG = jax.ShapeDtypeStruct((64, 64, 64), jnp.float32)
MANY = jax.ShapeDtypeStruct((64,), bool)


def codes(explanation: Explanation) -> list[str]:
    """Return the codes of what was found."""
    return [finding.code for finding in explanation.findings]


def the_finding(code: str, explanation: Explanation) -> Finding:
    """Return the one finding with a code."""
    (finding,) = [finding for finding in explanation.findings if finding.code == code]
    return finding


def halve(x: Any) -> Any:
    """Halve a number until it is at most one."""
    return lax.while_loop(lambda x: x > 1, lambda x: x / 2, x)


# -- VG101 --------------------------------------------------------------------


class TestAllBranches:
    """A `cond` whose predicate is mapped."""

    def test_a_switch_counts_all_branches(self) -> None:
        """The work is that of all of them, and the cheapest is none."""

        def f(i: Any, x: Any) -> Any:
            return lax.switch(i, [jnp.sin, jnp.cos, lambda x: x, lambda x: x @ x * x], x)

        finding = the_finding("VG101", vmapguide.explain(f)(PLACES, VECTORS))
        assert finding.facts["branches"] == 4
        assert (finding.facts["work"], finding.facts["cheapest"]) == (4 + 4 + (8 + 4), 0)
        assert finding.factor is None

    def test_branches_in_a_branch_all_run(self) -> None:
        """What a nested `cond` computes is that of all of its branches, too."""

        def f(p: Any, x: Any) -> Any:
            return lax.cond(
                p,
                lambda x: lax.cond(x[0] > 0, lambda x: x @ x * x, jnp.cos, x),
                lambda x: lax.cond(x[0] > 0, jnp.sin, lambda x: x, x),
                x,
            )

        findings = vmapguide.explain(f)(YES, VECTORS).findings
        outer, inner = sorted(findings, key=lambda finding: finding.steps)
        decide = 2  # A comparison, and a number made of what it says.
        assert outer.facts["work"] == (decide + 8 + 4 + 4) + (decide + 4)
        assert outer.facts["cheapest"] == decide
        assert (inner.facts["work"], inner.facts["cheapest"]) == (8 + 4 + 4, 4)

    def test_a_shared_decision_is_clean(self) -> None:
        """One branch runs then, as in one example; so it does for one that all decide together."""

        def together(p: Any, x: Any) -> Any:
            return lax.cond(lax.pmax(p.astype(int), "batch") > 0, jnp.sin, lambda x: x @ x * x, x)

        assert codes(vmapguide.explain(picks_a_branch, (0, None))(VECTORS, True)) == []
        assert codes(vmapguide.explain(together, axis_name="batch")(YES, VECTORS)) == []

    @pytest.mark.parametrize("way", ["adds", "writes", "returns", "selects"])
    def test_what_costs_no_more_than_to_pick_is_clean(self, way: str) -> None:
        """`where` would do the same."""
        branches: dict[str, Callable[..., Any]] = {
            "adds": lambda p, x: lax.cond(p, lambda x: x + 1, lambda x: x, x),
            "writes": lambda p, x: lax.cond(p, lambda x: x.at[2].set(0.0), lambda x: x, x),
            "returns": lambda p, x: lax.cond(p, lambda x: (x, 2.0), lambda x: (x[::-1], 1.0), x),
            "selects": lambda p, x: jnp.where(p, jnp.sin(x) @ x, x @ x),
        }
        assert codes(vmapguide.explain(branches[way])(YES, VECTORS)) == []

    def test_it_is_a_warning_where_it_costs_much(self) -> None:
        """Much: many times the cheapest branch, and much memory is gone through in vain."""

        def f(p: Any, x: Any) -> Any:
            return lax.cond(p, lambda x: x @ x, lambda x: x, x)

        few = jax.ShapeDtypeStruct((2, 64, 64), jnp.float32)
        severe = the_finding("VG101", vmapguide.explain(f)(MANY, BIG))
        small = the_finding("VG101", vmapguide.explain(f)(YES[:2], few))
        assert (severe.severity, small.severity) == ("warning", "note")

    def test_trips_count(self) -> None:
        """What is in vain in each trip of a loop adds up."""

        def f(trips: int) -> Callable[..., Any]:
            def trip(x: Any, _: Any) -> Any:
                return lax.cond(x[0] > 0, lambda x: jnp.outer(x, x) @ x, lambda x: x, x), None

            return lambda x: lax.scan(trip, x, None, length=trips)[0]

        few, many = (vmapguide.explain(f(trips))(VECTORS) for trips in (2, 10_000))
        assert the_finding("VG101", few).severity == "note"
        assert the_finding("VG101", many).severity == "warning"

    def test_two_dear_branches_are_a_note(self) -> None:
        """Of two branches that cost alike, one is in vain: twice the work is not much."""

        def f(p: Any, x: Any) -> Any:
            return lax.cond(p, lambda x: x @ x, lambda x: x @ x.T, x)

        finding = the_finding("VG101", vmapguide.explain(f)(MANY, BIG))
        assert (finding.severity, finding.factor) == ("note", 2.0)

    def test_a_branch_that_prints(self) -> None:
        """It prints for all examples, which is a surprise."""

        def f(p: Any, x: Any) -> Any:
            lax.cond(p, lambda x: jax.debug.print("{}", x), lambda _: None, x)
            return x

        finding = the_finding("VG101", vmapguide.explain(f)(YES, NUMBERS))
        assert finding.severity == "warning"
        assert "prints" in finding.message

    def test_a_loop_of_unknown_length_is_not_counted(self) -> None:
        """No number of operations is claimed where nobody knows it."""

        def f(p: Any, n: Any, x: Any) -> Any:
            return lax.cond(p, lambda x: lax.fori_loop(0, n, lambda _, x: x / 2, x), jnp.sin, x)

        finding = the_finding("VG101", vmapguide.explain(f)(YES, PLACES, NUMBERS))
        assert finding.severity == "warning"
        assert "operations" not in finding.message

    def test_two_in_a_line_are_one_finding(self) -> None:
        """It has the steps of both."""

        def f(p: Any, x: Any) -> Any:
            return lax.cond(p, jnp.sin, jnp.cos, x) + lax.cond(p, jnp.exp, jnp.tanh, x)

        explanation = vmapguide.explain(f)(YES, VECTORS)
        finding = the_finding("VG101", explanation)
        kinds = [explanation.steps[number].kind for number in finding.steps]
        assert kinds == ["all branches", "all branches"]

    def test_a_helper_that_is_called_twice(self) -> None:
        """Once with a shared decision, and once with one of each example: it is that one."""
        helper = jax.jit(picks_a_branch)
        explanation = vmapguide.explain(
            lambda p, q, x: helper(x, p) + helper(x, q), in_axes=(None, 0, 0)
        )(True, YES, VECTORS)
        assert codes(explanation) == ["VG101"]

    @pytest.mark.parametrize("of", ["grad", "scan", "vmap", "jvp", "checkpoint"])
    def test_inside_something_else(self, of: str) -> None:
        """It is found once, at the line of the `cond`."""

        def pick(x: Any) -> Any:
            return lax.cond(x > 0, jnp.sin, lambda x: x * x * x, x)

        ways: dict[str, Callable[..., Any]] = {
            "grad": lambda x: jax.grad(pick)(x[0]),
            "scan": lambda x: lax.scan(lambda c, y: (c + pick(y), None), 0.0, x)[0],
            "vmap": jax.vmap(pick),
            "jvp": lambda x: jax.jvp(pick, (x[0],), (1.0,)),
            "checkpoint": lambda x: jax.checkpoint(pick)(x[0]),
        }
        explanation = vmapguide.explain(ways[of])(VECTORS)
        if of == "vmap":
            # The inner `vmap` has made it a select before.
            assert codes(explanation) == []
            return
        finding = the_finding("VG101", explanation)
        assert finding.source is not None
        assert finding.source.expression.startswith("lax.cond(x > 0")

    def test_a_library_speaks_of_its_own_only_if_it_costs_much(self) -> None:
        """What its user cannot change is said where it matters, in words of its own."""

        def f(a: Any) -> Any:
            return jax.scipy.linalg.expm(a)

        small = vmapguide.explain(f)(jnp.ones((3, 2, 2)))
        large = vmapguide.explain(f)(BIG)
        own = vmapguide.explain(picks_a_branch)(VECTORS, YES)
        assert codes(small) == []
        finding = the_finding("VG101", large)
        assert "library function in `jax.scipy.linalg.expm(a)`" in finding.message
        assert finding.remedy != the_finding("VG101", own).remedy

    def test_a_branch_in_a_loop_of_a_library(self, library: ModuleType) -> None:
        """The loop is spoken of, and of what is in it only what calls Python.

        Outside of such a loop, branches are spoken of if whichever is taken another dear one runs.
        """

        def in_loop(x: Any) -> Any:
            return library.newton(x)

        def printing(x: Any) -> Any:
            return library.newton(x, print_it=True)

        def alone(x: Any) -> Any:
            return library.once(x)

        assert codes(vmapguide.explain(in_loop)(BIG)) == ["VG102"]
        assert {"VG101", "VG102"} <= {*codes(vmapguide.explain(printing)(BIG))}

        def guarded(x: Any) -> Any:
            return library.guard(x)

        assert codes(vmapguide.explain(alone)(BIG)) == ["VG101"]
        assert codes(vmapguide.explain(guarded)(BIG)) == []

    def test_a_function_that_a_library_calls_is_the_users(self) -> None:
        """Its line is the user's own, and so are the words."""

        def f(x: Any) -> Any:
            def matvec(v: Any) -> Any:
                return lax.cond(x[0] > 0, lambda v: v * 2 + jnp.sin(v), lambda v: v, v)

            return jax.scipy.sparse.linalg.cg(matvec, x)[0]

        finding = the_finding("VG101", vmapguide.explain(f)(VECTORS))
        assert finding.source is not None
        assert finding.source.expression.startswith("lax.cond(")
        assert "library" not in finding.message


# -- VG102 and VG103 ----------------------------------------------------------


class TestSlowestExample:
    """A loop that each example leaves by itself."""

    @pytest.mark.parametrize("draw", [jax.random.poisson, jax.random.binomial])
    def test_a_loop_of_a_library(self, draw: Any) -> None:
        """It is at the user's line, and said to be in the library."""
        more = () if draw is jax.random.poisson else (0.5,)
        explanation = vmapguide.explain(lambda key, n: draw(key, n, *more))(KEYS, NUMBERS)
        finding = the_finding("VG102", explanation)
        assert "library function in `draw(key, n, *more)`" in finding.message
        assert codes(explanation) == ["VG102"]

    @pytest.mark.parametrize(
        "f",
        [
            jnp.linalg.inv,
            lambda x: jnp.linalg.matrix_power(x, 5),
            lambda x: lax.map(jnp.sin, x),
            lambda x: lax.associative_scan(jnp.add, x),
            lambda x: jnp.searchsorted(jnp.arange(9.0), x),
            lambda x: lax.fori_loop(0, 9, lambda i, s: s + x[i % 4, 0], 0.0),
        ],
        ids=["inv", "power", "map", "associative_scan", "searchsorted", "fori_loop"],
    )
    def test_loops_of_one_length_are_clean(self, f: Any) -> None:
        """They run as often for the batch as for one example."""
        assert codes(vmapguide.explain(f)(jnp.ones((3, 4, 4)))) == []

    def test_a_bound_that_all_share_is_clean(self) -> None:
        """Traced or not, the loop stops for all at once."""

        def f(n: Any, x: Any) -> Any:
            return lax.fori_loop(0, n, lambda _, x: x / 2, x)

        assert codes(vmapguide.explain(f, (None, 0))(jnp.int32(3), NUMBERS)) == []
        assert codes(vmapguide.explain(f, (None, 0), traced="mapped")(3, NUMBERS)) == []

    def test_one_example_waits_for_nobody(self) -> None:
        """A batch of one has no slowest example."""
        assert codes(vmapguide.explain(halve)(NUMBERS[:1])) == []

    def test_the_axis_of_an_inner_vmap_is_not_the_examples(self) -> None:
        """A loop over what all examples share is as long in a batch as in one."""

        def f(x: Any) -> Any:
            return jax.vmap(halve)(jnp.arange(4.0)) + x

        assert codes(vmapguide.explain(f)(NUMBERS)) == []
        assert codes(vmapguide.explain(jax.vmap(halve))(VECTORS)) == ["VG102"]

    def test_a_decision_that_the_user_reduced_is_meant(self) -> None:
        """Who asks all examples together, by a collective, knows that all go on."""

        def f(x: Any) -> Any:
            def go_on(x: Any) -> Any:
                return lax.pmax((x > 1).astype(int), "batch") > 0

            return lax.while_loop(go_on, lambda x: jnp.where(x > 1, x / 2, x), x)

        explanation = vmapguide.explain(f, axis_name="batch")(NUMBERS)
        assert [step.kind for step in explanation.find(primitive="while")] == ["slowest example"]
        assert codes(explanation) == []

    def test_a_decision_that_a_library_reduced_is_said(self, library: ModuleType) -> None:
        """So are loops made that Equinox has, and with it Diffrax: nobody sees it in the call."""

        def f(x: Any) -> Any:
            return library.solve(x)

        finding = the_finding("VG102", vmapguide.explain(f)(NUMBERS))
        assert "library function in `library.solve(x)`" in finding.message

    def test_small_matrices_in_a_loop_of_a_library(self, library: ModuleType) -> None:
        """They are the library's; those in a loop of the user's are the user's."""

        def theirs(x: Any) -> Any:
            return library.newton(x)

        def own(x: Any) -> Any:
            return lax.fori_loop(0, 3, lambda _, x: jnp.linalg.inv(x), x)

        many = jax.ShapeDtypeStruct((256, 2, 2), jnp.float32)
        assert "VG403" not in codes(vmapguide.explain(theirs)(many))
        assert codes(vmapguide.explain(own)(many)) == ["VG403"]

    def test_a_function_of_a_library_has_lines_of_its_own(self, library: ModuleType) -> None:
        """If it is explained itself, its code is spoken of as the user's."""
        finding = the_finding("VG102", vmapguide.explain(library.plain)(NUMBERS))
        assert "library" not in finding.message

    def test_what_is_not_known_is_not_said(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where the program could not be mapped nothing is claimed of it."""

        def fail(_jaxpr: Any) -> Any:
            raise NotImplementedError

        monkeypatch.setattr(marks, "mark", fail)
        for f in guarded, halve:
            explanation = vmapguide.explain(f)(NUMBERS)
            assert not explanation.complete
            assert codes(explanation) == []

    def test_a_loop_in_a_loop_names_the_line_of_the_other(self) -> None:
        """The outer loop may be any, of known length, too."""

        def f(x: Any) -> Any:
            def trip(x: Any, _: Any) -> Any:
                return halve(x), None

            return lax.scan(trip, x, None, length=3)[0]

        finding = the_finding("VG103", vmapguide.explain(f)(NUMBERS))
        assert f"line {f.__code__.co_firstlineno + 4}" in finding.message

    def test_a_loop_of_one_trip_is_none(self) -> None:
        """What is in it runs once."""

        def f(x: Any) -> Any:
            return lax.scan(lambda x, _: (halve(x), None), x, None, length=1)[0]

        assert codes(vmapguide.explain(f)(NUMBERS)) == ["VG102"]

    def test_a_loop_in_a_loop_in_a_loop(self) -> None:
        """The outermost waits once, and those inside in each trip."""

        def f(x: Any) -> Any:
            def trip(x: Any) -> Any:
                return lax.fori_loop(0, 2, lambda _, x: halve(x) / 2, x)

            return lax.while_loop(lambda x: x > 0.1, trip, x)

        assert sorted(codes(vmapguide.explain(f)(NUMBERS))) == ["VG102", "VG103"]

    def test_a_helper_that_is_called_in_a_loop_and_outside(self) -> None:
        """JAX holds its program once, and in one of its calls it is in a loop."""
        helper = jax.jit(halve)

        def f(x: Any) -> Any:
            return lax.fori_loop(0, 3, lambda _, x: helper(x), helper(x))

        assert codes(vmapguide.explain(f)(NUMBERS)) == ["VG103"]

    def test_a_loop_of_a_library_in_one_of_the_users(self) -> None:
        """The user can change the outer one."""

        def f(key: Any, rate: Any) -> Any:
            keys = jax.random.split(key, 3)
            start = jnp.int32(0)
            return lax.scan(lambda n, k: (n + jax.random.poisson(k, rate), None), start, keys)[0]

        assert codes(vmapguide.explain(f)(KEYS, NUMBERS)) == ["VG103"]

    def test_two_loops_of_one_library_call_are_one_finding(self) -> None:
        """Its user can do no more about the inner one."""
        minimize = importlib.import_module("jax.scipy.optimize").minimize

        def f(x: Any) -> Any:
            return minimize(lambda y: (y**2).sum(), x, method="BFGS").x

        assert codes(vmapguide.explain(f)(VECTORS)) == ["VG102"]

    def test_a_solver_in_steps(self) -> None:
        """`odeint` goes from time to time, and in each step all wait."""
        ode = importlib.import_module("jax.experimental.ode")

        def f(y: Any) -> Any:
            return ode.odeint(lambda y, _: -y, y, jnp.linspace(0.0, 1.0, 5))

        assert codes(vmapguide.explain(f)(VECTORS)) == ["VG103"]


# -- VG104 --------------------------------------------------------------------


class TestGuardedLoop:
    """A loop in a branch."""

    @pytest.mark.parametrize("way", ["down", "up", "flag", "fori_loop", "scan"])
    def test_a_loop_that_is_sure_to_end_is_no_danger(self, way: str) -> None:
        """It has a bound, or says no by itself."""

        def loop(go_on: Any, step: int) -> Callable[..., Any]:
            def run(x: Any) -> Any:
                def both(state: Any) -> Any:
                    return (state[0] > 1) & go_on(state[1])

                return lax.while_loop(both, lambda s: (s[0] / 2, s[1] + step), (x, 9))[0]

            return run

        def flagged(x: Any) -> Any:
            ok = jnp.isfinite(x)
            run = lambda x: lax.while_loop(lambda x: (x > 1) & ok, lambda x: x / 2, x)  # noqa: E731
            return lax.cond(ok, run, lambda x: x, x)

        def guarding(run: Any) -> Callable[..., Any]:
            return lambda x: lax.cond(jnp.isfinite(x), run, lambda x: x, x)

        ways: dict[str, Callable[..., Any]] = {
            "down": guarding(loop(lambda n: n > 0, -1)),
            "up": guarding(loop(lambda n: n < 99, 1)),
            "flag": flagged,
            "fori_loop": guarding(lambda x: lax.fori_loop(0, x.astype(int), lambda _, x: x / 2, x)),
            "scan": guarding(lambda x: lax.fori_loop(0, 9, lambda _, x: x / 2, x)),
        }
        assert "VG104" not in codes(vmapguide.explain(ways[way])(NUMBERS))

    def test_it_stands_for_the_branch(self) -> None:
        """That the branch runs is what it says already; that the loop waits is another matter."""
        assert sorted(codes(vmapguide.explain(guarded)(NUMBERS))) == ["VG102", "VG104"]

    def test_one_example_is_in_danger_as_well(self) -> None:
        """A batch of one runs both branches."""
        assert codes(vmapguide.explain(guarded)(NUMBERS[:1])) == ["VG104"]

    def test_a_shared_decision_guards(self) -> None:
        """A `cond` that stays one keeps its loop from running."""

        def f(p: Any, x: Any) -> Any:
            return lax.cond(p, halve, lambda x: x, x)

        assert codes(vmapguide.explain(f, (None, 0))(True, NUMBERS)) == ["VG102"]

    def test_through_calls_and_branches(self) -> None:
        """The innermost branch is the guard."""

        def f(p: Any, x: Any) -> Any:
            inner = jax.jit(lambda x: lax.cond(x > 0, jax.jit(halve), lambda x: x, x))
            return lax.cond(p, inner, lambda x: x, x)

        finding = the_finding("VG104", vmapguide.explain(f)(YES, NUMBERS))
        assert finding.source is not None
        assert finding.source.expression.startswith("lax.cond(x > 0")

    def test_a_loop_beside_a_branch(self) -> None:
        """It is not guarded by what lies in it, or next to it."""

        def f(p: Any, x: Any) -> Any:
            def trip(x: Any) -> Any:
                return lax.cond(p, lambda x: x / 2, lambda x: x / 3, x)

            return lax.while_loop(lambda x: x > 1, trip, x)

        assert "VG104" not in codes(vmapguide.explain(f)(YES, NUMBERS))


# -- VG105 --------------------------------------------------------------------


class TestPromotedCarry:
    """What a loop carries for each example, and would not if all made the same trips."""

    def test_a_large_value_that_no_example_changes(self) -> None:
        """Each example keeps the one of its last trip."""

        def f(x: Any) -> Any:
            def trip(state: Any) -> Any:
                scale, x = state
                return scale * 0.9, x * scale

            start = jnp.ones(2**12), x
            return lax.while_loop(lambda s: s[1].sum() > 1, trip, start)[1]

        few = jax.ShapeDtypeStruct((15, 2**12), jnp.float32)
        many = jax.ShapeDtypeStruct((16, 2**12), jnp.float32)
        assert codes(vmapguide.explain(f)(few)) == ["VG102"]
        finding = the_finding("VG105", vmapguide.explain(f)(many))
        assert finding.bytes == 16 * 2**12 * 4
        assert finding.severity == "note"

    @pytest.mark.parametrize("way", ["scan", "while", "fori_loop"])
    def test_zeros_to_start_with_are_clean(self, way: str) -> None:
        """A state that each example changes in its own way has to be there for each."""
        zeros = jnp.zeros(2**14)
        ways: dict[str, Callable[..., Any]] = {
            "scan": lambda x: lax.scan(lambda h, y: (jnp.tanh(h + y), None), zeros, x)[0],
            "while": lambda x: lax.while_loop(lambda h: h.sum() < 9, lambda h: h + x[0], zeros),
            "fori_loop": lambda x: lax.fori_loop(0, 9, lambda i, h: h + x[i % 4], zeros),
        }
        assert "VG105" not in codes(vmapguide.explain(ways[way])(jnp.ones((32, 4))))

    def test_what_is_only_read_is_clean(self) -> None:
        """JAX takes it out of the carry."""

        def f(table: Any, x: Any) -> Any:
            def trip(state: Any) -> Any:
                return state[0], state[0] @ state[1]

            return lax.while_loop(lambda s: s[1] @ s[1] > 1, trip, (table, x))[1]

        shared = jax.ShapeDtypeStruct((64, 64), jnp.float32)
        many = jax.ShapeDtypeStruct((64, 64), jnp.float32)
        assert codes(vmapguide.explain(f, (None, 0))(shared, many)) == ["VG102"]

    def test_a_counter_that_writes(self) -> None:
        """A write at the counter is a scatter, as a read is a gather."""

        def f(n: Any, x: Any) -> Any:
            return lax.fori_loop(0, n, lambda i, x: x.at[i].set(0.0), x)

        explanation = vmapguide.explain(f)(PLACES, VECTORS)
        assert "scatter" in the_finding("VG105", explanation).message

    def test_the_remedy_makes_slices_of_gathers(self) -> None:
        """The counter is one for all, and what is read at it is a slice."""
        own = vmapguide.explain(read_to_its_length, (0, None))(PLACES, VECTORS[0])
        shared = vmapguide.explain(read_to_the_longest, (0, None), axis_name="batch")(
            PLACES, VECTORS[0]
        )
        for explanation, name in (own, "gather"), (shared, "dynamic_slice"):
            (read,) = explanation.find(primitive="dynamic_slice")
            assert name in [eqn.primitive.name for eqn in read.batched]
        assert codes(own) == ["VG102", "VG105"]
        assert codes(shared) == []

    def test_a_place_that_is_each_examples_own_is_not_the_counters_fault(self) -> None:
        """It would be a gather with a shared counter as well."""

        def f(n: Any, x: Any) -> Any:
            return lax.fori_loop(0, n, lambda i, h: h + x[(i + n) % 4], 0.0)

        assert codes(vmapguide.explain(f)(PLACES, VECTORS)) == ["VG102"]

    def test_a_library_is_not_spoken_of(self) -> None:
        """Its user cannot change what its loops carry."""

        def f(a: Any, b: Any) -> Any:
            return jax.scipy.sparse.linalg.gmres(lambda x: a @ x, b)[0]

        assert "VG105" not in codes(vmapguide.explain(f)(jnp.ones((3, 4, 4)), VECTORS))


# -- VG106 --------------------------------------------------------------------


class TestCopiedInTrips:
    """A branch in a loop that changes a part of an array."""

    LONG = jax.ShapeDtypeStruct((3, 4096), jnp.float32)

    def test_a_switch_of_updates(self) -> None:
        """Every branch may change it, in jitted functions, too."""

        def f(x: Any, start: Any) -> Any:
            def step(i: Any, x: Any) -> Any:
                branches: list[Callable[..., Any]] = [
                    lambda x: x.at[i].set(1.0),
                    jax.jit(lambda x: x.at[i].add(2.0)),
                    lambda x: x.at[2:4].set(3.0),
                ]
                return lax.switch((start + i) % 3, branches, x)

            return lax.fori_loop(0, 100, step, x)

        finding = the_finding("VG106", vmapguide.explain(f)(self.LONG, PLACES))
        assert (finding.facts["changed"], finding.facts["whole"]) == (4, 4096)
        assert finding.bytes == 3 * 4096 * 4

    def test_it_stands_for_the_branch(self) -> None:
        """That the index is computed in all branches is no news beside it."""
        assert codes(vmapguide.explain(filled_by_array)(self.LONG, PLACES)) == ["VG106"]

    def test_trips_count(self) -> None:
        """A little that is copied in many trips is much."""

        def f(trips: int) -> Callable[..., Any]:
            def run(x: Any, start: Any) -> Any:
                def step(i: Any, x: Any) -> Any:
                    return lax.cond(i > start, lambda x: x.at[i].set(1.0), lambda x: x, x)

                return lax.fori_loop(0, trips, step, x)

            return run

        assert codes(vmapguide.explain(f(5))(self.LONG, PLACES)) == []
        assert codes(vmapguide.explain(f(6))(self.LONG, PLACES)) == ["VG106"]

    def test_an_update_outside_of_loops_is_clean(self) -> None:
        """It picks once."""

        def f(x: Any, i: Any) -> Any:
            return lax.cond(i > 1, lambda x: x.at[i].set(1.0), lambda x: x, x)

        assert codes(vmapguide.explain(f)(self.LONG, PLACES)) == []

    def test_an_array_that_changes_as_a_whole(self) -> None:
        """To pick one of two arrays is all there is to do then."""

        def f(x: Any, start: Any) -> Any:
            def step(i: Any, x: Any) -> Any:
                return lax.cond(i > start, lambda x: x * 2, lambda x: x, x)

            return lax.fori_loop(0, 100, step, x)

        assert codes(vmapguide.explain(f)(self.LONG, PLACES)) == []

    def test_a_shared_decision_is_clean(self) -> None:
        """The `cond` stays, and changes the array in place."""
        explanation = vmapguide.explain(filled_by_array, (0, None))(self.LONG, jnp.int32(1))
        assert codes(explanation) == []


# -- What several rules have in common ----------------------------------------


LIBRARY = """
import jax
import jax.numpy as jnp
from jax import lax


def solve(x):
    return lax.while_loop(lambda x: any_of(x > 1), lambda x: jnp.where(x > 1, x / 2, x), x)


def plain(x):
    return lax.while_loop(lambda x: x > 1, lambda x: x / 2, x)


def newton(x, *, print_it=False):
    def halve(x):
        if print_it:
            jax.debug.print("{}", x)
        return jnp.linalg.inv(jnp.eye(2) + x[:2, :2]).sum() * x / 2

    def step(x):
        return lax.cond(x[0, 0] > 3, halve, lambda x: x - 1, x)

    return lax.while_loop(lambda x: x[0, 0] > 1, step, x)


def once(x):
    return lax.cond(x[0, 0] > 3, lambda x: x @ x @ x, lambda x: x @ x + x, x)


def guard(x):
    return lax.cond(x[0, 0] > 3, lambda x: x @ x @ x, lambda x: x, x)
"""


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Install a package where libraries are, with a loop as Equinox makes them, and import it."""
    folder = tmp_path / "site-packages" / "solver_like"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(LIBRARY)
    roots = source_files._LIBRARY_ROOTS  # noqa: SLF001
    monkeypatch.setattr(source_files, "_LIBRARY_ROOTS", (*roots, f"{folder.parent}/"))
    monkeypatch.syspath_prepend(str(folder.parent))
    source_files.is_library.cache_clear()
    source_files.whose.cache_clear()
    module = importlib.import_module("solver_like")
    module.any_of = any_of()  # type: ignore[attr-defined]
    yield module
    del sys.modules["solver_like"]
    source_files.is_library.cache_clear()
    source_files.whose.cache_clear()


def any_of() -> Callable[[Any], Any]:
    """Return a function that says of a whole batch whether any example says yes."""
    primitive = jec.Primitive("any_of_the_batch")
    primitive.def_impl(jnp.any)
    primitive.def_abstract_eval(lambda x: x)

    def batch(args: Any, _axes: Any) -> Any:
        return jnp.any(args[0]), None

    batching.primitive_batchers[primitive] = batch
    return primitive.bind


def test_warnings_come_first() -> None:
    """The notes follow them, each in the order of the program."""

    def f(n: Any, x: Any) -> Any:
        y = lax.cond(n > 1, jnp.sin, lambda x: x @ x * x, x)
        return until_small(y)

    findings = vmapguide.explain(f)(PLACES, VECTORS).findings
    assert [(f.code, f.severity) for f in findings] == [("VG102", "warning"), ("VG101", "note")]


def test_what_is_found_does_not_need_numbers() -> None:
    """Types of the arguments are enough."""
    types = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), (VECTORS, YES))
    one = vmapguide.explain(picks_a_branch)(*types).findings
    other = vmapguide.explain(picks_a_branch)(VECTORS, YES).findings
    assert [dataclasses.replace(f, source=None) for f in one] == [
        dataclasses.replace(f, source=None) for f in other
    ]
