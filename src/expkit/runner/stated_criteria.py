"""The criteria that a config states, held against the data that is to judge them."""

from __future__ import annotations

from collections.abc import Mapping

from expkit.errors import UserError, nearest_of
from expkit.metrics.criteria import Criterion, check_bound, parse_criterion
from expkit.metrics.names import CLASS_METRICS, measurable
from expkit.records.run.metadata import DatasetMetadata

MAX_LISTED_CLASSES = 30


def check_criteria(criteria: Mapping[str, object], dataset: DatasetMetadata) -> list[Criterion]:
    """Return the criteria, all of which this data can answer."""
    parsed = [parse_criterion(name, condition) for name, condition in criteria.items()]
    for criterion in parsed:
        _check_metric(criterion, dataset)
        check_bound(criterion)
        if criterion.split(dataset.judged_split) not in dataset.splits:
            raise UserError(
                f"the dataset has no split '{criterion.split(dataset.judged_split)}'",
                where=f"criteria.{criterion.name}",
                allowed=", ".join(dataset.splits),
            )
    return parsed


def _check_metric(criterion: Criterion, dataset: DatasetMetadata) -> None:
    measure, classes = criterion.measure, dataset.class_names or ()
    known = measurable(dataset.task, dataset.num_classes)
    where = f"criteria.{criterion.name}"
    if measure.class_name is None and measure.metric in known:
        return
    if measure.class_name is None or not classes or measure.metric not in CLASS_METRICS:
        of_a_class = {f"{name}[CLASS]": meaning for name, meaning in CLASS_METRICS.items()}
        meanings = {**known, **(of_a_class if classes else {})}
        raise UserError(
            f"'{criterion.metric}' cannot be measured on this dataset's {dataset.task} targets",
            where=where,
            nearest=nearest_of(criterion.metric, meanings),
            allowed="\n".join(f"{name}: {meaning}" for name, meaning in meanings.items()),
            fix=f"expkit train ... criteria={dataset.task}   (or criteria=none)",
        )
    if measure.class_name not in classes:
        listed = ", ".join(classes[:MAX_LISTED_CLASSES])
        raise UserError(
            f"the dataset has no class '{measure.class_name}'",
            where=where,
            nearest=nearest_of(measure.class_name, classes),
            allowed=listed + (", ..." if len(classes) > MAX_LISTED_CLASSES else ""),
        )
