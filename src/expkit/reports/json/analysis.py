"""The document of `expkit analyze`: the course of training in numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from expkit.records.run.reader import Run
from expkit.reports.json.header import Document
from expkit.reports.json.pick import pick_or_none
from expkit.reports.run.analysis import Curve, Point, StageCurves


@dataclass(frozen=True)
class FigureAtEpoch:
    """A figure, and the epoch that had it."""

    value: float | None  # null: not finite
    epoch: int


@dataclass(frozen=True)
class BestAndLatest:
    """The course of one metric of one split."""

    best: FigureAtEpoch | None  # the first of equals; null where none was finite
    latest: FigureAtEpoch


@dataclass(frozen=True)
class GapAtEpoch:
    """How much better the training samples do than the held-out ones, in the last epoch."""

    metric: str
    split: str
    gap: float
    epoch: int


@dataclass(frozen=True)
class HeldOutLoss:
    """The held-out loss at its lowest and at its last."""

    split: str
    lowest: FigureAtEpoch
    latest: FigureAtEpoch
    rose: bool  # since its lowest, by more than the noise of single epochs


@dataclass(frozen=True)
class StageCourse:
    """A stage that trained."""

    stage: str
    num_epochs: int
    splits: Mapping[str, Mapping[str, BestAndLatest]]  # by split and metric
    gap: GapAtEpoch | None  # null without a held-out split
    held_out_loss: HeldOutLoss | None


@dataclass(frozen=True, kw_only=True)
class AnalysisDocument(Document):
    """The stages of a run that trained, in order."""

    schema: Literal["expkit/analysis"] = "expkit/analysis"
    run: str
    path: str
    stages: Sequence[StageCourse]


def analysis_document(run: Run, stages: Sequence[StageCurves]) -> AnalysisDocument:
    """Return what the analysis has found of each stage."""
    return AnalysisDocument(run=run.name, path=str(run.path), stages=[_stage(e) for e in stages])


def _stage(found: StageCurves) -> StageCourse:
    turn = found.turn
    return StageCourse(
        stage=found.stage,
        num_epochs=found.num_epochs,
        splits={
            split: {curve.name.rpartition("/")[2]: _course(curve) for curve in curves}
            for split, curves in found.curves.items()
        },
        gap=pick_or_none(GapAtEpoch, found.gap),
        held_out_loss=None
        if turn is None
        else HeldOutLoss(turn.split, _at(turn.lowest), _at(turn.latest), turn.rose),
    )


def _course(curve: Curve) -> BestAndLatest:
    return BestAndLatest(None if curve.best is None else _at(curve.best), _at(curve.latest))


def _at(point: Point) -> FigureAtEpoch:
    return FigureAtEpoch(point.value, point.epoch)
