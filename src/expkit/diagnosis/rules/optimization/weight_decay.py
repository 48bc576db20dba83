"""Weight decay that takes the weights away, or holds them down."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Annotated

from annotated_types import Gt, Lt

from expkit.diagnosis.curves import TrainingCurves, all_curves, is_weight, lr_of, optimizer_name
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.rule import Rule
from expkit.diagnosis.rules.optimization.regularization import settings
from expkit.metrics.percentages import percent
from expkit.records.files import Record

# these take the decay off the weight itself; the others add it to the gradient
DECOUPLED = frozenset(["AdamW", "Lion", "Ranger", "Lamb", "LAMB"])


@dataclass(frozen=True, kw_only=True)
class WeightDecayCrushes(Rule):
    """Weights shrank to a part of their size, and the loss is that of a constant prediction.

    Weights that shrink while the loss falls are no fault.
    """

    max_left_fraction: Annotated[float, Gt(0), Lt(1)] = 0.4  # of a typical weight
    stuck_fraction: Annotated[float, Gt(0)] = 0.9  # of the loss of a constant prediction
    # held down: a decay that takes as much as a step gives, and a loss that stands still
    min_pull: Annotated[float, Gt(0)] = 1.0  # of the decay, to all else that moves a weight
    min_decay: Annotated[float, Gt(0)] = 0.5  # by itself, as of AdamW: sound ones are below 0.3
    min_added_decay: Annotated[float, Gt(0)] = 0.01  # to the gradient, as of SGD and Adam
    held_share: Annotated[float, Gt(0)] = 0.15  # of the loss of a constant prediction
    min_steps: Annotated[int, Gt(0)] = 150

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        decays = {k: v for k, v in settings(evidence.config["optimizer"], "weight_decay") if v}
        if not decays:
            return
        for curves in all_curves(evidence):
            if (found := self._judge(curves, decays)) is not None:
                yield found
                return
        for gate in evidence.gates:
            if (found := self._judge_gate(evidence, gate, decays)) is not None:
                yield found
                return

    def _judge(self, curves: TrainingCurves, decays: Mapping[str, float]) -> Finding | None:
        return self._judge_shrunk(curves, decays) or self._judge_held(curves, decays)

    def _judge_shrunk(self, curves: TrainingCurves, decays: Mapping[str, float]) -> Finding | None:
        snapshots = [*curves.evidence.of_kind("model", curves.stage)[:1], *curves.probe_epochs]
        if curves.level is None or len(snapshots) < 2 or curves.num_epochs < 2:
            return None
        left = fraction_left(snapshots[0], snapshots[-1], curves.kinds)
        if left is None or left > self.max_left_fraction:
            return None
        if curves.losses[-1] < self.stuck_fraction * curves.level:
            return None
        losses = {"last_loss": curves.losses[-1], "constant_answer_loss": curves.level}
        return tell(curves.stage, curves.num_epochs, left, decays, losses)

    def _judge_held(self, curves: TrainingCurves, decays: Mapping[str, float]) -> Finding | None:
        """Every step gives what the decay takes: the weights stay too small to learn more."""
        name, decay = max(decays.items(), key=lambda each: each[1])
        optimizer = optimizer_name(curves.evidence.config)
        apart = optimizer in DECOUPLED
        if decay < (self.min_decay if apart else self.min_added_decay) or curves.level is None:
            return None
        if curves.num_epochs < 6 or curves.num_steps < self.min_steps or not stands_still(curves):
            return None
        pull = pull_of(curves, decay, apart=apart)
        if pull is None or pull < self.min_pull:
            return None
        if min(curves.recent_loss(), curves.probe_epochs[-1]["probe_loss"]) < (
            self.held_share * curves.level
        ):
            return None
        left = fraction_left(curves.models[0], curves.probe_epochs[-1], curves.kinds) or 1.0
        return Finding(
            severity="warning",
            sentence=f"the training loss stands still at {curves.recent_loss():.3g} while weight "
            f"decay {decay:g} takes {pull:.2g} times what a step gives (a typical weight is at "
            f"{percent(left, 0)} of its start); a constant prediction costs {curves.level:.3g}",
            evidence={
                "decay_to_step": pull,
                name: decay,
                "fraction_left": left,
                "last_loss": curves.recent_loss(),
                "probe_loss": curves.probe_epochs[-1]["probe_loss"],
                "constant_answer_loss": curves.level,
            },
            cause="the weight decay is far too strong: it holds the weights too small to learn by",
            remedies=weaker_decays(name, decay, sound=0.05 if apart else 0.0005),
            stage=curves.stage,
            epoch=curves.num_epochs,
        )

    def _judge_gate(
        self, evidence: Evidence, gate: str, decays: Mapping[str, float]
    ) -> Finding | None:
        """The weights that a failed gate left behind, beside those of another initialization."""
        result, records = evidence.result(gate), evidence.of_kind("model")
        after = [each for each in records if each["stage"] == gate and each["epoch"] > 0]
        if result is None or result.passed or not after or records[0] is after[0]:
            return None
        kinds = {row["name"]: row["kind"] for row in after[-1]["parameters"]}
        left = fraction_left(records[0], after[-1], kinds)
        losses = [record["train/loss"] for record in evidence.epochs(gate)]
        is_gone = (
            left is not None and left <= self.max_left_fraction and losses[-1] > 0.5 * losses[0]
        )
        if left is None or not (is_gone or self._holds(evidence, losses, max(decays.values()))):
            return None
        numbers = {"first_loss": losses[0], "last_loss": losses[-1]}
        return tell(gate, len(losses), left, decays, numbers)

    def _holds(self, evidence: Evidence, losses: Sequence[float], decay: float) -> bool:
        """Whether a decay out of reason has balanced the gradients: it had the time, and the loss
        has come to rest above nought."""
        config = evidence.config
        apart = optimizer_name(config) in DECOUPLED
        if decay < (self.min_decay if apart else self.min_added_decay) or len(losses) < 100:
            return False
        first, half, last = losses[0], losses[len(losses) // 2], losses[-1]
        if not all(map(math.isfinite, losses)) or max(losses[:20]) > 2 * first:
            return False
        momentum = 0.0 if apart else min(float(config["optimizer"].get("momentum") or 0.0), 0.99)
        times = lr_of(config) * decay * len(losses) / (1 - momentum)
        return times > 3 and 0.95 * half < last < first


def fraction_left(before: Record, after: Record, kinds: Mapping[str, str]) -> float | None:
    """Of a typical weight's root mean square."""
    then = {row["name"]: row["weight_rms"] for row in before["parameters"]}
    fractions = [
        row["weight_rms"] / then[row["name"]]
        for row in after["parameters"]
        if is_weight(row["name"], kinds) and then.get(row["name"])
    ]
    return median(fractions) if fractions else None


