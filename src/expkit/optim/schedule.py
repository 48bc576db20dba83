"""Learning-rate schedules as functions of how far training is: they hold no state to resume."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le, Lt

History = Sequence[Mapping[str, Any]]  # the records of a stage's finished epochs


@dataclass(frozen=True)
class Schedule(ABC):
    """Scales the optimizer's learning rates; a warm-up, linear in steps, may stand before any.

    The warm-up ends where the schedule itself begins.
    """

    warmup_epochs: Annotated[float, Ge(0)] = 0.0
    warmup_start_scale: Annotated[float, Ge(0), Le(1)] = 0.0

    @property
    def watched_metric(self) -> str | None:
        """The recorded metric that the schedule follows, if it follows one."""
        return None

    @abstractmethod
    def scale_after_warmup(self, epochs: float, max_epochs: int, history: History) -> float:
        """The scale after this many epochs, those of the warm-up among them."""

    def first_scale(self) -> float:
        """The scale with which the schedule begins once it is warm."""
        return 1.0

    def scale(self, epochs: float, max_epochs: int, history: History = ()) -> float:
        """The scale after this many epochs, fractions of one included."""
        if epochs >= self.warmup_epochs:
            return self.scale_after_warmup(epochs, max_epochs, history)
        rise = self.first_scale() - self.warmup_start_scale
        return self.warmup_start_scale + rise * epochs / self.warmup_epochs


@dataclass(frozen=True)
class Curve(Schedule, ABC):
    """Moves with every step, along a curve over all the epochs that follow the warm-up."""

    @abstractmethod
    def scale_at(self, fraction: float) -> float:
        """The scale at a fraction in [0, 1] of the curve."""

    def first_scale(self) -> float:
        return self.scale_at(0.0)

    def scale_after_warmup(self, epochs: float, max_epochs: int, history: History) -> float:
        remaining = max_epochs - self.warmup_epochs
        fraction = (epochs - self.warmup_epochs) / remaining if remaining > 0 else 1.0
        return self.scale_at(min(fraction, 1.0))


@dataclass(frozen=True)
class Constant(Curve):
    """The same rate throughout."""

    def scale_at(self, fraction: float) -> float:
        return 1.0


@dataclass(frozen=True)
class Linear(Curve):
    """From 1 to `final_scale` along a straight line."""

    final_scale: Annotated[float, Ge(0)] = 0.0

    def scale_at(self, fraction: float) -> float:
        return 1 + (self.final_scale - 1) * fraction


@dataclass(frozen=True)
class Cosine(Curve):
    """From 1 to `final_scale` along half a cosine."""

    final_scale: Annotated[float, Ge(0)] = 0.0

    def scale_at(self, fraction: float) -> float:
        return bend(1.0, self.final_scale, fraction)


@dataclass(frozen=True)
class OneCycle(Curve):
    """Up to `peak_scale` and down to `final_scale`, along half a cosine each."""

    peak_scale: Annotated[float, Gt(0)] = 1.0
    rise_fraction: Annotated[float, Gt(0), Lt(1)] = 0.3
    initial_scale: Annotated[float, Ge(0), Le(1)] = 0.04
    final_scale: Annotated[float, Ge(0)] = 0.0001

    def scale_at(self, fraction: float) -> float:
        if fraction < self.rise_fraction:
            return bend(self.initial_scale, self.peak_scale, fraction / self.rise_fraction)
        fall = (fraction - self.rise_fraction) / (1 - self.rise_fraction)
        return bend(self.peak_scale, self.final_scale, fall)


@dataclass(frozen=True)
class Step(Schedule):
    """Multiplies the rate by `factor` after every so many whole epochs that follow the warm-up."""

    every_epochs: Annotated[int, Ge(1)] = 30
    factor: Annotated[float, Gt(0), Lt(1)] = 0.1

    def scale_after_warmup(self, epochs: float, max_epochs: int, history: History) -> float:
        # an epoch that the warm-up ends in is not whole: no step falls within an epoch
        whole = max(math.floor(epochs) - math.ceil(self.warmup_epochs), 0)
        return float(self.factor ** (whole // self.every_epochs))


def bend(start: float, end: float, fraction: float) -> float:
    """Half a cosine from start to end."""
    return end + (start - end) * (1 + math.cos(math.pi * fraction)) / 2
