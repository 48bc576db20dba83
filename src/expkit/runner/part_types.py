"""The interfaces of the parts that a config names: what their `_target_` must make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from expkit.metrics.task_types import Task

if TYPE_CHECKING:
    from torch import nn


class LossSource(Protocol):
    """The type that a loss's `_target_` makes."""

    task: Task

    def build(self, class_counts: Sequence[int] | None, *, plain: bool = False) -> nn.Module: ...


class ScheduleSource(Protocol):
    """The type that a schedule's `_target_` makes."""

    @property
    def warmup_epochs(self) -> float: ...

    @property
    def watched_metric(self) -> str | None: ...

    def scale(
        self, epochs: float, max_epochs: int, history: Sequence[Mapping[str, Any]] = ()
    ) -> float: ...
