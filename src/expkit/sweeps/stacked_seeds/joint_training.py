"""Runs that differ in their seeds alone: each is an ordinary run, and their epochs are shared."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from queue import SimpleQueue
from threading import Thread
from typing import Generic, TypeVar, cast

import torch

from expkit.config.schema import Config
from expkit.errors import UserError
from expkit.probes.machine import flushes_denormals
from expkit.runner.components import Parts
from expkit.runner.stages.training import Training
from expkit.sweeps.stacked_seeds.joint_epoch import pays, train_side_by_side
from expkit.sweeps.stacked_seeds.stackable import refuse_unstackable
from expkit.sweeps.stacked_seeds.stacked_learner import Stack
from expkit.training.learner import Learner
from expkit.training.loop import Epoch, EpochPlan, TrainEpochs, train_epoch
from expkit.training.seeding import seed_everything

T = TypeVar("T")
NUM_TRIED = 8  # samples of the batch that two stacked models are tried on


def with_seed(parts: Parts, config: Config) -> Parts:
    """The parts of another seed's run: it has the same data, which lies in memory once."""
    return replace(
        parts,
        inputs=replace(parts.inputs, config=config),
        loss=copy.deepcopy(parts.loss),
        gate_loss=copy.deepcopy(parts.gate_loss),
    )


def check_stackable(parts: Parts) -> None:
    """Refuse what cannot be stacked, before anything runs."""
    for name, stage in parts.stages.items():
        if isinstance(stage, Training):
            _check_stage(parts, name, stage)


def _check_stage(parts: Parts, name: str, stage: Training) -> None:
    key, parts = f"procedure.{name}", parts.of_stage(name)
    for is_so, what, where in (
        (
            not parts.augmentation.is_identity or parts.augmentation.mixes,
            "augmentation has draws of its own for each seed",
            "augment",
        ),
        (
            stage.fit_schedule_to_time,
            "a schedule that follows the time has a learning rate of its own for each seed",
            f"{key}.fit_schedule_to_time",
        ),
        (
            stage.unfreeze is not None,
            "gradients of layers that thaw later are not there for all steps",
            f"{key}.unfreeze",
        ),
        (
            stage.labels_from is not None,
            "new labels are others for each seed",
            f"{key}.labels_from={stage.labels_from}",
        ),
        (
            parts.schedule.watched_metric is not None,
            "a schedule that follows a metric has a learning rate of its own for each seed",
            f"{parts.key_of('schedule')}.metric={parts.schedule.watched_metric}",
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


@dataclass(frozen=True)
class EpochRequest:
    """An epoch that a run waits for."""

    learner: Learner
    plan: EpochPlan
    number: int


class SeedRun(Generic[T]):
    """A run in a thread of its own, which stops at every epoch until somebody has trained it.

    Only one thread runs at a time: whoever lets this one go on waits for its next request, so
    that torch's generators and the standard streams are that run's alone meanwhile.
    """

    def __init__(
        self,
        run: Callable[[TrainEpochs], T],
        surroundings: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._surroundings = surroundings  # of everything that the run does
        self._replies: SimpleQueue[Epoch | BaseException] = SimpleQueue()
        self._requests: SimpleQueue[EpochRequest | None] = SimpleQueue()
        self.request: EpochRequest | None = None  # None: it has not begun, or has ended
        self.result: T | None = None
        self.error: BaseException | None = None
        # torch keeps these by thread, and the device was opened in this one
        settings = torch.get_num_threads(), flushes_denormals()
        self._thread = Thread(target=self._work, args=(run, *settings), daemon=True)

    def _work(
        self, run: Callable[[TrainEpochs], T], num_threads: int, flush_denormals: bool
    ) -> None:
        try:
            torch.set_num_threads(num_threads)
            torch.set_flush_denormal(flush_denormals)
            self.result = run(self._train_epochs)
        except BaseException as error:
            self.error = error
        self._requests.put(None)

    def _train_epochs(
        self, learner: Learner, plan: EpochPlan, first_epoch: int = 1
    ) -> Iterator[Epoch]:
        for number in range(first_epoch, plan.max_epochs + 1):
            asked = time.perf_counter()
            self._requests.put(EpochRequest(learner, plan, number))
            reply = self._replies.get()
            if isinstance(reply, BaseException):
                raise reply
            waited = time.perf_counter() - asked - reply.seconds
            yield replace(reply, waited_seconds=waited)

    def go_on(self, reply: Epoch | BaseException | None = None) -> None:
        """Let it run until its next request or its end."""
        with self._surroundings():
            if reply is None:
                self._thread.start()
            else:
                self._replies.put(reply)
            self.request = self._requests.get()


def run_together(
    runs: Sequence[SeedRun[T]],
    stages: Sequence[str],
    before_epoch: Callable[[], None] = lambda: None,
) -> list[T]:
    """Lead all runs to their ends, an epoch at a time for all that wait for the same one.

    A run that is behind catches up first; one that has ended is not waited for. What goes wrong
    in a shared epoch is raised in each run that shares it, and an interruption, which
    `before_epoch` raises, in all. What one run raises is raised once the others have ended.
    """
    trainer = Trainer()
    for run in runs:
        run.go_on()
    while waiting := {run: run.request for run in runs if run.request is not None}:
        first = min((stages.index(r.plan.stage), r.number) for r in waiting.values())
        group = {
            run: request
            for run, request in waiting.items()
            if (stages.index(request.plan.stage), request.number) == first
        }
        try:
            before_epoch()
            epochs = trainer.train(list(group.values()))
        except BaseException as error:
            for run in waiting if isinstance(error, KeyboardInterrupt) else group:
                run.go_on(error)
            continue
        for (run, request), epoch in zip(group.items(), epochs, strict=True):
            # as its own epoch would have left the generators: the shared one has drawn nothing
            seed_everything(request.plan.seed, "epoch", request.number)
            run.go_on(epoch)
    for run in runs:
        if run.error is not None:
            raise run.error
    return [cast(T, run.result) for run in runs]


class Trainer:
    """Trains the same epoch of several learners; the stack stays while the learners do."""

    def __init__(self) -> None:
        self._stack: Stack | None = None

    def train(self, requests: Sequence[EpochRequest]) -> list[Epoch]:
        learners = [request.learner for request in requests]
        if len(requests) == 1 or not pays(learners[0], requests[0].plan):
            return [train_epoch(each.learner, each.plan, each.number) for each in requests]
        if self._stack is None or list(self._stack.learners) != learners:
            self._stack = Stack(learners)
        plans = [request.plan for request in requests]
        return train_side_by_side(self._stack, plans, requests[0].number)
