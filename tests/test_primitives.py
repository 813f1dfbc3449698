"""The table of primitives, held against JAX's own test calls and against what they compute."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.extend.core as jec
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax._src.internal_test_util import test_harnesses
from jax.extend.core import primitives as jax_primitives

import vmapguide
from vmapguide._jaxpr import primitives, views
from vmapguide._jaxpr.walk import count_primitives, nested, walk
from vmapguide._measure import flops


HARNESSES = {harness.group_name: harness for harness in test_harnesses.all_harnesses}

N = jnp.arange(1, 13, dtype=jnp.int32).reshape(3, 4)
X = jnp.linspace(0.1, 0.9, 12, dtype=jnp.float32).reshape(3, 4)

# Of these, JAX's list has no call.
OTHERS: dict[str, tuple[Callable[..., Any], Any]] = {
    "clz": (lax.clz, N),
    "conj": (jnp.conj, X + 1j),
    "exp2": (lax.exp2, X),
    "not": (lax.bitwise_not, N),
    "polygamma": (lambda x: lax.polygamma(x, x), X + 1),
    "reduce_precision": (lambda x: lax.reduce_precision(x, 5, 3), X),
    "square": (lax.square, X),
    "zeta": (lambda x: lax.zeta(x + 2, x), X),
}

# These change no element, and `views` looks through them.
LOOKED_THROUGH = primitives.with_role("layout") | {"copy_p"}


def equations(jaxpr: Any) -> Iterator[jec.JaxprEqn]:
    """Yield every equation of a program, nested ones included."""
    for inner in walk(jaxpr):
        yield from inner.eqns


def test_every_primitive_of_jaxs_test_calls_has_a_row() -> None:
    """What JAX's own list of test calls is made of is known by name."""
    unknown = set()
    for harness in HARNESSES.values():
        args = harness.dyn_args_maker(np.random.RandomState(0))
        names = count_primitives(jax.make_jaxpr(harness.dyn_fun)(*args))
        unknown |= names.keys() - primitives.PRIMITIVES.keys()
    assert not unknown


def test_every_primitive_that_jax_exports_has_a_row() -> None:
    """So has what `jax.extend` names."""
    exported = (
        getattr(jax_primitives, name) for name in dir(jax_primitives) if name.endswith("_p")
    )
    assert not {primitive.name for primitive in exported} - primitives.PRIMITIVES.keys()


def test_formulas_are_those_of_the_table() -> None:
    """Each row that says `rule` has a formula, and no other has one."""
    said = {name for name, row in primitives.PRIMITIVES.items() if row.work == "rule"}
    assert said == flops.RULES.keys()


def small_calls() -> Iterator[tuple[Callable[..., Any], tuple[Any, ...]]]:
    """Yield calls that have every kernel and product that a public function of JAX makes."""
    for harness in HARNESSES.values():
        yield harness.dyn_fun, tuple(harness.dyn_args_maker(np.random.RandomState(0)))
    square = jnp.eye(4)
    for f in (lax.linalg.hessenberg, lax.linalg.schur, lambda x: lax.linalg.tridiagonal(x)[0]):
        yield f, (square,)
    yield lax.linalg.householder_product, (square, jnp.ones(4))
    yield (lambda x: jax.scipy.linalg.qr_multiply(x, x)), (square,)
    yield lax.ragged_dot, (square, square[None], jnp.array([4]))


def calls_lapack(eqn: jec.JaxprEqn) -> bool:
    """Say whether an operation is lowered to a call of LAPACK for a CPU."""
    types = [jax.ShapeDtypeStruct(a.aval.shape, a.aval.dtype) for a in eqn.invars]  # type: ignore[attr-defined]
    traced = jax.jit(lambda *args: eqn.primitive.bind(*args, **eqn.params)).trace(*types)
    return "@lapack_" in traced.lower(lowering_platforms=("cpu",)).as_text()


def test_kernels_are_what_calls_lapack() -> None:
    """On a CPU, where it can be seen; and nothing else does."""
    found: dict[str, bool] = {}
    for f, args in small_calls():
        for eqn in equations(jax.make_jaxpr(f)(*args)):
            if not nested(eqn) and eqn.primitive.name not in found:
                found[eqn.primitive.name] = calls_lapack(eqn)
    kernels = primitives.with_role("kernel")
    assert {name for name, is_so in found.items() if is_so} == kernels & found.keys()
    # Those two are what `qr` is lowered to: no function of JAX's interface makes them.
    assert kernels - found.keys() <= {"geqp3", "geqrf"}


def test_products_have_a_precision() -> None:
    """It is the one parameter that says with how many bits a device may compute."""
    found = {
        eqn.primitive.name
        for f, args in small_calls()
        for eqn in equations(jax.make_jaxpr(f)(*args))
        if "precision" in eqn.params
    }
    assert found == primitives.with_role("product")


def test_views_look_through_what_moves_axes() -> None:
    """All that has that role, and a conversion to the dtype that a value has already."""
    assert views.LAYOUT_RULES.keys() == LOOKED_THROUGH | {"convert_element_type"}


def test_roles_are_of_the_right_kind() -> None:
    """A call has a program, and what only moves axes computes nothing."""
    for name, row in primitives.PRIMITIVES.items():
        assert row.body or row.role != "call", name
        assert row.work in ("moves", "free") or row.role != "layout", name
        assert row.work == "rule" or row.role not in ("kernel", "product"), name


def test_rows_agree_with_themselves() -> None:
    """What costs something for each element is elementwise; only such operations commute."""
    for name, row in primitives.PRIMITIVES.items():
        assert row.elementwise or row.work not in ("arithmetic", "transcendental"), name
        assert row.elementwise or not row.commutative, name
        assert not (row.elementwise and row.reduction), name


