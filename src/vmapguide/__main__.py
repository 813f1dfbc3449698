"""`python -m vmapguide`: explanations from the command line.

A user's mistake (a missing file, a function that is not there, a type that does not parse, a
function that raises) is answered by what is wrong and what to do, never by a traceback.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import html
import importlib
import importlib.util
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import jax

from vmapguide import _view_text
from vmapguide._typenames import dtype_named
from vmapguide._user_line import user_frame
from vmapguide.explain import Explanation, explain


# What Python raises about a text that it cannot read as a value.
_UNREADABLE = (SyntaxError, TypeError, ValueError, MemoryError, RecursionError)

_DESCRIPTION = """\
Explain what jax.vmap makes of a function, line by line of its code. Nothing is computed: the
arguments are types.
"""

_EPILOGUE = """\
examples:
  python -m vmapguide explain model.py:loss --in-axes "None, 0" "f32[5]" "f32[32,5]"
  python -m vmapguide explain package.module:Model.apply "{'w': f32[8,3,5], 'b': f32[8,3]}"
  python -m vmapguide explain model.py:sample "key[32]" "n=3" --html sample.html

arguments:
  f32[3,5]  a type, as a listing prints it: f16 bf16 f32 f64, i8 ... i64, u8 ... u64, c64, bool
  key[32]   random keys
  3, 0.5    a number, passed as it is; so are None, True, and strings in quotes
  [...]     lists, tuples and dictionaries of these
  name=...  a keyword argument, which vmap maps on axis 0
"""


class UsageError(Exception):
    """What the user gave cannot be used; the message says why and what to do."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        0 if all went well, 1 if the function or JAX raised, 2 if the call was wrong.
    """
    # Options may stand anywhere, also between the arguments.
    options = _parser().parse_intermixed_args(argv)
    try:
        f = load(options.function)
        args, kwargs = _arguments(options.arguments)
        axes = {
            "in_axes": _axes("--in-axes", options.in_axes),
            "out_axes": _axes("--out-axes", options.out_axes),
            "axis_name": options.axis_name,
            "axis_size": options.axis_size,
        }
        explanation = _explain(f, axes, args, kwargs)
        shown = {"fold": options.fold, "library": options.library}
        if options.html:
            write(Path(options.html), page(explanation, **shown))
            print(f"wrote {options.html}")
        elif options.json:
            print(json.dumps(explanation.to_dict(), indent=2))
        else:
            print(_text(explanation, **shown))
        # What is printed may wait in a buffer. A reader that has gone is to be noticed here.
        sys.stdout.flush()
    except UsageError as error:
        print(f"vmapguide: error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # The reader, such as `head`, has enough. Python would complain again when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except _FunctionError as error:
        print(f"vmapguide: {error}", file=sys.stderr)
        return 1
    return 0


class _FunctionError(Exception):
    """The user's function, or JAX on its behalf, raised."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m vmapguide",
        description=_DESCRIPTION,
        epilog=_EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=["explain"], help="what to do")
    parser.add_argument("function", help="path/to/file.py:function, or package.module:function")
    parser.add_argument("arguments", nargs="*", metavar="argument", help="a type or a value")
    parser.add_argument("--in-axes", default="0", help='as for jax.vmap: "0", "0, None"')
    parser.add_argument("--out-axes", default="0", help="as for jax.vmap")
    parser.add_argument("--axis-name", help="as for jax.vmap")
    parser.add_argument("--axis-size", type=int, help="as for jax.vmap")
    parser.add_argument(
        "--fold",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="fold away library code and what is long; --no-fold shows every equation",
    )
    parser.add_argument("--library", action="store_true", help="show lines of library code, too")
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--html", metavar="FILE", help="write one self-contained page instead")
    output.add_argument("--json", action="store_true", help="print data instead")
    return parser


def load(place: str) -> Callable[..., Any]:
    """Return the function at `file.py:function` or `package.module:function`.

    Raises:
        UsageError: if there is no such file, module or function.
    """
    where, colon, name = place.rpartition(":")
    if not colon or not where or not name:
        raise UsageError(
            f"{place!r} does not name a function: write path/to/file.py:function or "
            f"package.module:function"
        )
    value: Any = _module(where)
    for i, part in enumerate(name.split(".")):
        if not hasattr(value, part):
            names = getattr(value, "__dict__", {}).items()
            functions = [n for n, v in names if callable(v) and n[0] != "_"]
            close = difflib.get_close_matches(part, functions) or functions[:5]
            hint = f"; did you mean {' or '.join(close)}?" if close else ""
            owner = ".".join(name.split(".")[:i]) or where
            raise UsageError(f"{owner} has no function {part!r}{hint}")
        value = getattr(value, part)
    if not callable(value):
        raise UsageError(f"{name} in {where} is of type {type(value).__name__}, not a function")
    return value  # type: ignore[no-any-return]


