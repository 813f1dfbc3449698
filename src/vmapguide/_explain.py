"""The public function `explain`: what `jax.vmap` made of a function, line by line of its code.

Here is the call, its errors, and the value it returns. What is known of the call is found out in
`_trace`, and what of it is shown is chosen in `_show`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

from vmapguide._advice import wrong_calls
from vmapguide._advice.vmap_notes import noting
from vmapguide._advice.waiting import waiting
from vmapguide._explanation import Explanation
from vmapguide._rules.subject import Argument
from vmapguide._trace.call import Call, TracedArguments, Vmap
from vmapguide._trace.shards import sharded_leaves
from vmapguide._trace.trace import trace
from vmapguide._trace.user_names import captured_names, home_of, transformed_name


def explain(
    f: Callable[..., Any],
    in_axes: Any = 0,
    out_axes: Any = 0,
    *,
    axis_name: Any = None,
    axis_size: int | None = None,
    spmd_axis_name: Any = None,
    traced: TracedArguments = "all",
) -> Callable[..., Explanation]:
    """Make a function that explains `jax.vmap(f)`: put it where `jax.vmap` stood.

    `f` is traced, a few times, and not run: Python code in it, such as `print`, runs each time.
    The cost is a few times that of `jax.make_jaxpr(jax.vmap(f))`, linear in the equations.

    What is shown is what `jax.make_jaxpr(jax.vmap(f))(*args)` makes: arguments that are not mapped
    are traced, too, as `jax.jit` would trace them. `jax.vmap` alone, outside of other
    transformations, hands them to `f` as they are: a shared loop bound is a number then, and the
    loop a `scan` and no `while`. That is shown with `traced="mapped"`. If `f` raises otherwise, it
    gets Python numbers as they are, and if it still does, all that is not mapped.

    Args:
        f: the function of one example.
        in_axes: as for `jax.vmap`: which axis of each argument to map over.
        out_axes: as for `jax.vmap`: where the batch axis is to be in the results.
        axis_name: as for `jax.vmap`: a name by which collectives in `f` refer to the batch axis.
        axis_size: as for `jax.vmap`: the size of the batch, if no argument has it.
        spmd_axis_name: as for `jax.vmap`: the mesh axes that the batch axis is sharded over.
        traced: which arguments `f` does not see the values of: `all`, or those that are `mapped`.

    Returns:
        A function of the arguments that `jax.vmap(f)` would be called with, which returns an
        `Explanation`. Arrays may be `jax.ShapeDtypeStruct` of any size, unless `f` needs the
        numbers of one that is not mapped. JAX computes nothing but, where those are needed, what
        depends on them alone.

    Raises:
        TypeError: if `f` is not a function.
        ValueError: if `traced` is neither of the two.
        Exception: whatever `jax.vmap(f)` raises while it is traced, JAX's message unchanged, with a
            note on the cause where it is a known one.

    Example:
        >>> import jax, jax.numpy as jnp, vmapguide
        >>> batch = jax.ShapeDtypeStruct((32, 4), jnp.float32)
        >>> explanation = vmapguide.explain(lambda x: x - x.mean())(batch)
        >>> [(step.equation.primitive.name, step.kind) for step in explanation.steps]
        [('reduce_sum', 'same'), ('div', 'same'), ('sub', 'same')]
        >>> [eqn.primitive.name for eqn in explanation.steps[-1].batched]
        ['broadcast_in_dim', 'sub']
        >>> explanation.steps[-1].source.expression
        'x - x.mean()'

    The method, tags in name stacks that vmap carries along, is described in the guide, on the page
    "What vmap did to your function".
    """
    wrong_calls.check_function("explain", f)
    if traced not in get_args(TracedArguments):
        raise ValueError(f"explain: traced must be 'all' or 'mapped', but is {traced!r}.")
    vmap = Vmap(in_axes, out_axes, axis_name, axis_size, spmd_axis_name)

    @waiting("explain", f, transformed_name(f, jit=False))
    def explain_call(*args: Any, **kwargs: Any) -> Explanation:
        call = Call.of(f, vmap, args, kwargs)
        with noting("explain", call):
            found = trace(call, traced)
        return Explanation(
            name=transformed_name(f, jit=False),
            per_example=found.per_example,
            batched=found.batched,
            steps=found.steps,
            boundary=found.boundary,
            unknown=found.unknown,
            axis_sizes=found.axis_sizes,
            sharded=sharded_leaves(call.names, call.leaves),
            complete=found.complete,
            _call=call.text(),
            _captured=captured_names(f),
            _arguments=tuple(
                Argument(name, axis, is_spelled=not isinstance(in_axes, int))
                for name, axis in zip(found.arguments, found.argument_axes, strict=True)
            ),
            _shardings=found.shardings,
            _shapes=found.shapes,
            _values=found.values,
            _home=home_of(f),
        )

    return explain_call
