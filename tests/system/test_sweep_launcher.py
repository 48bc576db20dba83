"""Sweeps on this machine: whatever becomes of a job, it is that job's alone, and none is lost."""

from __future__ import annotations

import importlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from made_once import made_once
from running_expkit import TINY, Expkit, expkit_command

from expkit.config.multirun.hydra_task import Outcome, Task
from expkit.records.sweep.folder import Sweep
from expkit.sweeps.final_pages import conclude

pytestmark = pytest.mark.slow

LONG = (
    *(*TINY, "procedure=full", "procedure.train.max_epochs=200"),
    "procedure.train.snapshot_every=null",
)


@pytest.fixture
def chaos(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    return importlib.import_module("chaos")


def only_sweep(folder: Path) -> Sweep:
    (path,) = folder.glob("outputs/*_sweep")
    return Sweep(path)


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline, "not within a minute"
        time.sleep(0.02)


@pytest.mark.slow
def test_jobs_that_are_killed_raise_and_hang_harm_no_other(
    chaos: ModuleType, tmp_path: Path
) -> None:
    """Eight jobs: four undisturbed, of which none is run twice; resuming brings seven to an end."""
    plan = chaos.Plan(4, 2, 1, 1, num_epochs=100, timeout_seconds=30)
    chaos.make_project(tmp_path)
    sweep, killed = chaos.run_sweep(tmp_path, plan, longest_seconds=0.3)
    assert len(killed) == 2
    wanted = {"finished": 4, "killed": 2, "raised": 1, "timed out": 1}
    assert chaos.count_statuses(sweep) == wanted
    assert set(chaos.count_starts(sweep).values()) == {1}
    (raised,) = (job for job in Sweep(sweep.path).jobs if job.status == "raised")
    assert raised.reason == "RuntimeError: a first life ends"
    assert "Traceback" in raised.output.read_text()

    chaos.expkit(tmp_path, "resume", "last")

    assert chaos.count_statuses(sweep) == {"finished": 7, "timed out": 1}
    twice = {seed for seed, count in chaos.count_starts(sweep).items() if count > 1}
    assert twice == {*killed, plan.num_sound, plan.num_sound + 1}
    assert chaos.count_strays(sweep) == 0
    assert chaos.is_as_alone(sweep, plan, killed[0])


@pytest.mark.slow
def test_a_sweep_that_is_killed_loses_an_epoch_of_each_job(
    tmp_path: Path, expkit: Expkit, run_here: Expkit
) -> None:
    """Its jobs stop; resumed it ends with whole records; then it is known, and taken over."""
    words = ("train", *LONG, "launcher.jobs=2")
    process = subprocess.Popen(
        expkit_command([*words, "-m", "seed=1,2,3"]), cwd=tmp_path, stdout=subprocess.DEVNULL
    )
    wait_until(lambda: len(list(tmp_path.glob("outputs/*_sweep/2*/checkpoints/train"))) == 2)
    process.kill()
    process.wait()
    sweep = only_sweep(tmp_path)
    wait_until(lambda: "running" not in {job.status for job in Sweep(sweep.path).jobs})
    assert [job.status for job in Sweep(sweep.path).jobs] == ["interrupted"] * 2 + ["waiting"]

    done = expkit("resume", "last")

    assert done.code == 0, done.out + done.err
    jobs = Sweep(sweep.path).jobs
    assert {job.status for job in jobs} == {"finished"}
    starts = [sum(event["event"] == "started" for event in job.events) for job in jobs]
    assert starts == [2, 2, 1]
    assert len(list(sweep.path.glob("2*"))) == 3
    for job in jobs:
        assert job.run is not None
        assert job.run.environment["choices"]["model"] == "simple_conv"  # which no word says
        assert [line["epoch"] for line in job.run.history] == list(range(1, 201))

    again = run_here("resume", "last", "--missing")
    assert "3 of 3 jobs done, 0 to run" in again.out
    assert again.code == 0
    taken = run_here(*words, "-m", "seed=2,3,3", "sweep.reuse=true")
    assert taken.code == 0
    assert "1 of 3 jobs are the same" in taken.out
    assert "2 jobs were finished before" in taken.out
    (other,) = (path for path in tmp_path.glob("outputs/*_sweep") if path != sweep.path)
    assert [job.status for job in Sweep(other).jobs] == ["reused"] * 2
    assert not list(other.glob("2*"))


@pytest.mark.slow
def test_the_first_failure_may_end_a_sweep(tmp_path: Path, chaos: ModuleType) -> None:
    """What then waits still waits, and what was chosen to be resumed is run alone."""
    chaos.make_project(tmp_path)
    plan = chaos.Plan(1, 0, 1, 0, num_epochs=100, timeout_seconds=60)
    words = [*plan.words, "launcher.jobs=1", "launcher.fail_fast=true", "seed=1,0"]
    chaos.expkit(tmp_path, "train", "-m", *words)
    sweep = only_sweep(tmp_path)
    assert [job.status for job in sweep.jobs] == ["raised", "waiting"]
    chaos.expkit(tmp_path, "resume", "last", "--failed")
    assert [job.status for job in Sweep(sweep.path).jobs] == ["finished", "waiting"]


def stop_before_the_first_job(folder: Path) -> None:
    """Leave a planned sweep there, with a choice of the user's own."""
    (folder / "conf" / "optimizer").mkdir(parents=True)
    choice = folder / "conf" / "optimizer" / "mine.yaml"
    choice.write_text("# Mine\n_target_: torch.optim.Adam\n_partial_: true\nlr: 0.5\n")
    words = ["train", "-m", *TINY, "optimizer=mine", "seed=1,2"]
    process = subprocess.Popen(expkit_command(words), cwd=folder, stdout=subprocess.PIPE, text=True)
    wait_until(lambda: any(len(Sweep(p).jobs) == 2 for p in folder.glob("outputs/*_sweep")))
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"expkit resume {only_sweep(folder).name}" in output.replace("outputs/", "")


@pytest.fixture
def planned(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Sweep:
    """A sweep that was stopped before its first job, once a session."""
    made = made_once(tmp_path_factory, "planned_sweep", stop_before_the_first_job)
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return only_sweep(tmp_path)


def test_a_sweep_is_resumed_as_what_it_was(planned: Sweep, run_here: Expkit) -> None:
    """Edited choices, words that could run a stranger's code, and a second process are refused."""
    choice = Path("conf/optimizer/mine.yaml")
    text = choice.read_text()
    choice.write_text(text.replace("0.5", "0.25"))
    edited = run_here("resume", "last")
    assert edited.code == 2
    assert "optimizer.lr: was 0.5, is 0.25" in edited.err
    choice.write_text(text)

    metadata = json.loads((planned.path / "sweep.json").read_text())
    metadata["command"].append("hydra.launcher._target_=os.system")
    (planned.path / "sweep.json").write_text(json.dumps(metadata))
    foreign = run_here("resume", "last")
    assert foreign.code == 2
    assert "--trust hydra" in foreign.err


@pytest.mark.slow
def test_a_job_runs_the_config_that_was_checked(planned: Sweep, run_here: Expkit) -> None:
    """And not one that a stranger wrote under its id."""
    plan = planned.path / "plan.jsonl"
    plan.write_text(plan.read_text().replace('"rows": 2', '"rows": 3'))
    assert run_here("resume", "last").code == 2
    jobs = Sweep(planned.path).jobs
    assert {job.status for job in jobs} == {"refused"}
    assert {job.reason for job in jobs} == {"the config that is written there is not this job's"}


def test_two_processes_do_not_conduct_one_sweep(planned: Sweep, run_here: Expkit) -> None:
    """The second says so."""
    from expkit.records.sweep.folder import SweepFolder

    lock = SweepFolder(planned.path).hold()
    try:
        done = run_here("resume", "last")
    finally:
        os.close(lock)
    assert done.code == 2
    assert "still running in another process" in done.err


@pytest.mark.slow
def test_a_shuffled_sweep_is_resumed_by_its_configs(planned: Sweep, run_here: Expkit) -> None:
    """The words give each job another number each time."""
    plan = planned.path / "plan.jsonl"
    first, second = map(json.loads, plan.read_text().splitlines())
    first["number"], second["number"] = second["number"], first["number"]
    plan.write_text(f"{json.dumps(first)}\n{json.dumps(second)}\n")
    done = run_here("resume", "last", "--failed")
    assert done.err == ""
    assert "0 of 2 jobs done, 0 to run" in done.out


@pytest.mark.slow
def test_a_sweep_goes_on_with_another_launcher(planned: Sweep, run_here: Expkit) -> None:
    """How jobs run may change, what they are may not; the recorded words stay as they were."""
    before = json.loads((planned.path / "sweep.json").read_text())
    done = run_here("resume", "last", "--failed", "launcher.timeout=600", "launcher.jobs=1")
    assert done.err == ""
    assert "0 of 2 jobs done, 0 to run" in done.out
    assert "launcher.timeout=600" in sys.argv
    assert json.loads((planned.path / "sweep.json").read_text()) == before
    for word, said in (
        ("launcher.jobs=x", "launcher.jobs cannot be 'x'"),
        ("seed=3", "but for its launcher"),
    ):
        refused = run_here("resume", "last", word)
        assert refused.code == 2
        assert said in refused.err


class NoReader(io.StringIO):
    def write(self, _: str) -> int:
        raise BrokenPipeError


def test_a_reader_that_has_gone_is_no_fault_of_the_folder(
    planned: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of `expkit train -m ... | head`: the pages are written, and no disk is blamed."""
    task = Task(lambda _: 0, lambda _: Outcome(0, None), lambda _: [], sweep_dir=str(planned.path))
    (planned.path / "sweep.md").unlink()
    with monkeypatch.context() as patch:
        patch.setattr("sys.stdout", NoReader())
        with pytest.raises(BrokenPipeError):
            conclude(task)
    assert (planned.path / "sweep.md").exists()
