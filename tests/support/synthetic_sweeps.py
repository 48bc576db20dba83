"""Sweep folders with invented figures, as a real sweep leaves them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from expkit.records.files import write_json
from expkit.records.run.digest import Digest
from expkit.records.run.metadata import StageResult
from expkit.records.run.writer import RunFolder
from expkit.records.sweep.folder import SweepFolder
from expkit.records.sweep.job import job_id

PROCEDURE = {"train": {"max_epochs": 20}, "evaluate": {"weights": "best"}}


@dataclass(frozen=True)
class FakeJob:
    """What was asked for, and what came of it."""

    words: Mapping[str, Any]
    accuracy: float | None = None
    seed: int = 0
    status: str = "finished"
    reason: str = ""
    findings: Sequence[str] = field(default_factory=list)
    change: str | None = None  # of an ablation
    fold: tuple[int, int] | None = None  # of so many
    seconds: float = 20.0
    name: str = "net"  # of the run; no setting
    test: float | None = None  # accuracy on a test split, which then judges


def write_sweep(parent: Path, jobs: Sequence[FakeJob], name: str = "20260101_000000_7") -> Path:
    path = parent / f"{name}_sweep"
    metadata = {"command": ["expkit", "train", "-m", "seed=0,1"], "objective": "accuracy"}
    folder = SweepFolder.create(path, {**metadata, "started": "2026-01-01T00:00:00+00:00"})
    for number, job in enumerate(jobs):
        config = {
            "name": job.name,
            "seed": job.seed,
            "procedure": PROCEDURE,
            "asked": asked_of(job),
        }
        config |= dataset_of(job)
        identity = job_id(config)
        overrides = [f"{key}={value}" for key, value in job.words.items()] + [f"seed={job.seed}"]
        folder.plan(identity, number, overrides, config, job.change)
        if job.status == "waiting":
            continue
        folder.note(identity, "started")
        if job.accuracy is not None:
            run = write_finished_run(path, number, identity, config, job)
            folder.note(identity, "run", run=run.name)
        if job.status != "running":
            ended = {"status": job.status, "reason": job.reason}
            folder.note(identity, "ended", **ended, exit_code=0, seconds=job.seconds)
    return path


def asked_of(job: FakeJob) -> dict[str, Any]:
    """The other settings, as the words ask for them."""
    return {key: value for key, value in job.words.items() if key != "dataset.fold"}


def dataset_of(job: FakeJob) -> dict[str, Any]:
    """The part of the config that says which fold is held out; none without folds."""
    return {} if job.fold is None else {"dataset": {"fold": job.fold[0], "num_folds": job.fold[1]}}


def write_finished_run(
    sweep: Path, number: int, identity: str, config: Mapping[str, Any], job: FakeJob
) -> Path:
    assert job.accuracy is not None
    folder = RunFolder.create(
        sweep,
        f"20260101_{number:06d}_net",
        {
            "config.yaml": yaml.safe_dump(dict(config)),
            "overrides.yaml": "[]",
            "environment.json": json.dumps({"job": identity}),
        },
    )
    for epoch in range(1, 21):
        share = job.accuracy * (1 - math.exp(-epoch / 4))
        folder.append_history({"stage": "train", "epoch": epoch, "val/accuracy": share})
    for stage in PROCEDURE:
        folder.append_stage(StageResult(stage, True, "because", "Training"))
    folder.close()
    write_json(folder.path / "summary.json", SUMMARY)
    digest_of(folder.path, identity, job).write(folder.path)
    return folder.path


SUMMARY: dict[str, Any] = {
    "status": "finished",
    "intervals": {},
    "findings": [],
    "chance_accuracy": 0.25,
    "judged_on": "40 held-out samples (val)",
    "num_judged": 40,
    "levels": {"chance": {"accuracy": 0.25}, "constant": {"accuracy": 0.4}},
}


def digest_of(path: Path, identity: str, job: FakeJob) -> Digest:
    return Digest(
        run=path.name,
        name="net",
        job=identity,
        status="finished",
        verdict="not judged",
        judged_split="val" if job.test is None else "test",
        metrics={
            "val": {"accuracy": job.accuracy},
            **({} if job.test is None else {"test": {"accuracy": job.test}}),
        },
        best_epoch=17,
        num_epochs=20,
        findings=list(job.findings),
        seconds=21.0,
        overrides=[],
        config={
            "seed": job.seed,
            **{f"asked.{k}": v for k, v in asked_of(job).items()},
            **{f"dataset.{k}": v for k, v in dataset_of(job).get("dataset", {}).items()},
        },
        fingerprints={"val": f"f{job.fold or ''}", "test": "t"},
        num_samples={"val": 40, "test": 50},
        code={},
    )
