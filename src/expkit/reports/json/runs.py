"""The document of `expkit runs`: every run and sweep of a folder, a row each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from expkit.reports.json.header import Document
from expkit.reports.runs.entries import Kind, RunEntry


@dataclass(frozen=True)
class DatedNote:
    """A note that a person has written."""

    at: str  # with the time zone
    text: str


@dataclass(frozen=True)
class ListedRun:
    """A run, a sweep or an exported model; also one that cannot be read."""

    name: str  # within the folder; SWEEP/RUN of a sweep's
    path: str
    kind: Kind
    status: str  # finished, failed, running, interrupted, exported, unreadable, ...
    remark: str | None  # how far it is, how many jobs there are, or what is wrong with it
    started: str | None  # with the time zone
    seconds: float | None
    judged_split: str | None
    objective: str | None  # what it is judged by, as test/accuracy; null until it is measured
    value: float | None
    # of 95 %, or wider: of a test set that was sealed, after several looks; of a sweep none
    interval: tuple[float, float] | None
    verdict: str | None  # met, not met, not judged; of an ablation shown, refuted, not decided
    findings: Sequence[str]  # rules, the worst first
    tags: Sequence[str]
    notes: Sequence[DatedNote]  # oldest first
    num_bytes: int  # on the disk
    choices: Mapping[str, str]  # by group; of a sweep none
    settings: Mapping[str, Any]  # of config.yaml by dotted keys; of a sweep none
    metrics: Mapping[str, Mapping[str, float | None]]  # by split


@dataclass(frozen=True, kw_only=True)
class RunsDocument(Document):
    """The runs of a folder for which all conditions hold."""

    schema: Literal["expkit/runs"] = "expkit/runs"
    folder: str
    where: Sequence[str]  # the conditions
    runs: Sequence[ListedRun]  # the newest last, or as they were to be sorted


def listed_run(entry: RunEntry) -> ListedRun:
    """Return a line of the list with all that a condition can ask of it."""
    return ListedRun(
        name=entry.name,
        path=str(entry.path),
        kind=entry.kind,
        status=entry.status,
        remark=entry.remark or None,
        started=None if entry.started is None else entry.started.isoformat(),
        seconds=entry.seconds,
        judged_split=entry.facts.judged_split or None,
        objective=entry.objective or None,
        value=entry.value,
        interval=entry.interval,
        verdict=entry.verdict or None,
        findings=entry.findings,
        tags=entry.tags,
        notes=[DatedNote(note.at, note.text) for note in entry.notes],
        num_bytes=entry.num_bytes,
        choices=entry.choices,
        settings=entry.settings,
        metrics=entry.metrics,
    )
