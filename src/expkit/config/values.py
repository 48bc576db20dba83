"""What a type annotation allows a YAML value to be, read from its syntax and never evaluated."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

SCALARS = {
    "int": ("a whole number", "whole numbers"),
    "float": ("a number", "numbers"),
    "bool": ("true or false", "values true or false"),
    "str": ("text", "text"),
    "None": ("null", "null"),
    "Any": ("anything", "anything"),
}
SYNONYMS = {"object": "Any", "Integral": "int", "Real": "float", "Number": "float"}
LISTS = frozenset(
    {"list", "List", "tuple", "Tuple", "set", "Set", "frozenset", "FrozenSet", "AbstractSet"}
    | {"MutableSequence", "Sequence", "Collection", "Iterable"}
)

MAPPINGS = frozenset(
    {"dict", "Dict", "Mapping", "MutableMapping", "OrderedDict", "defaultdict", "DefaultDict"}
)
WRAPPERS = frozenset({"Final", "InitVar", "Required", "NotRequired", "ReadOnly"})
# Names whose meaning is settled here; nobody need look up where they come from.
KNOWN_NAMES = frozenset(
    {*SCALARS, *SYNONYMS, *LISTS, *MAPPINGS, *WRAPPERS}
    | {"Optional", "Union", "Literal", "Annotated", "Callable", "type", "Type"}
)
BOUNDS: Mapping[str, tuple[str, Callable[[float, float], bool]]] = {
    "ge": (">=", operator.ge),
    "gt": (">", operator.gt),
    "le": ("<=", operator.le),
    "lt": ("<", operator.lt),
}
LENGTHS = {
    "MinLen": ("min_length",),
    "MaxLen": ("max_length",),
    "Len": ("min_length", "max_length"),
}


def describe(annotation: ast.expr | None) -> str:
    """A user's words for what is allowed, such as "a whole number >= 1 or null"."""
    return _read(annotation).words(many=False)


def fits(value: object, annotation: ast.expr | None, *, unknown: bool = True) -> bool:
    """Whether plain YAML data may be given where this annotation stands.

    `unknown` is the answer for a name that is not known here, such as a class; beside a simple
    type in a union it is never asked about a scalar, so that `float | Tensor` refuses text.
    """
    return _read(annotation).accepts(value, unknown)


def last_name(expression: ast.expr) -> str | None:
    """The last piece of `name` or `module.name`, or None for any other expression."""
    match expression:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return None


