"""Notes on what `jax.vmap` raises. Start here: it chooses the note, and adds it to the exception.

JAX's message stays as it is. `CAUSES` maps a pattern in it to advice about the function, and
`_call_notes` has the advice about how it is called. Whatever can be tried is tried before it is
proposed, and a test follows every proposal. To add one: a pattern, a sentence, and a row in
one of `tests/reported/test_refused_*.py`.
"""

from __future__ import annotations

import builtins
import functools
import re
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

import jax

from vmapguide._advice import call_notes, remedies
from vmapguide._advice.user_frame import user_frame, what_was_called, what_was_tested
from vmapguide._advice.wrong_calls import misfit, with_notes
from vmapguide._trace.call import Call
from vmapguide._trace.user_names import function_name


def noting(caller: str, call: Call) -> AbstractContextManager[None]:
    """Add what is known about the cause to whatever `jax.vmap` raises inside."""
    return with_notes(lambda error: vmap_notes(caller, error, call))


def vmap_notes(caller: str, error: Exception, call: Call) -> Iterator[str]:
    """Yield, if the cause of an error of `jax.vmap` is a known one, a sentence on what to do."""
    text = str(error)
    args, kwargs = call.arguments
    if problem := misfit(caller, call.f, function_name(call.f), args, kwargs):
        yield f"{caller}: {problem}"
        return
    refusal = Refusal(call, text, user_frame(error))
    if advice := call_notes.advice(caller, call, text, inside=refusal.frame is not None):
        yield f"{caller}: {_where(refusal.frame)}{advice}"
        return
    for message, advise in CAUSES.items():
        if re.search(message, text):
            if advice := _filled(advise, refusal) if isinstance(advise, str) else advise(refusal):
                yield f"{caller}: {_where(refusal.frame)}{advice}"
            return


class Refusal(NamedTuple):
    """A call that was refused because of what the function does: what JAX said, and where."""

    call: Call
    message: str
    frame: traceback.FrameSummary | None


def _where(frame: traceback.FrameSummary | None) -> str:
    if frame is None:
        return ""
    # A notebook's cell has the name of a file that is not there, and says nothing to its author.
    path = Path(frame.filename)
    return f"{path.name}:{frame.lineno}: " if path.is_file() else f"line {frame.lineno}: "


def _filled(advice: str, refusal: Refusal) -> str:
    """Fill in why there is no value: it is mapped, or `jit`, `scan` or their like trace it.

    What all examples share has a value if it is passed with one, and that is added.
    """
    is_mapped = re.search("(Batch|Vmap)Tracer", refusal.message)
    if is_mapped or not re.search("(Jit|DynamicJaxpr)Tracer", refusal.message):
        differs, several = "differs from example to example", "a different one for each example"
    else:
        differs = "is not known while it is traced"
        several = f"one that {differs}"
    text = advice.format(differs=differs, several=several)
    call = refusal.call
    unknown = [
        name
        for name, leaf, axis in zip(call.names, call.leaves, call.axes or (), strict=False)
        if axis is None and isinstance(leaf, (jax.ShapeDtypeStruct, jax.core.Tracer))
    ]
    if is_mapped or not unknown or text == advice:
        return text
    has = "has" if len(unknown) == 1 else "have"
    return (
        f"{text} If it is about what all examples share: {' and '.join(unknown)} {has} no value "
        f"here; pass an array or a number."
    )


# Why Python asked whether a value is true, and what asks the same for every example.
TESTS = {
    "if": "jnp.where or jax.lax.cond",
    "while": "jax.lax.while_loop",
    "assert": (
        "jax.experimental.checkify.check, and pass jax.experimental.checkify.checkify of the "
        "function to vmap"
    ),
    "and": "&, | and ~ with brackets around what they join, as in (0 < x) & (x < 1)",
    "number": "jnp.where, and jnp.logical_not in the place of not",
    "in": "jnp.isin",
    "max": "jnp.maximum",
    "min": "jnp.minimum",
    "max of one": "jnp.max",
    "min of one": "jnp.min",
    "sorted": "jnp.sort",
    "any": "jnp.any",
    "all": "jnp.all",
    "match": "jax.lax.switch for whole numbers, and jnp.where",
}


# Methods of Python's that compare, and take no size.
_COMPARING = ("index", "count", "remove")


def _python_branch(refusal: Refusal) -> str:
    tested = what_was_tested(refusal.frame) if refusal.frame else ()
    called = what_was_called(refusal.frame) if refusal.frame else function_name(refusal.call.f)
    is_python = called in _COMPARING or hasattr(builtins, called or "bool")
    if not tested and not is_python:
        return _filled(
            f"{called} branches on a value that {{differs}}: pass size=, the most there can be, if "
            f"it takes that; and a number that all examples share as a Python value that in_axes "
            f"does not map.",
            refusal,
        )
    # Of numbers, `and` and `or` return one, and `&` and `|` do not take them.
    is_number = "shape bool[" not in refusal.message
    words = ["number" if what == "and" and is_number else what for what in tested] or ["if"]
    advice = ", and ".join(TESTS[word] for word in words)
    return _filled(f"Python cannot branch on a value that {{differs}}: use {advice}.", refusal)


