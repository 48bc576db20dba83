"""Types of records that come from files: a value is looked at before anything is made of it."""

from __future__ import annotations

import functools
import math
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from typing import (
    Annotated,
    Any,
    Literal,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from annotated_types import Ge, Le

Count = Annotated[int, Ge(0)]
Positive = Annotated[int, Ge(1)]
Finite = Annotated[float, Ge(-1e300), Le(1e300)]  # no NaN, which compares with nothing
Seconds = Annotated[float, Ge(0), Le(1e300)]

Check = Callable[[Any, str], None]  # with the place of the value, for whoever is told
LARGEST = 2**63  # beyond it an integer is no count of anything, and no float either
SHOWN = 40  # characters of a wrong value


def check_shape(value: object, kind: Any, where: str = "") -> None:
    """Raise a ValueError that names the first place where a value is not of this type."""
    compiled(kind)(value, where)


@functools.cache
def compiled(kind: Any) -> Check:
    """Return the check of a type, made once: a sweep reads thousands of records."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any or kind is object:
        return lambda value, where: None
    if origin is Annotated:
        return _bounded(compiled(arguments[0]), arguments[1:])
    if origin in (Union, types.UnionType):
        return _any_of(kind, [compiled(each) for each in arguments])
    if origin is Literal:
        return _of_kind(lambda value: isinstance(value, str) and value in arguments, str(kind))
    if origin is tuple and (len(arguments) != 2 or arguments[1] is not Ellipsis):
        return _row([compiled(each) for each in arguments])
    if origin in (list, tuple, Sequence):
        return _list(compiled(arguments[0]))
    if origin in (dict, Mapping):
        return _mapping(compiled(arguments[1]))
    if is_dataclass(kind) or is_typeddict(kind):
        return _record(kind)
    return PLAIN[kind]


def _of_kind(is_it: Callable[[Any], bool], name: str) -> Check:
    def check(value: Any, where: str) -> None:
        if not is_it(value):
            raise ValueError(f"{where or 'it'} is {str(value)[:SHOWN]!r}, which is not {name}")

    return check


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < LARGEST


PLAIN: Mapping[Any, Check] = {
    int: _of_kind(_is_whole, "a whole number"),
    float: _of_kind(lambda value: isinstance(value, float) or _is_whole(value), "a number"),
    str: _of_kind(lambda value: isinstance(value, str), "text"),
    bool: _of_kind(lambda value: isinstance(value, bool), "true or false"),
    type(None): _of_kind(lambda value: value is None, "null"),
}


def _bounded(check: Check, bounds: Sequence[Any]) -> Check:
    low: Any = next((each.ge for each in bounds if isinstance(each, Ge)), -math.inf)
    high: Any = next((each.le for each in bounds if isinstance(each, Le)), math.inf)

    def check_both(value: Any, where: str) -> None:
        check(value, where)
        if not low <= value <= high:
            raise ValueError(f"{where or 'it'} cannot be {value!r:.{SHOWN}}")

    return check_both


def _any_of(kind: Any, checks: Sequence[Check]) -> Check:
    def fits(value: Any, check: Check) -> bool:
        try:
            check(value, "")
        except ValueError:
            return False
        return True

    def check(value: Any, where: str) -> None:
        if not any(fits(value, each) for each in checks):
            checks[0](value, where)  # which says what is wrong

    return check


def _row(checks: Sequence[Check]) -> Check:
    def check(value: Any, where: str) -> None:
        if not isinstance(value, list | tuple) or len(value) != len(checks):
            raise ValueError(f"{where or 'it'} is not {len(checks)} values")
        for number, (each, own) in enumerate(zip(value, checks, strict=True)):
            own(each, f"{where}[{number}]")

    return check


def _list(inner: Check) -> Check:
    def check(value: Any, where: str) -> None:
        if not isinstance(value, list | tuple):
            raise ValueError(f"{where or 'it'} is {str(value)[:SHOWN]!r}, which is not a list")
        for number, each in enumerate(value):
            inner(each, f"{where}[{number}]")

    return check


def _mapping(inner: Check) -> Check:
    def check(value: Any, where: str) -> None:
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise ValueError(f"{where or 'it'} is {str(value)[:SHOWN]!r}, which is no mapping")
        for key, each in value.items():
            inner(each, f"{where}.{key}" if where else key)

    return check


def _record(kind: Any) -> Check:
    """The keys that a class names; what it does not name is not looked at."""
    checks = {
        key: compiled(each) for key, each in get_type_hints(kind, include_extras=True).items()
    }
    if is_dataclass(kind):
        needed = {
            each.name
            for each in fields(kind)
            if each.default is MISSING and each.default_factory is MISSING
        }
    else:
        needed = set(kind.__required_keys__)
    of_mapping = _mapping(lambda value, where: None)

    def check(value: Any, where: str) -> None:
        of_mapping(value, where)
        missing = sorted(needed - value.keys())
        if missing:
            raise ValueError(f"{where or 'it'} has no {missing[0]}")
        for key, each in checks.items():
            if key in value:
                each(value[key], f"{where}.{key}" if where else key)

    return check
