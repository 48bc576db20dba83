"""The jobs of a sweep as rows: what each was, what became of it, and its final figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from expkit.errors import UserError
from expkit.records.run.digest import Digest, read_digest
from expkit.records.run.metadata import StageResult
from expkit.records.seed_groups import fold_of
from expkit.records.sweep.folder import Sweep
from expkit.records.sweep.job import DONE, FAILED, FAILURES, Job, Status
from expkit.reports.run.digests import recall_digest
from expkit.reports.sweep.variation import Value, Variation, seed_of

MAX_CAUSES = 2  # findings that stand beside a failure, the worst first


@dataclass(frozen=True, slots=True)
class Row:
    """A job in short; of ten thousand, each costs a kilobyte."""

    job: str  # its id
    number: int
    overrides: Sequence[str]
    settings: Mapping[str, Value]  # of the keys that vary
    seed: int
    fold: int | None  # of cross-validation
    status: Status
    reason: str  # why it failed; of a run without figures, what its last stage says
    metrics: Mapping[str, float | None]  # by `split/metric`
    objective: float | None
    judged_split: str  # empty until it is judged
    best_epoch: int | None
    num_epochs: int
    findings: Sequence[str]
    seconds: float | None
    run: Path | None
    output: Path

    @property
    def is_done(self) -> bool:
        return self.status in DONE

    @property
    def is_failed(self) -> bool:
        """Also where a gate says so."""
        return self.status in FAILURES

    @property
    def runs_again(self) -> bool:
        """Tell whether resuming the sweep begins it anew."""
        return self.status in FAILED

    @property
    def folder(self) -> str:
        """Relative to the sweep; that of a run taken over from elsewhere is not in it."""
        if self.run is None:
            return ""
        return self.run.name if self.run.parent == self.output.parents[1] else str(self.run)


def read_rows(sweep: Sweep) -> list[Row]:
    variation = Variation.of(sweep.jobs)
    return [read_row(job, variation, sweep.objective) for job in sweep.jobs]


def read_row(job: Job, variation: Variation, objective: str) -> Row:
    """From the run's digest alone, once it came to its end."""
    digest, trouble = _digest(job)
    metrics = {} if digest is None else digest.metrics
    return Row(
        job=job.id,
        number=job.number,
        overrides=job.overrides,
        settings=variation.settings(job),
        seed=seed_of(job),
        fold=_fold(job),
        status="failed" if digest is not None and digest.status == "failed" else job.status,
        reason=job.reason or trouble or _outcome(job, digest),
        metrics={f"{split}/{m}": v for split, each in metrics.items() for m, v in each.items()},
        objective=None if digest is None else digest.figure(objective),
        judged_split="" if digest is None else digest.judged_split,
        best_epoch=None if digest is None else digest.best_epoch,
        num_epochs=0 if digest is None else digest.num_epochs,
        findings=[] if digest is None else digest.findings,
        seconds=job.seconds if digest is None else digest.seconds,
        run=None if job.run is None else job.run.path,
        output=job.output,
    )


def _digest(job: Job) -> tuple[Digest | None, str]:
    """With what is wrong where a run's records are damaged, which spoils its own row alone.

    What was stopped early is as done as it will be: its stored digest is not made anew. That of
    a run that went on after it was cut off may be of the interruption.
    """
    if job.status not in DONE or job.run is None:
        return None, ""
    try:
        stored = read_digest(job.run.path) if job.status == "pruned" else None
        return stored or recall_digest(job.run), ""
    except UserError as error:
        return None, error.what


def _outcome(job: Job, digest: Digest | None) -> str:
    """The last word of a run without figures: the stage that failed, or the last that passed."""
    if digest is None or job.run is None or (digest.metrics and digest.status != "failed"):
        return ""
    if not job.run.stages:
        return ""
    last: StageResult = next(
        (each for each in job.run.stages if not each.passed), job.run.stages[-1]
    )
    return f"{last.stage}{'' if last.passed else ' failed'}: {last.reason}"


def _fold(job: Job) -> int | None:
    dataset = job.config.get("dataset")
    given = dataset if isinstance(dataset, dict) else {}
    return fold_of({f"dataset.{key}": value for key, value in given.items()})


def failure(row: Row) -> str:
    """Its status and why, unless the one says the other; with the finding that names a cause."""
    told = row.reason or row.status
    if row.reason and not row.reason.lower().startswith(row.status) and row.status != "failed":
        told = f"{row.status}: {row.reason}"
    causes = ", ".join(row.findings[:MAX_CAUSES])
    return f"{told}; found: {causes}" if causes else told
