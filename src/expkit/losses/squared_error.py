"""Mean squared error, for targets that are numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class SquaredError:
    """Mean over samples and over the numbers of each."""

    task = "regression"

    def build(self, class_counts: Sequence[int] | None, *, plain: bool = False) -> nn.Module:
        from torch import nn

        return nn.MSELoss()
