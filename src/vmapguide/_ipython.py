"""The magic `%%explain` for notebooks: `%load_ext vmapguide`."""

from __future__ import annotations

from typing import Any

from vmapguide._recording.recorder import Recorder
from vmapguide._recording.recording import Recording


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
        # A semicolon at the end of a cell hides its value: IPython looks for it in the outer cell.
        is_hidden = cell.rstrip().endswith(";")
        with recorder:
            result = ipython.run_cell(f"{cell}\nNone" if is_hidden else cell)
        if error := result.error_before_exec or result.error_in_exec:
            _let_be_shown_once(ipython)
            raise error
        return Recording.of("the cell", [*recorder.records.values()])

    ipython.register_magic_function(explain, magic_kind="cell", magic_name="explain")


def _let_be_shown_once(ipython: Any) -> None:
    """Let IPython not show the error that comes next: it has shown it inside of the cell."""

    def show_nothing(*_: Any) -> None:
        del ipython._showtraceback  # noqa: SLF001 - the class's own method is there again.

    # A shell may put what shows a traceback elsewhere: that is what this method is for.
    ipython._showtraceback = show_nothing  # noqa: SLF001
