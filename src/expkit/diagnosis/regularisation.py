"""Regularisation that leaves nothing to be learnt, or takes the weights away."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le, Lt

from expkit.diagnosis.course import Course, courses, is_weight
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.rule import Rule
from expkit.records.files import Record


@dataclass(frozen=True, kw_only=True)
class WeightDecayCrushes(Rule):
    """Weights have shrunk to a part of what they were, and the loss is that of a constant answer.

    Weights that shrink while the loss falls are no fault.
    """

    max_left_share: Annotated[float, Gt(0), Lt(1)] = 0.4  # of a typical weight
    stuck_share: Annotated[float, Gt(0)] = 0.9  # of the loss of a constant answer

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        decays = {k: v for k, v in settings(evidence.config["optimizer"], "weight_decay") if v}
        if not decays:
            return
        for course in courses(evidence):
            if (found := self._judge(course, decays)) is not None:
                yield found
                return
        for gate in evidence.gates:
            if (found := self._judge_gate(evidence, gate, decays)) is not None:
                yield found
                return

    def _judge(self, course: Course, decays: Mapping[str, float]) -> Finding | None:
        snapshots = [*course.evidence.of_kind("model", course.stage)[:1], *course.looks]
        if course.level is None or len(snapshots) < 2 or course.num_epochs < 2:
            return None
        left = share_left(snapshots[0], snapshots[-1], course.kinds)
        if left is None or left > self.max_left_share:
            return None
        if course.losses[-1] < self.stuck_share * course.level:
            return None
        losses = {"last_loss": course.losses[-1], "constant_answer_loss": course.level}
        return tell(course.stage, course.num_epochs, left, decays, losses)

    def _judge_gate(
        self, evidence: Evidence, gate: str, decays: Mapping[str, float]
    ) -> Finding | None:
        """The weights that a failed gate left behind, beside those of another initialisation."""
        result, records = evidence.result(gate), evidence.of_kind("model")
        after = [each for each in records if each["stage"] == gate and each["epoch"] > 0]
        if result is None or result.passed or not after or records[0] is after[0]:
            return None
        kinds = {row["name"]: row["kind"] for row in after[-1]["parameters"]}
        left = share_left(records[0], after[-1], kinds)
        if left is None or left > self.max_left_share:
            return None
        losses = [record["train/loss"] for record in evidence.epochs(gate)]
        if losses[-1] < 0.5 * losses[0]:
            return None
        numbers = {"first_loss": losses[0], "last_loss": losses[-1]}
        return tell(gate, len(losses), left, decays, numbers)


def share_left(before: Record, after: Record, kinds: Mapping[str, str]) -> float | None:
    """Of a typical weight's root mean square."""
    then = {row["name"]: row["weight_rms"] for row in before["parameters"]}
    shares = [
        row["weight_rms"] / then[row["name"]]
        for row in after["parameters"]
        if is_weight(row["name"], kinds) and then.get(row["name"])
    ]
    return median(shares) if shares else None


def tell(
    stage: str, epoch: int, left: float, decays: Mapping[str, float], losses: Mapping[str, float]
) -> Finding:
    name, decay = next(iter(decays.items()))
    return Finding(
        severity="fatal",
        sentence=f"weights have shrunk to {left:.0%} of what they were, and the loss is "
        f"{losses['last_loss']:.3g}: weight decay {decay:g} takes away what the gradients give",
        evidence={"share_left": left, name: decay, **losses},
        cause="the weight decay is far too strong",
        remedies=[[f"{name}=0.01" if decay > 0.05 else f"{name}=0.0"], [f"{name}=0.0"]],
        stage=stage,
        epoch=epoch,
    )


@dataclass(frozen=True, kw_only=True)
class RegularisationTooStrong(Rule):
    """Neither in training nor without dropout and noise is the training set learnt, under settings
    that take most of the signal away.

    A high loss in training mode alone is what strong regularisation is meant to do.
    """

    min_dropout: Annotated[float, Gt(0), Lt(1)] = 0.7
    min_noise: Annotated[float, Gt(0)] = 0.4  # standard deviation, of the range of a pixel
    min_lost_fraction: Annotated[float, Gt(0), Le(1)] = 0.7  # of the lines, of almost all pictures
    stuck_share: Annotated[float, Gt(0)] = 0.6  # of the loss of a constant answer
    min_epochs: Annotated[int, Ge(2)] = 5
    min_steps: Annotated[int, Gt(0)] = 100

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        strong = dict(self._strong(evidence.config))
        if not strong:
            return
        for course in courses(evidence):
            if self._is_stuck(course):
                yield self._tell(course, strong)
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

    def _is_stuck(self, course: Course) -> bool:
        if course.num_epochs < self.min_epochs or course.num_steps < self.min_steps:
            return False
        if course.level is None or not course.looks:
            return False
        bound = self.stuck_share * course.level
        return course.losses[-1] > bound and course.looks[-1]["probe_loss"] > bound

    def _tell(self, course: Course, strong: Mapping[str, float]) -> Finding:
        probe = course.looks[-1]["probe_loss"]
        words = ", ".join(f"{key}={value:g}" for key, value in strong.items())
        return Finding(
            severity="warning",
            sentence=f"after {course.num_epochs} epochs the training loss is "
            f"{course.losses[-1]:.3g}, and {probe:.3g} without dropout and augmentation, under "
            f"{words}; a constant answer costs {course.level:.3g}",
            evidence={
                "train_loss": course.losses[-1],
                "probe_loss": probe,
                "constant_answer_loss": course.level,
                **strong,
            },
            cause="the regularisation takes away more than the steps can teach",
            remedies=[[f"{key}={weaker(key)}" for key in strong]],
            stage=course.stage,
            epoch=course.num_epochs,
        )


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
