"""The parameters of a `_target_`, read from the source of its function or class."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from expkit.config.targets.annotations import fits, last_name, unquoted
from expkit.config.targets.resolver import (
    Class,
    Found,
    Function,
    Module,
    TargetNotFoundError,
    find,
    members,
    resolve,
)

# Decorators that leave a function's arguments, or a class's, as they are written.
TRANSPARENT = frozenset(
    {"abstractmethod", "cache", "classmethod", "contextmanager", "deprecated", "final", "ignore"}
    | {"inference_mode", "lru_cache", "no_grad", "override", "staticmethod", "wraps"}
)
TRANSPARENT_TO_CLASSES = frozenset({"dataclass", "final", "runtime_checkable", "total_ordering"})
# Modules whose classes have no `__init__` to inherit; Python keeps them where none can read.
BARE_MODULES = frozenset({"abc", "collections.abc", "_collections_abc"})


@dataclass(frozen=True)
class Parameter:
    """One argument of a target, with the module whose names its annotation uses."""

    name: str
    annotation: ast.expr | None
    required: bool
    keyword_only: bool  # written after a `*`; the fields of a dataclass never are
    module: Module = field(repr=False, compare=False)


@dataclass(frozen=True)
class Signature:
    """The arguments that a target takes, in order."""

    target: str
    parameters: Mapping[str, Parameter]
    takes_any: bool  # has **kwargs, or a base class that could not be read


@functools.cache
def read_signature(target: str) -> Signature | None:
    """The arguments of a dotted target, or None where its source cannot tell."""
    read = None
    match find(target):
        case Class() as found:
            read = _read_class(found)
        case Function() as found:
            read = _read_function(found)
        case Module() as found:
            part = target.rpartition(".")[2]
            raise TargetNotFoundError(part, found, f"'{target}' is a module, nothing to be called")
    return read and replace(read, target=target)


# Functions.


def _read_function(found: Function) -> Signature | None:
    """The arguments of a function; of a method, those after its `self` or `cls`."""
    given, decorators = found.node.args, decorators_of(found.node)
    if not decorators <= TRANSPARENT:
        return None
    parameters = _parameters(given, found.module)
    if found.owner is not None and "staticmethod" not in decorators:
        if found.node.name not in {"__init__", "__new__"} and "classmethod" not in decorators:
            return None  # reached without an instance: Python would want `self` as well
        parameters = parameters[1:]
    return Signature("", {each.name: each for each in parameters}, given.kwarg is not None)


def decorators_of(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> set[str | None]:
    """The last names of the decorators of a function or class."""
    called = [each.func if isinstance(each, ast.Call) else each for each in node.decorator_list]
    return set(map(last_name, called))


def _parameters(given: ast.arguments, module: Module) -> list[Parameter]:
    placed = [*given.posonlyargs, *given.args]
    required = [None] * (len(placed) - len(given.defaults))
    arguments = zip(
        [*placed, *given.kwonlyargs],
        [*required, *given.defaults, *given.kw_defaults],
        strict=True,
    )
    return [
        Parameter(
            name=each.arg,
            annotation=_widened(each.annotation, default),
            required=default is None,
            keyword_only=each in given.kwonlyargs,
            module=module,
        )
        for each, default in arguments
    ]


def _widened(annotation: ast.expr | None, default: ast.expr | None) -> ast.expr | None:
    """An annotation that allows its own default, as Python does whatever is written."""
    if annotation is None or default is None:
        return annotation
    try:
        value = ast.literal_eval(default)
    except (ValueError, TypeError):
        return annotation
    if value is None:
        return ast.BinOp(annotation, ast.BitOr(), default)
    return annotation if fits(value, annotation) else None


# Classes.


def _read_class(found: Class) -> Signature | None:
    """The arguments that calling a class takes: those of the nearest class that says so."""
    for each in lineage(found):
        if each is None:
            return Signature("", {}, takes_any=True)
        metaclasses = {last_name(k.value) for k in each.node.keywords if k.arg == "metaclass"}
        if metaclasses - {"ABCMeta"}:
            return None
        names = members(each)
        match names.get("__init__") or names.get("__new__"):
            case None:
                pass
            case (ast.FunctionDef() as node,):
                return _read_function(Function(each.module, node, each))
            case _:
                return None
        decorators = decorators_of(each.node)
        if "dataclass" in decorators:
            return _read_fields(each)
        if decorators - TRANSPARENT_TO_CLASSES:
            return None
    return Signature("", {}, takes_any=False)


def lineage(found: Class, below: frozenset[Class] = frozenset()) -> Iterator[Class | None]:
    """A class and its ancestors in the order that attributes are looked up; None is unreadable."""
    yield found
    below |= {found}
    ancestors: list[Class | None] = []
    for base in found.node.bases:
        parent = resolve(found.module, base.value if isinstance(base, ast.Subscript) else base)
        if _is_bare(parent, last_name(base)):
            continue
        if isinstance(parent, Class) and parent not in below:
            ancestors.extend(lineage(parent, below))
        else:
            ancestors.append(None)
    # A shared ancestor comes after the last class that inherits it, as Python orders them.
    yield from reversed(dict.fromkeys(reversed(ancestors)))


def _is_bare(found: Found, name: str | None) -> bool:
    """Tell whether a base is known to bring no arguments, whether or not its source can tell."""
    home = found.name if isinstance(found, Module) else found.module.name
    is_form = home in {"builtins", "typing"} and name in {"object", "Generic", "Protocol"}
    return is_form or home in BARE_MODULES


def _read_fields(found: Class) -> Signature:
    """The arguments of a dataclass, in the order of its generated `__init__`."""
    parameters: dict[str, Parameter] = {}
    classes = list(lineage(found))
    for each in reversed(classes):
        if each is not None and "dataclass" in decorators_of(each.node):
            _add_fields(each, parameters)
    return Signature("", parameters, takes_any=None in classes)


def _add_fields(found: Class, parameters: dict[str, Parameter]) -> None:
    for statement in found.node.body:
        match statement:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=value):
                options = _field_options(value)
            case _:
                continue
        if last_name(unquoted(annotation)) in {"ClassVar", "KW_ONLY"}:
            continue
        if getattr(options.get("init"), "value", True) is False:
            parameters.pop(name, None)
            continue
        default = options.get("default") or options.get("default_factory")
        inherits = name in parameters and not parameters[name].required
        parameters[name] = Parameter(
            name=name,
            annotation=_widened(annotation, default),
            required=default is None and not inherits,
            keyword_only=False,
            module=found.module,
        )


def _field_options(value: ast.expr | None) -> dict[str | None, ast.expr]:
    """Return what a field is given in `= field(...)`, or its default as an option."""
    if isinstance(value, ast.Call) and last_name(value.func) == "field":
        return {each.arg: each.value for each in value.keywords}
    return {} if value is None else {"default": value}
