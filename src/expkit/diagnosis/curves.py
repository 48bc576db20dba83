"""The curves of one training stage, as every rule on how training went reads them."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

from expkit.diagnosis.constant_predictor import constant_loss
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.figures import (
    best_index,
    column,
    is_loss,
    monitor_of,
    noise,
    seconds_per_epoch,
)
from expkit.records.files import Record
from expkit.records.run.time_budget import TimeBudget

SURE_SAMPLES = 32  # a mean loss over so many is little chance's
SURE_STEPS = 90  # within fewer, and fewer than five epochs, a leap may still be recovered from


def all_curves(evidence: Evidence) -> Iterator[TrainingCurves]:
    """The curves of every training stage with a finished epoch."""
    return (
        TrainingCurves(evidence.of_stage(stage), stage)
        for stage in evidence.trainings
        if evidence.epochs(stage)
    )


def last_curves(evidence: Evidence, *, is_over: bool = False) -> TrainingCurves | None:
    """The curves of the last training stage that has begun, or that has ended."""
    stages = evidence.trainings
    if is_over:
        stages = [stage for stage in stages if evidence.result(stage) is not None]
    return TrainingCurves(evidence.of_stage(stages[-1]), stages[-1]) if stages else None


@dataclass(frozen=True)
class TrainingCurves:
    """A stage epoch by epoch: its losses, its monitored metric, its learning rates and steps."""

    evidence: Evidence
    stage: str

    # what the history holds

    @functools.cached_property
    def records(self) -> list[Record]:
        return self.evidence.epochs(self.stage)

    def column(self, name: str) -> list[float]:
        """A metric of every epoch; empty where it is not recorded or was ever not a number."""
        return column(self.records, name)

    @functools.cached_property
    def losses(self) -> list[float]:
        """The training losses; not a number where one was not."""
        return [record["train/loss"] for record in self.records]

    @functools.cached_property
    def lrs(self) -> list[float]:
        """The learning rates of the first parameter group, at the last step of each epoch."""
        return [record["lr"] for record in self.records]

    @property
    def split(self) -> str:
        """The split that chooses the best epoch."""
        return self.evidence.monitored

    @property
    def monitor(self) -> str:
        """The metric that chooses the best epoch, with its split."""
        return monitor_of(self.evidence, self.stage)

    @property
    def monitor_falls(self) -> bool:
        return is_loss(self.monitor)

    @functools.cached_property
    def monitored(self) -> list[float]:
        """The values of the monitored metric; empty where it was ever not a number."""
        return self.column(self.monitor)

    @property
    def best(self) -> int:
        """The index of the epoch whose monitored value is the first best one."""
        return best_index(self.monitored, falls=self.monitor_falls)

    @property
    def noise(self) -> float:
        """The standard deviation of one epoch's monitored value."""
        return noise(self.monitored)

    @functools.cached_property
    def last_progress(self) -> int | None:
        """The index of the last epoch in which the monitored metric, loss or accuracy was best.

        A metric is as good as it was: any of them that still gets better is progress.
        """
        names = {self.monitor, f"{self.split}/loss", f"{self.split}/accuracy"}
        known = {name: values for name in names if (values := self.column(name))}
        return max(
            (best_index(values, falls=is_loss(name)) for name, values in known.items()),
            default=None,
        )

    @property
    def num_epochs(self) -> int:
        return len(self.records)

    @property
    def last_epoch(self) -> int:
        return int(self.records[-1]["epoch"])

    @property
    def num_steps(self) -> int:
        return int(self.records[-1]["step"])

    @property
    def seconds_per_epoch(self) -> float:
        return seconds_per_epoch(self.records)

    def recent_loss(self, num_epochs: int = 3) -> float:
        """The mean training loss of the last epochs; not a number before the first."""
        return fmean(self.losses[-num_epochs:]) if self.losses else math.nan

    # what was asked for

    @property
    def config(self) -> Mapping[str, Any]:
        return self.evidence.stage_config(self.stage)

    @property
    def max_epochs(self) -> int:
        """The epochs that were asked for, or that fit into the minutes that were."""
        most, minutes = int(self.config["max_epochs"]), self.config.get("max_minutes")
        if minutes is None or not self.records:
            return most
        return self.num_epochs + TimeBudget(float(minutes), most).epochs_left(self.records)

    @property
    def may_have_patience(self) -> bool:
        """Tell whether a patience can be advised: there is none yet, and no last epoch has a task.

        Epochs whose weights are averaged are the last, so the two are refused together.
        """
        return self.config.get("patience") is None and not self.config.get("swa_epochs")

    @property
    def planned_steps(self) -> int:
        return self.num_steps * self.max_epochs // self.num_epochs

    @property
    def warmup_epochs(self) -> float:
        return float(self.evidence.config["schedule"].get("warmup_epochs", 0))

    @property
    def samples_per_step(self) -> int:
        return int(self.config["batch_size"]) * int(self.config.get("batches_per_step", 1))

    @property
    def is_over(self) -> bool:
        return self.evidence.result(self.stage) is not None

    # where the loss began, and where a constant prediction lies

    @functools.cached_property
    def level(self) -> float | None:
        """The loss of the best constant prediction, else the first loss of the model."""
        return constant_loss(self.evidence, self.stage) or self.first_loss

    @functools.cached_property
    def first_steps(self) -> list[Record]:
        return self.evidence.of_kind("step", self.stage)

    @property
    def first_loss(self) -> float | None:
        """The loss before any step."""
        return self.first_steps[0]["loss"] if self.first_steps else None

    @functools.cached_property
    def burst(self) -> float:
        """The highest loss of the first epoch, as a multiple of its start; 1 where not known.

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

    def is_stuck(self, fraction: float) -> bool:
        """Tell whether the loss stays above a fraction of the level, and does not come down."""
        if self.level is None or self.num_epochs < 3:
            return False
        if self.num_epochs < 5 and self.num_steps < SURE_STEPS:
            return False
        before, last = self.losses[-3], self.losses[-1]
        is_falling = last < 0.97 * min(before, self.level)
        return min(self.losses[-2:]) > fraction * self.level and not is_falling

    # what was measured of weights, gradients and steps

    @functools.cached_property
    def signals(self) -> list[Record]:
        return self.evidence.of_kind("epoch", self.stage)

    @functools.cached_property
    def probe_epochs(self) -> list[Record]:
        return self.evidence.probe_epochs(self.stage)

    @property
    def models(self) -> list[Record]:
        return self.evidence.of_kind("model")

    @functools.cached_property
    def sweep(self) -> Record | None:
        """The range test before training, which is of the first training stage."""
        found = self.evidence.of_kind("lr_range_test")
        return found[-1] if found and self.stage == self.evidence.trainings[0] else None

    @functools.cached_property
    def kinds(self) -> Mapping[str, str]:
        """The kind of each parameter, where it was recorded: a weight, a bias or a norm's."""
        rows = [row for record in self.models for row in record["parameters"]]
        return {row["name"]: row["kind"] for row in rows}

    def weights(self, probe_epoch: Record) -> list[Record]:
        """The trained weights of a probed epoch: biases begin at 0, where no ratio says much."""
        return [
            row
            for row in probe_epoch["parameters"]
            if row.get("update_ratio", 0.0) is not None and is_weight(row["name"], self.kinds)
        ]

    @property
    def warm_weights(self) -> list[Record]:
        """The weights of all epochs that were probed after the warm-up."""
        warm = [each for each in self.probe_epochs if each["epoch"] > self.warmup_epochs]
        return [row for probe_epoch in warm for row in self.weights(probe_epoch)]

    @functools.cached_property
    def update_ratio(self) -> float | None:
        """The largest fraction of any weight that a step changed, once the rate was warm."""
        ratios = [row["update_ratio"] for row in self.warm_weights]
        return max((ratio for ratio in ratios if math.isfinite(ratio)), default=None)

    @functools.cached_property
    def common_update_ratio(self) -> float | None:
        """The fraction that hardly any of the weights' numbers were changed beyond, once warm.

        A class token begins at a millionth, and any step is large beside that.
        """
        sizes = {row["name"]: row["size"] for record in self.models for row in record["parameters"]}
        return weighted_quantile(
            (row["update_ratio"], sizes.get(row["name"], 1)) for row in self.warm_weights
        )

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

    @functools.cached_property
    def gradient_norm(self) -> float | None:
        """The typical norm of the gradients, before clipping."""
        norms = [record.get("gradient_norm") for record in [*self.first_steps, *self.probe_epochs]]
        finite = [norm for norm in norms if norm is not None and math.isfinite(norm)]
        return median(finite) if finite else None


def weighted_quantile(pairs: Iterable[tuple[float, float]], fraction: float = 0.95) -> float | None:
    """The value that a fraction of the whole does not exceed, of values with their sizes."""
    known = sorted(pair for pair in pairs if math.isfinite(pair[0]))
    total, below = sum(size for _, size in known), 0.0
    for value, size in known:
        below += size
        if below >= fraction * total:
            return value
    return None


def is_weight(name: str, kinds: Mapping[str, str]) -> bool:
    return kinds.get(name, "bias" if name.endswith("bias") else "weight") == "weight"


def fraction_left(before: Record, after: Record, kinds: Mapping[str, str]) -> float | None:
    """The root mean square of a typical weight, as a fraction of what it was before."""
    sizes = {row["name"]: row["weight_rms"] for row in before["parameters"]}
    fractions = [
        row["weight_rms"] / sizes[row["name"]]
        for row in after["parameters"]
        if is_weight(row["name"], kinds) and sizes.get(row["name"])
    ]
    return median(fractions) if fractions else None