def tell(
    stage: str, epoch: int, left: float, decays: Mapping[str, float], losses: Mapping[str, float]
) -> Finding:
    name, decay = next(iter(decays.items()))
    return Finding(
        severity="fatal",
        sentence=f"a typical weight is at {percent(left, 0)} of what it was, and the loss is "
        f"{losses['last_loss']:.3g}: weight decay {decay:g} takes away what the gradients give",
        evidence={"fraction_left": left, name: decay, **losses},
        cause="the weight decay is far too strong",
        remedies=weaker_decays(name, decay, sound=0.01),
        stage=stage,
        epoch=epoch,
    )


def weaker_decays(name: str, decay: float, sound: float) -> list[list[str]]:
    """A sound one where it is far above that, and none."""
    return [[f"{name}={sound:g}"], [f"{name}=0.0"]] if decay > 5 * sound else [[f"{name}=0.0"]]


def stands_still(curves: TrainingCurves) -> bool:
    """Whether the last third of the epochs has bettered the loss of the third before by nothing."""
    third = max(2, curves.num_epochs // 3)
    before, last = curves.losses[-2 * third : -third], curves.losses[-third:]
    return fmean(last) > 0.97 * fmean(before)


def pull_of(curves: TrainingCurves, decay: float, *, apart: bool) -> float | None:
    """The decay's part of a step beside all that moved a typical weight, as of the last look."""
    if not curves.probe_epochs:
        return None
    lr, rows = (
        curves.probe_epochs[-1].get("rates") or curves.lrs[-1:],
        curves.weights(curves.probe_epochs[-1]),
    )
    if apart:
        pulls = [lr[0] * decay / row["update_ratio"] for row in rows if row.get("update_ratio")]
    else:
        pulls = [decay * e["weight_rms"] / e["gradient_rms"] for e in rows if e["gradient_rms"]]
    finite = [pull for pull in pulls if math.isfinite(pull)]
    return median(finite) if finite else None
