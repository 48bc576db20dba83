"""The document of a run: `expkit show RUN --json`, and of `expkit evaluate` the new run's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from expkit.diagnosis.finding import Finding
from expkit.records.exported import ExportedFolder
from expkit.records.run.reader import Run, Status
from expkit.reports.json.ensemble import Ensemble, ensemble_of
from expkit.reports.json.header import Document
from expkit.reports.json.pick import pick, pick_or_none
from expkit.reports.run.run_screen import next_command
from expkit.reports.run.summary import Summary, all_passed, recall

Figures = Mapping[str, float | None]  # by metric; null where it is not finite
Interval = tuple[float, float]  # of 95 %


@dataclass(frozen=True)
class Stage:
    """A stage of the procedure."""

    stage: str  # its name
    kind: str | None  # the class of the stage; null of one that did not end
    passed: bool | None  # null: it did not end
    reason: str
    num_epochs: int  # of a gate: steps
    best_epoch: int | None
    seconds: float | None
    samples_per_second: float | None


@dataclass(frozen=True)
class Progress:
    """The last line of the history."""

    stage: str
    unit: str  # epoch, or step in a gate
    epoch: int
    figures: Figures  # by split/metric


@dataclass(frozen=True)
class CriterionResult:
    """A criterion that was stated beforehand, and what was reached."""

    criterion: str
    metric: str
    relation: Literal[">=", "<=", ">", "<"]
    bound: float
    split: str
    value: float | None
    met: bool | None  # null: not measured
    interval: Interval | None
    num_samples: int | None
    worst_class: str | None  # that decides, where the criterion is about several
    num_classes: int | None  # that it is about
    p95: float | None  # beside a median latency


@dataclass(frozen=True)
class ClassResult:
    """One class of a split."""

    class_name: str
    count: int  # samples
    precision: float | None
    recall: float | None
    f1: float | None
    precision_interval: Interval | None
    recall_interval: Interval | None
    f1_interval: Interval | None


@dataclass(frozen=True)
class Gap:
    """How much worse the held-out samples do than those trained on."""

    metric: str
    split: str
    gap: float | None


@dataclass(frozen=True)
class ViewsAveraged:
    """Test-time augmentation: what it cost, and what it gained over the plain model."""

    views: Sequence[str]
    passes: float | None
    seconds_per_image: float | None
    plain_seconds_per_image: float | None
    split: str | None
    num_samples: int | None
    gain: float | None
    gain_interval: Interval | None
    p: float | None


@dataclass(frozen=True)
class SealedTest:
    """A test set that waits for `expkit unseal`."""

    num_samples: int


@dataclass(frozen=True)
class TestLook:
    """A look at a test set that was sealed, which is counted over all runs."""

    split: str
    number: int  # the how-manieth it is: the intervals are widened by it


@dataclass(frozen=True)
class ExportedFile:
    """The exported file whose predictions these are."""

    title: str  # its name, format and precision
    num_bytes: int
    run: str  # that it was exported from
    verified: bool  # its verification passed


@dataclass(frozen=True, kw_only=True)
class RunDocument(Document):
    """A run as its records tell it now: also while it goes on, or after it was cut off."""

    schema: Literal["expkit/run"] = "expkit/run"
    run: str  # the folder's name
    path: str
    status: Status
    verdict: str  # met, not met, or not judged
    verdict_reason: str
    passed: bool  # every stage and criterion: `expkit train` ended with exit code 0
    judged_split: str  # that the verdict is measured on
    judged_on: str  # in words
    evaluates: str | None  # the path of the run whose weights were evaluated
    stages: Sequence[Stage]
    progress: Progress | None  # null before the first epoch
    metrics: Mapping[str, Figures]  # by split
    # of 95 %, by split and metric; of a test set that was sealed wider, see test_look
    intervals: Mapping[str, Mapping[str, Interval]]
    levels: Mapping[str, Figures]  # chance, and constant: always the largest class
    classes: Mapping[str, Sequence[ClassResult]]  # by split
    criteria: Sequence[CriterionResult]
    findings: Sequence[Finding]  # the worst first
    held_out_gap: Gap | None
    best_epoch: int | None
    wall_seconds: float
    samples_per_second: float | None
    peak_memory_bytes: int
    temperature: float  # of the probabilities; 1: as the softmax gives them
    tta: ViewsAveraged | None
    sealed: SealedTest | None
    test_look: TestLook | None
    ensemble: Ensemble | None
    exported: ExportedFile | None  # null of a run that trained
    next: str | None  # the command to go on with, where there is one


def run_document(run: Run) -> RunDocument:
    """Return a run's summary, as the screen shows it and with all of its figures."""
    summary = recall(run)
    get = summary.get
    return RunDocument(
        run=str(summary["run"]),
        path=str(run.path),
        status=summary["status"],
        verdict=summary["verdict"],
        verdict_reason=summary["verdict_reason"],
        passed=all_passed(summary),
        judged_split=summary["judged_split"],
        judged_on=summary["judged_on"],
        evaluates=run.config.get("evaluates"),
        stages=[pick(Stage, each) for each in summary["stages"]],
        progress=pick_or_none(Progress, summary["progress"]),
        metrics=summary["metrics"],
        intervals=summary["intervals"],
        levels=get("levels", {"chance": {}, "constant": {}}),
        classes=_classes(summary),
        criteria=[pick(CriterionResult, each) for each in summary["criteria"]],
        findings=[Finding.from_json(each) for each in summary["findings"]],
        held_out_gap=pick_or_none(Gap, summary["held_out_gap"]),
        best_epoch=summary["best_epoch"],
        wall_seconds=summary["wall_seconds"],
        samples_per_second=summary["samples_per_second"],
        peak_memory_bytes=summary["peak_memory_bytes"],
        temperature=get("temperature", 1.0),
        tta=pick_or_none(ViewsAveraged, get("tta")),
        sealed=pick_or_none(SealedTest, get("sealed")),
        test_look=pick_or_none(TestLook, get("test_look")),
        ensemble=ensemble_of(get("ensemble")),
        exported=None if run.exported is None else _exported(run.exported),
        next=next_command(summary, run.path),
    )


def _classes(summary: Summary) -> dict[str, list[ClassResult]]:
    return {
        split: [pick(ClassResult, {**row, "class_name": str(row["class"])}) for row in rows]
        for split, rows in summary.get("classes", {}).items()
    }


def _exported(folder: ExportedFolder) -> ExportedFile:
    return ExportedFile(folder.title, folder.num_bytes, folder.record.run, folder.is_verified)
