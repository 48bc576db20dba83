"""Predictions of a run as the rows of a CSV, written and read."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from expkit.errors import UserError
from expkit.metrics.predictions import ClassPredictions, Predictions, ValuePredictions
from expkit.records.csv_cells import csv_of_safe_cells, plain_cell, safe_cell
from expkit.records.files import write_aside
from expkit.records.run.metadata import DatasetMetadata
from expkit.records.safe_open import open_to_read
from expkit.sanitize import one_line

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float32]

NUM_FIRST = 5  # columns before the probabilities
ROUNDING, LEAST_TOLD = 3e-6, 1e-30  # of probabilities as they are written
PLAIN = "predictions_plain.csv"  # of the model alone, beside those averaged over views
UNDECODABLE = "surrogateescape"  # bytes of a file's name that are no UTF-8 come back as they were


def header_of(predictions: Predictions) -> list[str]:
    """Return the columns of the CSV."""
    if isinstance(predictions, ClassPredictions):
        has_uncertainty = predictions.uncertainties is not None
        return class_header(predictions.class_names, has_uncertainty=has_uncertainty)
    return value_header(predictions.target_names)


def rows_of(predictions: Predictions) -> Iterator[list[str]]:
    """Yield a row of the CSV for each sample."""
    if isinstance(predictions, ClassPredictions):
        return _class_rows(predictions)
    return _value_rows(predictions)


def _class_rows(given: ClassPredictions) -> Iterator[list[str]]:
    import numpy as np

    columns = given.probabilities
    if given.uncertainties is not None:
        columns = np.column_stack([columns, given.uncertainties])
    line = ",".join(["%.6g"] * columns.shape[1])
    names = [safe_cell(name) for name in given.class_names]
    for sample, target, prediction, rank, row in zip(
        given.samples,
        given.targets.tolist(),
        given.predictions.tolist(),
        given.ranks.tolist(),
        columns.tolist(),
        strict=True,
    ):
        numbers = (line % tuple(row)).split(",")
        first = [given.split, safe_cell(sample), names[target], names[prediction], str(rank)]
        yield [*first, *numbers]


def _value_rows(given: ValuePredictions) -> Iterator[list[str]]:
    for sample, target, prediction in zip(
        given.samples, given.targets.tolist(), given.predictions.tolist(), strict=True
    ):
        numbers = (f"{number:.6g}" for number in (*target, *prediction))
        yield [given.split, safe_cell(sample), *numbers]


def class_header(class_names: Sequence[str], *, has_uncertainty: bool = False) -> list[str]:
    """The columns of a classification: by position, as a class may be called "split" itself."""
    first = ["split", "sample", "target", "prediction", "target_rank"]
    return [*first, *map(safe_cell, class_names), *(["uncertainty"] if has_uncertainty else [])]


def value_header(target_names: Sequence[str]) -> list[str]:
    """The columns of a regression."""
    columns = (f"{side}_{name}" for side in ("target", "predicted") for name in target_names)
    return ["split", "sample", *map(safe_cell, columns)]


def write_predictions(path: Path, splits: Sequence[Predictions]) -> None:
    """One CSV for all splits of a run."""
    rows = chain([header_of(splits[0])], *map(rows_of, splits))
    write_aside(path, csv_of_safe_cells(rows).encode(errors=UNDECODABLE))


def read_predictions(path: Path, metadata: DatasetMetadata) -> Mapping[str, Predictions]:
    """Read a file of predictions, by split, in the classes or targets of the run's data."""
    try:
        if metadata.class_names is not None:
            return read_class_predictions(path, metadata.class_names)
        return read_value_predictions(path, metadata.target_names or ())
    except (KeyError, ValueError) as error:  # pandas' are ValueErrors
        raise UserError(
            f"{path.name} and dataset.json of '{one_line(path.parent.name)}' do not agree, "
            "or one of them is damaged",
            where=str(path),
            fix="bring both back from a copy, or evaluate again: expkit evaluate RUN",
        ) from error


