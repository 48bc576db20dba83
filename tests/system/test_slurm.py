"""Sweeps on a SLURM that is started for them."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from engines.awkward_project import WORDS, count, epochs_of, losses_of, make_project, wait_until
from engines.slurm import Slurm, run_slurm, why_not
from running_expkit import Expkit, expkit_command

from expkit.records.sweep.folder import Sweep

pytestmark = pytest.mark.slow

MISSING = why_not() or (None if importlib.util.find_spec("submitit") else "submitit not installed")
pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))

LAUNCH = ("train", "-m", "hydra/launcher=submitit_slurm", "hydra.launcher.cpus_per_task=1", *WORDS)
SWEEP = Path("outputs/sweep")
HERE = f"hydra.sweep.dir={SWEEP}"


@pytest.fixture(scope="module")
def slurm() -> Iterator[Slurm]:
    with run_slurm() as running:
        yield running


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slurm: Slurm) -> Path:
    make_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    for key, value in {**slurm.environ, "OMP_NUM_THREADS": "1"}.items():
        monkeypatch.setenv(key, value)
    return tmp_path


def start(*words: str) -> subprocess.Popen[bytes]:
    with Path("launch.txt").open("wb") as stream:
        return subprocess.Popen(
            expkit_command(words), stdout=stream, stderr=subprocess.STDOUT, cwd=Path.cwd()
        )


def test_each_job_ends_in_its_own_way(project: Path, expkit: Expkit) -> None:
    """One past its limit is queued again, and has the numbers of the one that was not; one that
    raises and one that is killed are accounted for, and take no other with them.
    """
    done = expkit(
        *LAUNCH,
        HERE,
        "procedure.train.max_epochs=50",
        "hydra.launcher.timeout_min=1",
        "hydra.launcher.signal_delay_s=55",
        "model.seconds=1.0",
        "model.ends=never,slowly,raised,killed",
    )
    assert done.code == 1, done.err
    jobs = {job.config["model"]["ends"]: job for job in Sweep(SWEEP).jobs}
    assert {key: job.status for key, job in jobs.items()} == {
        "never": "finished",
        "slowly": "finished",
        "raised": "raised",
        "killed": "killed",
    }
    assert "FAILED" in jobs["killed"].reason
    slow = jobs["slowly"]
    assert count(slow, "waiting") == 1
    assert count(slow, "run") == 1
    assert losses_of(slow) == losses_of(jobs["never"])
    assert len(losses_of(slow)) == 50
    assert slow.run is not None
    assert "_j" in slow.run.name


def test_a_preempted_job_goes_on(project: Path, slurm: Slurm) -> None:
    """Its node is wanted by others; it keeps what it has, and comes again."""
    sweep = start(
        *LAUNCH,
        HERE,
        "hydra.launcher.cpus_per_task=2",
        "procedure.train.max_epochs=40",
        "model.ends=slowly",
        "model.seconds=0.25",
        "seed=0,1",
    )
    wait_until(lambda: epochs_of(SWEEP, 0) > 2 and epochs_of(SWEEP, 1) > 2)
    slurm.call("sbatch", "-p", "first", "-c", "2", "-o", "/dev/null", "--wrap", "sleep 1")
    assert sweep.wait(timeout=80) == 0, Path("launch.txt").read_text()
    jobs = Sweep(SWEEP).jobs
    assert sorted(count(job, "started") for job in jobs) == [1, 2]
    assert [len(losses_of(job)) for job in jobs] == [40, 40]


def test_a_killed_launch_is_taken_up_and_a_cancelled_job_goes_on(
    project: Path, expkit: Expkit, slurm: Slurm
) -> None:
    """What SLURM still runs is waited for, and not submitted again."""
    words = (
        *LAUNCH,
        HERE,
        "procedure.train.max_epochs=24",
        "model.ends=slowly",
        "model.seconds=0.25",
        "seed=0,1",
    )
    sweep = start(*words)
    wait_until(lambda: epochs_of(SWEEP, 0) > 2 and epochs_of(SWEEP, 1) > 2)
    os.kill(sweep.pid, signal.SIGKILL)
    sweep.wait()
    cancelled, left = Sweep(SWEEP).jobs
    slurm.call("scancel", Sweep(SWEEP).tickets[cancelled.id]["ticket"])
    wait_until(lambda: cancelled.again().status == "interrupted")
    done = expkit("resume", str(SWEEP), "--trust", "hydra")
    assert done.code == 0, done.out + done.err
    assert "1 jobs are with SLURM already" in done.out
    cancelled, left = Sweep(SWEEP).jobs
    assert (count(cancelled, "started"), count(left, "started")) == (2, 1)
    assert len(losses_of(cancelled)) == len(losses_of(left)) == 24


def test_what_slurm_refuses_is_told(project: Path, expkit: Expkit) -> None:
    """On one screen; nothing is submitted."""
    done = expkit(*LAUNCH, HERE, "hydra.launcher.partition=nowhere", "seed=0,1")
    assert done.code == 2
    assert "invalid partition specified: nowhere" in done.err
    assert Sweep(SWEEP).tickets == {}


def test_a_job_that_cannot_begin_is_accounted_for(project: Path, expkit: Expkit) -> None:
    """SLURM calls it COMPLETED; its error is found in what it printed."""
    broken = project / "broken" / "expkit"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('of a wrong version')\n")
    setup = f"hydra.launcher.setup=['export PYTHONPATH={broken.parent}']"
    done = expkit(*LAUNCH, HERE, setup, "seed=0,1")
    assert done.code == 1, done.err
    for job in Sweep(SWEEP).jobs:
        assert (job.status, job.reason) == ("raised", "ImportError: of a wrong version")
