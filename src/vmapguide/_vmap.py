"""The public function `vmap`: `jax.vmap` that can say what it made of its last call."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Any

import jax

from vmapguide._advice import wrong_calls
from vmapguide._explain import explain
from vmapguide._explanation import Explanation
from vmapguide._jaxpr.abstract import abstract, typed
from vmapguide._trace.user_names import transformed_name


# An array that is not mapped is kept for the explanation if it has no more numbers than this. The
# function may need them, as in `range(n)`; of larger ones the type is kept, and not the memory.
_FEW = 64


class Vmapped:
    """What `vmapguide.vmap` returns: it runs like `jax.vmap(f)` and can be explained.

    The explanation of the last call is made when it is asked for, of the types of its arguments. No
    large array of theirs is kept.

    Example:
        >>> import jax.numpy as jnp, vmapguide
        >>> @vmapguide.vmap
        ... def centred(x):
        ...     return x - x.mean()
        >>> centred(jnp.ones((3, 2))).shape
        (3, 2)
        >>> centred.explanation.kinds
        {'same': 3}
    """

    def __init__(self, f: Callable[..., Any], options: dict[str, Any]) -> None:
        """Take a function, and what `jax.vmap` takes besides it."""
        self._mapped = jax.vmap(f, **options)
        self._explain = explain(f, **options)
        self._call: tuple[Any, Any] | None = None
        self._explained: Explanation | None = None
        functools.update_wrapper(self, f)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call `jax.vmap(f)`."""
        result = self._mapped(*args, **kwargs)
        self._call, self._explained = jax.tree.map(_kept, (args, kwargs)), None
        return result

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """Return the method of an object, if this is one."""
        return self if instance is None else types.MethodType(self, instance)

    @property
    def explanation(self) -> Explanation:
        """What `jax.vmap` made of the function in the last call.

        Raises:
            ValueError: if there was no call.
            Exception: what `explain` raises, as for a function that uses a value of another
                transformation, inside of which it was called.
        """
        if self._call is None:
            name = getattr(self, "__name__", "the function")
            raise ValueError(f"vmap: {name} has not been called yet. Call it, then ask again.")
        if self._explained is None:
            args, kwargs = self._call
            self._explained = self._explain(*args, **kwargs)
        return self._explained

    def __repr__(self) -> str:
        """Return what it is."""
        return f"<vmapguide.vmap({transformed_name(self.__wrapped__)})>"  # type: ignore[attr-defined]


def _kept(leaf: Any) -> Any:
    """Return what is kept of an argument."""
    leaf = abstract(leaf)
    is_large = isinstance(leaf, jax.Array) and leaf.size > _FEW
    return typed(leaf) if is_large else leaf


def vmap(  # noqa: PLR0917 - as many may be passed by position as to jax.vmap.
    f: Callable[..., Any],
    in_axes: Any = 0,
    out_axes: Any = 0,
    axis_name: Any = None,
    axis_size: int | None = None,
    spmd_axis_name: Any = None,
) -> Vmapped:
    """Run `jax.vmap(f)`, and keep what is needed to explain its last call.

    Put it where `jax.vmap` stood, also as a decorator, inside of `jax.jit`, `jax.grad` or another
    `vmap`. A call costs what one of `jax.vmap(f)` costs, and noting the types of its arguments;
    once compiled, nothing.

    Args:
        f: the function of one example.
        in_axes: as for `jax.vmap`: which axis of each argument to map over.
        out_axes: as for `jax.vmap`: where the batch axis is to be in the results.
        axis_name: as for `jax.vmap`: a name by which collectives in `f` refer to the batch axis.
        axis_size: as for `jax.vmap`: the size of the batch, if no argument has it.
        spmd_axis_name: as for `jax.vmap`: the mesh axes that the batch axis is sharded over.

    Returns:
        A `Vmapped`, which is called like `jax.vmap(f)` and has an `explanation`.

    Raises:
        TypeError: if `f` is not a function.

    Example:
        >>> import jax, jax.numpy as jnp, vmapguide
        >>> mapped = vmapguide.vmap(jnp.dot, in_axes=(None, 0))
        >>> jax.jit(mapped)(jnp.ones(2), jnp.ones((3, 2))).shape
        (3,)
        >>> mapped.explanation.batch_size
        3
    """
    wrong_calls.check_function("vmap", f)
    options = {
        "in_axes": in_axes,
        "out_axes": out_axes,
        "axis_name": axis_name,
        "axis_size": axis_size,
        "spmd_axis_name": spmd_axis_name,
    }
    return Vmapped(f, options)
