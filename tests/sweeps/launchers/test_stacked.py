"""launcher=stacked: seeds trained as one leave what each would have left alone."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from running_expkit import TINY, Expkit

from expkit.config.run_request import OF_THE_SWEEP
from expkit.config.validation import check_config
from expkit.errors import UserError
from expkit.records.run.reader import Run
from expkit.records.sweep.folder import Sweep, SweepFolder
from expkit.records.sweep.job import Job, job_id
from expkit.sweeps.job import run_planned
from expkit.sweeps.launchers import stacked as stacking
from expkit.sweeps.launchers.stacked import StackedLauncher, group_by_seed, run_group
from expkit.sweeps.stacked_seeds import joint_training
from expkit.sweeps.stacked_seeds.joint_training import EpochRequest

WORDS = (*TINY, "model.norm=batch", "procedure=full")
TIMES = {"seconds", "samples_per_second", "wall_seconds", "at"}


@pytest.fixture
def recipe(run_here: Expkit) -> Mapping[str, Any]:
    """The config of an ordinary run."""
    composed: dict[str, Any] = yaml.safe_load(
        run_here("train", *WORDS, "--cfg", "job", "--resolve").out
    )
    return {key: value for key, value in composed.items() if key not in OF_THE_SWEEP}


Plan = Callable[..., list[Job]]


@pytest.fixture
def plan(recipe: Mapping[str, Any]) -> Plan:
    """Plans a job for each seed in a sweep of its own."""

    def make(name: str, seeds: Sequence[int], **changes: Any) -> list[Job]:
        folder = SweepFolder.create(
            Path("outputs") / name, {"command": [], "objective": "train/accuracy"}
        )
        for number, seed in enumerate(seeds):
            plain = {**recipe, "seed": seed, "output_dir": str(folder.path), **changes}
            config = check_config(plain).to_plain()
            folder.plan(job_id(config), number, [f"seed={seed}"], config)
        return Sweep(folder.path).jobs

    return make


def history(run: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in TIMES} for line in lines]


def answers(run: Path) -> list[float]:
    with (run / "predictions.csv").open() as file:
        return [float(x) for row in csv.reader(file) for x in row if "." in x]


def contents(run: Path) -> set[str]:
    return {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}


def assert_same_run(one: Path, other: Path) -> None:
    for expected, found in zip(history(one), history(other), strict=True):
        assert found.pop("stage") == expected.pop("stage")
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-6)
    assert answers(other) == pytest.approx(answers(one), rel=1e-3, abs=1e-5)
    assert contents(one) == contents(other)


def runs(jobs: Sequence[Job]) -> list[Path]:
    found = [job.again().run for job in jobs]
    return [run.path for run in found if run is not None]


def test_seeds_as_one_leave_what_they_leave_alone(plan: Plan) -> None:
    """Every file, figure and answer; what each of them prints is told apart."""
    alone, stacked = plan("alone", (0, 1)), plan("stacked", (0, 1))
    for job in alone:
        run_planned(job.sweep, job.id)
    assert run_group(stacked[0].sweep, stacked) == [0, 0]
    for job, expected, found in zip(stacked, runs(alone), runs(stacked), strict=True):
        assert job.again().status == "finished"
        assert_same_run(expected, found)
        assert job.output.read_text().startswith(f"run     {found}\n")


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int, BaseException], None]]:
    """Lets the nth shared epoch end otherwise."""
    train, calls = joint_training.Trainer.train, []

    def at(number: int, error: BaseException) -> None:
        def cut_off(self: joint_training.Trainer, requests: Sequence[EpochRequest]) -> Any:
            calls.append(1)
            if len(calls) == number:
                raise error
            return train(self, requests)

        monkeypatch.setattr(joint_training.Trainer, "train", cut_off)

    return at  # type: ignore[return-value]


@pytest.mark.slow
def test_a_cut_off_seed_goes_on_alone_or_with_the_others(
    plan: Plan, cut: Callable[[int, BaseException], None], run_here: Expkit
) -> None:
    """After two of four epochs: one by `expkit resume`, two as one; then all are as if whole."""
    whole, broken = plan("whole", (0, 1, 2)), plan("broken", (0, 1, 2))
    run_group(whole[0].sweep, whole)
    cut(3, KeyboardInterrupt())
    assert run_group(broken[0].sweep, broken) == [130] * 3
    assert [len(history(run)) for run in runs(broken)] == [2] * 3
    assert run_here("resume", str(runs(broken)[1])).code == 0
    assert run_group(broken[0].sweep, [job.again() for job in broken]) == [0] * 3
    assert [job.again().status for job in broken] == ["finished"] * 3
    for expected, found in zip(runs(whole), runs(broken), strict=True):
        assert_same_run(expected, found)


def test_what_goes_wrong_in_a_shared_epoch_is_each_ones_end(
    plan: Plan, cut: Callable[[int, BaseException], None]
) -> None:
    """Out of memory: every job is told of as one that raised."""
    jobs = plan("broken", (0, 1))
    cut(1, RuntimeError("out of memory"))
    assert run_group(jobs[0].sweep, jobs) == [1, 1]
    ended = [(job.again().status, job.again().reason) for job in jobs]
    assert ended == [("raised", "RuntimeError: out of memory")] * 2


def test_one_seeds_own_failure_is_nobody_elses(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seed 1 cannot write its history; the other comes to its end."""
    from expkit.records.run.writer import RunFolder

    jobs = plan("broken", (0, 1))
    append = RunFolder.append_history

    def refuse(self: RunFolder, record: Mapping[str, Any]) -> None:
        if Run(self.path).config["seed"] == 1:
            raise ValueError("no pen")
        append(self, record)

    monkeypatch.setattr(RunFolder, "append_history", refuse)
    assert run_group(jobs[0].sweep, jobs) == [0, 1]
    assert [job.again().status for job in jobs] == ["finished", "raised"]


