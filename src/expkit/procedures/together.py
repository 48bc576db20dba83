"""Runs that differ in their seeds alone: each goes its own way, and their epochs are shared."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

import torch

from expkit.config.schema import Config
from expkit.engine.loop import Epoch
from expkit.engine.randomness import seed_everything
from expkit.engine.stack import Stack
from expkit.engine.stackable import refuse_unstackable
from expkit.engine.stacking import pays, train_side_by_side
from expkit.errors import UserError
from expkit.procedures.course import Course, Wish
from expkit.procedures.parts import Parts
from expkit.procedures.training import Training

T = TypeVar("T")
NUM_TRIED = 8  # samples of the batch that two stacked models are tried on


def with_seed(parts: Parts, config: Config) -> Parts:
    """The parts of another seed's run: it has the same data, which lies in memory once."""
    return replace(
        parts,
        reading=replace(parts.reading, config=config),
        loss=copy.deepcopy(parts.loss),
        gate_loss=copy.deepcopy(parts.gate_loss),
    )


def check_stackable(parts: Parts) -> None:
    """Refuse what cannot be stacked, before anything runs."""
    for name, stage in parts.stages.items():
        if isinstance(stage, Training):
            _check_stage(parts, name, stage)


def _check_stage(parts: Parts, name: str, stage: Training) -> None:
    key = f"procedure.{name}"
    for is_so, what, where in (
        (
            not parts.augmentation.is_identity or parts.augmentation.mixes,
            "augmentation has draws of its own for each seed",
            "augment",
        ),
        (
            stage.labels_from is not None,
            "new labels are others for each seed",
            f"{key}.labels_from={stage.labels_from}",
        ),
        (
            parts.schedule.watched_metric is not None,
            "a schedule that follows a metric has a rate of its own for each seed",
            f"schedule.metric={parts.schedule.watched_metric}",
        ),
    ):
        if is_so:
            raise UserError(
                f"{what}: these seeds cannot train as one", where=where, fix="use launcher=local"
            )
    learners = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        model = parts.device.place(parts.make_model())
        learners.append(stage.new_learner(parts, model, key, []))
    few = parts.splits["train"].spread_out(min(NUM_TRIED, stage.batch_size))
    refuse_unstackable(learners, *next(few.batches(len(few))), key)


def go_together(
    courses: Sequence[Course[T]], before_epoch: Callable[[], None] = lambda: None
) -> list[T]:
    """Lead all courses to their ends, an epoch at a time for all that wish for the same one.

    Who is behind catches up first; who has ended is not waited for. What goes wrong in a shared
    epoch is raised in each of the courses that share it, and an interruption in all. What goes
    wrong in a course of its own is raised once the others have come to their ends.
    """
    results: dict[int, T] = {}
    errors: list[BaseException] = []
    wishes: dict[int, Wish] = {}
    trainer = Trainer()

    def advance(index: int, go_on: Callable[[], Wish]) -> None:
        try:
            wishes[index] = go_on()
        except StopIteration as end:
            results[index] = end.value
        except BaseException as error:
            errors.append(error)

    for index, course in enumerate(courses):
        advance(index, partial(next, course))
    while wishes:
        first = min((wish.place, wish.number) for wish in wishes.values())
        group = {i: w for i, w in wishes.items() if (w.place, w.number) == first}
        try:
            before_epoch()
            epochs = trainer.train(list(group.values()))
        except BaseException as error:
            for index in list(wishes) if isinstance(error, KeyboardInterrupt) else group:
                del wishes[index]
                advance(index, partial(courses[index].throw, error))
            continue
        for (index, wish), epoch in zip(group.items(), epochs, strict=True):
            del wishes[index]
            # as its own epoch would have left the generators: the shared one has drawn nothing
            seed_everything(wish.curriculum.seed, "epoch", wish.number)
            advance(index, partial(courses[index].send, epoch))
    if errors:
        raise errors[0]
    return [results[index] for index in range(len(courses))]


class Trainer:
    """Grants wishes for the same epoch; the stack stays while the learners do."""

    def __init__(self) -> None:
        self._stack: Stack | None = None

    def train(self, wishes: Sequence[Wish]) -> list[Epoch]:
        learners = [wish.learner for wish in wishes]
        if len(wishes) == 1 or not pays(learners[0], wishes[0].curriculum):
            return [wish.grant() for wish in wishes]
        if self._stack is None or list(self._stack.learners) != learners:
            self._stack = Stack(learners)
        curricula = [wish.curriculum for wish in wishes]
        return train_side_by_side(self._stack, curricula, wishes[0].number)
