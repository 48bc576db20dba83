"""Runs that share their epochs: who comes when, who leaves, and what goes wrong."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn, optim

from expkit.data.store.normalizer import Normalizer
from expkit.data.store.split import Split
from expkit.sweeps.stacked_seeds import joint_training
from expkit.sweeps.stacked_seeds.joint_training import EpochRequest, SeedRun, run_together
from expkit.terminal.signals import note_signals, raise_if_interrupted, stop_on_signals
from expkit.training.device import Device
from expkit.training.learner import Learner
from expkit.training.loop import Epoch, EpochPlan, TrainEpochs, train_epochs
from expkit.training.seeding import seed_for

Run = Callable[[TrainEpochs], list[Any]]
CPU = Device(torch.device("cpu"), "fp32", channels_last=True, compile=False, reason="")
SPLIT = Split(
    "train",
    torch.arange(12, dtype=torch.uint8).view(6, 1, 1, 2),
    torch.tensor([0, 1, 0, 1, 0, 1]),
    [*"abcdef"],
    ["no", "yes"],
    Normalizer(torch.ones(2), torch.zeros(2)),
)


def learner(seed: int) -> Learner:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Flatten(), nn.Linear(2, 2))
    optimizer = optim.SGD(model.parameters(), 0.01)
    return Learner(model, optimizer, nn.CrossEntropyLoss(), CPU, scale=lambda *_: 1.0)


def run_of(seed: int, last: int, *, first: int = 1, stage: str = "train") -> Run:
    """A run that trains these epochs; what it was given, and torch's next number after each."""

    def run(train: TrainEpochs) -> list[Any]:
        plan = EpochPlan(SPLIT, 3, last, seed, stage=stage)
        return [
            (epoch.number, epoch.metrics["loss"], float(torch.rand(())))
            for epoch in train(learner(seed), plan, first)
        ]

    return run


def together_of(*runs: Callable[[TrainEpochs], Any], **options: Any) -> list[Any]:
    return run_together([SeedRun(run) for run in runs], ["train", "later"], **options)


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> list[list[tuple[int, str, int]]]:
    """Who was trained together: the seed, the stage and the number of each."""
    seen = []
    train = joint_training.Trainer.train

    def watch(self: joint_training.Trainer, requests: Sequence[EpochRequest]) -> list[Epoch]:
        seen.append([(each.plan.seed, each.plan.stage, each.number) for each in requests])
        return train(self, requests)

    monkeypatch.setattr(joint_training.Trainer, "train", watch)
    return seen


def test_each_is_given_what_it_has_alone() -> None:
    """The same losses, and the same state of torch's generator after every epoch."""
    alone = [run_of(seed, 3)(train_epochs) for seed in (0, 1, 2)]
    shared = together_of(*(run_of(seed, 3) for seed in (0, 1, 2)))
    for theirs, ours in zip(alone, shared, strict=True):
        for expected, found in zip(theirs, ours, strict=True):
            assert found == pytest.approx(expected, rel=1e-5)


def test_who_ends_is_not_waited_for(groups: list[list[tuple[int, str, int]]]) -> None:
    """Seed 1 stops after an epoch; the others go on, and the last one by itself."""
    results = together_of(run_of(0, 3), run_of(1, 1), run_of(2, 2))
    assert [len(result) for result in results] == [3, 1, 2]
    assert [[seed for seed, *_ in group] for group in groups] == [[0, 1, 2], [0, 2], [0]]
    alone = run_of(0, 3)(train_epochs)
    for expected, found in zip(alone, results[0], strict=True):
        assert found == pytest.approx(expected, rel=1e-5)


def test_who_is_behind_catches_up(groups: list[list[tuple[int, str, int]]]) -> None:
    """A resumed seed at epoch 2 waits for the one at 1; a later stage waits for an earlier one."""
    together_of(run_of(0, 3, first=2), run_of(1, 3), run_of(2, 1, stage="later"))
    assert groups == [
        [(1, "train", 1)],
        [(0, "train", 2), (1, "train", 2)],
        [(0, "train", 3), (1, "train", 3)],
        [(2, "later", 1)],
    ]


