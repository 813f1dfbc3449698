"""Stand in for the Python loop of `check` where it is slow: one program, which is compiled once.

Outside of `jit`, JAX compiles the loops and branches in a function anew whenever Python runs it.
`run_loop` traces the function for every example, and while that gives the same program, evaluates
the one that is compiled already. The function runs as it is if its Python looks at a value
(`watched`), if what it does cannot be known from its jaxpr, or if the jaxpr is another one.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.extend.core as jec
import jax.numpy as jnp

from vmapguide._jaxpr import primitives
from vmapguide._jaxpr.compat import AnyJaxpr
from vmapguide._jaxpr.source_files import HERE, JAX
from vmapguide._jaxpr.trace_matching import equal
from vmapguide._jaxpr.walk import inlined, walk
from vmapguide._measure import agreement
from vmapguide._measure.causes.stand_ins import stand_in_for
from vmapguide._trace.call import Traced


# So many examples run as they are. They show whether a program can run the others.
_AS_THEY_ARE = 2

_PRINTS = primitives.with_role("print")

# A jaxpr knows what these call by name alone.
_CALLBACKS = primitives.with_role("callback")

# What a function that asks whether it is traced calls by name.
_ABOUT_TRACING = frozenset({"Tracer", "is_concrete"})

# JAX's own code and that of this package gives the same whether it is traced or not.
_TRUSTED = (JAX, HERE)


# Runs the function for one example, given the arguments that this example does not share.
Run = Callable[[Sequence[Any]], Any]


def run_loop(
    prepared: Callable[[int], tuple[Run, list[Any]]], examples: Sequence[int]
) -> Iterator[Any]:
    """Yield what a function returns for one example after the other.

    Args:
        prepared: returns for an example what runs the function, and the arguments to run it with,
            in copies that the function may delete.
        examples: the numbers of the examples.
    """
    program: Traced | None = None
    is_same = True
    for number, example in enumerate(examples):
        run, arguments = prepared(example)
        if program is not None:
            # What has changed once may change back.
            is_same = is_same and _equal(program, trace_program(run, arguments))
            if is_same:
                yield program.run(arguments)
                continue
        with watched() as looked:
            result = run(arguments)
        is_same = is_same and not looked
        if is_same and number + 1 == _AS_THEY_ARE < len(examples):
            # The function may have deleted what it was given.
            run, arguments = prepared(example)
            program = trace_program(run, arguments)
            is_same = program is not None and _gives(program, result, arguments)
        yield result


def _equal(program: Traced, other: Traced | None) -> bool:
    """Say whether two programs are the same."""
    return (
        other is not None and program.results == other.results and equal(program.jaxpr, other.jaxpr)
    )


def _gives(program: Traced, results: Any, arguments: Sequence[Any]) -> bool:
    """Say whether a program gives these results, and can be evaluated again."""
    every = [eqn for jaxpr in walk(program.jaxpr) for eqn in jaxpr.eqns]
    if any(
        eqn.primitive.name in _CALLBACKS or any(eqn.params.get("donated_invars", ()))
        for eqn in every
    ):
        return False
    with contextlib.suppress(Exception):
        if jax.tree.structure(results) == program.results:
            silent: Any = inlined(program.jaxpr, _silent)
            again = program._replace(jaxpr=silent).run(arguments)
            compared = agreement.compare_trees(*jax.tree.map(jnp.asarray, (results, again)))
            return all(leaf.identical for leaf in compared)
    return False


def _silent(eqn: jec.JaxprEqn) -> AnyJaxpr | None:
    """Return what is to stand for a print that has been printed."""
    return stand_in_for(eqn, lambda *_: ()) if eqn.primitive.name in _PRINTS else None


def trace_program(run: Run, arguments: Sequence[Any]) -> Traced | None:
    """Return the program of a function; None if it cannot be traced."""
    with contextlib.suppress(Exception):
        return Traced.of(lambda *traced: run(traced), arguments)
    return None


@contextlib.contextmanager
def watched() -> Iterator[list[str]]:
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
