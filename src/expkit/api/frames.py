"""Records as DataFrames; what a stranger wrote in them is cleaned, as cells are printed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from expkit.metrics.predictions import ClassPredictions, Predictions
from expkit.sanitize import one_line

if TYPE_CHECKING:
    import pandas as pd


def cleaned(value: Any) -> Any:
    """Return a record with every text in it as one that no terminal obeys."""
    if isinstance(value, str):
        return one_line(value)
    if isinstance(value, Mapping):
        return {one_line(str(key)): cleaned(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [cleaned(each) for each in value]
    return value


def records_frame(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return a row a record, with a column for each key that any of them has."""
    import pandas as pd

    return pd.DataFrame(cleaned(list(records)))


def metrics_frame(summary: Mapping[str, Any]) -> pd.DataFrame:
    """Return a row for each split and metric: the value, its 95 % interval, and the baselines.

    `chance` and `constant` (always the largest class, or the mean) are of the judged split.
    """
    import pandas as pd

    rows = []
    for split, values in summary["metrics"].items():
        intervals = summary["intervals"].get(split, {})
        levels = summary["levels"] if split == summary["judged_split"] else {}
        for metric, value in values.items():
            low, high = intervals.get(metric, (None, None))
            baselines = {kind: levels.get(kind, {}).get(metric) for kind in ("chance", "constant")}
            named = {"split": one_line(split), "metric": one_line(metric)}
            rows.append({**named, "value": value, "low": low, "high": high, **baselines})
    numbers = ["value", "low", "high", "chance", "constant"]
    frame = pd.DataFrame(rows, columns=["split", "metric", *numbers])
    return frame.astype(dict.fromkeys(numbers, float)).set_index(["split", "metric"])


def criteria_frame(summary: Mapping[str, Any]) -> pd.DataFrame:
    """Return a row a criterion: what was asked, what was reached with its interval, and if met."""
    import pandas as pd

    columns = ("criterion", "metric", "relation", "bound", "split", "value")
    rows = []
    for given in cleaned(summary["criteria"]):
        low, high = given["interval"] or (None, None)
        rows.append({**{key: given[key] for key in columns}, "low": low, "high": high})
        rows[-1] |= {"met": given["met"], "num_samples": given["num_samples"]}
    return pd.DataFrame(rows, columns=[*columns, "low", "high", "met", "num_samples"])


def predictions_frame(found: Predictions) -> pd.DataFrame:
    """Return a row a sample: target, prediction, and how probable each class was.

    Of a model that predicts numbers: a column `target_NAME` and one `predicted_NAME` for each.
    """
    import numpy as np
    import pandas as pd

    samples = [one_line(name) for name in found.samples]
    if not isinstance(found, ClassPredictions):
        columns: dict[str, Any] = {"sample": samples}
        for side, numbers in (("target", found.targets), ("predicted", found.predictions)):
            for place, name in enumerate(found.target_names):
                columns[f"{side}_{one_line(name)}"] = numbers[:, place]
        return pd.DataFrame(columns)
    names = np.array([one_line(name) for name in found.class_names], dtype=object)
    confidences = np.take_along_axis(found.probabilities, found.predictions[:, None], axis=1)
    facts: dict[str, Any] = {
        "sample": samples,
        "target": names[found.targets],
        "prediction": names[found.predictions],
        "correct": found.ranks == 0,
        "confidence": confidences[:, 0],
    }
    if found.uncertainties is not None:
        facts["uncertainty"] = found.uncertainties
    probabilities = pd.DataFrame(
        found.probabilities, columns=probability_columns(found.class_names)
    )
    return pd.concat([pd.DataFrame(facts), probabilities], axis=1)


def probability_columns(class_names: Sequence[str]) -> list[str]:
    """Return `probability[CLASS]` for each: a class may be called "sample" or "target"."""
    return [f"probability[{one_line(name)}]" for name in class_names]
