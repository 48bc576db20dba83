"""Cross-validation as one figure: each sample judged once, by the run that did not train on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from expkit.errors import UserError
from expkit.metrics.names import Measure
from expkit.metrics.predictions import ClassPredictions, Predictions
from expkit.records.run.reader import Run
from expkit.records.seed_groups import NUM_FOLDS
from expkit.reports import formatting
from expkit.reports.run.figures import Figure, Measured
from expkit.reports.runs.recipes import mean_of, std_of
from expkit.reports.runs.rows import RunRow

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

HELD_OUT_FOLD = "val"  # the split that a fold of cross-validation becomes


@dataclass(frozen=True)
class OutOfFold:
    """The pooled figure of one seed's folds, or why there is none."""

    metric: str  # with its split: val/accuracy
    num_folds: int  # that were run
    planned: int  # that there are
    figure: Figure = field(default_factory=Figure)
    trouble: str = ""

    @property
    def words(self) -> str:
        """`96.00 % (95.0 to 96.9 %), 1527 samples, each judged once: 3 of 3 folds`."""
        if self.trouble:
            return f"cannot be pooled: {self.trouble}"
        ends = formatting.interval(self.metric, self.figure.interval)
        shown = formatting.figure(self.metric, self.figure.value)
        within = "" if ends == "-" else f" (95 % interval {ends})"
        return (
            f"{shown}{within} over {self.figure.num_samples} samples, each judged once by the run "
            f"that did not train on it; {self.num_folds} of {self.planned} folds"
        )


def pool_folds(rows: Sequence[RunRow], metric: str) -> OutOfFold:
    """The metric over all held-out folds of one seed together, with its ordinary interval."""
    planned = int(rows[0].flat_config[NUM_FOLDS])
    plain = Measure.parse(metric).unsplit
    name = f"{HELD_OUT_FOLD}/{plain}"
    empty = OutOfFold(name, len({row.fold for row in rows}), planned)
    try:
        pooled = _pooled([_held_out(row.run) for row in rows])
    except UserError as error:
        return replace(empty, trouble=error.what)
    return replace(empty, figure=Measured.of(pooled).look_up(plain))


def _held_out(run: Run) -> Predictions:
    found = run.predictions.get(HELD_OUT_FOLD)
    if found is None:
        raise UserError(f"'{run.name}' has no predictions of its held-out fold")
    return found


def _pooled(parts: Sequence[Predictions]) -> Predictions:
    samples = [sample for part in parts for sample in part.samples]
    if len(set(samples)) < len(samples):
        raise UserError("the folds share samples, so they are not of one division")
    first = parts[0]
    names = [list(_names(part)) for part in parts]
    if any(each != names[0] for each in names):
        raise UserError("the folds do not have the same classes")
    columns = ["targets", "predictions"]
    columns += ["ranks", "probabilities"] if isinstance(first, ClassPredictions) else []
    arrays: dict[str, Any] = {name: _joined(parts, name) for name in columns}
    return replace(first, samples=samples, **arrays)


def _names(part: Predictions) -> Sequence[str]:
    return part.class_names if isinstance(part, ClassPredictions) else part.target_names


def _joined(parts: Sequence[Predictions], name: str) -> npt.NDArray[np.generic]:
    import numpy as np

    return np.concatenate([getattr(part, name) for part in parts])


def out_of_fold(rows: Sequence[RunRow], metric: str) -> str:
    """The pooled figure in words; of several seeds their mean and std, as each judges them all."""
    pooled = _of_seeds(rows, metric)
    first = next((each for each in pooled if each.trouble), pooled[0])
    name = f"out of fold, {first.metric}"
    if len(pooled) == 1 or first.trouble or any(each.figure.value is None for each in pooled):
        return f"{name}: {first.words}"
    return (
        f"{name}: {_mean_of(pooled, metric)} over {len(pooled)} seeds, in each of which "
        f"{first.figure.num_samples} samples are judged once, by the run that did not train on them"
    )


def pooled_cell(rows: Sequence[RunRow], metric: str) -> str:
    """The same for a table: `96.00 % (95.0 to 96.9 %)`, or a dash."""
    pooled = _of_seeds(rows, metric)
    if any(each.trouble or each.figure.value is None for each in pooled):
        return "-"
    if len(pooled) > 1:
        return _mean_of(pooled, metric)
    ends = formatting.interval(metric, pooled[0].figure.interval)
    shown = formatting.figure(metric, pooled[0].figure.value)
    return shown if ends == "-" else f"{shown} ({ends})"


def _of_seeds(rows: Sequence[RunRow], metric: str) -> list[OutOfFold]:
    by_seed: dict[int, list[RunRow]] = {}
    for row in rows:
        by_seed.setdefault(row.seed, []).append(row)
    return [pool_folds(each, metric) for each in by_seed.values()]


def _mean_of(pooled: Sequence[OutOfFold], metric: str) -> str:
    values = [each.figure.value for each in pooled if each.figure.value is not None]
    return formatting.spread(metric, mean_of(values), std_of(values))
