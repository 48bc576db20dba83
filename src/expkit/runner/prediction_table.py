"""The table of a model's predictions for new images: its columns, and a row for each of them."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from expkit.data.store import folder_tree
from expkit.errors import UserError
from expkit.records.run.reader import Run
from expkit.records.run.thresholds import FILE, Threshold, decide, read_thresholds
from expkit.reports.json.predictions import PredictedImage, RankedClass
from expkit.runner.prediction_manner import Manner

if TYPE_CHECKING:
    from expkit.runner.inference import FilePrediction
    from expkit.runner.restoring import Restored


def distinct_columns(names: Sequence[str], taken: Sequence[str], kind: str = "class") -> list[str]:
    """A column for each class: its name, or `class:NAME` where another column is called so.

    predict.py of an exported folder, which stands alone, has the same.
    """
    columns: list[str] = []
    for name in names:
        column = name
        while column in taken or column in columns or (column != name and column in names):
            column = f"{kind}:{column}"
        columns.append(column)
    return columns


@dataclass(frozen=True)
class PredictionTable:
    """The columns of a run's predictions; their number depends on its classes and on --top."""

    class_names: Sequence[str] | None
    target_names: Sequence[str]
    top: int
    every: bool  # with the probability of each class
    thresholds: Sequence[Threshold]
    unused: Mapping[str, str]  # classes whose thresholds do not hold here, with the reason
    manner: str  # of the probabilities, where it is not plain
    has_uncertainty: bool = False
    further: Sequence[str] = ()  # columns that are added behind these

    @classmethod
    def of(cls, run: Run, top: int, manner: Manner, *, every: bool) -> PredictionTable:
        names = run.dataset.class_names
        kept = read_thresholds(run.path)
        if kept and tuple(kept[0].class_names) != tuple(names or ()):
            raise UserError(
                "the thresholds of this run are for other classes",
                where=str(run.path / FILE),
                fix="remove the file, and choose them anew: expkit threshold RUN --class NAME ...",
            )
        unused = {each.class_name: _why_not(each, manner) for each in kept}
        return cls(
            class_names=names,
            target_names=run.dataset.target_names or (),
            top=min(top, len(names or ())),
            every=every,
            thresholds=[each for each in kept if not unused[each.class_name]],
            unused={name: reason for name, reason in unused.items() if reason},
            manner=str(manner),
        )

    def of_model(self, restored: Restored) -> PredictionTable:
        """The columns of this model, which may predict its uncertainty."""
        from expkit.models.uncertainty import predicts_uncertainty

        return replace(self, has_uncertainty=predicts_uncertainty(restored.model))

    def tell_unused(self) -> None:
        """Say which thresholds decide nothing here."""
        for name, reason in self.unused.items():
            print(f"not used: the threshold of {name}, which is {reason}", file=sys.stderr)

    @property
    def header(self) -> list[str]:
        return self.header_of(self.class_names or ())

    def header_of(self, class_columns: Sequence[str]) -> list[str]:
        """The columns, those of the classes' probabilities by these names."""
        if self.class_names is None:
            taken = ("file", "error", *self.further)
            return ["file", *distinct_columns(self.target_names, taken, "number"), "error"]
        ranks = range(2, self.top + 1)
        others = [column for k in ranks for column in (f"top{k}", f"top{k}_confidence")]
        uncertainty = ["uncertainty"] if self.has_uncertainty else []
        manner = ["probabilities"] if self.manner else []
        first = ["file", "prediction", "confidence", "decision", *others, *uncertainty]
        taken = (*first, *manner, "error", *self.further)
        each = distinct_columns(class_columns, taken) if self.every else ()
        return [*first, *each, *manner, "error"]

    def row(self, prediction: FilePrediction) -> list[str]:
        """One file's cells in the header's order; one that could not be read has a reason."""
        if prediction.outputs is None:
            return [str(prediction.path), *[""] * (len(self.header) - 2), prediction.error]
        numbers = [f"{number:.6g}" for number in prediction.outputs.tolist()]
        if self.class_names is None:
            return [str(prediction.path), *numbers, ""]
        order = (-prediction.outputs).argsort(kind="stable")[: self.top].tolist()
        first, *others = [(self.class_names[i], numbers[i]) for i in order]
        decision = decide(self.thresholds, prediction.outputs[None])[0] if self.thresholds else ""
        ranked = [cell for pair in others for cell in pair]
        uncertainty = prediction.uncertainty
        return [
            str(prediction.path),
            *first,
            decision,
            *ranked,
            *([f"{uncertainty:.6g}"] if uncertainty is not None else []),
            *(numbers if self.every else ()),
            *([self.manner] if self.manner else ()),
            "",
        ]

    def image(self, prediction: FilePrediction) -> PredictedImage:
        """One file's prediction with all digits; the probabilities of the first classes alone."""
        outputs = [] if prediction.outputs is None else prediction.outputs.tolist()
        ranked, decision = list[RankedClass](), None
        if self.class_names is not None and prediction.outputs is not None:
            order = (-prediction.outputs).argsort(kind="stable")[: self.top].tolist()
            ranked = [RankedClass(self.class_names[i], outputs[i]) for i in order]
            if self.thresholds:
                (decision,) = decide(self.thresholds, prediction.outputs[None])
        return PredictedImage(
            file=str(prediction.path),
            error=prediction.error or None,
            prediction=ranked[0].class_name if ranked else None,
            confidence=ranked[0].probability if ranked else None,
            decision=decision,
            top=ranked,
            values={} if self.class_names else dict(zip(self.target_names, outputs, strict=False)),
            uncertainty=prediction.uncertainty,
        )


def _why_not(threshold: Threshold, manner: Manner) -> str:
    """Say why a threshold does not hold for these probabilities; empty where it does."""
    if not threshold.is_confirmed:
        return "not confirmed"
    if manner.views:
        return "of predictions without --tta"
    if threshold.temperature != manner.temperature:
        return (
            f"of probabilities at temperature {threshold.temperature:.4g}, and these are at "
            f"{manner.temperature:.4g}: expkit threshold chooses it anew"
        )
    return ""


def list_images(given: Sequence[Path]) -> list[Path]:
    """The files, and the images below the folders as other commands list them, in order."""
    paths: list[Path] = []
    for path in given:
        if path.is_dir():
            paths += sorted(folder_tree.list_images(path)[0])
        elif path.is_file():
            paths.append(path)
        else:
            raise UserError(f"there is no file or folder '{path}'", where=str(path))
    if not paths:
        raise UserError(
            "no images were found",
            where=", ".join(map(str, given)),
            allowed="image files, or folders that hold some: PNG, JPEG, TIFF, WebP, ...",
        )
    return paths