def read_class_predictions(path: Path, class_names: Sequence[str]) -> dict[str, ClassPredictions]:
    """The classification predictions of a run by split."""
    import numpy as np

    index = {name: number for number, name in enumerate(class_names)}
    text = ("split", "sample", "target", "prediction")
    plain = class_header(class_names)
    has_uncertainty = len(_read_header(path)) == len(plain) + 1
    header = class_header(class_names, has_uncertainty=has_uncertainty)
    table = _read_table(path, header, text, len(header) - NUM_FIRST)
    ranks = table.iloc[:, 4].to_numpy(np.float64)
    if not np.isin(ranks, np.arange(len(class_names) + 1)).all():  # the last: NaN
        raise ValueError("a rank is of no class")
    probabilities = table.iloc[:, NUM_FIRST : len(plain)].to_numpy(np.float64)
    if (probabilities < 0).any() or (probabilities > 1).any():  # NaN is neither
        raise ValueError("a probability is outside of 0 to 1")
    targets, predicted = (
        np.array([index[plain_cell(name)] for name in table[column]], np.int64)
        for column in ("target", "prediction")
    )
    _refuse_forged_ranks(ranks, targets, predicted, probabilities)
    uncertainties = table.iloc[:, -1].to_numpy(np.float64) if has_uncertainty else None
    if uncertainties is not None and (uncertainties < 0).any():
        raise ValueError("an uncertainty is below 0")
    return {
        str(split): ClassPredictions(
            split=str(split),
            samples=[plain_cell(name) for name in part["sample"]],
            targets=targets[part.index],
            predictions=predicted[part.index],
            ranks=ranks[part.index].astype(np.int64),
            probabilities=probabilities[part.index].astype(np.float32),
            class_names=class_names,
            uncertainties=None
            if uncertainties is None
            else uncertainties[part.index].astype(np.float32),
        )
        for split, part in table.groupby("split", sort=False)
    }


def _refuse_forged_ranks(
    ranks: npt.NDArray[np.float64],
    targets: Ints,
    predicted: Ints,
    probabilities: npt.NDArray[np.float64],
) -> None:
    """Refuse ranks that are not those of the probabilities, from which accuracies would be made.

    Probabilities are written to six digits: what they cannot tell apart may have either rank.
    """
    import numpy as np

    known = np.isfinite(probabilities).all(axis=1)
    rows, ranks = probabilities[known], ranks[known]
    own = np.take_along_axis(rows, targets[known, None], axis=1)
    slack = LEAST_TOLD + ROUNDING * own
    lowest = (rows > own + slack).sum(axis=1)
    highest = (rows >= own - slack).sum(axis=1) - 1
    if ((ranks < lowest) | (ranks > highest)).any():
        raise ValueError("a rank is not that of the probabilities")
    if ((ranks == 0) & (predicted[known] != targets[known])).any():
        raise ValueError("a rank is not that of the prediction")


def read_value_predictions(path: Path, target_names: Sequence[str]) -> dict[str, ValuePredictions]:
    """The regression predictions of a run by split."""
    import numpy as np

    header = value_header(target_names)
    table = _read_table(path, header, ("split", "sample"), 2 * len(target_names))
    with np.errstate(over="ignore"):  # a diverged model may well predict infinity
        numbers = table.iloc[:, 2:].to_numpy(np.float64).astype(np.float32)
    return {
        str(split): ValuePredictions(
            split=str(split),
            samples=[plain_cell(name) for name in part["sample"]],
            targets=numbers[part.index, : len(target_names)],
            predictions=numbers[part.index, len(target_names) :],
            target_names=target_names,
        )
        for split, part in table.groupby("split", sort=False)
    }


def _read_header(path: Path) -> list[str]:
    with open_to_read(path) as stream:
        wrapped = io.TextIOWrapper(stream, "utf-8", UNDECODABLE, newline="")
        try:
            return [plain_cell(cell) for cell in next(csv.reader(wrapped), [])]
        except csv.Error as error:
            raise ValueError(f"its header is none: {error}") from None


def _read_table(
    path: Path, header: Sequence[str], text: Sequence[str], num_numbers: int
) -> pd.DataFrame:
    """The rows below this header, with so many columns of numbers at the end."""
    import pandas as pd

    if _read_header(path) != [plain_cell(cell) for cell in header]:
        raise ValueError("its columns are other ones")
    with open_to_read(path) as stream:
        columns = [*text, *map(str, range(len(text), len(header)))]
        table = pd.read_csv(
            stream,
            header=0,
            names=columns,
            # said to be floats, as a number of hundreds of digits would be an object
            dtype=dict.fromkeys(columns, float) | dict.fromkeys(text, str),
            keep_default_na=False,
            na_values={name: ["nan"] for name in columns[len(header) - num_numbers :]},
            encoding_errors=UNDECODABLE,
        )
        return table.reset_index(drop=True)
