"""The shapes of a run folder's files, which must hold for anything to be made of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypedDict

from annotated_types import Ge, Le

from expkit.records.files import Record
from expkit.records.typed_values import LARGEST, Count, Seconds, check_shape

NAME = re.compile(r"[^\W.][^/\\\x00-\x1f\x7f-\x9f]{0,199}")  # of a stage: a folder has it, too
# of what docs/run_folder.md describes: one more where a reader of today would misread it
FORMAT_VERSION = 1
FIGURES = ("seconds", "wall_seconds", "samples_per_second", "lr", "at", "step")


class RecordedStage(TypedDict, total=False):
    """A stage as pages and later stages look at it."""

    _target_: str
    weights: Literal["best", "last"]
    of: str | None
    max_epochs: Count | None
    max_steps: Count | None
    max_loss: float | None
    max_regression_loss: float | None
    labels_from: str | None
    temperature: Annotated[float, Ge(0.01), Le(100)]
    tta: list[str]
    start_from: str | None
    start_from_run: str | None


class RecordedReference(TypedDict, total=False):
    """Figures that somebody else measured."""

    source: str | None
    figures: Mapping[str, float | None] | None


class RecordedDiagnosis(TypedDict, total=False):
    """Which findings end a run, and which rules are not asked."""

    stop_on: str
    ignore: list[str]


class RecordedPart(TypedDict, total=False):
    """A part as it was named; its arguments are looked at where it is built."""

    _target_: str


class RecordedConfig(TypedDict, total=False):
    """A config as pages look at it; an older one may lack what is new."""

    procedure: Mapping[str, RecordedStage | None]
    name: str
    seed: int
    output_dir: str
    hypothesis: str | None
    tags: list[str] | None
    compared_with: list[str] | None
    reference: RecordedReference | None
    criteria: Mapping[str, Any] | None
    evaluates: str | None
    watched: bool  # by expkit.watch: the loop, the model and the data are a program's own
    model: RecordedPart
    dataset: RecordedPart
    augment: RecordedPart
    device: RecordedPart
    optimizer: RecordedPart
    schedule: RecordedPart
    loss: RecordedPart
    diagnosis: RecordedDiagnosis


class RecordedGit(TypedDict, total=False):
    """The code around a run."""

    commit: str | None
    dirty: bool


class RecordedStart(TypedDict, total=False):
    """The weights of another run that a stage started from."""

    run: str
    path: str
    stage: str
    epoch: Count
    sha256: str


class RecordedImages(TypedDict, total=False):
    """The images without labels that a stage was trained on."""

    num_images: Count
    fingerprint: str


class RecordedEnvironment(TypedDict, total=False):
    """The place and the code by which a run was made, as far as anything is made of them."""

    format_version: Count  # of the run folder; absent in runs that are older than its numbering
    command: list[str] | str
    device: str
    config_hash: str
    versions: Mapping[str, str]
    git: RecordedGit | None
    sources: str | None
    job: str | None
    choices: Mapping[str, str]
    started_from: Mapping[str, RecordedStart]
    unlabelled: Mapping[str, RecordedImages]


def check_config(config: object) -> None:
    """Raise a ValueError where a config is none that a run has written."""
    check_shape(config, RecordedConfig)
    assert isinstance(config, Mapping), "the shape was looked at"
    if "\0" in (config.get("evaluates") or ""):
        raise ValueError("evaluates is no path")
    for name in config.get("procedure", {}):
        check_name(name)


def check_name(name: str) -> None:
    """Raise a ValueError where a stage is called what no folder can be called."""
    if not NAME.fullmatch(name):
        raise ValueError(f"a stage cannot be called {name[:40]!r}")


def is_epoch(record: Record) -> bool:
    """Tell whether a line of the history is what an epoch or a step writes."""
    return _is_of_stage(record) and all(
        is_number(value) or (value is None and key in FIGURES)
        for key, value in record.items()
        if "/" in key or key in FIGURES
    )


def is_number(value: object) -> bool:
    """Tell whether a value is one that a float can hold."""
    return isinstance(value, float) or (isinstance(value, int) and abs(value) < LARGEST)


def is_told(record: Record) -> bool:
    """Tell whether a line of the findings says what was found, and where the run was then."""
    return _is_of_stage(record) and isinstance(record.get("finding"), dict)


def is_signal(record: Record) -> bool:
    """Tell whether a line of the signals says of which stage, epoch and kind it is."""
    return _is_of_stage(record) and isinstance(record.get("kind"), str)


def _is_of_stage(record: Record) -> bool:
    stage = record["stage"]
    is_name = isinstance(stage, str) and NAME.fullmatch(stage) is not None
    return is_name and is_count(record["epoch"])


def is_count(value: object) -> bool:
    """Tell whether a value is a number of things."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def is_config(value: object) -> bool:
    """Tell whether a value is a config that a run could have written."""
    try:
        check_config(value)
    except ValueError:
        return False
    return True


def is_duration(value: object) -> bool:
    """Tell whether a value is a time that can be written in words."""
    try:
        check_shape(value, Seconds)
    except ValueError:
        return False
    return True
