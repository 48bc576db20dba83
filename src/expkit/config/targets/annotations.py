"""The YAML values that a type annotation allows, with the words for them.

pydantic reads the same annotations, but its import and its first adapter would add 0.2 to 0.4 s to
a refusal; in its strict mode it refuses a YAML's list for a tuple and a part for a class, and takes
true for `Literal[1]` and whole numbers beyond 64 bits.
"""

from __future__ import annotations

import collections.abc as abc
import enum
import itertools
import math
import numbers
import operator
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, is_typeddict

# A scalar's YAML types, and a user's words for one and for many.
SCALARS: Mapping[str, tuple[frozenset[type], str, str]] = {
    "int": (frozenset({int}), "a whole number", "whole numbers"),
    "float": (frozenset({int, float}), "a number", "numbers"),
    "bool": (frozenset({bool}), "true or false", "values true or false"),
    "str": (frozenset({str}), "text", "text"),
    "None": (frozenset({NoneType}), "null", "null"),
}
SCALAR_NAMES: Mapping[object, str] = {
    int: "int",
    float: "float",
    bool: "bool",
    str: "str",
    None: "None",
    NoneType: "None",
    numbers.Integral: "int",
    numbers.Real: "float",
    numbers.Number: "float",
}
FORMS = frozenset({"Any", "Literal", "Union", "list", "tuple", "dict"})
LISTS = frozenset(
    {list, set, frozenset, abc.Sequence, abc.MutableSequence, abc.Collection, abc.Iterable}
    | {abc.Set, abc.MutableSet}
)
# bases whose instances plain YAML data may pass for
PLAIN_BASES = (str, int, float, tuple, dict, enum.Enum)
BOUNDS: Mapping[str, tuple[str, Callable[[float, float], bool]]] = {
    "ge": (">=", operator.ge),
    "gt": (">", operator.gt),
    "le": ("<=", operator.le),
    "lt": ("<", operator.lt),
    "min_length": ("at least", operator.ge),
    "max_length": ("at most", operator.le),
}


def describe(annotation: Any) -> str:
    """A user's words for what is allowed, such as "a whole number >= 1 or null"."""
    return _words(_read(annotation))


def fits(value: object, annotation: Any) -> bool:
    """Tell whether plain YAML data may be given where this annotation stands.

    A class takes anything, since a part may make it; beside a simple type in a union it is never
    asked about a scalar, so that `float | Tensor` refuses text.
    """
    return _accepts(_read(annotation), value)


def spelled(value: object) -> str:
    """A value as a user would write it in YAML, without the quotes of Python."""
    if value is None or isinstance(value, bool):
        return str(value).lower().replace("none", "null")
    return str(value)


@dataclass(frozen=True)
class _Kind:
    """An annotation in its plainest form."""

    name: str  # of a scalar, of one of FORMS, or of a class that is not known here
    items: tuple[_Kind, ...] = ()
    choices: tuple[object, ...] = ()  # of a Literal
    bounds: tuple[tuple[str, float], ...] = ()  # ("ge", 1.0), ("max_length", 3) ...


_ANYTHING = _Kind("Any")
_NULL = _Kind("None")


# From types to kinds.


def _read(hint: Any) -> _Kind:
    origin, items = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return _union(*map(_read, items))
    if origin is Literal:
        are_plain = all(type(each) in (int, str, bool, NoneType) for each in items)
        return _Kind("Literal", choices=items) if are_plain else _ANYTHING  # members of an enum
    if origin is Annotated:
        return _bounded(
            _read(items[0]), tuple(each for given in items[1:] for each in _bounds(given))
        )
    if origin is Final:
        return _read(items[0])
    kind = hint if origin is None else origin
    if kind is tuple and len(items) > 1 and items[1] is not ...:
        return _Kind("tuple", tuple(map(_read, items)))
    if kind is tuple or kind in LISTS:  # many libraries write `Tuple[int]` for one of any length
        return _Kind("list", (_read(items[0]) if items else _ANYTHING,))
    if isinstance(kind, type) and not is_typeddict(kind) and issubclass(kind, Mapping):
        pair = tuple(map(_read, items)) if len(items) == 2 else (_ANYTHING, _ANYTHING)
        return _Kind("dict", pair)
    if kind in SCALAR_NAMES:
        return _Kind(SCALAR_NAMES[kind])
    return _Kind(kind.__name__) if _is_closed(kind) else _ANYTHING


def _is_closed(kind: object) -> bool:
    """Tell whether this is a class for whose instances no plain YAML data passes."""
    if not isinstance(kind, type) or getattr(kind, "_is_protocol", False):
        return kind is abc.Callable
    is_standard = kind.__module__.partition(".")[0] in sys.stdlib_module_names
    return kind in (type, abc.Callable) or not (is_standard or issubclass(kind, PLAIN_BASES))


