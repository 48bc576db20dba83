"""Choosing a class's cut-offs on one half of the held-out samples, and confirming on the other."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from expkit.errors import UserError, nearest_of
from expkit.metrics.predictions import ClassPredictions
from expkit.metrics.threshold_verdicts import Verdict
from expkit.metrics.thresholds import (
    Half,
    choose_high,
    choose_low,
    curve_of,
    describe,
    judge_fraction,
    split_halves,
)
from expkit.records.run.reader import Run
from expkit.records.run.thresholds import Threshold
from expkit.reports.formatting import percent
from expkit.reports.run.run_screen import handle
from expkit.reports.run.temperature_fit import predictions_at


@dataclass(frozen=True)
class ThresholdRequest:
    """A request for a class's threshold; of recall and precision at least one."""

    class_name: str
    recall: float | None
    precision: float | None
    split: str | None = None  # None: the judged one
    seed: int = 0
    temperature: float = 1.0  # of the probabilities (expkit calibrate)


def choose_threshold(run: Run, request: ThresholdRequest) -> Threshold:
    """The cut-offs with their evidence.

    `low` is the highest cut-off that keeps the recall, `high` the lowest with the precision.
    Where only one of them is asked for, or `high` is the lower, one does for both and leaves no
    maybe.
    """
    predictions = _held_out_predictions(run, request)
    _check_bounds(request)
    chooser, confirmer = split_halves(predictions, request.class_name, request.seed)
    cuts = []
    if request.recall is not None:
        low = choose_low(chooser, request.recall)
        if low is None:
            raise _unreachable_recall(run, request, chooser, request.recall)
        cuts.append(low)
    if request.precision is not None:
        high = choose_high(chooser, request.precision)
        if high is None:
            raise _unreachable_precision(run, request, chooser, request.precision)
        cuts.append(high)
    low, high = min(cuts), cuts[-1]
    evidence = {
        "chosen_on": describe(chooser, low, high),
        "confirmed_on": describe(confirmer, low, high),
    }
    return Threshold(
        class_name=request.class_name,
        class_names=list(predictions.class_names),
        low=low,
        high=high,
        asked_recall=request.recall,
        asked_precision=request.precision,
        split=predictions.split,
        seed=request.seed,
        verdict=_judge(evidence["confirmed_on"], request),
        evidence=evidence,
        temperature=request.temperature,
    )


def _held_out_predictions(run: Run, request: ThresholdRequest) -> ClassPredictions:
    metadata = run.dataset
    split = request.split or metadata.judged_split
    if split == "train":
        raise UserError(
            "a cut-off cannot be chosen on training samples: the model is surer of what it learnt "
            "by heart than of anything it will meet",
            where="--split train" if request.split else f"{run.name} has no held-out split",
            allowed=", ".join(name for name in metadata.splits if name != "train") or None,
        )
    if split not in metadata.splits:
        held_out = [name for name in metadata.splits if name != "train"]
        raise UserError(
            f"the run has no split '{split}'",
            where=f"--split {split}",
            nearest=nearest_of(split, held_out),
            allowed=", ".join(held_out),
        )
    if metadata.class_names is None:
        raise UserError(
            f"'{run.name}' predicts numbers: only classes have cut-offs", where=str(run.path)
        )
    if request.class_name not in metadata.class_names:
        raise UserError(
            f"the run has no class '{request.class_name}'",
            where=f"--class {request.class_name}",
            nearest=nearest_of(request.class_name, metadata.class_names),
            allowed=", ".join(metadata.class_names[:30]),
        )
    predictions = predictions_at(run, split, request.temperature)
    if not isinstance(predictions, ClassPredictions):
        raise UserError(
            f"'{run.name}' recorded no predictions on {split}: it was not evaluated",
            where=str(run.path),
        )
    _refuse_too_few(predictions, request.class_name)
    return predictions


def _refuse_too_few(predictions: ClassPredictions, class_name: str) -> None:
    import numpy as np

    number = list(predictions.class_names).index(class_name)
    belongs, scores = predictions.targets == number, predictions.probabilities[:, number]
    if min(belongs.sum(), (~belongs).sum()) < 2:
        raise UserError(
            f"'{class_name}' has {belongs.sum()} of {len(belongs)} samples in {predictions.split}: "
            "two halves need two of it and two of the rest",
            where=f"--class {class_name}",
        )
    if not np.isfinite(scores).all():
        raise UserError(
            f"{(~np.isfinite(scores)).sum()} of the predictions on {predictions.split} "
            "are not finite",
            where="predictions.csv",
        )


def _check_bounds(request: ThresholdRequest) -> None:
    for option, value in (("--recall", request.recall), ("--precision", request.precision)):
        if value is not None and not 0 < value <= 1:
            raise UserError(
                f"a fraction cannot be {value:g}",
                where=f"{option} {value:g}",
                allowed="more than 0, at most 1: 99 % is 0.99",
            )
    assert request.recall is not None or request.precision is not None, "the command asks for one"


def _judge(found: dict[str, Any], request: ThresholdRequest) -> Verdict:
    """The verdict of the half that did not choose, on what was asked alone.

    Where even a perfect outcome of so few samples would leave the bound inside its
    interval, nothing was confirmed, unless the bound was missed beyond doubt.
    """
    judged = []
    if request.recall is not None:
        judged.append(
            judge_fraction(found["recall"]["count"], found["recall"]["total"], request.recall)
        )
    if request.precision is not None:
        wrong, total = found["wrong_class"]["count"], found["wrong_class"]["total"]
        judged.append(judge_fraction(total - wrong, total, request.precision))
    verdicts: Sequence[Verdict] = ("not confirmed", "too few samples", "confirmed")
    return next(verdict for verdict in verdicts if verdict in judged)


def _unreachable_recall(
    run: Run, request: ThresholdRequest, half: Half, recall: float
) -> UserError:
    precisions, recalls, _ = curve_of(half)
    reachable = "every sample has the same probability: the model tells nothing apart"
    fix = None
    if len(recalls) > 1:
        reachable = f"a recall of {percent(recalls[1])}, at a precision of {percent(precisions[1])}"
        fix = _command(run, replace(request, recall=_rounded_down(recalls[1])))
    return UserError(
        f"no cut-off keeps a recall of {percent(recall)} of '{request.class_name}', "
        "short of calling every sample one",
        where=f"the {len(half.scores)} samples that choose",
        allowed=f"reachable: {reachable}",
        fix=fix,
    )


def _unreachable_precision(
    run: Run, request: ThresholdRequest, half: Half, precision: float
) -> UserError:
    precisions, recalls, _ = curve_of(half)
    best = int(precisions.argmax())
    return UserError(
        f"no cut-off reaches a precision of {percent(precision)} for '{request.class_name}'",
        where=f"the {len(half.scores)} samples that choose",
        allowed=f"reachable: a precision of {percent(precisions[best])}, "
        f"at a recall of {percent(recalls[best])}",
        fix=_command(run, replace(request, precision=_rounded_down(precisions[best]))),
    )


def _rounded_down(fraction: float) -> float:
    """So that the command which is offered works."""
    return math.floor(1000 * fraction) / 1000


def _command(run: Run, request: ThresholdRequest) -> str:
    asked = {"recall": request.recall, "precision": request.precision}
    options = " ".join(
        f"--{name} {fraction:g}" for name, fraction in asked.items() if fraction is not None
    )
    name = shlex.quote(request.class_name)
    return f"expkit threshold {handle(run.path)} --class={name} {options}"
