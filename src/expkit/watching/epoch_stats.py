"""What one epoch of somebody's own loop did, kept on the device until it ends."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from expkit.training.accumulator import MetricAccumulator
from expkit.training.step_stats import LastStep, StepStats
from expkit.watching.learner import WatchedLearner
from expkit.watching.outputs import Shapes

MOST_STEPS = 20_000  # of one epoch, whose numbers wait on the device
MOST_SUMS = 5_000  # batches that are held against each other
INCREASE = 1e-3  # of a gradient between backward and unscaling, which nobody means


@dataclass(frozen=True)
class Batch:
    """A call of the loss: its value, and what it was made of."""

    loss: Tensor
    outputs: Tensor
    targets: Tensor
    in_eval_mode: bool


class WatchedSteps(StepStats):
    """The statistics of steps of which nobody told how many there are."""

    is_last = False  # the next step is taken for the epoch's last one, which is looked at closely

    def __init__(self, learner: WatchedLearner, steps_before: int, *, closely: bool) -> None:
        super().__init__(learner, 0, steps_before, closely=closely)

    @property
    def _is_looked_at(self) -> bool:
        return self._closely and self.is_last and not self._last_step

    @property
    def num_losses(self) -> int:
        return len(self._losses)

    @property
    def num_steps(self) -> int:
        return len(self._lrs)

    @property
    def num_steps_so_far(self) -> int:
        """The steps of the whole loop."""
        return self._steps_before + len(self._lrs)

    @property
    def lrs(self) -> list[float]:
        """The learning rate of each step."""
        return self._lrs

    def close(self) -> None:
        """Take the batches that there were for those that were expected."""
        self._num_batches = len(self._losses)


class EpochStats:
    """One epoch: its metrics, its steps, and how the loop went about them."""

    def __init__(
        self, learner: WatchedLearner, steps_before: int, *, closely: bool, expected_steps: int
    ) -> None:
        self.learner = learner
        self.closely = closely
        self.expected_steps = expected_steps
        self.accumulator = MetricAccumulator(learner.device.torch_device, closely=closely)
        self.steps = WatchedSteps(learner, steps_before, closely=closely)
        self.num_samples = 0
        self.started: float | None = None
        self.ended = 0.0
        self.without_gradient = 0
        self.in_eval_mode = 0
        self.evaluated = Counter[str]()  # samples since the last step, by the model's mode
        self.class_counts: Tensor | None = None
        self.broadcast: tuple[str, str] | None = None  # shapes of outputs and targets
        self._since_step = 0  # batches whose loss went backward
        self._batches_per_step: list[int] = []
        self._factors: list[Tensor] = []  # of losses, on their way backward
        self._sums: list[Tensor] = []  # of the inputs of each batch
        self._lowest: Tensor | None = None
        self._highest: Tensor | None = None
        self._row_sums: list[Tensor] = []
        self._left: list[Tensor] = []  # gradients that a backward pass of this step met
        self._is_cleared = False
        self._left_at_steps: list[Tensor] = []
        self._cleared_steps = 0
        self._clipped_early: list[Tensor] = []

    # what the hooks see

    def add(self, batch: Batch, shapes: Shapes, factor: Tensor | None, reduction: str) -> None:
        """Count a batch whose loss went backward."""
        logits_BC, labels = shapes.logits(batch.outputs), shapes.labels(batch.targets)
        count = len(labels)
        if shapes.has_classes:
            labels = labels.clamp(0, shapes.num_outputs - 1)  # one that is ignored is below 0
            self._count_classes(labels, shapes.num_outputs)
        loss = batch.loss.float().mean()
        loss = loss / count if reduction == "sum" else loss
        self.accumulator.add(loss, logits_BC, labels, self._weight_of(labels))
        self.steps.see(loss)
        self.num_samples += count
        self.in_eval_mode += batch.in_eval_mode
        self._see_targets(batch.targets, shapes)
        if shapes.kind == "numbers" and batch.outputs.shape != batch.targets.shape:
            self.broadcast = (str(tuple(batch.outputs.shape)), str(tuple(batch.targets.shape)))
        self._since_step += 1
        if factor is not None:
            self.see_factor(factor)

    def see_factor(self, factor: Tensor) -> None:
        """Keep the number by which a loss was multiplied on its way back."""
        self._factors.append(factor.float())

    def _weight_of(self, labels: Tensor) -> Tensor | None:
        """The weight of a batch's mean loss, where its classes have weights."""
        weight_C = getattr(self.learner.loss, "weight", None)
        if not isinstance(weight_C, Tensor) or labels.is_floating_point():
            return None
        return weight_C.detach()[labels].sum()

    def _count_classes(self, labels: Tensor, num_classes: int) -> None:
        if self.class_counts is None:
            self.class_counts = labels.new_zeros(num_classes)
        self.class_counts.index_add_(0, labels, torch.ones_like(labels))

    def _see_targets(self, targets: Tensor, shapes: Shapes) -> None:
        lowest, highest = targets.detach().aminmax()
        self._lowest = lowest if self._lowest is None else torch.minimum(self._lowest, lowest)
        self._highest = highest if self._highest is None else torch.maximum(self._highest, highest)
        if shapes.kind == "soft":
            self._row_sums.append((targets.detach().sum(1) - 1).abs().amax())

    def see_inputs(self, inputs: Tensor) -> None:
        """Keep the sum of a training batch's inputs, by which equal batches are found."""
        if len(self._sums) < MOST_SUMS:
            self._sums.append(inputs.detach().sum(dtype=torch.float32))

    def see_backward(self, gradient: Tensor | None) -> None:
        """Look at the gradient that a backward pass met: there is none where it was cleared."""
        if gradient is None:
            self._is_cleared = True
        elif not self._is_cleared:
            self._left.append(torch.linalg.vector_norm(gradient.detach(), float("inf")))

    def see_unscaling(self, before: Tensor, now: Tensor) -> None:
        """Hold a gradient at its unscaling against the one that the backward pass left."""
        self._clipped_early.append(torch.stack([before, now]).float())

    def before_step(self, *, has_gradient: bool, may_look: bool = True) -> LastStep | None:
        """Look at a step that is about to be taken."""
        self.evaluated.clear()
        self.steps.is_last = may_look and self.steps.num_steps + 1 >= self.expected_steps
        self.without_gradient += not has_gradient
        return self.steps.before_step()

    def after_step(self, before: LastStep | None) -> None:
        self.steps.after_step(before, None)
        self._batches_per_step.append(self._since_step)
        if self._is_cleared:
            self._cleared_steps += 1
        elif self._left:
            self._left_at_steps.append(torch.stack(self._left).amin().float())
        self._left, self._is_cleared, self._since_step = [], False, 0
        self.ended = time.perf_counter()

    @property
    def has_batch_since_step(self) -> bool:
        return self._since_step > 0

    @property
    def has_seen_training(self) -> bool:
        """Tell whether there is anything to write down: a loss, and a step that came of one."""
        return self.steps.num_losses > 0 and self.steps.num_steps > 0

    @property
    def is_first_of_all(self) -> bool:
        """Tell whether the loop has taken no step yet."""
        return self.steps.num_steps_so_far == 0

    @property
    def is_full(self) -> bool:
        return max(self.steps.num_steps, self.steps.num_losses) >= MOST_STEPS

    # what is read when it ends

    @property
    def seconds(self) -> float:
        return max(self.ended - (self.started or self.ended), 1e-9)

    def read_loop(self, num_batches: int | None) -> dict[str, Any]:
        """The numbers by which mistakes of a loop are found; this waits for the device."""
        steps = self.steps.num_steps
        left = torch.stack(self._left_at_steps).tolist() if self._left_at_steps else []
        num_left = sum(each > 0 for each in left)
        return {
            "steps": steps,
            "batches": self.steps.num_losses,
            "samples": self.num_samples,
            "expected_batches": num_batches,
            "steps_not_cleared": num_left,
            "steps_cleared": self._cleared_steps + len(left) - num_left,
            "steps_without_gradient": self.without_gradient,
            "batches_in_eval_mode": self.in_eval_mode,
            "most_batches_a_step": max(self._batches_per_step, default=0),
            "loss_factors": self._read_factors(),
            "repeated_batches": self._count_repeated(),
            "targets": self._read_targets(),
            "broadcast": self.broadcast,
            "clipped_before_unscaling": self._read_clipping(),
            "first_lr": self.steps.lrs[0] if steps else None,
            "highest_lr": max(self.steps.lrs, default=None),
            "last_lr": self.steps.lrs[-1] if steps else None,
        }

    def _read_factors(self) -> list[float] | None:
        """The least and the greatest number by which a loss was multiplied before going back."""
        if not self._factors:
            return None
        factors = torch.stack(self._factors)
        return torch.stack(factors.aminmax()).tolist()

    def _count_repeated(self) -> dict[str, int] | None:
        """The batches whose inputs another batch of the epoch had, too."""
        if len(self._sums) < 2:
            return None
        sums = Counter(torch.stack(self._sums).tolist())
        return {
            "batches": len(self._sums),
            "repeated": sum(count for count in sums.values() if count > 1),
            "different": len(sums),
        }

    def _read_targets(self) -> dict[str, float] | None:
        if self._lowest is None or self._highest is None:
            return None
        ends = {"lowest": float(self._lowest), "highest": float(self._highest)}
        if self._row_sums:
            ends["largest_row_error"] = float(torch.stack(self._row_sums).amax())
        return ends

    def _read_clipping(self) -> dict[str, float] | None:
        if not self._clipped_early:
            return None
        before, now = torch.stack(self._clipped_early).double().unbind(1)
        known = (before > 0) & before.isfinite() & now.isfinite()
        ratios = now[known] / before[known]
        changed = ratios < 1 - INCREASE
        return {
            "steps": int(known.sum()),
            "changed": int(changed.sum()),
            "ratio": float(ratios[changed].median()) if changed.any() else 1.0,
        }
