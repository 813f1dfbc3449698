"""The locked versions: complete, for every supported Python and system, and without an address."""

import itertools
import re
import tomllib
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from places import ROOT


PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
GROUPS: dict[str, list[Any]] = PYPROJECT["dependency-groups"]
LOCKS = sorted((ROOT / "locks").glob("*.txt"))
LOCKED = {path.stem: path.read_text("utf-8") for path in LOCKS}

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
SYSTEMS = (("linux", "Linux", "posix"), ("darwin", "Darwin", "posix"), ("win32", "Windows", "nt"))
MACHINES = [
    {
        "python_version": python,
        "python_full_version": f"{python}.1",
        "sys_platform": platform,
        "platform_system": system,
        "os_name": name,
    }
    for python, (platform, system, name) in itertools.product(PYTHONS, SYSTEMS)
]


def pins(lock: str) -> list[Requirement]:
    """Return the pins of a lock file."""
    lines = re.findall(r"^([\w.-]+==[^\\\n]+)", LOCKED[lock], re.MULTILINE)
    return [Requirement(line.strip()) for line in lines]


def requirements(group: str) -> list[Requirement]:
    """Return the requirements of a group, and of those that it includes."""
    found = []
    for entry in GROUPS[group]:
        if isinstance(entry, dict):
            found += requirements(entry["include-group"])
        else:
            found.append(Requirement(entry))
    return found


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: " ".join(machine.values()))
def test_one_version_of_everything_on_every_machine(machine: dict[str, str]) -> None:
    """What pyproject.toml asks for is pinned, to one version, which is one that it allows."""
    package = [Requirement(line) for line in PYPROJECT["project"]["dependencies"]]
    wanted = {
        "nox": requirements("nox"),
        "sessions": sum(map(requirements, GROUPS.keys() - {"libraries"}), package),
        "libraries": package + requirements("build") + requirements("libraries"),
    }
    for lock, needed in wanted.items():
        pinned: dict[str, list[str]] = {}
        for pin in pins(lock):
            if pin.marker is None or pin.marker.evaluate(machine):
                version = str(pin.specifier).removeprefix("==")
                pinned.setdefault(canonicalize_name(pin.name), []).append(version)
        assert not {name: versions for name, versions in pinned.items() if len(versions) > 1}
        for requirement in needed:
            if requirement.marker is None or requirement.marker.evaluate(machine):
                (version,) = pinned[canonicalize_name(requirement.name)]
                assert requirement.specifier.contains(version, prereleases=True), requirement


@pytest.mark.parametrize("lock", LOCKED)
def test_a_lock_holds_versions_and_hashes_alone(lock: str) -> None:
    """No address, no host name, no folder; and a hash for every version."""
    pin = r"[\w.-]+==[\w.!+-]+( ; [^\\\n:/@]+)? \\\n(    --hash=sha256:[0-9a-f]{64}( \\)?\n)+"
    assert re.fullmatch(rf"(# [\w\s:-]+\n)*({pin})+", LOCKED[lock])


def test_the_locks_agree() -> None:
    """What is in two lock files is the same version of it: the one JAX, for one."""
    every = {
        lock: {(pin.name, str(pin.specifier)) for pin in pins(lock)}
        for lock in ("nox", "sessions", "libraries")
    }
    assert every["nox"] <= every["sessions"]
    names = {name for name, _ in every["sessions"]}
    assert {"jax", "jaxlib", "numpy"} <= names
    assert {pin for pin in every["libraries"] if pin[0] in names} <= every["sessions"]
