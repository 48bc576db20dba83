"""Which runs are meant by `KEY=VALUE`: those whose config says so."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from expkit.errors import UserError, nearest_of
from expkit.reports.runs.rows import RunRow
from expkit.reports.runs.settings import words_of

MAX_LISTED = 12
NAMES = ("name", "_target_")  # which tell a part where no word on the command line did


def keep_where(rows: Sequence[RunRow], conditions: Iterable[str]) -> list[RunRow]:
    """Those that meet all conditions; a key that no run has is refused, as is nothing left over."""
    kept = list(rows)
    for condition in conditions:
        key, sign, wanted = condition.partition("=")
        if not sign:
            raise UserError(
                f"'{condition}' is no condition",
                where=f"--where {condition}",
                allowed="KEY=VALUE, as in model=resnet18 or optimizer.lr=1e-3",
            )
        found = [value_of(row, key) for row in kept]
        if all(value is NOTHING for value in found):
            raise _no_such_key(key, condition, kept)
        left = [row for row, value in zip(kept, found, strict=True) if is_value(value, wanted)]
        if not left:
            raise _nothing_left(condition, found)
        kept = left
    return kept


class _Nothing:
    """The value of a key that a config lacks."""


NOTHING = _Nothing()


def value_of(row: RunRow, key: str) -> Any:
    """A setting, or what was chosen for a group: as recorded, else by word, name or `_target_`."""
    if key in row.config:
        return row.config[key]
    if key in row.choices:
        return row.choices[key]
    words = words_of(row.overrides)
    if key in words:
        return words[key]
    for leaf in NAMES:
        if f"{key}.{leaf}" in row.config:
            return str(row.config[f"{key}.{leaf}"]).rpartition(".")[2]
    return NOTHING


def is_value(value: Any, wanted: str) -> bool:
    """`1e-3` is 0.001, `true` is true, and a list is as JSON has it."""
    if isinstance(value, bool) or value is None:
        return wanted.lower() == json.dumps(value)
    if isinstance(value, str):
        return wanted == value or _is_number(value, wanted)
    if isinstance(value, int | float):
        return _is_number(value, wanted)
    return json.dumps(value).replace(" ", "") == wanted.replace(" ", "")


def _is_number(value: Any, wanted: str) -> bool:
    try:
        return float(value) == float(wanted)
    except ValueError:
        return False


def _no_such_key(key: str, condition: str, rows: Sequence[RunRow]) -> UserError:
    keys = dict.fromkeys(name for row in rows for name in row.config)
    parts = dict.fromkeys(name.partition(".")[0] for name in keys)
    return UserError(
        f"no run's config has a key '{key}'",
        where=f"--where {condition}",
        nearest=nearest_of(key, [*parts, *keys]),
        allowed=f"{', '.join(parts)}, or a key within one of these",
    )


def _nothing_left(condition: str, found: Iterable[Any]) -> UserError:
    key = condition.partition("=")[0]
    values = dict.fromkeys(shown(value) for value in found if value is not NOTHING)
    listed = ", ".join(list(values)[:MAX_LISTED])
    more = f", ... ({len(values)} values)" if len(values) > MAX_LISTED else ""
    return UserError(
        f"no run is left over by {condition}",
        where=f"--where {condition}",
        nearest=nearest_of(condition.partition("=")[2], values),
        allowed=f"{key} is {listed}{more}",
    )


def shown(value: Any) -> str:
    """A setting as one types it."""
    if isinstance(value, float):
        return f"{value:.12g}"
    return value if isinstance(value, str) else json.dumps(value)


def setting(settings: Mapping[str, Any], key: str) -> str:
    """A setting as a table's cell; a dash where there is none."""
    value = settings.get(key, NOTHING)
    return "-" if value is NOTHING else shown(value)
