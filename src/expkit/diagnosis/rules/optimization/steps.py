"""Steps that are not what they should be: piled up, cut short, or led by too few samples."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean
from typing import Annotated

from annotated_types import Ge, Gt, Le

from expkit.diagnosis.curves import (
    USUAL_ADAPTIVE_RATE,
    USUAL_RATES,
    TrainingCurves,
    all_curves,
    is_adaptive,
    lr_of,
    optimizer_name,
    plainly,
)
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding, Severity, counted
from expkit.diagnosis.lr_estimate import estimate
from expkit.diagnosis.rule import Rule
from expkit.metrics.percentages import percent


@dataclass(frozen=True, kw_only=True)
class GradientsAccumulate(Rule):
    """Gradients are not cleared after a step, and each step goes along all those before it."""

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        if misses_parameters(evidence):  # gradients of what no step moves are never cleared
            return
        for record in [*evidence.of_kind("rates"), *evidence.of_kind("epoch")]:
            if record.get("gradients_left"):
                yield self._tell(evidence, record["stage"], record["epoch"])
                return

    def _tell(self, evidence: Evidence, stage: str, epoch: int) -> Finding:
        norms = [record["gradient_norm"] for record in evidence.of_kind("step", stage)]
        return Finding(
            severity="fatal",
            sentence="gradients are still there after a step: none are cleared",
            evidence={"gradients_left": True, "first_gradient_norms": norms[:10]},
            cause=f"{evidence.config['optimizer']['_target_']} does not clear them in zero_grad: "
            "every step goes along the sum of all gradients so far",
            remedies=[["optimizer=adam"], ["optimizer=sgd"]],
            stage=stage,
            epoch=epoch or None,
        )


def misses_parameters(evidence: Evidence) -> bool:
    rows = [row for record in evidence.of_kind("model") for row in record["parameters"]]
    return any(row["trainable"] and not row["optimised"] for row in rows)


@dataclass(frozen=True, kw_only=True)
class ClippingAlwaysActive(Rule):
    """Every step is cut, to a small part of its gradient, and learning is slow.

    Adam divides by the gradient's size: cutting all steps alike changes nothing for it, until
    gradients come near its eps.
    """

    min_fraction: Annotated[float, Gt(0), Le(1)] = 0.95  # of the steps
    max_kept_fraction: Annotated[float, Gt(0), Le(1)] = 0.1  # of the typical gradient's norm
    slow_fraction: Annotated[float, Gt(0)] = 0.5  # of the loss of a constant prediction
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
                yield self._tell(curves, float(bound), norm, fmean(fractions))
                return

    def _tell(self, curves: TrainingCurves, bound: float, norm: float, fraction: float) -> Finding:
        is_slow = curves.level is not None and curves.losses[-1] > self.slow_fraction * curves.level
        severity: Severity = "warning" if is_slow and has_weak_steps(curves, bound) else "info"
        return Finding(
            severity=severity,
            sentence=f"{percent(fraction, 0)} of all steps are cut to the norm {bound:g}, where "
            f"gradients typically have {norm:.2g}",
            evidence={
                "clipped_fraction": fraction,
                "max_gradient_norm": bound,
                "typical_gradient_norm": norm,
                "last_loss": curves.losses[-1],
            },
            cause="the bound is not a guard against rare steps: it sets the size of all of them",
            remedies=[
                [f"procedure.{curves.stage}.max_gradient_norm={plainly(2 * norm)}"],
                [f"procedure.{curves.stage}.max_gradient_norm=null"],
            ],
            stage=curves.stage,
            epoch=curves.num_epochs,
        )


def has_weak_steps(curves: TrainingCurves, bound: float) -> bool:
    """Tell whether the cut gradients make small steps, and not only equal ones."""
    config = curves.evidence.config
    if not is_adaptive(config):
        return True
    sizes = [record["parameters"] for record in curves.evidence.of_kind("model")]
    num_weights = sum(row["size"] for row in sizes[0]) if sizes else 1
    # a cut gradient's root mean square, beside what the optimizer adds to it
    return bound / math.sqrt(num_weights) < 10 * float(config["optimizer"].get("eps", 0.0))


@dataclass(frozen=True, kw_only=True)
class BatchTooSmallForRate(Rule):
    """A usual rate, but steps led by so few samples that their noise undoes what they teach."""

    max_samples: Annotated[int, Ge(1)] = 8  # a step
    stuck_fraction: Annotated[float, Gt(0)] = 0.8  # of the loss of a constant prediction
    min_noise: Annotated[float, Gt(0)] = 0.12  # standard deviation of the steps' losses, of a mean
    min_steps: Annotated[int, Gt(0)] = 300
    max_lr: Annotated[float, Ge(1)] = 12.0  # times the usual: above, the rate alone is to blame

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        usual = USUAL_RATES.get(optimizer_name(evidence.config), USUAL_ADAPTIVE_RATE)
        bound = self.max_lr * usual
        for curves in all_curves(evidence):
            noise = noise_of(curves)
            if noise > self.min_noise and max(curves.lrs) <= bound and self._is_stuck(curves):
                yield self._tell(curves, noise)
                return

    def _is_stuck(self, curves: TrainingCurves) -> bool:
        """After enough steps of few samples, of a size that larger batches would bear."""
        too_few = curves.samples_per_step <= self.max_samples
        enough = curves.num_steps >= self.min_steps and curves.num_epochs >= 3
        if not too_few or not enough or curves.level is None:
            return False
        good = estimate(curves.evidence, lr_of(curves.evidence.config))
        is_large = good is not None and max(curves.lrs) > 2 * good
        return curves.recent_loss() > self.stuck_fraction * curves.level and (
            curves.has_died or is_large
        )

    def _tell(self, curves: TrainingCurves, noise: float) -> Finding:
        lr = lr_of(curves.evidence.config)
        return Finding(
            severity="warning",
            sentence=f"a step of {counted(curves.samples_per_step, 'sample')} at rate {lr:g}: "
            f"the losses of "
            f"steps scatter by {percent(noise, 0)}, and their mean stays at "
            f"{curves.recent_loss():.3g}",
            evidence={
                "samples_per_step": curves.samples_per_step,
                "learning_rate": lr,
                "noise": noise,
                "mean_loss": curves.recent_loss(),
                "constant_answer_loss": curves.level,
                "update_ratio": curves.update_ratio,
            },
            cause="the gradients of so few samples are mostly noise, and the learning rate lets "
            "it in",
            remedies=[
                [f"procedure.{curves.stage}.batch_size=32"],
                [f"optimizer.lr={plainly(lr * curves.samples_per_step / 64)}"],
            ],
            stage=curves.stage,
            epoch=curves.num_epochs,
        )


def noise_of(curves: TrainingCurves) -> float:
    """The most that the losses of an epoch's steps scattered, as a fraction of their mean."""
    losses = [signal["step_loss"] for signal in curves.signals]
    return max((float(e["std"] / e["mean"]) for e in losses if e["mean"] > 0), default=0.0)
