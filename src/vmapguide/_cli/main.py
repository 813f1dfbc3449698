"""`vmapguide`, or `python -m vmapguide`: start here. Each command is a file beside this one.

A user's mistake (a missing file, a function that is not there, a type that does not parse, a
function that raises) is answered by what is wrong and what to do, never by a traceback.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from types import ModuleType

from vmapguide._cli import check, compare, cost, diagram, explain, listing, run
from vmapguide._cli.inputs import FunctionError, UsageError


COMMANDS: dict[str, ModuleType] = {
    "explain": explain,
    "run": run,
    "check": check,
    "compare": compare,
    "cost": cost,
    "listing": listing,
    "diagram": diagram,
}

_DESCRIPTION = """\
See what jax.vmap makes of a function, line by line of its code, and what of it costs or surprises.
"""

_EPILOGUE = """\
examples:
  vmapguide explain model.py:loss --in-axes "None, 0" "f32[5]" "f32[32,5]"
  vmapguide explain package.module:Model.apply "{'w': f32[8,3,5], 'b': f32[8,3]}"
  vmapguide explain model.py:sample "key[32]" "n=3" --html sample.html
  vmapguide run train.py --steps 10
  vmapguide run --html report.html -m package.train

arguments of a function:
  f32[3,5]  a type, as a listing prints it: f16 bf16 f32 f64, i8 ... i64, u8 ... u64, c64, bool
  key[32]   random keys
  3, 0.5    a number, passed as it is; so are None, True, and strings in quotes
  [...]     lists, tuples and dictionaries of these
  name=...  a keyword argument, which vmap maps on axis 0
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        0 if all went well, 1 if the function or JAX raised or what was asked for was found, 2 if
        the call was wrong; of `run` what the program returns.
    """
    command, options = _parsed([*(sys.argv[1:] if argv is None else argv)])
    # The streams are those of a program that is run: they stay as it finds and leaves them.
    is_ours = command != "run" and sys.stdout is not None
    try:
        if is_ours and hasattr(sys.stdout, "reconfigure"):
            # A terminal need not have all letters.
            sys.stdout.reconfigure(errors="backslashreplace")
        status = COMMANDS[command].run(options)
        # What is printed may wait in a buffer. A reader that has gone is to be noticed here.
        if is_ours:
            sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except UsageError as error:
        print(f"vmapguide: error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # The reader, such as `head`, has enough. Python would complain again when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except FunctionError as error:
        print(f"vmapguide: {error}", file=sys.stderr)
        return 1
    return int(status or 0)


def _parsed(argv: list[str]) -> tuple[str, argparse.Namespace]:
    """Return the command and what follows it. Options may stand anywhere between the arguments."""
    whole = argparse.ArgumentParser(
        prog="vmapguide",
        description=_DESCRIPTION,
        epilog=f"{_commands()}\n{_EPILOGUE}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    whole.add_argument("--version", action="version", version=f"vmapguide {_version()}")
    whole.add_argument("command", choices=[*COMMANDS], help="what to do; each has its own --help")
    command = whole.parse_args(argv[:1]).command
    parser = argparse.ArgumentParser(
        prog=f"vmapguide {command}",
        description=COMMANDS[command].HELP,
        epilog=_EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    COMMANDS[command].add_arguments(parser)
    # What follows a program is the program's.
    parse = parser.parse_args if command == "run" else parser.parse_intermixed_args
    return command, parse(argv[1:])


def _version() -> str:
    # It stands in what imports this.
    version: str = importlib.import_module("vmapguide").__version__
    return version


def _commands() -> str:
    lines = (f"  {name:<9} {command.HELP}" for name, command in COMMANDS.items())
    return "\n".join(["commands:", *lines, ""])
