"""Which runs are meant by `--where`: those whose settings, choices, figures or tags say so."""

from __future__ import annotations

import json
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from expkit.errors import UserError, nearest_of
from expkit.metrics.names import METRICS, Measure
from expkit.records.run.annotations import read_annotations
from expkit.records.run.digest import figure_of
from expkit.reports.runs.entries import RunEntry
from expkit.reports.runs.rows import RunRow
from expkit.reports.runs.settings import words_of

Row = TypeVar("Row", RunRow, RunEntry)

MAX_LISTED = 12
NAMES = ("name", "_target_")  # which tell a part where no word on the command line did
CONDITION = re.compile(r"([^=!<>]+?)\s*(==|!=|<=|>=|=|<|>)\s*(.*)", re.DOTALL)
ORDER: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
# what is known of a run beside its config; of the first two, a condition is of any one of several
WORDS = ("tags", "findings", "status", "verdict", "kind")
ALLOWED = (
    "KEY=VALUE, KEY!=VALUE, or <, <=, >, >= with a number, in quotes: model=resnet18, "
    "'optimizer.lr<1e-3', 'val/accuracy>0.9', tags=paper, status!=failed"
)


class _Nothing:
    """The value of a key that a run lacks."""


NOTHING = _Nothing()


@dataclass(frozen=True)
class Condition:
    """One condition, taken apart."""

    text: str
    key: str
    sign: str
    wanted: str

    @classmethod
    def parse(cls, text: str) -> Condition:
        match = CONDITION.fullmatch(text)
        if match is None:
            raise UserError(f"'{text}' is no condition", where=f"--where {text}", allowed=ALLOWED)
        key, sign, wanted = match.groups()
        sign = "=" if sign == "==" else sign
        condition = cls(text, key, sign, wanted)
        if sign in ORDER and condition.number is None:
            raise UserError(
                f"'{wanted}' is no number, and {sign} compares numbers",
                where=f"--where {text}",
                allowed=ALLOWED,
            )
        return condition

    @property
    def number(self) -> float | None:
        """The value as a number; `90%` is 0.9."""
        text, scale = (self.wanted[:-1], 100) if self.wanted.endswith("%") else (self.wanted, 1)
        try:
            number = float(text) / scale
        except ValueError:
            return None
        return None if math.isnan(number) else number

    def is_met(self, value: Any) -> bool:
        """Tell whether a value meets it; what a run lacks is unlike anything."""
        if self.sign == "!=":
            return not self._is_equal(value)
        if self.sign == "=":
            return self._is_equal(value)
        if not isinstance(value, int | float) or isinstance(value, bool):
            return False
        assert self.number is not None, "looked at when it was parsed"
        return ORDER[self.sign](value, self.number)

    def _is_equal(self, value: Any) -> bool:
        if value is NOTHING:
            return False
        if self.key in ("tags", "findings"):
            return self.wanted in value
        return is_value(value, self.wanted)


def keep_where(rows: Sequence[Row], conditions: Iterable[str]) -> list[Row]:
    """Those that meet all conditions; a key that no run has is refused, as is nothing left over."""
    kept = list(rows)
    for condition in map(Condition.parse, conditions):
        found = [value_of(row, condition.key) for row in kept]
        if all(value is NOTHING for value in found):
            raise _no_such_key(condition, kept)
        left = [row for row, value in zip(kept, found, strict=True) if condition.is_met(value)]
        if not left:
            raise _nothing_left(condition, found)
        kept = left
    return kept


def value_of(row: RunRow | RunEntry, key: str) -> Any:
    """A setting, a figure, or what was chosen for a group: as recorded, else by word or name."""
    if key in WORDS:
        return _word(row, key)
    facts = row.facts if isinstance(row, RunEntry) else row
    config = _config(row)
    if key in config:
        return config[key]
    if key in facts.choices:
        return facts.choices[key]
    words = words_of(facts.overrides)
    if key in words:
        return words[key]
    for leaf in NAMES:
        if f"{key}.{leaf}" in config:
            return str(config[f"{key}.{leaf}"]).rpartition(".")[2]
    figure = figure_of(facts.metrics, facts.judged_split, key)
    return NOTHING if figure is None else figure


def _config(row: RunRow | RunEntry) -> Mapping[str, Any]:
    return row.settings if isinstance(row, RunEntry) else row.config


def _word(row: RunRow | RunEntry, key: str) -> Any:
    """What is known of a run beside its config; a row of a comparison is always a run's."""
    if isinstance(row, RunEntry):
        return getattr(row, key)
    if key == "tags":
        return read_annotations(row.run.path, row.config.get("tags")).tags
    return "run" if key == "kind" else getattr(row, key)


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


def _no_such_key(condition: Condition, rows: Sequence[RunRow] | Sequence[RunEntry]) -> UserError:
    key = condition.key
    keys = dict.fromkeys(name for row in rows for name in _config(row))
    parts = dict.fromkeys(name.partition(".")[0] for name in keys)
    facts = [row.facts if isinstance(row, RunEntry) else row for row in rows]
    measured = {split: each for fact in facts for split, each in fact.metrics.items()}
    figures = dict.fromkeys(name for each in measured.values() for name in each)
    metric = Measure.parse(key).metric
    is_metric = any(metric in names for names in METRICS.values())
    what = "has a figure of" if is_metric else "has a setting, a figure or a choice"
    return UserError(
        f"no run {what} '{key}'",
        where=f"--where {condition.text}",
        nearest=_nearest(key, [*WORDS, *parts, *figures], keys, measured),
        allowed=f"{', '.join([*parts, *WORDS])}, or a key within one of these"
        + (f"; {', '.join(figures)}, or of a split: {', '.join(measured)}/" if figures else ""),
    )


def _nearest(
    key: str, words: Iterable[str], keys: Iterable[str], splits: Iterable[str]
) -> str | None:
    """The nearest of what may be asked; a figure of a split by its own split."""
    words = list(words)
    of_split = [f"{each}/{word}" for each in splits for word in words] if "/" in key else []
    return nearest_of(key, [*words, *of_split, *keys])


def _nothing_left(condition: Condition, found: Iterable[Any]) -> UserError:
    values = dict.fromkeys(_listed_values(found))
    listed = ", ".join(list(values)[:MAX_LISTED])
    more = f", ... ({len(values)} values)" if len(values) > MAX_LISTED else ""
    return UserError(
        f"no run is left over by {condition.text}",
        where=f"--where {condition.text}",
        nearest=nearest_of(condition.wanted, values) if condition.sign == "=" else None,
        allowed=f"{condition.key} is {listed or 'nothing'}{more}",
    )


def _listed_values(found: Iterable[Any]) -> Iterable[str]:
    for value in found:
        if isinstance(value, list | tuple) and all(isinstance(each, str) for each in value):
            yield from value
        elif value is not NOTHING:
            yield shown(value)


def shown(value: Any) -> str:
    """A setting as one types it."""
    if isinstance(value, float):
        return f"{value:.12g}"
    return value if isinstance(value, str) else json.dumps(value)


def setting(settings: Mapping[str, Any], key: str) -> str:
    """A setting as a table's cell; a dash where there is none."""
    value = settings.get(key, NOTHING)
    return "-" if value is NOTHING else shown(value)
