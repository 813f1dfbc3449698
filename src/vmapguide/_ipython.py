"""The magic `%%explain` for notebooks: `%load_ext vmapguide`."""

from __future__ import annotations

from typing import Any

from vmapguide._recording.recorder import Recorder
from vmapguide._recording.recording import Recording


class _AlreadyShownError(Exception):
    """The cell has failed, and IPython has shown why."""

    def _render_traceback_(self) -> list[str]:
        return []


def load_ipython_extension(ipython: Any) -> None:
    """Give IPython the magic `%%explain`, which runs a cell and explains each `jax.vmap` in it.

    In a notebook, say `%load_ext vmapguide` once, and then `%%explain` in the first line of a cell.

    Args:
        ipython: the IPython that runs the notebook.

    Example:
        >>> import vmapguide
        >>> class Shell:
        ...     def register_magic_function(self, function, magic_kind, magic_name):
        ...         print(magic_kind, magic_name)
        >>> vmapguide.load_ipython_extension(Shell())
        cell explain
    """

    def explain(line: str, cell: str) -> Any:
        """Run a cell and explain every `jax.vmap` that it calls."""
        del line
        recorder = Recorder(keeps_views=True)
        with recorder:
            result = ipython.run_cell(cell)
        if not result.success:
            raise _AlreadyShownError
        return Recording.of("the cell", [*recorder.records.values()])

    ipython.register_magic_function(explain, magic_kind="cell", magic_name="explain")