def test_jobs_are_grouped_by_all_but_the_seed(plan: Plan) -> None:
    """Two models of three seeds are two groups."""
    jobs = [*plan("a", (0, 1, 2)), *plan("b", (0, 5), hypothesis="another")]
    assert [[job.config["seed"] for job in group] for group in group_by_seed(jobs)] == [
        [0, 1, 2],
        [0, 5],
    ]


@pytest.mark.slow
def test_what_cannot_be_stacked_is_refused_before_any_job(
    plan: Plan, recipe: Mapping[str, Any]
) -> None:
    """One of two groups has dropout: nothing is started, and the message names the layer."""
    good = plan("sweep", (0, 1))
    sweep = SweepFolder(good[0].sweep)
    model = {**recipe["model"], "hidden": [8], "dropout": 0.5}
    for seed in (0, 1):
        plain = {**recipe, "seed": seed, "output_dir": str(sweep.path), "model": model}
        config = check_config(plain).to_plain()
        sweep.plan(job_id(config), 2 + seed, [], config)
    jobs = Sweep(sweep.path).jobs
    with pytest.raises(UserError, match=r"head\.0 \(Dropout\) draws random numbers"):
        StackedLauncher().run(sweep.path, [job.id for job in jobs])
    assert [job.again().status for job in jobs] == ["waiting"] * 4


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"augment": {"mixup_alpha": 0.2}}, "augment"),
        (
            {"schedule": {"_target_": "expkit.optim.plateau.Plateau", "metric": "train/loss"}},
            "schedule.metric=train/loss",
        ),
    ],
)
def test_a_setting_that_cannot_be_shared_is_refused(
    plan: Plan, recipe: Mapping[str, Any], changes: Mapping[str, Any], where: str
) -> None:
    """Draws for each image, and rates that follow a seed's own figures."""
    jobs = plan("sweep", (0, 1), **{k: {**recipe[k], **v} for k, v in changes.items()})
    with pytest.raises(UserError) as refused:
        StackedLauncher().run(jobs[0].sweep, [job.id for job in jobs])
    assert refused.value.details["where"] == where
    assert refused.value.details["do"] == "use launcher=local"


@pytest.mark.slow
def test_the_launcher_runs_a_group_in_a_process(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the forkserver, from the plan to what is told of each job; a single one too.

    The launching process reads no data, and takes no device: it lives as long as the sweep.
    """
    monkeypatch.setattr(stacking, "build", lambda config: 1 / 0)
    jobs = [*plan("sweep", (0, 1))]
    StackedLauncher().run(jobs[0].sweep, [job.id for job in jobs])
    assert [job.again().status for job in jobs] == ["finished"] * 2
    assert len(runs(jobs)) == 2
