"""Where a dotted name leads, told from source that is never imported or run.

Importing torch costs seconds and importing a stranger's module runs its code, so the syntax
trees are followed instead. Where they cannot tell, nothing is claimed.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import importlib.util
import pkgutil
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from expkit.config.user_code import find_here

KNOWN_PACKAGES = frozenset(
    {"expkit", "hydra_plugins", "kornia", "pytorch_optimizer", "timm", "torch", "torchvision"}
)
# Signs that a module may hold names that its source does not spell.
DYNAMIC = re.compile(
    rb"\b(globals|locals|vars|exec)\(|\bsys\.modules\b|\b__path__\b|def __getattr__\(\w+\b[^,]*\)"
)


@dataclass(frozen=True)
class Module:
    """Where a module lies; `folders` is empty unless it is a package."""

    name: str
    path: str | None  # None for a package without `__init__.py`
    folders: tuple[str, ...]


@dataclass(frozen=True)
class Class:
    """A class as it is written."""

    module: Module
    node: ast.ClassDef


@dataclass(frozen=True)
class Function:
    """A function as it is written, or a method when it has an owner."""

    module: Module
    node: ast.FunctionDef | ast.AsyncFunctionDef
    owner: Class | None = None


@dataclass(frozen=True)
class Opaque:
    """Something whose definition is not in the source; `value` is what was assigned."""

    module: Module
    value: ast.expr | None = None


Found = Module | Class | Function | Opaque
BUILTINS = Module("builtins", "builtins", ())


@dataclass(frozen=True)
class Link:
    """A name bound by an import: the module itself where `name` is None."""

    module: str
    name: str | None


Names = Mapping[str, tuple[ast.AST | Link, ...]]  # each with every way in which it may be bound
_Trail = frozenset[tuple[Module, str]]  # names that are being looked up, against import cycles


class TargetNotFoundError(LookupError):
    """The module or the name certainly does not exist, or is nothing that can be called."""

    def __init__(self, part: str, owner: Module | None, problem: str) -> None:
        super().__init__(problem)
        self.part = part
        self.owner = owner

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        """Return what could have been meant: the names and submodules of the owner."""
        folders = [str(Path.cwd())] if self.owner is None else self.owner.folders
        found = {each.name for each in pkgutil.iter_modules(folders)}
        found |= KNOWN_PACKAGES if self.owner is None else set()
        if self.owner is not None:
            found |= _names_in(self.owner, frozenset())
        return tuple(sorted(name for name in found if name.isidentifier() and name[0] != "_"))


@functools.cache
def find(target: str) -> Found:
    """Return what a dotted path from a top-level module leads to."""
    top, *parts = target.split(".")
    return _descend(_top_level(top), parts)


def resolve(module: Module, expression: ast.expr, trail: _Trail = frozenset()) -> Found:
    """Return what an expression in the module's source means, where it is a name or `a.b.c`."""
    parts = ast.unparse(expression).split(".")
    if not all(map(str.isidentifier, parts)):
        return Opaque(module)
    try:
        return _walk(module, parts, trail)
    except TargetNotFoundError:
        return Opaque(BUILTINS if len(parts) == 1 else module)


def members(owner: Class) -> Names:
    """The names that a class's own body binds."""
    return _collect(owner.node.body, owner.module.name)


def home_of(target: str) -> Module:
    """The module in which the target is really written, or where its trail goes cold.

    It differs from the module that the target spells for a re-export (`torch.optim.Adam`), and
    for a module reached through another's imports (`timm.models._hub.os.system`).
    """
    found = find(target)
    return found if isinstance(found, Module) else found.module


def spelled_module(target: str) -> Module:
    """The deepest module that a target's own words name."""
    top, *rest = target.split(".")
    module = _top_level(top)
    for part in rest[:-1]:
        child = _submodule(module, part)
        if child is None:
            break
        module = child
    return module


# Following names.


