"""What a `_target_` takes, read from its source without importing or running any of it.

Importing torch costs seconds and importing a stranger's module runs its code, so a config is
checked against the syntax tree instead. Where the source cannot tell, nothing is claimed.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import pkgutil
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from expkit.config.values import KNOWN_NAMES, fits, last_name, unquoted

Function = ast.FunctionDef | ast.AsyncFunctionDef

# Decorators that leave a function's arguments as they are written.
TRANSPARENT = frozenset(
    {"abstractmethod", "cache", "classmethod", "contextmanager", "deprecated", "final", "ignore"}
    | {"inference_mode", "lru_cache", "no_grad", "override", "staticmethod", "wraps"}
)
# Modules whose classes have no `__init__` of their own to inherit.
BARE_BASES = frozenset({"abc", "builtins", "typing", "collections.abc", "_collections_abc"})
# Their presence means that a module may hold names that its source does not spell.
DYNAMIC_NAMES = frozenset({"globals", "locals", "vars", "exec"})


@dataclass(frozen=True)
class Module:
    """Where a module lies; `folders` is empty unless it is a package."""

    name: str
    path: str | None  # None for a package without `__init__.py`
    folders: tuple[str, ...]


@dataclass(frozen=True)
class Parameter:
    """One argument of a target, with the module whose names its annotation uses."""

    name: str
    annotation: ast.expr | None
    required: bool
    module: Module = field(repr=False, compare=False)


@dataclass(frozen=True)
class Signature:
    """The arguments that a target takes, in order."""

    target: str
    parameters: Mapping[str, Parameter]
    takes_any: bool  # has **kwargs, or a base class that could not be read


class TargetNotFoundError(LookupError):
    """The module or the name certainly does not exist, or is nothing that can be called."""

    def __init__(self, part: str, owner: Module | None, problem: str) -> None:
        super().__init__(problem)
        self.part = part
        self.owner = owner

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        """What could have been meant: the names and submodules of the owner."""
        folders = None if self.owner is None else self.owner.folders
        found = {each.name for each in pkgutil.iter_modules(folders)}
        if self.owner is not None:
            found.update(_public_names(self.owner, frozenset()))
        return tuple(sorted(name for name in found if not name.startswith("_")))


@functools.cache
def read_signature(target: str) -> Signature | None:
    """The arguments of a dotted target, or None where its source cannot tell."""
    found = _find(target)
    if isinstance(found, Module):
        part = target.rpartition(".")[2]
        raise TargetNotFoundError(part, found, f"'{target}' is a module, nothing to be called")
    if not isinstance(found, _Definition):
        return None
    is_class = isinstance(found.node, ast.ClassDef)
    read = _read_class(found) if is_class else _read_function(found)
    return None if read is None else replace(read, target=target)


def home_of(target: str) -> Module:
    """The module in which the target is really written, or where its trail goes cold.

    It differs from the module that the target spells for a re-export (`torch.optim.Adam`), and
    for a module reached through another's imports (`timm.models._hub.os.system`).
    """
    found = _find(target)
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


def written_out(parameter: Parameter) -> ast.expr | None:
    """A parameter's annotation with its aliases replaced by what they stand for.

    Classes keep their names; what cannot be read becomes `Any`.
    """
    if parameter.annotation is None:
        return None
    return _write_out(parameter.annotation, parameter.module, frozenset())


@dataclass(frozen=True)
class _Link:
    """A name bound by an import: the module itself where `name` is None."""

    module: str
    name: str | None


@dataclass(frozen=True)
class _Scope:
    """The names that a module's or a class's body binds, each with every way it may be bound."""

    names: Mapping[str, tuple[ast.AST | _Link, ...]]
    stars: tuple[str, ...]


@dataclass(frozen=True)
class _Definition:
    module: Module
    node: Function | ast.ClassDef
    owner: ast.ClassDef | None = None


@dataclass(frozen=True)
class _Opaque:
    """Something whose definition is not in the source; `value` is what was assigned."""

    module: Module
    value: ast.expr | None = None


_Found = Module | _Definition | _Opaque
_Trail = frozenset[tuple[str, str]]  # (module, name) pairs being looked up, against import cycles
_BUILTINS = Module("builtins", "builtins", ())


def _find(target: str) -> _Found:
    top, *rest = target.split(".")
    return _descend(_top_level(top), rest)


def _descend(module: Module, parts: Sequence[str]) -> _Found:
    """Follow the parts through submodules first, which spares reading each package's source."""
    if not parts:
        return module
    child = _submodule(module, parts[0]) if len(parts) > 1 else None
    if child is None:
        return _walk(_member(module, parts[0], frozenset()), parts[1:], frozenset())
    try:
        return _descend(child, parts[1:])
    except TargetNotFoundError:
        bound = _member(module, parts[0], frozenset())  # a name may hide its package's submodule
        if bound == child:
            raise
        return _walk(bound, parts[1:], frozenset())