def _slice(refusal: Refusal) -> str:
    """Say what to use for a slice: one end alone makes another length for each example."""
    fixed = "jax.lax.dynamic_slice_in_dim(x, start, length)"
    mask = "jnp.where with a comparison of jnp.arange, which blanks the rest and keeps the shape"
    text = "a slice has one length for all examples"
    if re.search(r"slice\(None, |, None, None\)", refusal.message):
        return f"{text}, and this one has not: use {mask}."
    return f"{text}. If this one has, use {fixed}; if not, use {mask}."


def _size(refusal: Refusal) -> str | None:
    """Say what to do about a size: what is blanked can be as large as the largest."""
    if "Tracer" not in refusal.message:
        return None  # It is no size at all.
    if refusal.frame and what_was_called(refusal.frame) == "reshape":
        text = (
            "reshape has one shape for all examples, and this one {differs}: if all have the same, "
            "pass its sizes as Python numbers that in_axes does not map."
        )
    else:
        text = (
            "an array has one shape for all examples, and this size {differs}: use the largest, "
            "and blank what is too much with jnp.where(jnp.arange(largest) < n, …)."
        )
    return _filled(text, refusal)


def _no_rule(refusal: Refusal) -> str | None:
    (primitive,) = re.findall("Batching rule for '(.*)' not implemented", refusal.message)
    return _one_by_one(refusal, f"JAX has no rule for {primitive} under vmap")


def _ragged_dot(refusal: Refusal) -> str | None:
    call = refusal.call
    what = "the batch axis has to come first in all operands of ragged_dot"
    axes = call_notes.first_axes(call)
    if axes is not None:
        return f"{what}: move it there with jnp.moveaxis before vmap, and write in_axes={axes!r}."
    return _one_by_one(refusal, what)


def _one_by_one(refusal: Refusal, text: str) -> str | None:
    """Return a note with what works one example at a time; None if nothing does."""
    ways = [*remedies.sequential(refusal.call)]
    return f"{text}. One example at a time it works: {', or '.join(ways)}." if ways else None


def _or_one_by_one(refusal: Refusal, text: str) -> str:
    """Return a note, and behind it what works one example at a time, if anything does."""
    return _one_by_one(refusal, text) or f"{text}."


def _vmap_method(refusal: Refusal) -> str:
    name = re.findall("supported for the (pure_callback|ffi_call)", refusal.message) or ["the call"]
    return (
        f'say what {name[0]} does with a batch: vmap_method="sequential" calls it once for each '
        f'example, and "broadcast_all" once with whole batches, if it can take these.'
    )


def _out_axes_none(refusal: Refusal) -> str:
    call = refusal.call
    text = "out_axes=None is for results that are the same for all examples, and this one is not"
    spec = [*jax.tree.leaves(call.vmap.out_axes, is_leaf=lambda axis: axis is None)]
    # Otherwise it is a vmap inside the function that was refused.
    whose = "" if None in spec else "a vmap inside the function: "
    name = call.vmap.axis_name or "i"
    if None in spec and not remedies.has_a_mean(call, name):
        return f"{text}: give it a number."
    return (
        f"{whose}{text}: give it a number, or reduce it inside the function, as by "
        f"jax.lax.pmean(result, {name!r}) with axis_name={name!r}."
    )


def _output(refusal: Refusal) -> str:
    kind = re.findall(r"with type <class '(?:.*\.)?(\w+)'>", refusal.message)
    return (
        f"the function returns a value of type {kind[-1]}, of which vmap cannot make a batch: "
        f"return arrays, numbers, and pytrees of these alone."
    )


def _iteration(refusal: Refusal) -> str | None:
    """Say what to do where Python goes through an argument of which each example is a number."""
    found = remedies.single_numbers(refusal.call)
    if found is None:
        return None
    name, ways = found
    return f"Python goes through {name}, of which each example is one number: {'; '.join(ways)}."


