"""What a page shows of single samples: errors, images, and the map of a puzzle."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from expkit.metrics.confusions import MATRIX_LIMIT, confused_pairs, count_confusions
from expkit.metrics.predictions import ClassPredictions, ValuePredictions
from expkit.records.run.reader import Run
from expkit.reports import markdown
from expkit.reports.formatting import percent
from expkit.reports.html.images import photo_uri, sample_uri
from expkit.reports.tables import Table

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.generic]
    Shot = tuple[str, Array, Array, Array]  # name, targets, predictions, which are right

MAX_ERRORS = 1000
MAX_PAIRS = 60
MAX_VALUES = 40
MAX_IMAGES = 24
MAX_CELLS = 10_000
PUZZLE_WIDTH = 1000  # pixels
FINAL = "final"
MAX_SHOTS = 20


def confusion(predictions: ClassPredictions) -> dict[str, Any]:
    """The matrix, or the most confused pairs where it would be too large; and each error."""
    found: dict[str, Any] = {"split": predictions.split, "errors": _errors(predictions)}
    found["num_errors"] = int((predictions.predictions != predictions.targets).sum())
    if len(predictions.class_names) <= MATRIX_LIMIT:
        return {**found, "counts": count_confusions(predictions).tolist()}
    pairs = confused_pairs(predictions)
    shown = [(each.true, each.predicted, each.count, each.sureness) for each in pairs[:MAX_PAIRS]]
    return {**found, "pairs": shown, "num_pairs": len(pairs)}


def _errors(predictions: ClassPredictions) -> list[tuple[int, int, str, float]]:
    """Target, prediction, sample and confidence of each, the most confident first."""
    import numpy as np

    wrong = np.flatnonzero(predictions.predictions != predictions.targets)
    targets, said = predictions.targets[wrong], predictions.predictions[wrong]
    confidences = np.nan_to_num(predictions.probabilities[wrong, said]).astype(float)
    order = np.argsort(-confidences, kind="stable")[:MAX_ERRORS]
    return [
        (
            int(targets[i]),
            int(said[i]),
            str(predictions.samples[wrong[i]]),
            round(float(confidences[i]), 4),
        )
        for i in order
    ]


def largest_errors(predictions: ValuePredictions) -> str:
    """The samples whose numbers are furthest off, as a table of Markdown."""
    import numpy as np

    off = np.abs(predictions.predictions - predictions.targets).max(axis=1)
    order = np.argsort(-np.nan_to_num(off, nan=np.inf), kind="stable")[:MAX_VALUES]
    header = ["sample"]
    for name in predictions.target_names:
        header += [f"true {name}", f"predicted {name}"]
    rows = [
        [
            str(predictions.samples[i]),
            *(
                f"{value:.4g}"
                for pair in zip(predictions.targets[i], predictions.predictions[i], strict=True)
                for value in pair
            ),
            f"{off[i]:.4g}",
        ]
        for i in order
    ]
    return Table([*header, "largest error"], rows).markdown()


def confident_errors(run: Run) -> list[dict[str, str]]:
    """The images of the most confident errors on the judged split, with their captions."""
    split, names = run.dataset.judged_split, run.dataset.class_names
    arrays = run.samples(f"wrong_{split}")
    if arrays is None or names is None:
        return []
    columns = (arrays[key] for key in ("images", "names", "targets", "predictions", "confidences"))
    return [
        {
            "source": sample_uri(image),
            "target": names[int(target)],
            "predicted": names[int(predicted)],
            "confidence": percent(float(confidence)),
            "sample": PurePath(str(name)).name,
        }
        for image, name, target, predicted, confidence in list(zip(*columns, strict=True))[
            :MAX_IMAGES
        ]
        if min(image.shape) > 0
    ]


def augmented_samples(run: Run) -> list[dict[str, str]]:
    """Training samples as they are stored, beside what the model sees."""
    arrays = run.samples("augmented")
    if arrays is None or min(arrays["stored"].shape) == 0 or min(arrays["seen"].shape) == 0:
        return []
    names = run.dataset.class_names
    return [
        {
            "stored": sample_uri(stored),
            "seen": sample_uri(seen),
            "name": "" if names is None else names[int(target)],
        }
        for stored, seen, target in list(
            zip(arrays["stored"], arrays["seen"], arrays["targets"], strict=True)
        )[:MAX_IMAGES]
    ]


def puzzles(run: Run) -> list[dict[str, Any]]:
    """Each image that was cut into cells, with the predictions of every recorded epoch on it."""
    found = []
    for number, (split, layout) in enumerate(run.dataset.layouts.items()):
        final = run.predictions.get(split)
        is_first = number == 0 and run.dataset.task == "classification"
        shots = _shots(run, len(layout.cells)) if is_first else []
        if isinstance(final, ClassPredictions):
            shots.append((FINAL, final.targets, final.predictions, final.ranks == 0))
        image = run.image(layout)
        if image is None or not shots or len(layout.cells) > MAX_CELLS:
            continue
        found.append(
            {
                "split": split,
                "image": photo_uri(image, PUZZLE_WIDTH),
                "rows": layout.rows,
                "columns": layout.columns,
                "cells": list(layout.cells),
                "classes_are_cells": run.dataset.num_classes == layout.rows * layout.columns,
                "targets": shots[-1][1].tolist(),
                "states": [
                    {
                        "name": name,
                        "predictions": predictions.tolist(),
                        "right": "".join("1" if each else "0" for each in right.tolist()),
                        "told": f"{percent(float(right.mean()))} right",
                    }
                    for name, _, predictions, right in shots
                ],
            }
        )
    return found


def _shots(run: Run, num_samples: int) -> list[Shot]:
    """The predictions that were recorded in the middle of training, some of them where many."""
    found = [
        (
            f"{stage}, epoch {epoch}",
            arrays["targets"],
            arrays["predictions"],
            arrays["targets"] == arrays["predictions"],
        )
        for stage, epoch, arrays in run.snapshots()
        if len(arrays["targets"]) == num_samples
    ]
    return found[:: -(-len(found) // MAX_SHOTS) or 1]


def environment_table(run: Run) -> str:
    """Where and by what the run was made, as a table of Markdown."""
    environment = run.environment
    git = environment.get("git") or {}
    commit = str(git.get("commit") or "")
    known: Sequence[tuple[str, object]] = (
        ("started", environment.get("started")),
        ("device", environment.get("device")),
        *((environment.get("versions") or {}).items()),
        ("platform", environment.get("platform")),
        ("host", environment.get("host")),
        ("commit", f"{commit}{', with changes' * bool(git.get('dirty'))}" if commit else None),
        ("config", environment.get("config_hash")),
    )
    rows = [(name, markdown.plain(str(value))) for name, value in known if value]
    return Table(("", "value"), rows).markdown() if rows else ""
