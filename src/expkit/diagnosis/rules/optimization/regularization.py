"""Regularization that leaves nothing to be learnt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le, Lt

from expkit.diagnosis.curves import TrainingCurves
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.failed_gates import FailedGate, first_found
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.remedies import weaker
from expkit.diagnosis.rule import Rule
from expkit.diagnosis.settings import lr_of, numbers_named, usual_lr, written


@dataclass(frozen=True, kw_only=True)
class RegularizationTooStrong(Rule):
    """The training set is not learnt, under settings that take most of the signal away.

    It is a fault where the loss is high without dropout and noise as well: a high loss in training
    mode alone is what strong regularization aims at, unless next to nothing is recognized in it.
    """

    min_dropout: Annotated[float, Gt(0), Lt(1)] = 0.7
    min_noise: Annotated[float, Gt(0)] = 0.4
    min_lost_fraction: Annotated[float, Gt(0), Le(1)] = 0.7
    min_probability: Annotated[float, Gt(0), Le(1)] = 0.5
    stuck_fraction: Annotated[float, Gt(0)] = 0.6
    min_epochs: Annotated[int, Ge(2)] = 5
    min_steps: Annotated[int, Gt(0)] = 100
    drowned_fraction: Annotated[float, Gt(0), Le(1)] = 0.9
    drowned_gap: Annotated[float, Gt(0), Le(1)] = 0.3
    learnt_fraction: Annotated[float, Gt(0), Le(1)] = 0.7
    by_heart_fraction: Annotated[float, Gt(0), Le(1)] = 0.05
    max_lr: Annotated[float, Gt(0)] = 3.0

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        # a learning rate beyond what is usual may be the cause itself, whatever else is strong
        if not lr_of(evidence.config) <= self.max_lr * usual_lr(evidence.config):
            return
        strong = dict(self._strong(evidence.config))
        yield from first_found(
            evidence, partial(self._judge, strong=strong), partial(self._judge_gate, strong=strong)
        )

    def _strong(self, config: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
        """The settings that no sound run needs so strong."""
        for key, value in numbers_named(config["model"], "drop", "model"):
            if value >= self.min_dropout:
                yield key, value
        for name, transform in config["augment"].get("transforms", {}).items():
            key, often = f"augment.transforms.{name}", transform.get("p", 1.0)
            if often < self.min_probability:
                continue
            if transform.get("std", 0.0) >= self.min_noise:
                yield f"{key}.std", transform["std"]
            if transform.get("fraction", 0.0) >= self.min_lost_fraction:
                yield f"{key}.fraction", transform["fraction"]

    def _judge(self, curves: TrainingCurves, strong: Mapping[str, float]) -> Finding | None:
        if strong and self._is_stuck(curves):
            return self._stuck(curves, strong)
        if is_regularized(curves.evidence) and self._is_drowned(curves):
            return self._drowned(curves, strong)
        return None

    def _is_stuck(self, curves: TrainingCurves) -> bool:
        if curves.num_epochs < self.min_epochs or curves.num_steps < self.min_steps:
            return False
        if curves.level is None or not curves.probe_epochs:
            return False
        bound = self.stuck_fraction * curves.level
        return curves.losses[-1] > bound and curves.probe_epochs[-1]["probe_loss"] > bound

    def _stuck(self, curves: TrainingCurves, strong: Mapping[str, float]) -> Finding:
        return self.finding(
            "stuck",
            {
                "train_loss": curves.losses[-1],
                "probe_loss": curves.probe_epochs[-1]["probe_loss"],
                "constant_answer_loss": curves.level,
                **strong,
            },
            remedies=[weaker(strong)],
            stage=curves.stage,
            epoch=curves.num_epochs,
            settings=written(strong),
        )

    def _is_drowned(self, curves: TrainingCurves) -> bool:
        """Tell whether next to nothing is recognized in training, and most is without noise.

        It takes twice the epochs to say, for a strong augmentation is slow: most steps see images
        that show next to nothing.
        """
        early = curves.num_epochs < 2 * self.min_epochs or curves.num_steps < 3 * self.min_steps
        if early or curves.level is None or not curves.probe_epochs:
            return False
        trained, probe = curves.recent_loss(), curves.probe_epochs[-1]["probe_loss"]
        is_lost = trained > self.drowned_fraction * curves.level
        gap = trained - probe
        known, unknown = self.by_heart_fraction, self.learnt_fraction
        is_learnt = known * curves.level < probe < unknown * curves.level
        return is_lost and gap > self.drowned_gap * curves.level and is_learnt

    def _drowned(self, curves: TrainingCurves, strong: Mapping[str, float]) -> Finding:
        augment = curves.evidence.config["augment"]
        transforms = list(augment.get("transforms") or ())
        mixed = [key for key in ("mixup_alpha", "cutmix_alpha") if augment.get(key)]
        without = [f"~augment.transforms.{name}" for name in transforms]
        without += [f"augment.{name}=0.0" for name in mixed]
        return self.finding(
            "drowned",
            {
                "train_loss": curves.recent_loss(),
                "probe_loss": curves.probe_epochs[-1]["probe_loss"],
                "constant_answer_loss": curves.level,
                "transforms": transforms,
                **strong,
            },
            remedies=[each for each in (weaker(strong), without) if each],
            stage=curves.stage,
            epoch=curves.num_epochs,
            settings=", ".join([*strong, *transforms, *mixed]) or "what works in training alone",
        )

    def _judge_gate(self, gate: FailedGate, strong: Mapping[str, float]) -> Finding | None:
        """A few samples are not learnt, under dropout, which gates keep."""
        drops = {key: value for key, value in strong.items() if "drop" in key}
        if not gate.losses or not drops:
            return None
        gaps = [record.get("train_eval_gap") for record in gate.evidence.of_kind("model")]
        gap = next((each for each in gaps if each is not None), None)
        if gap is not None and gap < 1:  # it hardly changes the outputs
            return None
        return self.finding(
            "gate",
            {
                "last_loss": gate.last,
                "num_steps": gate.num_steps,
                "train_eval_gap": gap,
                **drops,
            },
            remedies=[weaker(drops)],
            parts={"changes": gap is not None},
            stage=gate.stage,
            epoch=gate.num_steps,
            settings=written(drops),
            kept=1 - max(drops.values()),
        )


def is_regularized(evidence: Evidence) -> bool:
    """Tell whether anything works in training alone: else the steps part the two losses."""
    config = evidence.config
    augment = config["augment"]
    mixed = any(augment.get(key) for key in ("mixup_alpha", "cutmix_alpha"))
    dropped = any(value > 0 for _, value in numbers_named(config["model"], "drop", "model"))
    layers = [layer for record in evidence.of_kind("model") for layer in record.get("layers", ())]
    built_in = any("Drop" in str(layer.get("type", "")) for layer in layers)
    return bool(augment.get("transforms")) or mixed or dropped or built_in
