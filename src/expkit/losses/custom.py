"""A loss of a user's own, or of torch: anything that is called as loss(outputs, targets)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from expkit.errors import UserError

if TYPE_CHECKING:
    Loss = Callable[[Tensor, Tensor], Tensor]

SUMS = "the loss of twice the samples is twice as large: it sums over samples"


class MeanLoss(nn.Module):
    """A loss whose value is the mean over a batch, whether or not it takes the mean itself."""

    def __init__(self, loss: Loss) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return self.loss(outputs, targets).mean()


class OwnLoss:
    """A loss as it was built; the gates take cross-entropy, or the squared error of numbers."""

    def __init__(
        self, loss: Loss, task: Literal["classification", "regression"], num_outputs: int
    ) -> None:
        self.task = task
        self._loss = loss
        self._num_outputs = num_outputs

    def build(self, class_counts: Sequence[int] | None, *, plain: bool = False) -> nn.Module:
        """The loss itself, a copy each time; torch's own keeps the mean over its class weights."""
        if plain:
            return nn.CrossEntropyLoss() if self.task == "classification" else nn.MSELoss()
        loss = copy.deepcopy(self._loss)
        is_torchs = type(loss) in (nn.CrossEntropyLoss, nn.NLLLoss)
        if is_torchs and isinstance(loss, nn.Module) and loss.reduction == "mean":
            return loss
        return MeanLoss(loss)

    def check(self, target: str) -> None:
        """Refuse a loss that does not work as the loop calls it, or that would learn itself."""
        where = f"loss._target_={target}"
        if isinstance(self._loss, nn.Module):
            learnt = [name for name, p in self._loss.named_parameters() if p.requires_grad]
            if learnt:
                raise UserError(
                    f"the loss has parameters that no optimizer trains: {', '.join(learnt[:3])}",
                    where=where,
                    fix="put them into the model, or register them as buffers",
                )
        outputs, targets = self._made_up()
        reason = why_unusable(self._loss, outputs, targets)
        if reason is None and self._sums(outputs, targets):
            reason = SUMS
        if reason is not None:
            raise UserError(
                f"the loss cannot be used: {reason}",
                where=f"{where}\n{_called_with(outputs, targets)}",
                allowed="a mean over the batch, or a number for each sample, with a gradient",
                fix="take the mean: reduction='mean'" if reason == SUMS else None,
            )

    def _made_up(self) -> tuple[Tensor, Tensor]:
        """Outputs of six samples and what they should have been, the same at every call."""
        generator = torch.Generator().manual_seed(0)
        outputs = torch.randn(6, self._num_outputs, generator=generator)
        if self.task == "regression":
            return outputs, torch.randn(6, self._num_outputs, generator=generator)
        return outputs, torch.arange(6) % self._num_outputs

    def _sums(self, outputs: Tensor, targets: Tensor) -> bool:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            once = self._loss(outputs, targets).double()
            twice = self._loss(torch.cat([outputs] * 2), torch.cat([targets] * 2)).double()
        is_mean = once.ndim > 0 or once.abs() < 1e-6
        return not is_mean and bool((twice - 2 * once).abs() < 1e-4 * once.abs())


def why_unusable(loss: Loss, outputs: Tensor, targets: Tensor) -> str | None:
    """Say why a loss gives no loss for these outputs; None where it does."""
    outputs = outputs.clone().requires_grad_()
    try:
        with torch.random.fork_rng(devices=[]):
            value: Any = loss(outputs, targets)
    except Exception as error:
        return (str(error).strip().splitlines() or [type(error).__name__])[0]
    if not isinstance(value, Tensor):
        return f"it returns a {type(value).__name__}, and not with a tensor"
    if value.shape not in ((), (1,), (len(outputs),)):
        return f"it returns shape {tuple(value.shape)}"
    if not value.requires_grad:
        return "its value has no gradient"
    return None if bool(value.isfinite().all()) else f"it returns {value.mean().item()}"


def refuse_mixed(loss: Loss, num_classes: int, target: str) -> None:
    """Refuse mixed images where the loss does not take their fractions of classes, B x C."""
    outputs = torch.randn(6, num_classes, generator=torch.Generator().manual_seed(0))
    reason = why_unusable(loss, outputs, outputs.softmax(1).roll(1, 0))
    if reason is not None:
        raise UserError(
            f"mixed images have fractions of classes for targets, which this loss does not take: "
            f"{reason}",
            where=f"loss._target_={target}: called with targets of shape (6, {num_classes})",
            fix="expkit train ... augment.mixup_alpha=0 augment.cutmix_alpha=0",
        )


def _called_with(outputs: Tensor, targets: Tensor) -> str:
    return (
        f"called as loss(outputs, targets) with outputs {tuple(outputs.shape)} and targets "
        f"{tuple(targets.shape)}, {str(targets.dtype).removeprefix('torch.')}"
    )
