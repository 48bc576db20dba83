"""Fitting a temperature on one half of a run's val, and confirming it on the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from expkit.errors import UserError
from expkit.metrics.predictions import ClassPredictions, Predictions
from expkit.metrics.temperature import (
    HIGHEST,
    LOWEST,
    Change,
    at_temperature,
    changes_of,
    fit_temperature,
    halves_by_class,
    select,
)
from expkit.records.run.checkpoint_digests import digest_of
from expkit.records.run.kept_temperature import KeptTemperature, RecordedChange
from expkit.records.run.reader import Run
from expkit.reports.run.run_screen import handle

SPLIT: Literal["val"] = "val"  # test is for the verdict alone
MIN_SAMPLES = 40  # of both halves together: of fewer, no interval says anything


def predictions_at(run: Run, split: str, temperature: float = 1.0) -> Predictions | None:
    """The recorded predictions of a split, without further views, at a temperature."""
    predictions = run.plain_predictions.get(split)
    if not isinstance(predictions, ClassPredictions):
        return predictions
    recorded = float(run.evaluation.get("temperature", 1.0))
    return at_temperature(predictions, temperature / recorded)


def fit_kept_temperature(run: Run, seed: int = 0) -> KeptTemperature:
    """The temperature of the run's weights with its evidence; refused where none can be fitted."""
    predictions = _val_predictions(run)
    halves = _halves(run, predictions, seed)
    temperature = fit_temperature(halves[0])
    if not LOWEST < temperature < HIGHEST:
        raise _no_maximum(run, halves[0], temperature)
    before, after = halves[1], at_temperature(halves[1], temperature)
    changes = changes_of(before, after)
    return KeptTemperature(
        temperature=temperature,
        weights_sha256=digest_of(run.weights),
        split=SPLIT,
        seed=seed,
        num_fitted=len(halves[0].targets),
        num_confirmed=len(before.targets),
        log_loss=_recorded(changes["log_loss"]),
        calibration_error=_recorded(changes["calibration_error"]),
        accuracy=float((before.ranks == 0).mean()),
        helps=changes["log_loss"].lowers,
    )


def confirming_half(run: Run, calibration: KeptTemperature) -> ClassPredictions | None:
    """The samples that confirmed a temperature, at temperature 1; None where they are others."""
    predictions = predictions_at(run, calibration.split)
    if not isinstance(predictions, ClassPredictions):
        return None
    if len(predictions.targets) != calibration.num_fitted + calibration.num_confirmed:
        return None
    try:
        return select(predictions, halves_by_class(predictions.targets, calibration.seed)[1])
    except ValueError:  # of one sample of a class, which no calibration had
        return None


def _recorded(change: Change) -> RecordedChange:
    return RecordedChange(change.before, change.after, change.interval)


def _val_predictions(run: Run) -> ClassPredictions:
    if run.exported is not None:
        raise run.exported.refuse(
            "its temperature is in the file, and no other can be kept beside it",
            f"expkit calibrate RUN\n{run.exported.command}",
        )
    if run.config.get("evaluates") is not None:
        raise UserError(
            f"'{run.name}' evaluates another run, and a temperature belongs to the run that has "
            "the weights",
            where=str(run.path),
            fix=f"expkit calibrate {handle(run.trained.path)}",
        )
    if run.dataset.class_names is None:
        raise UserError(
            f"'{run.name}' predicts numbers: only probabilities are calibrated",
            where=str(run.path),
        )
    if SPLIT not in run.dataset.splits:
        raise UserError(
            f"'{run.name}' has no val samples: a temperature is fitted on samples that the model "
            "has not learnt, and test is kept for the verdict",
            where=f"splits: {', '.join(run.dataset.splits)}",
            fix="train with some: ROOT/val/CLASS/*, or dataset.val_fraction=0.2",
        )
    predictions = predictions_at(run, SPLIT)
    if not isinstance(predictions, ClassPredictions):
        raise UserError(
            f"'{run.name}' recorded no predictions on {SPLIT}: it was not evaluated",
            where=str(run.path),
            fix="a procedure with an evaluation at its end: '+stage@procedure.evaluate=evaluate'",
        )
    return predictions


def _halves(run: Run, predictions: ClassPredictions, seed: int) -> Sequence[ClassPredictions]:
    import numpy as np

    num_broken = int((~np.isfinite(predictions.probabilities).all(axis=1)).sum())
    if num_broken:
        raise UserError(
            f"{num_broken} of the predictions on {SPLIT} are not finite",
            where=str(run.path / "predictions.csv"),
        )
    names = list(predictions.class_names)
    counts = np.bincount(predictions.targets, minlength=len(names))
    few = [f"{name} ({count})" for name, count in zip(names, counts, strict=True) if count < 2]
    if few:
        raise UserError(
            f"a half of {SPLIT} would have no samples of {len(few)} of the {len(names)} classes: "
            "each half needs every class",
            where=", ".join(few[:12]) + (f" and {len(few) - 12} more" if len(few) > 12 else ""),
            allowed=f"two {SPLIT} samples of each class, or more",
        )
    if len(predictions.targets) < MIN_SAMPLES:
        raise UserError(
            f"{len(predictions.targets)} samples of {SPLIT} are too few to fit a temperature on "
            "one half and confirm it on the other",
            where=str(run.path),
            allowed=f"{MIN_SAMPLES} or more",
        )
    return [select(predictions, half) for half in halves_by_class(predictions.targets, seed)]


def _no_maximum(run: Run, half: ClassPredictions, temperature: float) -> UserError:
    """Say why no temperature is best: the likelihood rises to one end of what is tried."""
    right, total = int((half.ranks == 0).sum()), len(half.targets)
    why = (
        "the surer the better: no mistake among them says how sure is too sure"
        if temperature == LOWEST
        else "the less sure the better: its probabilities tell nothing"
    )
    return UserError(
        f"no temperature between {LOWEST:g} and {HIGHEST:g} is the best: {why}",
        where=f"{right} of the {total} samples of {SPLIT} that fit it are predicted right",
        fix=f"expkit show {handle(run.path)}",
    )
