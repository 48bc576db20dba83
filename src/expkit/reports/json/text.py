"""The text of a JSON document: plain values, keys in a fixed order, nothing that is not JSON."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from expkit.errors import UserError
from expkit.sanitize import HIDDEN


def to_text(document: object, *, is_line: bool = False) -> str:
    """Write a document as JSON, over many lines or on one; what a terminal obeys is escaped."""
    try:
        value = to_plain(document)
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=None if is_line else 2)
    except RecursionError:
        raise UserError(
            "what is recorded there is nested too deep to be written as JSON",
            fix="bring the records back from a copy",
        ) from None
    return HIDDEN.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    """Write a character as JSON's own escape, so that it is read as what it is."""
    units = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2))


def to_plain(value: Any) -> Any:
    """Return dataclasses as objects, paths as text, and numbers that are not finite as null."""
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: to_plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Path):
        return str(value)
    assert value is None or isinstance(value, str | int), f"{type(value)} is no JSON"
    return value
