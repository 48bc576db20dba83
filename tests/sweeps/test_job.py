"""A planned job in this process: where its run goes, and what is told of it."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from running_expkit import TINY, Expkit

import expkit.sweeps.job as job_module
from expkit.config.run_request import OF_THE_SWEEP
from expkit.config.schema import Config
from expkit.config.validation import check_config
from expkit.errors import UserError
from expkit.records.run.metadata import StageResult
from expkit.records.run.writer import RunFolder, hold_file
from expkit.records.sweep.folder import Sweep, SweepFolder
from expkit.records.sweep.job import Job, job_id
from expkit.terminal.signals import stop_on_signals

JOB = "0123456789abcdef"


@pytest.fixture
def config(run_here: Expkit) -> Mapping[str, Any]:
    """That of an ordinary run."""
    composed: dict[str, Any] = yaml.safe_load(
        run_here("train", *TINY, "--cfg", "job", "--resolve").out
    )
    return {key: value for key, value in composed.items() if key not in OF_THE_SWEEP}


def test_a_moved_sweep_has_its_runs_in_itself(
    config: Mapping[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What its plan says of a folder was true when it was planned."""
    plain = check_config({**config, "output_dir": "outputs/before"}).to_plain()
    folder = SweepFolder.create(tmp_path / "after", {"objective": "val/accuracy"})
    folder.plan(job_id(plain), 0, [], plain)
    seen: list[str] = []

    def look(parts: None, config: Config, *others: object) -> None:
        seen.append(config.output_dir)
        raise UserError("seen")

    monkeypatch.setattr(job_module, "make_folder", look)
    job_module.run_job(folder.path, job_id(plain), lambda config: None)  # type: ignore[arg-type,return-value]
    assert seen == [str(folder.path)]
    assert Sweep(folder.path).jobs[0].reason == "seen"
    assert json.loads((folder.path / "plan.jsonl").read_text())["config"] == plain


def test_a_job_that_is_stopped_while_it_waits_is_interrupted(tmp_path: Path) -> None:
    """Another process is at it, and ends as it ends."""
    folder = SweepFolder.create(tmp_path / "sweep", {"objective": "val/accuracy"})
    folder.plan(JOB, 0, [], {"seed": 0})
    lock = hold_file(Sweep(folder.path).find_job(JOB).events_path)
    threading.Timer(0.1, os.kill, [os.getpid(), signal.SIGTERM]).start()
    with stop_on_signals():
        assert job_module.run_planned(folder.path, JOB) == 130
    assert Sweep(folder.path).find_job(JOB).status == "running"
    os.close(lock)
    assert Sweep(folder.path).find_job(JOB).status == "interrupted"


@pytest.mark.parametrize(("status", "is_searched"), [("raised", False), ("killed", True)])
def test_a_run_is_searched_for_where_a_kill_may_have_lost_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: str, is_searched: bool
) -> None:
    """A job that has told its own end has told of its run: all folders need not be opened."""
    folder = SweepFolder.create(tmp_path / "sweep", {"objective": "val/accuracy"})
    folder.plan(JOB, 0, [], {"seed": 0})
    folder.note(JOB, "started")
    folder.note(JOB, "ended", status=status)
    searched: list[bool] = []
    monkeypatch.setattr(Sweep, "find_strays", lambda self: searched.append(True) or {})
    job_module._find(folder, JOB)
    assert searched == [True] * is_searched


def test_a_job_whose_gate_failed_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ran to its end, as its records say; one whose criteria are missed has finished."""
    for passed, status in ((False, "failed"), (True, "finished")):
        folder = SweepFolder.create(tmp_path / f"sweep_{status}", {"objective": "val/accuracy"})
        folder.plan(JOB, 0, [], {"seed": 0})

        def carry_out(folder: SweepFolder, job: Job, *others: object) -> int:
            files = {"config.yaml": "procedure: {gate: {}}", "environment.json": "{}"}
            run = RunFolder.create(folder.path, "run", files)
            run.append_stage(StageResult("gate", passed, "because", "OverfitGate"))  # noqa: B023
            folder.note(job.id, "run", run="run")
            run.close()
            return 1

        monkeypatch.setattr(job_module, "_carry_out", carry_out)
        assert job_module.run_planned(folder.path, JOB) == 1
        job = Sweep(folder.path).find_job(JOB)
        assert (job.status, job.events[-1]["status"]) == (status, status)
        assert job_module.run_planned(folder.path, JOB) == 0  # nothing is left to do