# What JAX says, as a pattern, and what to say to it: a sentence, or a function that writes one
# about the call.
CAUSES: dict[str, str | Callable[[Refusal], str | None]] = {
    "Output from batched function": _output,
    "but output was batched": _out_axes_none,
    "has mapped output": _out_axes_none,
    "Attempted boolean conversion of traced array": _python_branch,
    r"The problem arose with the `|occurred in the item\(\) method|The tolist\(\) method": (
        "float(), int(), .item(), .tolist() and the functions of math need one value, and in here "
        "is {several}: keep it an array, compute with jax.numpy, and convert what vmap returns."
    ),
    r"method is not available on traced|devices\(\) method was called on traced": (
        "an array has no values and no device while a function is traced: call that method on what "
        "vmap returns."
    ),
    "The numpy.ndarray conversion method __array__": (
        "NumPy computes with values, and in here is {several}: use jax.numpy or jax.scipy, "
        "jnp.asarray around a NumPy array that is indexed, and jax.pure_callback with a "
        "vmap_method for what JAX has not."
    ),
    "The __index__\\(\\) method was called": (
        "range, a list's index and a shape need one number, and in here is {several}: use "
        "jax.lax.fori_loop, jnp.asarray(items)[i], or a fixed size and a mask."
    ),
    "boolean indices must be concrete": (
        "how many elements a mask picks {differs}, and an array has one shape: use jnp.where with "
        "three arguments, which keeps the shape."
    ),
    "Slice entries must be static|must have static start/stop/step": _slice,
    "Shapes must be 1D sequences of concrete|jnp.arange argument|argument `num_classes`": _size,
    (
        "The size argument of jnp.|concrete value for the size argument|"
        r"The error arose in (setdiff1d|union1d)\(\)"
    ): (
        "an array has one shape for all examples, and how many elements there are {differs}: pass "
        "size=, the most there can be."
    ),
    "pass a static `length` argument": (
        "an array has one shape for all examples, and how many bins there are {differs}: pass "
        "length=, the most there can be."
    ),
    "pass a static value to `total_repeat_length`": (
        "an array has one shape for all examples, and how many elements there are {differs}: pass "
        "total_repeat_length=, the most there can be."
    ),
    "`length` argument to `scan`": (
        "a scan has one length for all examples, and this one {differs}: use jax.lax.fori_loop, "
        "which goes on until the last example is done."
    ),
    "must be known statically|unhashable type: '\\w*Tracer'": (
        "static arguments, keys of dictionaries, members of sets and what functools.cache keeps "
        "need one value, and in here is {several}: if all have the same, pass it as a Python value "
        "that in_axes does not map; else look it up with jnp.asarray(items)[i], choose with "
        "jax.lax.switch, ask jnp.isin, or leave out the cache."
    ),
    "Batching rule for '.*' not implemented": _no_rule,
    "ragged_dot vmap over any dim but 0": _ragged_dot,
    "reduce_window batching is not implemented for initial values": functools.partial(
        _one_by_one, text="the initial value of reduce_window has to be the same for all examples"
    ),
    "Cannot `vmap` ordered IO callback|Ordered IO effects not supported in vmap": functools.partial(
        _or_one_by_one,
        text="a batch has no order in which its examples come: write ordered=False if it does not "
        "matter",
    ),
    "Unordered IO effects not supported in while_loop": functools.partial(
        _or_one_by_one,
        text="an io_callback cannot be in a while_loop that ends sooner for some examples than for "
        "others: use jax.debug.callback if no result is needed, or end the loop for all at once, "
        "by reducing its predicate with jax.lax.pmax over the axis_name of the vmap",
    ),
    "IO effect not supported in vmap-of-cond": functools.partial(
        _or_one_by_one,
        text="an io_callback cannot be in a branch of cond or switch under vmap: call it outside, "
        "or use jax.debug.callback if no result is needed",
    ),
    "vmap is only supported for the .* when vmap_method is one of": _vmap_method,
    "axis_index_groups not supported": (
        "vmap knows no groups of examples: if they are equally large, give each group a row, and "
        "map twice: jax.vmap(jax.vmap(f, axis_name=…)), with the collective over the inner axis. "
        "If not, take what jax.lax.all_gather returns, and blank the other groups with jnp.where."
    ),
    "State effect not supported in vmap-of-cond": (
        "a branch of cond or switch can neither read nor write a Ref under vmap: read it before, "
        "choose the value in the branch, and write it after."
    ),
    "performing an? .* operation with vmapped value on an unbatched array reference": (
        "all examples share this Ref, and each would write another value to it: return the value, "
        "make the Ref inside the function, or pass one with a batch axis that in_axes maps."
    ),
    "No batching rule defined for custom_vmap": (
        "the function says by custom_vmap that it has a rule of its own, and has none: give it one "
        "with its def_vmap, or use jax.custom_batching.sequential_vmap."
    ),
    "output batching specification returned by custom vmap rule": (
        "what is given to def_vmap returns two things of one structure: the results, and for each "
        "whether it has the batch axis, in front: return y, True for one array."
    ),
    "Permutation doesn't match the axis size": (
        "under vmap, ppermute needs to know for every example where it goes, one pair (source, "
        "destination) for each, and pshuffle where it comes from: blank with jnp.where what is to "
        "get nothing."
    ),
    "iteration over a 0-d array": _iteration,
    r"wrapped in a (Batch|Vmap)Tracer to escape": (
        "this value was kept, in a global, a list or an attribute, by a function that vmap has "
        "traced before, and has no numbers outside of that: return it there, keep what vmap "
        "returns, and pass it to the function that needs it as an argument."
    ),
    r"to escape the scope": (
        "this value was kept, in a global, a list or an attribute, by a function that is traced "
        "apart, as jit, scan and cond do, and is none outside of that: return it there, by scan as "
        "one of its outputs, and use what comes back."
    ),
}
