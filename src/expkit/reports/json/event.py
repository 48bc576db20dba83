"""The lines of `expkit events`: each is a document of its own, told apart by `event`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from expkit.diagnosis.finding import Finding
from expkit.reports.json.header import Document

Kind = Literal["run", "sweep"]


@dataclass(frozen=True, kw_only=True)
class EventLine(Document):
    """A line of any kind."""

    schema: Literal["expkit/event"] = "expkit/event"


@dataclass(frozen=True, kw_only=True)
class BeginEvent(EventLine):
    """The first line: what is followed, as it was found."""

    event: Literal["begin"] = "begin"
    kind: Kind
    name: str  # of the folder
    path: str
    status: str
    stages: Sequence[str]  # of the procedure, in order; of a sweep none


@dataclass(frozen=True, kw_only=True)
class EpochEvent(EventLine):
    """A line of the history: an epoch, or in a gate a step."""

    event: Literal["epoch"] = "epoch"
    stage: str
    unit: str  # epoch, or step in a gate
    epoch: int
    at: float | None  # seconds since 1970
    lr: float | None
    seconds: float | None  # of training
    samples_per_second: float | None
    figures: Mapping[str, float | None]  # by split/metric


@dataclass(frozen=True, kw_only=True)
class StageEvent(EventLine):
    """A stage has ended."""

    event: Literal["stage"] = "stage"
    stage: str
    kind: str  # the class of the stage
    passed: bool
    reason: str
    num_epochs: int  # of a gate: steps
    best_epoch: int | None
    seconds: float
    samples_per_second: float


@dataclass(frozen=True, kw_only=True)
class FindingEvent(EventLine):
    """A finding as it was told: once a rule, and again where it is worse.

    Those of an ended run that nobody was told of come just before its end.
    """

    event: Literal["finding"] = "finding"
    stage: str | None  # that was running; null: the run had ended
    epoch: int | None  # so many epochs of it were over
    finding: Finding


@dataclass(frozen=True, kw_only=True)
class JobEvent(EventLine):
    """Something happened to a job of a sweep."""

    event: Literal["job"] = "job"
    number: int
    id: str
    label: str  # its number, and what varies in it
    state: str  # waiting, running, finished, failed, reused, pruned, interrupted, raised, ...
    at: float | None  # seconds since 1970
    run: str | None  # the path of its run folder, once there is one
    reason: str | None
    seconds: float | None


@dataclass(frozen=True, kw_only=True)
class EndEvent(EventLine):
    """The last line: the run or the sweep has ended, or was cut off; or nobody asked to wait."""

    event: Literal["end"] = "end"
    kind: Kind
    name: str
    path: str
    status: str  # finished, failed, interrupted; running: it goes on
    verdict: str | None  # of a run: met, not met or not judged
    verdict_reason: str | None
    counts: Mapping[str, int]  # of a sweep: jobs by status
    passed: bool  # every stage and criterion, or every job
    exit_code: int  # of this command: 0 passed, or it goes on; 1 not passed


Event = BeginEvent | EpochEvent | StageEvent | FindingEvent | JobEvent | EndEvent