def _walk(found: _Found, parts: Iterable[str], trail: _Trail) -> _Found:
    for part in parts:
        if isinstance(found, Module):
            found = _member(found, part, trail)
        elif isinstance(found, _Definition) and isinstance(found.node, ast.ClassDef):
            found = _attribute(found, part)
        else:
            return _Opaque(found.module)
    return found


def _attribute(owner: _Definition, name: str) -> _Found:
    assert isinstance(owner.node, ast.ClassDef)
    match _class_scope(owner.module, owner.node).names.get(name, ()):
        case (ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() as node,):
            return _Definition(owner.module, node, owner.node)
        case _:
            return _Opaque(owner.module)


def _member(module: Module, name: str, trail: _Trail) -> _Found:
    """What `module.name` is after the module has been imported."""
    scope = _scope(module)
    unclear: _Found | None = None
    if scope is not None and (module.name, name) not in trail:
        trail |= {(module.name, name)}
        if name in scope.names:
            return _choose(module, scope.names[name], trail)
        for star in reversed(scope.stars):
            found = _starred(star, name, trail)
            if found is not None and not isinstance(found, _Opaque):
                return found
            unclear = unclear or found
    child = _submodule(module, name)
    hides = isinstance(unclear, _Opaque) and _scope(unclear.module) is not None
    found = unclear if child is None or hides else child
    if found is None and _is_dynamic(module):
        return _Opaque(module)
    if found is None:
        raise TargetNotFoundError(name, module, f"'{module.name}' has no '{name}'")
    return found


def _choose(module: Module, bindings: Iterable[ast.AST | _Link], trail: _Trail) -> _Found:
    """The one thing that a name can be; unclear where branches bind it to different things."""
    found = {each for binding in bindings for each in _follow(module, binding, trail)}
    return found.pop() if len(found) == 1 else _Opaque(module)


def _follow(module: Module, binding: ast.AST | _Link, trail: _Trail) -> Iterator[_Found]:
    """What one binding leads to; nothing where that does not exist or is None."""
    match binding:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield _Definition(module, binding)
        case ast.Constant(value=None):
            return
        case ast.Name() | ast.Attribute() if parts := _dotted(binding):
            try:
                yield _resolve(module, parts, trail)
            except TargetNotFoundError:
                yield _Opaque(module)
        case ast.expr():
            yield _Opaque(module, binding)
        case _Link():
            try:
                linked = _module(binding.module, trail)
                yield linked if binding.name is None else _member(linked, binding.name, trail)
            except TargetNotFoundError:
                return
        case _:
            yield _Opaque(module)


def _starred(star: str, name: str, trail: _Trail) -> _Found | None:
    """What `from star import *` binds the name to, or None where it does not."""
    try:
        module = _module(star, trail)
        if not _mentions(module, name):
            return None
        scope = _scope(module)
        exported = None if scope is None else _all_of(scope)
        found = None if name.startswith("_") else _member(module, name, trail)
        # Decorators such as timm's `register_model` add to `__all__`, so its absence is no proof.
        is_listed = exported is None or name in exported
        return found if found is None or is_listed else _Opaque(module)
    except TargetNotFoundError:
        return None


def _resolve(module: Module, parts: Sequence[str], trail: _Trail) -> _Found:
    """What a dotted expression in the module's source means."""
    try:
        first = _member(module, parts[0], trail)
    except TargetNotFoundError:
        first = _Opaque(_BUILTINS)
    return _walk(first, parts[1:], trail)


def _dotted(expression: ast.AST) -> list[str]:
    """The pieces of `a.b.c`; empty for any other expression."""
    match expression:
        case ast.Name(id=name):
            return [name]
        case ast.Attribute(value=value, attr=name) if parts := _dotted(value):
            return [*parts, name]
        case _:
            return []


def _public_names(module: Module, seen: frozenset[str]) -> set[str]:
    scope = _scope(module)
    if scope is None or module.name in seen:
        return set()
    names = set(scope.names)
    for star in scope.stars:
        try:
            names |= _public_names(_module(star, frozenset()), seen | {module.name})
        except TargetNotFoundError:
            continue
    return names