def _descend(module: Module, parts: Sequence[str]) -> Found:
    """Follow the parts through submodules first, which spares reading each package's source."""
    child = _submodule(module, parts[0]) if len(parts) > 1 else None
    if child is not None:
        with contextlib.suppress(TargetNotFoundError):  # a name may hide its package's submodule
            return _descend(child, parts[1:])
    return _walk(module, parts, frozenset())


def _walk(found: Found, parts: Iterable[str], trail: _Trail) -> Found:
    for part in parts:
        if isinstance(found, Module):
            found = _member(found, part, trail)
        elif isinstance(found, Class):
            found = _attribute(found, part)
        else:
            return Opaque(found.module)
    return found


def _attribute(owner: Class, name: str) -> Found:
    match members(owner).get(name):
        case (ast.FunctionDef() | ast.AsyncFunctionDef() as node,):
            return Function(owner.module, node, owner)
        case (ast.ClassDef() as node,):
            return Class(owner.module, node)
        case _:
            return Opaque(owner.module)


def _member(module: Module, name: str, trail: _Trail) -> Found:
    """Return what `module.name` is after the module has been imported."""
    names, is_dynamic = _read(module)
    found: Found | None = None
    if (module, name) not in trail:
        trail |= {(module, name)}
        if name in names:
            return _choose(module, names[name], trail)
        stars = reversed(_stars(names))
        starred = [each for star in stars if (each := _starred(star, name, trail)) is not None]
        found = min(starred, key=lambda each: isinstance(each, Opaque), default=None)
    found = found or _submodule(module, name)
    if found is None and not is_dynamic:
        raise TargetNotFoundError(name, module, f"'{module.name}' has no '{name}'")
    return found or Opaque(module)


def _choose(module: Module, bindings: Iterable[ast.AST | Link], trail: _Trail) -> Found:
    """The one thing that a name can be; unclear where branches bind it to different things."""
    found: set[Found | None] = set()
    for binding in bindings:
        with contextlib.suppress(TargetNotFoundError):  # an import that fails leaves the fallback
            found.add(_follow(module, binding, trail))
    clear = [each for each in found if each is not None]
    return clear[0] if len(clear) == 1 else Opaque(module)


def _follow(module: Module, binding: ast.AST | Link, trail: _Trail) -> Found | None:
    """Return what one binding leads to."""
    match binding:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return Function(module, binding)
        case ast.ClassDef():
            return Class(module, binding)
        case ast.Constant(value=None):
            return None
        case ast.Name() | ast.Attribute():
            return resolve(module, binding, trail)
        case ast.expr():
            return Opaque(module, binding)
        case Link(dotted, name):
            linked = _module(dotted, trail)
            return linked if name is None else _member(linked, name, trail)
        case _:
            return Opaque(module)


def _starred(star: str, name: str, trail: _Trail) -> Found | None:
    """Return what `from star import *` binds the name to, or None where it does not."""
    try:
        module = _module(star, trail)
        if name.startswith("_") or not _mentions(module, name):
            return None
        found = _member(module, name, trail)
    except TargetNotFoundError:
        return None
    match _read(module)[0].get("__all__"):
        case (ast.List(elts=items) | ast.Tuple(elts=items),):
            # Decorators such as timm's `register_model` may add to what is listed.
            is_listed = any(getattr(each, "value", None) == name for each in items)
            return found if is_listed else Opaque(module)
        case _:
            return found


def _stars(names: Names) -> list[str]:
    return [each.module for each in names.get("*", ()) if isinstance(each, Link)]


def _names_in(module: Module, seen: frozenset[Module]) -> set[str]:
    names, _ = _read(module)
    found = set(names)
    for star in _stars(names) if module not in seen else ():
        with contextlib.suppress(TargetNotFoundError):
            found |= _names_in(_module(star, frozenset()), seen | {module})
    return found


# Finding modules: `find_spec` of a dotted name would import its parents, so each step is its own.


