"""Courses that share their epochs: who comes when, who leaves, and what goes wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import nn, optim

from expkit.data.normaliser import Normaliser
from expkit.data.split import Split
from expkit.engine.device import Device
from expkit.engine.loop import Curriculum, Epoch, Learner
from expkit.engine.randomness import seed_for
from expkit.procedures import together
from expkit.procedures.course import Course, Wish, go_alone
from expkit.procedures.together import go_together

CPU = Device(torch.device("cpu"), "fp32", channels_last=True, compile=False, reason="")
SPLIT = Split(
    "train",
    torch.arange(12, dtype=torch.uint8).view(6, 1, 1, 2),
    torch.tensor([0, 1, 0, 1, 0, 1]),
    [*"abcdef"],
    ["no", "yes"],
    Normaliser(torch.ones(2), torch.zeros(2)),
)


def learner(seed: int) -> Learner:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Flatten(), nn.Linear(2, 2))
    optimizer = optim.SGD(model.parameters(), 0.01)
    return Learner(model, optimizer, nn.CrossEntropyLoss(), CPU, scale=lambda *_: 1.0)


def course(seed: int, numbers: Sequence[int], place: int = 0) -> Course[list[Any]]:
    """Wishes for these epochs; what it was given, and torch's next number after each."""
    mine, given = learner(seed), []
    curriculum = Curriculum(SPLIT, 3, 9, seed)
    for number in numbers:
        epoch = yield Wish(mine, curriculum, place, number)
        given.append((epoch.number, epoch.metrics["loss"], float(torch.rand(()))))
    return given


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> list[list[tuple[int, int, int]]]:
    """Who was trained together: the seed, the place and the number of each."""
    seen = []
    train = together.Trainer.train

    def watch(self: together.Trainer, wishes: Sequence[Wish]) -> list[Epoch]:
        seen.append([(w.curriculum.seed, w.place, w.number) for w in wishes])
        return train(self, wishes)

    monkeypatch.setattr(together.Trainer, "train", watch)
    return seen


def test_each_is_given_what_it_has_alone() -> None:
    """The same losses, and the same state of torch's generator after every epoch."""
    alone = [go_alone(course(seed, [1, 2, 3])) for seed in (0, 1, 2)]
    shared = go_together([course(seed, [1, 2, 3]) for seed in (0, 1, 2)])
    for theirs, ours in zip(alone, shared, strict=True):
        for expected, found in zip(theirs, ours, strict=True):
            assert found == pytest.approx(expected, rel=1e-5)


def test_who_ends_is_not_waited_for(groups: list[list[tuple[int, int, int]]]) -> None:
    """Seed 1 stops after an epoch; the others go on, and the last one by itself."""
    results = go_together([course(0, [1, 2, 3]), course(1, [1]), course(2, [1, 2])])
    assert [len(result) for result in results] == [3, 1, 2]
    assert [[seed for seed, *_ in group] for group in groups] == [[0, 1, 2], [0, 2], [0]]
    alone = go_alone(course(0, [1, 2, 3]))
    for expected, found in zip(alone, results[0], strict=True):
        assert found == pytest.approx(expected, rel=1e-5)


def test_who_is_behind_catches_up(groups: list[list[tuple[int, int, int]]]) -> None:
    """A resumed seed at epoch 2 waits for the one at 1; a later stage waits for an earlier one."""
    go_together([course(0, [2, 3]), course(1, [1, 2, 3]), course(2, [1], place=1)])
    assert groups == [[(1, 0, 1)], [(0, 0, 2), (1, 0, 2)], [(0, 0, 3), (1, 0, 3)], [(2, 1, 1)]]


def test_no_course_is_begun_twice_and_none_without_wishes_is_trained() -> None:
    """A course that wishes for nothing, as one that fails a gate, has its result at once."""
    assert go_together([course(0, []), course(1, [1])])[0] == []


def patient(seed: int, numbers: Sequence[int] = (1, 2, 3)) -> Course[str]:
    try:
        yield from course(seed, numbers)
    except (RuntimeError, KeyboardInterrupt) as error:
        return f"{type(error).__name__}: {error}"
    return "done"


def test_what_fails_for_all_is_told_to_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program runs out of memory: each course hears of it, and ends in its own way."""

    def fail(*given: Any) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(together, "train_side_by_side", fail)
    assert go_together([patient(0), patient(1)]) == ["RuntimeError: out of memory"] * 2


@pytest.mark.parametrize("error", [OSError("full"), SystemExit(3)], ids=repr)
def test_what_one_course_raises_is_raised_when_the_others_have_ended(error: BaseException) -> None:
    """A disk that is full for one job's records, say, abandons no sibling in mid-epoch."""
    ended = []

    def broken() -> Course[str]:
        yield from course(0, [1])
        raise error

    def sibling() -> Course[str]:
        yield from course(1, [1, 2])
        ended.append(1)
        return "done"

    with pytest.raises(type(error)):
        go_together([broken(), sibling()])
    assert ended == [1]


def test_an_exit_in_a_shared_epoch_is_told_to_its_courses_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One who waits for others to catch up has no part in it."""
    train = together.Trainer.train

    def leave(self: together.Trainer, wishes: Sequence[Wish]) -> list[Epoch]:
        if wishes[0].number == 1:
            raise SystemExit(3)
        return train(self, wishes)

    def told() -> Course[str]:
        try:
            yield from course(0, [1])
        except SystemExit as error:
            return f"exit {error.code}"
        return "done"

    monkeypatch.setattr(together.Trainer, "train", leave)
    assert go_together([told(), told(), patient(5, [2])]) == ["exit 3", "exit 3", "done"]


def test_an_interruption_reaches_everybody() -> None:
    """Also those who wait for others to catch up."""
    calls = []

    def interrupt() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt

    def late() -> Course[str]:
        try:
            yield from course(5, [3])
        except KeyboardInterrupt:
            return "interrupted"
        return "done"

    results = go_together([patient(0), patient(1), late()], before_epoch=interrupt)
    assert results == ["KeyboardInterrupt: ", "KeyboardInterrupt: ", "interrupted"]


def test_the_generators_stand_as_after_an_epoch_of_ones_own() -> None:
    """What a course draws next depends on its own seed alone."""
    results = go_together([course(seed, [4]) for seed in (0, 1)])
    for seed, ((_, _, drawn),) in enumerate(results):
        expected = torch.rand(
            (), generator=torch.Generator().manual_seed(seed_for(seed, "epoch", 4))
        )
        assert drawn == float(expected)


def test_alone_too_what_goes_wrong_is_raised_at_the_wish(monkeypatch: pytest.MonkeyPatch) -> None:
    """A course keeps what it has, and may go on: an interruption is its own to deal with."""

    def interrupted(_: Wish) -> Epoch:
        raise KeyboardInterrupt

    def careful() -> Course[str]:
        try:
            yield Wish(learner(0), Curriculum(SPLIT, 3, 9, 0), 0, 1)
        except KeyboardInterrupt:
            return "kept"
        return "done"

    assert go_alone(careful()) == "done"
    monkeypatch.setattr(Wish, "grant", interrupted)
    assert go_alone(careful()) == "kept"
