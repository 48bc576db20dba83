"""Runs, and jobs of a sweep, as rows: what each was, what became of it, and its figures."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from expkit.errors import UserError
from expkit.records.run.digest import Digest, figure_of, read_digest
from expkit.records.run.metadata import StageResult
from expkit.records.run.reader import Run
from expkit.records.seed_groups import SEED, Setup, flatten, fold_of
from expkit.records.sweep.folder import Sweep
from expkit.records.sweep.job import DONE, FAILED, FAILURES, Job
from expkit.reports.run.digests import recall_digest
from expkit.reports.runs.settings import Value, Variation, describe_settings, seed_of

MAX_CAUSES = 2  # findings that stand beside a failure, the worst first


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run, or a job of a sweep, in short; of ten thousand jobs, each costs a kilobyte."""

    path: Path | None  # None of a job that has no run yet
    status: str
    seed: int
    fold: int | None  # of cross-validation
    overrides: Sequence[str]
    config: Mapping[str, Any]  # of a run flat, of a job as it was planned
    metrics: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)  # by split
    judged_split: str = ""  # until it is judged
    best_epoch: int | None = None
    num_epochs: int = 0
    findings: Sequence[str] = ()
    seconds: float | None = None
    # of a run that is compared
    name: str = ""  # as it was configured
    verdict: str = ""
    choices: Mapping[str, str] = field(default_factory=dict)  # by group
    fingerprints: Mapping[str, str | None] = field(default_factory=dict)  # by split
    num_samples: Mapping[str, int] = field(default_factory=dict)  # by split
    code: Mapping[str, Any] = field(default_factory=dict)
    # of a job of a sweep
    job: Job | None = None
    settings: Mapping[str, Value] = field(default_factory=dict)  # of the keys that vary
    reason: str = ""  # why it failed; of a run without figures, what its last stage says

    def figure(self, metric: str) -> float | None:
        """Return a metric of a split; without one, of the judged split."""
        return figure_of(self.metrics, self.judged_split, metric)

    @property
    def figures(self) -> dict[str, float | None]:
        """Every metric by `split/metric`."""
        return {f"{split}/{m}": v for split, each in self.metrics.items() for m, v in each.items()}

    @property
    def run(self) -> Run:
        """The records of one that has any."""
        assert self.path is not None
        return Run(self.path)

    @property
    def draw(self) -> Hashable:
        """The seed; in cross-validation the seed with the fold."""
        return self.seed if self.fold is None else (self.seed, self.fold)

    @property
    def draw_name(self) -> str:
        """`3`, or `3/fold1`."""
        return f"{self.seed}" if self.fold is None else f"{self.seed}/fold{self.fold}"

    @property
    def draw_words(self) -> str:
        """`seed 3`, or `seed 3 and fold 1`, in a sentence."""
        return f"seed {self.seed}" + ("" if self.fold is None else f" and fold {self.fold}")

    @property
    def flat_config(self) -> Mapping[str, Any]:
        """The config with dotted keys: {"model.depth": 2}."""
        return self.config if self.job is None else flatten(self.config)

    @property
    def is_done(self) -> bool:
        """Tell whether nothing is left to do."""
        return self.status in DONE

    @property
    def is_failed(self) -> bool:
        """Tell whether it failed, also at a gate."""
        return self.status in FAILURES

    @property
    def runs_again(self) -> bool:
        """Tell whether resuming the sweep begins it anew."""
        return self.status in FAILED

    @property
    def number(self) -> int:
        """The job's, in its sweep."""
        assert self.job is not None
        return self.job.number

    @property
    def change(self) -> str | None:
        """The change of an ablation that it makes; None of its recipe."""
        return None if self.job is None else self.job.change

    @property
    def asked(self) -> str:
        """`large, lr=0.1, seed=2`: what varies in its sweep, as it has it."""
        return describe_settings({**self.settings, SEED: self.seed})

    @property
    def output(self) -> Path:
        """The file of what the job printed."""
        assert self.job is not None
        return self.job.output

    @property
    def folder(self) -> str:
        """The run's folder by its name; by its path where the run is another sweep's."""
        if self.path is None:
            return ""
        is_inside = self.job is None or self.path.parent == self.job.sweep
        return self.run.name if is_inside else str(self.path)

    @property
    def failure(self) -> str:
        """Its status and why, unless one says the other; with the finding that names a cause."""
        text = self.reason or self.status
        says_status = self.reason.lower().startswith(self.status) or self.status == "failed"
        if self.reason and not says_status:
            text = f"{self.status}: {self.reason}"
        causes = ", ".join(self.findings[:MAX_CAUSES])
        return f"{text}; found: {causes}" if causes else text

    def setup(self) -> Setup:
        """The records that decide of which recipe it is a draw.

        Of a job, what was planned, as it may not have run; of a run, its data and code, too, and
        its figures where the code is not known for sure.
        """
        if self.job is not None:
            return Setup(self.flat_config)
        is_known = self.code.get("commit") is not None and not self.code.get("dirty")
        proof = json.dumps([self.code, None if is_known else self.metrics], sort_keys=True)
        return Setup(self.config, self.fingerprints, proof)


def row_of(path: Path, digest: Digest) -> RunRow:
    """Return the row of a run, with all that a comparison asks of it."""
    return RunRow(
        path=path,
        status=digest.status,
        seed=digest.config.get(SEED, 0),
        fold=fold_of(digest.config),
        overrides=digest.overrides,
        config=digest.config,
        name=digest.name,
        verdict=digest.verdict,
        choices=digest.choices,
        fingerprints=digest.fingerprints,
        num_samples=digest.num_samples,
        code=digest.code,
        **_results(digest),
    )


def _results(digest: Digest) -> dict[str, Any]:
    return {
        "metrics": digest.metrics,
        "judged_split": digest.judged_split,
        "best_epoch": digest.best_epoch,
        "num_epochs": digest.num_epochs,
        "findings": digest.findings,
        "seconds": digest.seconds,
    }


def read_run(run: Run) -> RunRow:
    """Return the row of a run, by its digest where it has one, else by its records."""
    return row_of(run.path, recall_digest(run))


def read_jobs(sweep: Sweep) -> list[RunRow]:
    """Return the rows of all jobs that were planned."""
    variation = Variation.of(sweep.jobs)
    return [read_job(job, variation) for job in sweep.jobs]


def read_job(job: Job, variation: Variation) -> RunRow:
    """Return the row of a job, from its run's digest alone once that has ended."""
    digest, trouble = _digest(job)
    return RunRow(
        path=None if job.run is None else job.run.path,
        status="failed" if digest is not None and digest.status == "failed" else job.status,
        seed=seed_of(job),
        fold=_fold(job),
        overrides=job.overrides,
        config=job.config,
        choices=job.choices,
        job=job,
        settings=variation.settings(job),
        reason=job.reason or trouble or _outcome(job, digest),
        **({"seconds": job.seconds} if digest is None else _results(digest)),
    )


def _digest(job: Job) -> tuple[Digest | None, str]:
    """Return the digest, or what is wrong with the records, which spoils this row alone.

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
