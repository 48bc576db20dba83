"""Right or wrong, summed on the device: nothing is read back before an epoch ends."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from expkit.metrics.task_types import TOP, has_top5

MOST_FRACTIONS = 100  # classes whose fraction of the predictions is reported one by one
SURE = 0.25  # the fraction of predictions that counts as the most confident ones


def target_ranks(logits_BC: Tensor, targets_B: Tensor) -> Tensor:
    """Return how many classes stand before the target: 0 is right. More dimensions may lead.

    Ties go to the lower index as argmax has it, so that a net with equal outputs scores chance;
    a NaN stands before everything, so that a broken net is never right.
    """
    logits_BC = logits_BC.float()  # comparing is three times as fast as in bf16
    target_logits = logits_BC.gather(-1, targets_B[..., None])
    ahead = ~(logits_BC <= target_logits)
    indices = torch.arange(logits_BC.shape[-1], device=logits_BC.device)
    tied_ahead = (logits_BC == target_logits) & (indices < targets_B[..., None])
    return (ahead | tied_ahead).sum(-1)


class MetricAccumulator:
    """Running sums of one pass over a split, or of the passes of several runs side by side.

    Of several, every tensor that is added has a first dimension more: the runs.
    With `class_counts` the samples are drawn in other fractions than those: accuracies are weighted
    back, so that they stand beside those of samples as they come.
    """

    def __init__(
        self,
        device: torch.device,
        *,
        closely: bool = False,
        class_counts: Tensor | None = None,
    ) -> None:
        self._closely = closely
        self._class_counts = class_counts
        self._by_class: Tensor | None = None  # runs x classes x (drawn, right, right in top)
        self._counts: Tensor | None = None  # of the predictions, by class
        self._confidences: list[Tensor] = []
        self._is_right: list[Tensor] = []
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
        num_samples, self._num_outputs = outputs.shape[-2:]
        self._num_samples += num_samples
        weight = num_samples if weight is None else weight
        self._loss = self._loss + loss.detach() * weight
        self._weight = self._weight + weight
        self._has_classes = not targets.is_floating_point()
        if self._has_classes:
            logits_BC = outputs.detach().float()
            ranks = target_ranks(logits_BC, targets)
            self._right = self._right + (ranks == 0).sum(-1)
            self._right_in_top = self._right_in_top + (ranks < TOP).sum(-1)
            self._count(logits_BC, ranks == 0)
            if self._class_counts is not None:
                self._count_by_class(targets, ranks)

    def _count(self, logits_BC: Tensor, is_right_B: Tensor) -> None:
        predictions_B = logits_BC.argmax(-1)
        *runs, num_classes = logits_BC.shape[:-2] + logits_BC.shape[-1:]
        if self._counts is None:
            self._counts = predictions_B.new_zeros(*runs, num_classes)
        if runs:  # each counts in its own row
            firsts = torch.arange(0, self._counts.numel(), num_classes, device=predictions_B.device)
            predictions_B = (predictions_B + firsts[:, None]).flatten()
        # not bincount: on a GPU it asks the host for the largest
        self._counts.view(-1).index_add_(0, predictions_B, torch.ones_like(predictions_B))
        if self._closely:
            self._confidences.append(logits_BC.softmax(-1).amax(-1))
            self._is_right.append(is_right_B)

    def _count_by_class(self, targets: Tensor, ranks: Tensor) -> None:
        *runs, _ = targets.shape
        num_classes = self._num_outputs
        if self._by_class is None:
            self._by_class = targets.new_zeros(*runs, num_classes, 3)
        if runs:
            firsts = torch.arange(0, runs[0] * num_classes, num_classes, device=targets.device)
            targets = targets + firsts[:, None]
        rows = torch.stack([torch.ones_like(ranks), ranks == 0, ranks < TOP], -1).long()
        self._by_class.view(-1, 3).index_add_(0, targets.flatten(), rows.view(-1, 3))

    def of_each(self, num_runs: int) -> list[MetricAccumulator]:
        """Those of every run, where several were summed side by side."""
        return [self._of_one(run, num_runs) for run in range(num_runs)]

    def _of_one(self, run: int, num_runs: int) -> MetricAccumulator:
        one = copy.copy(self)
        one._loss, one._weight = self._loss[run], self._weight.expand(num_runs)[run]
        if self._counts is not None:
            one._counts = self._counts[run]
            one._right, one._right_in_top = self._right[run], self._right_in_top[run]
        if self._by_class is not None:
            one._by_class = self._by_class[run]
        one._confidences = [each[run] for each in self._confidences]
        one._is_right = [each[run] for each in self._is_right]
        return one

    def means(self) -> dict[str, float]:
        """The figures of the pass; this waits for the device."""
        means = {"loss": self._loss.item() / self._weight.item()}
        if self._has_classes:
            right, right_in_top = self._shares_right()
            means["accuracy"] = right
            if has_top5(self._num_outputs):
                means["top5_accuracy"] = right_in_top
        return means

    def _shares_right(self) -> tuple[float, float]:
        """The fractions right of samples as they come; a class that was not drawn is left out."""
        if self._class_counts is None or self._by_class is None:
            count = self._num_samples
            return self._right.item() / count, self._right_in_top.item() / count
        drawn, right, in_top = self._by_class.cpu().double().unbind(-1)  # mps has no doubles
        weights = self._class_counts.cpu() * (drawn > 0) / drawn.clamp_min(1)
        total = float((weights * drawn).sum())
        return float((weights * right).sum()) / total, float((weights * in_top).sum()) / total

    def predictions(self) -> dict[str, Any]:
        """Which classes were predicted how often; empty where numbers are predicted."""
        if self._counts is None:
            return {}
        counts = self._counts.tolist()
        largest = max(range(len(counts)), key=counts.__getitem__)
        fractions = [count / self._num_samples for count in counts]
        return {
            "largest_fraction": fractions[largest],
            "largest_class": largest,
            "num_classes": sum(count > 0 for count in counts),
            **({"fractions": fractions} if len(fractions) <= MOST_FRACTIONS else {}),
        }

    def signals(self) -> dict[str, Any]:
        """The signals of a pass that the rules read beside its metrics."""
        weighted = {} if self._by_class is None else {"weighted_to_class_fractions": True}
        return {
            "predicted": self.predictions(),
            "confident_error": self.confident_errors(),
            **weighted,
        }

    def confident_errors(self) -> dict[str, float] | None:
        """The error rate of the most confident predictions; None where they were not kept."""
        if not self._confidences:
            return None
        confidences, is_right = torch.cat(self._confidences), torch.cat(self._is_right)
        count = max(1, round(SURE * len(confidences)))
        most_confident = confidences.nan_to_num(0.0).topk(count).indices
        return {"fraction": 1 - float(is_right[most_confident].double().mean()), "count": count}
