"""A run's settings on its page: those that differ from the defaults first, all others folded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from expkit.config.choice_defaults import chosen_values, default_choices
from expkit.config.stage_parts import write_out
from expkit.diagnosis.finding import counted
from expkit.errors import UserError
from expkit.records.run.reader import Run
from expkit.records.seed_groups import flatten
from expkit.reports import markdown
from expkit.reports.tables import Table

TOLD_ELSEWHERE = ("name", "hypothesis", "criteria", "reference", "compared_with", "tags")
OF_NO_RUN = ("hydra", "sweep", "launcher", "ablation")
Rows = list[tuple[str, str, str]]


def settings_parts(run: Run) -> list[str]:
    """The choices and values that differ from the defaults, then all others in a folded table."""
    settings = {k: v for k, v in run.config.items() if k not in TOLD_ELSEWHERE}
    choices = run.environment.get("choices")
    if not isinstance(choices, Mapping):  # an older run: nothing is known of its defaults
        return [_table(flatten(settings))]
    given = {str(group): str(name) for group, name in choices.items()}
    left_out = (*TOLD_ELSEWHERE, *OF_NO_RUN)
    known = {k: v for k, v in _default_values(given).items() if k not in left_out}
    flat, defaults = flatten(settings), flatten(known)
    changed = [key for key in flat if key not in defaults or not _is_same(flat[key], defaults[key])]
    rows = [*_choice_rows(given), *_value_rows(changed, flat, defaults), *_gone(flat, defaults)]
    others = {key: value for key, value in flat.items() if key not in changed}
    return [
        Table(("setting", "value", "default"), rows).markdown()
        if rows
        else "Every setting has its default.",
        markdown.folded(f"The other {counted(len(others), 'setting')}", _table(others))
        if others
        else "",
    ]


def _default_values(choices: Mapping[str, str]) -> dict[str, Any]:
    """The values of the choices; one that names another that is gone is left as it is."""
    values = chosen_values(choices)
    try:
        return write_out(values)
    except UserError:
        return values


def _table(settings: Mapping[str, Any]) -> str:
    rows = [(markdown.code(key), markdown.shown_value(value)) for key, value in settings.items()]
    return Table(("setting", "value"), rows).markdown()


def _choice_rows(choices: Mapping[str, str]) -> Rows:
    usual = default_choices(choices)
    return [
        (
            markdown.code(group),
            markdown.code(name),
            markdown.code(usual[group]) if group in usual else "-",
        )
        for group, name in choices.items()
        if usual.get(group) != name and group not in (*TOLD_ELSEWHERE, *OF_NO_RUN)
    ]


def _value_rows(
    changed: list[str], settings: Mapping[str, Any], defaults: Mapping[str, Any]
) -> Rows:
    return [
        (
            markdown.code(key),
            markdown.shown_value(settings[key]),
            markdown.shown_value(defaults[key]) if key in defaults else "-",
        )
        for key in changed
    ]


def _gone(settings: Mapping[str, Any], defaults: Mapping[str, Any]) -> Rows:
    """The stages and other parts that were taken away; a single key may be one of today's alone."""
    parts = [key.removesuffix("._target_") for key in defaults if key.endswith("._target_")]
    return [
        (markdown.code(part), "left out", "there")
        for part in parts
        if not any(key == part or key.startswith(f"{part}.") for key in settings)
    ]


def _is_same(value: Any, default: Any) -> bool:
    """Tell whether a value is the default; what is put together from others is nobody's change."""
    return bool(value == default) or (isinstance(default, str) and default.startswith("${"))
