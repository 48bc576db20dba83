"""What a node does with a job of a sweep, and what is written down for it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

import expkit.sweeps.launchers.cluster as clusters
from expkit.records.sweep.folder import Sweep, SweepFolder
from expkit.records.sweep.job import Job
from expkit.sweeps.launchers.cluster import NodeWork, settle
from expkit.sweeps.launchers.slurm import SlurmWork

JOB = "0123456789abcdef"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SweepFolder:
    """With one job, called JOB; the working directory and the path of modules come back."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    folder = SweepFolder.create(tmp_path / "sweep", {"objective": "held_out/accuracy"})
    folder.plan(JOB, 0, ["seed=0"], {"seed": 0}, None)
    return folder


def job_of(folder: SweepFolder) -> Job:
    return Sweep(folder.path).find_job(JOB)


PRINTING = """
import os, sys
from pathlib import Path
from expkit.sweeps.launchers.cluster import print_into

with print_into(Path(sys.argv[1])):
    print("by Python")
    os.write(2, b"by a library\\n")
print("afterwards")
"""


def test_all_that_is_printed_goes_to_the_file(tmp_path: Path) -> None:
    """Past Python too, and only within."""
    path = tmp_path / "said.txt"
    done = subprocess.run(
        [sys.executable, "-c", PRINTING, path], capture_output=True, text=True, check=True
    )
    assert set(path.read_text().splitlines()) == {"by Python", "by a library"}
    assert (done.stdout, done.stderr) == ("afterwards\n", "")


def test_a_node_works_where_the_sweep_was_started(
    folder: SweepFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paths in configs count from there."""
    seen: list[object] = []

    def look(sweep: Path, identity: str) -> int:
        seen.extend([Path.cwd(), sweep, identity])
        return 0

    monkeypatch.setattr(clusters, "run_planned", look)
    work = NodeWork(Path("sweep"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    work.run(JOB)
    assert seen == [tmp_path, Path("sweep"), JOB]


def test_the_engine_speaks_only_for_a_job_that_did_not(folder: SweepFolder) -> None:
    """A job that was killed has no last word of its own; one that raised has."""
    folder.note(JOB, "started")
    settle(folder, {JOB: ("killed", "SLURM says FAILED of 1_0")}, {JOB: 0})
    assert (job_of(folder).status, job_of(folder).reason) == ("killed", "SLURM says FAILED of 1_0")
    folder.note(JOB, "ended", status="raised", reason="ValueError")
    settle(folder, {JOB: ("killed", "SLURM says FAILED of 1_0")}, {JOB: 0})
    assert (job_of(folder).status, job_of(folder).reason) == ("raised", "ValueError")


def test_what_a_job_said_in_an_earlier_life_is_no_word_of_this_one(folder: SweepFolder) -> None:
    """Resumed, it died on its node before it could speak."""
    folder.note(JOB, "ended", status="raised", reason="ValueError")
    settle(folder, {JOB: ("timed out", "SLURM says TIMEOUT of 2_0")}, {JOB: 1})
    assert (job_of(folder).status, job_of(folder).reason) == (
        "timed out",
        "SLURM says TIMEOUT of 2_0",
    )


@pytest.mark.parametrize(("ends_first", "queued"), [(False, 1), (True, 0)])
def test_a_job_is_queued_again_once_it_has_kept_what_it_has(
    folder: SweepFolder, monkeypatch: pytest.MonkeyPatch, ends_first: bool, queued: int
) -> None:
    """Submitit's own answer to the signal comes after the job's end; none where it is done."""
    told: list[str] = []

    def interrupted(sweep: Path, identity: str) -> int:
        try:
            signal.raise_signal(signal.SIGUSR2)
        except KeyboardInterrupt:
            status = "finished" if ends_first else "interrupted"
            folder.note(identity, "ended", status=status)
            told.append("kept")
        return 130

    monkeypatch.setattr(clusters, "run_planned", interrupted)
    before = signal.signal(signal.SIGUSR2, lambda number, frame: told.append("queued again"))
    try:
        SlurmWork(folder.path)(JOB)
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert told == ["kept", *["queued again"] * queued]
    assert job_of(folder).status == ("finished" if ends_first else "waiting")


@pytest.mark.parametrize("engine", ["submitit_slurm", "ray"])
def test_an_engine_that_is_not_installed_is_refused(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is composed, with the words that install it."""
    import expkit.config.multirun.hydra_task as sweeping
    from expkit.cli import dispatch

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["expkit"])
    monkeypatch.setattr(sweeping, "find_spec", lambda name: None)
    assert dispatch(["train", "-m", f"hydra/launcher={engine}", "seed=0,1"]) == 2
    extra = engine.removeprefix("submitit_")
    assert f'pip install "expkit[{extra}]"' in capsys.readouterr().err
    assert not (tmp_path / "outputs").exists()
