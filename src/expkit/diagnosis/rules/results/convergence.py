"""How training got on: not at all any more, not enough, from the start, to the very end."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Le

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.figures import (
    best_index,
    column,
    is_loss,
    minutes,
    monitor_of,
    noise,
    seconds_per_epoch,
    slope,
)
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.rule import Rule


@dataclass(frozen=True, kw_only=True)
class NoImprovement(Rule):
    """Epochs go by, and no figure gets better."""

    min_epochs: Annotated[int, Ge(1)] = 10
    min_fraction: Annotated[float, Gt(0), Le(1)] = 0.25  # of all the epochs asked for
    costly_minutes: Annotated[float, Gt(0)] = 30.0  # of going on, from which it is a warning

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        for stage in evidence.trainings[-1:]:
            config, records = evidence.stage_config(stage), evidence.epochs(stage)
            if config.get("patience") is not None or not records:
                continue
            split = evidence.monitored
            names = {monitor_of(evidence, stage), f"{split}/loss", f"{split}/accuracy"}
            all_curves = {name: values for name in names if (values := column(records, name))}
            if not all_curves:
                continue
            # a figure is as good as it was: any of them that still gets better is progress
            best = max(best_index(values, falls=is_loss(n)) for n, values in all_curves.items())
            idle = len(records) - 1 - best
            max_epochs = int(config["max_epochs"])
            if idle >= max(self.min_epochs, self.min_fraction * max_epochs):
                yield self._tell(evidence, stage, records[best]["epoch"], idle)

    def _tell(self, evidence: Evidence, stage: str, best: int, idle: int) -> Finding:
        records = evidence.epochs(stage)
        each = seconds_per_epoch(records)
        last, is_over = int(records[-1]["epoch"]), evidence.result(stage) is not None
        left = 0 if is_over else int(evidence.stage_config(stage)["max_epochs"]) - last
        price = f"{idle} epochs, {minutes(idle * each)}, for nothing"
        if left:
            price = f"going on to the end costs {minutes(left * each)} more"
        patience = max(self.min_epochs, best // 4)
        return Finding(
            severity="warning" if left * each > 60 * self.costly_minutes else "info",
            sentence=f"nothing on {evidence.monitored} got better since epoch {best}: {price}",
            evidence={
                "best epoch": best,
                "epochs since": idle,
                "seconds an epoch": each,
                "epochs left": left,
                "minutes left": left * each / 60,
            },
            cause="the net has learnt what it can with this learning rate and these samples",
            remedies=[[f"procedure.{stage}.patience={patience}"]],
            stage=stage,
            epoch=last,
        )


@dataclass(frozen=True, kw_only=True)
class BestEpochFirst(Rule):
    """Nothing that training did after its first epoch made the net better."""

    min_epochs: Annotated[int, Ge(2)] = 5
    min_rise: Annotated[float, Gt(0)] = 0.1  # of the loss since, from which it is no mere drift

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        for stage in evidence.trainings[-1:]:
            records, monitor = evidence.epochs(stage), monitor_of(evidence, stage)
            figures = column(records, monitor)
            if evidence.result(stage) is None or len(figures) < self.min_epochs:
                continue
            if best_index(figures, falls=is_loss(monitor)) != 0:
                continue
            after = statistics.fmean(figures[-3:])
            change = after - figures[0] if is_loss(monitor) else figures[0] - after
            if change <= 2 * noise(figures[1:]):
                continue  # all alike, such as all right from the first epoch on
            goes_on = evidence.stage_config(stage).get("start_from") is not None
            is_grave = change >= self.min_rise * abs(figures[0]) and not goes_on
            yield Finding(
                severity="warning" if is_grave else "info",
                sentence=f"the best of {len(figures)} epochs is the first: {monitor} "
                f"{figures[0]:.4g}, then {after:.4g}",
                evidence={
                    monitor: figures[0],
                    "at the end": after,
                    "noise of an epoch": noise(figures[1:]),
                    "epochs": len(figures),
                },
                cause="the weights that it started from are spoilt by too high a learning rate, "
                "or what it "
                "learns of the training samples does not hold for the others",
                remedies=_lower_lr(evidence),
                stage=stage,
                epoch=1,
            )


def _lower_lr(evidence: Evidence) -> list[list[str]]:
    lr = evidence.config["optimizer"].get("lr")
    return [[f"optimizer.lr={lr / 10:g}"]] if isinstance(lr, float | int) else []


@dataclass(frozen=True, kw_only=True)
class BestEpochLast(Rule):
    """It was still getting better when it ended."""

    min_epochs: Annotated[int, Ge(3)] = 6
    min_sigmas: Annotated[float, Gt(0)] = 2.0  # what the last third gained beside an epoch's noise

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        for stage in evidence.trainings[-1:]:
            records, monitor = evidence.epochs(stage), monitor_of(evidence, stage)
            figures = column(records, monitor)
            max_epochs = int(evidence.stage_config(stage)["max_epochs"])
            if evidence.result(stage) is None or not self.min_epochs <= max_epochs == len(figures):
                continue
            falls = is_loss(monitor)
            third = figures[-max(3, len(figures) // 3) :]
            gain = -slope(third) if falls else slope(third)
            is_last = best_index(figures, falls=falls) == len(figures) - 1
            if is_last and gain * len(third) > self.min_sigmas * noise(figures):
                each = seconds_per_epoch(records)
                yield Finding(
                    severity="info",
                    sentence=f"still getting better when it ended: {monitor} by {gain:.2g} an "
                    f"epoch over the last {len(third)}",
                    evidence={
                        "epochs": len(figures),
                        monitor: figures[-1],
                        "gain an epoch": gain,
                        "noise of an epoch": noise(figures),
                        "minutes for as many again": len(figures) * each / 60,
                    },
                    cause="it was given too few epochs to show what it can",
                    remedies=[[f"procedure.{stage}.max_epochs={2 * max_epochs}"]],
                    stage=stage,
                    epoch=len(figures),
                )
