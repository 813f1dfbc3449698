"""The base of all results: text in a terminal, HTML in a notebook, and `save()` to a file.

`Shown` is the base of all results. A subclass says how it is printed, and gets the rest from here.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from vmapguide._show.markup import page


class Shown:
    """A result that shows itself. Results are compared and hashed by identity."""

    # Of a terminal that does not say how wide it is, and of files and pages.
    _WIDTH: ClassVar[int] = 100

    name: str

    def _text(self, width: int, *, fold: bool) -> str:
        raise NotImplementedError

    def _html(self, *, fold: bool) -> str:
        raise NotImplementedError

    def to_dict(self) -> dict[str, object]:
        """Return the result as plain data, ready for `json.dumps`."""
        raise NotImplementedError

    def as_text(self, width: int | None = None, *, fold: bool = True) -> str:
        """Return the result as text.

        Args:
            width: how many characters a line may have, where that is possible; by default as many
                as the terminal has.
            fold: whether to leave out what has little to say, such as a long run of equal lines.

        Returns:
            The lines, which `print` shows.
        """
        return self._text(self._columns(width), fold=fold)

    def as_html(self, *, fold: bool = True) -> str:
        """Return the result as an HTML element, with its stylesheet.

        Args:
            fold: as in `as_text`.

        Returns:
            The element's source. What users named is escaped in it.
        """
        return str(self._html(fold=fold))

    def save(self, path: str | os.PathLike[str]) -> None:
        r"""Write the result to a file, whole or not at all.

        Args:
            path: the file: a page if its name ends in `.html`, text in `.txt`, data in `.json`.

        Raises:
            ValueError: if the name ends in something else.
            OSError: if the file cannot be written.

        Example:
            >>> import tempfile, jax.numpy as jnp, vmapguide
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     vmapguide.explain(jnp.sin)(jnp.ones(3)).save(f"{folder}/sin.html")
            ...     with open(f"{folder}/sin.html") as file:
            ...         file.readline()
            '<!doctype html>\n'
        """
        writers: dict[str, Callable[[], str]] = self._writers()
        file = Path(path)
        if file.suffix.lower() not in writers:
            *first, last = writers
            raise ValueError(
                f"save: the name of a file says what is written to it: let it end in "
                f"{', '.join(first)} or {last}. It is {file.name!r}."
            )
        write_whole(file, writers[file.suffix.lower()]())

    def _columns(self, width: int | None) -> int:
        """Return how many characters a line may have."""
        return shutil.get_terminal_size((self._WIDTH, 24)).columns if width is None else width

    def _writers(self) -> dict[str, Callable[[], str]]:
        """Return what makes the text of a file, by the ending of its name."""
        return {
            ".html": lambda: page(self._title(), self.as_html()),
            ".txt": lambda: f"{self.as_text(self._WIDTH)}\n",
            ".json": lambda: f"{json.dumps(self.to_dict(), indent=2)}\n",
        }

    def _title(self) -> str:
        return str(self).partition("\n")[0]

    def __deepcopy__(self, memo: dict[int, object]) -> Shown:
        """Return the result itself: nothing in it can be changed."""
        return self

    def __str__(self) -> str:
        """Return the result as text, at most as wide as the terminal where it can be."""
        return self.as_text()

    def __repr__(self) -> str:
        """Return the same as `str`: a result is made to be looked at."""
        return str(self)

    def _repr_html_(self) -> str:
        return self.as_html()


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all.

    Raises:
        OSError: if it cannot be written there.
    """
    if not path.name:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    unfinished = path.with_name(path.name + ".unfinished")
    try:
        # The name of a file need not be text.
        unfinished.write_text(text, encoding="utf-8", errors="backslashreplace")
        unfinished.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        unfinished.unlink(missing_ok=True)
