"""The criteria that a config states, held against the data that is to judge them."""

from __future__ import annotations

from collections.abc import Mapping

from expkit.errors import UserError, nearest_of
from expkit.metrics.class_patterns import matching_classes
from expkit.metrics.criteria import Criterion, check_bound, parse_criterion
from expkit.metrics.names import (
    ALIASES,
    CLASS_METRICS,
    LATENCY,
    ON_DEMAND,
    Measure,
    measurable,
)
from expkit.records.run.metadata import DatasetMetadata

MAX_LISTED_CLASSES = 30


def check_criteria(criteria: Mapping[str, object], dataset: DatasetMetadata) -> list[Criterion]:
    """Return the criteria, all of which this data can answer."""
    parsed = [parse_criterion(name, condition) for name, condition in criteria.items()]
    for criterion in parsed:
        _check_metric(criterion, dataset)
        check_bound(criterion, ends=_ends(criterion, dataset))
        split = criterion.split(dataset.judged_split)
        if dataset.sealed is not None and split == dataset.sealed.split:
            continue  # `expkit unseal` judges it
        if split not in dataset.splits:
            raise UserError(
                f"the dataset has no split '{split}'",
                where=f"criteria.{criterion.name}",
                allowed=", ".join(dataset.splits),
            )
    return parsed


def _ends(criterion: Criterion, dataset: DatasetMetadata) -> tuple[float, float] | None:
    """Of some class there are at least as many predictions as of the others."""
    if criterion.metric != "max_predicted_fraction" or not dataset.num_classes:
        return None
    return 1 / dataset.num_classes, 1.0


def _check_metric(criterion: Criterion, dataset: DatasetMetadata) -> None:
    measure, classes = criterion.measure, dataset.class_names or ()
    known = {
        **measurable(dataset.task, dataset.num_classes),
        **ON_DEMAND[dataset.task],
        **LATENCY,
    }
    where = f"criteria.{criterion.name}"
    if measure.class_name is None and measure.metric in known:
        _refuse_split_of_latency(measure, where)
        return
    if measure.class_name is None or not classes or measure.metric not in CLASS_METRICS:
        of_a_class = {f"{name}[CLASS]": meaning for name, meaning in CLASS_METRICS.items()}
        meanings = {**known, **(of_a_class if classes else {})}
        raise UserError(
            f"'{criterion.metric}' cannot be measured on this dataset's {dataset.task} targets",
            where=where,
            nearest=_nearest(measure, meanings),
            allowed="\n".join(
                f"{', '.join(_spellings(name))}: {meaning}" for name, meaning in meanings.items()
            ),
            fix=f"expkit train ... criteria={dataset.task}   (or criteria=none)",
        )
    if not matching_classes(measure.class_name, classes):
        listed = ", ".join(classes[:MAX_LISTED_CLASSES])
        raise UserError(
            f"the dataset has no class '{measure.class_name}'",
            where=where,
            nearest=nearest_of(measure.class_name, classes),
            allowed=listed + (", ..." if len(classes) > MAX_LISTED_CLASSES else ""),
        )


def _refuse_split_of_latency(measure: Measure, where: str) -> None:
    """A model takes as long for one image, whichever split it is of."""
    if measure.metric in LATENCY and measure.split:
        raise UserError(
            f"'{measure.metric}' is of the model, and of no split",
            where=where,
            allowed=", ".join(LATENCY),
            fix=f"expkit train '++criteria.{measure.metric}=\"< 5\"'",
        )


def _nearest(measure: Measure, meanings: Mapping[str, str]) -> str | None:
    """The metric that was probably meant, of the class that was named with it."""
    if measure.class_name is not None and (found := nearest_of(measure.metric, CLASS_METRICS)):
        return f"{found}[{measure.class_name}]"
    return nearest_of(measure.unsplit, [*meanings, *ALIASES])


def _spellings(name: str) -> list[str]:
    """A metric with its short name; one of a class with the way to ask it of every class."""
    every = [name.replace("CLASS", "*")] if name.endswith("[CLASS]") else []
    return [name, *every, *(short for short, full in ALIASES.items() if full == name)]