# Finding modules: `find_spec` of a dotted name would import its parents, so each step is its own.


@functools.cache
def _top_level(name: str) -> Module:
    try:
        spec = importlib.util.find_spec(name)
    except (ValueError, ImportError, AttributeError):
        return Module(name, name, ())
    if spec is None:
        raise TargetNotFoundError(name, None, f"there is no module '{name}'")
    return _located(spec)


@functools.cache
def _submodule(package: Module, name: str) -> Module | None:
    if not package.folders:
        return None
    spec = PathFinder.find_spec(f"{package.name}.{name}", package.folders)
    return None if spec is None else _located(spec)


def _located(spec: ModuleSpec) -> Module:
    folders = tuple(spec.submodule_search_locations or ())
    path = spec.origin if spec.has_location or not folders else None
    return Module(spec.name, path, folders)


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
def _scope(module: Module) -> _Scope | None:
    """The names that a module binds, or None where it has no source that can be read."""
    if module.path is None:
        return _Scope({}, ())
    tree = _parse(module.path)
    if tree is None:
        return None
    package = module.name if module.folders else module.name.rpartition(".")[0]
    return _collect(tree.body, package)


def _mentions(module: Module, name: str) -> bool:
    """Whether a module can bind a name at all, told much faster than by parsing it."""
    if module.path is None or not module.path.endswith(".py"):
        return True
    source = _source(module.path)
    return any(
        word.encode() in source for word in (name, "import *", "__getattr__", *DYNAMIC_NAMES)
    )


@functools.cache
def _source(path: str) -> bytes:
    return Path(path).read_bytes()


@functools.cache
def _parse(path: str) -> ast.Module | None:
    if not path.endswith(".py"):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an odd escape in someone's source is not ours to say
            return ast.parse(_source(path))
    except (OSError, SyntaxError, ValueError):
        return None


@functools.cache
def _class_scope(module: Module, node: ast.ClassDef) -> _Scope:
    return _collect(node.body, module.name)


@functools.cache
def _is_dynamic(module: Module) -> bool:
    """Whether a module may hold names that its source does not bind, or has no source."""
    if module.path is None:
        return False
    tree = _parse(module.path)
    if tree is None:
        return True
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) if name in DYNAMIC_NAMES | {"__path__"}:
                return True
            case ast.Attribute(attr="modules", value=ast.Name(id="sys")):
                return True
            case ast.FunctionDef(name="__getattr__", args=ast.arguments(args=[_])) | ast.Global():
                return True
            case _:
                continue
    return False


def _collect(body: Sequence[ast.stmt], package: str) -> _Scope:
    names: dict[str, tuple[ast.AST | _Link, ...]] = {}
    stars: list[str] = []
    for statement, is_certain in _statements(body, is_certain=True):
        if isinstance(statement, ast.ImportFrom) and statement.names[0].name == "*":
            stars.append(_absolute(statement, package))
            continue
        for name, binding in _bindings(statement, package):
            earlier = () if is_certain else names.get(name, ())
            names[name] = (*earlier, binding)
    return _Scope(names, tuple(stars))


def _statements(body: Iterable[ast.stmt], is_certain: bool) -> Iterator[tuple[ast.stmt, bool]]:
    """Every statement that an import would meet, and whether it is met on every path."""
    for statement in body:
        yield statement, is_certain
        if isinstance(statement, ast.If | ast.Try | ast.With | ast.For | ast.While):
            for name in ("body", "orelse", "finalbody"):
                yield from _statements(getattr(statement, name, ()), is_certain=False)
            for handler in getattr(statement, "handlers", ()):
                yield from _statements(handler.body, is_certain=False)


def _bindings(statement: ast.stmt, package: str) -> Iterator[tuple[str, ast.AST | _Link]]:
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            if "overload" not in _decorators(statement):
                yield statement.name, statement
        case ast.Import(names=aliases):
            for alias in aliases:
                whole = alias.name if alias.asname else alias.name.partition(".")[0]
                yield alias.asname or whole, _Link(whole, None)
        case ast.ImportFrom(names=aliases):
            for alias in aliases:
                yield alias.asname or alias.name, _Link(_absolute(statement, package), alias.name)
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            yield name, value
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            yield name, value
        case ast.Assign() | ast.For() | ast.With():
            for node in ast.walk(statement):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    yield node.id, statement


def _absolute(statement: ast.ImportFrom, package: str) -> str:
    if not statement.level:
        return statement.module or ""
    parts = package.split(".")
    kept = parts[: len(parts) - statement.level + 1]
    return ".".join([*kept, *([statement.module] if statement.module else [])])


