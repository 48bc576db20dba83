"""The object that a `_target_` names: imported once its words are trusted, and where it is from."""

from __future__ import annotations

import functools
import linecache
import sys
import traceback
from importlib import import_module
from types import ModuleType

from expkit.config.targets.module_paths import Module, locate
from expkit.config.user_code import let_in

# modules of C whose functions another module offers as its own
FACES = {"posix": "os", "nt": "os"}


class NameNotThereError(LookupError):
    """A module or class does not have what is named in it."""

    def __init__(self, owner: str, name: str, names: list[str]) -> None:
        super().__init__(f"'{owner}' has no '{name}'")
        self.owner = owner
        self.name = name
        self.names = names


def load(target: str) -> object:
    """Import what a dotted path names, step by step as Hydra does when it builds it."""
    path, *names = target.split(".")
    let_in([path])
    found: object = _import(path)
    for name in names:
        owner, path = path, f"{path}.{name}"
        try:
            found = getattr(found, name)
        except AttributeError:
            if not isinstance(found, ModuleType) or not _has_submodule(found, name):
                raise NameNotThereError(owner, name, _names_in(found)) from None
            found = _import(path)
    return found


def _import(name: str) -> ModuleType:
    try:
        return import_module(name)
    except SystemExit as error:
        ended = ImportError(f"importing {name} ends Python: sys.exit({error.code!r})")
        raise ended.with_traceback(error.__traceback__) from None
    except BaseException as error:
        if isinstance(error, Exception) or (
            isinstance(error, KeyboardInterrupt) and _is_typed(error)
        ):
            raise
        ended = ImportError(f"importing {name} ends Python: it raises {type(error).__name__}")
        raise ended.with_traceback(error.__traceback__) from None


def _is_typed(error: KeyboardInterrupt) -> bool:
    """Tell whether a signal has raised it, and no statement of the module that is imported."""
    frame, line = list(traceback.walk_tb(error.__traceback__))[-1]
    return (
        not linecache.getline(frame.f_code.co_filename, line)
        .strip()
        .startswith("raise KeyboardInterrupt")
        or frame.f_code.co_name == "interrupt"
    )


def _has_submodule(module: ModuleType, name: str) -> bool:
    folders = tuple(getattr(module, "__path__", ()))
    return name in Module(module.__name__, None, folders).submodules


def _names_in(found: object) -> list[str]:
    names = set(dir(found))
    if isinstance(found, ModuleType):
        names.update(Module(found.__name__, None, tuple(getattr(found, "__path__", ()))).submodules)
    return sorted(name for name in names if not name.startswith("_"))


@functools.cache
def stated_arguments(target: str) -> type | None:
    """The dataclass that stands for a class of expkit whose module loads torch.

    It has the same arguments and the same name, and lies in the `arguments.py` beside that module.
    """
    module, _, name = target.rpartition(".")
    path = f"{module.rpartition('.')[0]}.arguments"
    if locate(path)[1]:
        return None
    stated: type | None = getattr(import_module(path), name, None)
    return stated


def without_partial(found: object) -> object:
    """Unwrap a partial; any other object is itself."""
    while isinstance(found, functools.partial):
        found = found.func
    return found


def home_of(found: object) -> Module:
    """Return the module that an object is really from, whatever module offers it."""
    name = found.__name__ if isinstance(found, ModuleType) else _module_name(found)
    name = FACES.get(name, name)
    module = sys.modules.get(name)
    path = getattr(module, "__file__", None)
    return Module(name, path or name, tuple(getattr(module, "__path__", ())))


def _module_name(found: object) -> str:
    name = getattr(found, "__module__", None)
    if name is None and getattr(found, "__self__", None) is not None:  # a function of C
        owner = found.__self__  # type: ignore[attr-defined]
        name = owner.__name__ if isinstance(owner, ModuleType) else type(owner).__module__
    return str(name or "builtins")
