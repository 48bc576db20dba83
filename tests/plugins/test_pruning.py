"""What a search asks of its running jobs, with trials that are no Optuna's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from synthetic_runs import config_of, puzzle_metadata, write_run

from expkit.records.sweep.folder import Sweep, SweepFolder
from expkit.records.sweep.job import job_id
from hydra_plugins.expkit import _pruning
from hydra_plugins.expkit._pruning import Pruning, pruning

COURSE = [0.3, 0.5, 0.4]
FACTS = puzzle_metadata(1, 2)
WITH_VAL = replace(FACTS, splits={"train": FACTS.splits["train"], "val": FACTS.splits["train"]})


@dataclass
class FakeTrial:
    """Is to be pruned once it was told of so many epochs."""

    until: int
    told: list[tuple[float, int]] = field(default_factory=list)

    def report(self, value: float, step: int) -> None:
        self.told.append((value, step))

    def should_prune(self) -> bool:
        return len(self.told) >= self.until


@pytest.fixture
def sweep(tmp_path: Path) -> Iterator[Path]:
    """A sweep with one job that runs, three epochs in."""
    folder = SweepFolder.create(tmp_path / "sweep", {"command": [], "objective": "val/accuracy"})
    config = config_of()
    folder.plan(job_id(config), 0, ["lr=1"], config)
    history = [
        {"stage": "overfit_1", "epoch": 1, "train/accuracy": 1.0},
        *(
            {"stage": "train", "epoch": epoch, "val/accuracy": value}
            for epoch, value in enumerate(COURSE, start=1)
        ),
    ]
    run = write_run(folder.path, WITH_VAL, config=config, history=history, locked=True)
    folder.note(job_id(config), "started")
    folder.note(job_id(config), "run", run=run.name)
    return folder.path


def stop_files(sweep: Path) -> list[Path]:
    return list((sweep / "jobs").glob("*.stop"))


def test_each_epoch_of_training_is_told_once(sweep: Path) -> None:
    """A gate's epochs are no training, and a second look tells nothing twice."""
    trial = FakeTrial(until=99)
    watch = Pruning(sweep, "val/accuracy", {("lr=1",): trial})
    watch.look()
    watch.look()
    assert trial.told == [(0.3, 1), (0.5, 2), (0.4, 3)]
    assert not stop_files(sweep)


def test_what_has_not_grown_is_not_read_again(sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the plan nor a history; a new epoch is told."""
    trial = FakeTrial(until=99)
    watch = Pruning(sweep, "val/accuracy", {("lr=1",): trial})
    watch.look()
    with monkeypatch.context() as patch:
        patch.setattr(_pruning, "course", lambda *_: 1 / 0)
        patch.setattr(Sweep, "jobs", property(lambda _: 1 / 0))
        watch.look()
    (history,) = sweep.glob("*/history.jsonl")
    with history.open("a") as stream:
        stream.write('{"stage": "train", "epoch": 4, "val/accuracy": 0.75}\n')
    watch.look()
    assert trial.told[3:] == [(0.75, 4)]


def test_a_running_job_that_does_badly_is_asked_to_stop(sweep: Path) -> None:
    """By a file that it looks for, so that it may run anywhere."""
    Pruning(sweep, "val/accuracy", {("lr=1",): FakeTrial(until=2)}).look()
    (job,) = Sweep(sweep).jobs
    assert stop_files(sweep) == [SweepFolder(sweep).stop_file(job.id)]


def test_a_job_that_has_ended_is_asked_nothing(sweep: Path) -> None:
    """Its figure stands, however it fared on the way."""
    (job,) = Sweep(sweep).jobs
    SweepFolder(sweep).note(job.id, "ended", status="finished", reason="", seconds=1.0)
    trial = FakeTrial(until=1)
    Pruning(sweep, "val/accuracy", {("lr=1",): trial}).look()
    assert len(trial.told) == 3
    assert not stop_files(sweep)


def test_jobs_of_other_batches_are_passed_over(sweep: Path, tmp_path: Path) -> None:
    """And so is a folder in which nothing is planned yet."""
    trial = FakeTrial(until=1)
    Pruning(sweep, "val/accuracy", {("lr=2",): trial}).look()
    Pruning(tmp_path / "later", "val/accuracy", {("lr=1",): trial}).look()
    assert not trial.told


def test_a_batch_is_looked_at_while_it_runs_and_after_it(
    sweep: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fails in between is told, and not lost in its thread."""
    monkeypatch.setattr(_pruning, "LOOK_SECONDS", 99.0)
    trial = FakeTrial(until=99)
    with pruning(sweep, "val/accuracy", {("lr=1",): trial}):
        assert not trial.told
    assert len(trial.told) == 3
    monkeypatch.setattr(_pruning, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(Pruning, "look", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError), pruning(sweep, "val/accuracy", {}):
        _pruning.threading.Event().wait(0.2)
