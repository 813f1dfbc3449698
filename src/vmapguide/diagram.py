"""`diagram`: the picture of a `jax.vmap` that people draw on whiteboards.

Here is the call and the value it returns; it is drawn by `_svg`.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.extend.core as jec

from vmapguide import _axes, _call, _errors, _names, _read, _render, _sourcemap, _svg
from vmapguide._program import Type
from vmapguide._vmap_notes import noting
from vmapguide._waiting import waiting


@dataclass(frozen=True)
class Block:
    """An argument or a result: one leaf of it.

    Attributes:
        name: what it is called, such as `params['W']`; empty for a result that is one array.
        dtype: its dtype in short, such as `f32`, or what it is if it is no array.
        whole: its shape, the batch axes by their names: `("B", 5)`; None if it is no array.
        one: the shape of what one example has of it: `(5,)`.
        mapped: whether each example has its own; if not, all share it. A result that is the same
            for all and that `out_axes` repeats is each one's own.

    Example:
        >>> import jax, jax.numpy as jnp, vmapguide
        >>> X = jax.ShapeDtypeStruct((3, 5), jnp.float32)
        >>> block, = vmapguide.diagram(lambda x: x.sum(), in_axes=1)(X).arguments
        >>> block.name, block.dtype, block.whole, block.one, block.mapped
        ('x', 'f32', (3, 'B'), (3,), True)
    """

    name: str
    dtype: str
    whole: tuple[int | str, ...] | None
    one: tuple[int, ...] | None
    mapped: bool


@dataclass(frozen=True, repr=False, eq=False)
class Diagram:
    """What goes into a vmapped function and what comes out: a picture in a notebook.

    Attributes:
        name: what the function of one example is called.
        arguments: the leaves of the arguments.
        results: the leaves of the results.
        sizes: the sizes of the batch axes by their names, the outermost first: `{"B": 3}`.

    Example:
        >>> import jax, jax.numpy as jnp, vmapguide
        >>> W, X = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((2, 5), (3, 5)))
        >>> def layer(W, x):
        ...     return W @ x
        >>> vmapguide.diagram(layer, in_axes=(None, 0))(W, X)
        vmap(layer)   in_axes=(None, 0)   B = 3
        <BLANKLINE>
          W       f32[2,5]  ->  f32[2,5]  shared
          x       f32[B,5]  ->  f32[5]    one example
          layer, for one example
          result  f32[2]    ->  f32[B,2]  stacked
    """

    name: str
    arguments: tuple[Block, ...]
    results: tuple[Block, ...]
    sizes: Mapping[str, int]
    _call: str

    def to_dict(self) -> dict[str, object]:
        """Return the diagram as plain data, ready for `json.dumps`.

        Returns:
            A dictionary with the keys `schema` (`"vmapguide.diagram/1"`), `name`, `sizes`,
            `arguments` and `results`: the fields of `Block`. Batch axes have their names in the
            shapes of types.
        """
        return {
            "schema": "vmapguide.diagram/1",
            "name": self.name,
            "sizes": dict(self.sizes),
            "arguments": [dataclasses.asdict(block) for block in self.arguments],
            "results": [dataclasses.asdict(block) for block in self.results],
        }

    def svg(self) -> str:
        """Return the picture as an SVG file that stands alone, for light and dark.

        Example:
            >>> import jax.numpy as jnp, vmapguide
            >>> picture = vmapguide.diagram(jnp.sin)(jnp.ones((3, 5)))
            >>> picture.svg().startswith("<svg xmlns=")
            True
        """
        return _svg.alone(self._as_picture(), _render.stylesheet())

    def __str__(self) -> str:
        """Return the diagram in words and arrows."""
        return _svg.text(self._as_picture())

    def __repr__(self) -> str:
        """Return the same as `str`: a diagram is made to be looked at."""
        return str(self)

    def _repr_html_(self) -> str:
        return f"{_render.style_element()}{_svg.html(self._as_picture())}"

    def _as_picture(self) -> _svg.Picture:
        def blocks(found: tuple[Block, ...]) -> tuple[_svg.Block, ...]:
            return tuple(
                _svg.Block(b.name, Type(b.dtype, b.whole), Type(b.dtype, b.one), b.mapped)
                for b in found
            )

        return _svg.Picture(
            self.name, self._call, self.sizes, blocks(self.arguments), blocks(self.results)
        )


def diagram(
    f: Callable[..., Any],
    in_axes: Any = 0,
    out_axes: Any = 0,
    *,
    axis_name: Any = None,
    axis_size: int | None = None,
    spmd_axis_name: Any = None,
) -> Callable[..., Diagram]:
    """Make a function that draws `jax.vmap(f)`: put it where `jax.vmap` stood.

    The picture shows the leaves of the arguments and results, which axis is mapped, what one
    example gets of it, and what all examples share. Of more than twelve leaves the rest is one
    row; the text has them all. `f` is traced, as `explain` traces it, and not run.

    Args:
        f: the function of one example.
        in_axes: as for `jax.vmap`.
        out_axes: as for `jax.vmap`.
        axis_name: as for `jax.vmap`.
        axis_size: as for `jax.vmap`.
        spmd_axis_name: as for `jax.vmap`.

    Returns:
        A function of the arguments that `jax.vmap(f)` would be called with, which returns a
        `Diagram`. Arrays may be `jax.ShapeDtypeStruct` of any size, as for `explain`.

    Raises:
        TypeError: if `f` is not a function.
        Exception: whatever `jax.vmap(f)` raises while it is traced, JAX's message unchanged, with a
            note on the cause where it is a known one.

    Example:
        >>> import jax, jax.numpy as jnp, vmapguide
        >>> X = jax.ShapeDtypeStruct((3, 5), jnp.float32)
        >>> picture = vmapguide.diagram(lambda x: 2 * x, in_axes=0, out_axes=1)(X)
        >>> [block.whole for block in (*picture.arguments, *picture.results)]
        [('B', 5), (5, 'B')]
    """
    _errors.check_function("diagram", f)
    vmap = _call.Vmap(in_axes, out_axes, axis_name, axis_size, spmd_axis_name)

    @waiting("diagram", f, _names.function_name(f))
    def diagram_call(*args: Any, **kwargs: Any) -> Diagram:
        call = _call.Call(f, vmap, args, kwargs)
        with noting("diagram", call):
            found = _sourcemap.source_map(call)
        axes = _axes.find_axes(call, found)
        return Diagram(
            name=_names.transformed_name(_inside(f, len(axes.sizes) - 1)),
            arguments=tuple(_arguments(call, found, axes)),
            results=tuple(_results(call, found, axes)),
            sizes=axes.sizes,
            _call=call.text(),
        )

    return diagram_call


def _inside(f: Callable[..., Any], levels: int) -> Callable[..., Any]:
    """Return the function inside as many vmaps, which `f` itself is made of."""
    for _ in range(levels):
        variables = _names.vmap_variables(f)
        assert variables is not None  # noqa: S101 - `_axes` has seen the `vmap`.
        f = variables["fun"]
    return f


def _arguments(call: _call.Call, found: _sourcemap.SourceMap, axes: _axes.Axes) -> Iterator[Block]:
    """Yield a block for every leaf; what is not traced is shared."""
    variables = iter(found.batched.jaxpr.invars)
    positions = call.axes or [None] * len(call.leaves)
    for name, leaf, is_traced, axis in zip(
        call.names, call.leaves, call.traced, positions, strict=True
    ):
        if is_traced:
            yield _block(name, next(variables), axes, axis)
        else:
            yield _shared(name, leaf)


def _shared(name: str, leaf: Any) -> Block:
    """Return the block of what is not traced."""
    if hasattr(leaf, "shape"):
        # NumPy has arrays of text, too, which JAX has not.
        with contextlib.suppress(TypeError):
            shape = tuple(leaf.shape)
            return Block(name, _read.type_of(jax.typeof(leaf)).dtype, shape, shape, mapped=False)
    return Block(name, _errors.describe(leaf), None, None, mapped=False)


def _results(call: _call.Call, found: _sourcemap.SourceMap, axes: _axes.Axes) -> Iterator[Block]:
    structure = found.traced.results
    tree = structure.unflatten(range(structure.num_leaves))
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(tree)]
    positions = _call.spread(call.vmap.out_axes, tree)
    for path, var, axis in zip(paths, found.batched.jaxpr.outvars, positions, strict=True):
        yield _block(path, var, axes, axis)


def _block(name: str, atom: Any, axes: _axes.Axes, axis: int | None) -> Block:
    """Return the block of a variable, which has its outermost batch axis at `axis`."""
    kind = _read.type_of(atom.aval)
    if kind.shape is None:
        return Block(name, kind.dtype, None, None, mapped=False)
    named = None if isinstance(atom, jec.Literal) else axes.shapes.get(atom)
    outer, *inner = axes.sizes or [""]
    # What a collective gathered has an axis of all examples which is no batch axis, and what is
    # the same for all examples and repeated has a batch axis that is not known by its size.
    whole = [
        there if there in inner else size
        for size, there in zip(kind.shape, named or kind.shape, strict=True)
    ]
    if axis is not None:
        whole[axis] = outer
    one = tuple(size for size in whole if isinstance(size, int))
    return Block(name, kind.dtype, tuple(whole), one, mapped=len(one) < len(whole))