def _module(where: str) -> ModuleType:
    try:
        if not where.endswith(".py"):
            _check_module(where)
            sys.path.insert(0, str(Path.cwd()))
            return importlib.import_module(where)
        path = Path(where)
        if not path.is_file():
            raise UsageError(f"there is no file {where}")  # noqa: TRY301 - nor can it go elsewhere.
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None  # noqa: S101 - a file that ends in .py has a loader.
        assert spec.loader is not None  # noqa: S101
        sys.path.insert(0, str(path.parent.resolve()))
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
    except UsageError:
        raise
    except ModuleNotFoundError as error:
        if not where.endswith(".py") and where.startswith(error.name or "?"):
            raise UsageError(f"there is no module {error.name} to be imported from here") from None
        raise _FunctionError(_told(error)) from None
    except Exception as error:  # noqa: BLE001
        raise _FunctionError(f"importing {where} failed. {_told(error)}") from None
    return module


def _check_module(where: str) -> None:
    """Raise if what does not end in .py is not the name of a module, either."""
    if Path(where).is_file():
        raise UsageError(f"{where} is not a Python file: its name has to end in .py")
    if "/" in where or os.sep in where:
        raise UsageError(
            f"{where} is not the name of a module: write path/to/file.py:function, or "
            f"package.module:function with dots"
        )


def _arguments(texts: Sequence[str]) -> tuple[list[Any], dict[str, Any]]:
    """Parse the arguments: those with a name before "=" are keyword arguments."""
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for text in texts:
        named = re.match(r"([A-Za-z_]\w*)=(?!=)", text)
        if named:
            kwargs[named[1]] = argument(text[named.end() :])
        else:
            args.append(argument(text))
    return args, kwargs


def argument(text: str) -> Any:
    """Return the value that an argument describes: `f32[3,5]` is an abstract array.

    Raises:
        UsageError: if it does not parse.
    """
    try:
        # A type is Python's notation for indexing, but for an empty index.
        tree = ast.parse(re.sub(r"(\w)\[\s*\]", r"\1[()]", text.strip()), mode="eval")
        return _value(tree.body)
    except _UNREADABLE as error:
        known = isinstance(error, (TypeError, ValueError))
        reason = error.args[0] if known else "it does not parse"
        raise UsageError(
            f"cannot read the argument {text!r}: {reason}. Write a type such as f32[3,5] or "
            f"i32[], a number, or a list, tuple or dictionary of these"
        ) from None


def _value(node: ast.AST) -> Any:
    match node:
        case ast.Subscript(value=ast.Name(id=name), slice=index):
            sizes = index.elts if isinstance(index, ast.Tuple) else [index]
            shape = [size.value for size in sizes if isinstance(size, ast.Constant)]
            if len(shape) < len(sizes) or not all(isinstance(size, int) for size in shape):
                raise ValueError(f"{ast.unparse(index)} is not a shape")
            return jax.ShapeDtypeStruct(shape, dtype_named(name))
        case ast.Dict(keys=keys, values=values):
            return {ast.literal_eval(k): _value(v) for k, v in zip(keys, values, strict=True) if k}
        case ast.List(elts=entries):
            return [_value(entry) for entry in entries]
        case ast.Tuple(elts=entries):
            return tuple(_value(entry) for entry in entries)
        case ast.Name(id=name):
            raise ValueError(f"{name} stands alone; a scalar of that type is {name}[]")
        case ast.Constant() | ast.UnaryOp():
            return ast.literal_eval(node)
    raise ValueError(f"{ast.unparse(node)} is neither a type nor a value")


def _axes(option: str, text: str) -> Any:
    try:
        return ast.literal_eval(text.strip())
    except _UNREADABLE:
        raise UsageError(
            f"cannot read {option} {text!r}: write it as in Python, such as 0, None, (0, None) or "
            f"({{'w': 0, 'b': None}},)"
        ) from None


def _explain(f: Callable[..., Any], axes: dict[str, Any], args: Any, kwargs: Any) -> Explanation:
    try:
        return explain(f, **axes)(*args, **kwargs)
    except Exception as error:  # noqa: BLE001
        raise _FunctionError(_told(error)) from None


def _told(error: Exception) -> str:
    """Return an error's type, message, notes, and the user's line that raised it."""
    told = f"{type(error).__name__}: {error}"
    if frame := user_frame(error):
        told = f"{frame.filename}:{frame.lineno}: {told}"
    jaxs = "For simplicity, JAX has removed its internal frames"
    notes = [note for note in getattr(error, "__notes__", []) if jaxs not in note]
    return "\n".join([told, *notes])


def page(explanation: Explanation, *, fold: bool = True, library: bool = False) -> str:
    """Return an explanation as one self-contained HTML page; options as for `as_html`."""
    title = html.escape(f"vmap({explanation.name})")
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>:root {{ color-scheme: light dark; }} body {{ margin: 1rem; }}</style></head>"
        f"<body><main>{explanation.as_html(fold=fold, library=library)}</main></body></html>\n"
    )


def write(path: Path, text: str) -> None:
    """Write a file whole or not at all.

    Raises:
        UsageError: if it cannot be written there.
    """
    if not path.name:
        raise UsageError(f"cannot write {path}: Is a directory")
    unfinished = path.with_name(path.name + ".unfinished")
    try:
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from None


def _text(explanation: Explanation, *, fold: bool, library: bool) -> str:
    """Return the text, on a terminal with colours."""
    text = explanation.as_text(fold=fold, library=library)
    plain = os.environ.get("NO_COLOR") or not sys.stdout.isatty()
    return text if plain else _view_text.coloured(text)


if __name__ == "__main__":
    sys.exit(main())