def test_a_run_without_epochs_has_its_result_at_once() -> None:
    """One that fails a gate, say, trains nothing and holds nobody up."""
    assert together_of(run_of(0, 0), run_of(1, 1))[0] == []


def test_one_run_at_a_time_has_its_surroundings() -> None:
    """What is printed, or asked of the process, is that of the run that is going on."""
    inside: list[int] = []

    @contextmanager
    def surroundings(seed: int) -> Iterator[None]:
        inside.append(seed)
        yield
        inside.remove(seed)

    def run(seed: int, train: TrainEpochs) -> list[list[int]]:
        plan = EpochPlan(SPLIT, 3, 3, seed, stage="train")
        return [list(inside) for _ in train(learner(seed), plan, 1)]

    runs = [SeedRun(partial(run, seed), partial(surroundings, seed)) for seed in (0, 1)]
    assert run_together(runs, ["train"]) == [[[0]] * 3, [[1]] * 3]
    assert inside == []


def patient(seed: int, last: int = 3, first: int = 1) -> Callable[[TrainEpochs], str]:
    def run(train: TrainEpochs) -> str:
        try:
            run_of(seed, last, first=first)(train)
        except (RuntimeError, KeyboardInterrupt, SystemExit) as error:
            return f"{type(error).__name__}: {error}"
        return "done"

    return run


def test_what_fails_for_all_is_told_to_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program runs out of memory: each run hears of it, and ends in its own way."""

    def fail(*given: Any) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(joint_training, "train_side_by_side", fail)
    assert together_of(patient(0), patient(1)) == ["RuntimeError: out of memory"] * 2


@pytest.mark.parametrize("error", [OSError("full"), SystemExit(3)], ids=repr)
def test_what_one_run_raises_is_raised_when_the_others_have_ended(error: BaseException) -> None:
    """A disk that is full for one job's records, say, abandons no sibling in mid-epoch."""
    ended = []

    def broken(train: TrainEpochs) -> str:
        run_of(0, 1)(train)
        raise error

    def sibling(train: TrainEpochs) -> str:
        run_of(1, 2)(train)
        ended.append(1)
        return "done"

    with pytest.raises(type(error)):
        together_of(broken, sibling)
    assert ended == [1]


def test_an_exit_in_a_shared_epoch_is_told_to_its_runs_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One who waits for others to catch up has no part in it."""
    train = joint_training.Trainer.train

    def leave(self: joint_training.Trainer, requests: Sequence[EpochRequest]) -> list[Epoch]:
        if requests[0].number == 1:
            raise SystemExit(3)
        return train(self, requests)

    monkeypatch.setattr(joint_training.Trainer, "train", leave)
    results = together_of(patient(0, 1), patient(1, 1), patient(5, 2, first=2))
    assert results == ["SystemExit: 3", "SystemExit: 3", "done"]


def test_an_interruption_reaches_everybody() -> None:
    """Also those who wait for others to catch up."""
    calls = []

    def interrupt() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt

    results = together_of(patient(0), patient(1), patient(5, 3, first=3), before_epoch=interrupt)
    assert results == ["KeyboardInterrupt: "] * 3


def test_a_signal_while_a_run_works_interrupts_all_once_it_waits() -> None:
    """Ctrl-C in one run's evaluation: that is finished, and every run ends as interrupted."""

    def busy(train: TrainEpochs) -> str:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.2)
        return patient(0)(train)

    with stop_on_signals(), note_signals():
        results = together_of(busy, patient(1), before_epoch=raise_if_interrupted)
    assert results == ["KeyboardInterrupt: "] * 2


def test_the_generators_are_as_after_an_epoch_of_its_own() -> None:
    """What a run draws next depends on its own seed alone."""
    results = together_of(*(run_of(seed, 4, first=4) for seed in (0, 1)))
    for seed, ((_, _, drawn),) in enumerate(results):
        expected = torch.rand(
            (), generator=torch.Generator().manual_seed(seed_for(seed, "epoch", 4))
        )
        assert drawn == float(expected)
