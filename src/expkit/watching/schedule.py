"""The steps of a learning-rate scheduler, beside those of its optimizer."""

from __future__ import annotations

from typing import Any

HORIZONS = ("total_steps", "T_max", "total_iters")  # how torch's schedulers call where they end


class ScheduleSteps:
    """Counts a scheduler's steps by its own counter, and tells where they began."""

    def __init__(self, scheduler: Any, *, may_skip_steps: bool) -> None:
        self._scheduler = scheduler
        self._may_skip_steps = may_skip_steps  # a scaler leaves out steps, which is no mistake
        self._start = self._count()
        self._read = self._start
        self.came_first = False  # before the optimizer's first step

    @property
    def is_countable(self) -> bool:
        """Tell whether the scheduler counts its steps as torch's do."""
        return self._start is not None

    def batch_begins(self) -> None:
        """The first batch is about to be trained on."""
        self.came_first = self._count() != self._start

    def step_begins(self) -> None:
        """The first optimizer step is about to be taken."""
        if not self._may_skip_steps:
            self.came_first = self.came_first or self._count() != self._start

    def read(self) -> dict[str, Any]:
        """The steps since it was last read, and what is known of the scheduler."""
        now, before = self._count(), self._read
        self._read = now
        ends = (getattr(self._scheduler, name, None) for name in HORIZONS)
        return {
            "class": type(self._scheduler).__name__,
            "steps": None if now is None or before is None else now - before,
            "horizon": next((int(e) for e in ends if isinstance(e, int | float)), None),
            "before_first_step": self.came_first,
        }

    def _count(self) -> int | None:
        count = getattr(self._scheduler, "last_epoch", None)
        return int(count) if isinstance(count, int | float) else None