@functools.cache
def _top_level(name: str) -> Module:
    try:
        spec = importlib.util.find_spec(name)
    except ValueError:  # a module that was made by hand
        return Module(name, name, ())
    spec = spec or find_here(name)
    if spec is None:
        raise TargetNotFoundError(name, None, f"there is no module '{name}'")
    return _located(spec)


@functools.cache
def _submodule(package: Module, name: str) -> Module | None:
    if not package.folders:
        return None
    spec = PathFinder.find_spec(f"{package.name}.{name}", package.folders)
    if spec is not None and spec.origin is None:  # a namespace: it wants its parent imported
        places = (Path(folder) / name for folder in package.folders)
        return Module(spec.name, None, tuple(str(place) for place in places if place.is_dir()))
    return None if spec is None else _located(spec)


def _located(spec: ModuleSpec) -> Module:
    folders = tuple(spec.submodule_search_locations or ())
    return Module(spec.name, spec.origin, folders)


def _module(dotted: str, trail: _Trail) -> Module:
    top, *rest = dotted.split(".")
    module = _top_level(top)
    for part in rest:
        found = _submodule(module, part) or _member(module, part, trail)
        if not isinstance(found, Module):
            return Module(dotted, dotted, ())
        module = found
    return module


# Reading modules.


@functools.cache
def _source(module: Module) -> tuple[bytes, bool]:
    """A module's source, and whether it may hold more names than it spells."""
    if module.path is None or not module.path.endswith(".py"):
        return b"", module.path is not None
    source = Path(module.path).read_bytes()
    return source, bool(DYNAMIC.search(source))


def _mentions(module: Module, name: str) -> bool:
    """Tell whether a module can bind a name at all, told ten times faster than by parsing it."""
    source, is_dynamic = _source(module)
    return is_dynamic or name.encode() in source or b"import *" in source


@functools.cache
def _read(module: Module) -> tuple[Names, bool]:
    """The names that a module's source binds, and whether it may hold more."""
    source, is_dynamic = _source(module)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an odd escape in someone's source is not ours to say
            body = ast.parse(source).body
    except (SyntaxError, ValueError):
        return {}, True
    package = module.name if module.folders else module.name.rpartition(".")[0]
    return _collect(body, package), is_dynamic


def _collect(body: Sequence[ast.stmt], package: str) -> Names:
    names: dict[str, tuple[ast.AST | Link, ...]] = {}
    for statement, is_certain in _statements(body, is_certain=True):
        for name, binding in _bindings(statement, package):
            earlier = () if is_certain and name != "*" else names.get(name, ())
            names[name] = (*earlier, binding)
    return names


def _statements(body: Iterable[ast.stmt], is_certain: bool) -> Iterator[tuple[ast.stmt, bool]]:
    """Every statement that an import would meet, and whether it is met on every path."""
    for statement in body:
        yield statement, is_certain
        if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for block in ("body", "handlers", "orelse", "finalbody", "cases"):
                yield from _statements(getattr(statement, block, ()), is_certain=False)


def _bindings(statement: ast.stmt, package: str) -> Iterator[tuple[str, ast.AST | Link]]:
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name, statement
        case ast.Import(names=aliases):
            for alias in aliases:
                whole = alias.name if alias.asname else alias.name.partition(".")[0]
                yield alias.asname or whole, Link(whole, None)
        case ast.ImportFrom(names=aliases):
            for alias in aliases:
                yield alias.asname or alias.name, Link(_absolute(statement, package), alias.name)
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            yield name, value
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            yield name, value
        case ast.Assign() | ast.For() | ast.With():
            for node in ast.walk(statement):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    yield node.id, statement


def _absolute(statement: ast.ImportFrom, package: str) -> str:
    """The full name of the module that is imported from, which may be written relatively."""
    parents = package.split(".")[: 1 - statement.level or None] if statement.level else []
    return ".".join(filter(None, [*parents, statement.module]))