def _union(*kinds: _Kind) -> _Kind:
    flat = [each for kind in kinds for each in (kind.items if kind.name == "Union" else [kind])]
    return _Kind("Union", tuple(flat)) if len(flat) > 1 else flat[0]


def _bounded(kind: _Kind, bounds: tuple[tuple[str, float], ...]) -> _Kind:
    if kind.name == "Union":
        return replace(kind, items=tuple(_bounded(each, bounds) for each in kind.items))
    return kind if kind == _NULL else replace(kind, bounds=kind.bounds + bounds)


def _bounds(given: object) -> list[tuple[str, float]]:
    """The limits that one `Ge(1)`, `Interval(gt=0, le=1)` or `Len(2, 4)` names."""
    limits = [(name, getattr(given, name, None)) for name in BOUNDS]
    return [
        (name, limit)
        for name, limit in limits
        if isinstance(limit, int | float) and (name, limit) != ("min_length", 0)
    ]


# Asking kinds.


def _accepts(kind: _Kind, value: object) -> bool:
    # What a part makes is not known before it is made, so it may stand anywhere.
    if isinstance(value, Mapping) and "_target_" in value:
        return True
    return _is_of(kind, value) and all(_keeps(value, *each) for each in kind.bounds)


def _is_of(kind: _Kind, value: object) -> bool:
    def fit(kinds: Iterable[_Kind], values: Iterable[object]) -> bool:
        pairs = zip(kinds, values, strict=False)
        return all(_accepts(each, value) for each, value in pairs)

    match kind.name, value:
        case ("Any", _):
            return True
        case ("Literal", _):
            return any(type(value) is type(each) and value == each for each in kind.choices)
        case ("Union", _):
            is_plain = any(type(value) in types for types, *_ in SCALARS.values())
            kinds = _offered(kind) if is_plain else kind.items
            return any(_accepts(each, value) for each in kinds)
        case ("list", list() | tuple()):
            return fit(itertools.repeat(kind.items[0]), value)
        case ("tuple", list() | tuple()):
            return len(value) == len(kind.items) and fit(kind.items, value)
        case ("dict", Mapping()):
            return all(fit(kind.items, pair) for pair in value.items())
        case ("list" | "tuple" | "dict", _):
            return False
        case (name, _):
            return type(value) in SCALARS[name][0] if name in SCALARS else True


def _offered(union: _Kind) -> tuple[_Kind, ...]:
    """The kinds of a union, less its classes where a simple type is offered beside them."""
    if {each.name for each in union.items} & (SCALARS.keys() | {"Any", "Literal"}) <= {"None"}:
        return union.items
    return tuple(each for each in union.items if each.name in SCALARS.keys() | FORMS)


LARGEST_INTEGER = 2**63 - 1  # torch and numpy keep whole numbers in 64 bits


def _keeps(value: object, name: str, limit: float) -> bool:
    if name.endswith("_length"):
        value = len(value) if isinstance(value, str | list | tuple | Mapping) else None
    if not isinstance(value, int | float):
        return True
    if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
        return False
    return math.isfinite(value) and BOUNDS[name][1](value, limit)


def _words(kind: _Kind, many: bool = False) -> str:
    said = [(name, f"{BOUNDS[name][0]} {limit}") for name, limit in kind.bounds]
    limits = [each for name, each in said if not name.endswith("_length")]
    sizes = [f", {each} long" for name, each in said if name.endswith("_length")]
    return "".join([_bare_words(kind, many), " " * bool(limits), " and ".join(limits), *sizes])


def _bare_words(kind: _Kind, many: bool) -> str:
    start = ("lists" if many else "a list") + " of"
    match kind.name, kind.items:
        case ("Any", _):
            return "anything"
        case ("Literal", _):
            return "one of: " + ", ".join(map(spelled, kind.choices))
        case ("Union", _):
            null_last = sorted(_offered(kind), key=lambda each: each == _NULL)
            return " or ".join(dict.fromkeys(_words(each, many) for each in null_last))
        case ("list", [item]):
            return f"{start} {_words(item, many=True)}"
        case ("tuple", [item, *_] as items) if len(set(items)) == 1:
            return f"{start} {len(items)} {_words(item, many=True)}"
        case ("tuple", items):
            return f"{start} {', then '.join(map(_words, items))}"
        case ("dict", [_, item]):
            return f"{'mappings' if many else 'a mapping'} of names to {_words(item, many=True)}"
        case (name, _):
            one, more = (
                SCALARS[name][1:] if name in SCALARS else (f"a {name} part", f"{name} parts")
            )
            return more if many else one
