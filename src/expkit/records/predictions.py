"""What a model answered to every sample of a split, as arrays and as the rows of a CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from expkit.records.cells import plain_cell, safe_cell
from expkit.records.files import write_aside
from expkit.records.opening import open_to_read

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float32]

UNDECODABLE = "surrogateescape"  # bytes of a file's name that are no UTF-8 come back as they were


@dataclass(frozen=True)
class ClassPredictions:
    """Answers to a classification: indices into the class names, and every probability."""

    split: str
    samples: Sequence[str]
    targets: Ints
    predictions: Ints
    ranks: Ints  # of the target among the classes; 0 is right
    probabilities: Floats  # samples x classes
    class_names: Sequence[str]

    def header(self) -> list[str]:
        """The columns of the CSV."""
        return class_header(self.class_names)

    def rows(self) -> Iterator[list[str]]:
        line = ",".join(["%.6g"] * len(self.class_names))
        names = [safe_cell(name) for name in self.class_names]
        for sample, target, prediction, rank, probabilities in zip(
            self.samples,
            self.targets.tolist(),
            self.predictions.tolist(),
            self.ranks.tolist(),
            self.probabilities.tolist(),
            strict=True,
        ):
            numbers = (line % tuple(probabilities)).split(",")
            yield [
                self.split,
                safe_cell(sample),
                names[target],
                names[prediction],
                str(rank),
                *numbers,
            ]


@dataclass(frozen=True)
class ValuePredictions:
    """Answers to a regression: a true and a predicted number for each target name."""

    split: str
    samples: Sequence[str]
    targets: Floats  # samples x targets
    predictions: Floats
    target_names: Sequence[str]

    def header(self) -> list[str]:
        """The columns of the CSV."""
        return value_header(self.target_names)

    def rows(self) -> Iterator[list[str]]:
        for sample, target, prediction in zip(
            self.samples, self.targets.tolist(), self.predictions.tolist(), strict=True
        ):
            numbers = (f"{number:.6g}" for number in (*target, *prediction))
            yield [self.split, safe_cell(sample), *numbers]


Predictions = ClassPredictions | ValuePredictions


def class_header(class_names: Sequence[str]) -> list[str]:
    """The columns of a classification: by position, as a class may be called "split" itself."""
    first = ["split", "sample", "target", "prediction", "target_rank"]
    return [*first, *map(safe_cell, class_names)]


def value_header(target_names: Sequence[str]) -> list[str]:
    """The columns of a regression."""
    columns = (f"{side}_{name}" for side in ("target", "predicted") for name in target_names)
    return ["split", "sample", *map(safe_cell, columns)]


def write_predictions(path: Path, splits: Sequence[Predictions]) -> None:
    """One CSV for all splits of a run."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(splits[0].header())
    for split in splits:
        writer.writerows(split.rows())
    write_aside(path, stream.getvalue().encode(errors=UNDECODABLE))


def read_class_predictions(path: Path, class_names: Sequence[str]) -> dict[str, ClassPredictions]:
    """The classification answers of a run by split."""
    import numpy as np

    index = {name: number for number, name in enumerate(class_names)}
    text = ("split", "sample", "target", "prediction")
    table = _read_table(path, class_header(class_names), text, len(class_names))
    ranks = table.iloc[:, 4].to_numpy(np.float64)
    if not np.isin(ranks, np.arange(len(class_names) + 1)).all():  # the last: NaN
        raise ValueError("a rank is of no class")
    probabilities = table.iloc[:, 5:].to_numpy(np.float64)
    if (probabilities < 0).any() or (probabilities > 1).any():  # NaN is neither
        raise ValueError("a probability is outside of 0 to 1")
    table["row"] = np.arange(len(table))
    return {
        str(split): ClassPredictions(
            split=str(split),
            samples=[plain_cell(name) for name in part["sample"]],
            targets=np.array([index[plain_cell(name)] for name in part["target"]]),
            predictions=np.array([index[plain_cell(name)] for name in part["prediction"]]),
            ranks=ranks[part["row"]].astype(np.int64),
            probabilities=probabilities[part["row"]].astype(np.float32),
            class_names=class_names,
        )
        for split, part in table.groupby("split", sort=False)
    }


def read_value_predictions(path: Path, target_names: Sequence[str]) -> dict[str, ValuePredictions]:
    """The regression answers of a run by split."""
    import numpy as np

    header = value_header(target_names)
    table = _read_table(path, header, ("split", "sample"), 2 * len(target_names))
    with np.errstate(over="ignore"):  # a diverged model may well predict infinity
        numbers = table.iloc[:, 2:].to_numpy(np.float64).astype(np.float32)
    table["row"] = np.arange(len(table))
    return {
        str(split): ValuePredictions(
            split=str(split),
            samples=[plain_cell(name) for name in part["sample"]],
            targets=numbers[part["row"], : len(target_names)],
            predictions=numbers[part["row"], len(target_names) :],
            target_names=target_names,
        )
        for split, part in table.groupby("split", sort=False)
    }


def _read_table(
    path: Path, header: Sequence[str], text: Sequence[str], num_numbers: int
) -> pd.DataFrame:
    """The rows below this header, with so many columns of numbers at the end."""
    import pandas as pd

    with open_to_read(path) as stream:
        wrapped = io.TextIOWrapper(stream, "utf-8", UNDECODABLE, newline="")
        found = next(csv.reader(wrapped), [])
        if [plain_cell(cell) for cell in found] != [plain_cell(cell) for cell in header]:
            raise ValueError("its columns are other ones")
        stream.seek(0)
        columns = [*text, *map(str, range(len(text), len(header)))]
        return pd.read_csv(
            stream,
            header=0,
            names=columns,
            # said to be floats, as a number of hundreds of digits would be an object
            dtype=dict.fromkeys(columns, float) | dict.fromkeys(text, str),
            keep_default_na=False,
            na_values={name: ["nan"] for name in columns[len(header) - num_numbers :]},
            encoding_errors=UNDECODABLE,
        )
