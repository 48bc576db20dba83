"""The course of one training stage: what the rules on optimisation ask of its records."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from statistics import fmean, median
from typing import Any

from expkit.diagnosis.constant_predictor import constant_loss
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.records.files import Record

SURE_SAMPLES = 32  # a mean loss over so many is little chance's
SURE_STEPS = 90  # within fewer, and fewer than five epochs, a leap may still be recovered from
# whose steps do not grow with the gradient
ADAPTIVE = frozenset(
    ["Adam", "AdamW", "NAdam", "RAdam", "Adamax", "RMSprop", "Adagrad", "Lion", "Ranger", "Lamb"]
)

# up to which a rate is usual with batches of 32 and more; Lion's by its authors' advice
USUAL_RATES = {"SGD": 0.1, "Lion": 3e-4}
USUAL_ADAPTIVE_RATE = 3e-3


def all_curves(evidence: Evidence) -> Iterator[TrainingCurves]:
    """Of every training stage with a finished epoch."""
    return (
        TrainingCurves(evidence, stage) for stage in evidence.trainings if evidence.epochs(stage)
    )


def first_found(
    evidence: Evidence,
    judge: Callable[[TrainingCurves], Finding | None],
    judge_gate: Callable[[Evidence, str], Finding | None],
) -> Iterator[Finding]:
    """The first finding on a training stage, else on a gate: one cause is told once."""
    found = (judge(curves) for curves in all_curves(evidence))
    at_gates = (judge_gate(evidence, gate) for gate in evidence.gates)
    yield from islice((each for each in chain(found, at_gates) if each is not None), 1)


@dataclass(frozen=True)
class TrainingCurves:
    """A stage's losses, rates and updates so far."""

    evidence: Evidence
    stage: str

    @functools.cached_property
    def records(self) -> list[Record]:
        return self.evidence.epochs(self.stage)

    @functools.cached_property
    def losses(self) -> list[float]:
        return [record["train/loss"] for record in self.records]

    @property
    def config(self) -> Mapping[str, Any]:
        return self.evidence.stage_config(self.stage)

    @property
    def num_epochs(self) -> int:
        return len(self.records)

    @property
    def max_epochs(self) -> int:
        return int(self.config["max_epochs"])

    @property
    def num_steps(self) -> int:
        return int(self.records[-1]["step"])

    @property
    def planned_steps(self) -> int:
        return self.num_steps * self.max_epochs // self.num_epochs

    @functools.cached_property
    def lrs(self) -> list[float]:
        """Of the first parameter group, at the last step of each epoch."""
        return [record["lr"] for record in self.records]

    @functools.cached_property
    def level(self) -> float | None:
        """The loss of the best constant prediction, else the first loss of the model."""
        return constant_loss(self.evidence, self.stage) or self.first_loss

    @functools.cached_property
    def first_steps(self) -> list[Record]:
        return self.evidence.of_kind("step", self.stage)

    @property
    def first_loss(self) -> float | None:
        """Before any step."""
        return self.first_steps[0]["loss"] if self.first_steps else None

    @functools.cached_property
    def burst(self) -> float:
        """Return how many times its start the loss came to in the first epoch; 1 where not known.

        Of small batches so many are averaged that chance has no part in it: a single image
        that is predicted wrongly and with confidence costs several times ln C.
        """
        first = self.first_loss
        if first is None or not first > 0:
            return 1.0
        start = max(first, constant_loss(self.evidence, self.stage) or 0.0)
        width = min(-(-SURE_SAMPLES // self.samples_per_step), len(self.first_steps))
        losses = [record["loss"] for record in self.first_steps]
        means = [fmean(losses[i : i + width]) for i in range(len(losses) - width + 1)]
        means.append(self.losses[0])
        if width == 1:
            means += [record["step_loss"]["max"] for record in self.signals[:1]]
        return max([mean / start for mean in means if not math.isnan(mean)], default=1.0)

    @functools.cached_property
    def signals(self) -> list[Record]:
        return self.evidence.of_kind("epoch", self.stage)

    @functools.cached_property
    def probe_epochs(self) -> list[Record]:
        return self.evidence.probe_epochs(self.stage)

    @property
    def warmup_epochs(self) -> float:
        return float(self.evidence.config["schedule"].get("warmup_epochs", 0))

    @property
    def models(self) -> list[Record]:
        return self.evidence.of_kind("model")

    @functools.cached_property
    def kinds(self) -> Mapping[str, str]:
        """Tell whether a parameter is a weight, a bias or a norm's, where that was recorded."""
        rows = [row for record in self.models for row in record["parameters"]]
        return {row["name"]: row["kind"] for row in rows}

    def weights(self, probe_epoch: Record) -> list[Record]:
        """The trained weights of a look: biases begin at 0, and no ratio tells of them."""
        return [
            row
            for row in probe_epoch["parameters"]
            if row.get("update_ratio", 0.0) is not None and is_weight(row["name"], self.kinds)
        ]

    @functools.cached_property
    def update_ratio(self) -> float | None:
        """The most that a step changed any weight by, as a share of it, once the rate was warm."""
        warm = [
            probe_epoch
            for probe_epoch in self.probe_epochs
            if probe_epoch["epoch"] > self.warmup_epochs
        ]
        ratios = [row["update_ratio"] for probe_epoch in warm for row in self.weights(probe_epoch)]
        return max((ratio for ratio in ratios if math.isfinite(ratio)), default=None)

    @functools.cached_property
    def common_update_ratio(self) -> float | None:
        """Return what hardly any of the weights' numbers were changed by more than, once warm.

        A class token begins at a millionth, and any step is large beside that.
        """
        sizes = {row["name"]: row["size"] for record in self.models for row in record["parameters"]}
        warm = [
            probe_epoch
            for probe_epoch in self.probe_epochs
            if probe_epoch["epoch"] > self.warmup_epochs
        ]
        pairs = [
            (row["update_ratio"], sizes.get(row["name"], 1))
            for probe_epoch in warm
            for row in self.weights(probe_epoch)
        ]
        return share_point(pairs)

    @property
    def has_died(self) -> bool:
        """Tell whether most weights had gradients once and have none any more."""
        if not self.probe_epochs or not self.lrs[-1] > 0:
            return False
        start = self.evidence.of_kind("model", self.stage)[:1]
        had_any = bool(self.update_ratio) or any(map(self.typical_gradient, start))
        return had_any and self.typical_gradient(self.probe_epochs[-1]) == 0

    def typical_gradient(self, probe_epoch: Record) -> float:
        return median(
            [row["gradient_rms"] or 0.0 for row in self.weights(probe_epoch)] or [math.nan]
        )

    def is_stuck(self, fraction: float) -> bool:
        """Tell whether the loss stays above a share of the level, and is not on its way down."""
        if self.level is None or self.num_epochs < 3:
            return False
        if self.num_epochs < 5 and self.num_steps < SURE_STEPS:
            return False
        before, last = self.losses[-3], self.losses[-1]
        is_falling = last < 0.97 * min(before, self.level)
        return min(self.losses[-2:]) > fraction * self.level and not is_falling

    @functools.cached_property
    def sweep(self) -> Record | None:
        """The range test before training, which is of the first training stage."""
        found = self.evidence.of_kind("rates")
        return found[-1] if found and self.stage == self.evidence.trainings[0] else None

    @functools.cached_property
    def gradient_norm(self) -> float | None:
        """The typical one, before clipping."""
        norms = [record.get("gradient_norm") for record in [*self.first_steps, *self.probe_epochs]]
        finite = [norm for norm in norms if norm is not None and math.isfinite(norm)]
        return median(finite) if finite else None

    @property
    def samples_per_step(self) -> int:
        return int(self.config["batch_size"]) * int(self.config.get("batches_per_step", 1))

    def recent_loss(self, num_epochs: int = 3) -> float:
        """Of the last epochs; not a number before the first."""
        return fmean(self.losses[-num_epochs:]) if self.losses else math.nan


def share_point(pairs: Iterable[tuple[float, float]], fraction: float = 0.95) -> float | None:
    """The value that a share of the whole does not exceed, each value with its size."""
    known = sorted(pair for pair in pairs if math.isfinite(pair[0]))
    total, below = sum(size for _, size in known), 0.0
    for value, size in known:
        below += size
        if below >= fraction * total:
            return value
    return None


def is_weight(name: str, kinds: Mapping[str, str]) -> bool:
    return kinds.get(name, "bias" if name.endswith("bias") else "weight") == "weight"


def optimizer_name(config: Mapping[str, Any]) -> str:
    return str(config["optimizer"]["_target_"]).rsplit(".", 1)[-1]


def is_adaptive(config: Mapping[str, Any]) -> bool:
    return optimizer_name(config) in ADAPTIVE


def lr_of(config: Mapping[str, Any]) -> float:
    return float(config["optimizer"]["lr"])


def plainly(number: float) -> str:
    """To one digit, as one writes a setting: 0.003, 2e-05."""
    return f"{float(f'{number:.0e}'):g}"
