"""The YAML values that a type annotation allows, read from its syntax, never evaluated."""

from __future__ import annotations

import ast
import itertools
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from types import NoneType

# A scalar's YAML types, and a user's words for one and for many.
SCALARS: Mapping[str, tuple[frozenset[type], str, str]] = {
    "int": (frozenset({int}), "a whole number", "whole numbers"),
    "float": (frozenset({int, float}), "a number", "numbers"),
    "bool": (frozenset({bool}), "true or false", "values true or false"),
    "str": (frozenset({str}), "text", "text"),
    "None": (frozenset({NoneType}), "null", "null"),
}
SYNONYMS = {
    "object": "Any",
    "Integral": "int",
    **dict.fromkeys(["Real", "Number"], "float"),
    **dict.fromkeys(["List", "Sequence", "MutableSequence", "Collection", "Iterable"], "list"),
    **dict.fromkeys(["set", "Set", "AbstractSet", "frozenset", "FrozenSet"], "list"),
    "Tuple": "tuple",
    **dict.fromkeys(["Dict", "Mapping", "MutableMapping", "OrderedDict"], "dict"),
    **dict.fromkeys(["defaultdict", "DefaultDict"], "dict"),
    **dict.fromkeys(["InitVar", "Required", "NotRequired", "ReadOnly"], "Final"),
}
FORMS = frozenset({"Any", "Literal", "Union", "list", "tuple", "dict"})
# Names whose meaning is settled here; nobody need look up where they come from.
KNOWN_NAMES = frozenset(
    {*SCALARS, *SYNONYMS, *FORMS, "Final", "Optional", "Annotated", "Callable", "type", "Type"}
)
BOUNDS: Mapping[str, tuple[str, Callable[[float, float], bool]]] = {
    "ge": (">=", operator.ge),
    "gt": (">", operator.gt),
    "le": ("<=", operator.le),
    "lt": ("<", operator.lt),
    "min_length": ("at least", operator.ge),
    "max_length": ("at most", operator.le),
}
LENGTHS = {
    "MinLen": ("min_length",),
    "MaxLen": ("max_length",),
    "Len": ("min_length", "max_length"),
}


def describe(annotation: ast.expr | None) -> str:
    """A user's words for what is allowed, such as "a whole number >= 1 or null"."""
    return _words(_read(annotation))


def fits(value: object, annotation: ast.expr | None, *, unknown: bool = True) -> bool:
    """Tell whether plain YAML data may be given where this annotation stands.

    `unknown` is the answer for a name that is not known here, such as a class; beside a simple
    type in a union it is never asked about a scalar, so that `float | Tensor` refuses text.
    """
    return _accepts(_read(annotation), value, unknown)


def last_name(expression: ast.expr) -> str | None:
    """The last piece of `name`, `module.name` or `name[...]`; None for any other expression."""
    match expression:
        case ast.Subscript(value=head):
            return last_name(head)
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


# From syntax to kinds.


def _read(annotation: ast.expr | None) -> _Kind:
    match annotation and unquoted(annotation):
        case ast.Constant(value=None):
            return _NULL
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _union(_read(left), _read(right))
        case ast.Subscript(value=head, slice=ast.Tuple(elts=items)):
            return _read_generic(last_name(head), items)
        case ast.Subscript(value=head, slice=item):
            return _read_generic(last_name(head), [item])
        case ast.Name() | ast.Attribute() as named:
            return _read_generic(last_name(named), [])
        case _:
            return _ANYTHING


def _read_generic(name: str | None, items: list[ast.expr]) -> _Kind:
    match SYNONYMS.get(name or "Any", name), items:
        case ("Literal", [_, *_]):
            return _literal(items)
        case ("Annotated", [inner, *limits]):
            return _bounded(_read(inner), tuple(each for call in limits for each in _bounds(call)))
        case ("Optional", [inner]):
            return _union(_read(inner), _NULL)
        case ("Union", [_, *_]):
            return _union(*map(_read, items))
        case ("Final", [inner]):
            return _read(inner)
        # Many libraries write `Tuple[int]` for a tuple of any length.
        case ("tuple", [_, second, *_]) if getattr(second, "value", None) is not ...:
            return _Kind("tuple", tuple(map(_read, items)))
        case ("list" | "tuple", _):
            return _Kind("list", (_read(items[0]) if items else _ANYTHING,))
        case ("dict", _):
            pair = tuple(map(_read, items)) if len(items) == 2 else (_ANYTHING, _ANYTHING)
            return _Kind("dict", pair)
        case (None | "Annotated" | "Final" | "Literal" | "Optional" | "Union", _):
            return _ANYTHING
        case (other, _):
            return _Kind(other)


def _literal(items: list[ast.expr]) -> _Kind:
    try:
        return _Kind("Literal", choices=tuple(map(ast.literal_eval, items)))
    except ValueError:
        return _ANYTHING  # members of an enum


def _union(*kinds: _Kind) -> _Kind:
    flat = [each for kind in kinds for each in (kind.items if kind.name == "Union" else [kind])]
    return _Kind("Union", tuple(flat)) if len(flat) > 1 else flat[0]


def _bounded(kind: _Kind, bounds: tuple[tuple[str, float], ...]) -> _Kind:
    if kind.name == "Union":
        return replace(kind, items=tuple(_bounded(each, bounds) for each in kind.items))
    return kind if kind == _NULL else replace(kind, bounds=kind.bounds + bounds)


def _bounds(call: ast.expr) -> list[tuple[str, float]]:
    """The limits that one `Ge(1)`, `Interval(gt=0, le=1)` or `Len(2, 4)` names."""
    if not isinstance(call, ast.Call):
        return []
    name = last_name(call.func) or ""
    given = [*zip(LENGTHS.get(name, [name.lower()]), call.args, strict=False)]
    given += [(each.arg or "", each.value) for each in call.keywords]
    limits = [(each, _number(limit)) for each, limit in given if each in BOUNDS]
    return [(each, limit) for each, limit in limits if limit is not None]


def _number(expression: ast.expr) -> float | None:
    try:
        number = ast.literal_eval(expression)
    except ValueError:
        return None
    return number if isinstance(number, int | float) else None


# Asking kinds.


def _accepts(kind: _Kind, value: object, unknown: bool) -> bool:
    # What a part makes is not known before it is made, so it may stand anywhere.
    if isinstance(value, Mapping) and "_target_" in value:
        return True
    return _is_of(kind, value, unknown) and all(_keeps(value, *each) for each in kind.bounds)


def _is_of(kind: _Kind, value: object, unknown: bool) -> bool:
    def fit(kinds: Iterable[_Kind], values: Iterable[object]) -> bool:
        pairs = zip(kinds, values, strict=False)
        return all(_accepts(each, value, unknown) for each, value in pairs)

    match kind.name, value:
        case ("Any", _):
            return True
        case ("Literal", _):
            return any(type(value) is type(each) and value == each for each in kind.choices)
        case ("Union", _):
            is_plain = any(type(value) in types for types, *_ in SCALARS.values())
            kinds = _offered(kind) if is_plain else kind.items
            return any(_accepts(each, value, unknown) for each in kinds)
        case ("list", list() | tuple()):
            return fit(itertools.repeat(kind.items[0]), value)
        case ("tuple", list() | tuple()):
            return len(value) == len(kind.items) and fit(kind.items, value)
        case ("dict", Mapping()):
            return all(fit(kind.items, pair) for pair in value.items())
        case ("list" | "tuple" | "dict", _):
            return False
        case (name, _):
            return type(value) in SCALARS[name][0] if name in SCALARS else unknown


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
