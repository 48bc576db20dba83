"""The values that YAML choices give, before a recipe or a user overrides any of them.

Hydra composes the same and takes its time; a page only wants to say what was changed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from expkit.config.paths import conf_folders, list_choices
from expkit.safe_yaml import load_yaml

ROOT = "config"
RECIPES = ("experiment", "ablation")  # groups that choose for others, which is a change
OVERRIDE = "override "
MAX_DEPTH = 8  # of choices that start from others
Values = dict[str, Any]


def default_choices(choices: Mapping[str, str] | None = None) -> dict[str, str]:
    """The choice of each group where none is made, beside these; a dataset may bring its own."""
    usual = _pairs(_read("", ROOT))
    for group, name in {**usual, **(choices or {})}.items():
        if group not in RECIPES:
            for key, value in _pairs(_read(group, name)).items():
                if key.startswith(OVERRIDE):
                    usual[_group_of(key)] = value
    return usual


def choices_of_recipe(group: str, name: str, depth: int = 0) -> dict[str, str]:
    """The choices that a recipe makes, with those of the recipes that it starts from."""
    chosen: dict[str, str] = {}
    for entry in _read(group, name).get("defaults", ()) if depth < MAX_DEPTH else ():
        if isinstance(entry, str) and entry != "_self_":
            chosen.update(choices_of_recipe(group, entry, depth + 1))
        elif isinstance(entry, Mapping):
            made = {str(key): str(choice) for key, choice in entry.items() if choice}
            chosen.update({_group_of(k): v for k, v in made.items() if k.startswith(OVERRIDE)})
    return chosen


def _pairs(node: Values) -> dict[str, str]:
    found = (each for each in node.get("defaults", ()) if isinstance(each, Mapping))
    return {str(key): str(value) for each in found for key, value in each.items() if value}


def _group_of(key: str) -> str:
    return key.removeprefix(OVERRIDE).lstrip("/").partition("@")[0]


def chosen_values(choices: Mapping[str, str]) -> Values:
    """The config that these choices make, by group; of a choice that is gone nothing is known."""
    values = {key: value for key, value in _read("", ROOT).items() if key != "defaults"}
    for group, name in choices.items():
        values[group] = _compose(group, name)
    return values


def _compose(group: str, name: str, depth: int = 0) -> Values:
    node = _read(group, name)
    defaults = list(node.pop("defaults", ()))
    if "_self_" not in defaults:
        defaults.append("_self_")
    values: Values = {}
    for entry in defaults if depth < MAX_DEPTH else ():
        if entry == "_self_":
            _merge(values, node)
        elif isinstance(entry, str):
            _merge(values, _compose(group, entry, depth + 1))
        elif isinstance(entry, Mapping):
            for key, choice in entry.items():
                if str(key).startswith(OVERRIDE):
                    continue  # it chooses for another group
                other, _, place = str(key).lstrip("/").partition("@")
                _merge(values, _nested(place, _compose(other, str(choice), depth + 1)))
    return values


def _read(group: str, name: str) -> Values:
    path: Path | None = list_choices(group, conf_folders()).get(name)
    try:
        text = "" if path is None else path.read_text("utf-8")
        node = load_yaml(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    if not isinstance(node, dict):
        return {}
    return {key: _as_hydra_reads(value) for key, value in node.items()}


def _as_hydra_reads(value: Any) -> Any:
    """`1e-8` is text to PyYAML, and a number to Hydra."""
    if isinstance(value, dict):
        return {key: _as_hydra_reads(each) for key, each in value.items()}
    is_number = isinstance(value, str) and re.fullmatch(r"[-+]?\d+[eE][-+]?\d+", value)
    return float(value) if is_number else value


def _nested(place: str, values: Values) -> Values:
    for key in reversed(place.split(".") if place else ()):
        values = {key: values}
    return values


def _merge(values: Values, more: Mapping[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, Mapping) and isinstance(values.get(key), dict):
            _merge(values[key], value)
        else:
            values[key] = dict(value) if isinstance(value, Mapping) else value
