"""Cross-entropy for classes, with smoothed labels and weighted classes where asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Ge, Gt, Lt

from expkit.losses.class_weights import weights_of_classes

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class CrossEntropy:
    """Cross-entropy as configured; `build` makes the module once the classes are known."""

    task = "classification"

    label_smoothing: Annotated[float, Ge(0), Lt(1)] = 0.0
    class_weights: Sequence[Annotated[float, Gt(0)]] | Literal["balanced"] | None = None

    def build(self, class_counts: Sequence[int] | None, *, plain: bool = False) -> nn.Module:
        """A plain one is for gates: smoothed labels cannot be learnt by heart.

        Targets are classes, or B x C probabilities; of the latter, torch takes the plain mean
        over samples even where classes are weighted.
        """
        from torch import nn

        if plain:
            return nn.CrossEntropyLoss()
        assert class_counts is not None, "the task was checked before"
        return nn.CrossEntropyLoss(
            weight=weights_of_classes(self.class_weights, class_counts),
            label_smoothing=self.label_smoothing,
        )
