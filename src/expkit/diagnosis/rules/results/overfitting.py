"""Training samples learnt by heart while the others are unlearnt."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Self

from annotated_types import Ge, Gt

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.figures import (
    column,
    is_loss,
    minutes,
    monitor_of,
    noise,
    seconds_per_epoch,
    smooth,
)
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.rule import Rule
from expkit.metrics.percentages import percent
from expkit.records.files import Record


@dataclass(frozen=True)
class Turn:
    """Where the held-out loss turned, and what became of both losses since."""

    epoch: int
    last_epoch: int
    lowest: float
    latest: float
    noise: float
    train_then: float
    train_now: float

    @classmethod
    def of(cls, records: Sequence[Record], split: str) -> Self | None:
        losses, train = column(records, f"{split}/loss"), column(records, "train/loss")
        if len(losses) < 6 or len(train) < 6:
            return None
        smoothed = smooth(losses)
        lowest = smoothed.index(min(smoothed))
        # the epoch of the raw lowest loss beside it
        near = range(max(0, lowest - 1), min(len(losses), lowest + 2))
        return cls(
            epoch=int(records[min(near, key=losses.__getitem__)]["epoch"]),
            last_epoch=int(records[-1]["epoch"]),
            lowest=smoothed[lowest],
            latest=statistics.fmean(losses[-3:]),
            noise=noise(losses),
            train_then=train[lowest],
            train_now=statistics.fmean(train[-3:]),
        )

    @property
    def rise(self) -> float:
        """Of the held-out loss, as a share of its lowest."""
        return (self.latest - self.lowest) / self.lowest if self.lowest > 0 else 0.0

    @property
    def fall(self) -> float:
        """Of the training loss over the same epochs, as a share."""
        return 1 - self.train_now / self.train_then if self.train_then > 0 else 0.0


@dataclass(frozen=True, kw_only=True)
class Overfitting(Rule):
    """The held-out loss rose from some epoch on while the training loss went on falling."""

    min_rise: Annotated[float, Gt(0)] = 0.05
    min_fall: Annotated[float, Gt(0)] = 0.05  # of the training loss: else both rise, of a rate
    min_sigmas: Annotated[float, Gt(0)] = 3.0  # the rise beside one epoch's noise
    min_epochs: Annotated[int, Ge(1)] = 3  # after the turn
    large_rise: Annotated[float, Gt(0)] = 0.2
    # from which it is a warning even where the best epoch's weights are kept: for most of the time
    # the net learnt by heart, and what it knows of other samples is far less
    wide_gap: Annotated[float, Gt(0)] = 0.1  # of accuracy, all but learnt by heart
    clear_rise: Annotated[float, Gt(0)] = 0.1
    min_wasted: Annotated[int, Ge(1)] = 10  # epochs since the turn, and twice as many as until it

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        if evidence.monitored == "train":
            return
        for stage in reversed(evidence.trainings):
            turn = Turn.of(evidence.epochs(stage), evidence.monitored)
            if turn is not None and self._is_proven(turn):
                yield self._tell(evidence, stage, turn)
                return

    def _is_proven(self, turn: Turn) -> bool:
        after = turn.last_epoch - turn.epoch
        is_significant = turn.latest - turn.lowest > self.min_sigmas * turn.noise
        return (
            after >= max(self.min_epochs, 0.1 * turn.last_epoch)
            and turn.rise >= self.min_rise
            and turn.fall >= self.min_fall
            and is_significant
        )

    def _tell(self, evidence: Evidence, stage: str, turn: Turn) -> Finding:
        records, split = evidence.epochs(stage), evidence.monitored
        after = turn.last_epoch - turn.epoch
        is_long = after >= max(5, turn.epoch)
        spoils = _keeps_last(evidence, stage) and turn.rise >= self.large_rise and is_long
        gap = gap_of(records, split) if evidence.has_plain_accuracy(stage) else None
        wastes = (
            after >= max(self.min_wasted, 2 * turn.epoch)
            and turn.rise >= self.clear_rise
            and gap is not None
            and gap >= self.wide_gap
            and evidence.stage_config(stage).get("patience") is None
        )
        stop = stopped_early(records, monitor_of(evidence, stage), patience=max(5, turn.epoch // 5))
        saved = ""
        if stop["epochs saved"]:
            wasted = stop["epochs saved"] * seconds_per_epoch(records)
            saved = f"; a patience of {stop['patience']} would have ended it at epoch "
            saved += f"{stop['stops at']} and saved {minutes(wasted)}"
        remedies = []
        if evidence.stage_config(stage).get("patience") is None:
            remedies.append([f"procedure.{stage}.patience={stop['patience']}"])
        if evidence.config["augment"].get("mixup_alpha") == 0 and evidence.metadata.num_classes:
            remedies.append(["augment.mixup_alpha=0.2"])
        apart = "" if gap is None else f"; train is {100 * gap:.1f} points better in accuracy"
        return Finding(
            severity="warning" if spoils or wastes else "info",
            sentence=f"overfitting from epoch {turn.epoch}: the {split} loss rose by "
            f"{percent(turn.rise, 0)} since, from {turn.lowest:.3g} to {turn.latest:.3g}, while "
            f"the training loss fell by {percent(turn.fall, 0)}{apart}{saved}",
            evidence={
                "from epoch": turn.epoch,
                "to epoch": turn.last_epoch,
                f"{split}/loss then": turn.lowest,
                f"{split}/loss now": turn.latest,
                "noise of an epoch": turn.noise,
                "train/loss then": turn.train_then,
                "train/loss now": turn.train_now,
                **({} if gap is None else {"accuracy gap": gap}),
                **stop,
            },
            cause="the net learns its training samples by heart: there are too few of them for "
            "so many epochs, or nothing keeps the net from it"
            + ("" if spoils or wastes else "; harmless where the best epoch is the one evaluated"),
            remedies=remedies,
            stage=stage,
            epoch=turn.last_epoch,
        )


def gap_of(records: Sequence[Record], split: str) -> float | None:
    """How far train is above the split in accuracy, where train is all but learnt by heart."""
    train, held_out = column(records, "train/accuracy"), column(records, f"{split}/accuracy")
    if not train or not held_out or statistics.fmean(train[-3:]) < 0.95:
        return None
    return statistics.fmean(train[-3:]) - statistics.fmean(held_out[-3:])


def _keeps_last(evidence: Evidence, stage: str) -> bool:
    """Tell whether the last epoch's weights are the ones that are judged or trained on."""
    for other in evidence.config["procedure"].values():
        if other.get("of") in (None, stage) and "weights" in other:
            return bool(other["weights"] == "last")
    return False


def stopped_early(records: Sequence[Record], monitor: str, patience: int) -> dict[str, Any]:
    """Return what waiting no longer than so many epochs for a better figure would have come to."""
    figures = column(records, monitor)
    sign = 1 if is_loss(monitor) else -1
    best, best_at, stops_at = float("inf"), 0, len(figures)
    for index, figure in enumerate(figures):
        if sign * figure < best:
            best, best_at = sign * figure, index
        elif index - best_at >= patience:
            stops_at = index + 1
            break
    overall = min((sign * figure for figure in figures), default=best)
    return {
        "patience": patience,
        "stops at": stops_at,
        "epochs saved": len(figures) - stops_at,
        f"{monitor} lost": abs(best - overall) if figures else 0.0,
    }
