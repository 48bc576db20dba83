"""Criteria as a user types them: Hydra takes neither a slash nor a bracket in a key.

`criteria={val/recall[*]: "> 0.85"}` and `++criteria.val/recall[*]="> 0.85"` become
`++criteria.val.recall={*: "> 0.85"}`, which Hydra reads; the config has them by their names again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from expkit.errors import UserError, nearest_of

SPLITS = ("train", "val", "test")  # that stand before a metric's name
EXAMPLE = """'criteria={accuracy: "> 0.9", recall[*]: "> 0.85"}'"""
_QUOTED = r""" "[^"]*" | '[^']*' """
_MAPPING = re.compile(r"\+{0,2}criteria=\{(.*)\}", re.S)
_ENTRY = re.compile(
    rf"""\s* (?P<name> (?: [^:\[\]{{}}"',] | \[.*?\](?=\s*:) )+? ) \s* : \s*
    (?P<value> {_QUOTED} | [^,{{}}"']+ ) \s* (?:,|$)""",
    re.X | re.S,
)
# one criterion by its name, where that is no key of Hydra's
_SINGLE = re.compile(r"\+{0,2}criteria\.([^=\[/]+/[^=\[]+|[^=\[]*\[.*?\])=(.*)", re.S)
_MEANT_BY_HYDRA = re.compile(r"([\\()\[\]{}:=,\s])")


def spell_criteria(words: Sequence[str]) -> list[str]:
    """The words of a command line, in which Hydra can read every criterion."""
    spelled: list[str] = []
    for word in words:
        mapping, single = _MAPPING.fullmatch(word), _SINGLE.fullmatch(word)
        if mapping is not None:
            spelled += _entries(mapping[1], word)
        elif single is not None:
            spelled.append(_as_override(single[1], single[2]))
        else:
            spelled.append(word)
    return spelled


def _entries(text: str, word: str) -> list[str]:
    if not text.strip():
        return ["criteria=none"]
    place, found = 0, []
    while text[place:].strip():
        entry = _ENTRY.match(text, place)
        if entry is None:
            raise UserError(
                f"the criteria cannot be read from '{text[place:].strip()}' on",
                where=word,
                allowed="{METRIC: '> NUMBER', SPLIT/METRIC[CLASS]: '>= NUMBER'}, "
                "with the relations > >= < <=",
                fix=f"expkit train ... {EXAMPLE}",
            )
        found.append(_as_override(entry["name"], entry["value"]))
        place = entry.end()
    return found


def _as_override(name: str, condition: str) -> str:
    """Write one criterion as Hydra reads it: a class as a key of its metric's mapping."""
    condition = condition.strip()
    if not condition.startswith(('"', "'")):
        condition = f'"{condition}"'
    metric, bracket, class_name = name.partition("[")
    split, slash, rest = (part.strip() for part in metric.partition("/"))
    if slash and split not in SPLITS:
        raise UserError(
            f"there is no split '{split}'",
            where=f"criteria.{name}",
            nearest=nearest_of(split, SPLITS),
            allowed=f"{', '.join(SPLITS)} before the slash, or the metric alone: {rest}",
        )
    key = "criteria." + ".".join(part.strip() for part in metric.split("/"))
    if not bracket:
        return f"++{key}={condition}"
    escaped = _MEANT_BY_HYDRA.sub(r"\\\1", class_name.rstrip().removesuffix("]"))
    return f"++{key}={{{escaped}: {condition}}}"


def name_criteria(criteria: Mapping[Any, Any]) -> dict[str, Any]:
    """The criteria by their names: `{"val": {"recall": {"*": ...}}}` is `val/recall[*]`.

    What a command line states comes as such a mapping, and stands above what a recipe states.
    """
    named = {str(key): value for key, value in criteria.items() if not isinstance(value, Mapping)}
    for key, value in criteria.items():
        if isinstance(value, Mapping):
            inner = name_criteria(value) if key in SPLITS else value
            spell = "{}/{}" if key in SPLITS else "{}[{}]"
            named |= {spell.format(key, each): condition for each, condition in inner.items()}
    return named