def unquoted(annotation: ast.expr) -> ast.expr:
    """The expression inside a string annotation, or the annotation itself."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        try:
            return ast.parse(annotation.value.strip(), mode="eval").body
        except SyntaxError:
            return ast.Name("Any")
    return annotation


class _Kind(Protocol):
    def accepts(self, value: object, unknown: bool) -> bool: ...

    def words(self, many: bool) -> str: ...


@dataclass(frozen=True)
class _Scalar:
    name: str

    def accepts(self, value: object, unknown: bool) -> bool:
        if self.name == "Any" or _is_part(value):
            return True
        if isinstance(value, bool) or value is None:
            return self.name == ("None" if value is None else "bool")
        allowed = {"int": (int,), "float": (int, float), "str": (str,)}
        return isinstance(value, allowed.get(self.name, ()))

    def words(self, many: bool) -> str:
        return SCALARS[self.name][many]


@dataclass(frozen=True)
class _Unknown:
    """A name of a class, a type variable, an alias: what it takes cannot be said from here."""

    name: str

    def accepts(self, value: object, unknown: bool) -> bool:
        return unknown or _is_part(value)

    def words(self, many: bool) -> str:
        return f"{self.name} parts" if many else f"a {self.name} part"


@dataclass(frozen=True)
class _OneOf:
    choices: tuple[object, ...]

    def accepts(self, value: object, unknown: bool) -> bool:
        same = (type(value) is type(each) and value == each for each in self.choices)
        return _is_part(value) or any(same)

    def words(self, many: bool) -> str:
        return "one of: " + ", ".join(spelled(each) for each in self.choices)


@dataclass(frozen=True)
class _Bounded:
    kind: _Kind
    bounds: tuple[tuple[str, float], ...]  # ("ge", 1.0), ("max_length", 3) ...

    def accepts(self, value: object, unknown: bool) -> bool:
        return self.kind.accepts(value, unknown) and all(_keeps(value, *b) for b in self.bounds)

    def words(self, many: bool) -> str:
        limits = [f"{BOUNDS[n][0]} {limit}" for n, limit in self.bounds if n in BOUNDS]
        sizes = [
            f"at {'least' if n == 'min_length' else 'most'} {limit} long"
            for n, limit in self.bounds
            if n not in BOUNDS
        ]
        said = " ".join([self.kind.words(many), " and ".join(limits)]).strip()
        return ", ".join([said, *sizes])


@dataclass(frozen=True)
class _List:
    item: _Kind

    def accepts(self, value: object, unknown: bool) -> bool:
        if isinstance(value, list | tuple):
            return all(self.item.accepts(each, unknown) for each in value)
        return _is_part(value)

    def words(self, many: bool) -> str:
        return f"{'lists' if many else 'a list'} of {self.item.words(many=True)}"


@dataclass(frozen=True)
class _Tuple:
    items: tuple[_Kind, ...]

    def accepts(self, value: object, unknown: bool) -> bool:
        if isinstance(value, list | tuple) and len(value) == len(self.items):
            return all(
                kind.accepts(each, unknown) for kind, each in zip(self.items, value, strict=True)
            )
        return _is_part(value)

    def words(self, many: bool) -> str:
        noun = "lists" if many else "a list"
        if len(set(self.items)) == 1 and len(self.items) > 1:
            return f"{noun} of {len(self.items)} {self.items[0].words(many=True)}"
        return f"{noun} of {', then '.join(kind.words(many=False) for kind in self.items)}"


@dataclass(frozen=True)
class _Mapping:
    key: _Kind
    item: _Kind

    def accepts(self, value: object, unknown: bool) -> bool:
        if _is_part(value):
            return True
        return isinstance(value, Mapping) and all(
            self.key.accepts(k, unknown) and self.item.accepts(v, unknown) for k, v in value.items()
        )

    def words(self, many: bool) -> str:
        return f"{'mappings' if many else 'a mapping'} of names to {self.item.words(many=True)}"


@dataclass(frozen=True)
class _Either:
    kinds: tuple[_Kind, ...]

    def accepts(self, value: object, unknown: bool) -> bool:
        kinds = self._known() if _is_plain(value) and self._is_simple() else self.kinds
        return any(kind.accepts(value, unknown) for kind in kinds)

    def words(self, many: bool) -> str:
        kinds = self._known() if self._is_simple() else self.kinds
        null_last = sorted(kinds, key=lambda kind: kind == _NULL)
        said = dict.fromkeys(kind.words(many) for kind in null_last)
        return " or ".join(said)

    def _known(self) -> tuple[_Kind, ...]:
        return tuple(kind for kind in self.kinds if not isinstance(kind, _Unknown))

    def _is_simple(self) -> bool:
        simple = (_Scalar, _OneOf, _Bounded)
        return any(isinstance(kind, simple) and kind != _NULL for kind in self.kinds)


_ANYTHING = _Scalar("Any")
_NULL = _Scalar("None")


def spelled(value: object) -> str:
    """A value as a user would write it in YAML, without the quotes of Python."""
    if value is None or isinstance(value, bool):
        return str(value).lower().replace("none", "null")
    return str(value)


def _is_part(value: object) -> bool:
    # What a part makes is not known before it is made, so it may stand anywhere.
    return isinstance(value, Mapping) and "_target_" in value


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, bool | int | float | str)


def _keeps(value: object, name: str, limit: float) -> bool:
    if name in BOUNDS:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return True
        return math.isfinite(value) and BOUNDS[name][1](value, limit)
    if not isinstance(value, str | list | tuple | Mapping) or _is_part(value):
        return True
    return len(value) >= limit if name == "min_length" else len(value) <= limit


def _read(annotation: ast.expr | None) -> _Kind:
    match unquoted(annotation) if annotation is not None else None:
        case None:
            return _ANYTHING
        case ast.Constant(value=None):
            return _NULL
        case ast.Name() | ast.Attribute() as named:
            return _read_name(last_name(named) or "")
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _either([_read(left), _read(right)])
        case ast.Subscript(value=head, slice=inner) if last_name(head):
            return _read_generic(last_name(head) or "", inner)
        case _:
            return _ANYTHING


def _read_name(name: str) -> _Kind:
    name = SYNONYMS.get(name, name)
    if name in SCALARS:
        return _Scalar(name)
    if name in LISTS:
        return _List(_ANYTHING)
    if name in MAPPINGS:
        return _Mapping(_ANYTHING, _ANYTHING)
    bare = {"Optional", "Union", "Literal", "Annotated"} | WRAPPERS
    return _ANYTHING if name in bare else _Unknown(name)


def _read_generic(name: str, inner: ast.expr) -> _Kind:
    items = inner.elts if isinstance(inner, ast.Tuple) else [inner]
    if name == "Literal":
        literal = all(isinstance(each, ast.Constant | ast.UnaryOp) for each in items)
        return _OneOf(tuple(map(ast.literal_eval, items))) if literal else _ANYTHING
    if name == "Annotated":
        return _bounded(_read(items[0]), items[1:])
    if name in {"Union", "Optional"}:
        return _either([*map(_read, items), *([_NULL] if name == "Optional" else [])])
    if name in WRAPPERS:
        return _read(inner)
    # Many libraries write `Tuple[int]` for a tuple of any length.
    if name in {"tuple", "Tuple"} and len(items) > 1 and not _is_open_ended(items):
        return _Tuple(tuple(map(_read, items)))
    if name in LISTS:
        return _List(_read(items[0]))
    if name in MAPPINGS and len(items) == 2:
        return _Mapping(_read(items[0]), _read(items[1]))
    return _Unknown(name)


def _is_open_ended(items: list[ast.expr]) -> bool:
    return len(items) == 2 and isinstance(items[1], ast.Constant) and items[1].value is ...


def _either(kinds: list[_Kind]) -> _Kind:
    flat: list[_Kind] = []
    for kind in kinds:
        flat.extend(kind.kinds if isinstance(kind, _Either) else [kind])
    return _Either(tuple(flat)) if len(flat) > 1 else flat[0]


def _bounded(kind: _Kind, metadata: list[ast.expr]) -> _Kind:
    bounds = tuple(bound for call in metadata for bound in _bounds_of(call))
    if not bounds or kind == _NULL:
        return kind
    if isinstance(kind, _Either):
        return _Either(tuple(_bounded(each, metadata) for each in kind.kinds))
    return _Bounded(kind, bounds)


def _bounds_of(call: ast.expr) -> list[tuple[str, float]]:
    """The limits that one `Ge(1)`, `Interval(gt=0, le=1)` or `Len(2, 4)` names."""
    if not isinstance(call, ast.Call):
        return []
    name = last_name(call.func) or ""
    order = LENGTHS.get(name) or ((name.lower(),) if name.lower() in BOUNDS else ())
    given = [*zip(order, call.args, strict=False), *((k.arg, k.value) for k in call.keywords)]
    limits = ((each, _number(limit)) for each, limit in given)
    names = {*BOUNDS, "min_length", "max_length"}
    return [(each, limit) for each, limit in limits if each in names and limit is not None]


def _number(expression: ast.expr) -> float | None:
    try:
        number = ast.literal_eval(expression)
    except ValueError:
        return None
    return number if isinstance(number, int | float) else None
