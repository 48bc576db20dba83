"""A learning-rate scheduler of torch, or one of a user's own made like it, stepped every epoch."""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from expkit.errors import UserError

MakeScheduler = Callable[[torch.optim.Optimizer], LRScheduler]


class TorchSchedule:
    """The scales that a scheduler gives to an optimizer of its own, read off once.

    So it holds no state to resume, and the layers' own rates are scaled alike.
    """

    warmup_epochs = 0.0
    watched_metric: str | None = None

    def __init__(self, make: MakeScheduler, lr: float, target: str) -> None:
        self._make = make
        self._lr = lr
        self._target = target
        self._scales: list[float] = []
        self._read(1)

    def scale(
        self, epochs: float, max_epochs: int, history: Sequence[Mapping[str, Any]] = ()
    ) -> float:
        """The scale of the epoch that is under way."""
        if max_epochs > len(self._scales):
            self._read(max_epochs)
        return self._scales[min(math.floor(epochs), len(self._scales) - 1)]

    def _read(self, num_epochs: int) -> None:
        weight = torch.nn.Parameter(torch.zeros(()))
        optimizer = torch.optim.SGD([weight], lr=self._lr, momentum=0.9)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # nothing is learnt here, in whatever order
                scheduler = self._make(optimizer)
                self._refuse_unlike(scheduler)
                scales = []
                for _ in range(num_epochs):
                    scales.append(optimizer.param_groups[0]["lr"] / self._lr)
                    optimizer.step()
                    scheduler.step()
        except UserError:
            raise
        except Exception as error:
            raise UserError(
                f"the schedule fails in {num_epochs} epoch(s): {error}",
                where=f"schedule._target_={self._target}",
                allowed="a scheduler that is stepped once an epoch",
            ) from error
        self._scales = scales

    def _refuse_unlike(self, scheduler: object) -> None:
        if isinstance(scheduler, ReduceLROnPlateau):
            raise UserError(
                "a schedule that follows a metric is read off the records here",
                where=f"schedule._target_={self._target}",
                fix="expkit train ... schedule=plateau",
            )
        if not isinstance(scheduler, LRScheduler):
            raise UserError(
                f"the schedule makes a {type(scheduler).__name__}, and no scheduler",
                where=f"schedule._target_={self._target}",
                allowed="a torch.optim.lr_scheduler.LRScheduler, called with the optimizer",
            )
        if getattr(scheduler, "cycle_momentum", False):
            raise UserError(
                "the momentum would cycle with the learning rate, which no run here does",
                where=f"schedule._target_={self._target}",
                fix="cycle_momentum: false in its YAML, or schedule=one_cycle",
            )


def is_scheduler(built: object) -> bool:
    """Tell whether what was built makes a scheduler once it is given the optimizer."""
    made = built.func if isinstance(built, functools.partial) else built
    return isinstance(made, type) and issubclass(made, LRScheduler)
