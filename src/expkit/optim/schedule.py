"""Learning-rate schedules as functions of how far training is: they hold no state to resume."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Le, Lt


@dataclass(frozen=True)
class Schedule(ABC):
    """Scales the optimizer's learning rate; a linear warm-up from 0 may stand before any."""

    warmup_epochs: Annotated[float, Ge(0)] = 0.0

    @abstractmethod
    def scale_after_warmup(self, fraction: float) -> float:
        """The scale at a fraction in [0, 1] of the epochs that follow the warm-up."""

    def scale(self, epochs: float, max_epochs: int) -> float:
        """The scale after this many epochs, fractions of one included."""
        if epochs < self.warmup_epochs:
            return epochs / self.warmup_epochs
        remaining = max_epochs - self.warmup_epochs
        fraction = (epochs - self.warmup_epochs) / remaining if remaining > 0 else 1.0
        return self.scale_after_warmup(min(fraction, 1.0))


@dataclass(frozen=True)
class Constant(Schedule):
    """The same rate throughout."""

    def scale_after_warmup(self, fraction: float) -> float:
        return 1.0


@dataclass(frozen=True)
class Cosine(Schedule):
    """From 1 to `final_scale` along half a cosine."""

    final_scale: Annotated[float, Ge(0)] = 0.0

    def scale_after_warmup(self, fraction: float) -> float:
        return bend(1.0, self.final_scale, fraction)


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Up to `peak_scale` and down to `final_scale`, along half a cosine each."""

    peak_scale: Annotated[float, Gt(0)] = 1.0
    rise_fraction: Annotated[float, Gt(0), Lt(1)] = 0.3
    initial_scale: Annotated[float, Ge(0), Le(1)] = 0.04
    final_scale: Annotated[float, Ge(0)] = 0.0001

    def scale_after_warmup(self, fraction: float) -> float:
        if fraction < self.rise_fraction:
            return bend(self.initial_scale, self.peak_scale, fraction / self.rise_fraction)
        fall = (fraction - self.rise_fraction) / (1 - self.rise_fraction)
        return bend(self.peak_scale, self.final_scale, fall)


def bend(start: float, end: float, fraction: float) -> float:
    """Half a cosine from start to end."""
    return end + (start - end) * (1 + math.cos(math.pi * fraction)) / 2
