"""Right or wrong, summed on the device: nothing is read back before an epoch ends."""

from __future__ import annotations

import torch
from torch import Tensor

TOP = 5  # meaningful only where there are more classes than that


def target_ranks(logits_BC: Tensor, targets_B: Tensor) -> Tensor:
    """How many classes stand before the target: 0 is right.

    Ties go to the lower index as argmax has it, so that a net with equal outputs scores chance;
    a NaN stands before everything, so that a broken net is never right.
    """
    logits_BC = logits_BC.float()  # comparing is three times as fast as in bf16
    target_logits = logits_BC.gather(1, targets_B[:, None])
    ahead = ~(logits_BC <= target_logits)
    indices = torch.arange(logits_BC.shape[1], device=logits_BC.device)
    tied_ahead = (logits_BC == target_logits) & (indices < targets_B[:, None])
    return (ahead | tied_ahead).sum(1)


class Sums:
    """Running sums of one pass over a split."""

    def __init__(self, device: torch.device) -> None:
        self._loss = torch.zeros((), device=device)
        self._right = torch.zeros((), dtype=torch.long, device=device)
        self._right_in_top = torch.zeros((), dtype=torch.long, device=device)
        self._weight = torch.zeros((), device=device)
        self._num_samples = 0
        self._num_outputs = 0
        self._has_classes = False

    @torch.no_grad()
    def add(
        self, loss: Tensor, outputs: Tensor, targets: Tensor, weight: Tensor | float | None = None
    ) -> None:
        """One batch with its mean loss, which counts by `weight`; integer targets are classes."""
        self._num_samples += len(targets)
        self._num_outputs = outputs.shape[1]
        weight = len(targets) if weight is None else weight
        self._loss += loss.detach() * weight
        self._weight += weight
        self._has_classes = not targets.is_floating_point()
        if self._has_classes:
            ranks = target_ranks(outputs.detach(), targets)
            self._right += (ranks == 0).sum()
            self._right_in_top += (ranks < TOP).sum()

    def means(self) -> dict[str, float]:
        """The figures of the pass; this waits for the device."""
        means = {"loss": self._loss.item() / self._weight.item()}
        if self._has_classes:
            means["accuracy"] = self._right.item() / self._num_samples
            if self._num_outputs > TOP:
                means["top5_accuracy"] = self._right_in_top.item() / self._num_samples
        return means
