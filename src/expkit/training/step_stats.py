"""Statistics of an epoch's steps: losses, gradients, updates; on the device until it ends."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

NUM_FIRST_STEPS = 20  # of a stage, which are recorded one by one
GROWTH = 1.5  # from one probe epoch to the next, once they are more than an epoch apart

Batch = tuple[Tensor, Tensor]


class ParameterGroups(Protocol):
    """What moves parameters: an optimizer, or several of them taken together."""

    @property
    def param_groups(self) -> Iterable[Mapping[str, Any]]: ...


class Stepped(Protocol):
    """A model with what takes its steps: a learner's, or that of somebody's own loop."""

    @property
    def model(self) -> nn.Module: ...

    @property
    def optimizer(self) -> ParameterGroups: ...

    @property
    def scaler(self) -> torch.amp.GradScaler: ...

    @property
    def max_gradient_norm(self) -> float | None: ...

    @property
    def lr(self) -> float: ...


def probe_epochs(max_epochs: int) -> frozenset[int]:
    """Return the epochs that are measured closely: 1, 2, 3, 4, 6, 10, 15, ... and the last.

    What goes wrong at once is seen at once, and a long training is not made longer.
    """
    found, epoch = [max_epochs], 1.0
    while epoch < max_epochs:
        found.append(int(epoch))
        epoch = max(epoch + 1, epoch * GROWTH)
    return frozenset(found)


class StepStats:
    """Measures one epoch: every step's loss, the first gradients, and the whole last step."""

    def __init__(
        self,
        learner: Stepped,
        num_batches: int,
        steps_before: int,
        *,
        closely: bool,
        time_fraction: float = 1.0,  # of what a batch takes that is several learners'
    ) -> None:
        self._learner = learner
        self._num_batches = num_batches
        self._steps_before = steps_before
        self._closely = closely
        self._time_fraction = time_fraction
        self._losses: list[Tensor] = []
        self._norms: list[Tensor] = []  # of the first steps
        self._lrs: list[float] = []
        self._clipped: list[Tensor] = []  # norms before clipping, of every step
        self._last_step: dict[str, Any] = {}
        self._data_seconds = 0.0
        self._scale_before = self._scale()

    def timed(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The same batches, with the time that they let the loop wait."""
        started = time.perf_counter()
        for batch in batches:
            self._data_seconds += (time.perf_counter() - started) * self._time_fraction
            yield batch
            started = time.perf_counter()

    @property
    def reads_gradients(self) -> bool:
        """Tell whether the next step is one whose gradients are looked at."""
        return self._is_first or self._is_looked_at

    @property
    def _is_first(self) -> bool:
        return self._steps_before + len(self._lrs) < NUM_FIRST_STEPS

    @property
    def _is_looked_at(self) -> bool:
        return self._closely and len(self._losses) == self._num_batches

    def before_step(self) -> LastStep | None:
        """Measure what can only be read while the gradients are there."""
        if self._is_first:
            self._norms.append(self._gradient_norm())
        self._lrs.append(self._learner.lr)
        return LastStep(self._learner.model, self._scale()) if self._is_looked_at else None

    def after_step(self, before: LastStep | None, norm: Tensor | None) -> None:
        """Measure the step; `norm` is of its gradients, where they were clipped."""
        if norm is not None:
            self._clipped.append(norm)
        if before is not None:
            self._last_step = before.compare(self._learner.model)

    def see(self, loss: Tensor) -> None:
        self._losses.append(loss.detach())

    def _gradient_norm(self) -> Tensor:
        given = [p.grad for p in self._learner.model.parameters() if p.grad is not None]
        return nn.utils.get_total_norm(given) / (self._scale() or 1.0)

    def _scale(self) -> float | None:
        scaler = self._learner.scaler
        return scaler.get_scale() if scaler.is_enabled() else None

    def read(self, seconds: float) -> dict[str, Any]:
        """The readings as plain numbers; this waits for the device."""
        losses = torch.stack(self._losses).double()
        scale = self._scale()
        return {
            "lrs": [group["lr"] for group in self._learner.optimizer.param_groups],
            "step_loss": _describe(losses),
            "first_non_finite_step": _first(~losses.isfinite()),
            "clipped_fraction": self._clipped_fraction(),
            "loss_scale": scale,
            "skipped_steps": _count_halvings(self._scale_before, scale),
            "seconds": {"data": self._data_seconds, "steps": seconds - self._data_seconds},
            **self._last_step,
        }

    def first_steps(self) -> list[dict[str, float]]:
        """The first steps of the stage, where this epoch has any of them."""
        if not self._norms:
            return []
        norms = torch.stack(self._norms).tolist()
        per_step = max(1, round(self._num_batches / max(1, len(self._lrs))))
        batches = torch.stack(self._losses).split(per_step)
        losses = torch.stack([step.mean() for step in batches[: len(norms)]]).tolist()
        rows = zip(losses, norms, self._lrs, strict=False)
        return [
            {"step": self._steps_before + i, "loss": loss, "gradient_norm": norm, "lr": lr}
            for i, (loss, norm, lr) in enumerate(rows, start=1)
        ]

    def _clipped_fraction(self) -> float | None:
        bound = self._learner.max_gradient_norm
        if bound is None or not self._clipped:
            return None
        return float((torch.stack(self._clipped) > bound).double().mean())


class LastStep:
    """The weights and gradients before a step, to be held against those after it."""

    def __init__(self, model: nn.Module, scale: float | None) -> None:
        self._names = [name for name, _ in model.named_parameters()]
        parameters = list(model.parameters())
        with torch.no_grad():
            self._weights = [p.detach().clone() for p in parameters]
        self._has_gradient = [p.grad is not None for p in parameters]
        self._device = parameters[0].device
        given = [p.grad for p in parameters if p.grad is not None]
        self._gradients = norms_of(given, self._device)
        self._scale = scale or 1.0

    @torch.no_grad()
    def compare(self, model: nn.Module) -> dict[str, Any]:
        """Compare each parameter with the one before the step; one transfer from the device."""
        parameters = [p.detach() for p in model.parameters()]
        changes = torch._foreach_sub(parameters, self._weights)
        left = [p.grad for p in model.parameters() if p.grad is not None]
        blocks = [
            norms_of(self._weights, self._device),
            norms_of(list(changes), self._device),
            self._gradients / self._scale,
            norms_of(left, self._device),
            torch.stack([_count_denormals(p) for p in self._weights]),
        ]
        weights, moved, gradients, remains, denormals = (
            part.tolist() for part in torch.cat(blocks).split([len(b) for b in blocks])
        )
        given = iter(gradients)
        is_trained = [p.requires_grad for p in model.parameters()]
        rows = []
        for i, name in enumerate(self._names):
            root = math.sqrt(max(1, parameters[i].numel()))
            rows.append(
                {
                    "name": name,
                    "weight_rms": weights[i] / root,
                    "gradient_rms": next(given) / root if self._has_gradient[i] else None,
                    "update_ratio": moved[i] / weights[i] if is_trained[i] and weights[i] else None,
                }
            )
        return {
            "parameters": rows,
            "gradient_norm": math.hypot(*gradients) if gradients else 0.0,
            "gradients_left": any(norm > 0 for norm in remains),
            "denormal_fraction": sum(denormals) / max(1, sum(p.numel() for p in parameters)),
        }


def norms_of(tensors: list[Tensor], device: torch.device) -> Tensor:
    """The length of each, in one tensor on the device."""
    if not tensors:
        return torch.zeros(0, device=device)
    return torch.stack(list(torch._foreach_norm(tensors))).float()


def _count_denormals(weight: Tensor) -> Tensor:
    tiny = torch.finfo(weight.dtype).tiny if weight.is_floating_point() else 0
    return ((weight.abs() < tiny) & (weight != 0)).sum().float()


def _describe(losses: Tensor) -> dict[str, float]:
    names = ("first", "last", "min", "max", "mean", "std")
    figures = (losses[0], losses[-1], losses.min(), losses.max(), losses.mean())
    return dict(zip(names, torch.stack([*figures, losses.std(correction=0)]).tolist(), strict=True))


def _first(is_so: Tensor) -> int | None:
    """The number of the first that is so, from 1."""
    found = is_so.nonzero()
    return int(found[0]) + 1 if len(found) else None


def _count_halvings(before: float | None, after: float | None) -> int | None:
    """fp16's scaler halves its scale at each step that it skips."""
    if before is None or after is None:
        return None
    return max(0, round(math.log2(before / after))) if after > 0 else None
