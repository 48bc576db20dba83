"""Training samples learnt by heart while the others are unlearnt."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self

from annotated_types import Ge, Gt, Lt

from expkit.diagnosis.curves import TrainingCurves
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.figures import column, is_loss, minutes, noise, smooth
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.rule import Rule
from expkit.records.files import Record


@dataclass(frozen=True)
class Turn:
    """The epoch where the held-out loss turned, with both losses then and now."""

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
    def epochs_since(self) -> int:
        return self.last_epoch - self.epoch

    @property
    def rise(self) -> float:
        """The rise of the held-out loss, as a fraction of its lowest."""
        return (self.latest - self.lowest) / self.lowest if self.lowest > 0 else 0.0

    @property
    def fall(self) -> float:
        """The fall of the training loss over the same epochs, as a fraction."""
        return 1 - self.train_now / self.train_then if self.train_then > 0 else 0.0


@dataclass(frozen=True, kw_only=True)
class Overfitting(Rule):
    """The held-out loss rose from some epoch on while the training loss went on falling.

    It is a warning where the last epoch's weights are kept, and also where the best epoch's are:
    where for most of the time the net learnt by heart, what it knows of other samples is far less.
    """

    needs: ClassVar[str | None] = "held-out outputs"
    min_rise: Annotated[float, Gt(0)] = 0.05
    min_fall: Annotated[float, Gt(0)] = 0.05
    min_sigmas: Annotated[float, Gt(0)] = 3.0
    min_epochs: Annotated[int, Ge(1)] = 3
    min_epochs_fraction: Annotated[float, Gt(0), Lt(1)] = 0.1
    large_rise: Annotated[float, Gt(0)] = 0.2
    min_spoilt: Annotated[int, Ge(1)] = 5
    wide_gap: Annotated[float, Gt(0)] = 0.1
    by_heart: Annotated[float, Gt(0), Lt(1)] = 0.95
    clear_rise: Annotated[float, Gt(0)] = 0.1
    min_wasted: Annotated[int, Ge(1)] = 10

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        if evidence.monitored == "train":
            return
        for stage in reversed(evidence.trainings):
            turn = Turn.of(evidence.epochs(stage), evidence.monitored)
            if turn is not None and self._is_proven(turn):
                yield self._turned(TrainingCurves(evidence, stage), turn)
                return

    def _is_proven(self, turn: Turn) -> bool:
        is_significant = turn.latest - turn.lowest > self.min_sigmas * turn.noise
        return (
            turn.epochs_since >= max(self.min_epochs, self.min_epochs_fraction * turn.last_epoch)
            and turn.rise >= self.min_rise
            and turn.fall >= self.min_fall
            and is_significant
        )

    def _turned(self, curves: TrainingCurves, turn: Turn) -> Finding:
        evidence, split = curves.evidence, curves.split
        gap = self._gap(curves)
        is_spoilt = (
            _keeps_last(evidence, curves.stage)
            and turn.rise >= self.large_rise
            and turn.epochs_since >= max(self.min_spoilt, turn.epoch)
        )
        is_wasted = (
            turn.epochs_since >= max(self.min_wasted, 2 * turn.epoch)
            and turn.rise >= self.clear_rise
            and gap is not None
            and gap >= self.wide_gap
            and curves.may_have_patience
        )
        stop = stopped_early(curves.records, curves.monitor, patience=max(5, turn.epoch // 5))
        return self.finding(
            "costly" if is_spoilt or is_wasted else "harmless",
            {
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
            parts={
                "apart": gap is not None,
                "saved": bool(stop["epochs saved"]),
                "stop_early": curves.may_have_patience,
                "mix": evidence.config["augment"].get("mixup_alpha") == 0
                and bool(evidence.metadata.num_classes),
            },
            stage=curves.stage,
            epoch=turn.last_epoch,
            split=split,
            rise=turn.rise,
            lowest=turn.lowest,
            latest=turn.latest,
            fall=turn.fall,
            points=100 * (gap or 0.0),
            time=minutes(stop["epochs saved"] * curves.seconds_per_epoch),
        )

    def _gap(self, curves: TrainingCurves) -> float | None:
        """The accuracy of train above the split's, where train is all but learnt by heart."""
        if not curves.evidence.has_plain_accuracy(curves.stage):
            return None
        train = curves.column("train/accuracy")[-3:]
        held_out = curves.column(f"{curves.split}/accuracy")[-3:]
        if not train or not held_out or statistics.fmean(train) < self.by_heart:
            return None
        return statistics.fmean(train) - statistics.fmean(held_out)


def _keeps_last(evidence: Evidence, stage: str) -> bool:
    """Tell whether the last epoch's weights are the ones that are judged or trained on."""
    for other in evidence.config["procedure"].values():
        if other.get("of") in (None, stage) and "weights" in other:
            return bool(other["weights"] == "last")
    return False


def stopped_early(records: Sequence[Record], monitor: str, patience: int) -> dict[str, Any]:
    """The end that a patience of so many epochs would have made, with what it costs and saves."""
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
