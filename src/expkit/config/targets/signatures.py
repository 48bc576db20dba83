"""The arguments of a class or function, with what their annotations really are."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import InitVar, dataclass, is_dataclass
from types import SimpleNamespace
from typing import Any, Union, get_type_hints

from expkit.config.targets.annotations import fits
from expkit.config.targets.imported_objects import without_partial

PLAIN = (bool, int, float, str, list, tuple, dict)
NAMELESS = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@dataclass(frozen=True)
class Parameter:
    """One argument of a target."""

    name: str
    annotation: Any
    required: bool
    keyword_only: bool


@dataclass(frozen=True)
class Signature:
    """The arguments that a target takes, in order."""

    parameters: Mapping[str, Parameter]
    takes_any: bool  # has **kwargs


def read_signature(found: Callable[..., object]) -> Signature | None:
    """The arguments of a class or function, or None where it does not tell."""
    return _read_once(found) if isinstance(found, type) else _read(found)


def _read(found: Callable[..., object]) -> Signature | None:
    try:
        given = inspect.signature(found).parameters
    except (ValueError, TypeError, NameError):
        return None
    hints = _Hints(found)
    parameters = {
        name: Parameter(
            name,
            _widened(hints.of(name, each.annotation), each.default),
            required=each.default is each.empty,
            keyword_only=each.kind is each.KEYWORD_ONLY,
        )
        for name, each in given.items()
        if each.kind not in NAMELESS
    }
    takes_any = any(each.kind is each.VAR_KEYWORD for each in given.values())
    return Signature(parameters, takes_any)


_read_once = functools.cache(_read)  # a sweep asks for the same few classes in every job
forget_signatures = _read_once.cache_clear  # where a module is imported anew


class _Hints:
    """The annotations of one target, each resolved where it is written."""

    def __init__(self, found: Callable[..., object]) -> None:
        self._fields: dict[str, tuple[object, Mapping[str, object]]] = {}
        called: Any = without_partial(found)
        if isinstance(found, type):
            has_init = found.__init__ is not object.__init__  # type: ignore[misc]
            called = found.__init__ if has_init else found.__new__  # type: ignore[misc]
            if is_dataclass(found):
                for each in reversed(found.__mro__):
                    namespace = vars(sys.modules.get(each.__module__, SimpleNamespace()))
                    for name, annotation in vars(each).get("__annotations__", {}).items():
                        self._fields[name] = (annotation, namespace)
        self._namespace = getattr(inspect.unwrap(called), "__globals__", {})

    def of(self, name: str, annotation: object) -> Any:
        if annotation is inspect.Parameter.empty:
            return Any
        namespace = self._namespace
        if name in self._fields and self._fields[name][0] == annotation:
            namespace = self._fields[name][1]
        holder = SimpleNamespace(__annotations__={name: annotation})
        try:
            hint = get_type_hints(holder, dict(namespace), include_extras=True)[name]
        except (Exception, SystemExit):  # names that only a type checker knows
            return Any
        return hint.type if isinstance(hint, InitVar) else hint


def _widened(annotation: Any, default: object) -> Any:
    """An annotation that allows its own default, as Python does whatever is written."""
    if default is None and annotation is not Any:
        return Union[annotation, None]  # noqa: UP007 - not every annotation has a `|`
    if isinstance(default, PLAIN) and not fits(default, annotation):
        return Any
    return annotation
