"""expkit list: what can be chosen, and what each choice is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from expkit.config.paths import conf_folders, first_comment, list_choices, list_groups
from expkit.errors import UserError, nearest_of
from expkit.reports.json.choices import choices_document, is_yours
from expkit.terminal.arguments import Parser, add_json
from expkit.terminal.json_output import print_document


def main(words: Sequence[str]) -> int:
    parser = Parser(
        "expkit list", description="The choices of a group, or of all, each with its one line."
    )
    parser.add_argument("groups", nargs="*", metavar="GROUP", help="as model or dataset")
    add_json(parser)
    arguments = parser.parse_args(words)
    folders = conf_folders()
    groups = list_groups(folders)
    for word in arguments.groups:
        if word not in groups:
            raise UserError(
                f"there is no group '{word}'",
                nearest=nearest_of(word, groups),
                allowed=", ".join(groups),
                fix="expkit list",
            )
    choices = {group: list_choices(group, folders) for group in arguments.groups or groups}
    if arguments.json:
        print_document(choices_document(choices))
        return 0
    for group, found in choices.items():
        print(f"{group}\n" + "\n".join(_lines(found)), end="\n\n")
    return 0


def _lines(choices: dict[str, Path]) -> list[str]:
    width = max(map(len, choices), default=0)
    return [
        f"  {name:<{width}}  {first_comment(path)}{'  (yours)' * is_yours(path)}"
        for name, path in choices.items()
    ]
