"""The names of all metrics, what each means, and between which values it lies."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from expkit.errors import UserError, nearest_of
from expkit.metrics.task_types import Task, has_top5

METRICS: Mapping[Task, Mapping[str, str]] = {
    "classification": {
        "accuracy": "fraction of samples whose most probable class is right",
        "top5_accuracy": "fraction of samples whose class is among the five most probable",
        "balanced_accuracy": "mean over classes of the fraction of their samples that is right",
        "macro_precision": "mean over classes of their precision; one never predicted counts as 0",
        "macro_recall": "mean over classes of their recall: balanced_accuracy by its other name",
        "macro_f1": "mean over classes of their F1",
        "auroc": "area under the ROC curve: of the second of two classes, else mean one-vs-rest",
        "average_precision": "area under precision over recall: of the second of two, else mean",
        "log_loss": "mean of -ln(probability of the right class)",
        "calibration_error": "mean distance of confidence from accuracy over 15 bins (ECE)",
        "aurc": "mean error rate over all fractions kept of the most confident (risk-coverage)",
    },
    "regression": {
        "mae": "mean absolute error over all targets",
        "rmse": "root of the mean squared error over all targets",
        "r2": "fraction of the targets' variance that is explained",
    },
}

# measured only where a criterion or a comparison asks, as no page of other runs shows them
ON_DEMAND: Mapping[Task, Mapping[str, str]] = {
    "classification": {
        "max_predicted_fraction": "fraction of the predictions that goes to the commonest class",
    },
    "regression": {},
}
LATENCY: Mapping[str, str] = {  # on the device of the run, of the model and not of its samples
    "latency_seconds": "median time from one prepared image to its prediction",
    "latency_p95_seconds": "time within which 95 % of these predictions were there",
}

ALIASES: Mapping[str, str] = {"ece": "calibration_error"}

# of one class, written `recall[cherry_pit]`; of the worst of several by `recall[*]`
CLASS_METRICS: Mapping[str, str] = {
    "precision": "fraction of the predictions of this class that are right",
    "recall": "fraction of this class's samples that are predicted right",
    "f1": "harmonic mean of the class's precision and recall",
}

# between which every value of a metric lies
RANGES: Mapping[str, tuple[float, float]] = {
    **dict.fromkeys([*METRICS["classification"], *CLASS_METRICS], (0, 1)),
    "max_predicted_fraction": (0, 1),
    **dict.fromkeys(LATENCY, (0, math.inf)),
    "log_loss": (0, math.inf),
    "mae": (0, math.inf),
    "rmse": (0, math.inf),
    "r2": (-math.inf, 1),
}

# fractions of samples, which are written in percent
FRACTION = frozenset(
    {
        *("accuracy", "top5_accuracy", "balanced_accuracy", "macro_precision", "macro_recall"),
        *("macro_f1", "precision", "recall", "f1", "max_predicted_fraction"),
        *("knn_accuracy", "linear_probe_accuracy"),  # of features, in a history
    }
)

# the others are better when higher; `loss` is the history's
LOWER_IS_BETTER = frozenset(
    {
        *("loss", "log_loss", "calibration_error", "aurc", "max_predicted_fraction"),
        *("mae", "rmse", *LATENCY),
    }
)

FIRST_CHOICES = ("accuracy", "rmse")  # to judge by where nobody said

# of which an objective may name one; held_out is val, or what a run is judged on without it
SPLITS = ("held_out", "train", "val", "test")
CHOOSING = "choosing"  # stands for val, or for the judged split where there is none

MAX_RANKED_CLASSES = 100  # above, a curve a class costs more time than it tells


@dataclass(frozen=True)
class Measure:
    """`val/recall[cherry_pit]` taken apart; the split is empty where none is named."""

    split: str
    metric: str
    class_name: str | None = None

    @classmethod
    def parse(cls, name: str) -> Measure:
        """A class may be called anything, also with a slash or a bracket in it."""
        match = re.fullmatch(r"(?:([^/\[]*)/)?([^/\[]+)\[(.*)\]", name, re.DOTALL)
        if match is not None:
            return cls(match[1] or "", match[2], match[3])
        split, _, metric = name.rpartition("/")
        return cls(split, ALIASES.get(metric, metric))

    @property
    def unsplit(self) -> str:
        """The same without its split: `recall[cherry_pit]`."""
        return self.metric if self.class_name is None else f"{self.metric}[{self.class_name}]"

    @property
    def name(self) -> str:
        """The same with its split, and a metric's full name for its short one."""
        return f"{self.split}{'/' * bool(self.split)}{self.unsplit}"

    def split_of(self, judged_split: str) -> str:
        """The split that it is of, in a run that is judged on this one."""
        return judged_split if self.split in ("", "held_out") else self.split


def is_on_demand(name: str) -> bool:
    """Tell whether only some runs have it: of one class or the worst, or of other than samples."""
    measure = Measure.parse(name)
    kinds = (*ON_DEMAND.values(), LATENCY)
    return measure.class_name is not None or any(measure.metric in kind for kind in kinds)


def main_metric(names: Collection[str]) -> str:
    """The metric to judge by where nobody said: accuracy, or the error of numbers."""
    return next((name for name in FIRST_CHOICES if name in names), next(iter(names)))


def is_lower_better(name: str) -> bool:
    """Tell whether a lower value is better, of a metric with or without split and class."""
    return Measure.parse(name).metric in LOWER_IS_BETTER


def refuse_unknown(objective: str) -> None:
    """Every job would run to its end for a figure that is not measured."""
    known = [*CLASS_METRICS, *(name for metrics in METRICS.values() for name in metrics)]
    measure = Measure.parse(objective)
    splits = [split for split in SPLITS if split != "test"]  # no advice that is refused next
    if measure.metric not in known or measure.split not in ("", *SPLITS):
        nearest = measure.metric if measure.metric in known else nearest_of(measure.metric, known)
        raise UserError(
            f"no run measures '{objective}'",
            where=f"sweep.objective={objective}",
            nearest=f"{nearest_of(measure.split, splits) or splits[0]}/{nearest}"
            if nearest
            else None,
            allowed=f"{', '.join(splits)}, each with /METRIC: {', '.join(known)}",
        )
    if measure.split == "test":
        raise UserError(
            "a sweep that chooses by the test samples leaves none to judge its choice on",
            where=f"sweep.objective={objective}",
            fix=f"sweep.objective={objective.removeprefix('test/')}   (on val where there is one)",
        )


def for_choosing(objective: str) -> str:
    """A sweep chooses by samples that its choice is not judged on, where there are such."""
    measure = Measure.parse(objective)
    if measure.split in ("", "held_out"):
        return f"{CHOOSING}/{measure.unsplit}"
    return objective


def measurable(task: Task, num_classes: int | None) -> Mapping[str, str]:
    """Return the metrics of all classes together that data of this kind has a number for."""
    known = dict(METRICS[task])
    num_classes = num_classes or 0
    if not has_top5(num_classes):
        known.pop("top5_accuracy", None)
    if num_classes > MAX_RANKED_CLASSES:
        known.pop("auroc", None)
        known.pop("average_precision", None)
    return known
