"""expkit list: what can be chosen, and what each choice is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from expkit.config.paths import (
    builtin_conf,
    conf_folders,
    first_comment,
    list_choices,
    list_groups,
)
from expkit.errors import UserError, nearest_of

HELP = "usage: expkit list [GROUP]\n\nThe choices of a group, or of all, each with its one line."


def main(words: Sequence[str]) -> int:
    if any(word in ("-h", "--help") for word in words):
        print(HELP)
        return 0
    folders = conf_folders()
    groups = list_groups(folders)
    for word in words:
        if word not in groups:
            raise UserError(
                f"there is no group '{word}'",
                nearest=nearest_of(word, groups),
                allowed=", ".join(groups),
                fix="expkit list",
            )
    for group in words or groups:
        print(f"{group}\n" + "\n".join(_lines(list_choices(group, folders))), end="\n\n")
    return 0


def _lines(choices: dict[str, Path]) -> list[str]:
    width = max(map(len, choices), default=0)
    return [
        f"  {name:<{width}}  {first_comment(path)}{_owner(path)}" for name, path in choices.items()
    ]


def _owner(path: Path) -> str:
    return "" if path.is_relative_to(builtin_conf()) else "  (yours)"
