"""Steps that are not what they should be: piled up, cut short, or led by too few samples."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean
from typing import Annotated

from annotated_types import Ge, Gt, Le

from expkit.diagnosis.curves import TrainingCurves, all_curves
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.lr_estimate import estimate
from expkit.diagnosis.predicted_fractions import class_name, fractions_of, is_most
from expkit.diagnosis.remedies import one_digit
from expkit.diagnosis.rule import Rule
from expkit.diagnosis.settings import is_adaptive, lr_of, optimizer_options, usual_lr


@dataclass(frozen=True, kw_only=True)
class GradientsAccumulate(Rule):
    """Gradients are not cleared after a step, and each step goes along all those before it."""

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        if misses_parameters(evidence):  # gradients of what no step moves are never cleared
            return
        for record in [*evidence.of_kind("lr_range_test"), *evidence.of_kind("epoch")]:
            if record.get("gradients_left"):
                stage = record["stage"]
                norms = [each["gradient_norm"] for each in evidence.of_kind("step", stage)]
                yield self.finding(
                    "not_cleared",
                    {"gradients_left": True, "first_gradient_norms": norms[:10]},
                    stage=stage,
                    epoch=record["epoch"] or None,
                    optimizer=evidence.config["optimizer"]["_target_"],
                )
                return


def misses_parameters(evidence: Evidence) -> bool:
    rows = [row for record in evidence.of_kind("model") for row in record["parameters"]]
    return any(row["trainable"] and not row["optimised"] for row in rows)


@dataclass(frozen=True, kw_only=True)
class ClippingAlwaysActive(Rule):
    """Every step is cut, to a small part of its gradient, and learning is slow.

    Adam divides by the gradient's size: cutting all steps alike changes nothing for it, until
    gradients come near its eps.
    """

    min_fraction: Annotated[float, Gt(0), Le(1)] = 0.95
    max_kept_fraction: Annotated[float, Gt(0), Le(1)] = 0.1
    slow_fraction: Annotated[float, Gt(0)] = 0.5
    min_epochs: Annotated[int, Ge(2)] = 3

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        for curves in all_curves(evidence):
            fractions = [signal["clipped_fraction"] for signal in curves.signals]
            bound, norm = curves.config.get("max_gradient_norm"), curves.gradient_norm
            if bound is None or norm is None or len(fractions) < self.min_epochs:
                continue
            if any(fraction is None or fraction < self.min_fraction for fraction in fractions):
                continue
            if bound < self.max_kept_fraction * norm:
                yield self._always_cut(curves, float(bound), norm, fmean(fractions))
                return

    def _always_cut(
        self, curves: TrainingCurves, bound: float, norm: float, fraction: float
    ) -> Finding:
        is_slow = curves.level is not None and curves.losses[-1] > self.slow_fraction * curves.level
        return self.finding(
            "all_steps",
            {
                "clipped_fraction": fraction,
                "max_gradient_norm": bound,
                "typical_gradient_norm": norm,
                "last_loss": curves.losses[-1],
            },
            severity="warning" if is_slow and has_weak_steps(curves, bound) else "info",
            stage=curves.stage,
            epoch=curves.num_epochs,
            higher_norm=one_digit(2 * norm),
        )


def has_weak_steps(curves: TrainingCurves, bound: float) -> bool:
    """Tell whether the cut gradients make small steps, and not only equal ones."""
    config = curves.evidence.config
    if not is_adaptive(config):
        return True
    sizes = [record["parameters"] for record in curves.models]
    num_weights = sum(row["size"] for row in sizes[0]) if sizes else 1
    # a cut gradient's root mean square, beside what the optimizer adds to it
    return bound / math.sqrt(num_weights) < 10 * float(optimizer_options(config).get("eps", 0.0))


@dataclass(frozen=True, kw_only=True)
class BatchTooSmallForRate(Rule):
    """A usual rate, but steps led by so few samples that their noise undoes what they teach."""

    max_samples: Annotated[int, Ge(1)] = 8
    stuck_fraction: Annotated[float, Gt(0)] = 0.8
    min_noise: Annotated[float, Gt(0)] = 0.12
    min_steps: Annotated[int, Gt(0)] = 300
    min_epochs: Annotated[int, Ge(1)] = 3
    min_lr: Annotated[float, Ge(1)] = 2.0
    max_lr: Annotated[float, Ge(1)] = 12.0

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        for curves in all_curves(evidence):
            bound = self.max_lr * usual_lr(curves.evidence.config)
            noise = noise_of_steps(curves)
            if noise > self.min_noise and max(curves.lrs) <= bound and self._is_stuck(curves):
                yield self._too_small(curves, noise)
                return

    def _is_stuck(self, curves: TrainingCurves) -> bool:
        """Tell whether enough steps of few samples taught nothing, at a rate for larger batches."""
        too_few = curves.samples_per_step <= self.max_samples
        enough = curves.num_steps >= self.min_steps and curves.num_epochs >= self.min_epochs
        if not too_few or not enough or curves.level is None:
            return False
        good = estimate(curves.evidence, lr_of(curves.evidence.config))
        is_large = good is not None and max(curves.lrs) > self.min_lr * good
        is_stuck = curves.recent_loss() > self.stuck_fraction * curves.level
        return is_stuck and (curves.has_died or is_large)

    def _too_small(self, curves: TrainingCurves, noise: float) -> Finding:
        lr, split = lr_of(curves.evidence.config), curves.split
        last = fractions_of(curves.evidence, curves.signals[-1:], split)
        most = next((each for each in last if is_most(each)), None)
        return self.finding(
            "noisy_steps",
            {
                "samples_per_step": curves.samples_per_step,
                "learning_rate": lr,
                "noise": noise,
                "mean_loss": curves.recent_loss(),
                "constant_answer_loss": curves.level,
                "update_ratio": curves.update_ratio,
            },
            parts={"alike": most is not None},
            stage=curves.stage,
            epoch=curves.num_epochs,
            lower_lr=one_digit(lr * curves.samples_per_step / 64),
            split=split,
            most=most and most.predicted,
            class_name=most and class_name(curves.evidence, curves.stage, most),
        )


def noise_of_steps(curves: TrainingCurves) -> float:
    """The largest standard deviation of an epoch's step losses, as a fraction of their mean."""
    losses = [signal["step_loss"] for signal in curves.signals]
    return max((float(e["std"] / e["mean"]) for e in losses if e["mean"] > 0), default=0.0)
