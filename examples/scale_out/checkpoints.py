"""Checkpoints: written with Orbax, whole or not at all, and read again on any number of devices.

Orbax writes a checkpoint to a folder with a temporary name, and gives it its own, the number of the
step, when everything is there. So what has a number for a name is complete.
"""

from __future__ import annotations

import errno
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arguments import Arguments
from errors import RunError


if TYPE_CHECKING:  # Who starts the processes needs no JAX.
    import orbax.checkpoint as ocp

SETTINGS = "settings.json"
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def last(folder: Path | None) -> int:
    """Return the last step of which there is a checkpoint, or 0."""
    names = [path.name for path in folder.iterdir()] if folder and folder.is_dir() else []
    return max((int(name) for name in names if name.isdecimal()), default=0)


def prepare(folder: Path, args: Arguments) -> None:
    """Make the folder, or see that what is in it is of such a run; raise RunError if not."""
    this_run = {name: getattr(args, name) for name in ("batch", "seed")}
    try:
        folder.mkdir(exist_ok=True)
        written = folder / SETTINGS
        if not written.exists():
            with tempfile.NamedTemporaryFile("w", dir=folder, delete=False) as file:
                json.dump(this_run, file)
            Path(file.name).replace(written)
        tempfile.TemporaryFile(dir=folder).close()
        that_run = json.loads(written.read_text("utf-8"))
    except FileNotFoundError:
        raise RunError(
            f"argument --checkpoints: there is no folder {folder.parent} to make"
            f" {folder.name!r} in; make it, or name another"
        ) from None
    except (OSError, ValueError) as error:
        raise RunError(
            f"argument --checkpoints: {folder} cannot be written to ({_reason(error)});"
            f" mend that, or name another folder"
        ) from error
    for name, value in this_run.items():
        if that_run.get(name) != value:
            raise RunError(
                f"argument --{name}: the checkpoints in {folder} are of a run with"
                f" --{name} {that_run.get(name)}, not {value}; say the same, or name another folder"
            )


def manager(folder: Path) -> ocp.CheckpointManager:
    """Return what writes and reads here; what a run that ended in the middle left is removed."""
    import orbax.checkpoint as ocp
    from orbax.checkpoint.checkpoint_managers import preservation_policy

    options = ocp.CheckpointManagerOptions(
        preservation_policy=preservation_policy.LatestN(2),
        cleanup_tmp_directories=True,
        # A step is completed when it is saved, so there is nothing to do meanwhile.
        enable_async_checkpointing=False,
    )
    return ocp.CheckpointManager(folder.absolute(), options=options)


def save(saver: ocp.CheckpointManager, step: int, state: Any) -> None:
    """Write a checkpoint and return when it is complete; raise RunError if the disk is full."""
    import orbax.checkpoint as ocp

    try:
        saver.save(step, args=ocp.args.StandardSave(state))
        saver.wait_until_finished()
    except Exception as error:
        if not _is_full(error):
            raise
        raise RunError(
            f"argument --checkpoints: step {step} could not be saved, the disk of {saver.directory}"
            f" is full; make room, and start again: the run goes on after step"
            f" {last(Path(saver.directory))}"
        ) from error


def restore(saver: ocp.CheckpointManager, step: int, like: Any) -> Any:
    """Return a checkpoint's state, on the devices on which `like` is."""
    import jax
    import orbax.checkpoint as ocp

    target = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
    return saver.restore(step, args=ocp.args.StandardRestore(target))


def _is_full(error: BaseException | None) -> bool:
    """Say whether an error, or one that it came from, is that there is no room."""
    while error is not None:
        texts = [os.strerror(number) for number in FULL]
        if getattr(error, "errno", None) in FULL or any(text in str(error) for text in texts):
            return True
        error = error.__cause__ or error.__context__
    return False


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
