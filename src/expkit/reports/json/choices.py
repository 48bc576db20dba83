"""The document of `expkit list`: what can be chosen, by group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from expkit.config.paths import builtin_conf, first_comment
from expkit.reports.json.header import Document


@dataclass(frozen=True)
class Choice:
    """One choice of a group."""

    name: str  # as it is typed: GROUP=NAME
    about: str  # its one line
    is_yours: bool  # of the conf/ of the working directory, and not expkit's own
    path: str  # of its YAML


@dataclass(frozen=True, kw_only=True)
class ChoicesDocument(Document):
    """The groups that were asked for, or all."""

    schema: Literal["expkit/choices"] = "expkit/choices"
    groups: Mapping[str, list[Choice]]


def choices_document(groups: Mapping[str, Mapping[str, Path]]) -> ChoicesDocument:
    """Return the choices of each group with what they are."""
    return ChoicesDocument(
        groups={
            group: [
                Choice(name, first_comment(path), is_yours(path), str(path))
                for name, path in choices.items()
            ]
            for group, choices in groups.items()
        }
    )


def is_yours(path: Path) -> bool:
    """Tell whether a choice is the user's own."""
    return not path.is_relative_to(builtin_conf())
