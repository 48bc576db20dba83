"""The settings that vary between the jobs of a sweep."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from expkit.records.seed_groups import flatten
from expkit.records.sweep.job import Job

Value = str | int | float

SEED, CHANGE, BASE = "seed", "change", "base"
REMOVED, UNSAID = "removed", "-"


@dataclass(frozen=True)
class Variation:
    """The keys that jobs differ in; a group stands by the name that was chosen of it."""

    keys: Sequence[str]  # without the seed's

    @classmethod
    def of(cls, jobs: Sequence[Job]) -> Variation:
        """In the order in which they were typed; an ablation's changes go by their names."""
        bases = [job for job in jobs if job.change is None]
        if len(bases) < len(jobs):
            return cls([CHANGE, *_differing(bases)])
        return cls(_differing(jobs))

    @classmethod
    def of_first_trial(cls, job: Job, command: Sequence[str]) -> Variation:
        """A search's, before there is another: what its command does not say as the job does."""
        asked = words_of(command)
        said = words_of(job.overrides).items()
        return cls([key for key, value in said if key != SEED and asked.get(key) != value])

    def settings(self, job: Job) -> dict[str, Value]:
        """The value of each key in a job: as its words have it, else as its config has it."""
        words = {CHANGE: job.change or BASE, **words_of(job.overrides)}
        unsaid = [key for key in self.keys if key not in words]
        flat = flatten(job.config) if unsaid else {}
        words.update({key: _text(flat.get(key, UNSAID)) for key in unsaid})
        return {key: value_of(words[key]) for key in self.keys}


def _differing(jobs: Sequence[Job]) -> list[str]:
    said = [words_of(job.overrides) for job in jobs]
    keys = dict.fromkeys(key for words in said for key in words if key != SEED)
    return [key for key in keys if len({words.get(key) for words in said}) > 1]


def seed_of(job: Job) -> int:
    seed: int = job.config.get(SEED, 0)
    return seed


def words_of(overrides: Sequence[str]) -> dict[str, str]:
    """Overrides by their key, the last one counting: `["+a.b=1", "~c"]` as {"a.b": "1", ...}."""
    words = {}
    for word in overrides:
        key, equals, value = word.partition("=")
        removed = key.startswith("~")
        words[key.lstrip("+~")] = REMOVED if removed and not equals else value.strip("'\"")
    return words


def value_of(text: str) -> Value:
    """A number where it is one."""
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        if math.isfinite(number):
            return number
    return text


def shown(value: Value) -> str:
    """Write a value as a reader would type it: 0.0001, not 1e-04."""
    return value if isinstance(value, str) else f"{value:.6g}"


def describe_settings(settings: Mapping[str, Value]) -> str:
    """`simple_conv, lr=0.001`: a choice of a group speaks for itself, all else says of what."""
    return ", ".join(
        value
        if isinstance(value, str) and "." not in key
        else f"{short_key(key, settings)}={brief(value)}"
        for key, value in settings.items()
    )


def brief(value: Value) -> str:
    """In four digits, as a search draws values of any length."""
    return value if isinstance(value, str) else f"{value:.4g}"


def short_key(key: str, keys: Sequence[str] | Mapping[str, Value]) -> str:
    """Its last part, or so many that no other key of these ends alike."""
    parts = key.split(".")
    for count in range(1, len(parts) + 1):
        ending = ".".join(parts[-count:])
        if sum(f".{each}".endswith(f".{ending}") for each in keys) <= 1:
            return ending
    return key


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
