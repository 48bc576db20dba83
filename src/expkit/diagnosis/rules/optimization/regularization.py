"""Regularization that leaves nothing to be learnt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le, Lt

from expkit.diagnosis.curves import (
    USUAL_ADAPTIVE_RATE,
    USUAL_RATES,
    TrainingCurves,
    all_curves,
    lr_of,
    optimizer_name,
)
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.rule import Rule
from expkit.metrics.percentages import percent


@dataclass(frozen=True, kw_only=True)
class RegularizationTooStrong(Rule):
    """Neither in training nor without dropout and noise is the training set learnt, under settings
    that take most of the signal away.

    A high loss in training mode alone is what strong regularization is meant to do.
    """

    min_dropout: Annotated[float, Gt(0), Lt(1)] = 0.7
    min_noise: Annotated[float, Gt(0)] = 0.4  # standard deviation, of the range of a pixel
    min_lost_fraction: Annotated[float, Gt(0), Le(1)] = 0.7  # of the lines, of almost all images
    stuck_fraction: Annotated[float, Gt(0)] = 0.6  # of the loss of a constant prediction
    min_epochs: Annotated[int, Ge(2)] = 5
    min_steps: Annotated[int, Gt(0)] = 100
    # in training mode as good as nothing is recognised, and without noise most is
    drowned_fraction: Annotated[float, Gt(0), Le(1)] = 0.9  # of the loss of a constant prediction
    drowned_gap: Annotated[float, Gt(0), Le(1)] = 0.3  # of it, down to the loss without noise
    learnt_fraction: Annotated[float, Gt(0), Le(1)] = (
        0.7  # of it, without noise: something is known
    )

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        is_usual = has_usual_lr(evidence.config)
        strong = dict(self._strong(evidence.config)) if is_usual else {}
        is_regular = is_usual and is_regularized(evidence)
        for curves in all_curves(evidence):
            if strong and self._is_stuck(curves):
                yield self._tell(curves, strong)
                return
            if is_regular and self._is_drowned(curves):
                yield self._tell_drowned(curves, strong)
                return
        for gate in evidence.gates:
            if strong and (found := self._judge_gate(evidence, gate, strong)) is not None:
                yield found
                return

    def _strong(self, config: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
        """The settings that no sound run needs so strong."""
        for key, value in settings(config["model"], "drop", "model"):
            if value >= self.min_dropout:
                yield key, value
        for name, transform in config["augment"].get("transforms", {}).items():
            key, often = f"augment.transforms.{name}", transform.get("p", 1.0) >= 0.5
            if often and transform.get("std", 0.0) >= self.min_noise:
                yield f"{key}.std", transform["std"]
            if often and transform.get("fraction", 0.0) >= self.min_lost_fraction:
                yield f"{key}.fraction", transform["fraction"]

    def _is_stuck(self, curves: TrainingCurves) -> bool:
        if curves.num_epochs < self.min_epochs or curves.num_steps < self.min_steps:
            return False
        if curves.level is None or not curves.probe_epochs:
            return False
        bound = self.stuck_fraction * curves.level
        return curves.losses[-1] > bound and curves.probe_epochs[-1]["probe_loss"] > bound

    def _tell(self, curves: TrainingCurves, strong: Mapping[str, float]) -> Finding:
        probe = curves.probe_epochs[-1]["probe_loss"]
        words = ", ".join(f"{key}={value:g}" for key, value in strong.items())
        return Finding(
            severity="warning",
            sentence=f"after {curves.num_epochs} epochs the training loss is "
            f"{curves.losses[-1]:.3g}, and {probe:.3g} without dropout and augmentation, under "
            f"{words}; a constant prediction costs {curves.level:.3g}",
            evidence={
                "train_loss": curves.losses[-1],
                "probe_loss": probe,
                "constant_answer_loss": curves.level,
                **strong,
            },
            cause="the regularization takes away more than the steps can teach",
            remedies=[[f"{key}={weaker(key)}" for key in strong]],
            stage=curves.stage,
            epoch=curves.num_epochs,
        )

    def _is_drowned(self, curves: TrainingCurves) -> bool:
        """After twice the epochs, for a strong augmentation is slow: most that is learnt in a step
        is learnt of images that show next to nothing."""
        early = curves.num_epochs < 2 * self.min_epochs or curves.num_steps < 3 * self.min_steps
        if early or curves.level is None or not curves.probe_epochs:
            return False
        trained, probe = curves.recent_loss(), curves.probe_epochs[-1]["probe_loss"]
        is_lost = trained > self.drowned_fraction * curves.level
        gap = trained - probe
        is_learnt = 0.05 * curves.level < probe < self.learnt_fraction * curves.level
        return is_lost and gap > self.drowned_gap * curves.level and is_learnt

    def _tell_drowned(self, curves: TrainingCurves, strong: Mapping[str, float]) -> Finding:
        config = curves.evidence.config
        transforms = list(config["augment"].get("transforms") or ())
        probe = curves.probe_epochs[-1]["probe_loss"]
        remedies = [[f"{key}={weaker(key)}" for key in strong]] if strong else []
        mixed = [k for k in ("mixup_alpha", "cutmix_alpha") if config["augment"].get(k)]
        without = [f"~augment.transforms.{name}" for name in transforms]
        without += [f"augment.{name}=0.0" for name in mixed]
        if without:
            remedies.append(without)
        names = ", ".join([*strong, *transforms, *mixed]) or "what works in training alone"
        return Finding(
            severity="warning",
            sentence=f"after {curves.num_epochs} epochs the training loss is "
            f"{curves.recent_loss():.3g}, where a constant prediction costs {curves.level:.3g}; "
            f"without augmentation and dropout it is {probe:.3g} on the same samples",
            evidence={
                "train_loss": curves.recent_loss(),
                "probe_loss": probe,
                "constant_answer_loss": curves.level,
                "transforms": transforms,
                **strong,
            },
            cause=f"augmentation or dropout ({names}) leaves next to nothing of most images: "
            "few steps teach anything",
            remedies=remedies,
            command="" if remedies else "train without what works in training mode alone",
            stage=curves.stage,
            epoch=curves.num_epochs,
        )

    def _judge_gate(
        self, evidence: Evidence, gate: str, strong: Mapping[str, float]
    ) -> Finding | None:
        """A few samples are not learnt, and it is dropout that stands between: gates keep it."""
        result = evidence.result(gate)
        losses = [record["train/loss"] for record in evidence.epochs(gate)]
        drops = {key: value for key, value in strong.items() if "drop" in key}
        if result is None or result.passed or not losses or not drops:
            return None
        gaps = [record.get("train_eval_gap") for record in evidence.of_kind("model")]
        gap = next((each for each in gaps if each is not None), None)
        if gap is not None and gap < 1:  # it hardly changes the outputs
            return None
        words = ", ".join(f"{key}={value:g}" for key, value in drops.items())
        differ = "" if gap is None else f", and changes the outputs by {gap:.2g} times their size"
        return Finding(
            severity="fatal",
            sentence=f"{gate} ended at a loss of {losses[-1]:.3g} under {words}: it leaves "
            f"{percent(1 - max(drops.values()), 0)} of the features{differ}",
            evidence={
                "last_loss": losses[-1],
                "num_steps": len(losses),
                "train_eval_gap": gap,
                **drops,
            },
            cause="the dropout takes away more than the steps can teach",
            remedies=[[f"{key}={weaker(key)}" for key in drops]],
            stage=gate,
            epoch=len(losses),
        )


def has_usual_lr(config: Mapping[str, Any]) -> bool:
    """A rate beyond what is usual may be the cause itself, whatever else is strong."""
    return lr_of(config) <= 3 * USUAL_RATES.get(optimizer_name(config), USUAL_ADAPTIVE_RATE)


def is_regularized(evidence: Evidence) -> bool:
    """Whether anything works in training alone: else it is the steps that part the two losses."""
    config = evidence.config
    augment = config["augment"]
    mixed = any(augment.get(key) for key in ("mixup_alpha", "cutmix_alpha"))
    dropped = any(value > 0 for _, value in settings(config["model"], "drop", "model"))
    layers = [layer for record in evidence.of_kind("model") for layer in record.get("layers", ())]
    built_in = any("Drop" in str(layer.get("type", "")) for layer in layers)
    return bool(augment.get("transforms")) or mixed or dropped or built_in


def weaker(key: str) -> str:
    return {"std": "0.02", "fraction": "0.1"}.get(key.rsplit(".", 1)[-1], "0.2")


def settings(node: Any, word: str, key: str = "optimizer") -> Iterator[tuple[str, float]]:
    """The numbers of a config under keys with a word in them, by their full key."""
    if isinstance(node, Mapping):
        for name, value in node.items():
            full = f"{key}.{name}"
            if word in str(name) and isinstance(value, int | float) and not isinstance(value, bool):
                yield full, float(value)
            elif isinstance(value, Mapping):
                yield from settings(value, word, full)
