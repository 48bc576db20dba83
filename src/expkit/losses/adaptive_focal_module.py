"""The adaptive focal loss's arithmetic: class weights from running fractions of three kinds."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from expkit.losses.focal_module import focal_loss


class AdaptiveFocalLoss(nn.Module):
    """Focal loss whose weights rise for classes that are missed, and fall for those over-predicted.

    Of each class it keeps the running fraction of samples t, of predictions p, and of samples that
    are predicted right r, each batch of B forgetting exp(-B / memory) of them; recall is r / t. Its
    factor is (2 - recall) 2t / (t + p), divided by the mean factor of a sample, then bounded; its
    weight is that factor times the weight that was given. It begins as after a perfect `memory`.

    In eval mode nothing is kept, and the weights are those given: losses of epochs are comparable.
    """

    given: Tensor
    of_samples: Tensor
    of_predictions: Tensor
    of_right: Tensor

    def __init__(
        self,
        gamma: float,
        label_smoothing: float,
        given_C: Tensor,
        *,
        fractions_C: Tensor,
        memory: float,
        limits: tuple[float, float],
    ) -> None:
        super().__init__()
        self.gamma = gamma
        self.label_smoothing = label_smoothing
        self.memory = memory
        self.limits = limits
        self.register_buffer("given", given_C, persistent=False)  # the config's, and no state
        for name in ("of_samples", "of_predictions", "of_right"):
            self.register_buffer(name, fractions_C.clone())

    def forward(self, logits_BC: Tensor, targets: Tensor) -> Tensor:
        if self.training:
            self._follow(logits_BC, targets)
        return focal_loss(logits_BC, targets, self.weight, self.gamma, self.label_smoothing)

    @property
    def weight(self) -> Tensor:
        """The weight of each class as the loss takes it now: in eval mode the one given."""
        return self.followed_weights() if self.training else self.given

    @torch.no_grad()
    def followed_weights(self) -> Tensor:
        """Return each class's weight by the running fractions as they stand."""
        t_C, p_C = self.of_samples, self.of_predictions
        recall_C = torch.where(t_C > 0, self.of_right / t_C, 1.0)
        balance_C = torch.where(t_C + p_C > 0, 2 * t_C / (t_C + p_C), 1.0)
        raw_C = (2 - recall_C) * balance_C
        mean = (t_C * raw_C).sum() / t_C.sum()
        return self.given * (raw_C / mean).clamp(*self.limits)

    @torch.no_grad()
    def _follow(self, logits_BC: Tensor, targets: Tensor) -> None:
        """Take one batch into the running fractions; nothing is read back from the device."""
        num_samples, num_classes = logits_BC.shape
        wanted_BC = targets
        if not targets.is_floating_point():
            wanted_BC = functional.one_hot(targets, num_classes)
        wanted_BC = wanted_BC.to(self.of_samples.dtype)
        predicted_BC = functional.one_hot(logits_BC.argmax(1), num_classes).to(wanted_BC.dtype)
        keep = math.exp(-num_samples / self.memory)
        for kept_C, seen_BC in (
            (self.of_samples, wanted_BC),
            (self.of_predictions, predicted_BC),
            (self.of_right, wanted_BC * predicted_BC),
        ):
            kept_C.mul_(keep).add_(seen_BC.mean(0), alpha=1 - keep)
