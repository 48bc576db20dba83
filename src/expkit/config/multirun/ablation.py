"""Ablations: a recipe, and each named change of it alone."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from expkit.config.multirun.recorded_overrides import grants_trust, may_run_code
from expkit.config.targets.check import check_fields
from expkit.errors import UserError

# the word that names a job's change; it sets nothing, and no run sees it
MARK = "+ablation.change="


@dataclass(frozen=True)
class Ablation:
    """Named changes, each a mapping of overrides, and the seeds where the user gives none.

    Claims are the hypothesis in numbers: by change, or of `every` change, the bound of its
    difference to the recipe (`"> -0.01"`: it costs less than a point of accuracy).
    """

    changes: Mapping[str, Mapping[str, Any]]
    seeds: Sequence[int] = (0, 1, 2)
    claims: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, composed: DictConfig) -> Self | None:
        """That of a sweep's words; None where they have none."""
        if "ablation" not in composed:
            return None
        given = OmegaConf.to_container(composed.ablation)
        assert isinstance(given, dict)
        values = {str(key): value for key, value in given.items()}
        check_fields(values, "expkit.config.multirun.ablation.Ablation", "ablation")
        ablation = cls(**values)
        ablation._check_names()
        return ablation

    def _check_names(self) -> None:
        if not self.changes:
            raise UserError(
                "an ablation without changes",
                where="ablation.changes",
                fix="expkit train -m +ablation=... '+ablation.changes.NAME={KEY: VALUE}'",
            )
        for name, change in self.changes.items():
            if not re.fullmatch(r"[A-Za-z][\w.+-]*", str(name)) or not change:
                raise UserError(
                    f"'{name}' is no name of a change" if change else f"'{name}' changes nothing",
                    where=f"ablation.changes.{name}",
                    allowed="NAME: {KEY: VALUE, ...}, the name with a letter first",
                )
            for key in change:
                _refuse_foreign(as_word(key, change[key]), name)

    def seed_words(self, given: Sequence[Override]) -> list[str]:
        """The seeds, where nobody has given any."""
        if any(override.key_or_group == "seed" for override in given):
            return []
        return [f"seed={','.join(map(str, self.seeds))}"]

    def expand(self, jobs: Sequence[Sequence[str]], swept: Collection[str]) -> list[list[str]]:
        """Each job, then each change of it: after one seed there is something to compare."""
        for name, change in self.changes.items():
            both = [key for key in change if key in swept]
            if both:
                raise UserError(
                    f"the change '{name}' sets {both[0]}, which is swept too",
                    where=f"ablation.changes.{name}",
                    fix=f"leave '{both[0]}=...' out, or the change: '~ablation.changes.{name}'",
                )
        return [each for job in jobs for each in self._with_changes(job)]

    def _with_changes(self, job: Sequence[str]) -> Iterator[list[str]]:
        yield list(job)
        for name, change in self.changes.items():
            kept = [word for word in job if word.partition("=")[0] not in change]
            yield [*kept, *(as_word(key, change[key]) for key in change), f"{MARK}'{name}'"]


def _refuse_foreign(word: str, name: str) -> None:
    """A change is of the recipe; whose code may run is said by the words that begin the sweep."""
    if grants_trust(word) or may_run_code(word):
        raise UserError(
            f"the change '{name}' is not of the recipe alone: {word}",
            where=f"ablation.changes.{name}",
            fix=f"say it for the whole sweep: expkit train -m ... '{word}'",
        )


def refuse_several(overrides: Sequence[Override]) -> None:
    """Two ablations have two recipes, and a change is held against its own alone."""
    for override in overrides:
        if override.key_or_group == "ablation" and override.is_sweep_override():
            raise UserError(
                "a sweep has one ablation",
                where=override.input_line,
                fix="a sweep for each: expkit train -m +ablation=NAME",
            )


def as_word(key: str, value: Any) -> str:
    """A key and its value as a command line has them; `~key` deletes and has no value."""
    if key.startswith("~") and value is None:
        return key
    text = Override._get_value_element_as_str(value)
    return f"{key}={text}" if text else f"{key}=''"


def without_mark(words: Sequence[str]) -> list[str]:
    """Return the overrides that a user would type for the job alone."""
    return [word for word in words if not word.startswith(MARK)]


def change_of(words: Sequence[str]) -> str | None:
    marks = [word.removeprefix(MARK).strip("'") for word in words if word.startswith(MARK)]
    return marks[0] if marks else None
