"""The public function `diagram`: the picture of a `jax.vmap` that people draw on whiteboards.

Here is the call and the value it returns; it is drawn in `_show/diagram.py`.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.extend.core as jec

from vmapguide._advice import wrong_calls
from vmapguide._advice.vmap_notes import noting
from vmapguide._advice.waiting import waiting
from vmapguide._data import Block
from vmapguide._jaxpr import to_data
from vmapguide._show.diagram import Picture, diagram_html, diagram_svg, diagram_text
from vmapguide._show.markup import joined, style_element, stylesheet
from vmapguide._show.result import Shown
from vmapguide._trace.batch_axes import Axes, find_axes
from vmapguide._trace.call import Call, Vmap, spread
from vmapguide._trace.provenance import SourceMap, source_map
from vmapguide._trace.user_names import function_name, transformed_name, vmap_variables


@dataclass(frozen=True, repr=False, eq=False)
class Diagram(Shown):
    """What goes into a vmapped function and what comes out: a picture in a notebook.

    Attributes:
        name: what the function of one example is called.
        arguments: the leaves of the arguments.
        results: the leaves of the results.
        axis_sizes: the sizes of the batch axes by their names, the outermost first: `{"B": 3}`.

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
    axis_sizes: Mapping[str, int]
    _call: str

    def to_dict(self) -> dict[str, object]:
        """Return the diagram as plain data, ready for `json.dumps`.

        Returns:
            A dictionary with the keys `schema` (`"vmapguide.diagram/1"`), `name`, `axis_sizes`,
            `arguments` and `results`: the fields of `Block`. Batch axes have their names in the
            shapes of types.
        """
        return {
            "schema": "vmapguide.diagram/1",
            "name": self.name,
            "axis_sizes": dict(self.axis_sizes),
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
        return diagram_svg(self._as_picture(), stylesheet())

    def _text(self, width: int, *, fold: bool) -> str:
        del width, fold  # The lines are short, and all leaves are said.
        return diagram_text(self._as_picture())

    def _html(self, *, fold: bool) -> str:
        del fold
        return joined([style_element(), diagram_html(self._as_picture())])

    def _writers(self) -> dict[str, Callable[[], str]]:
        return {**super()._writers(), ".svg": self.svg}

    def _as_picture(self) -> Picture:
        return Picture(self.name, self._call, self.axis_sizes, self.arguments, self.results)


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
        >>> [block.shape for block in (*picture.arguments, *picture.results)]
        [('B', 5), (5, 'B')]
    """
    wrong_calls.check_function("diagram", f)
    vmap = Vmap(in_axes, out_axes, axis_name, axis_size, spmd_axis_name)

    @waiting("diagram", f, function_name(f))
    def diagram_call(*args: Any, **kwargs: Any) -> Diagram:
        call = Call.of(f, vmap, args, kwargs)
        with noting("diagram", call):
            found = source_map(call)
        call, axes = found.call, find_axes(found)
        return Diagram(
            name=transformed_name(_inside(f, len(axes.sizes) - 1)),
            arguments=tuple(_arguments(call, found, axes)),
            results=tuple(_results(call, found, axes)),
            axis_sizes=axes.sizes,
            _call=call.text(),
        )

    return diagram_call


def _inside(f: Callable[..., Any], levels: int) -> Callable[..., Any]:
    """Return the function inside as many vmaps, which `f` itself is made of."""
    for _ in range(levels):
        variables = vmap_variables(f)
        assert variables is not None  # noqa: S101 - `find_axes` has seen the `vmap`.
        f = variables["fun"]
    return f


def _arguments(call: Call, found: SourceMap, axes: Axes) -> Iterator[Block]:
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
            return Block(name, to_data.type_of(jax.typeof(leaf)).dtype, shape, shape, mapped=False)
    return Block(name, wrong_calls.describe(leaf), None, None, mapped=False)


def _results(call: Call, found: SourceMap, axes: Axes) -> Iterator[Block]:
    structure = found.traced.results
    tree = structure.unflatten(range(structure.num_leaves))
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(tree)]
    positions = spread(call.vmap.out_axes, tree)
    for path, var, axis in zip(paths, found.batched.jaxpr.outvars, positions, strict=True):
        yield _block(path, var, axes, axis)


def _block(name: str, atom: Any, axes: Axes, axis: int | None) -> Block:
    """Return the block of a variable, which has its outermost batch axis at `axis`."""
    kind = to_data.type_of(atom.aval)
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
