"""The constraint files of requirements/ and the dependencies of pyproject.toml agree."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import expkit

ROOT = Path(__file__).parents[1]
FILES = ("oldest", "newest-known-good")


def constraints(name: str) -> dict[str, Requirement]:
    lines = (ROOT / "requirements" / f"{name}.txt").read_text().splitlines()
    read = [Requirement(line) for text in lines if (line := text.partition("#")[0].strip())]
    return {canonicalize_name(each.name): each for each in read}


def dependencies(*groups: str) -> dict[str, Requirement]:
    """What the package needs, with these groups of tools."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    words = list(project["project"]["dependencies"])
    for group in groups:
        words += [word for word in project["dependency-groups"][group] if isinstance(word, str)]
    return {canonicalize_name(each.name): each for each in map(Requirement, words)}


def extras(*names: str) -> dict[str, Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    words = [word for name in names for word in project["optional-dependencies"][name]]
    return {canonicalize_name(each.name): each for each in map(Requirement, words)}


def test_each_floor_is_the_oldest_release_that_is_tested() -> None:
    floors = {
        name: next(Version(each.version) for each in needed.specifier if each.operator == ">=")
        for name, needed in (dependencies("test") | extras("onnx", "openvino")).items()
    }
    lines = constraints("oldest")
    for name, floor in floors.items():
        (pin,) = lines[name].specifier
        assert (pin.operator, Version(pin.version)) == ("==", floor), name


def test_newest_known_good_names_a_release_of_every_dependency() -> None:
    """One release each but for torch and torchvision, which come in pairs."""
    known = constraints("newest-known-good")
    assert dependencies("test", "dev").keys() <= known.keys()
    for name, each in known.items():
        operators = sorted(part.operator for part in each.specifier)
        assert operators == (["<=", ">="] if name in ("torch", "torchvision") else ["=="]), name


def test_newest_known_good_is_allowed() -> None:
    known = constraints("newest-known-good")
    for name, needed in dependencies("test", "dev").items():
        for part in known[name].specifier:
            assert needed.specifier.contains(part.version), f"{known[name]} is not {needed}"


@pytest.mark.parametrize("name", FILES)
def test_constraints_are_names_and_releases_alone(name: str) -> None:
    """No address, no hash, no build for one machine: any index can serve them."""
    for each in constraints(name).values():
        assert each.url is None
        assert each.marker is None
        assert not each.extras
        assert all(Version(part.version).local is None for part in each.specifier)


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", expkit.__version__)
    assert expkit.__version__ == project["version"]


def test_importing_the_package_imports_nothing_else() -> None:
    program = (
        "import sys; before = set(sys.modules); import expkit; "
        "print(*sorted(set(sys.modules) - before))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert set(loaded) <= {"__future__", "expkit"}
