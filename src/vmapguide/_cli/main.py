"""`python -m vmapguide`: start here. Each command is a file beside this one, and has its options.

A user's mistake (a missing file, a function that is not there, a type that does not parse, a
function that raises) is answered by what is wrong and what to do, never by a traceback.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from vmapguide._cli import explain
from vmapguide._cli.inputs import FunctionError, UsageError


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


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        0 if all went well, 1 if the function or JAX raised, 2 if the call was wrong.
    """
    # Options may stand anywhere, also between the arguments.
    options = _parser().parse_intermixed_args(argv)
    try:
        explain.run(options)
        # What is printed may wait in a buffer. A reader that has gone is to be noticed here.
        sys.stdout.flush()
    except UsageError as error:
        print(f"vmapguide: error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # The reader, such as `head`, has enough. Python would complain again when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except FunctionError as error:
        print(f"vmapguide: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m vmapguide",
        description=_DESCRIPTION,
        epilog=_EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=["explain"], help="what to do")
    explain.add_arguments(parser)
    return parser
