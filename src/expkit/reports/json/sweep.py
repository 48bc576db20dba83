"""The document of a sweep: `expkit show SWEEP --json`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from expkit.reports.json.difference import DifferenceFigures, difference_figures
from expkit.reports.json.header import Document
from expkit.reports.runs.recipes import Recipe
from expkit.reports.runs.rows import RunRow
from expkit.reports.runs.settings import Value
from expkit.reports.sweep.ablation import Worth
from expkit.reports.sweep.caveats import answers_of_ablation, told_of
from expkit.reports.sweep.outcome import SweepOutcome
from expkit.reports.sweep.sweep_screen import next_command


@dataclass(frozen=True)
class JobResult:
    """A job of a sweep, and what became of it."""

    number: int
    id: str
    status: str  # waiting, running, finished, failed, reused, pruned, interrupted, raised, ...
    reason: str | None  # why it ended so
    seed: int
    fold: int | None  # of cross-validation
    settings: Mapping[str, Value]  # that vary in the sweep
    run: str | None  # the path of its run folder
    output: str  # the file of what it printed
    judged_split: str | None
    metrics: Mapping[str, Mapping[str, float | None]]  # by split
    best_epoch: int | None
    findings: Sequence[str]  # rules
    seconds: float | None


@dataclass(frozen=True)
class RankedRecipe:
    """Jobs that are alike but for seed and fold."""

    settings: Mapping[str, Value]
    jobs: Sequence[int]  # by their numbers; those made once more come last
    mean: float | None  # of the objective
    std: float | None  # null of a single run
    values: Sequence[float]
    unit: str  # the seeds and folds that have a figure
    findings: Mapping[str, int]  # rules, and how many jobs have them


@dataclass(frozen=True)
class ChangeOfAblation:
    """A change of an ablation's recipe."""

    name: str
    settings: Mapping[str, Value]  # as they are with it
    word: str  # helps, hurts, or what is known where neither is shown
    gain: float | None  # of the objective with the change
    difference: DifferenceFigures | None  # null of one seed alone
    verdict: str | None


@dataclass(frozen=True, kw_only=True)
class SweepDocument(Document):
    """A sweep as its records tell it now."""

    schema: Literal["expkit/sweep"] = "expkit/sweep"
    sweep: str  # the folder's name
    path: str
    command: Sequence[str]  # the words that began it
    is_running: bool  # a process conducts it
    passed: bool  # every job that was planned is done, and none failed
    counts: Mapping[str, int]  # jobs by status
    objective: str  # the metric that it is sorted by
    levels: Mapping[str, float]  # what nets that know nothing have of it
    headline: str  # what came of it, in words
    recipes: Sequence[RankedRecipe]  # the best first
    ablation: Sequence[ChangeOfAblation] | None  # the costliest first; null of other sweeps
    hypothesis: str | None  # the verdict on an ablation's claims
    notes: Sequence[str]  # what the best figure proves, and what it does not
    jobs: Sequence[JobResult]
    next: str  # the command to go on with


def sweep_document(outcome: SweepOutcome, *, is_running: bool) -> SweepDocument:
    """Return a sweep's table, also the jobs that the screen has no room for."""
    verdict = outcome.hypothesis
    return SweepDocument(
        sweep=outcome.sweep.name,
        path=str(outcome.sweep.path),
        command=outcome.sweep.command,
        is_running=is_running,
        passed=has_passed(outcome.rows),
        counts=Counter(row.status for row in outcome.rows),
        objective=outcome.objective,
        levels=outcome.levels,
        headline=outcome.headline(),
        recipes=[_recipe(each) for each in outcome.groups],
        ablation=_ablation(outcome),
        hypothesis=None if verdict is None else verdict.text,
        notes=[*answers_of_ablation(outcome), *told_of(outcome)],
        jobs=[_job(row) for row in outcome.rows],
        next=next_command(outcome, is_running=is_running),
    )


def has_passed(rows: Sequence[RunRow]) -> bool:
    """Tell whether every job is done, and none failed."""
    return all(row.is_done and not row.is_failed for row in rows)


def _job(row: RunRow) -> JobResult:
    assert row.job is not None
    return JobResult(
        number=row.number,
        id=row.job.id,
        status=row.status,
        reason=row.reason or None,
        seed=row.seed,
        fold=row.fold,
        settings=row.settings,
        run=None if row.path is None else str(row.path),
        output=str(row.output),
        judged_split=row.judged_split or None,
        metrics=row.metrics,
        best_epoch=row.best_epoch,
        findings=row.findings,
        seconds=row.seconds,
    )


def _recipe(group: Recipe) -> RankedRecipe:
    return RankedRecipe(
        settings=group.settings,
        jobs=[row.number for row in group.rows],
        mean=group.mean,
        std=group.std,
        values=group.values,
        unit=group.unit,
        findings=group.findings,
    )


def _ablation(outcome: SweepOutcome) -> list[ChangeOfAblation] | None:
    return None if outcome.ablation is None else [_change(w) for w in outcome.ablation.worths]


def _change(worth: Worth) -> ChangeOfAblation:
    return ChangeOfAblation(
        name=worth.name,
        settings=worth.settings,
        word=worth.word,
        gain=worth.gain if worth.pairs else None,
        difference=None if worth.difference is None else difference_figures(worth.difference),
        verdict=None if worth.verdict is None else worth.verdict.text,
    )
