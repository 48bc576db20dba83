"""Outputs and targets of somebody's own loop, as metrics and records take them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from expkit.errors import UserError
from expkit.metrics.predictions import ClassPredictions, Predictions, ValuePredictions
from expkit.training.accumulator import target_ranks

# classes: an index a sample. soft: probabilities a sample. binary: one logit a sample.
Kind = Literal["classes", "soft", "binary", "numbers"]
BINARY = ("BCEWithLogitsLoss", "binary_cross_entropy_with_logits")
LABELLED = ("CrossEntropyLoss", "cross_entropy")
SUPPORTED = (
    "outputs (B, C) with class indices (B) or probabilities (B, C); one logit a sample with "
    "BCEWithLogitsLoss; numbers of one shape in both"
)


@dataclass(frozen=True)
class Shapes:
    """The kind of a loop's outputs and targets, and how many outputs a sample has."""

    kind: Kind
    num_outputs: int

    @classmethod
    def of(cls, outputs: Tensor, targets: Tensor, loss_name: str) -> Shapes:
        """Tell them from a first batch; others than metrics know are refused."""
        count, name = len(targets) if targets.dim() else 0, loss_name.rpartition(".")[2]
        is_table = outputs.dim() == 2 and len(outputs) == count
        if name in BINARY and outputs.numel() == targets.numel() == count:
            return cls("binary", 2)
        if not targets.is_floating_point() and targets.dim() == 1 and is_table:
            return cls("classes", outputs.shape[1])
        if targets.is_floating_point() and name in LABELLED and outputs.shape == targets.shape:
            if is_table:
                return cls("soft", outputs.shape[1])
        elif (
            targets.is_floating_point()
            and name not in BINARY
            and outputs.numel() == targets.numel() > 0
        ):
            return cls("numbers", targets.numel() // count)
        raise UserError(
            f"outputs {_shape(outputs)} and targets {_shape(targets)} are none that expkit.watch "
            "knows how to measure",
            where=f"loss={loss_name}" if loss_name else "outputs, targets",
            allowed=SUPPORTED,
            fix="hand over what fits: watch.step(loss, outputs, targets)",
        )

    @property
    def has_classes(self) -> bool:
        return self.kind != "numbers"

    def fit(self, outputs: Tensor, targets: Tensor) -> bool:
        """Tell whether another batch is of these shapes."""
        count = len(targets) if targets.dim() else 0
        if self.kind in ("binary", "numbers"):
            each = 1 if self.kind == "binary" else self.num_outputs
            return count > 0 and outputs.numel() == targets.numel() == count * each
        width = targets.dim() == 1 or targets.shape == outputs.shape
        return count > 0 and outputs.shape == (count, self.num_outputs) and width

    def refuse_unfit(self, outputs: Tensor, targets: Tensor, *, where: str) -> None:
        """Refuse held-out outputs that no metric could be made of beside training's."""
        if not self.fit(outputs, targets):
            raise UserError(
                f"outputs {_shape(outputs)} and targets {_shape(targets)} do not fit each other, "
                "or those of training",
                where=where,
                allowed=f"{self.num_outputs} outputs a sample, and a target for each sample",
                fix="concatenate the batches of one pass over the held-out samples",
            )
        labels = self.labels(targets)
        if self.has_classes and bool(((labels < 0) | (labels >= self.num_outputs)).any()):
            raise UserError(
                f"a target is none of the {self.num_outputs} classes",
                where=f"{where}: from {int(labels.min())} to {int(labels.max())}",
                allowed=f"0 to {self.num_outputs - 1}",
            )

    def logits(self, outputs: Tensor) -> Tensor:
        """The outputs, a row a sample and a column a class or number."""
        outputs = outputs.detach()
        if self.kind == "binary":
            logits_B = outputs.reshape(-1)
            return torch.stack([torch.zeros_like(logits_B), logits_B], 1)
        return outputs.reshape(-1, self.num_outputs)

    def labels(self, targets: Tensor) -> Tensor:
        """The targets as metrics take them: class indices, or numbers."""
        targets = targets.detach()
        if self.kind == "binary":
            return (targets.reshape(-1) > 0.5).long()
        if targets.is_floating_point() and self.has_classes:
            return targets.argmax(1)
        return targets.long() if self.has_classes else targets.reshape(-1, self.num_outputs)

    def predictions(
        self, split: str, outputs: Tensor, targets: Tensor, names: tuple[str, ...]
    ) -> Predictions:
        """Every sample's output, in the order in which it was handed over."""
        logits_NC, labels = self.logits(outputs).float(), self.labels(targets)
        samples = [str(number) for number in range(len(labels))]
        if not self.has_classes:
            return ValuePredictions(
                split, samples, labels.float().cpu().numpy(), logits_NC.cpu().numpy(), names
            )
        return ClassPredictions(
            split=split,
            samples=samples,
            targets=labels.cpu().numpy(),
            predictions=logits_NC.argmax(1).cpu().numpy(),
            ranks=target_ranks(logits_NC, labels).cpu().numpy(),
            probabilities=logits_NC.softmax(1).cpu().numpy(),
            class_names=names,
        )


def _shape(tensor: Tensor) -> str:
    return f"{tuple(tensor.shape)} of {str(tensor.dtype).removeprefix('torch.')}"


def main_output(output: Any) -> Tensor | None:
    """The tensor of predictions among what a model returns: its first, or its `logits`."""
    if isinstance(output, Mapping):
        output = output.get("logits", output.get("out", next(iter(output.values()), None)))
    elif hasattr(output, "logits"):
        output = output.logits
    elif isinstance(output, tuple | list) and output:
        output = output[0]
    return output if isinstance(output, Tensor) and output.is_floating_point() else None


def as_tensor(given: Any, name: str) -> Tensor:
    """One tensor of what was handed over: a tensor, a list of batches, or an array."""
    import numpy as np

    if isinstance(given, Tensor):
        return given.detach()
    if isinstance(given, np.ndarray):
        return torch.from_numpy(given)
    if isinstance(given, list | tuple) and given and all(isinstance(e, Tensor) for e in given):
        return torch.cat(
            [each.detach().reshape(1) if not each.dim() else each.detach() for each in given]
        )
    raise UserError(
        f"{name} are {type(given).__name__}, and no tensor",
        where=f"watch.epoch({name}=...)",
        allowed="a tensor, a numpy array, or a list of the tensors of batches",
        fix="collect them: all_outputs.append(outputs.detach()), then "
        "watch.epoch(all_outputs, all_targets)",
    )


class CalledLoss(nn.Module):
    """A loss that was handed over as a function."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self._function = function

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        loss: Tensor = self._function(outputs, targets)
        return loss
