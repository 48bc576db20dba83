"""The shape of summary.json: one that a stranger or an older time wrote may have another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypedDict

from expkit.diagnosis.finding import Finding
from expkit.records.typed_values import Count, Finite, Positive, Seconds, check_shape
from expkit.reports.run.ensemble import StoredEnsemble


class StoredStage(TypedDict):
    """A stage as screens and tables show it."""

    stage: str
    passed: bool | None
    reason: str
    kind: str | None
    num_epochs: Count
    best_epoch: Count | None
    seconds: Seconds | None
    samples_per_second: Seconds | None


class StoredDetails(TypedDict, total=False):
    """A criterion's details, of those kinds that have any."""

    worst_class: str | None  # of the classes that it is about
    num_classes: Count | None
    p95: Finite | None  # beside a median


class StoredCriterion(StoredDetails):
    """A criterion with what was reached."""

    criterion: str
    metric: str
    relation: Literal[">=", "<=", ">", "<"]
    bound: Finite
    split: str
    value: Finite | None
    met: bool | None
    interval: tuple[Finite, Finite] | None
    num_samples: Count | None


class StoredClass(TypedDict, total=False):
    """One class of a split."""

    count: Count
    precision: Finite | None
    recall: Finite | None
    f1: Finite | None
    precision_interval: tuple[Finite, Finite] | None
    recall_interval: tuple[Finite, Finite] | None
    f1_interval: tuple[Finite, Finite] | None


class StoredProgress(TypedDict):
    """Where a run is."""

    stage: str
    unit: str
    epoch: Count
    figures: Mapping[str, Finite | None]


class StoredGap(TypedDict):
    """The distance by which the held-out samples lie behind."""

    metric: str
    split: str
    gap: Finite | None


class StoredTta(TypedDict, total=False):
    """Test-time augmentation, its cost and its gain."""

    views: list[str]
    passes: Finite | None
    seconds_per_image: Seconds | None
    plain_seconds_per_image: Seconds | None
    split: str
    num_samples: Count
    gain: Finite
    gain_interval: tuple[Finite, Finite]
    p: Finite


class StoredLook(TypedDict):
    """The how-manieth look at a sealed test set this is."""

    split: str
    number: Positive


class StoredSealed(TypedDict):
    """The test set that waits for `expkit unseal`."""

    num_samples: Count


class StoredExtension(TypedDict):
    """A training that went on beyond its end."""

    stage: str
    at: str
    num_epochs: Count
    words: list[str]


class StoredLevels(TypedDict):
    """The figures of nets that know nothing."""

    chance: Mapping[str, Finite | None]
    constant: Mapping[str, Finite | None]


class StoredSummary(TypedDict, total=False):
    """The fields that pages, screens and comparisons read from a stored summary."""

    run: str
    status: Literal["running", "interrupted", "failed", "finished"]
    verdict: str
    verdict_reason: str
    judged_split: str
    judged_on: str
    chance_accuracy: Finite | None
    majority_accuracy: Finite | None
    stages: list[StoredStage]
    progress: StoredProgress | None
    temperature: Finite
    tta: StoredTta
    sealed: StoredSealed
    test_look: StoredLook
    levels: StoredLevels
    metrics: Mapping[str, Mapping[str, Finite | None]]
    intervals: Mapping[str, Mapping[str, tuple[Finite, Finite]]]
    classes: Mapping[str, list[StoredClass]]
    ensemble: StoredEnsemble
    extensions: list[StoredExtension]
    criteria: list[StoredCriterion]
    selective: Mapping[str, Mapping[str, Mapping[str, Finite]]]
    findings: list[Finding]
    not_looked: Mapping[str, list[str]]
    held_out_gap: StoredGap | None
    best_epoch: Count | None
    wall_seconds: Seconds
    samples_per_second: Seconds | None
    peak_memory_bytes: Count


def is_sound(summary: Mapping[str, Any]) -> bool:
    """Tell whether a stored summary can be shown; another one is made anew from the records."""
    try:
        check_shape(summary, StoredSummary)
        for record in summary.get("findings", ()):
            Finding.from_json(record)
    except (ValueError, TypeError, AssertionError):
        return False
    if not {"intervals", "findings"} <= summary.keys() or summary.get("stages") == []:
        return False
    judged = summary.get("judged_split", "")
    return not summary.get("metrics", {}).get(judged) or judged in summary["intervals"]
