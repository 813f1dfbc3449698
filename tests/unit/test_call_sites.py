"""Where `jax.vmap` is called, as the recorder sees it."""

import linecache
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from vmapguide._recording.recorder import Recorder


RULE = """
import jax

def make():
    @jax.custom_batching.custom_vmap
    def double(x):
        return 2 * x

    @double.def_vmap
    def rule(size, is_mapped, x):
        return jax.vmap(lambda x: 2 * x)(x), True

    return double

def ensemble(f, x):
    return jax.vmap(f)(x)
"""

X = jnp.arange(3.0)


@pytest.fixture
def library() -> Iterator[dict[str, Any]]:
    """Return the functions of a file that lies where libraries are."""
    path = str(Path(sysconfig.get_path("purelib")) / "rules_like.py")
    linecache.cache[path] = (len(RULE), None, RULE.splitlines(keepends=True), path)
    namespace: dict[str, Any] = {}
    exec(compile(RULE, path, "exec"), namespace)  # noqa: S102
    yield namespace
    del linecache.cache[path]


def test_the_batching_rule_of_a_library(library: dict[str, Any]) -> None:
    """What it maps is part of the user's `jax.vmap`, and is not recorded by itself."""
    double = library["make"]()
    with Recorder() as recorder:
        jax.vmap(double)(X)
    (record,) = recorder.records.values()
    assert record.site.place.file == __file__
    assert record.site.via is None


def test_the_batching_rule_of_the_users(library: dict[str, Any]) -> None:
    """It is the user's code that maps there."""
    del library

    @jax.custom_batching.custom_vmap
    def double(x: Any) -> Any:
        return 2 * x

    @double.def_vmap
    def _rule(_size: int, _is_mapped: list[bool], x: Any) -> Any:
        return jax.vmap(lambda x: 2 * x)(x), True

    with Recorder() as recorder:
        jax.vmap(double)(X)
    assert len(recorder.records) == 2


def test_a_library_that_maps_for_the_user(library: dict[str, Any]) -> None:
    """The line is the user's, and it is said which line of the library it went through."""
    with Recorder() as recorder:
        library["ensemble"](jnp.sin, X)
        jax.vmap(lambda x: library["ensemble"](jnp.sin, x))(jnp.ones((2, 3)))
    first, *others = recorder.records.values()
    assert first.site.place.file == __file__
    assert first.site.via is not None
    assert first.site.via.file.endswith("rules_like.py")
    assert len(others) == 2
