"""Trainings that went on beyond their end: from which epoch, to which, and what stood before.

`config.yaml` stays as the run began; what an extension changes of it is laid over it.
"""

from __future__ import annotations

import copy
import datetime
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from expkit.records.files import Record, append_line, read_lines
from expkit.records.run.schema import NAME
from expkit.records.safe_open import is_file, make_inside
from expkit.records.typed_values import Count, check_shape

FILE = "extensions.jsonl"
KEYS = ("max_epochs", "patience", "max_minutes", "stop_at")  # which decide no number of an epoch
# results of the weights that were the last, which are set aside for those to come
RESULTS = (
    *("digest.json", "summary.json", "report.md", "report.html", "metrics.csv"),
    *("predictions.csv", "predictions_plain.csv", "calibration.json", "threshold.json"),
    "test_look.json",  # the next evaluation is another look at the test set
)


@dataclass(frozen=True)
class Extension:
    """One training that went on."""

    at: str  # with the time zone
    stage: str
    num_epochs: Count  # that it had by then
    changes: Mapping[str, float | None]  # of the stage's keys: {"max_epochs": 300}
    num_stages: Count  # results in stages.jsonl by then
    redone: Sequence[str]  # stages of them that do not count any more
    before: Mapping[str, Any]  # verdict, judged_split and metrics by then

    @property
    def words(self) -> list[str]:
        """The words that asked for it."""
        return [
            f"procedure.{self.stage}.{key}={json.dumps(value)}"
            for key, value in self.changes.items()
        ]

    def write(self, run_path: Path) -> None:
        """Append it; from then on the run has not ended."""
        append_line(run_path / FILE, json.dumps(asdict(self)))


def now() -> str:
    """The time as records have it."""
    return datetime.datetime.now().astimezone().isoformat(timespec="seconds")


def read_extensions(run_path: Path) -> list[Extension]:
    """Return those of a run, oldest first; none of most."""
    if not is_file(run_path / FILE):
        return []
    keys = tuple(Extension.__dataclass_fields__)
    lines = read_lines(run_path / FILE, keys, _is_extension)
    return [Extension(**{key: line[key] for key in keys}) for line in lines]


def _is_extension(line: Record) -> bool:
    try:
        check_shape(line, Extension)
    except ValueError:
        return False
    return NAME.fullmatch(line["stage"]) is not None and set(line["changes"]) <= set(KEYS)


def with_extensions(
    config: Mapping[str, Any], extensions: Sequence[Extension]
) -> Mapping[str, Any]:
    """Return a config as it is for the run that went on."""
    if not extensions:
        return config
    changed: dict[str, Any] = copy.deepcopy(dict(config))
    for each in extensions:
        stage = changed["procedure"].get(each.stage)
        if stage is None:
            raise ValueError(f"an extension is of '{each.stage}', which is no stage")
        stage.update(each.changes)
    return changed


def counted_stages(results: Sequence[Any], extensions: Sequence[Extension]) -> list[Any]:
    """Return the results of stages that still count: those redone since are told by later lines."""
    counted = list(enumerate(results))
    for each in extensions:
        counted = [
            (place, result)
            for place, result in counted
            if place >= each.num_stages or result.stage not in each.redone
        ]
    return [result for _, result in counted]


def set_results_aside(run_path: Path, number: int) -> None:
    """Move the results of before the extension of this number to a folder of their own."""
    aside = run_path / f"before_extension_{number}"
    for name in RESULTS:
        if is_file(run_path / name):
            make_inside(aside, run_path)
            (run_path / name).replace(aside / name)
