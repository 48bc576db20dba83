"""Sweeps on a Ray of two nodes that is started for them."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from engines.awkward_project import WORDS, count, epochs_of, losses_of, make_project, wait_until
from engines.ray import ENVIRON, Ray, run_ray, why_not
from running_expkit import Expkit, expkit_command

from expkit.records.sweep.folder import Sweep

pytestmark = pytest.mark.slow

MISSING = why_not()
pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))

SWEEP = Path("outputs/sweep")
LAUNCH = ("train", "-m", "hydra/launcher=ray", f"hydra.sweep.dir={SWEEP}", *WORDS)


@pytest.fixture(scope="module")
def ray() -> Iterator[Ray]:
    with run_ray() as running:
        yield running


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ray: Ray) -> Path:
    make_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    for key, value in ENVIRON.items():
        monkeypatch.setenv(key, value)
    return tmp_path


def test_a_worker_that_dies_takes_no_other_job_with_it(
    project: Path, expkit: Expkit, ray: Ray
) -> None:
    """Once, and the job goes on where it was; twice, and it was the job's doing."""
    done = expkit(
        *LAUNCH,
        *ray.words,
        "procedure.train.max_epochs=20",
        "model.ends=killed,killed_once,raised,never",
    )
    assert done.code == 1, done.err
    jobs = {job.config["model"]["ends"]: job for job in Sweep(SWEEP).jobs}
    assert {key: job.status for key, job in jobs.items()} == {
        "killed": "killed",
        "killed_once": "finished",
        "raised": "raised",
        "never": "finished",
    }
    assert count(jobs["killed"], "started") == 2
    once = jobs["killed_once"]
    assert (count(once, "started"), count(once, "run")) == (2, 1)
    assert losses_of(once) == losses_of(jobs["never"])


def test_a_killed_launch_goes_on(project: Path, expkit: Expkit, ray: Ray) -> None:
    """Ray ends the jobs of a launcher that is gone; each goes on from its last epoch."""
    words = (*LAUNCH, *ray.words, "procedure.train.max_epochs=30", "seed=0,1")
    with Path("launch.txt").open("wb") as stream:
        slow = ("model.ends=slowly", "model.seconds=0.2")
        sweep = subprocess.Popen(
            expkit_command([*words, *slow]), stdout=stream, stderr=subprocess.STDOUT
        )
    wait_until(lambda: epochs_of(SWEEP, 0) > 2 and epochs_of(SWEEP, 1) > 2)
    os.kill(sweep.pid, signal.SIGKILL)
    sweep.wait()
    done = expkit("resume", str(SWEEP), "--trust", "hydra")
    assert done.code == 0, done.out + done.err
    for job in Sweep(SWEEP).jobs:
        assert (count(job, "started"), count(job, "run")) == (2, 1)
        assert len(losses_of(job)) == 30
