"""The module that a dotted name spells, found without importing anything."""

from __future__ import annotations

import importlib.util
import pkgutil
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from expkit.config.user_code import find_here

KNOWN_PACKAGES = frozenset(
    {"expkit", "hydra_plugins", "kornia", "pytorch_optimizer", "timm", "torch", "torchvision"}
)


@dataclass(frozen=True)
class Module:
    """A module's name and place; `folders` is empty unless it is a package."""

    name: str
    path: str | None  # None for a package without `__init__.py`
    folders: tuple[str, ...]

    @property
    def package(self) -> str:
        """The top-level name."""
        return self.name.partition(".")[0]

    @property
    def is_known(self) -> bool:
        """Tell whether it belongs to expkit or to a library whose parts a config may name."""
        return self.package in KNOWN_PACKAGES

    @property
    def location(self) -> Path:
        return Path(self.path or self.folders[0])

    @property
    def submodules(self) -> list[str]:
        return [each.name for each in pkgutil.iter_modules(self.folders)]


class ModuleNotThereError(LookupError):
    """There is no top-level module of this name."""

    @property
    def names(self) -> list[str]:
        """The top-level names that could have been meant."""
        here = pkgutil.iter_modules([str(Path.cwd())])
        return sorted({*KNOWN_PACKAGES, *(each.name for each in here)})


def locate(target: str) -> tuple[Module, list[str]]:
    """Return the deepest module that the words of a dotted path spell, and the names after it."""
    top, *names = target.split(".")
    module = _top_level(top)
    while names and (child := _submodule(module, names[0])) is not None:
        module = child
        del names[0]
    return module, names


def _top_level(name: str) -> Module:
    try:
        spec = importlib.util.find_spec(name)
    except ValueError:  # a module that was made by hand
        return Module(name, name, ())
    spec = spec or find_here(name)
    if spec is None:
        raise ModuleNotThereError(name)
    return _located(spec)


def _submodule(package: Module, name: str) -> Module | None:
    """Find a module in a package; `find_spec` of the dotted name would import the package."""
    if not package.folders:
        return None
    full_name = f"{package.name}.{name}"
    try:
        spec = PathFinder.find_spec(full_name, package.folders)
        is_namespace = spec is not None and spec.origin is None
    except KeyError:  # a namespace within one: it wants its parent imported
        spec, is_namespace = None, True
    if is_namespace:
        places = (Path(folder) / name for folder in package.folders)
        return Module(full_name, None, tuple(str(place) for place in places if place.is_dir()))
    return None if spec is None else _located(spec)


def _located(spec: ModuleSpec) -> Module:
    return Module(spec.name, spec.origin, tuple(spec.submodule_search_locations or ()))