def _all_of(scope: _Scope) -> list[str] | None:
    """What `__all__` lists, or None where it is absent or put together by code."""
    match scope.names.get("__all__"):
        case (ast.List(elts=items) | ast.Tuple(elts=items),):
            return [str(each.value) for each in items if isinstance(each, ast.Constant)]
        case _:
            return None


# Reading functions and classes.


def _decorators(node: Function | ast.ClassDef) -> dict[str, ast.expr]:
    called = {
        each: each.func if isinstance(each, ast.Call) else each for each in node.decorator_list
    }
    return {last_name(name) or "": whole for whole, name in called.items()}


def _read_function(found: _Definition) -> Signature | None:
    """The arguments of a function; of a method, those after its `self` or `cls`."""
    assert not isinstance(found.node, ast.ClassDef)
    node, names = found.node, _decorators(found.node).keys()
    if not names <= TRANSPARENT:
        return None
    skipped = 0
    if found.owner is not None and "staticmethod" not in names:
        if node.name not in {"__init__", "__new__"} and "classmethod" not in names:
            return None  # reached without an instance: Python would want `self` as well
        skipped = 1
    parameters = {
        name: _parameter(name, annotation, default, found.module)
        for name, annotation, default in _arguments(node.args)[skipped:]
    }
    return Signature("", parameters, takes_any=node.args.kwarg is not None)


def _arguments(given: ast.arguments) -> list[tuple[str, ast.expr | None, ast.expr | None]]:
    placed = [*given.posonlyargs, *given.args]
    without = len(placed) - len(given.defaults)
    defaults = [*[None] * without, *given.defaults, *given.kw_defaults]
    every = [*placed, *given.kwonlyargs]
    return [(a.arg, a.annotation, d) for a, d in zip(every, defaults, strict=True)]


def _parameter(
    name: str, annotation: ast.expr | None, default: ast.expr | None, module: Module
) -> Parameter:
    """A parameter that always allows its own default, whatever its annotation says."""
    if annotation is not None and default is not None:
        try:
            value = ast.literal_eval(default)
        except (ValueError, TypeError):
            value = ...
        if value is None:
            annotation = ast.BinOp(annotation, ast.BitOr(), default)
        elif value is not ... and not fits(value, annotation):
            annotation = None
    return Parameter(name, annotation, default is None, module)


def _read_class(found: _Definition) -> Signature | None:
    """The arguments that calling a class takes: those of the nearest class that says so."""
    for each in _lineage(found):
        if each is None:
            return Signature("", {}, takes_any=True)
        node = _class_of(each)
        if any(k.arg == "metaclass" and last_name(k.value) != "ABCMeta" for k in node.keywords):
            return None
        members = _class_scope(each.module, node).names
        constructor = members.get("__init__") or members.get("__new__")
        if constructor is not None:
            return _read_constructor(each, constructor)
        decorators = _decorators(node)
        if _makes_init(decorators):
            return _read_fields(each)
        if decorators.keys() - {"dataclass", "final", "runtime_checkable", "total_ordering"}:
            return None
    return Signature("", {}, takes_any=False)


def _read_constructor(
    found: _Definition, bindings: tuple[ast.AST | _Link, ...]
) -> Signature | None:
    match bindings:
        case (ast.FunctionDef() as node,):
            return _read_function(_Definition(found.module, node, _class_of(found)))
        case _:
            return None


def _class_of(found: _Definition) -> ast.ClassDef:
    assert isinstance(found.node, ast.ClassDef)
    return found.node


def _makes_init(decorators: Mapping[str, ast.expr]) -> bool:
    match decorators.get("dataclass"):
        case None:
            return False
        case ast.Call(keywords=keywords):
            return not any(_is_false(each, "init") for each in keywords)
        case _:
            return True


def _is_false(keyword: ast.keyword, name: str) -> bool:
    value = keyword.value
    return keyword.arg == name and isinstance(value, ast.Constant) and value.value is False


def _lineage(
    found: _Definition, below: frozenset[ast.AST] = frozenset()
) -> Iterator[_Definition | None]:
    """A class and its ancestors in the order that attributes are looked up; None is unreadable."""
    yield found
    node = _class_of(found)
    below |= {node}
    ancestors: list[_Definition | None] = []
    for base in node.bases:
        for each in _base(found.module, base):
            unreadable = each is None or each.node in below
            ancestors.extend([None] if each is None or unreadable else _lineage(each, below))
    # A shared ancestor comes after the last class that inherits it, as Python orders them.
    yield from reversed(dict.fromkeys(reversed(ancestors)))


