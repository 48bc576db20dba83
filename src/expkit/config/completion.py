"""Completions of an unfinished override: groups, choices and nested keys, read without Hydra."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from expkit.config.choice_defaults import (
    RECIPES,
    choices_of_recipe,
    chosen_values,
    default_choices,
)
from expkit.config.paths import conf_folders, list_choices, list_groups

NOT_OFFERED = ("hydra", "stage", "transform", "phases", "sort")  # no choices of a run itself
METRIC_KEYS = ("sweep.objective", "monitor")
RULE_KEYS = ("diagnosis.ignore",)


def complete_override(words: Sequence[str]) -> list[str]:
    """Groups, choices and keys that continue the last word, the words before it given."""
    *before, last = words
    start = last[: len(last) - len(last.lstrip("+~"))]
    key, has_value, value = last[len(start) :].partition("=")
    if has_value:
        return [f"{start}{key}={text}" for text in _complete_value(key, value)]
    return [f"{start}{text}" for text in _complete_key(key, before)]


def _complete_value(key: str, value: str) -> list[str]:
    """The choices of a group, metrics or rules; of several, the one after the last comma."""
    done, comma, last = value.rpartition(",")
    opening = "[" if last.startswith("[") else ""
    known = _values_of(key)
    return [
        f"{done}{comma}{opening}{name}" for name in known if name.startswith(last.removeprefix("["))
    ]


def _values_of(key: str) -> Sequence[str]:
    if key in RULE_KEYS:
        return list(list_choices("diagnosis", conf_folders()))
    if key.endswith(METRIC_KEYS):
        from expkit.metrics.names import METRICS

        return [name for known in METRICS.values() for name in known]
    return list(list_choices(key, conf_folders()))


def _complete_key(key: str, before: Sequence[str]) -> list[str]:
    groups = [each for each in list_groups(conf_folders()) if not each.startswith(NOT_OFFERED)]
    found = [f"{each}=" for each in groups if each.startswith(key)]
    above, _, last = key.rpartition(".")
    node: Any = _values(before)
    for part in above.split(".") if above else ():
        node = node.get(part) if isinstance(node, Mapping) else None
    if isinstance(node, Mapping):
        full = f"{above}." if above else ""
        found += [
            f"{full}{name}{'.' if isinstance(value, Mapping) else '='}"
            for name, value in node.items()
            if str(name).startswith(last) and not str(name).startswith(("_", "hydra"))
        ]
    return sorted(dict.fromkeys(found))


def _values(before: Sequence[str]) -> Mapping[str, Any]:
    """The config that the words before make, as far as choices decide it."""
    pairs = [word.lstrip("+").partition("=")[::2] for word in before if "=" in word]
    groups = {key: value for key, value in pairs if "." not in key}
    for recipe in RECIPES:
        if recipe in groups:
            groups = {**choices_of_recipe(recipe, groups[recipe]), **groups}
    return chosen_values({**default_choices(groups), **groups})
