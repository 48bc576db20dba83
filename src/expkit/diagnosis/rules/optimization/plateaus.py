"""A loss that stays where a constant prediction lies, and one that leaves all bounds: symptoms."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt

from expkit.diagnosis.curves import TrainingCurves, all_curves, lr_of, plainly
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.rule import Rule
from expkit.records.files import Record


@dataclass(frozen=True, kw_only=True)
class LossAtChance(Rule):
    """The training loss is that of a constant prediction, and nothing says that it will leave it.

    A slow start looks alike for some epochs, but its gradients live: the backbones of the puzzle
    lie within a thousandth of ln C for five epochs of eight steps, and then fall.
    """

    tolerance: Annotated[float, Gt(0)] = 0.02  # below the loss of a constant prediction
    max_fall: Annotated[float, Gt(0)] = 0.002  # of the loss, over the last half of the epochs
    min_epochs: Annotated[int, Ge(4)] = 10
    min_steps: Annotated[int, Gt(0)] = 1000

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        if evidence.metadata.task != "classification":
            return
        for curves in all_curves(evidence):
            if self._is_at_chance(curves) and (curves.has_died or self._is_flat(curves)):
                yield self._tell(curves)
                return

    def _is_at_chance(self, curves: TrainingCurves) -> bool:
        level, recent = curves.level, curves.losses[-3:]
        if level is None or curves.num_epochs < 3:
            return False
        # in an early epoch the worth of a pass is not told yet; above 1.5 it is something else
        return all((1 - self.tolerance) * level < loss < 1.5 * level for loss in recent)

    def _is_flat(self, curves: TrainingCurves) -> bool:
        """Long enough to have left it, and no lower than at half the time."""
        if curves.num_epochs < self.min_epochs or curves.num_steps < self.min_steps:
            return False
        if curves.num_epochs <= curves.warmup_epochs + 3:
            return False
        half = curves.num_epochs // 2
        middle = sum(curves.losses[half - 1 : half + 2]) / 3
        return curves.recent_loss() > (1 - self.max_fall) * middle

    def _tell(self, curves: TrainingCurves) -> Finding:
        level, loss = curves.level, curves.losses[-1]
        dead = "; no gradient reaches its weights any more" if curves.has_died else ""
        return Finding(
            severity="fatal" if curves.has_died else "warning",
            sentence=f"after {curves.num_epochs} epochs the training loss is {loss:.4g}, and "
            f"always predicting the same costs {level:.4g}{dead}",
            evidence={
                "loss": loss,
                "constant_answer_loss": level,
                "chance_loss": curves.evidence.metadata_of(curves.stage).chance_loss,
                "num_steps": curves.num_steps,
                "gradients_have_ceased": curves.has_died,
            },
            cause="the model has learnt nothing of its inputs, only how often each class comes",
            remedies=remedies_for(curves),
            stage=curves.stage,
            epoch=curves.num_epochs,
        )


def remedies_for(curves: TrainingCurves) -> list[list[str]]:
    """Return what most often frees a stuck model: scaled weights, scaled inputs, another rate."""
    config = curves.evidence.config
    remedies = []
    if config["model"].get("init") == "default":
        remedies.append(["model.init=kaiming"])
    if config["dataset"].get("normalise") in ("none", "unit"):
        remedies.append(["dataset.normalise=dataset"])
    if len(remedies) == 2:
        remedies.insert(0, [*remedies[0], *remedies[1]])
    return [*remedies, [f"optimizer.lr={plainly(lr_of(config) / 10)}"]]


@dataclass(frozen=True, kw_only=True)
class Diverged(Rule):
    """The loss is no number any more, or far above where it began."""

    growth: Annotated[float, Gt(1)] = 3.0  # of the loss to its first, or a constant prediction's

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        for stage in [*evidence.trainings, *evidence.gates]:
            records = evidence.epochs(stage)
            bad = next((each for each in records if not is_finite(each)), None)
            if bad is not None:
                yield self._tell_not_finite(evidence, stage, bad)
                return
        for curves in all_curves(evidence):
            start = max(curves.level or 0.0, curves.first_loss or 0.0)
            before, last = curves.losses[-2:] if curves.num_epochs > 2 else (0.0, 0.0)
            # a leap of the first epochs comes down by more than a fifth from one to the next
            if start > 0 and min(before, last) > self.growth * start and last > 0.8 * before:
                yield self._tell_grown(curves, start)
                return

    def _tell_not_finite(self, evidence: Evidence, stage: str, record: Record) -> Finding:
        """Where it began, as closely as that was recorded."""
        epoch = record["epoch"]
        named = {key: value for key, value in record.items() if key.endswith("/loss")}
        name = next(key for key, value in named.items() if not math.isfinite(value))
        signals = [e for e in evidence.of_kind("epoch", stage) if e["epoch"] == epoch]
        signal = signals[0] if signals else {}
        step, origin = signal.get("first_non_finite_step"), signal.get("origin") or {}
        where = f", first at its step {step}" if step else ""
        layer = f" in layer {origin['layer']}" if origin.get("layer") else ""
        return Finding(
            severity="fatal",
            sentence=f"{name} became {record[name]} in epoch {epoch}{where}{layer}",
            evidence={"epoch": epoch, name: record[name], "step": step, "origin": dict(origin)},
            cause="numbers left the range of the precision: too high a learning rate, a loss or "
            "a layer "
            "that divides by zero or takes its logarithm, or inputs that are no numbers",
            remedies=[[f"optimizer.lr={plainly(lr_of(evidence.config) / 10)}"]],
            stage=stage,
            epoch=epoch,
        )

    def _tell_grown(self, curves: TrainingCurves, start: float) -> Finding:
        loss = curves.losses[-1]
        return Finding(
            severity="fatal",
            sentence=f"the training loss is {loss:.3g} in epoch {curves.num_epochs}, "
            f"{loss / start:.2g} times where it began",
            evidence={"loss": loss, "first_loss": start, "growth": loss / start},
            cause="every epoch makes the model worse: most often the learning rate is too high",
            remedies=[[f"optimizer.lr={plainly(lr_of(curves.evidence.config) / 10)}"]],
            stage=curves.stage,
            epoch=curves.num_epochs,
        )


def is_finite(record: Record) -> bool:
    return all(math.isfinite(value) for key, value in record.items() if key.endswith("/loss"))
