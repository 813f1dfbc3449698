"""The folder of checkpoints, as one sees it without Orbax: whose it is, and what is in it.

A checkpoint that is complete has the number of its step for a name; see checkpoints.py.
"""

import json
import secrets
import tempfile
from math import inf
from pathlib import Path

from arguments import Arguments
from errors import RunError


SETTINGS = "settings.json"


def last(folder: Path | None, before: float = inf) -> int:
    """Return the last step, before another, of which there is a checkpoint; or 0."""
    names = [path.name for path in folder.iterdir()] if folder and folder.is_dir() else []
    steps = [int(name) for name in names if name.isdecimal()]
    return max((step for step in steps if step < before), default=0)


def identity(folder: Path) -> int:
    """Return a number that no other folder has: who sees the same one sees the same folder."""
    number: int = json.loads((folder / SETTINGS).read_text("utf-8"))["id"]
    return number


def prepare(folder: Path, args: Arguments) -> None:
    """Make the folder, or see that what is in it is of such a run; raise RunError if not."""
    this_run = {name: getattr(args, name) for name in ("batch", "seed")}
    try:
        folder.mkdir(exist_ok=True)
        written = folder / SETTINGS
        if not written.exists():
            with tempfile.NamedTemporaryFile("w", dir=folder, delete=False) as file:
                json.dump({**this_run, "id": secrets.randbelow(2**31)}, file)
            Path(file.name).replace(written)
        tempfile.TemporaryFile(dir=folder).close()
        that_run = json.loads(written.read_text("utf-8"))
    except FileNotFoundError:
        raise RunError(
            f"argument --checkpoints: there is no folder {folder.parent} to make"
            f" {folder.name!r} in; make it, or name another"
        ) from None
    except OSError as error:
        raise RunError(
            f"argument --checkpoints: {folder} cannot be written to ({error.strerror or error});"
            f" mend that, or name another folder"
        ) from error
    for name, value in this_run.items():
        if that_run.get(name) != value:
            raise RunError(
                f"argument --{name}: the checkpoints in {folder} are of a run with"
                f" --{name} {that_run.get(name)}, not {value}; say the same, or name another folder"
            )
    if (done := last(folder)) > args.steps:
        raise RunError(
            f"argument --steps: in {folder}, {done} steps are completed, more than {args.steps};"
            f" ask for more, or name another folder"
        )