def test_comparisons_say_which_operand_is_smaller() -> None:
    """It is the smaller one where the comparison holds."""
    for compare in (jax.lax.lt, jax.lax.le, jax.lax.gt, jax.lax.ge):
        (eqn,) = jax.make_jaxpr(compare)(1, 2).eqns
        smaller = primitives.traits(eqn.primitive.name).smaller
        assert compare(1, 2) == (smaller == 0)
        assert compare(2, 1) == (smaller == 1)


def test_what_is_not_in_the_table_is_unknown() -> None:
    """Nothing is claimed of a primitive that JAX may have tomorrow."""
    assert primitives.traits("no such primitive") == primitives.Traits()


def shuffled(eqn: jec.JaxprEqn, leaves: list[Any]) -> tuple[Any, Any] | None:
    """Return an operation's result, shuffled, and its result for shuffled operands.

    None if the operands are not all of the result's shape, or numbers.
    """
    (out,) = eqn.outvars
    shape = out.aval.shape  # type: ignore[attr-defined]
    if any(np.shape(leaf) not in (shape, ()) for leaf in leaves) or np.prod(shape) < 4:
        return None
    order = np.random.RandomState(1).permutation(int(np.prod(shape)))

    def mixed(leaf: Any) -> Any:
        return leaf if np.shape(leaf) != shape else jnp.ravel(leaf)[order].reshape(shape)

    def run(leaves: list[Any]) -> Any:
        return eqn.primitive.bind(*leaves, **eqn.params)

    return mixed(run(leaves)), run([*map(mixed, leaves)])


def elementwise_by_trial(f: Callable[..., Any], args: Any, found: dict[str, bool]) -> None:
    """Note of each operation of a function whether shuffling its operands shuffles its result."""
    closed = jax.make_jaxpr(f)(*args)
    random = np.random.RandomState(0)
    for eqn in equations(closed):
        types: list[Any] = [atom.aval for atom in eqn.invars]
        plain = all(
            hasattr(t, "dtype") and not jnp.issubdtype(t.dtype, jax.dtypes.extended) for t in types
        )
        is_tried = len(eqn.outvars) == 1 and plain and types and not eqn.effects
        if not is_tried or any(True for _ in nested(eqn)):
            continue
        leaves = [
            atom.val
            if isinstance(atom, jec.Literal)
            else jnp.asarray(random.randint(1, 9, np.shape(t)) / (1 if exact(t) else 10), t.dtype)
            for atom, t in zip(eqn.invars, types, strict=True)
        ]
        results = shuffled(eqn, leaves)
        if results is not None:
            first, second = (np.asarray(result).tobytes() for result in results)
            name = eqn.primitive.name
            found[name] = found.get(name, True) and first == second


def exact(type_: Any) -> bool:
    """Say whether values of a type are whole numbers."""
    return not jnp.issubdtype(type_.dtype, jnp.inexact)


@pytest.fixture(scope="module")
def trials() -> dict[str, bool]:
    """Try every operation of JAX's list that has operands and a result of one shape."""
    found: dict[str, bool] = {}
    for harness in HARNESSES.values():
        elementwise_by_trial(
            harness.dyn_fun, harness.dyn_args_maker(np.random.RandomState(0)), found
        )
    for f, x in OTHERS.values():
        elementwise_by_trial(f, (x,), found)
    return found


@pytest.mark.slow
class TestElementwise:
    """An operation is elementwise if shuffling its operands shuffles its result."""

    def test_all_that_the_table_calls_so_are(self, trials: dict[str, bool]) -> None:
        """None makes an element from one in another place."""
        wrong = [name for name, is_so in trials.items() if row(name).elementwise and not is_so]
        assert not wrong

    def test_all_that_are_the_table_calls_so(self, trials: dict[str, bool]) -> None:
        """None is missing, as seventeen were while there were two lists."""
        # A reduction over no axes is one only by the way.
        missing = {
            name
            for name, is_so in trials.items()
            if is_so and not (row(name).elementwise or row(name).reduction)
        }
        # A cast of bits adds or drops an axis if the widths differ.
        assert missing - LOOKED_THROUGH - {"bitcast_convert_type"} == set()

    def test_enough_is_tried(self, trials: dict[str, bool]) -> None:
        """If JAX moves its list, this says so rather than test little."""
        assert len(trials) > 60
        assert trials.keys() >= OTHERS.keys()


def row(name: str) -> primitives.Traits:
    """Return the row of a primitive."""
    return primitives.traits(name)


# Of each two, one moves axes before the operation, and the other after it.
MOVED: dict[str, tuple[Callable[[Any], Any], Any]] = {
    **OTHERS,
    "real": (jnp.real, X + 1j),
    "imag": (jnp.imag, X + 1j),
    "complex": (lambda x: lax.complex(x, x), X),
    "bessel_i0e": (lax.bessel_i0e, X),
    "bessel_i1e": (lax.bessel_i1e, X),
    "igamma": (lambda x: lax.igamma(x, x), X),
    "logistic": (jax.nn.sigmoid, X),
    "population_count": (lax.population_count, N),
    "regularized_incomplete_beta": (lambda x: lax.betainc(x, x, x), X),
    "sin": (jnp.sin, X),
}


@pytest.mark.parametrize("name", MOVED)
def test_moved_axes_are_told_from_other_values(name: str) -> None:
    """`f(x).T` and `f(x.T)` are the same operation but for where its axes are."""
    f, x = MOVED[name]
    text = str(vmapguide.compare(lambda x: f(x).T, lambda x: f(x.T))(x))
    assert "on other values" not in text
    assert "axes or operands in another place" in " ".join(text.split())