def _base(module: Module, base: ast.expr) -> list[_Definition | None]:
    """The class that a base names: none where it is bare like `object`, None if unreadable."""
    parts = _dotted(base.value if isinstance(base, ast.Subscript) else base)
    found = _resolve(module, parts, frozenset()) if parts else _Opaque(module)
    if isinstance(found, _Definition) and isinstance(found.node, ast.ClassDef):
        is_bare = found.module.name in BARE_BASES and parts[-1] not in {"NamedTuple", "TypedDict"}
        return [] if is_bare else [found]
    home = found if isinstance(found, Module) else found.module
    bare = {"builtins": {"object"}, "typing": {"Generic", "Protocol"}}
    if home.name in bare:
        return [] if parts[-1] in bare[home.name] else [None]
    return [] if home.name in BARE_BASES else [None]


def _read_fields(found: _Definition) -> Signature:
    """The arguments of a dataclass, in the order of its generated `__init__`."""
    parameters: dict[str, Parameter] = {}
    lineage = list(_lineage(found))
    for each in reversed(lineage):
        if each is not None and "dataclass" in _decorators(_class_of(each)):
            _add_fields(each, parameters)
    return Signature("", parameters, takes_any=None in lineage)


def _add_fields(found: _Definition, parameters: dict[str, Parameter]) -> None:
    for statement in _class_of(found).body:
        match statement:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=value):
                pass
            case _:
                continue
        if _outer_name(annotation) in {"ClassVar", "KW_ONLY"}:
            continue
        default = value
        if isinstance(value, ast.Call) and last_name(value.func) == "field":
            if any(_is_false(each, "init") for each in value.keywords):
                parameters.pop(name, None)
                continue
            options = {each.arg: each.value for each in value.keywords}
            default = options.get("default", options.get("default_factory"))
        parameter = _parameter(name, annotation, default, found.module)
        inherits = default is None and name in parameters and not parameters[name].required
        parameters[name] = replace(parameter, required=False) if inherits else parameter


def _outer_name(annotation: ast.expr) -> str | None:
    outer = unquoted(annotation)
    return last_name(outer.value if isinstance(outer, ast.Subscript) else outer)


# Aliases in annotations.


def _write_out(annotation: ast.expr, module: Module, seen: frozenset[_Found]) -> ast.expr:
    def again(part: ast.expr) -> ast.expr:
        return _write_out(part, module, seen)

    match unquoted(annotation):
        case ast.Name() | ast.Attribute() as name:
            return _write_out_name(name, module, seen)
        case ast.BinOp(left=left, op=ast.BitOr() as bar, right=right):
            return ast.BinOp(again(left), bar, again(right))
        case ast.Subscript(value=head, slice=inner) as whole:
            outer = last_name(head)
            if outer == "Literal":
                return whole
            if outer not in KNOWN_NAMES:
                return again(head)  # a generic class is its name; a generic alias becomes Any
            items = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            kept = items[1:] if outer == "Annotated" else []
            written = [*map(again, items[: len(items) - len(kept)]), *kept]
            return ast.Subscript(head, ast.Tuple(written) if len(written) > 1 else written[0])
        case other:
            return other


def _write_out_name(
    name: ast.Name | ast.Attribute, module: Module, seen: frozenset[_Found]
) -> ast.expr:
    if last_name(name) in KNOWN_NAMES:
        return name
    try:
        found = _resolve(module, _dotted(name), frozenset()) if _dotted(name) else None
    except TargetNotFoundError:
        found = None
    match found:
        case _Definition(node=ast.ClassDef() as node) if not _admits_plain_values(
            found.module, node
        ):
            return name
        case _Opaque(value=ast.expr() as value) if found not in seen:
            if isinstance(value, ast.Subscript | ast.BinOp):
                return _write_out(value, found.module, seen | {found})
    return ast.Name("Any")


def _admits_plain_values(module: Module, node: ast.ClassDef) -> bool:
    """Whether plain YAML data may pass for an instance: an enum's value, a protocol, a number."""
    bases = {_outer_name(base) or "" for base in node.bases}
    plain = {"str", "int", "float", "Protocol", "TypedDict", "NamedTuple"}
    is_standard = module.name.partition(".")[0] in sys.stdlib_module_names
    return is_standard or bool(bases & plain) or any(base.endswith("Enum") for base in bases)
