"""Digests of runs: read where they stand, made anew where they do not."""

from __future__ import annotations

from expkit.records.run.digest import Digest, read_digest
from expkit.records.run.extensions import with_extensions
from expkit.records.run.reader import Run
from expkit.records.seed_groups import flatten
from expkit.records.sweep.job import job_id
from expkit.reports.run.summary import Summary, recall
from expkit.sanitize import one_line


def make_digest(run: Run, summary: Summary) -> Digest:
    environment = run.environment
    splits = run.dataset.splits
    training = [stage for stage in summary["stages"] if stage["kind"] == "Training"]
    return Digest(
        run=run.name,
        name=one_line(run.config.get("name") or run.name),
        job=_job(run),
        status=summary["status"],
        verdict=summary["verdict"],
        judged_split=summary["judged_split"],
        metrics=summary["metrics"],
        best_epoch=summary["best_epoch"],
        num_epochs=sum(stage["num_epochs"] for stage in training),
        findings=[finding["rule"] for finding in summary["findings"]],
        seconds=summary["wall_seconds"],
        overrides=run.overrides,
        config=flatten(run.recipe),
        fingerprints={name: split.fingerprint for name, split in splits.items()},
        num_samples={name: split.num_samples for name, split in splits.items()},
        code={
            **(environment.get("git") or {}),
            "versions": environment.get("versions", {}),
            "sources": environment.get("sources"),
            "own_code": environment.get("own_code"),
        },
        choices=environment.get("choices", {}),
        intervals=summary["intervals"].get(summary["judged_split"], {}),
        started=str(environment.get("started", "")),
    )


def _job(run: Run) -> str | None:
    """The id of its config in sweeps; one that was extended is as one that ran as long at once."""
    job: str | None = run.environment.get("job")
    if job is None or not run.extensions:
        return job
    return job_id(with_extensions(run.recorded_config, run.extensions))


def recall_digest(run: Run) -> Digest:
    """The stored one of a run that ended, else a new one."""
    stored = read_digest(run.path)
    if stored is not None and stored.status in ("finished", "failed"):
        return stored
    return make_digest(run, recall(run))
