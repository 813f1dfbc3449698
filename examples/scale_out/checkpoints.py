"""Checkpoints: written with Orbax, whole or not at all, and read again on any number of devices.

Orbax writes a checkpoint to a folder with a temporary name, and gives it its own, the number of the
step, when everything is there. So what has a number for a name is complete.
"""

import errno
import os
from pathlib import Path
from typing import Any

import folder
import jax
import orbax.checkpoint as ocp
from errors import RunError
from orbax.checkpoint.checkpoint_managers import preservation_policy


FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def manager(path: Path) -> ocp.CheckpointManager:
    """Return what writes and reads here; what a run that ended in the middle left is removed."""
    options = ocp.CheckpointManagerOptions(
        preservation_policy=preservation_policy.LatestN(2),
        cleanup_tmp_directories=True,
        # A step is completed when it is saved, so there is nothing to do meanwhile.
        enable_async_checkpointing=False,
    )
    return ocp.CheckpointManager(path.absolute(), options=options)


def save(saver: ocp.CheckpointManager, step: int, state: Any) -> None:
    """Write a checkpoint and return when it is complete; raise RunError if the disk is full."""
    try:
        saved = saver.save(step, args=ocp.args.StandardSave(state))
        saver.wait_until_finished()
    except Exception as error:
        if not _is_full(error):
            raise
        raise RunError(
            f"argument --checkpoints: step {step} could not be saved, the disk of {saver.directory}"
            f" is full; make room, and start again: the run goes on after step"
            f" {folder.last(Path(saver.directory))}"
        ) from error
    if not saved:
        raise RuntimeError(f"Orbax has not saved step {step}")


def restore(saver: ocp.CheckpointManager, step: int, like: Any) -> Any:
    """Return a checkpoint's state, on the devices of `like`; raise RunError if it is spoilt."""
    target = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
    try:
        return saver.restore(step, args=ocp.args.StandardRestore(target))
    except jax.errors.JaxRuntimeError:
        raise  # Another process has ended.
    except Exception as error:
        path = Path(saver.directory)
        raise RunError(
            f"argument --checkpoints: the checkpoint {path / str(step)} cannot be read; if the"
            f" model has changed, name another folder; if not, remove it, and the run goes on after"
            f" step {folder.last(path, before=step)}"
        ) from error


def _is_full(error: BaseException | None) -> bool:
    """Say whether an error, or one that it came from, is that there is no room."""
    while error is not None:
        texts = [os.strerror(number) for number in FULL]
        if getattr(error, "errno", None) in FULL or any(text in str(error) for text in texts):
            return True
        error = error.__cause__ or error.__context__
    return False
