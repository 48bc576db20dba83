"""Shapes filled from records, which may hold more keys, or lack some that are newer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

Shape = TypeVar("Shape")


def pick(kind: type[Shape], record: Mapping[str, Any]) -> Shape:
    """Fill a dataclass with what a record has of it, and with None where it has nothing."""
    names = getattr(kind, "__dataclass_fields__")  # noqa: B009 - type[Shape] does not say so
    return kind(**{name: record.get(name) for name in names})


def pick_or_none(kind: type[Shape], record: Mapping[str, Any] | None) -> Shape | None:
    """Fill a dataclass from a record, where there is one."""
    return None if record is None else pick(kind, record)
