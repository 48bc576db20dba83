"""Where numbers stopped being finite: the epoch once more, with every layer watched."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from expkit.training.learner import Learner
from expkit.training.loop import Epoch


class _NotFiniteError(Exception):
    """Ends the repeated epoch where it went wrong."""


def find_origin(learner: Learner, repeat: Callable[[], Epoch]) -> dict[str, Any] | None:
    """The first module with an output that is not finite, in the step in which it had one.

    The learner must stand as it did before the epoch that `repeat` trains again: every epoch draws
    from seeds of its own, so it goes wrong again. None where it does not.
    """
    watch = _Watch(learner)
    with watch.open():
        try:
            repeat()
        except _NotFiniteError:
            return watch.origin
    return None


class _Watch:
    """Raises at the first output that is not finite."""

    def __init__(self, learner: Learner) -> None:
        self._learner = learner
        self._num_calls = 0
        self._loss_before: float | None = None
        self.origin: dict[str, Any] = {}

    @contextmanager
    def open(self) -> Iterator[None]:
        handles = [self._learner.loss.register_forward_hook(self._check_loss)]
        for name, module in self._learner.model.named_modules():
            if next(module.children(), None) is None:
                handles.append(module.register_forward_hook(self._checker(name)))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _checker(self, name: str) -> Any:
        def check(module: nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and not bool(output.isfinite().all()):
                is_broken = any(not bool(p.isfinite().all()) for p in module.parameters())
                self._tell(name, module, "weights" if is_broken else "output")

        return check

    def _check_loss(self, module: nn.Module, inputs: Any, output: Tensor) -> None:
        self._num_calls += 1
        if not bool(output.isfinite().all()):
            self._tell("loss", module, "output")
        self._loss_before = output.item()

    def _tell(self, name: str, module: nn.Module, where: str) -> None:
        batch = self._num_calls + (name != "loss")
        kind = type(module).__name__
        self.origin = {"layer": name, "type": kind, "where": where, "batch": batch}
        # with them a layer's own fault is told apart from numbers that had grown for long
        largest = max((p.abs().max().item() for p in self._learner.model.parameters()), default=0.0)
        self.origin |= {"loss_before": self._loss_before, "largest_weight": largest}
        raise _NotFiniteError
