"""The two sides of a check, run: `jax.vmap(f)` of the whole batch, and the Python loop over `f`."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.extend.core as jec
import jax.numpy as jnp
import numpy as np

from vmapguide._advice.vmap_notes import noting
from vmapguide._data import LeafResult
from vmapguide._jaxpr.compat import AnyJaxpr
from vmapguide._jaxpr.equality import equal
from vmapguide._jaxpr.source_lines import HERE, JAX
from vmapguide._jaxpr.walk import inlined, walk, with_plain_calls
from vmapguide._measure import agreement
from vmapguide._measure.arguments import Arguments, Example
from vmapguide._measure.progress import tracked
from vmapguide._measure.structure import below_metadata
from vmapguide._trace.call import Call, Edited, spread
from vmapguide._trace.names import function_name


# As many examples run as they are. What the others are run by is known from these.
_AS_THEY_ARE = 2

_PRINTS = frozenset({"debug_callback", "debug_print"})

# A jaxpr knows what these call by name alone.
_CALLBACKS = frozenset({"io_callback", "pure_callback"})

# What a function that asks whether it is traced calls by name.
_ABOUT_TRACING = frozenset({"Tracer", "is_concrete"})

# JAX's own code and that of this package gives the same whether it is traced or not.
_TRUSTED = (JAX, HERE)


class Results(NamedTuple):
    """One leaf of the results of both sides, for some of the examples."""

    path: str
    expected: list[jax.Array]
    actual: jax.Array


class Sides:
    """The two sides of a check: `jax.vmap(f)` of the whole batch, and the loop."""

    def __init__(self, call: Call, rtol: float | None, atol: float | None) -> None:
        """Take the call, and look at its arguments."""
        self.call = call
        self.tolerances = rtol, atol
        self.arguments = Arguments(call)

    def batched(self, f: Callable[..., Any]) -> Any:
        """Return what `jax.vmap(f)` returns for the whole batch."""
        args, kwargs = self.arguments.whole()
        with noting("check", self.call):
            try:
                return self.call.vmap(f)(*args, **kwargs)
            except Exception as error:
                if self.call.axes is not None:
                    name = function_name(self.call.f)
                    error.add_note(f"check: jax.vmap({name}) raised this; {self._about_loop(f)}.")
                raise

    def _about_loop(self, f: Callable[..., Any]) -> str:
        """Say whether the loop fails as well, by its first example."""
        try:
            self.one(f, 0)
        except Exception:  # noqa: BLE001 - one error is enough.
            return "the loop fails, too"
        return "the loop does not: it ran the first example"

    def one(self, f: Callable[..., Any], example: int) -> Any:
        """Return what `f` returns for one example."""
        one = self.arguments.example(example)
        return self._run(f, one, one.mapped)

    def _run(self, f: Callable[..., Any], one: Example, mapped: Sequence[Any]) -> Any:
        """Return what `f` returns for the arguments of one example."""
        if self.call.vmap.axis_name is None:
            args, kwargs = one.filled(mapped)
            return f(*args, **kwargs)
        # Only inside `jax.vmap` does the axis have its name. But no batching rule of the user's
        # may have a say in the loop.
        plain = edited(f, with_plain_calls)

        def inside(*mapped: Any) -> Any:
            args, kwargs = one.filled(mapped)
            return plain(*args, **kwargs)

        vmap = dataclasses.replace(self.call.vmap, in_axes=0, out_axes=0, axis_size=1)
        results = vmap(inside)(*(jnp.expand_dims(leaf, 0) for leaf in mapped))
        return jax.tree.map(lambda leaf: leaf[0], results)

    def loop(self, f: Callable[..., Any], examples: Sequence[int]) -> Iterator[Any]:
        """Yield what `f` returns for one example after the other.

        Outside of `jit`, JAX compiles the loops and branches of a program anew whenever Python runs
        it. So `f` is traced for every example, and if it is the same program every time, the one
        that is compiled already is evaluated. It runs as it is if its Python looks at a value, if
        what it does cannot be known from its jaxpr, or if the jaxpr is another one.
        """
        program: _Program | None = None
        is_same = True
        for number, example in enumerate(examples):
            one = self.arguments.example(example)
            run = functools.partial(self._run, f, one)
            if program is not None:
                # What has changed once may change back.
                is_same = is_same and program.equals(_traced(run, one.mapped))
                if is_same:
                    yield program.run(one.mapped)
                    continue
            with _watched() as looked:
                result = run(one.mapped)
            is_same = is_same and not looked
            if is_same and number + 1 == _AS_THEY_ARE < len(examples):
                # The function may have deleted what it was given.
                one = self.arguments.example(example)
                program = _traced(functools.partial(self._run, f, one), one.mapped)
                is_same = program is not None and program.gives(result, one.mapped)
            yield result

    def results(self, f: Callable[..., Any], examples: tuple[int, ...]) -> list[Results]:
        """Run both sides."""
        inside: Any = None

        @functools.wraps(f)
        def noted(*args: Any, **kwargs: Any) -> Any:
            nonlocal inside
            one = f(*args, **kwargs)
            inside = jax.tree.structure(one)
            return one

        whole = self.batched(noted)
        loop = []
        counted: set[int] = set()
        for example, one in zip(examples, self._noted_loop(f, examples), strict=True):
            if (structure := jax.tree.structure(one)) != inside:
                numbers = self._counted(f, example, one, inside)
                if numbers is None:
                    raise TypeError(
                        f"check: the loop and jax.vmap return results of different structure: for "
                        f"example {example} the loop returns {structure}, jax.vmap {inside}. "
                        f"Return the same structure whatever the values are."
                    )
                counted |= numbers
            loop.append([_as_array(leaf, example) for leaf in jax.tree.leaves(one)])
        leaves = jax.tree_util.tree_leaves_with_path(whole)
        axes = spread(self.call.vmap.out_axes, whole)
        results = []
        for number, ((path, leaf), axis) in enumerate(zip(leaves, axes, strict=True)):
            actual = _chosen(leaf, axis, examples)
            expected = list(actual) if number in counted else [one[number] for one in loop]
            results.append(Results(jax.tree_util.keystr(path), expected, actual))
        return results

    def _counted(self, f: Callable[..., Any], example: int, one: Any, inside: Any) -> Any:
        """Return which leaves are numbers that JAX counts, and so are no results.

        `checkify` numbers its errors for every trace, in metadata and in a leaf below.

        Returns:
            The numbers of the leaves; None if the structures of the two sides really differ.
        """
        structure: Any = jax.tree.structure(one)
        below = below_metadata(one, structure, inside)
        again = self.one(f, example)
        if below is None or jax.tree.structure(again) == structure:
            return None
        return {
            number
            for number, (is_below, *pair) in enumerate(
                zip(below, *map(jax.tree.leaves, (one, again)), strict=False)
            )
            if is_below
            and jnp.issubdtype(jnp.result_type(pair[0]), jnp.integer)
            and not agreement.compare_leaves("", *pair).identical
        }

    def _noted_loop(self, f: Callable[..., Any], examples: tuple[int, ...]) -> Iterator[Any]:
        """Run the loop; an error says that it was the loop, for which example, and why."""
        results = self.loop(f, examples)
        for example in tracked(examples, "check: the loop", total=len(examples)):
            try:
                yield next(results)
            except Exception as error:
                error.add_note(
                    f"check: the loop raised this, for example {example}; jax.vmap did not raise "
                    f"anything.{self._why(f, example)}"
                )
                raise

    def _why(self, f: Callable[..., Any], example: int) -> str:
        """Say why only the loop raises an error, as far as it is known."""
        if self.call.vmap.axis_name is not None:
            return (
                " In the loop every example is a batch of one, and a collective that needs all of "
                "them, such as ppermute, cannot be checked against it."
            )
        with contextlib.suppress(Exception):
            one = self.arguments.example(example)
            if _traced(functools.partial(self._run, f, one), one.mapped) is not None:
                return (
                    " Inside vmap a function sees no values, so what it raises because of one is "
                    "raised in the loop alone."
                )
        return ""

    def compare(self, f: Callable[..., Any], examples: tuple[int, ...]) -> tuple[LeafResult, ...]:
        """Compare the loop over `f` with `jax.vmap(f)`."""
        return self.judged(self.results(f, examples))

    def judged(self, results: list[Results], epsilon: float = 0) -> tuple[LeafResult, ...]:
        """Compare what both sides returned. Types are compared first, and tell for one example.

        Args:
            results: the leaves.
            epsilon: that of what they are computed by, if it is coarser than their dtypes.
        """
        return tuple(self._leaf(leaf, epsilon) for leaf in results)

    def _leaf(self, leaf: Results, epsilon: float) -> LeafResult:
        type_text = agreement.type_text(
            jax.ShapeDtypeStruct(leaf.actual.shape[1:], leaf.actual.dtype)
        )
        for place, one in enumerate(leaf.expected):
            if agreement.type_text(one) != type_text:
                other = leaf.actual[place]
                return agreement.compare_leaves(leaf.path, one, other, *self.tolerances)
        stacked = _stacked(leaf.expected), leaf.actual
        return dataclasses.replace(
            agreement.compare_leaves(leaf.path, *stacked, *self.tolerances, epsilon=epsilon),
            expected_type=type_text,
            actual_type=type_text,
        )


class _Program(NamedTuple):
    """What a function does, as a jaxpr, and the tree of its results."""

    jaxpr: Any
    results: Any

    def run(self, arguments: Sequence[Any]) -> Any:
        """Evaluate it, one equation after the other: each is compiled, as it is without a jaxpr."""
        return self.results.unflatten(jec.jaxpr_as_fun(self.jaxpr)(*arguments))

    def equals(self, other: _Program | None) -> bool:
        """Say whether it is the same program."""
        return (
            other is not None and self.results == other.results and equal(self.jaxpr, other.jaxpr)
        )

    def gives(self, results: Any, arguments: Sequence[Any]) -> bool:
        """Say whether it gives these results, and can be evaluated again."""
        every = [eqn for jaxpr in walk(self.jaxpr) for eqn in jaxpr.eqns]
        if any(
            eqn.primitive.name in _CALLBACKS or any(eqn.params.get("donated_invars", ()))
            for eqn in every
        ):
            return False
        with contextlib.suppress(Exception):
            if jax.tree.structure(results) == self.results:
                silent = self._replace(jaxpr=inlined(self.jaxpr, _silent))
                again = jax.tree.map(jnp.asarray, (results, silent.run(arguments)))
                return all(leaf.identical for leaf in agreement.compare_trees(*again))
        return False


def _silent(eqn: jec.JaxprEqn) -> AnyJaxpr | None:
    """Return what is to stand for a print that has been printed."""
    if eqn.primitive.name not in _PRINTS:
        return None
    avals: list[Any] = [operand.aval for operand in eqn.invars]
    types = [jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in avals]
    return jax.make_jaxpr(lambda *_: ())(*types)


def _traced(run: Callable[[Sequence[Any]], Any], arguments: Sequence[Any]) -> _Program | None:
    """Return the program of a function; None if it cannot be traced."""
    with contextlib.suppress(Exception):
        make = jax.make_jaxpr(lambda *traced: run(traced), return_shape=True)
        jaxpr, shapes = make(*arguments)
        return _Program(jaxpr, jax.tree.structure(shapes))
    return None


@contextlib.contextmanager
def _watched() -> Iterator[list[str]]:
    """Note where Python looks at the value of an array, or asks whether there is one."""
    looked: list[str] = []
    before = sys.getprofile()
    if before is not None:
        # Two cannot watch. What is not known is taken to be the case.
        yield ["unknown"]
        return

    def watch(frame: Any, event: str, _: Any) -> None:
        if event != "call":
            return
        asks = frame
        if frame.f_code in _value_methods():
            asks = frame.f_back
        elif _ABOUT_TRACING.isdisjoint(frame.f_code.co_names):
            return
        if not asks.f_code.co_filename.startswith(_TRUSTED):
            looked.append(frame.f_code.co_name)

    sys.setprofile(watch)
    try:
        yield looked
    finally:
        sys.setprofile(before)


@functools.cache
def _value_methods() -> frozenset[Any]:
    """Return the code of the methods of an array that need its value."""
    kinds = ("bool", "float", "int", "index", "complex", "array", "repr", "str", "format")
    names = [*(f"__{kind}__" for kind in kinds), "item", "tolist"]
    methods = (getattr(type(jnp.zeros(())), name, None) for name in names)
    return frozenset(getattr(method, "__code__", None) for method in methods) - {None}


def edited(f: Callable[..., Any], edit: Callable[[Any], AnyJaxpr]) -> Callable[..., Any]:
    """Return a function that computes what another one does, by way of its edited jaxpr.

    Unlike `Edited`, it works in the loop, too, and where the function needs to know a value.
    """

    def call(*args: Any, **kwargs: Any) -> Any:
        with contextlib.suppress(Exception):
            return Edited(f, edit, kind=jax.Array)(*args, **kwargs)
        # NumPy computes with a value even while JAX traces, and JAX would record it.
        args, kwargs = jax.tree.map(_with_value, (args, kwargs))
        return Edited(f, edit)(*args, **kwargs)

    return call


def _with_value(leaf: Any) -> Any:
    """Return a leaf as NumPy's if that can hold it."""
    is_concrete = isinstance(leaf, jax.Array) and not isinstance(leaf, jax.core.Tracer)
    if is_concrete and not jnp.issubdtype(leaf.dtype, jax.dtypes.extended):
        return np.asarray(leaf)
    return leaf


def _as_array(leaf: Any, example: int) -> jax.Array:
    """Return a result of the loop as what `jax.vmap` makes of it: NumPy's, too, is JAX's there."""
    try:
        return jnp.asarray(leaf)
    except TypeError as error:
        raise TypeError(
            f"check: for example {example} the loop returns a {type(leaf).__name__}, where "
            f"jax.vmap returns an array. Return arrays, numbers or pytrees of them, whatever the "
            f"values are."
        ) from error


def _stacked(leaves: list[Any]) -> Any:
    """Return arrays of one type as one; NumPy need not compile that."""
    if jnp.issubdtype(leaves[0].dtype, jax.dtypes.extended):
        return jnp.stack(leaves)
    return np.stack([np.asarray(leaf) for leaf in leaves])


def _chosen(leaf: Any, axis: int | None, examples: tuple[int, ...]) -> jax.Array:
    """Return what a leaf of the batched results has for some examples, along axis 0."""
    leaf = jnp.asarray(leaf)
    if axis is None:
        return jnp.broadcast_to(leaf, (len(examples), *leaf.shape))
    return jnp.moveaxis(leaf, axis, 0)[jnp.asarray(examples)]
