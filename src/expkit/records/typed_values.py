"""Types of records that come from files: a value is looked at before anything is made of it."""

from __future__ import annotations

import contextlib
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

Check = Callable[[Any], None]
LARGEST = 2**63  # beyond it an integer is no count of anything, and no float either
SHOWN = 40  # characters of a wrong value


class ShapeError(ValueError):
    """A value is not of its type; where it stands is added on the way out."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what
        self.path: list[str] = []

    def __str__(self) -> str:
        return f"{'.'.join(reversed(self.path)) or 'it'} {self.what}"


def check_shape(value: object, kind: Any) -> None:
    """Raise a ValueError that names the first place where a value is not of this type."""
    compiled(kind)(value)


@functools.cache
def compiled(kind: Any) -> Check:
    """Return the check of a type, made once: a sweep reads thousands of records."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any or kind is object:
        return _anything
    if origin is Annotated:
        return _bounded(compiled(arguments[0]), arguments[1:])
    if origin in (Union, types.UnionType):
        return _any_of([compiled(each) for each in arguments], has_none=type(None) in arguments)
    if origin is Literal:
        return _of_kind(lambda value: isinstance(value, str) and value in arguments, str(arguments))
    if origin is tuple and (len(arguments) != 2 or arguments[1] is not Ellipsis):
        return _row([compiled(each) for each in arguments])
    if origin in (list, tuple, Sequence):
        return _list(compiled(arguments[0]))
    if origin in (dict, Mapping):
        return _mapping(compiled(arguments[1]))
    if is_dataclass(kind) or is_typeddict(kind):
        return _record(kind)
    return PLAIN[kind]


def _anything(value: Any) -> None:
    pass


def _wrong(value: Any, name: str) -> ShapeError:
    return ShapeError(f"is {str(value)[:SHOWN]!r}, which is not {name}")


def _of_kind(is_it: Callable[[Any], bool], name: str) -> Check:
    def check(value: Any) -> None:
        if not is_it(value):
            raise _wrong(value, name)

    return check


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -LARGEST < value < LARGEST


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

    def check_both(value: Any) -> None:
        check(value)
        if not low <= value <= high:
            raise ShapeError(f"cannot be {value!r}")

    return check_both


def _any_of(checks: Sequence[Check], *, has_none: bool) -> Check:
    *others, last = [each for each in checks if each is not PLAIN[type(None)]]

    def check(value: Any) -> None:
        if has_none and value is None:
            return
        for each in others:
            with contextlib.suppress(ValueError):
                each(value)
                return
        last(value)  # which says what is wrong

    return check


def _row(checks: Sequence[Check]) -> Check:
    def check(value: Any) -> None:
        if not isinstance(value, list | tuple) or len(value) != len(checks):
            raise _wrong(value, f"a list of {len(checks)}")
        for each, own in zip(value, checks, strict=True):
            own(each)

    return check


def _list(inner: Check) -> Check:
    def check(value: Any) -> None:
        if not isinstance(value, list | tuple):
            raise _wrong(value, "a list")
        if inner is not _anything:
            for each in value:
                inner(each)

    return check


def _mapping(inner: Check) -> Check:
    def check(value: Any) -> None:
        if not isinstance(value, Mapping):
            raise _wrong(value, "a mapping")
        for key in value:
            if not isinstance(key, str):
                raise ShapeError(f"has the key {str(key)[:SHOWN]!r}, which is not text")
        if inner is _anything:
            return
        try:
            for key, each in value.items():  # noqa: B007, the key is told below
                inner(each)
        except ShapeError as error:
            error.path.append(key[:SHOWN])
            raise

    return check


def _check_at(key: str, value: Any, check: Check) -> None:
    try:
        check(value)
    except ShapeError as error:
        error.path.append(key[:SHOWN])
        raise


def _record(kind: Any) -> Check:
    """The keys that a class names; what it does not name is not looked at."""
    hints = get_type_hints(kind, include_extras=True)
    checks = {key: compiled(each) for key, each in hints.items()}
    if is_dataclass(kind):
        needed = {
            each.name
            for each in fields(kind)
            if each.default is MISSING and each.default_factory is MISSING
        }
    else:
        needed = set(kind.__required_keys__)
    of_mapping = _mapping(_anything)

    def check(value: Any) -> None:
        of_mapping(value)
        if missing := sorted(needed - value.keys()):
            raise ShapeError(f"has no {missing[0]}")
        for key, each in checks.items():
            if key in value:
                _check_at(key, value[key], each)

    return check
